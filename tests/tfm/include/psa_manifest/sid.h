/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* In the place of what TF-M's manifest tool makes: handles of services, which stubs/ipc.c takes. */

#ifndef PSA_MANIFEST_SID_H_
#define PSA_MANIFEST_SID_H_

#define TFM_CRYPTO_HANDLE              1
#define TFM_ATTESTATION_SERVICE_HANDLE 4

#endif /* PSA_MANIFEST_SID_H_ */
