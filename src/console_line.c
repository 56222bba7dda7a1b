/*
 * SPDX-License-Identifier: Apache-2.0
 */

#include <errno.h>
#include <stddef.h>

#include <zephyr/device.h>
#include <zephyr/drivers/uart.h>
#include <zephyr/kernel.h>

#include "glue.h"

/*
 * Reads one line of the console, without its end, and gives its length. -ETIMEDOUT where it does not
 * come to its end in time, -ENOBUFS where it is longer than size, -ENOTSUP without
 * CONFIG_PROVISIONING_RECORD_NONCE.
 */
int provisioning_console_line(char *line, size_t size)
{
#if defined(CONFIG_PROVISIONING_RECORD_NONCE)
	BUILD_ASSERT(IS_ENABLED(CONFIG_SERIAL), "the nonce comes over a UART");
	const struct device *console = DEVICE_DT_GET(DT_CHOSEN(zephyr_console));
	k_timepoint_t end = sys_timepoint_calc(K_SECONDS(CONFIG_PROVISIONING_RECORD_NONCE_TIMEOUT));
	size_t length = 0;
	unsigned char c;

	while (!sys_timepoint_expired(end)) {
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
	return -ETIMEDOUT;
#else
	return -ENOTSUP;
#endif
}
