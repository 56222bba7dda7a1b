/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* In the place of what TF-M's manifest tool makes: the SFN model, which needs no threads. */

#ifndef CONFIG_IMPL_H_
#define CONFIG_IMPL_H_

#include "config_tfm.h"

#define CONFIG_TFM_SPM_BACKEND_IPC             0
#define CONFIG_TFM_SPM_BACKEND_SFN             1
#define CONFIG_TFM_CONNECTION_BASED_SERVICE_API 0
#define CONFIG_TFM_MMIO_REGION_ENABLE          0
#define CONFIG_TFM_FLIH_API                    0
#define CONFIG_TFM_SLIH_API                    0

#endif /* CONFIG_IMPL_H_ */
