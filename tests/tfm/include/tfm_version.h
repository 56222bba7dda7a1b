/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* What CMake of TF-M makes of its version. */

#ifndef TFM_VERSION_H_
#define TFM_VERSION_H_

#define VERSION_FULLSTR "of the workspace"
#define BUILD_TIMESTAMP "at some time"

#endif /* TFM_VERSION_H_ */
