/*
 * SPDX-License-Identifier: Apache-2.0
 */

#include <zephyr/kernel.h>

#include "glue.h"

/* k_panic() is a macro, which the bindings of zephyr-lang-rust leave out. */
FUNC_NORETURN void provisioning_kernel_panic(void)
{
	k_panic();
	CODE_UNREACHABLE;
}
