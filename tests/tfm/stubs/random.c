/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* Mbed TLS draws from the modelled part. */

#include <zephyr/random/random.h>

#include "psa/crypto.h"

psa_status_t mbedtls_psa_external_get_random(mbedtls_psa_external_random_context_t *context,
					     uint8_t *output, size_t output_size,
					     size_t *output_length)
{
	(void)context;
	if (sys_csrand_get(output, output_size) != 0) {
		return PSA_ERROR_INSUFFICIENT_ENTROPY;
	}
	*output_length = output_size;
	return PSA_SUCCESS;
}
