/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* Stands in for TF-PSA-Crypto: only the options of PSA Crypto. */

#include <nrf-psa-crypto-user-config.h>
