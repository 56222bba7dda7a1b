/*
 * SPDX-License-Identifier: Apache-2.0
 */

#include <zephyr/init.h>
#include <zephyr/kernel.h>

/* What CONFIG_PROVISIONING_MEASURE logs; only built with it. */

#define PAINT 0xAAAAAAAAU

K_THREAD_STACK_DECLARE(z_main_stack, CONFIG_MAIN_STACK_SIZE);

/*
 * Cycles since Zephyr's timer driver has started, which it does late in the boot. 64 bits where the
 * driver has them: 32 bits of a fast clock are over within minutes.
 */
uint64_t provisioning_cycles(void)
{
#if defined(CONFIG_TIMER_HAS_64BIT_CYCLE_COUNTER)
	return k_cycle_get_64();
#else
	return k_cycle_get_32();
#endif
}

/* While the boot is still on the interrupts' stack. */
static int paint_main_stack(void)
{
	uint32_t *word = (uint32_t *)K_THREAD_STACK_BUFFER(z_main_stack);

	for (size_t i = 0; i < K_THREAD_STACK_SIZEOF(z_main_stack) / sizeof(*word); i++) {
		word[i] = PAINT;
	}
	return 0;
}

SYS_INIT(paint_main_stack, PRE_KERNEL_1, 0);

/*
 * The most bytes that were ever on the main stack, by the paint that is left below them, and its size. A
 * word that was used but holds what the paint does is not seen.
 */
uint32_t provisioning_stack_used(uint32_t *size)
{
	const uint32_t *word = (const uint32_t *)K_THREAD_STACK_BUFFER(z_main_stack);
	uint32_t unused = 0;

	*size = K_THREAD_STACK_SIZEOF(z_main_stack);
	while (unused < *size && *word++ == PAINT) {
		unused += sizeof(*word);
	}
	return *size - unused;
}
