/*
 * SPDX-License-Identifier: Apache-2.0
 */

/* Stands in for nrfx: the calls of the key drivers, which the model answers. */

#ifndef SILICON_NRFX_KMU_H_
#define SILICON_NRFX_KMU_H_

#include <stdbool.h>
#include <stdint.h>

/* MDK, KMU_TASKS_REVOKE_POLICY_*. */
#define NRFX_KMU_RPOLICY_ROTATING 1
#define NRFX_KMU_RPOLICY_LOCKED   2
#define NRFX_KMU_RPOLICY_REVOKED  3

#define NRF_KMU_HAS_PUSH_BLOCK 1

typedef struct {
	uint32_t metadata;
} nrfx_kmu_key_slot_metadata_t;

typedef struct {
	uint32_t keyslot_value[4];
	uint32_t revoke_policy;
	uint32_t keyslot_dest;
	nrfx_kmu_key_slot_metadata_t metadata;
} nrfx_kmu_key_slot_data_t;

int nrfx_kmu_key_slot_provision(nrfx_kmu_key_slot_data_t const *data, uint32_t slot);
int nrfx_kmu_key_slots_push(uint32_t slot, uint32_t count);
int nrfx_kmu_key_slots_push_block(uint32_t slot, uint32_t count);
int nrfx_kmu_key_slots_revoke(uint32_t slot, uint32_t count);
int nrfx_kmu_key_slot_metadata_read(uint32_t slot, nrfx_kmu_key_slot_metadata_t *metadata);
int nrfx_kmu_key_slots_empty_check(uint32_t slot, uint32_t count, bool *is_empty);
int nrfx_kmu_key_slots_revoked_check(uint32_t slot, uint32_t count, bool *is_revoked);

#endif /* SILICON_NRFX_KMU_H_ */
