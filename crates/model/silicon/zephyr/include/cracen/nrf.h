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

#if defined(TFM_WANTS_CLOSED_PORTS)
/* Only tests/tfm: a copy of the first registers of UICR, as TF-M reads them through the pointer. */
typedef struct {
	volatile uint32_t PROTECT0;
	volatile uint32_t RESERVED[6];
	volatile uint32_t PROTECT1; /* offset 0x1C */
} NRF_UICR_APPROTECT_Type;

typedef struct {
	NRF_UICR_APPROTECT_Type APPROTECT[1];
	NRF_UICR_APPROTECT_Type SECUREAPPROTECT[1]; /* offset 0x20 */
} NRF_UICR_Type;

#define UICR_APPROTECT_PROTECT0_PALL_Unprotected       0xFFFFFFFF
#define UICR_APPROTECT_PROTECT1_PALL_Unprotected       0xFFFFFFFF
#define UICR_SECUREAPPROTECT_PROTECT0_PALL_Unprotected 0xFFFFFFFF
#define UICR_SECUREAPPROTECT_PROTECT1_PALL_Unprotected 0xFFFFFFFF

NRF_UICR_Type *silicon_uicr_copy(void);
#define NRF_UICR_S silicon_uicr_copy()
#endif

#endif /* SILICON_NRF_H_ */
