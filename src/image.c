/*
 * SPDX-License-Identifier: Apache-2.0
 */

#include <stddef.h>
#include <stdint.h>

#include <zephyr/kernel.h>
#include <zephyr/linker/linker-defs.h>

#include "glue.h"

/*
 * The bytes of this image in flash and their number: what zephyr.bin holds, from its first byte to its last.
 * Gaps between sections are as the flash was erased, which zephyr.bin and zephyr.hex have too.
 * On native_sim, where the image is a program of the host, there are none.
 */
const uint8_t *provisioning_image(size_t *size)
{
#if defined(CONFIG_ARCH_POSIX)
	*size = 0;
	return NULL;
#else
	BUILD_ASSERT(IS_ENABLED(CONFIG_XIP), "the image runs where it was programmed");

	*size = (size_t)_flash_used;
	return (const uint8_t *)__rom_region_start;
#endif
}
