/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* Glue to the keys of parts that derive them from a seed: CRACEN. See nrf_keys.c. */

#include <errno.h>
#include <string.h>

#include <zephyr/sys/util.h>

#include <nrf.h>
#include <nrfx_rramc.h>

#include <cracen_psa.h>
#include <hw_unique_key.h>
#include <psa/crypto.h>

/* Until June 2026 the SDK had a library of its own for the KMU. */
#if __has_include(<cracen/lib_kmu.h>)
#include <cracen/lib_kmu.h>
#else
#include <nrfx_kmu.h>
#endif

/* After the SDK's headers: a function that both declare must be the same. */
#include "nrf_keys.h"
#include "unchanged.h"

/* The stand-in drivers return these codes: crates/model/silicon/src/drivers.rs and seed_drivers.rs. */
UNCHANGED_VALUE(HW_UNIQUE_KEY_SUCCESS, 0);
UNCHANGED_VALUE(HW_UNIQUE_KEY_ERR_WRITE_FAILED, 0x16502);
UNCHANGED_VALUE(HW_UNIQUE_KEY_ERR_DERIVE_FAILED, 0x16504);
UNCHANGED_VALUE(PSA_ERROR_INVALID_ARGUMENT, -135);
UNCHANGED_VALUE(PSA_ERROR_HARDWARE_FAILURE, -147);

/* A size that the bindings fix, and what is where. */
UNCHANGED_VALUE(HUK_SIZE_BYTES, 48);
UNCHANGED_VALUE(CONFIG_CRACEN_IKG_SEED_KMU_SLOT, 183);
UNCHANGED_VALUE(CRACEN_BUILTIN_IDENTITY_KEY_ID, 0x7FFFC001);

/* Functions that only this file calls. */
UNCHANGED_TYPE(hw_unique_key_write, int(enum hw_unique_key_slot, const uint8_t *key));
UNCHANGED_TYPE(hw_unique_key_derive_key,
	       int(enum hw_unique_key_slot, const uint8_t *context, size_t context_size,
		   const uint8_t *label, size_t label_size, uint8_t *output, uint32_t output_size));

#define SLOT_SIZE  16
#define SEED_SLOT  CONFIG_CRACEN_IKG_SEED_KMU_SLOT
#define SEED_SLOTS (HUK_SIZE_BYTES / SLOT_SIZE)
/* The index behind the seed's slots: where the driver makes its note. CMake takes the slot from the driver's source. */
#define NOTE       SEED_SLOTS
#define NOTE_SLOT  NRF_KEYS_NOTE_SLOT

/* cracen_psa_kmu.c, struct kmu_metadata: scheme SEED, 384 bits, policy LOCKED. */
#define SEED_METADATA      0x01500010
/* SECONDARY_SLOT_METADATA_VALUE */
#define SECONDARY_METADATA 0xFFFFFFFF
/* set_provisioning_in_progress() */
#define NOTE_OF(first, count) ((first) << 8 | (count))

/* cracen_kmu.h: the driver fills two slots for itself when it is first used. */
#define OWN_SLOT  248
#define OWN_SLOTS 2
#if defined(PROTECTED_RAM_INVALIDATION_DATA_SLOT1)
UNCHANGED_VALUE(PROTECTED_RAM_INVALIDATION_DATA_SLOT1, OWN_SLOT);
#endif

/* The KMU by either library: slot_state() gives NRF_KEYS_SLOT_* or an error, the others 0 or an error. */
#if __has_include(<cracen/lib_kmu.h>)

static int32_t slot_state(uint32_t slot, uint32_t *metadata)
{
	switch (lib_kmu_read_metadata(slot, metadata)) {
	case LIB_KMU_SUCCESS:
		return NRF_KEYS_SLOT_WRITTEN;
	case -LIB_KMU_REVOKED:
		return NRF_KEYS_SLOT_REVOKED;
	case -LIB_KMU_ERROR:
		return NRF_KEYS_SLOT_BLANK;
	default:
		return -EIO;
	}
}

static int32_t slot_provision(uint32_t slot, const uint8_t value[SLOT_SIZE], uint32_t dest,
			      uint32_t metadata)
{
	struct kmu_src src = {
		.rpolicy = LIB_KMU_REV_POLICY_LOCKED,
		.dest = dest,
		.metadata = metadata,
	};
	int err;

	memcpy(src.value, value, SLOT_SIZE);
	err = lib_kmu_provision_slot(slot, &src);
	memset(&src, 0, sizeof(src));
	__asm__ volatile("" : : "r"(&src) : "memory"); /* the compiler keeps the memset */
	return err;
}

static int32_t slot_revoke(uint32_t slot)
{
	return lib_kmu_revoke_slot(slot);
}

#else

static int32_t slot_state(uint32_t slot, uint32_t *metadata)
{
	nrfx_kmu_key_slot_metadata_t found = {0};
	int err = nrfx_kmu_key_slot_metadata_read(slot, &found);

	switch (err) {
	case 0:
		*metadata = found.metadata;
		return NRF_KEYS_SLOT_WRITTEN;
	case -EACCES:
		return NRF_KEYS_SLOT_REVOKED;
	case -EFAULT:
		return NRF_KEYS_SLOT_BLANK;
	default:
		return err;
	}
}

