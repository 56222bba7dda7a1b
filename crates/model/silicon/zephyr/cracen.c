/*
 * SPDX-License-Identifier: Apache-2.0
 */

/*
 * What lies below the SDK's CRACEN driver on modelled silicon: the power-up of CRACEN, its AES and hash engines and its
 * key generator, which ask the model in src/exports/for_cracen.rs. The driver itself is the SDK's, and its headers
 * declare what is defined here.
 */

#include <errno.h>
#include <string.h>

#include <zephyr/logging/log.h>
#include <zephyr/random/random.h>
#include <zephyr/sys/util.h>

#include <cracen/common.h>
#include <cracen/cracen_kmu.h>
#include <cracen/hardware.h>
#include <cracen/statuscodes.h>
#include <cracen_psa.h>
#include <cracen_psa_ctr_drbg.h>
#include <cracen_psa_ikg.h>
#include <hw_unique_key.h>
#include <internal/ecc/cracen_ecc_keygen.h>
#include <internal/ikg/cracen_ikg_operations.h>
#include <nrf_security_mutexes.h>
#include <silexpk/core.h>
#include <silexpk/ec_curves.h>
#include <silexpk/ik.h>
#include <sxsymcrypt/cmac.h>
#include <sxsymcrypt/hash.h>
#include <sxsymcrypt/hashdefs.h>
#include <sxsymcrypt/keyref.h>

LOG_MODULE_REGISTER(cracen, CONFIG_CRACEN_LOG_LEVEL);

/* Keys of the generator, as silicon_ikg_cmac() numbers them. */
BUILD_ASSERT(CRACEN_INTERNAL_HW_KEY1_ID == 1 && CRACEN_INTERNAL_HW_KEY2_ID == 2);
BUILD_ASSERT(CONFIG_CRACEN_IKG_SEED_KMU_SLOT == 183);
BUILD_ASSERT(HUK_SIZE_BYTES == 48);
BUILD_ASSERT(!IS_ENABLED(CONFIG_CSPRNG_ENABLED),
	     "Zephyr's random generator would answer instead of the modelled part's");

/* src/exports/for_cracen.rs: 0, or not. */
bool silicon_cracen_is_on(void);
void silicon_cracen_turn_on(void);
int silicon_random(uint8_t *buffer, size_t size);
void silicon_sha256(const uint8_t *input, size_t size, uint8_t digest[32]);
int silicon_ikg_has_seed(void);
int silicon_ikg_public_key(uint8_t point[64]);
int silicon_ikg_sign(const uint8_t digest[32], uint8_t signature[64]);
int silicon_ikg_cmac(uint32_t key, const uint8_t *input, size_t size, uint8_t mac[16]);

/* One thread: there is nothing to lock. */
NRF_SECURITY_MUTEX_DEFINE(cracen_mutex_symmetric);

int nrf_security_mutex_lock(nrf_security_mutex_t mutex)
{
	ARG_UNUSED(mutex);
	return 0;
}

int nrf_security_mutex_unlock(nrf_security_mutex_t mutex)
{
	ARG_UNUSED(mutex);
	return 0;
}

/* As hardware.c does it, but once after each power-on of the modelled part, of which there are many in a program. */
int cracen_init(void)
{
	psa_status_t status;

	if (silicon_cracen_is_on()) {
		return PSA_SUCCESS;
	}

	status = cracen_provision_prot_ram_inv_slots();
	if (status == PSA_SUCCESS) {
		status = cracen_push_prot_ram_inv_slots();
	}
	if (status == PSA_SUCCESS) {
		silicon_cracen_turn_on();
	}
	return status;
}

psa_status_t cracen_get_random(cracen_prng_context_t *context, uint8_t *output, size_t output_size)
{
	ARG_UNUSED(context);
	return silicon_random(output, output_size) == 0 ? PSA_SUCCESS : PSA_ERROR_HARDWARE_FAILURE;
}

/* PSA Crypto is behind Zephyr's random generator on these parts. */
int z_impl_sys_csrand_get(void *buffer, size_t size)
{
	return cracen_init() == PSA_SUCCESS ? silicon_random(buffer, size) : -EIO;
}

/* The driver only passes them on, and takes the size of a curve's numbers. */
const struct sxhashalg sxhashalg_sha2_256;
const struct sx_pk_ecurve sx_curve_nistp256 = {.sz = 32};

/* The key generator: internal/ikg/cracen_ikg_operations.c, which prepares it as sx_pk_list_ik_inslots() does. */

