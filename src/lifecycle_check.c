/*
 * SPDX-License-Identifier: Apache-2.0
 */

/*
 * The SDK's lifecycle storage, compiled once more and not linked: whether it knows erased OTP by the size of its own
 * fields. Until May 2026 it had fields of 32 bits on parts with RRAM, and compared them with 16.
 */

#include <zephyr/toolchain.h>

#include <subsys/bootloader/bl_storage/bl_storage.c>

BUILD_ASSERT((lcs_data_t)STATE_NOT_ENTERED == (lcs_data_t)~0,
	     "This SDK cannot read the lifecycle state of this part: it takes a blank one for a corrupt one. "
	     "sdk-nrf c9f94ae4da of 2026-05-06 mends it, which nRF Connect SDK 3.4 has");
