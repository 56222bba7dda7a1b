/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* Stands in for nrfx: the lock of CRACEN's seed register, which the model answers. */

#ifndef SILICON_NRF_CRACEN_H_
#define SILICON_NRF_CRACEN_H_

#include <stdbool.h>

#include <nrf.h>

bool nrf_cracen_seedram_lock_check(NRF_CRACEN_Type const *cracen);
void nrf_cracen_seedram_lock_enable_set(NRF_CRACEN_Type *cracen, bool enable);

#endif /* SILICON_NRF_CRACEN_H_ */