int sx_pk_ik_derive_keys(struct sx_pk_config_ik *cfg)
{
	ARG_UNUSED(cfg);
	return silicon_ikg_has_seed() == 0 ? SX_OK : SX_ERR_UNKNOWN_ERROR;
}

static int prepare(int identity_key_index)
{
	return cracen_prepare_ik_key((const uint8_t *)&identity_key_index) == SX_OK ? SX_OK
										     : SX_ERR_INVALID_PARAM;
}

int cracen_ikg_create_pub_key(int identity_key_index, uint8_t *pub_key)
{
	int status = prepare(identity_key_index);

	if (status == SX_OK && silicon_ikg_public_key(pub_key) != 0) {
		status = SX_ERR_UNKNOWN_ERROR;
	}
	return status;
}

int cracen_ikg_sign_digest(int identity_key_index, const struct sxhashalg *hashalg,
			   const struct sx_pk_ecurve *curve, const uint8_t *digest,
			   size_t digest_length, uint8_t *signature)
{
	int status = prepare(identity_key_index);

	ARG_UNUSED(hashalg);
	ARG_UNUSED(curve);
	if (status == SX_OK && (digest_length != 32 || silicon_ikg_sign(digest, signature) != 0)) {
		status = SX_ERR_UNKNOWN_ERROR;
	}
	return status;
}

int cracen_ikg_sign_message(int identity_key_index, const struct sxhashalg *hashalg,
			    const struct sx_pk_ecurve *curve, const uint8_t *message,
			    size_t message_length, uint8_t *signature)
{
	/* Nobody here signs but hashes. */
	return SX_ERR_INCOMPATIBLE_HW;
}

/* Nobody here has a private key in RAM. */
int ecc_genpubkey(const uint8_t *priv_key, uint8_t *pub_key, const struct sx_pk_ecurve *curve)
{
	return SX_ERR_INCOMPATIBLE_HW;
}

/* The engines, for one operation at a time: what is fed is kept until the MAC or the digest is generated. */

static uint8_t fed[1024];
static size_t fed_size;

static int feed(const uint8_t *input, size_t size)
{
	if (size > sizeof(fed) - fed_size) {
		return SX_ERR_TOO_BIG;
	}
	if (size > 0) {
		memcpy(&fed[fed_size], input, size);
	}
	fed_size += size;
	return SX_OK;
}

int sx_hw_reserve(struct sx_dmactl *dma, sx_hw_reserve_flags_t flags)
{
	return SX_OK;
}

void sx_hw_release(struct sx_dmactl *dma)
{
}

/* AES: CMAC with a key of the generator. */

int sx_mac_create_aescmac(struct sxmac *c, const struct sxkeyref *key)
{
	c->key = key;
	fed_size = 0;
	return SX_OK;
}

int sx_mac_feed(struct sxmac *c, const uint8_t *datain, size_t sz)
{
	return feed(datain, sz);
}

int sx_mac_save_state(struct sxmac *c)
{
	return SX_OK;
}

int sx_mac_resume_state(struct sxmac *c)
{
	return c->key->prepare_key(c->key->user_data);
}

int sx_mac_generate(struct sxmac *c, uint8_t *mac)
{
	return silicon_ikg_cmac(c->key->cfg, fed, fed_size, mac) == 0 ? SX_OK : SX_ERR_UNKNOWN_ERROR;
}

int sx_mac_wait(struct sxmac *c)
{
	return SX_OK;
}

/* SHA-256. */

size_t sx_hash_get_alg_digestsz(const struct sxhashalg *alg)
{
	return SX_HASH_DIGESTSZ_SHA2_256;
}

size_t sx_hash_get_alg_blocksz(const struct sxhashalg *alg)
{
	return SX_HASH_BLOCKSZ_SHA2_256;
}

int sx_hash_create(struct sxhash *c, const struct sxhashalg *alg, size_t csz)
{
	fed_size = 0;
	return alg == &sxhashalg_sha2_256 ? SX_OK : SX_ERR_UNSUPPORTED_HASH_ALG;
}

int sx_hash_feed(struct sxhash *c, const uint8_t *msg, size_t sz)
{
	return feed(msg, sz);
}

int sx_hash_save_state(struct sxhash *c)
{
	return SX_OK;
}

int sx_hash_resume_state(struct sxhash *c)
{
	return SX_OK;
}

int sx_hash_digest(struct sxhash *c, uint8_t *digest)
{
	silicon_sha256(fed, fed_size, digest);
	return SX_OK;
}

int sx_hash_wait(struct sxhash *c)
{
	return SX_OK;
}
