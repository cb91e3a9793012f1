/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside of LUs, targets, nexuses and their pairs: for scsi/ only. */
#include "scsi/lu.h"
#include "scsi/op.h"
#include "scsi/task.h"
#include "util/list.h"
#include <pthread.h>
#include <stdatomic.h>

/* What tasks read of a LU: never changed once published; a change publishes a new one. */
struct scsi_lu_view {
	uint64_t n_blocks;
	uint32_t block_size, block_shift;
	uint32_t max_transfer; /* bytes */
	bool read_only;
	bool write_cache;      /* WCE */
	bool descriptor_sense; /* D_SENSE */
	bool thin;	       /* LBPME: UNMAP is offered */
	bool online;
};

struct scsi_lu {
	atomic_uint refs;
	char *name;
	const struct duotgt_backend_ops *backend;
	void *store;
	struct duotgt_backend_info info;
	uint8_t uuid[16];
	int numa_node;
	_Atomic(const struct scsi_lu_view *) view;
	atomic_bool flush_failed; /* DESIGN 6.3: from then on flushes and writes fail */
	atomic_bool stopped; /* START STOP UNIT: INITIALIZING COMMAND REQUIRED; a LU reset starts */
	pthread_mutex_t lock; /* for what follows, and for publishing a view */
	struct list itls;     /* struct scsi_itl.lu_node */
};

static inline const struct scsi_lu_view *scsi_lu_view(const struct scsi_lu *lu)
{
	return atomic_load_explicit(&((struct scsi_lu *)lu)->view, memory_order_acquire);
}

/* Whether a back end has a call that was added after the first version of the interface. */
#define scsi_backend_has(ops, call)                                                                \
	((ops)->size >= offsetof(struct duotgt_backend_ops, call) + sizeof((ops)->call) &&         \
	 (ops)->call)

struct scsi_mapping {
	uint32_t lun;
	struct scsi_lu *lu;
};

struct scsi_target {
	atomic_uint refs;
	char *name;
	struct scsi_mapping *map; /* sorted by lun; fixed once the first nexus exists */
	unsigned n_map;
};

struct scsi_nexus {
	struct scsi_target *target;
	char *initiator;
	uint16_t rel_port;
	struct engine *engine;
	uint64_t task_seq;	/* of the last task begun */
	struct list strays;	/* tasks to LUNs that do not exist; struct scsi_task.node */
	struct scsi_itl **itls; /* one per mapping, in the order of target->map; NULL until used */
};

/* Unit attentions, the bits of itl->attentions; the lowest is reported first. */
enum scsi_attention {
	UA_POWER_ON,
	UA_BUS_RESET,
	UA_LU_RESET,
	UA_NEXUS_LOSS,
	UA_COMMANDS_CLEARED,
	UA_MODE_CHANGED,
	UA_CAPACITY_CHANGED,
	UA_LUNS_CHANGED,
	UA_COUNT,
};

/* One I_T_L nexus. tasks and parts belong to the nexus' thread. */
struct scsi_itl {
	atomic_uint refs; /* the nexus, each task management part */
	struct scsi_lu *lu;
	struct scsi_nexus *nexus;
	struct list lu_node;	/* in lu->itls, under lu->lock, until the nexus goes */
	atomic_uint attentions; /* 1 << enum scsi_attention */
	struct list tasks;	/* struct scsi_task.node */
	struct list parts;	/* of task management functions that wait for tasks here */
};

/* The pair for a mapping of the nexus' target, made at first use; NULL when memory is short. */
struct scsi_itl *scsi_nexus_itl(struct scsi_nexus *nexus, unsigned mapping);
struct scsi_itl *scsi_itl_ref(struct scsi_itl *itl);

/* Clears the attention that comes first. Return: its sense code; SENSE_NONE when there is none. */
enum scsi_sense_code scsi_itl_take_attention(struct scsi_itl *itl);
void scsi_itl_unref(struct scsi_itl *itl);

/* Index into target->map, or -1. */
int scsi_target_find(const struct scsi_target *target, uint64_t lun);

/* Sets an attention for all nexuses of the LU; @except (may be NULL) is spared. Any thread. */
void scsi_lu_attention(struct scsi_lu *lu, enum scsi_attention attention,
		       const struct scsi_nexus *except);

/* A task has left itl->tasks: parts that waited for it go on. */
void scsi_tmf_task_ended(struct scsi_itl *itl, const struct scsi_task *task);

/*
 * Sends task->io (kind, offset, len, flags, iov set) to the store and, when it is done, either
 * answers the error with the sense that fits or goes on with @next (NULL: GOOD). The outcome of
 * @next may be SCSI_DONE or SCSI_PENDING. A task that was aborted meanwhile goes no further.
 * Return: SCSI_PENDING; SCSI_DONE with MEDIUM ERROR for what a LU after a failed flush refuses.
 */
enum scsi_step scsi_task_io(struct scsi_task *task, enum scsi_step (*next)(struct scsi_task *task));

/*
 * Runs @fn, which may block, on a helper thread, then @next on the task's own with its result in
 * task->work_res. Return: SCSI_PENDING.
 */
enum scsi_step scsi_task_work(struct scsi_task *task, int (*fn)(struct scsi_task *task),
			      enum scsi_step (*next)(struct scsi_task *task));

/* The same for the range of the task (lba, n_blocks, iov): reads and writes of blocks. */
enum scsi_step scsi_task_read(struct scsi_task *task, enum scsi_step (*next)(struct scsi_task *));
enum scsi_step scsi_task_write(struct scsi_task *task, bool fua);
