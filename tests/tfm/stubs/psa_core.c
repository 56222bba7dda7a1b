/*
 * SPDX-License-Identifier: Apache-2.0
 */

/*
 * In the place of the PSA core under TF-M's crypto partition, and of the partition's crypto_library.c: each call goes to
 * the SDK's CRACEN driver. crates/model/silicon/zephyr/psa_core.c has those that use a key. There are built-in keys only.
 */

#include <cracen_psa.h>
#include <cracen_psa_ctr_drbg.h>
#include <cracen_psa_hash.h>

#include "crypto_library.h"

/* A hash is going on in TF-M's one operation. */
static cracen_hash_operation_t hash;
static const psa_hash_operation_t *hash_of;

psa_status_t psa_generate_random(uint8_t *output, size_t output_size)
{
	return cracen_get_random(NULL, output, output_size);
}

psa_status_t psa_hash_compute(psa_algorithm_t alg, const uint8_t *input, size_t input_length,
			      uint8_t *digest, size_t digest_size, size_t *digest_length)
{
	return cracen_hash_compute(alg, input, input_length, digest, digest_size, digest_length);
}

psa_status_t psa_hash_setup(psa_hash_operation_t *operation, psa_algorithm_t alg)
{
	if (hash_of != NULL) {
		return PSA_ERROR_INSUFFICIENT_MEMORY;
	}
	hash_of = operation;
	return cracen_hash_setup(&hash, alg);
}

psa_status_t psa_hash_update(psa_hash_operation_t *operation, const uint8_t *input,
			     size_t input_length)
{
	return operation == hash_of ? cracen_hash_update(&hash, input, input_length)
				    : PSA_ERROR_BAD_STATE;
}

psa_status_t psa_hash_abort(psa_hash_operation_t *operation)
{
	if (operation == hash_of) {
		hash_of = NULL;
	}
	return PSA_SUCCESS;
}

psa_status_t psa_hash_finish(psa_hash_operation_t *operation, uint8_t *digest, size_t digest_size,
			     size_t *digest_length)
{
	psa_status_t status;

	if (operation != hash_of) {
		return PSA_ERROR_BAD_STATE;
	}
	status = cracen_hash_finish(&hash, digest, digest_size, digest_length);
	psa_hash_abort(operation);
	return status;
}

/* What the partition can call besides, and no test does. */
static __attribute__((used)) psa_status_t not_here(void)
{
	return PSA_ERROR_NOT_SUPPORTED;
}

#define NOT_HERE(function) extern __typeof__(function) function __attribute__((alias("not_here")))

NOT_HERE(psa_copy_key);
NOT_HERE(psa_destroy_key);
NOT_HERE(psa_export_key);
NOT_HERE(psa_generate_key);
NOT_HERE(psa_hash_clone);
NOT_HERE(psa_hash_compare);
NOT_HERE(psa_hash_verify);
NOT_HERE(psa_import_key);
NOT_HERE(psa_purge_key);
NOT_HERE(psa_sign_message);
NOT_HERE(psa_verify_hash);
NOT_HERE(psa_verify_message);

/* TF-M's crypto_library.c, which is for Mbed TLS. */

tfm_crypto_library_key_id_t tfm_crypto_library_key_id_init(int32_t owner, psa_key_id_t key_id)
{
	return mbedtls_svc_key_id_make(owner, key_id);
}

void tfm_crypto_library_get_library_key_id_set_owner(int32_t owner, psa_key_attributes_t *attr)
{
	psa_set_key_id(attr, mbedtls_svc_key_id_make(
				     owner, MBEDTLS_SVC_KEY_ID_GET_KEY_ID(psa_get_key_id(attr))));
}

char *tfm_crypto_library_get_info(void)
{
	return "CRACEN";
}

psa_status_t tfm_crypto_core_library_init(void)
{
	return PSA_SUCCESS;
}
