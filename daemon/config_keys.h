/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The tables of keys, and the structs that they fill: a section as it was written. */
#include "daemon/config_priv.h"

/* A flag or a choice that the file does not hold. */
#define ABSENT (-1)

struct top_in {
	const char *schema; /* for editors; it changes nothing here */
	int64_t version;    /* of the format: 1 */
	json_t *storages, *portals, *targets, *tcmu, *performance, *memory;
	const char *state_dir, *run_dir;
};

struct storage_in {
	int64_t device_id, block_shift, numa_node, queue_depth, device_size;
	int64_t physical_shift, lowest_aligned, background_rate;
	const char *name, *path, *uuid;
	int backend_type; /* an index of config_types */
	int online, thin, enable_numa, read_only, direct, write_cache, removable, both, to_end;
	json_t *protection, *encryption;
};

struct protection_in {
	int64_t type;
	const char *path;
};

struct encryption_in {
	const char *key_file;
};

struct portal_in {
	int64_t id;
	const char *portal;
};

struct target_in {
	json_t *tpgts, *luns, *parameters, *alua, *addresses;
	const char *chap_file;
};

struct addresses_in {
	const char *uris[SCSI_N_SERVICES]; /* by enum scsi_service, as their keys */
};

struct alua_in {
	json_t *groups;
	int implicit, explicit_too, referrals;
	const char *hook;
};

struct alua_group_in {
	int state; /* an index of alua_state_names */
	int preferred;
	json_t *tpgts;
};

struct parameters_in {
	int initial_r2t, immediate_data;
	int64_t max_burst, first_burst, max_recv, max_r2t, time2wait, time2retain;
	int header_digest, data_digest; /* indexes of: None, CRC32C, both */
};

struct tcmu_in {
	int reservations, alua; /* enum tcmu_owner */
	int paths, replies;
};

enum tcmu_owner { OWNER_LIO, OWNER_DUOTGT };

struct performance_in {
	int enable_numa, enable_uring;
	int64_t queue_depth, pool_buffers, buffer_size, reactors, busy_poll_us;
	int engine; /* enum engine_kind */
};

struct memory_in {
	int64_t limit;
};

extern const struct json_key top_keys[], storage_keys[], portal_keys[], target_keys[],
	parameter_keys[], protection_keys[], encryption_keys[], address_keys[], alua_keys[],
	alua_group_keys[], tcmu_keys[], performance_keys[], memory_keys[];
extern const char *const engine_names[]; /* by enum engine_kind */
