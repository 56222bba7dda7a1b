/*
 * SPDX-License-Identifier: Apache-2.0
 */

#include <zephyr/devicetree.h>
#include <zephyr/init.h>
#include <zephyr/kernel.h>
#include <zephyr/sys/sys_io.h>

#include <cmsis_core.h>

#include "glue.h"

/* What CONFIG_PROVISIONING_MEASURE logs; only built with it. */

#define PAINT 0xAAAAAAAAU

K_THREAD_STACK_DECLARE(z_main_stack, CONFIG_MAIN_STACK_SIZE);

/* Cycles since reset. Unlike Zephyr's clock they need no interrupts, and no other image than the line's. */
#if defined(CONFIG_BOARD_MPS2_AN521_CPU0)
/* QEMU has no cycle counter in the CPU. COUNTER of the board's FPGAIO (Arm Application Note AN521), after the LEDs. */
#define FPGAIO_COUNTER (DT_REG_ADDR(DT_NODELABEL(gpio_led0)) + 0x18)

static void start_counter(void)
{
}

uint32_t provisioning_cycles(void)
{
	return sys_read32(FPGAIO_COUNTER);
}
#else
/* The CPU's own counter: Armv8-M Architecture Reference Manual, DWT. It starts with the boot, not with the reset. */
static void start_counter(void)
{
	CoreDebug->DEMCR |= CoreDebug_DEMCR_TRCENA_Msk;
	DWT->CYCCNT = 0;
	DWT->CTRL |= DWT_CTRL_CYCCNTENA_Msk;
}

uint32_t provisioning_cycles(void)
{
	return DWT->CYCCNT;
}
#endif

/* While the boot is still on the interrupts' stack. */
static int prepare(void)
{
	uint32_t *word = (uint32_t *)K_THREAD_STACK_BUFFER(z_main_stack);

	for (size_t i = 0; i < K_THREAD_STACK_SIZEOF(z_main_stack) / sizeof(*word); i++) {
		word[i] = PAINT;
	}
	start_counter();
	return 0;
}

SYS_INIT(prepare, PRE_KERNEL_1, 0);

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
