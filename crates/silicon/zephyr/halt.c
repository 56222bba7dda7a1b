/*
 * SPDX-License-Identifier: Apache-2.0
 */

#include <zephyr/kernel.h>
#include <zephyr/logging/log_ctrl.h>

/*
 * native_sim exits with code 1 on a fatal error, which Twister takes for a failed test even where
 * the test waits for the error. Halt instead, as a kit does.
 */
void k_sys_fatal_error_handler(unsigned int reason, const z_arch_esf_t *esf)
{
	ARG_UNUSED(reason);
	ARG_UNUSED(esf);

	LOG_PANIC();
	for (;;) {
		k_cpu_idle();
	}
}
