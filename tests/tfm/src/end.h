/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* How a start of TF-M ends. */

#ifndef TFM_TEST_END_H_
#define TFM_TEST_END_H_

enum tfm_test_end {
	/* It has reset the part. */
	TFM_TEST_RESET = 1,
	/* It has stopped. */
	TFM_TEST_PANIC,
	/* Its partitions may run. */
	TFM_TEST_RUNNING,
};

/* In Rust. Returns where TF-M runs on a part in a file, and not otherwise. */
void tfm_test_end(enum tfm_test_end end);

#endif /* TFM_TEST_END_H_ */
