/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* Stands in for nrfx: the calls of the key drivers, which the model answers. */

#ifndef SILICON_NRFX_NVMC_H_
#define SILICON_NRFX_NVMC_H_

#include <stdbool.h>
#include <stdint.h>

uint32_t nrfx_nvmc_uicr_word_read(uint32_t const volatile *address);
uint16_t nrfx_nvmc_otp_halfword_read(uint32_t address);
void nrfx_nvmc_halfword_write(uint32_t address, uint16_t value);
void nrfx_nvmc_word_write(uint32_t address, uint32_t value);
void nrfx_nvmc_words_write(uint32_t address, void const *src, uint32_t num_words);
bool nrfx_nvmc_write_done_check(void);
/* By those who link TF-M: tests/tfm. */
bool nrfx_nvmc_word_writable_check(uint32_t address, uint32_t value);

#endif /* SILICON_NRFX_NVMC_H_ */
