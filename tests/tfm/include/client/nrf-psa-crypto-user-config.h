/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* The options of PSA Crypto for a client of TF-M's crypto partition, in the place of what nrf_security makes of Kconfig. */

#ifndef SILICON_PSA_CRYPTO_USER_CONFIG_H_
#define SILICON_PSA_CRYPTO_USER_CONFIG_H_

#define MBEDTLS_PSA_CRYPTO_CLIENT                1

#define PSA_WANT_ALG_ECDSA                       1
#define PSA_WANT_ALG_SHA_256                     1
#define PSA_WANT_ECC_SECP_R1_256                 1
#define PSA_WANT_KEY_TYPE_ECC_KEY_PAIR_EXPORT    1
#define PSA_WANT_KEY_TYPE_ECC_PUBLIC_KEY         1

#endif /* SILICON_PSA_CRYPTO_USER_CONFIG_H_ */
