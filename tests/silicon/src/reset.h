/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* A reset in the midst of what runs. */

#ifndef SILICON_TEST_RESET_H_
#define SILICON_TEST_RESET_H_

#include <stdint.h>

/* Resets the part in so many cycles of the CPU, from an interrupt; 0: not any more. */
void silicon_test_reset_in(uint64_t cycles);

/* In Rust: keeps what is to outlive the reset, which follows. */
void silicon_test_before_reset(void);

#endif /* SILICON_TEST_RESET_H_ */
