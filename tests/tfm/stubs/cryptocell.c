/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* What TF-M asks of CryptoCell's library and of UICR, and the image does not. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zephyr/random/random.h>

#include <nrf_cc3xx_platform_ctr_drbg.h>
#include <nrf.h>
#include <nrfx_nvmc.h>

int nrf_cc3xx_platform_init(void)
{
	return 0;
}

int nrf_cc3xx_platform_ctr_drbg_init(nrf_cc3xx_platform_ctr_drbg_context_t *const context,
				     const uint8_t *pers_string, size_t pers_string_len)
{
	(void)context;
	(void)pers_string;
	(void)pers_string_len;
	return 0;
}

int nrf_cc3xx_platform_ctr_drbg_get(nrf_cc3xx_platform_ctr_drbg_context_t *const context,
				    uint8_t *buffer, size_t len, size_t *olen)
{
	(void)context;
	*olen = len;
	return sys_csrand_get(buffer, len);
}

int nrf_cc3xx_platform_ctr_drbg_free(nrf_cc3xx_platform_ctr_drbg_context_t *const context)
{
	(void)context;
	return 0;
}

int nrf_cc3xx_platform_get_boot_seed(uint8_t *seed)
{
	return sys_csrand_get(seed, 32);
}

#if defined(TFM_WANTS_CLOSED_PORTS)
NRF_UICR_Type *silicon_uicr_copy(void)
{
	static NRF_UICR_Type copy;
	const uint32_t base = 0x00FF8000;

	copy.APPROTECT = nrfx_nvmc_uicr_word_read((const uint32_t *)(uintptr_t)base);
	copy.SECUREAPPROTECT = nrfx_nvmc_uicr_word_read(
		(const uint32_t *)(uintptr_t)(base + offsetof(NRF_UICR_Type, SECUREAPPROTECT)));
	return &copy;
}
#endif

bool nrfx_nvmc_word_writable_check(uint32_t address, uint32_t value)
{
	return (nrfx_nvmc_uicr_word_read((const uint32_t *)(uintptr_t)address) & value) == value;
}
