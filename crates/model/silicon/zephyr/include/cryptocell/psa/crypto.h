/*
 * SPDX-License-Identifier: Apache-2.0
 */

/*
 * The part of the PSA Certified Crypto API with which the identity_key driver generates a key. The
 * model answers it; names and values are those of the API's specification (Arm IHI 0086).
 */

#ifndef SILICON_PSA_CRYPTO_H_
#define SILICON_PSA_CRYPTO_H_

#include <stddef.h>
#include <stdint.h>

typedef int32_t psa_status_t;
typedef uint16_t psa_key_type_t;
typedef uint32_t psa_key_id_t;
typedef psa_key_id_t psa_key_handle_t;
typedef uint32_t psa_key_lifetime_t;
typedef uint32_t psa_key_usage_t;
typedef struct {
	psa_key_usage_t usage;
	psa_key_lifetime_t lifetime;
	psa_key_type_t type;
	size_t bits;
} psa_key_attributes_t;

#define PSA_SUCCESS              ((psa_status_t)0)
#define PSA_KEY_ATTRIBUTES_INIT  {0}
#define PSA_KEY_USAGE_EXPORT     ((psa_key_usage_t)0x00000001)
#define PSA_KEY_USAGE_SIGN_HASH  ((psa_key_usage_t)0x00001000)
#define PSA_KEY_LIFETIME_VOLATILE ((psa_key_lifetime_t)0)
#define PSA_ECC_FAMILY_SECP_R1   0x12
#define PSA_KEY_TYPE_ECC_KEY_PAIR(curve) ((psa_key_type_t)(0x7100 | (curve)))

psa_status_t psa_crypto_init(void);
void psa_set_key_usage_flags(psa_key_attributes_t *attributes, psa_key_usage_t usage);
void psa_set_key_lifetime(psa_key_attributes_t *attributes, psa_key_lifetime_t lifetime);
void psa_set_key_type(psa_key_attributes_t *attributes, psa_key_type_t type);
void psa_set_key_bits(psa_key_attributes_t *attributes, size_t bits);
psa_status_t psa_generate_key(const psa_key_attributes_t *attributes, psa_key_id_t *key);
psa_status_t psa_export_key(psa_key_id_t key, uint8_t *data, size_t data_size,
			    size_t *data_length);
psa_status_t psa_destroy_key(psa_key_id_t key);

#endif /* SILICON_PSA_CRYPTO_H_ */
