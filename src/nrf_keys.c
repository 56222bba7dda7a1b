/*
 * SPDX-License-Identifier: Apache-2.0
 */

/*
 * Glue between the bindings (crates/image/nrf-keys) and the nRF Connect SDK's drivers. It decides
 * nothing; it turns enums, inline functions and registers into functions with fixed-width integers.
 */

#include <errno.h>
#include <string.h>

#include <zephyr/devicetree.h>
#include <zephyr/kernel.h>
#include <zephyr/random/random.h>
#include <zephyr/sys/barrier.h>
#include <zephyr/sys/util.h>

#include <hal/nrf_ficr.h>
#include <nrf.h>
#include <nrfx_nvmc.h>

#include <bl_storage.h>
#include <hw_unique_key.h>
#include <identity_key.h>
#include <nrf_cc3xx_platform_defines.h>
#include <nrf_cc3xx_platform_kmu.h>

/* After the SDK's headers: a function that both declare must be the same. */
#include "nrf_keys.h"

/*
 * What differs between the versions of the SDK, and is told from its headers. docs/sdk-versions.rst says which
 * of them were seen.
 *
 *   SDK            enum of lifecycle states   its functions   BL_STORAGE   its address
 *   2.7 to 2.9     enum lcs                   inline          macro        pm_config.h
 *   3.0 to 3.2     enum lcs                   library         macro        pm_config.h
 *   after 3.2      enum bl_storage_lcs        library         macro        pm_config.h
 *   after 3.3      enum bl_storage_lcs        library         pointer      pm_config.h or devicetree
 */

