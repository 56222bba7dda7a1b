/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* In the place of TF-M's, which is for Arm's cores alone: what the start of the SPM calls. */

#ifndef TFM_ARCH_H_
#define TFM_ARCH_H_

#include <stdbool.h>
#include <stdint.h>

#include "fih.h"

struct context_ctrl_t {
	uint32_t sp;
};

static inline void tfm_arch_set_msplim(uintptr_t limit)
{
	(void)limit;
}

static inline void tfm_arch_config_branch_protection(void)
{
}

static inline void tfm_arch_config_extensions(void)
{
}

static inline void tfm_arch_set_secure_exception_priorities(void)
{
}

#endif /* TFM_ARCH_H_ */
