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

enum scsi_tmf_function {
	TMF_ABORT_TASK,
	TMF_ABORT_TASK_SET,
	TMF_CLEAR_TASK_SET,
	TMF_LU_RESET,
	TMF_TARGET_RESET, /* every LU of the target; hard reset */
};

enum scsi_tmf_response {
	TMF_COMPLETE,
	TMF_NO_TASK, /* ABORT TASK: no such task */
	TMF_NO_LUN,
	TMF_FAILED, /* out of memory: nothing was done */
};

struct scsi_tmf {
	/* set by the caller; the struct is lent until done */
	enum scsi_tmf_function function;
	struct scsi_nexus *nexus;
	uint64_t lun;
	uint64_t tag; /* ABORT TASK: the task's tag */
	/* runs once on the nexus' thread, from the loop, never inside scsi_tmf_start() */
	void (*done)(struct scsi_tmf *tmf);

	enum scsi_tmf_response response;

	/* own */
	struct engine *engine; /* the nexus', which may be gone by the end */
	atomic_uint parts_left;
	struct engine_post post;
};

void scsi_tmf_start(struct scsi_tmf *tmf);
