/*
 * SPDX-License-Identifier: Apache-2.0
 */

#include <zephyr/fatal.h>
#include <zephyr/kernel.h>
#include <zephyr/logging/log.h>
#include <zephyr/logging/log_ctrl.h>

LOG_MODULE_REGISTER(fatal_error, LOG_LEVEL_ERR);

K_THREAD_STACK_DECLARE(z_main_stack, CONFIG_MAIN_STACK_SIZE);

/*
 * Where each fault, failed assert, k_panic() and panic of Rust ends. Keys are on the main stack alone, and
 * this runs on the interrupts', so all of it is cleared.
 *
 * It halts, as the C sample does: a reset would start the run again by itself.
 */
void k_sys_fatal_error_handler(unsigned int reason, const z_arch_esf_t *esf)
{
	ARG_UNUSED(esf); /* on the main stack, too */

#if !defined(CONFIG_ARCH_POSIX) /* there the stack is the host's */
	volatile uint32_t *word = (volatile uint32_t *)K_THREAD_STACK_BUFFER(z_main_stack);

	for (size_t i = 0; i < K_THREAD_STACK_SIZEOF(z_main_stack) / sizeof(*word); i++) {
		word[i] = 0;
	}
#endif

	LOG_PANIC();
	LOG_ERR("Halting system");
#if defined(CONFIG_SILICON_MODEL_HALT)
	/* Twister takes an exit with code 1 for a failed test. */
	for (;;) {
		k_cpu_idle();
	}
#endif
	k_fatal_halt(reason);
}
