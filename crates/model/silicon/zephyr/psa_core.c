/*
 * SPDX-License-Identifier: Apache-2.0
 */

/*
 * In the place of the PSA core above the SDK's CRACEN driver, on modelled silicon: it finds the built-in key and has the
 * driver use it. Only the calls of src/nrf_keys_seed.c are here, and what TF-M in tests/tfm asks of a key besides.
 */

#include <cracen/common.h>
#include <cracen/hardware.h>
#include <cracen_psa.h>
#include <cracen_psa_ikg.h>

psa_status_t psa_crypto_init(void)
{
	return cracen_init();
}

static psa_status_t find(mbedtls_svc_key_id_t key, psa_key_attributes_t *attributes,
			 ikg_opaque_key *opaque)
{
	psa_key_lifetime_t lifetime;
	psa_drv_slot_number_t slot;
	size_t length;
	psa_status_t status = cracen_get_key_slot(key, &lifetime, &slot);

	if (status != PSA_SUCCESS) {
		return status;
	}
	psa_set_key_id(attributes, key);
	psa_set_key_lifetime(attributes, lifetime);
	return cracen_get_builtin_key(slot, attributes, (uint8_t *)opaque, sizeof(*opaque), &length);
}

psa_status_t psa_get_key_attributes(mbedtls_svc_key_id_t key, psa_key_attributes_t *attributes)
{
	ikg_opaque_key opaque;

	return find(key, attributes, &opaque);
}

psa_status_t psa_export_public_key(mbedtls_svc_key_id_t key, uint8_t *data, size_t data_size,
				   size_t *data_length)
{
	psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
	ikg_opaque_key opaque;
	psa_status_t status = find(key, &attributes, &opaque);

	if (status != PSA_SUCCESS) {
		return status;
	}
	return cracen_export_public_key(&attributes, (const uint8_t *)&opaque, sizeof(opaque), data,
					data_size, data_length);
}

psa_status_t psa_sign_hash(mbedtls_svc_key_id_t key, psa_algorithm_t alg, const uint8_t *hash,
			   size_t hash_length, uint8_t *signature, size_t signature_size,
			   size_t *signature_length)
{
	psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
	ikg_opaque_key opaque;
	psa_status_t status = find(key, &attributes, &opaque);

	if (status != PSA_SUCCESS) {
		return status;
	}
	if (psa_get_key_algorithm(&attributes) != alg ||
	    (psa_get_key_usage_flags(&attributes) & PSA_KEY_USAGE_SIGN_HASH) == 0) {
		return PSA_ERROR_NOT_PERMITTED;
	}
	return cracen_sign_hash(&attributes, (const uint8_t *)&opaque, sizeof(opaque), alg, hash,
				hash_length, signature, signature_size, signature_length);
}
