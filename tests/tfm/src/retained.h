/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* Memory that outlives a reset of the machine, and the reset. */

#ifndef TFM_TEST_RETAINED_H_
#define TFM_TEST_RETAINED_H_

#include <stddef.h>

/* The memory, up to 9 KiB: zeros at power-on. NULL where there is none. */
void *tfm_test_retained(size_t size);

/* Does not return. */
void tfm_test_restart(void);

#endif /* TFM_TEST_RETAINED_H_ */
