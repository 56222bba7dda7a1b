/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* What NSIB and MCUboot find in OTP, by the SDK's own bl_storage. */

#include <stdint.h>

#include <zephyr/sys/printk.h>

#include <bl_storage.h>

/* The counter of NSIB: BL_MONOTONIC_COUNTERS_DESC_NSIB of provision.py. */
#define NSIB_COUNTER 1

void tfm_test_show_bl_storage(void)
{
	uint16_t slots = 0;
	uint32_t counter = 0; /* of 16 bits, or of 32 where OTP has words: little-endian on each board */
	uint8_t hash[SB_PUBLIC_KEY_HASH_LEN];

	if (num_public_keys_read() == UINT32_MAX) {
		printk("bl_storage: nothing\n");
		return;
	}
	num_monotonic_counter_slots(NSIB_COUNTER, &slots);
	get_monotonic_counter(NSIB_COUNTER, (void *)&counter);
	printk("bl_storage: s0 0x%08x, s1 0x%08x, %u keys, %u counter slots, counter %u\n",
	       s0_address_read(), s1_address_read(), num_public_keys_read(), slots, counter);
	for (uint32_t key = 0; key < num_public_keys_read(); key++) {
		if (public_key_data_read(key, hash) != sizeof(hash)) {
			continue;
		}
		printk("bl_storage: key %u ", key);
		for (size_t i = 0; i < sizeof(hash); i++) {
			printk("%02x", hash[i]);
		}
		printk("\n");
	}
}
