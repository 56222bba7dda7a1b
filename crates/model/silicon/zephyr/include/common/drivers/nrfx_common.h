/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* Stands in for nrfx's common definitions, as far as the SDK's bl_storage.h uses them. */

#ifndef SILICON_NRFX_COMMON_H_
#define SILICON_NRFX_COMMON_H_

#include <nrf.h>

#define NRFX_STATIC_INLINE __attribute__((always_inline)) static inline

#endif /* SILICON_NRFX_COMMON_H_ */
