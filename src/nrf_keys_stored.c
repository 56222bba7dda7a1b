/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* Glue to the keys of parts that store them: CryptoCell. See nrf_keys.c. */

#include <errno.h>
#include <string.h>

#include <zephyr/sys/util.h>

#include <nrf.h>
#include <nrfx_nvmc.h>

#include <hw_unique_key.h>
#include <identity_key.h>
#include <nrf_cc3xx_platform_defines.h>
#include <nrf_cc3xx_platform_kmu.h>

/* After the SDK's headers: a function that both declare must be the same. */
#include "nrf_keys.h"
#include "unchanged.h"

/* The stand-in drivers return these codes: crates/model/silicon/src/drivers.rs. */
UNCHANGED_VALUE(ENOTSUP, 134);
UNCHANGED_VALUE(HW_UNIQUE_KEY_SUCCESS, 0);
UNCHANGED_VALUE(HW_UNIQUE_KEY_ERR_MISSING, 0x16501);
UNCHANGED_VALUE(HW_UNIQUE_KEY_ERR_WRITE_FAILED, 0x16502);
UNCHANGED_VALUE(HW_UNIQUE_KEY_ERR_DERIVE_FAILED, 0x16504);
UNCHANGED_VALUE(IDENTITY_KEY_SUCCESS, 0);
UNCHANGED_VALUE(IDENTITY_KEY_ERR_MKEK_MISSING, 0x15501);
UNCHANGED_VALUE(IDENTITY_KEY_ERR_MISSING, 0x15502);
UNCHANGED_VALUE(IDENTITY_KEY_ERR_READ_FAILED, 0x15503);
UNCHANGED_VALUE(IDENTITY_KEY_ERR_WRITE_FAILED, 0x15504);
UNCHANGED_VALUE(IDENTITY_KEY_ERR_GENERATION_FAILED, 0x15505);

/* A size that the bindings fix. */
UNCHANGED_VALUE(IDENTITY_KEY_SIZE_BYTES, 32);

/* Functions that only this file calls. */
UNCHANGED_TYPE(hw_unique_key_write, int(enum hw_unique_key_slot, const uint8_t *key));
UNCHANGED_TYPE(hw_unique_key_derive_key,
	       int(enum hw_unique_key_slot, const uint8_t *context, size_t context_size,
		   const uint8_t *label, size_t label_size, uint8_t *output, uint32_t output_size));
UNCHANGED_TYPE(identity_key_write_random, int(void));
UNCHANGED_TYPE(identity_key_write_dummy, int(void));

#if !defined(HUK_HAS_KMU) || (!defined(HUK_HAS_CC310) && !defined(HUK_HAS_CC312))
#error "This image needs a part with a KMU and a CryptoCell: nRF5340 or nRF91 Series"
#endif

#define KMU_SLOT_WORDS 4
#define HUK_SLOTS      (HUK_SIZE_WORDS / KMU_SLOT_WORDS)
#if defined(NRF_CC3XX_PLATFORM_KMU_AES_ADDR_2)
UNCHANGED_VALUE(NRF_CC3XX_PLATFORM_KMU_AES_ADDR_2,
		NRF_CC3XX_PLATFORM_KMU_AES_ADDR + KMU_SLOT_WORDS * sizeof(uint32_t));
#endif
BUILD_ASSERT(HUK_SIZE_WORDS % KMU_SLOT_WORDS == 0);
/* nrf_cc3xx_platform_identity_key.h: "uses 2". */
#define IDENTITY_KEY_SLOTS (IDENTITY_KEY_SIZE_BYTES / (KMU_SLOT_WORDS * sizeof(uint32_t)))
UNCHANGED_VALUE(NRF_KMU_SLOT_KIDENT_RESERVED, NRF_KMU_SLOT_KIDENT + IDENTITY_KEY_SLOTS - 1);

/* The first slot of a key, and how many it takes. */
static int32_t key_slots(uint32_t key, uint32_t *first, uint32_t *total)
{
	switch (key) {
	case NRF_KEYS_MKEK:
		*first = HUK_KEYSLOT_MKEK;
		*total = HUK_SLOTS;
		return 0;
	case NRF_KEYS_MEXT:
		*first = HUK_KEYSLOT_MEXT;
		*total = HUK_SLOTS;
		return 0;
	case NRF_KEYS_IDENTITY:
		*first = NRF_KMU_SLOT_KIDENT;
		*total = IDENTITY_KEY_SLOTS;
		return 0;
	default:
		return -EINVAL;
	}
}

int32_t nrf_keys_slot_read(uint32_t key, uint32_t index, uint32_t words[6], uint32_t closed[2])
{
	uint32_t slot, total;
	int32_t err = key_slots(key, &slot, &total);

	if (err != 0 || index >= total) {
		return -EINVAL;
	}

	slot += index;
	NRF_KMU->SELECTKEYSLOT = KMU_SELECT_SLOT(slot);
	words[0] = nrfx_nvmc_uicr_word_read(&NRF_UICR_S->KEYSLOT.CONFIG[slot].DEST);
	words[1] = nrfx_nvmc_uicr_word_read(&NRF_UICR_S->KEYSLOT.CONFIG[slot].PERM);
	for (size_t i = 0; i < KMU_SLOT_WORDS; i++) {
		words[2 + i] = nrfx_nvmc_uicr_word_read(&NRF_UICR_S->KEYSLOT.KEY[slot].VALUE[i]);
	}
	NRF_KMU->SELECTKEYSLOT = 0;

	if (key == NRF_KEYS_IDENTITY) {
		/* Nothing is pushed from it, so any DEST will do. */
		closed[0] = words[0];
		closed[1] = NRF_CC3XX_PLATFORM_KMU_IDENTITY_KEY_PERMISSIONS;
	} else {
		/* One slot for each 128 bits of CryptoCell's AES key register, one behind the other. */
		closed[0] = NRF_CC3XX_PLATFORM_KMU_AES_ADDR + index * KMU_SLOT_WORDS * sizeof(uint32_t);
		closed[1] = NRF_CC3XX_PLATFORM_KMU_DEFAULT_PERMISSIONS;
	}
	return total;
}

int32_t nrf_keys_huk_write(uint32_t huk, const uint8_t key[32])
{
	uint32_t slot, total;

	BUILD_ASSERT(HUK_SIZE_BYTES * 8 == CONFIG_PROVISIONING_HUK_BITS);
	if (huk == NRF_KEYS_IDENTITY || key_slots(huk, &slot, &total) != 0) {
		return -EINVAL;
	}
	return hw_unique_key_write(slot, key);
}

int32_t nrf_keys_huk_derive(uint32_t huk, const uint8_t *label, uint32_t label_size,
			    uint8_t *derived, uint32_t size)
{
	uint8_t in_ram[16]; /* CryptoCell cannot read flash */
	uint32_t slot, total;

	if (huk == NRF_KEYS_IDENTITY || key_slots(huk, &slot, &total) != 0 ||
	    label_size > sizeof(in_ram)) {
		return -EINVAL;
	}
	memcpy(in_ram, label, label_size);
	return hw_unique_key_derive_key(slot, NULL, 0, in_ram, label_size, derived, size);
}

int32_t nrf_keys_identity_key_write_random(void)
{
#if defined(CONFIG_IDENTITY_KEY_RANDOM)
	return identity_key_write_random();
#else
	return -ENOTSUP;
#endif
}

int32_t nrf_keys_identity_key_write_dummy(void)
{
#if defined(CONFIG_IDENTITY_KEY_DUMMY)
	return identity_key_write_dummy();
#else
	return -ENOTSUP;
#endif
}
