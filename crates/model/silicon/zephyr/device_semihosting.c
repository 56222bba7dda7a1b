/*
 * SPDX-License-Identifier: Apache-2.0
 */

/*
 * The part's file and the command line by semihosting, as QEMU has it: what stands behind -append is
 * the command line. There is no lock on the file.
 */

#include <string.h>

#include <zephyr/arch/common/semihost.h>
#include <zephyr/kernel.h>
#include <zephyr/sys/printk.h>
#include <zephyr/sys/util.h>

#include "device.h"

static long fd = -1;

/* A copy of the command line, cut into words at its blanks. */
static char command_line[512];
static size_t command_line_size;

static void read_command_line(void)
{
	/* Arm's semihosting specification, SYS_GET_CMDLINE. */
	struct {
		char *buffer;
		long size;
	} args = {command_line, sizeof(command_line) - 1};

	if (command_line_size != 0 || semihost_exec(SEMIHOST_GET_CMDLINE, &args) != 0) {
		return;
	}
	command_line_size = strlen(command_line);
	for (size_t i = 0; i < command_line_size; i++) {
		if (command_line[i] == ' ') {
			command_line[i] = '\0';
		}
	}
}

static const char *option(const char *name)
{
	size_t size = strlen(name);

	read_command_line();
	for (size_t i = 0; i < command_line_size; i += strlen(&command_line[i]) + 1) {
		if (strncmp(&command_line[i], name, size) == 0) {
			return &command_line[i + size];
		}
	}
	return NULL;
}

const char *silicon_option_seed(void)
{
	return option("--seed=");
}

const char *silicon_option_device(void)
{
	return option("--device=");
}

static bool refuse(const char *path, const char *why)
{
	printk("error: %s: %s\n", path, why);
	return false;
}

/* Opened to append, so that a file which is there but cannot be used is not cut to nothing. */
static bool create(const char *path, uint32_t size)
{
	uint8_t erased[64];
	long new_fd = semihost_open(path, SEMIHOST_OPEN_AB_PLUS);
	bool written = new_fd >= 0 && semihost_flen(new_fd) == 0;

	memset(erased, 0xFF, sizeof(erased));
	for (uint32_t at = 0; written && at < size; at += sizeof(erased)) {
		written = semihost_write(new_fd, erased, MIN(size - at, sizeof(erased))) == 0;
	}
	if (new_fd >= 0) {
		semihost_close(new_fd);
	}
	return written;
}

bool silicon_device_open(const char *path, uint32_t size)
{
	long found;

	fd = semihost_open(path, SEMIHOST_OPEN_RB_PLUS);
	if (fd < 0 && create(path, size)) {
		fd = semihost_open(path, SEMIHOST_OPEN_RB_PLUS);
	}
	if (fd < 0) {
		return refuse(path, "cannot be opened");
	}
	found = semihost_flen(fd);
	if (found != size) {
		printk("error: %s: %ld bytes is not a UICR image of this part, which has %u; "
		       "the file was left alone\n",
		       path, found, size);
		fd = -1;
		return false;
	}
	return true;
}

bool silicon_device_read(uint32_t offset, uint8_t *bytes, uint32_t size)
{
	if (fd < 0 || semihost_seek(fd, offset) != 0 || semihost_read(fd, bytes, size) != size) {
		printk("error: the device file cannot be read\n");
		return false;
	}
	return true;
}

bool silicon_device_store(uint32_t offset, const uint8_t word[4])
{
	return fd >= 0 && semihost_seek(fd, offset) == 0 && semihost_write(fd, word, 4) == 0;
}
