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

/* By TF-M: tests/tfm. */
typedef void NRF_RRAMC_Type;
typedef struct {
	bool mode_write;
	uint8_t write_buff_size;
} nrf_rramc_config_t;

#define NRF_RRAMC_S ((NRF_RRAMC_Type *)0x5004B000)

void nrf_rramc_config_get(NRF_RRAMC_Type const *rramc, nrf_rramc_config_t *config);
void nrf_rramc_config_set(NRF_RRAMC_Type *rramc, nrf_rramc_config_t const *config);

#endif /* SILICON_NRFX_RRAMC_H_ */
