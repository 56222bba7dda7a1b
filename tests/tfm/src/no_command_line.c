/*
 * SPDX-License-Identifier: Apache-2.0
 */

#include <stddef.h>

#include <zephyr/toolchain.h>

/* No command line, and no part in a file, unless the image has semihosting. */
__weak const char *silicon_option_device(void)
{
	return NULL;
}
