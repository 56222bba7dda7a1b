/*
 * SPDX-License-Identifier: Apache-2.0
 */

#include <string.h>

#include <zephyr/kernel.h>

#include <nrf.h>
#include <nrfx_nvmc.h>
#if !defined(CONFIG_SILICON_MODEL)
#include <hal/nrf_clock.h>
#endif

#include <hw_unique_key.h>
#include <nrf_cc3xx_platform_identity_key.h>
#include <nrf_cc3xx_platform_kmu.h>

#include "part.h"

void silicon_test_select(uint32_t number)
{
	NRF_KMU->SELECTKEYSLOT = number;
}

uint32_t silicon_test_read(uint32_t address)
{
	return nrfx_nvmc_uicr_word_read((uint32_t const *)(uintptr_t)address);
}

void silicon_test_write(uint32_t address, uint32_t word)
{
	nrfx_nvmc_word_write(address, word);
	while (!nrfx_nvmc_write_done_check()) {
	}
}

uint32_t silicon_test_aes_address(void)
{
	return NRF_CC3XX_PLATFORM_KMU_AES_ADDR;
}

int32_t silicon_test_write_key_slot(uint32_t slot, uint32_t dest, uint32_t perm, const uint8_t key[16])
{
	uint8_t in_ram[16]; /* CryptoCell cannot read flash */

	memcpy(in_ram, key, sizeof(in_ram));
	return nrf_cc3xx_platform_kmu_write_key_slot(slot, dest, perm, in_ram);
}

int32_t silicon_test_derive(uint32_t slot, const uint8_t *label, uint32_t label_size, const uint8_t *context,
			    uint32_t context_size, uint8_t *derived, uint32_t size)
{
	uint8_t in_ram[2][32];

	if (label_size > sizeof(in_ram[0]) || context_size > sizeof(in_ram[1])) {
		return -EINVAL;
	}
	memcpy(in_ram[0], label, label_size);
	memcpy(in_ram[1], context, context_size);
	return nrf_cc3xx_platform_kmu_shadow_key_derive(slot, 8 * HUK_SIZE_BYTES, in_ram[0], label_size, in_ram[1],
							context_size, derived, size);
}

bool silicon_test_identity_key_is_stored(uint32_t slot)
{
	return nrf_cc3xx_platform_identity_key_is_stored(slot);
}

int32_t silicon_test_identity_key_store(uint32_t slot, const uint8_t key[32])
{
	uint8_t in_ram[32]; /* as above */

	memcpy(in_ram, key, sizeof(in_ram));
	return nrf_cc3xx_platform_identity_key_store(slot, in_ram);
}

int32_t silicon_test_identity_key_retrieve(uint32_t slot, uint8_t key[32])
{
	return nrf_cc3xx_platform_identity_key_retrieve(slot, key);
}

bool silicon_test_has_clock(void)
{
	bool runs = false;

#if !defined(CONFIG_SILICON_MODEL)
	runs = nrf_clock_is_running(NRF_CLOCK, NRF_CLOCK_DOMAIN_LFCLK, NULL);
#endif
	return runs || IS_ENABLED(CONFIG_SYS_CLOCK_EXISTS);
}

bool silicon_test_ficr(uint32_t words[2])
{
#if defined(CONFIG_SILICON_MODEL)
	ARG_UNUSED(words);
	return false;
#else
	/* As UICR: nRF9160 wants a barrier behind each of these reads (anomaly 7). */
#if defined(NRF91_SERIES)
	words[0] = silicon_test_read((uintptr_t)&NRF_FICR->SIPINFO.PARTNO);
	words[1] = silicon_test_read((uintptr_t)NRF_FICR->SIPINFO.VARIANT);
#else
	words[0] = silicon_test_read((uintptr_t)&NRF_FICR->INFO.PART);
	words[1] = silicon_test_read((uintptr_t)&NRF_FICR->INFO.VARIANT);
#endif
	return true;
#endif
}

const char *silicon_test_sdk(void)
{
	return SDK_NAME;
}

const char *silicon_test_board(void)
{
#if defined(CONFIG_BOARD_TARGET)
	return CONFIG_BOARD_TARGET;
#else
	return CONFIG_BOARD;
#endif
}
