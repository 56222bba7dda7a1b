/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* In QEMU: a reset of the machine loads the image anew, and leaves RAM that is not of the image alone. */

#include <stdint.h>
#include <string.h>

#include <zephyr/kernel.h>
#include <zephyr/sys/reboot.h>

#include "retained.h"

#define POWERED 0x5AFE600D

static __noinit struct {
	uint32_t powered;
	uint64_t memory[3072];
} retained;

void *test_retained(size_t size)
{
	if (size > sizeof(retained.memory)) {
		return NULL;
	}
	if (retained.powered != POWERED) {
		memset(&retained, 0, sizeof(retained));
		retained.powered = POWERED;
	}
	return retained.memory;
}

void test_restart(void)
{
	sys_reboot(SYS_REBOOT_COLD);
}
