/*
 * SPDX-License-Identifier: Apache-2.0
 */

/*
 * Stands in for the MDK, which only compiles for Nordic's own parts: addresses that the drivers pass on, and never
 * follow. MDK, nrf54l15_application.svd.
 */

#ifndef SILICON_NRF_H_
#define SILICON_NRF_H_

#include <stdint.h>

#define NRF54L_SERIES

typedef struct {
	volatile uint32_t RESERVED[0x104];
	volatile uint32_t SEED[12]; /* offset 0x410 */
} NRF_CRACEN_Type;

#define NRF_CRACEN ((NRF_CRACEN_Type *)0x50048000)

#define CRACEN_PROTECTED_RAM_AES_KEY0 0x51810040

#endif /* SILICON_NRF_H_ */
