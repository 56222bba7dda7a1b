/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* Stands in for nrfx: the calls of the key drivers, which the model answers. */

#ifndef SILICON_NRFX_RRAMC_H_
#define SILICON_NRFX_RRAMC_H_

#include <stdbool.h>
#include <stdint.h>

uint32_t nrfx_rramc_word_read(uint32_t address);
void nrfx_rramc_word_write(uint32_t address, uint32_t value);
uint32_t nrfx_rramc_otp_word_read(uint32_t index);
bool nrfx_rramc_otp_word_write(uint32_t index, uint32_t value);
void nrfx_rramc_write_enable_set(bool enable, uint32_t write_buff_size);

#endif /* SILICON_NRFX_RRAMC_H_ */
