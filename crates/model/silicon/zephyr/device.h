/*
 * SPDX-License-Identifier: Apache-2.0
 */

/*
 * What src/device.rs calls: the command line of the image, and the file that keeps the part. One
 * implementation for native_sim, one for QEMU. The file is the host simulator's: a UICR page of
 * 4096 bytes, and behind it the key slots of an nRF54L15; words little-endian.
 */

#ifndef SILICON_DEVICE_H_
#define SILICON_DEVICE_H_

#include <stdbool.h>
#include <stdint.h>

/* The text behind --seed=, or NULL. */
const char *silicon_option_seed(void);

/* The text behind --device=, or NULL. */
const char *silicon_option_device(void);

/*
 * Opens the file of a part that keeps so many bytes; creates it erased where it is missing. Says on
 * the console why it cannot be used, and leaves it as it is then.
 */
bool silicon_device_open(const char *path, uint32_t size);

/* Reads from the file that was opened. */
bool silicon_device_read(uint32_t offset, uint8_t *bytes, uint32_t size);

/* Writes one word to the file that was opened. */
bool silicon_device_store(uint32_t offset, const uint8_t word[4]);

#endif /* SILICON_DEVICE_H_ */
