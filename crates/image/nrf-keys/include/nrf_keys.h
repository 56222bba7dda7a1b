/*
 * SPDX-License-Identifier: Apache-2.0
 */

/*
 * Every C symbol that the bindings call: crates/image/nrf-keys/src/raw.rs says the same in Rust.
 *
 * The first group is functions of the nRF Connect SDK by their own names. src/nrf_keys.c includes
 * the SDK's headers together with this one, so the compiler refuses any that has changed. The rest
 * is src/nrf_keys.c itself: functions of the SDK that are inline, take an enum or
 * are there in some configurations only, behind fixed-width integers.
 *
 * Functions that return int32_t give 0 or the driver's negative error code.
 */

#ifndef NRF_KEYS_H_
#define NRF_KEYS_H_

#include <stdbool.h>
#include <stdint.h>

/* identity_key.h */
bool identity_key_is_written(void);
int identity_key_read(uint8_t key[32]);
void identity_key_free(uint8_t key[32]);
int identity_key_write_key(uint8_t key[32]);

/* Lifecycle states of nrf_keys_lifecycle_read() */
#define NRF_KEYS_LIFECYCLE_ASSEMBLY       1
#define NRF_KEYS_LIFECYCLE_PROVISIONING   2
#define NRF_KEYS_LIFECYCLE_SECURED        3
#define NRF_KEYS_LIFECYCLE_DECOMMISSIONED 4

/*
 * Reads the PSA lifecycle state: read_life_cycle_state() of bl_storage.h. -EFAULT where the SDK's library
 * would look for it at another address than the part's OTP.
 */
int32_t nrf_keys_lifecycle_read(uint32_t *state);

/* Writes the PSA lifecycle state PROVISIONING: update_life_cycle_state() of bl_storage.h. */
int32_t nrf_keys_lifecycle_enter_provisioning(void);

/*
 * Reads the implementation ID from OTP, as read_implementation_id_from_otp() of bl_storage.h does, which
 * SDK 3 builds for TF-M alone.
 */
int32_t nrf_keys_implementation_id_read(uint8_t id[32]);

/* Writes one of the eight words of the implementation ID to OTP, where it must be erased. */
int32_t nrf_keys_implementation_id_write_word(uint32_t index, uint32_t word);

/* Keys of nrf_keys_slot_read(); the other functions take the first two, the hardware unique keys */
#define NRF_KEYS_MKEK     0
#define NRF_KEYS_MEXT     1
#define NRF_KEYS_IDENTITY 2

/*
 * Reads a KMU slot of the key as the CPU sees it: DEST, PERM and the four words of VALUE; and what
 * DEST and PERM are where the slot was written to its end. Gives how many slots the key takes, or
 * -EINVAL where it has no slot of that index. Call it with interrupts locked: it selects the slot,
 * and the selection is one register for the whole part.
 */
int32_t nrf_keys_slot_read(uint32_t key, uint32_t index, uint32_t words[6], uint32_t closed[2]);

/* hw_unique_key_write(): writes the HUK to blank slots. It takes as many bytes as the HUK has. */
int32_t nrf_keys_huk_write(uint32_t huk, const uint8_t key[32]);

/*
 * hw_unique_key_derive_key(): derives bytes from the HUK under a label of at most 16 bytes and no
 * context.
 */
int32_t nrf_keys_huk_derive(uint32_t huk, const uint8_t *label, uint32_t label_size,
			    uint8_t *derived, uint32_t size);

/* Only for parts whose keys are stored: CryptoCell. */

/* identity_key_write_random(), or -ENOTSUP without CONFIG_IDENTITY_KEY_RANDOM. */
int32_t nrf_keys_identity_key_write_random(void);

/* identity_key_write_dummy(), or -ENOTSUP without CONFIG_IDENTITY_KEY_DUMMY. */
int32_t nrf_keys_identity_key_write_dummy(void);

/* Only for parts whose keys are derived from a seed: CRACEN. src/nrf_keys.c has none of them yet. */

/* What nrf_keys_seed_slot_read() gives */
#define NRF_KEYS_SLOT_BLANK   0
#define NRF_KEYS_SLOT_WRITTEN 1
#define NRF_KEYS_SLOT_REVOKED 2

/*
 * Looks at a KMU slot of the seed, index 0 to 2, or at the one in which the driver notes that it is about to
 * write several, index 3: its metadata, and what it is where the driver has written the slot. Gives the
 * slot's state, or -EINVAL where there is no such slot. A note about the two slots that the driver fills
 * for itself counts as none, unless only one of them is filled: then the driver refuses all work.
 */
int32_t nrf_keys_seed_slot_read(uint32_t index, uint32_t metadata[2]);

/* hw_unique_key_write(): writes the seed to blank slots. */
int32_t nrf_keys_seed_write(const uint8_t seed[48]);

/*
 * Writes those slots of the seed that are blank, each with its part of the bytes and as hw_unique_key_write()
 * would, and takes the driver's note back. It is for a seed whose write was cut off.
 */
int32_t nrf_keys_seed_complete(const uint8_t seed[48]);

/* psa_export_public_key() of the key generator's identity key: 65 bytes, uncompressed. */
int32_t nrf_keys_public_identity_key(uint8_t public_key[65]);

/* psa_sign_hash() with that key, ECDSA and SHA-256: r || s. */
int32_t nrf_keys_sign(const uint8_t digest[32], uint8_t signature[64]);

/* The two words of FICR.INFO.DEVICEID. */
void nrf_keys_device_id(uint32_t words[2]);

/* Fills a buffer from Zephyr's cryptographically secure random generator. */
int32_t nrf_keys_random(uint8_t *buffer, uint32_t size);

#endif /* NRF_KEYS_H_ */
