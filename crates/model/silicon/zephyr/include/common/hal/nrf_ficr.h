/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* Stands in for nrfx: the device ID, which the model answers. */

#ifndef SILICON_NRF_FICR_H_
#define SILICON_NRF_FICR_H_

#include <stddef.h>
#include <stdint.h>

/* FICR is never accessed through it. */
typedef void NRF_FICR_Type;
#define NRF_FICR ((NRF_FICR_Type const *)NULL)

uint32_t nrf_ficr_deviceid_get(NRF_FICR_Type const *ficr, uint32_t index);

#endif /* SILICON_NRF_FICR_H_ */
