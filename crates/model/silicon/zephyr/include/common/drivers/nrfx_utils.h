/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* Stands in for nrfx's utilities, as far as the SDK's drivers use them. */

#ifndef SILICON_NRFX_UTILS_H_
#define SILICON_NRFX_UTILS_H_

#define NRFX_ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#endif /* SILICON_NRFX_UTILS_H_ */
