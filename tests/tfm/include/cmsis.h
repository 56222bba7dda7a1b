/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* In the place of CMSIS for a Nordic part: what the start of TF-M names, and does not touch. */

#ifndef CMSIS_H_
#define CMSIS_H_

#include <stdint.h>

#include "cmsis_compiler.h"

static struct {
	uint32_t AIRCR;
} tfm_test_scb;

#define SCB                        (&tfm_test_scb)
#define SCB_AIRCR_VECTKEY_Pos      16
#define SCB_AIRCR_VECTKEY_Msk      (0xFFFFUL << SCB_AIRCR_VECTKEY_Pos)
#define SCB_AIRCR_SYSRESETREQS_Msk (1UL << 3)

#endif /* CMSIS_H_ */
