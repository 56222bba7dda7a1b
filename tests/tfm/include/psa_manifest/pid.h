/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* What TF-M's manifest tool makes of tools/tfm_manifest_list.yaml: the partitions' IDs. */

#ifndef PSA_MANIFEST_PID_H_
#define PSA_MANIFEST_PID_H_

#define TFM_SP_CRYPTO              259
#define TFM_SP_INITIAL_ATTESTATION 261

#endif /* PSA_MANIFEST_PID_H_ */
