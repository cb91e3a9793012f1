/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Logical units, targets and I_T nexuses: what a LUN leads to once its nexus is known.
 *
 * A target maps LUNs to LUs. A nexus is one initiator port on one target port; it lives on one
 * thread. The pair of a nexus and a LU (I_T_L, struct scsi_itl) holds unit attentions and tasks.
 */
#include "duotgt/backend.h"
#include "util/cleanup.h"
#include "util/engine.h"
#include <stdbool.h>
#include <stdint.h>

struct scsi_lu;
struct scsi_target;
struct scsi_nexus;

/* Protection information, kept in a store of its own: scsi/pi/pi.h. */
struct scsi_protection_config {
	const struct duotgt_backend_ops *backend; /* of that store; NULL: there is none */
	const char *path;			  /* likewise; "" where it has none */
	unsigned type;				  /* 0 to 3: what a new store is formatted with */
};

/* A LU's numa_node, when it is no number of a node. */
enum {
	SCSI_NODE_ANY = -1,  /* the reactor's own */
	SCSI_NODE_DISK = -2, /* where the back end's disk is attached; if not known, any */
};

/* Encryption at rest: scsi/crypt/. Not together with protection information. */
struct scsi_encryption_config {
	const char *key_file; /* the administrator's; NULL: nothing is encrypted */
};

struct scsi_lu_config {
	const char *name; /* of the storage, for messages */
	const struct duotgt_backend_ops *backend;
	struct duotgt_backend_params params;
	uint8_t uuid[16];	  /* identity: serial, NAA and EUI are made from it */
	uint32_t block_size;	  /* 512 to 4096, 2^n */
	uint32_t max_transfer;	  /* bytes of one command; a multiple of block_size */
	bool write_cache;	  /* WCE */
	bool thin;		  /* LBPME, where the back end can discard */
	bool online;		  /* else NOT READY */
	bool cdrom;		  /* a CD/DVD-ROM: block_size 2048, read only, removable */
	bool removable;		  /* the medium can be ejected and loaded */
	bool write_same_to_end;	  /* not WSNZ: a WRITE SAME of 0 blocks goes to the end */
	uint32_t physical_block;  /* bytes, 2^n of block_size and more; 0: as the store says */
	uint16_t lowest_aligned;  /* LBA of the first block that begins a physical one */
	int numa_node;		  /* whose buffers its tasks prefer, or SCSI_NODE_… */
	uint64_t background_rate; /* bytes a second of FORMAT UNIT and SANITIZE; 0: any */
	bool no_reservations;	  /* neither kind is offered, whoever asks */
	const char *state_dir;	  /* for APTPL, saved pages, …; NULL: such state is not offered */
	struct scsi_protection_config protection;
	struct scsi_encryption_config encryption;
};

/**
 * scsi_lu_new() - open the back end and make the LU
 * @ret_why: a short text for the operator when it fails
 * Return: 0; the back end's errno; -EINVAL for a size below one block.
 */
int scsi_lu_new(const struct scsi_lu_config *cfg, struct scsi_lu **ret_lu, char *ret_why,
		size_t why_len);
struct scsi_lu *scsi_lu_ref(struct scsi_lu *lu);
void scsi_lu_unref(struct scsi_lu *lu); /* the last one closes the back end; NULL is fine */
DEFINE_SCOPED(struct scsi_lu *, scsi_lu_unref)

const char *scsi_lu_name(const struct scsi_lu *lu);
uint64_t scsi_lu_blocks(const struct scsi_lu *lu); /* whether a medium is loaded or not */
uint32_t scsi_lu_block_size(const struct scsi_lu *lu);
bool scsi_lu_read_only(const struct scsi_lu *lu);

/* Whether anybody but the caller, who holds one reference, still uses it. */
bool scsi_lu_in_use(const struct scsi_lu *lu);

/*
 * Ends what a command left at work in the background, as failed; blocks until it has ended. The
 * thread that it runs on turns its loop meanwhile, so another one calls.
 */
void scsi_lu_stop_work(struct scsi_lu *lu);

