/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* What TF-M asks of UICR, and the image does not. */

#include <stdint.h>

#include <nrf.h>
#include <nrfx_rramc.h>

NRF_UICR_Type *silicon_uicr_copy(void)
{
	static NRF_UICR_Type copy;
	uint32_t *words = (uint32_t *)&copy;

	for (uint32_t i = 0; i < sizeof(copy) / sizeof(*words); i++) {
		words[i] = nrfx_rramc_word_read(0x00FFD000 + i * sizeof(*words));
	}
	return &copy;
}

/* As nrf_rramc.h of nrfx: the write mode is as TF-M has set it, and there is no write buffer. */
void nrf_rramc_config_get(NRF_RRAMC_Type const *rramc, nrf_rramc_config_t *config)
{
	(void)rramc;
	*config = (nrf_rramc_config_t){.mode_write = true};
}

void nrf_rramc_config_set(NRF_RRAMC_Type *rramc, nrf_rramc_config_t const *config)
{
	(void)rramc;
	nrfx_rramc_write_enable_set(config->mode_write, config->write_buff_size);
}
