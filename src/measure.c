/*
 * SPDX-License-Identifier: Apache-2.0
 */

#include <zephyr/kernel.h>

/* What CONFIG_PROVISIONING_MEASURE logs; only built with it. */

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

/*
 * The most bytes that this thread has ever had on its stack, by the paint that is left below them, and
 * the size of the stack. A word that was used but holds what the paint does is not seen.
 */
uint32_t provisioning_stack_used(uint32_t *size)
{
	struct k_thread *thread = k_current_get();
	size_t unused = 0;

	/* It fails for no thread with a stack of its own; none unused is then the safe answer. */
	(void)k_thread_stack_space_get(thread, &unused);
	*size = thread->stack_info.size;
	return thread->stack_info.size - unused;
}
