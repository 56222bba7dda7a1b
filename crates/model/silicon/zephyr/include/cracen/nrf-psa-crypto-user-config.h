/*
 * SPDX-License-Identifier: Apache-2.0
 */

/*
 * Stands in for the options of PSA Crypto that nrf_security makes of Kconfig: those that HW_UNIQUE_KEY and the
 * identity key of the key generator select. ECDSA with keys in RAM is left out.
 */

#ifndef SILICON_PSA_CRYPTO_USER_CONFIG_H_
#define SILICON_PSA_CRYPTO_USER_CONFIG_H_

#define MBEDTLS_PSA_CRYPTO_C                                     1
#define MBEDTLS_PSA_CRYPTO_DRIVERS                               1
#define MBEDTLS_PSA_CRYPTO_BUILTIN_KEYS                          1

#define PSA_WANT_ALG_CMAC                                        1
#define PSA_WANT_ALG_ECDSA                                       1
#define PSA_WANT_ALG_SHA_256                                     1
#define PSA_WANT_ALG_SP800_108_COUNTER_CMAC                      1
#define PSA_WANT_ECC_SECP_R1_256                                 1
#define PSA_WANT_KEY_TYPE_AES                                    1
#define PSA_WANT_AES_KEY_SIZE_256                                1
#define PSA_WANT_KEY_TYPE_ECC_KEY_PAIR_EXPORT                    1
#define PSA_WANT_KEY_TYPE_ECC_PUBLIC_KEY                         1

#define PSA_CRYPTO_DRIVER_CRACEN                                 1
#define PSA_NEED_CRACEN_ASYMMETRIC_SIGNATURE_ANY_ECC             1
#define PSA_NEED_CRACEN_CMAC                                     1
#define PSA_NEED_CRACEN_ECDSA_SECP_R1                            1
#define PSA_NEED_CRACEN_ECDSA_SECP_R1_256                        1
#define PSA_NEED_CRACEN_KEY_TYPE_ECC_KEY_PAIR_EXPORT             1
#define PSA_NEED_CRACEN_KEY_TYPE_ECC_KEY_PAIR_EXPORT_SECP_R1_256 1
#define PSA_NEED_CRACEN_KEY_TYPE_ECC_SECP_R1                     1
#define PSA_NEED_CRACEN_KEY_TYPE_ECC_SECP_R1_256                 1
#define PSA_NEED_CRACEN_KMU_DRIVER                               1
#define PSA_NEED_CRACEN_KMU_KEY_IMPORT                           1
#define PSA_NEED_CRACEN_SHA_256                                  1
#define PSA_NEED_CRACEN_SP800_108_COUNTER_CMAC                   1

#endif /* SILICON_PSA_CRYPTO_USER_CONFIG_H_ */
