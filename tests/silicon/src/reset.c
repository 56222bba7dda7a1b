/*
 * SPDX-License-Identifier: Apache-2.0
 */

#include <string.h>

#include <zephyr/kernel.h>

#include "../../common/retained.h"
#include "reset.h"

#if defined(CONFIG_CPU_CORTEX_M)
#include <cmsis_core.h>

BUILD_ASSERT(!IS_ENABLED(CONFIG_SYS_CLOCK_EXISTS), "SysTick is free");

static uint64_t left;

/* SysTick counts 24 bits. */
static void start_period(void)
{
	uint32_t period = MIN(left, SysTick_LOAD_RELOAD_Msk);

	left -= period;
	SysTick->LOAD = period;
	SysTick->VAL = 0;
	SysTick->CTRL = SysTick_CTRL_CLKSOURCE_Msk | SysTick_CTRL_TICKINT_Msk | SysTick_CTRL_ENABLE_Msk;
}

static void on_tick(void)
{
	if (left > 0) {
		start_period();
		return;
	}
	silicon_test_before_reset();
	test_restart();
}

/*
 * Zephyr leaves SysTick's vector out where it has no clock, so this is a table of its own in RAM. An Armv8-M table is
 * aligned to the power of two above its size.
 */
static uint32_t vectors[16 + CONFIG_NUM_IRQS] __aligned(1024);
BUILD_ASSERT(sizeof(vectors) <= 1024);

void silicon_test_reset_in(uint64_t cycles)
{
	SysTick->CTRL = 0;
	if (cycles == 0) {
		return;
	}
	memcpy(vectors, (const void *)SCB->VTOR, sizeof(vectors));
	vectors[SysTick_IRQn + 16] = (uint32_t)on_tick;
	__DSB();
	SCB->VTOR = (uint32_t)vectors;
	__DSB();
	/* The highest priority that a lock of interrupts keeps out: the model's accesses come to their end. */
	NVIC_SetPriority(SysTick_IRQn, _IRQ_PRIO_OFFSET);
	left = cycles;
	start_period();
}
#else
/* Time stands still on native_sim: there the model cuts. */
void silicon_test_reset_in(uint64_t cycles)
{
	ARG_UNUSED(cycles);
}
#endif
