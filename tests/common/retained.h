/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* Memory that outlives a reset of the machine, and the reset. */

#ifndef TEST_RETAINED_H_
#define TEST_RETAINED_H_

#include <stddef.h>

/* The memory, up to 24 KiB: zeros at power-on. NULL where there is none. */
void *test_retained(size_t size);

/* Does not return. */
void test_restart(void);

#endif /* TEST_RETAINED_H_ */
