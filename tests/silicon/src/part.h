/*
 * SPDX-License-Identifier: Apache-2.0
 */

/*
 * What the test asks a part for directly, below the SDK's key drivers: UICR by the NVMC, the KMU's selection, and
 * Nordic's CryptoCell library on slots that no product uses. src/part.rs says the same in Rust.
 */

#ifndef SILICON_TEST_PART_H_
#define SILICON_TEST_PART_H_

#include <stdbool.h>
#include <stdint.h>

/* SELECTKEYSLOT: the slot's number plus one, or 0 for none. */
void silicon_test_select(uint32_t number);

/* A word of UICR, and one that is written to its end. */
uint32_t silicon_test_read(uint32_t address);
void silicon_test_write(uint32_t address, uint32_t word);

/* CryptoCell's AES key register, where a HUK's first slot is pushed to. */
uint32_t silicon_test_aes_address(void);

/* nrf_cc3xx_platform_kmu.h and nrf_cc3xx_platform_identity_key.h, with their codes. */
int32_t silicon_test_write_key_slot(uint32_t slot, uint32_t dest, uint32_t perm, const uint8_t key[16]);
int32_t silicon_test_derive(uint32_t slot, const uint8_t *label, uint32_t label_size, const uint8_t *context,
			    uint32_t context_size, uint8_t *derived, uint32_t size);
bool silicon_test_identity_key_is_stored(uint32_t slot);
int32_t silicon_test_identity_key_store(uint32_t slot, const uint8_t key[32]);
int32_t silicon_test_identity_key_retrieve(uint32_t slot, uint8_t key[32]);

/* Whether Zephyr's clock is in this image, or the low-frequency clock of the part runs. */
bool silicon_test_has_clock(void);

/* FICR, INFO or SIPINFO: number and variant of the part. False on the model, which has neither. */
bool silicon_test_ficr(uint32_t words[2]);

/* What this image was built with and for. */
const char *silicon_test_sdk(void);
const char *silicon_test_board(void);

#endif /* SILICON_TEST_PART_H_ */
