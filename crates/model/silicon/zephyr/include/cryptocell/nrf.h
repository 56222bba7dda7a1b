/*
 * SPDX-License-Identifier: Apache-2.0
 */

/*
 * Stands in for the MDK, which only compiles for Nordic's own parts: the KMU's register, which the
 * model watches, and where UICR is. UICR is never accessed through these types; the drivers take
 * addresses from them and pass them to nrfx_nvmc_*.
 */

#ifndef SILICON_NRF_H_
#define SILICON_NRF_H_

#include <stdint.h>

typedef struct {
	volatile uint32_t SELECTKEYSLOT;
} NRF_KMU_Type;

/* SECUREAPPROTECT: MDK, NRF_UICR_Type. */
#if defined(NRF5340_XXAA_APPLICATION)
#define SILICON_SECUREAPPROTECT_WORD 7
#else
#define SILICON_SECUREAPPROTECT_WORD 11
#endif

/* Key headers at offset 0x400 and key values at 0x800: MDK, UICR_KEYSLOT_Type. */
typedef struct {
	volatile uint32_t APPROTECT;
	volatile uint32_t RESERVED0[SILICON_SECUREAPPROTECT_WORD - 1];
	volatile uint32_t SECUREAPPROTECT;
	volatile uint32_t RESERVED1[0x100 - SILICON_SECUREAPPROTECT_WORD - 1];
	struct {
		struct {
			volatile uint32_t DEST;
			volatile uint32_t PERM;
		} CONFIG[128];
		struct {
			volatile uint32_t VALUE[4];
		} KEY[128];
	} KEYSLOT;
} NRF_UICR_Type;

extern NRF_KMU_Type silicon_kmu;

/* MDK, *_bitfields.h. */
#define UICR_APPROTECT_PALL_Protected       0
#define UICR_SECUREAPPROTECT_PALL_Protected 0

#define NRF_KMU    (&silicon_kmu)
#if defined(TFM_WANTS_CLOSED_PORTS)
/* Only tests/tfm: a copy of the registers before OTP, as TF-M reads them through the pointer. */
NRF_UICR_Type *silicon_uicr_copy(void);
#define NRF_UICR_S silicon_uicr_copy()
#else
#define NRF_UICR_S ((NRF_UICR_Type *)0x00FF8000)
#endif

#endif /* SILICON_NRF_H_ */
