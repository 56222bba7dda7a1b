/*
 * SPDX-License-Identifier: Apache-2.0
 */

#include <stdint.h>

#include <zephyr/kernel.h>

#if !defined(CONFIG_ARCH_POSIX)
#include <cmsis_core.h>

BUILD_ASSERT(IS_ENABLED(CONFIG_BUILTIN_STACK_GUARD), "PSPLIM tells where the stack ends");
#endif

#include "glue.h"

/*
 * Clears what is left below the caller's frame on the main stack: the drivers, CryptoCell's library and
 * the elliptic curve code all leave pieces of keys behind in their dead frames, and some of the SDK's
 * drivers do not clear theirs on an error (hw_unique_key_write_random(), identity_key_write_random()).
 */
void provisioning_clear_stack(void)
{
#if !defined(CONFIG_ARCH_POSIX) /* there the stack is the host's */
	volatile uint32_t *word = (volatile uint32_t *)__get_PSPLIM();
	uintptr_t sp;

	/* All below the stack pointer is dead: the Arm ABI knows no red zone. */
	__asm__ volatile("mov %0, sp" : "=r"(sp));
	while ((uintptr_t)word < sp) {
		*word++ = 0;
	}
#endif
}