static int32_t slot_provision(uint32_t slot, const uint8_t value[SLOT_SIZE], uint32_t dest,
			      uint32_t metadata)
{
	nrfx_kmu_key_slot_data_t data = {
		.revoke_policy = NRFX_KMU_RPOLICY_LOCKED,
		.keyslot_dest = dest,
		.metadata.metadata = metadata,
	};
	int err;

	memcpy(data.keyslot_value, value, SLOT_SIZE);
	nrfx_rramc_write_enable_set(true, 0);
	err = nrfx_kmu_key_slot_provision(&data, slot);
	nrfx_rramc_write_enable_set(false, 0);
	memset(&data, 0, sizeof(data));
	__asm__ volatile("" : : "r"(&data) : "memory"); /* the compiler keeps the memset */
	return err;
}

static int32_t slot_revoke(uint32_t slot)
{
	int err;

	nrfx_rramc_write_enable_set(true, 0);
	err = nrfx_kmu_key_slots_revoke(slot, 1);
	nrfx_rramc_write_enable_set(false, 0);
	return err;
}

#endif

/* A note about the driver's own slots says nothing, unless the driver is stuck between the two. */
static bool is_note_of_own_slots(uint32_t note)
{
	uint32_t metadata;

	return note == NOTE_OF(OWN_SLOT, OWN_SLOTS) &&
	       (slot_state(OWN_SLOT, &metadata) == NRF_KEYS_SLOT_WRITTEN) ==
		       (slot_state(OWN_SLOT + 1, &metadata) == NRF_KEYS_SLOT_WRITTEN);
}

int32_t nrf_keys_seed_slot_read(uint32_t index, uint32_t metadata[2])
{
	int32_t state;

	metadata[0] = 0;
	if (index == NOTE) {
		metadata[1] = NOTE_OF(SEED_SLOT, SEED_SLOTS);
		state = slot_state(NOTE_SLOT, &metadata[0]);
		if (state == NRF_KEYS_SLOT_WRITTEN && is_note_of_own_slots(metadata[0])) {
			state = NRF_KEYS_SLOT_BLANK;
		}
		return state;
	}
	if (index >= SEED_SLOTS) {
		return -EINVAL;
	}
	metadata[1] = index == 0 ? SEED_METADATA : SECONDARY_METADATA;
	return slot_state(SEED_SLOT + index, &metadata[0]);
}

int32_t nrf_keys_seed_write(const uint8_t seed[48])
{
	psa_status_t status = psa_crypto_init();

	if (status != PSA_SUCCESS) {
		return status;
	}
	/* There is one seed, whatever the slot. */
	return hw_unique_key_write(HUK_KEYSLOT_MKEK, seed);
}

int32_t nrf_keys_seed_complete(const uint8_t seed[48])
{
	for (uint32_t i = 0; i < SEED_SLOTS; i++) {
		uint32_t metadata;
		int32_t state = slot_state(SEED_SLOT + i, &metadata);
		int32_t err;

		if (state == NRF_KEYS_SLOT_WRITTEN) {
			continue;
		}
		if (state != NRF_KEYS_SLOT_BLANK) {
			return -HW_UNIQUE_KEY_ERR_WRITE_FAILED;
		}
		err = slot_provision(SEED_SLOT + i, &seed[i * SLOT_SIZE],
				     (uint32_t)(uintptr_t)NRF_CRACEN->SEED + i * SLOT_SIZE,
				     i == 0 ? SEED_METADATA : SECONDARY_METADATA);
		if (err != 0) {
			return -HW_UNIQUE_KEY_ERR_WRITE_FAILED;
		}
	}
	return slot_revoke(NOTE_SLOT) == 0 ? 0 : -HW_UNIQUE_KEY_ERR_WRITE_FAILED;
}

int32_t nrf_keys_huk_derive(uint32_t huk, const uint8_t *label, uint32_t label_size,
			    uint8_t *derived, uint32_t size)
{
	psa_status_t status;

	if (huk != NRF_KEYS_MKEK && huk != NRF_KEYS_MEXT) {
		return -EINVAL;
	}
	status = psa_crypto_init();
	if (status != PSA_SUCCESS) {
		return status;
	}
	/* No context: the pointer is not used, but memcpy() takes no NULL. */
	return hw_unique_key_derive_key(huk == NRF_KEYS_MKEK ? HUK_KEYSLOT_MKEK : HUK_KEYSLOT_MEXT,
					label, 0, label, label_size, derived, size);
}

static mbedtls_svc_key_id_t identity_key(void)
{
	return mbedtls_svc_key_id_make(0, CRACEN_BUILTIN_IDENTITY_KEY_ID);
}

int32_t nrf_keys_public_identity_key(uint8_t public_key[65])
{
	size_t length = 0;
	psa_status_t status = psa_crypto_init();

	if (status == PSA_SUCCESS) {
		status = psa_export_public_key(identity_key(), public_key, 65, &length);
	}
	return status == PSA_SUCCESS && length != 65 ? -EIO : status;
}

int32_t nrf_keys_sign(const uint8_t digest[32], uint8_t signature[64])
{
	size_t length = 0;
	psa_status_t status = psa_crypto_init();

	if (status == PSA_SUCCESS) {
		status = psa_sign_hash(identity_key(), PSA_ALG_ECDSA(PSA_ALG_SHA_256), digest, 32,
				       signature, 64, &length);
	}
	return status == PSA_SUCCESS && length != 64 ? -EIO : status;
}
