/*
 * SPDX-License-Identifier: Apache-2.0
 */

#include <errno.h>
#include <stddef.h>

#include <zephyr/device.h>
#include <zephyr/drivers/uart.h>
#include <zephyr/kernel.h>

int silicon_test_line(char *line, size_t size);

/* Waits for a line of the console, however long it takes, and gives its length; a negative number where it is too long. */
int silicon_test_line(char *line, size_t size)
{
#if defined(CONFIG_SILICON_TEST_ASK)
	const struct device *console = DEVICE_DT_GET(DT_CHOSEN(zephyr_console));
	size_t length = 0;
	unsigned char c;

	/* What came before the question is no answer. */
	while (uart_poll_in(console, &c) == 0) {
	}
	for (;;) {
		if (uart_poll_in(console, &c) != 0) {
			/* Shorter than a character takes; on native_sim, time stands still without it. */
			k_busy_wait(20);
		} else if (c == '\r' || c == '\n') {
			return length;
		} else if (length == size) {
			return -ENOBUFS;
		} else {
			line[length++] = c;
		}
	}
#else
	ARG_UNUSED(line);
	ARG_UNUSED(size);
	return -ENOTSUP;
#endif
}
