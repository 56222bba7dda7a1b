/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* Stands in for Mbed TLS: only the options of PSA Crypto. */

#include <nrf-psa-crypto-user-config.h>
