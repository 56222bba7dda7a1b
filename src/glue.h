/*
 * SPDX-License-Identifier: Apache-2.0
 */

/*
 * The C side of the application: what Rust cannot say, since it is a macro, an inline function or a
 * linker symbol of Zephyr. build.rs makes the Rust declarations of this file.
 */

#ifndef GLUE_H_
#define GLUE_H_

#include <stddef.h>
#include <stdint.h>

/* k_panic(), from any thread. */
_Noreturn void provisioning_kernel_panic(void);

/*
 * Reads a line of the console, without its end, and without a terminating zero. Gives its length, or a
 * negative error code where none came in time or it is longer than size. Interrupts of the UART are not
 * used.
 */
int provisioning_console_line(char *line, size_t size);

/* The bytes of this image in flash, as they were programmed, and their number: 0 where it runs elsewhere. */
const uint8_t *provisioning_image(size_t *size);

/* Clears the dead part of this thread's stack: all that is below the caller's frame. */
void provisioning_clear_stack(void);

/* Cycles since reset. With CONFIG_PROVISIONING_MEASURE only. */
uint32_t provisioning_cycles(void);

/*
 * The most bytes that were ever on the main stack, and the size of that stack. With
 * CONFIG_PROVISIONING_MEASURE only.
 */
uint32_t provisioning_stack_used(uint32_t *size);

#endif /* GLUE_H_ */
