/*
 * SPDX-License-Identifier: Apache-2.0
 */

#include <zephyr/fatal.h>
#include <zephyr/kernel.h>
#include <zephyr/logging/log.h>
#include <zephyr/logging/log_ctrl.h>

LOG_MODULE_REGISTER(fatal_error, LOG_LEVEL_ERR);

/* Zephyr 3.7 renamed the exception frame, and gave it this header. */
#if __has_include(<zephyr/arch/exception.h>)
typedef struct arch_esf exception_frame_t;
#else
typedef z_arch_esf_t exception_frame_t;
#endif

#if !defined(CONFIG_ARCH_POSIX) /* there the stacks are the host's */
K_THREAD_STACK_DECLARE(z_main_stack, CONFIG_MAIN_STACK_SIZE);
K_KERNEL_STACK_ARRAY_DECLARE(z_interrupt_stacks, CONFIG_MP_MAX_NUM_CPUS, CONFIG_ISR_STACK_SIZE);

static void clear(volatile uint32_t *word, uintptr_t end)
{
	while ((uintptr_t)word < end) {
		*word++ = 0;
	}
}
#endif

static FUNC_NORETURN void halt(unsigned int reason)
{
#if !defined(CONFIG_ARCH_POSIX)
	uintptr_t sp;

	clear((uint32_t *)K_THREAD_STACK_BUFFER(z_main_stack),
	      (uintptr_t)z_main_stack + sizeof(z_main_stack));
	__asm__ volatile("mov %0, sp" : "=r"(sp));
	clear((uint32_t *)K_KERNEL_STACK_BUFFER(z_interrupt_stacks[0]), sp);
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

/*
 * Where each fault, failed assert, k_panic() and panic of Rust ends. Keys are on the main stack, and in what
 * was pushed from the registers onto the interrupts' stack, on which this runs: both are cleared before anything
 * is reported here. Nothing returns from here, so not even the frames of the callers are needed.
 *
 * It halts, as the C sample does: a reset would start the run again by itself.
 */
void k_sys_fatal_error_handler(unsigned int reason, const exception_frame_t *esf)
{
	ARG_UNUSED(esf); /* on the main stack, too */

#if !defined(CONFIG_ARCH_POSIX)
	/* From the top of the stack, so that halt() has all others' frames below it. */
	register unsigned int argument __asm__("r0") = reason;

	__asm__ volatile("mov sp, %0\n\tb %1"
			 :
			 : "r"(K_KERNEL_STACK_BUFFER(z_interrupt_stacks[0]) +
			       K_KERNEL_STACK_SIZEOF(z_interrupt_stacks[0])),
			   "i"(halt), "r"(argument)
			 : "memory");
	CODE_UNREACHABLE;
#else
	halt(reason);
#endif
}
