/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* Mbed TLS as the headers of a client of TF-M's crypto partition, from TF-M 2.1 on. */

#define MBEDTLS_PSA_CRYPTO_CLIENT
#define MBEDTLS_USE_PSA_CRYPTO
