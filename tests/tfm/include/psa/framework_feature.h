/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* What CMake of TF-M makes of framework_feature.h.in. */

#ifndef PSA_FRAMEWORK_FEATURE_H_
#define PSA_FRAMEWORK_FEATURE_H_

#define PSA_FRAMEWORK_ISOLATION_LEVEL 1
#define PSA_FRAMEWORK_HAS_MM_IOVEC    0

#endif /* PSA_FRAMEWORK_FEATURE_H_ */
