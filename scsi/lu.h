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

struct scsi_lu_config {
	const char *name; /* of the storage, for messages */
	const struct duotgt_backend_ops *backend;
	struct duotgt_backend_params params;
	uint8_t uuid[16];      /* identity: serial, NAA and EUI are made from it */
	uint32_t block_size;   /* 512 to 4096, 2^n */
	uint32_t max_transfer; /* bytes of one command; a multiple of block_size */
	bool write_cache;      /* WCE */
	bool thin;	       /* LBPME, where the back end can discard */
	bool online;	       /* else NOT READY */
	int numa_node;	       /* whose buffers its tasks prefer; -1: the reactor's */
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
uint64_t scsi_lu_blocks(const struct scsi_lu *lu);
uint32_t scsi_lu_block_size(const struct scsi_lu *lu);
bool scsi_lu_read_only(const struct scsi_lu *lu);

/* Flushes; blocks; for the end of service, when no task is left. Return: 0 or -errno. */
int scsi_lu_flush_now(struct scsi_lu *lu);

/* ---- targets ---- */

int scsi_target_new(const char *name, struct scsi_target **ret_target);
void scsi_target_unref(struct scsi_target *target);
DEFINE_SCOPED(struct scsi_target *, scsi_target_unref)
struct scsi_target *scsi_target_ref(struct scsi_target *target);
const char *scsi_target_name(const struct scsi_target *target);

/* Before the first nexus. @lun below 16384. Return: 0, -EEXIST, -EINVAL, -ENOMEM. */
int scsi_target_map(struct scsi_target *target, uint32_t lun, struct scsi_lu *lu);

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
/* No task is left. NULL is fine. */
void scsi_nexus_free(struct scsi_nexus *nexus);
DEFINE_SCOPED(struct scsi_nexus *, scsi_nexus_free)
/* The NUMA node whose buffers the LU behind a LUN prefers; -1: any, or no such LU. */
int scsi_nexus_numa_node(const struct scsi_nexus *nexus, uint64_t lun);