/* The SDK has changed: find out what it means for the bindings before you change a line here. */
#define UNCHANGED_VALUE(name, value) BUILD_ASSERT((name) == (value), #name " has changed")
#define UNCHANGED_TYPE(name, ...)                                                                  \
	BUILD_ASSERT(__builtin_types_compatible_p(__typeof__(name), __VA_ARGS__), #name " has changed")

/* The stand-in drivers return these codes: crates/model/silicon/src/drivers.rs. */
UNCHANGED_VALUE(EREADLCS, 114);
UNCHANGED_VALUE(EINVALIDLCS, 115);
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

/* The numbers of nrf_keys.h are the SDK's. */
UNCHANGED_VALUE(BL_STORAGE_LCS_ASSEMBLY, NRF_KEYS_LIFECYCLE_ASSEMBLY);
UNCHANGED_VALUE(BL_STORAGE_LCS_PROVISIONING, NRF_KEYS_LIFECYCLE_PROVISIONING);
UNCHANGED_VALUE(BL_STORAGE_LCS_SECURED, NRF_KEYS_LIFECYCLE_SECURED);
UNCHANGED_VALUE(BL_STORAGE_LCS_DECOMMISSIONED, NRF_KEYS_LIFECYCLE_DECOMMISSIONED);

/* Sizes that the bindings fix, and where the implementation ID stands: OTP is written in words. */
UNCHANGED_VALUE(IDENTITY_KEY_SIZE_BYTES, 32);
UNCHANGED_VALUE(BL_STORAGE_IMPLEMENTATION_ID_SIZE, 32);
UNCHANGED_VALUE(sizeof(((struct bl_storage_data *)0)->implementation_id), 32);
UNCHANGED_VALUE(offsetof(struct bl_storage_data, implementation_id) % sizeof(uint32_t), 0);

/* The enum that read_life_cycle_state() takes; the other stays incomplete, an extension of GNU C. */
enum lcs;
enum bl_storage_lcs;
#define LIFECYCLE_TAKES(type)                                                                      \
	__builtin_types_compatible_p(__typeof__(read_life_cycle_state), int(type *))
typedef __typeof__(*__builtin_choose_expr(LIFECYCLE_TAKES(enum bl_storage_lcs),                    \
					  (enum bl_storage_lcs *)NULL,                             \
					  (enum lcs *)NULL)) lifecycle_t;

/* Functions that only this file calls. */
UNCHANGED_TYPE(read_life_cycle_state, int(lifecycle_t *));
UNCHANGED_TYPE(update_life_cycle_state, int(lifecycle_t));
UNCHANGED_TYPE(hw_unique_key_write, int(enum hw_unique_key_slot, const uint8_t *key));
UNCHANGED_TYPE(hw_unique_key_derive_key,
	       int(enum hw_unique_key_slot, const uint8_t *context, size_t context_size,
		   const uint8_t *label, size_t label_size, uint8_t *output, uint32_t output_size));
UNCHANGED_TYPE(identity_key_write_random, int(void));
UNCHANGED_TYPE(identity_key_write_dummy, int(void));

/*
 * Where OTP starts: product specification, chapter "UICR", register OTP[n]. What is written to a wrong
 * address stays written, so no image is built where the SDK or the MDK has another.
 */
#if defined(NRF5340_XXAA_APPLICATION)
#define OTP_ADDRESS 0x00FF8100
#elif defined(NRF91_SERIES)
#define OTP_ADDRESS 0x00FF8108
#else
#error "Where is this part's OTP? See the chapter on UICR of its product specification"
#endif
#if !defined(CONFIG_SILICON_MODEL)
BUILD_ASSERT(NRF_UICR_S_BASE + offsetof(NRF_UICR_Type, OTP) == OTP_ADDRESS,
	     "The MDK has this part's OTP at another address");
#endif

/* What the SDK says: the partition manager where there is one, else the devicetree. */
#if defined(BL_STORAGE) || defined(CONFIG_PARTITION_MANAGER_ENABLED) || USE_PARTITION_MANAGER
#include <pm_config.h>
BUILD_ASSERT(PM_PROVISION_ADDRESS == OTP_ADDRESS,
	     "The partition manager's provision partition is not at the start of this part's OTP");
#elif DT_NODE_EXISTS(DT_NODELABEL(bl_storage))
BUILD_ASSERT(DT_REG_ADDR(DT_NODELABEL(bl_storage)) == OTP_ADDRESS,
	     "The devicetree's bl_storage is not at the start of this part's OTP");
#else
#error "No partition \"provision\" and no label bl_storage: from SDK 3.0 on, build with west build --sysbuild"
#endif
#define IMPLEMENTATION_ID_ADDRESS (OTP_ADDRESS + offsetof(struct bl_storage_data, implementation_id))

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

int32_t nrf_keys_lifecycle_read(uint32_t *state)
{
	lifecycle_t lcs = BL_STORAGE_LCS_UNKNOWN;
	int err;

	/* As a macro it is constant. As a pointer the library sets it: seen here, before anything is written. */
	if ((uintptr_t)BL_STORAGE != OTP_ADDRESS) {
		return -EFAULT;
	}

	err = read_life_cycle_state(&lcs);
	if (err != 0) {
		return err;
	}

	*state = lcs;
	return 0;
}

int32_t nrf_keys_lifecycle_enter_provisioning(void)
{
	return update_life_cycle_state(BL_STORAGE_LCS_PROVISIONING);
}

int32_t nrf_keys_implementation_id_read(uint8_t id[32])
{
	uint32_t const *words = (uint32_t const *)(uintptr_t)IMPLEMENTATION_ID_ADDRESS;

	/* UICR is read in whole words; its first byte is the lowest, as on the CPU. */
	for (size_t i = 0; i < BL_STORAGE_IMPLEMENTATION_ID_SIZE / sizeof(*words); i++) {
		UNALIGNED_PUT(nrfx_nvmc_uicr_word_read(&words[i]), (uint32_t *)&id[i * sizeof(*words)]);
	}
	return 0;
}

int32_t nrf_keys_implementation_id_write_word(uint32_t index, uint32_t word)
{
	if (index >= BL_STORAGE_IMPLEMENTATION_ID_SIZE / sizeof(uint32_t)) {
		return -EINVAL;
	}

	nrfx_nvmc_word_write(IMPLEMENTATION_ID_ADDRESS + index * sizeof(uint32_t), word);
	while (!nrfx_nvmc_write_done_check()) {
	}
	return 0;
}

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

void nrf_keys_device_id(uint32_t words[2])
{
	words[0] = nrf_ficr_deviceid_get(NRF_FICR, 0);
	words[1] = nrf_ficr_deviceid_get(NRF_FICR, 1);
	/* nRF9160: flash must not be read right behind FICR and UICR (anomaly 7). */
	barrier_dsync_fence_full();
}

int32_t nrf_keys_random(uint8_t *buffer, uint32_t size)
{
	return sys_csrand_get(buffer, size);
}
