/*
 * SPDX-License-Identifier: Apache-2.0
 */

/*
 * On native_sim: a reset is the program in a process anew, and the memory a file without a name that the new
 * process inherits. Built with the host's C library.
 */

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "nsi_cmdline.h"
#include "retained.h"

#define FD "TEST_RETAINED"

void *test_retained(size_t size)
{
	const char *inherited = getenv(FD);
	char text[16];
	void *memory;
	int fd;

	if (inherited != NULL) {
		fd = atoi(inherited);
	} else {
		fd = memfd_create(FD, 0);
		snprintf(text, sizeof(text), "%d", fd);
		if (fd < 0 || ftruncate(fd, size) != 0 || setenv(FD, text, 1) != 0) {
			return NULL;
		}
	}
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

void test_restart(void)
{
	char **argv;
	int argc;

	nsi_get_cmd_line_args(&argc, &argv);
	fflush(NULL);
	execv("/proc/self/exe", argv);
	perror("execv");
	_exit(1);
}
