/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* The part's file on native_sim, on the side of the host: built with the host's C library. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device.h"

static int fd = -1;

static bool refuse(const char *path, const char *why)
{
	fprintf(stderr, "error: %s: %s\n", path, why);
	if (fd >= 0) {
		close(fd);
		fd = -1;
	}
	return false;
}

/* Filled before it gets its name, so that a killed run leaves a whole file or none. */
static bool create(const char *path, uint32_t size)
{
	char new_path[4096];
	uint8_t erased[64];
	int new_fd;
	bool written = true;

	if (snprintf(new_path, sizeof(new_path), "%s.%ld", path, (long)getpid()) >=
	    (int)sizeof(new_path)) {
		errno = ENAMETOOLONG;
		return false;
	}
	new_fd = open(new_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (new_fd < 0) {
		return false;
	}
	memset(erased, 0xFF, sizeof(erased));
	for (uint32_t at = 0; written && at < size; at += sizeof(erased)) {
		uint32_t chunk = size - at < sizeof(erased) ? size - at : sizeof(erased);

		written = write(new_fd, erased, chunk) == chunk;
	}
	close(new_fd);
	/* Unlike rename(), link() leaves a file alone that somebody else has created meanwhile. */
	written = written && (link(new_path, path) == 0 || errno == EEXIST);
	unlink(new_path);
	return written;
}

bool silicon_device_open(const char *path, uint32_t size)
{
	struct stat status;
	char why[100];

	if (access(path, F_OK) != 0 && errno == ENOENT && !create(path, size)) {
		return refuse(path, strerror(errno));
	}
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		return refuse(path, strerror(errno));
	}
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		return refuse(path, errno == EWOULDBLOCK ? "another run is using it"
							 : strerror(errno));
	}
	if (fstat(fd, &status) != 0) {
		return refuse(path, strerror(errno));
	}
	if (status.st_size != size) {
		snprintf(why, sizeof(why),
			 "%lld bytes is not a UICR image of this part, which has %u; the file was left alone",
			 (long long)status.st_size, size);
		return refuse(path, why);
	}
	return true;
}

bool silicon_device_read(uint32_t offset, uint8_t *bytes, uint32_t size)
{
	if (fd < 0 || pread(fd, bytes, size, offset) != size) {
		fprintf(stderr, "error: the device file cannot be read\n");
		return false;
	}
	return true;
}

bool silicon_device_store(uint32_t offset, const uint8_t word[4])
{
	return fd >= 0 && pwrite(fd, word, 4, offset) == 4;
}
