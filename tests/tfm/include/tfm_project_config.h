/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* The options of the SDK's TF-M that concern the parts compiled here; the rest are TF-M's defaults. */

#define ATTEST_TOKEN_PROFILE_PSA_IOT_1       1
#define CRYPTO_PAKE_MODULE_ENABLED           0
#define CRYPTO_AEAD_MODULE_ENABLED           0
#define CRYPTO_ASYM_ENCRYPT_MODULE_ENABLED   0
#define CRYPTO_CIPHER_MODULE_ENABLED         0
#define CRYPTO_KEY_DERIVATION_MODULE_ENABLED 0
#define CRYPTO_KEY_WRAPPING_MODULE_ENABLED   0
#define CRYPTO_MAC_MODULE_ENABLED            0
#define CRYPTO_NV_SEED                       0
#define CRYPTO_EXT_RNG                       1
