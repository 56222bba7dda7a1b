/*
 * SPDX-License-Identifier: Apache-2.0
 */

/*
 * The SDK's headers declare what src/exports/for_cryptocell.rs defines: a signature that has changed fails the
 * build here, since nothing else compares C with Rust.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zephyr/random/random.h>
#include <zephyr/sys/util.h>

#include <nrf_cc3xx_platform_defines.h>
#include <nrf_cc3xx_platform_identity_key.h>
#include <nrf_cc3xx_platform_kmu.h>

#include "unchanged.h"

UNCHANGED_TYPE(nrf_cc3xx_platform_kmu_write_key_slot,
	       int(uint32_t slot, uint32_t dest, uint32_t perm, const uint8_t *key));
UNCHANGED_TYPE(nrf_cc3xx_platform_kmu_shadow_key_derive,
	       int(uint32_t slot, unsigned int key_bits, const uint8_t *label, size_t label_size,
		   const uint8_t *context, size_t context_size, uint8_t *output,
		   size_t output_size));
UNCHANGED_TYPE(nrf_cc3xx_platform_identity_key_store, int(uint32_t slot, const uint8_t *key));
UNCHANGED_TYPE(nrf_cc3xx_platform_identity_key_is_stored, bool(uint32_t slot));
UNCHANGED_TYPE(nrf_cc3xx_platform_identity_key_retrieve, int(uint32_t slot, uint8_t *key));
UNCHANGED_TYPE(nrf_cc3xx_platform_identity_key_free, void(uint8_t *key));
UNCHANGED_TYPE(z_impl_sys_csrand_get, int(void *buffer, size_t size));
BUILD_ASSERT(!IS_ENABLED(CONFIG_CSPRNG_ENABLED),
	     "Zephyr's random generator would answer instead of the modelled part's");

/* The codes and addresses of src/platform.rs, src/kmu.rs and src/soc.rs. */
UNCHANGED_VALUE(NRF_CC3XX_PLATFORM_SUCCESS, 0);
UNCHANGED_VALUE(NRF_CC3XX_PLATFORM_ERROR_INTERNAL, -0x7002);
UNCHANGED_VALUE(NRF_CC3XX_PLATFORM_ERROR_KMU_INVALID_SLOT, -0x701A);
UNCHANGED_VALUE(NRF_CC3XX_PLATFORM_ERROR_KMU_WRITE_KEY_FAILED, -0x701D);
UNCHANGED_VALUE(NRF_CC3XX_PLATFORM_ERROR_INVALID_PARAM, -0x7022);
UNCHANGED_VALUE(NRF_CC3XX_PLATFORM_ERROR_IDENTITY_KEY_INVALID_SLOT, -0x7024);
UNCHANGED_VALUE(NRF_CC3XX_PLATFORM_ERROR_KIDENT_WRITE_KEY_FAILED, -0x7026);
UNCHANGED_VALUE(NRF_CC3XX_PLATFORM_ERROR_KIDENT_READ_KEY_FAILED, -0x7027);
UNCHANGED_VALUE(NRF_KMU_LAST_SLOT, 127);
UNCHANGED_VALUE(NRF_KMU_LAST_IDENTTY_KEY_SLOT, 126);
UNCHANGED_VALUE(NRF_KMU_SLOT_MKEK, 2);
UNCHANGED_VALUE(NRF_KMU_SLOT_MEXT, 4);
UNCHANGED_VALUE(NRF_KMU_SLOT_KIDENT, 6);
UNCHANGED_VALUE(NRF_CC3XX_PLATFORM_KMU_DEFAULT_PERMISSIONS, 0xFFFFFFFC);
UNCHANGED_VALUE(NRF_CC3XX_PLATFORM_KMU_IDENTITY_KEY_PERMISSIONS, 0xFFFFFFFA);
#if defined(NRF5340_XXAA_APPLICATION)
UNCHANGED_VALUE(NRF_CC3XX_PLATFORM_KMU_AES_ADDR_1, 0x50845400);
UNCHANGED_VALUE(NRF_CC3XX_PLATFORM_KMU_AES_ADDR_2, 0x50845410);
#else
UNCHANGED_VALUE(NRF_CC3XX_PLATFORM_KMU_AES_ADDR, 0x50841400);
#endif
