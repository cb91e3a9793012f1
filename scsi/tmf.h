/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Task management. A function is answered only when no aborted command can change the medium any
 * more (DESIGN 6.5): it waits for what is in the back end, on whichever reactor that runs.
 * Source: SAM-5 r21, task management functions.
 */
#include "scsi/lu.h"
#include "util/engine.h"
#include <stdatomic.h>

struct scsi_itl;
struct scsi_task;

enum scsi_tmf_function {
	TMF_ABORT_TASK,
	TMF_ABORT_TASK_SET,
	TMF_CLEAR_TASK_SET,
	TMF_LU_RESET,
	TMF_TARGET_RESET, /* every LU of the target; hard reset */
	TMF_NEXUS_RESET,  /* I_T NEXUS RESET: every LU, tasks of this nexus */
	TMF_CLEAR_ACA,
	TMF_PREEMPT, /* no function of an initiator's: the end of PREEMPT AND ABORT */
	TMF_QUERY_TASK,
	TMF_QUERY_TASK_SET,
	TMF_QUERY_ASYNC_EVENT,
};

enum scsi_tmf_response {
	TMF_COMPLETE,
	TMF_SUCCEEDED, /* of a query: yes, there is */
	TMF_NO_TASK,   /* ABORT TASK: no such task */
	TMF_NO_LUN,
	TMF_FAILED, /* out of memory: nothing was done */
};

struct scsi_tmf {
	/* set by the caller; the struct is lent until done */
	enum scsi_tmf_function function;
	struct scsi_nexus *nexus;
	uint64_t lun;
	uint64_t tag; /* ABORT TASK, QUERY TASK: the task's tag */
	/* PREEMPT: which nexuses of the LU are meant (lu->lock is held), and which tasks are not */
	bool (*reaches)(const struct scsi_tmf *tmf, const struct scsi_itl *itl);
	bool (*spares)(const struct scsi_tmf *tmf, const struct scsi_task *task);
	/* runs once on the nexus' thread, from the loop, never inside scsi_tmf_start() */
	void (*done)(struct scsi_tmf *tmf);

	enum scsi_tmf_response response;
	uint8_t info[3]; /* QUERY ASYNCHRONOUS EVENT: Additional Response Information of SAM-5 */

	/* own */
	struct engine *engine; /* the nexus', which may be gone by the end */
	atomic_uint parts_left;
	struct engine_post post;
};

void scsi_tmf_start(struct scsi_tmf *tmf);
