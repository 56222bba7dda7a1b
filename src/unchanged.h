/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* Build-time checks of the SDK. It has changed: find out what it means for the bindings before you change a line. */

#ifndef UNCHANGED_H_
#define UNCHANGED_H_

#include <zephyr/toolchain.h>

#define UNCHANGED_VALUE(name, value) BUILD_ASSERT((name) == (value), #name " has changed")
#define UNCHANGED_TYPE(name, ...)                                                                  \
	BUILD_ASSERT(__builtin_types_compatible_p(__typeof__(name), __VA_ARGS__), #name " has changed")

#endif /* UNCHANGED_H_ */
