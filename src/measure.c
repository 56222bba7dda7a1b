/*
 * SPDX-License-Identifier: Apache-2.0
 */

#include <zephyr/devicetree.h>
#include <zephyr/init.h>
#include <zephyr/kernel.h>
#include <zephyr/sys/sys_io.h>

#include "glue.h"

/* What CONFIG_PROVISIONING_MEASURE logs; only built with it. */

#define PAINT 0xAAAAAAAAU

K_THREAD_STACK_DECLARE(z_main_stack, CONFIG_MAIN_STACK_SIZE);

/* COUNTER of the board's FPGAIO registers (Arm Application Note AN521), of which the LEDs are the first. */
#define FPGAIO_COUNTER (DT_REG_ADDR(DT_NODELABEL(gpio_led0)) + 0x18)

/* Cycles since reset. Unlike Zephyr's clock it needs no interrupts, and no other image than the line's. */
uint32_t provisioning_cycles(void)
{
	return sys_read32(FPGAIO_COUNTER);
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
