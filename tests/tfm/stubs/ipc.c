/*
 * SPDX-License-Identifier: Apache-2.0
 */

/*
 * In the place of the SPM's messages: a call of a service is a call of its function, as in TF-M's SFN model, which
 * needs no threads. It keeps who called, since the policy of a key depends on that.
 */

#include <string.h>

#include "psa/client.h"
#include "psa/crypto.h"
#include "tfm_crypto_defs.h"
#include "psa/service.h"
#include "psa_manifest/pid.h"
#include "psa_manifest/sid.h"

void tfm_core_panic(void);
psa_status_t tfm_crypto_sfn(const psa_msg_t *msg);
psa_status_t tfm_attestation_service_sfn(const psa_msg_t *msg);

struct call {
	const psa_invec *in;
	psa_outvec *out;
	size_t in_size[PSA_MAX_IOVEC];
	size_t out_size[PSA_MAX_IOVEC];
	size_t read[PSA_MAX_IOVEC];
	size_t written[PSA_MAX_IOVEC];
};

/* Attestation calls crypto, and nothing goes deeper. */
static struct call calls[2];
static size_t depth;
/* Who runs: a partition, or the non-secure side, whose IDs are negative. This is the one for which the SDK has policies:
 * MAPPED_TZ_NS_AGENT_DEFAULT_CLIENT_ID.
 */
static int32_t running = -0x3c000000;

psa_status_t psa_call(psa_handle_t handle, int32_t type, const psa_invec *in, size_t in_len,
		      psa_outvec *out, size_t out_len)
{
	psa_msg_t msg = {.type = type, .client_id = running};
	struct call *call = &calls[depth];
	psa_status_t status;

	if (depth == sizeof(calls) / sizeof(calls[0]) || in_len + out_len > PSA_MAX_IOVEC) {
		return PSA_ERROR_PROGRAMMER_ERROR;
	}
	*call = (struct call){.in = in, .out = out};
	msg.handle = ++depth;
	for (size_t i = 0; i < in_len; i++) {
		msg.in_size[i] = call->in_size[i] = in[i].len;
	}
	for (size_t i = 0; i < out_len; i++) {
		msg.out_size[i] = call->out_size[i] = out[i].len;
	}
	switch (handle) {
	case TFM_CRYPTO_HANDLE:
		running = TFM_SP_CRYPTO;
		status = tfm_crypto_sfn(&msg);
		break;
	case TFM_ATTESTATION_SERVICE_HANDLE:
		running = TFM_SP_INITIAL_ATTESTATION;
		status = tfm_attestation_service_sfn(&msg);
		break;
	default:
		status = PSA_ERROR_CONNECTION_REFUSED;
		break;
	}
	running = msg.client_id;
	depth--;
	for (size_t i = 0; i < out_len; i++) {
		out[i].len = call->written[i];
	}
	return status;
}

static struct call *current(psa_handle_t handle, uint32_t index)
{
	if (depth == 0 || handle != depth || index >= PSA_MAX_IOVEC) {
		tfm_core_panic();
	}
	return &calls[depth - 1];
}

size_t psa_read(psa_handle_t msg_handle, uint32_t invec_idx, void *buffer, size_t num_bytes)
{
	struct call *call = current(msg_handle, invec_idx);
	size_t left = call->in_size[invec_idx] - call->read[invec_idx];
	size_t size = num_bytes < left ? num_bytes : left;

	if (size > 0) {
		memcpy(buffer, (const uint8_t *)call->in[invec_idx].base + call->read[invec_idx],
		       size);
	}
	call->read[invec_idx] += size;
	return size;
}

void psa_write(psa_handle_t msg_handle, uint32_t outvec_idx, const void *buffer, size_t num_bytes)
{
	struct call *call = current(msg_handle, outvec_idx);

	/* As the SPM does. */
	if (num_bytes > call->out_size[outvec_idx] - call->written[outvec_idx]) {
		tfm_core_panic();
	}
	if (num_bytes > 0) {
		memcpy((uint8_t *)call->out[outvec_idx].base + call->written[outvec_idx], buffer,
		       num_bytes);
	}
	call->written[outvec_idx] += num_bytes;
}

/* Signs with the identity key as the non-secure side, which no policy allows. */
int32_t tfm_test_crypto_as_non_secure(void)
{
	uint8_t hash[32] = {0}, signature[64];
	size_t size;

	return psa_sign_hash(TFM_BUILTIN_KEY_ID_IAK, PSA_ALG_ECDSA(PSA_ALG_SHA_256), hash, sizeof(hash),
			     signature, sizeof(signature), &size);
}