/**
 * scsi_lu_flush_now() - flush; for the end of service, when no task is left
 * @engine: of this thread: *@engine is made when it is NULL, will do for the next LU, and is the
 *          caller's to free; NULL: one for this LU alone
 * Blocks. Return: 0 or -errno.
 */
int scsi_lu_flush_now(struct scsi_lu *lu, struct engine **engine);

enum scsi_lu_resize_flag {
	SCSI_LU_GROW_STORE = 1, /* make the store as large as @size when it is smaller */
	SCSI_LU_SHRINK = 2,	/* less than now will do; what is cut off stays in the store */
};

/**
 * scsi_lu_resize() - serve as much as the store holds now, or another size
 * @size:  bytes; 0: as the store says
 * @flags: of enum scsi_lu_resize_flag
 * Initiators are told when the capacity differs. Blocks; any thread.
 * Return: 1 when it differs, 0 when it does not; -errno with a text, and nothing has changed.
 */
int scsi_lu_resize(struct scsi_lu *lu, uint64_t size, unsigned flags, char *ret_why,
		   size_t why_len);

/* READY or NOT READY (offline) from now on. Any thread. Return: 0 or -ENOMEM. */
int scsi_lu_set_online(struct scsi_lu *lu, bool online);

/*
 * WCE, as MODE SELECT would; initiators are told. Without it nothing that was written before may be
 * lost either: flushes. Blocks; any thread. Return: 0; -ENOMEM, nothing changed; -errno of the
 * flush.
 */
int scsi_lu_set_write_cache(struct scsi_lu *lu, bool on);

/* ---- targets ---- */

int scsi_target_new(const char *name, struct scsi_target **ret_target);
void scsi_target_unref(struct scsi_target *target);
DEFINE_SCOPED(struct scsi_target *, scsi_target_unref)
struct scsi_target *scsi_target_ref(struct scsi_target *target);
const char *scsi_target_name(const struct scsi_target *target);

/* SERVICE TYPE in VPD page 85. Source: SPC-5 r22, Management Network Addresses VPD page. */
enum scsi_service {
	SERVICE_UNSPECIFIED,
	SERVICE_STORAGE_CONFIGURATION,
	SERVICE_DIAGNOSTICS,
	SERVICE_STATUS,
	SERVICE_LOGGING,
	SERVICE_CODE_DOWNLOAD,
	SERVICE_COPY,
	SERVICE_ADMINISTRATIVE_CONFIGURATION,
	SCSI_N_SERVICES,
};

#define SCSI_SERVICE_URI_MAX 1020 /* characters */

/*
 * Where the target's services are, as URIs by enum scsi_service; NULL: it has none such. Before the
 * first nexus. Return: 0 or -ENOMEM.
 */
int scsi_target_set_addresses(struct scsi_target *target, char *const uris[SCSI_N_SERVICES]);

struct scsi_mapping {
	uint32_t lun; /* below 16384 */
	struct scsi_lu *lu;
};

/* One LUN more. Any thread. Return: 0, -EEXIST, -EINVAL, -ENOMEM. */
int scsi_target_map(struct scsi_target *target, uint32_t lun, struct scsi_lu *lu);

/**
 * scsi_target_remap() - replace all LUNs of a target
 * @mappings: @n of them, in ascending order of LUNs; the target takes references
 * A mapping that was there before stays what it is, with its attentions and tasks. Where one is
 * gone, what has begun is finished, and new commands find no LU; with the last one each nexus
 * lets go of the LU: scsi_lu_in_use() tells. Initiators are told (REPORTED LUNS DATA HAS CHANGED)
 * when anything differs. Any thread. Return: 0; -EINVAL, -ENOMEM, and nothing has changed.
 */
int scsi_target_remap(struct scsi_target *target, const struct scsi_mapping *mappings, unsigned n);

/* Aborts, instead of waiting for, what has begun at LUNs that are gone. Any thread. */
void scsi_target_abort_unmapped(struct scsi_target *target);

/* ---- target ports and their groups (asymmetric logical unit access) ---- */

