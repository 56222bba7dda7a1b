/*
 * SPDX-License-Identifier: Apache-2.0
 */

/*
 * Glue between the bindings (crates/image/nrf-keys) and the nRF Connect SDK's drivers: what all parts have. The keys are
 * in nrf_keys_stored.c and nrf_keys_seed.c. It decides nothing; it turns enums, inline functions and registers into
 * functions with fixed-width integers.
 */

#include <errno.h>

#include <zephyr/devicetree.h>
#include <zephyr/random/random.h>
#include <zephyr/sys/barrier.h>
#include <zephyr/sys/util.h>

#include <hal/nrf_ficr.h>
#include <nrf.h>

#include <bl_storage.h>

#include "nrf_keys.h"
#include "unchanged.h"

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

/* The stand-in drivers return these codes: crates/model/silicon/src/drivers.rs. */
UNCHANGED_VALUE(EREADLCS, 114);
UNCHANGED_VALUE(EINVALIDLCS, 115);

/* The numbers of nrf_keys.h are the SDK's. */
UNCHANGED_VALUE(BL_STORAGE_LCS_ASSEMBLY, NRF_KEYS_LIFECYCLE_ASSEMBLY);
UNCHANGED_VALUE(BL_STORAGE_LCS_PROVISIONING, NRF_KEYS_LIFECYCLE_PROVISIONING);
UNCHANGED_VALUE(BL_STORAGE_LCS_SECURED, NRF_KEYS_LIFECYCLE_SECURED);
UNCHANGED_VALUE(BL_STORAGE_LCS_DECOMMISSIONED, NRF_KEYS_LIFECYCLE_DECOMMISSIONED);

/* Sizes that the bindings fix, and where the implementation ID stands: OTP is written in words. */
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

/*
 * Where OTP starts: product specification, chapter "UICR", register OTP[n]. What is written to a wrong
 * address stays written, so no image is built where the SDK or the MDK has another.
 */
#if defined(NRF5340_XXAA_APPLICATION)
#define OTP_ADDRESS 0x00FF8100
#elif defined(NRF91_SERIES)
#define OTP_ADDRESS 0x00FF8108
#elif defined(NRF54L_SERIES)
#define OTP_ADDRESS 0x00FFD500
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

#if defined(CONFIG_NRFX_RRAMC)
static uint32_t uicr_word_read(uint32_t address)
{
	return nrfx_rramc_word_read(address);
}

static int32_t otp_word_write(uint32_t address, uint32_t word)
{
	/* It writes only a word that is still erased. */
	return nrfx_rramc_otp_word_write((address - OTP_ADDRESS) / sizeof(word), word) ? 0 : -EIO;
}
#else
static uint32_t uicr_word_read(uint32_t address)
{
	return nrfx_nvmc_uicr_word_read((uint32_t const *)(uintptr_t)address);
}

static int32_t otp_word_write(uint32_t address, uint32_t word)
{
	nrfx_nvmc_word_write(address, word);
	while (!nrfx_nvmc_write_done_check()) {
	}
	return 0;
}
#endif

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
	/* UICR is read in whole words; its first byte is the lowest, as on the CPU. */
	for (uint32_t at = 0; at < BL_STORAGE_IMPLEMENTATION_ID_SIZE; at += sizeof(uint32_t)) {
		UNALIGNED_PUT(uicr_word_read(IMPLEMENTATION_ID_ADDRESS + at), (uint32_t *)&id[at]);
	}
	return 0;
}

int32_t nrf_keys_implementation_id_write_word(uint32_t index, uint32_t word)
{
	if (index >= BL_STORAGE_IMPLEMENTATION_ID_SIZE / sizeof(uint32_t)) {
		return -EINVAL;
	}

	return otp_word_write(IMPLEMENTATION_ID_ADDRESS + index * sizeof(uint32_t), word);
}

void nrf_keys_device_id(uint32_t words[2])
{
	words[0] = nrf_ficr_deviceid_get(NRF_FICR, 0);
	words[1] = nrf_ficr_deviceid_get(NRF_FICR, 1);
	/* nRF9160: flash must not be read right behind FICR and UICR (anomaly 7). */
	barrier_dsync_fence_full();
}

/* SDK 3.1 gives the nRF54LV10 kit a generator of pseudo-random numbers, for what needs no better. */
#if DT_HAS_CHOSEN(zephyr_entropy)
BUILD_ASSERT(!DT_NODE_HAS_COMPAT(DT_CHOSEN(zephyr_entropy), nordic_entropy_prng),
	     "The devicetree's zephyr,entropy is a pseudo-random generator: choose psa_rng, and enable it");
#endif

int32_t nrf_keys_random(uint8_t *buffer, uint32_t size)
{
	return sys_csrand_get(buffer, size);
}
