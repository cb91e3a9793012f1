/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What to serve: the plain data that `duotgt serve` makes from its arguments and `duotgt daemon`
 * from its JSON file, and that service.c brings to life.
 */
#include "iscsi/params.h"
#include "scsi/lu.h"
#include "util/cleanup.h"
#include "util/engine.h"
#include <stdbool.h>
#include <stdint.h>

#define CONFIG_REACTORS_MAX 1024
#define CONFIG_BACKGROUND_MIN (1 << 20) /* so that work in the background can be stopped soon */
#define CONFIG_MEMORY_MIN (32 << 20)
#define CONFIG_POOL_BUFFERS_MIN 16 /* fewer could not hold one large command beside small ones */

struct config_storage {
	uint64_t device_id;
	char *name;	     /* names it beside device_id; NULL: none */
	char *type, *path;   /* one of config_types; path is "" for ram, null */
	uint64_t size;	     /* bytes; 0: as the store says */
	uint32_t block_size; /* bytes */
	bool create;	     /* make the file when it is missing; size is set */
	bool read_only, direct, thin, online, write_cache, removable;
	bool write_same_to_end;	  /* 0 blocks are all up to the end */
	bool both_front_ends;	  /* iSCSI and the kernel at the same time, without reservations */
	bool has_protection;	  /* FORMAT UNIT can enable protection information */
	unsigned protection_type; /* 0 to 3: what a new store of it is formatted with */
	char *protection_path;	  /* of that store; "" for ram; NULL: there is none */
	char *key_file;		  /* of encryption; NULL: it is not encrypted */
	uint32_t physical_block;  /* bytes; 0: as the store says */
	uint16_t lowest_aligned;  /* LBA */
	uint64_t background_rate; /* bytes in a second; 0: any */
	int numa_node;		  /* or SCSI_NODE_… */
	uint8_t uuid[16];
	bool has_uuid; /* else made from the store's path, the host and the device id */
};

struct config_portal {
	uint16_t id;
	char *host; /* numeric address, without brackets */
	uint16_t port;
};

struct config_tpg {
	uint16_t tag;
	uint16_t *portals; /* indexes into config.portals */
	unsigned n_portals;
};

/* As struct scsi_alua_config has it. */
struct config_alua {
	struct scsi_alua_group *groups; /* by id; each owns its ports */
	unsigned n_groups;
	bool implicit, explicit_too, referrals;
	char *hook; /* NULL: none */
};

struct config_lun {
	uint32_t lun;
	unsigned storage; /* index into config.storages */
};

struct config_target {
	char *iqn;
	struct config_tpg *tpgs;
	unsigned n_tpgs;
	struct config_lun *luns;
	unsigned n_luns;
	struct iscsi_limits limits;
	char *chap_file;		  /* of chap_file.h; NULL: no authentication */
	char *addresses[SCSI_N_SERVICES]; /* URIs, by enum scsi_service; NULL: none */
	struct config_alua *alua;	  /* NULL: one group of all portal groups */
};

/* Devices of the kernel's TCMU that are found and served without tcmu-runner. */
struct config_tcmu {
	bool enabled;
	bool own_reservations, own_alua; /* the core's, not LIO's */
	bool paths;			 /* a device may name a file by its path */
	bool replies; /* the kernel waits for our verdict on what is made or changed */
};

struct config {
	struct config_storage *storages;
	unsigned n_storages;
	struct config_portal *portals;
	unsigned n_portals;
	struct config_target *targets;
	unsigned n_targets;
	struct config_tcmu tcmu;
	enum engine_kind engine;
	unsigned queue_depth;	   /* of the ring; 0: default */
	unsigned n_reactors;	   /* 0: one per CPU */
	unsigned busy_poll_us;	   /* before sleeping; 0: not at all */
	bool numa;		   /* pools per node, threads pinned */
	uint64_t pool_buffers;	   /* number of large buffers; 0: default */
	uint64_t pool_buffer_size; /* bytes; 0: default */
	uint64_t memory_limit;	   /* bytes; 0: none but those of the parts */
	char *state_dir;	   /* NULL: not named: none, or ... */
	bool default_state_dir;	   /* ... the one of state_dir.h */
	char *run_dir;		   /* NULL: the one of run_dir.h */
	/* In a program of somebody else's: its main loop and its CPUs are left alone. */
	bool embedded;
};

void config_free(struct config *config); /* NULL is fine */
DEFINE_SCOPED(struct config *, config_free)

/* A place in the text that a message can point at. */
struct config_error {
	int line, column; /* 0: no place */
	char text[512];	  /* what was found and what was expected */
};

/**
 * config_parse() - judge a JSON text and turn it into a config
 * Nothing is opened or looked up but the text itself.
 * Return: 0; -EINVAL and @ret_error; -ENOMEM.
 */
int config_parse(const char *json, size_t len, struct config **ret_config,
		 struct config_error *ret_error);

/* As config_parse(), from a file. Return: also -errno of reading it, said in @ret_error. */
int config_load(const char *path, struct config **ret_config, struct config_error *ret_error);

/* "1G", "512M", "4096": bytes, with K M G T P of 1024. Return: 0 or -EINVAL. */
int config_parse_size(const char *text, uint64_t *ret_size);

/* "addr:port", "[v6]:port", port optional (3260). Return: 0, -EINVAL, -ENOMEM. */
int config_parse_portal(const char *text, struct config_portal *ret_portal);

/* Whether @text can be the name of a storage: what a TCMU device can name, not just digits. */
bool config_name_valid(const char *text);

/* The storage of that name, or of that deviceID in decimal; NULL: none. */
const struct config_storage *config_find_storage(const struct config *config, const char *name);

bool config_is_cdrom(const struct config_storage *storage);

/* Whether it is of a type that encryption makes sense for. */
bool config_can_encrypt(const struct config_storage *storage);

/*
 * "type:rest" or a path; options follow a '?', with a ',' between them: direct=on|off,
 * removable=on|off, write-same-to-end=on|off, key-file=PATH. Return: 0, -EINVAL with a text.
 */
int config_parse_spec(const char *spec, struct config_storage *ret_storage,
		      struct config_error *ret_error);