enum scsi_alua_state {
	ALUA_OPTIMIZED = 0x0,
	ALUA_NON_OPTIMIZED = 0x1,
	ALUA_STANDBY = 0x2,
	ALUA_UNAVAILABLE = 0x3,
	ALUA_OFFLINE = 0xe,
	ALUA_TRANSITIONING = 0xf,
};

struct scsi_alua_group {
	uint16_t id;		    /* TARGET PORT GROUP */
	enum scsi_alua_state state; /* not ALUA_TRANSITIONING */
	bool preferred;
	const uint16_t *ports; /* relative target port identifiers */
	unsigned n_ports;      /* up to 255 */
};

struct scsi_alua_config {
	const struct scsi_alua_group *groups; /* by ascending id; each port in one at most */
	unsigned n_groups;
	bool implicit;	   /* states change by scsi_target_set_group() */
	bool explicit_too; /* and by SET TARGET PORT GROUPS */
	bool referrals;	   /* R_SUP: REPORT REFERRALS and VPD page B3 are offered */
	const char *hook;  /* absolute path; run as HOOK TARGET GROUP STATE; NULL: none */
};

/* Before the first port. Without it all ports are in one group 1, active/optimized, implicit. */
int scsi_target_set_alua(struct scsi_target *target, const struct scsi_alua_config *cfg);

/*
 * A port that the target is reached through, before the first nexus on it. Twice is once.
 * Return: 0; -EINVAL when groups are configured, and none has it; -ENOSPC; -ENOMEM.
 */
int scsi_target_add_port(struct scsi_target *target, uint16_t rel_port);

/**
 * scsi_target_set_group() - the operator's change of a group's state (an implicit one)
 * Runs the hook and waits for it: blocks; any thread. Initiators are told when it is done.
 * Return: 0; -ENOENT: no such group; -EINVAL; -EBUSY: another change is under way; -EPERM: implicit
 * changes are not configured; -EIO: the hook failed, the state is as before; -errno.
 */
int scsi_target_set_group(struct scsi_target *target, uint16_t id, enum scsi_alua_state state,
			  bool preferred);

/* LUN number of the eight SAM-5 bytes (peripheral with bus 0, or flat), or -1. */
int32_t scsi_lun_decode(uint64_t lun);
uint64_t scsi_lun_encode(uint32_t lun);

/* ---- nexuses ---- */

/**
 * scsi_nexus_new() - an initiator port has reached a target port
 * @initiator: SCSI initiator port name: iSCSI name, ",i,0x", ISID
 * @rel_port:  relative target port identifier, from 1; over iSCSI the target portal group tag,
 *             which names the port just as well (RFC 7143 4.4.1.2)
 * @engine:    whose thread all its tasks run on
 */
int scsi_nexus_new(struct scsi_target *target, const char *initiator, uint16_t rel_port,
		   struct engine *engine, struct scsi_nexus **ret_nexus);
/* The transport's version descriptor for standard INQUIRY data; none is told before this. */
void scsi_nexus_set_version(struct scsi_nexus *nexus, uint16_t version);
/* No task is left. NULL is fine. */
void scsi_nexus_free(struct scsi_nexus *nexus);
DEFINE_SCOPED(struct scsi_nexus *, scsi_nexus_free)

/*
 * Of a nexus whose target port is another's, as of LIO's: that one has the names, and does some
 * of what is the core's to do elsewhere.
 */
enum scsi_foreign {
	SCSI_FOREIGN_PORT = 1,	       /* VPD pages name the LU, but no target port */
	SCSI_FOREIGN_RESERVATIONS = 2, /* reservation commands are not offered */
	SCSI_FOREIGN_RESETS = 4,       /* it raises the attentions of the resets that it asks for */
	SCSI_FOREIGN_TASKS = 8,	       /* no task attributes nor CLEAR ACA come through: no ACA */
};

/* @flags of enum scsi_foreign. Before the first task. */
void scsi_nexus_set_foreign(struct scsi_nexus *nexus, unsigned flags);

/* The NUMA node whose buffers the LU behind a LUN prefers; -1: any, or no such LU. */
int scsi_nexus_numa_node(struct scsi_nexus *nexus, uint64_t lun);
