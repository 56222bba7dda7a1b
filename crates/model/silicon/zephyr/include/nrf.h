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

/* Key headers at offset 0x400 and key values at 0x800: MDK, UICR_KEYSLOT_Type. */
typedef struct {
	volatile uint32_t RESERVED[0x100];
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

#define NRF_KMU    (&silicon_kmu)
#define NRF_UICR_S ((NRF_UICR_Type *)0x00FF8000)

#endif /* SILICON_NRF_H_ */
