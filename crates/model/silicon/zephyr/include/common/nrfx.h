/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* Stands in for nrfx: the drivers include it for what nrf.h and nrfx_common.h hold. */

#include <drivers/nrfx_common.h>
