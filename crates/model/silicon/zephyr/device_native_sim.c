/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* The part's file and the command line on native_sim, inside the image. */

#include <stddef.h>

#include <cmdline.h>
#include <posix_native_task.h>

#include "device.h"

static char *device;
static char *seed;

static void add_options(void)
{
	static struct args_struct_t options[] = {
		{
			.option = "device",
			.name = "FILE",
			.type = 's',
			.dest = &device,
			.descript = "Keep the modelled part in FILE, a raw image; "
				    "created erased where it is missing",
		},
		{
			.option = "seed",
			.name = "N",
			.type = 's',
			.dest = &seed,
			.descript = "Make everything random in the modelled part depend on N alone",
		},
		ARG_TABLE_ENDMARKER,
	};

	native_add_command_line_opts(options);
}

NATIVE_TASK(add_options, PRE_BOOT_1, 10);

const char *silicon_option_seed(void)
{
	return seed;
}

const char *silicon_option_device(void)
{
	return device;
}
