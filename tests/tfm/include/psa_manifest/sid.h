/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* What TF-M's manifest tool makes of the partitions' manifests: handles of services. stubs/ipc.c takes them. */

#ifndef PSA_MANIFEST_SID_H_
#define PSA_MANIFEST_SID_H_

#define TFM_CRYPTO_HANDLE              1
#define TFM_ATTESTATION_SERVICE_HANDLE 4

#endif /* PSA_MANIFEST_SID_H_ */
