/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside of a job: for copy_job.c, which keeps them, and copy_run.c, which moves the data. */
#include "scsi/copy/copy_job.h"
#include "scsi/gate.h"
#include "scsi/stable.h"
#include "util/engine.h"

#define COPY_BUF_LEN (256u << 10) /* for copying by reading and writing */

/* A place inside the gate of one of the LUs of the chunk under way. */
struct copy_pass {
	struct scsi_gate_pass pass;
	struct copy_job *job;
	struct scsi_lu *lu;
};

struct copy_job {
	unsigned refs;	  /* under the lock */
	struct list node; /* in the list of all jobs */

	/* whose it is; target and engine are followed only while it runs */
	struct scsi_target *target;
	uint8_t lu_uuid[16];
	uint16_t rel_port;
	char *initiator;
	bool with_list, keep;
	uint32_t list_id;

	/* under the lock */
	struct copy_report report;
	uint64_t ended_ns;   /* 0: under way */
	struct list waiters; /* struct waiter.node */

	atomic_uint segments;	/* processed */
	atomic_uint operations; /* of back ends */
	atomic_ulong bytes;	/* moved */
	atomic_bool stop;

	/* the job's own thread, once it is started */
	struct engine *engine;
	struct scsi_task *task; /* in the foreground: the command that waits for it */
	struct copy_piece *pieces;
	unsigned n_pieces, max_pieces, n_segments;
	bool partly, has_end;
	bool uses_up; /* report.token, once it has ended well */
	struct scsi_sense end;

	unsigned at;	   /* the piece that comes next, or is under way */
	uint64_t done;	   /* bytes of it */
	uint64_t chunk;	   /* bytes under way now */
	uint64_t chunk_at; /* where in the piece they are */
	uint64_t stored;   /* bytes from here on that are known to be no hole */
	bool by_hand;	   /* the back end cannot copy this piece */
	bool backward;	   /* it overlaps itself so that its end must move first */
	bool to_is_thin;   /* as the LU that is written was when the chunk began */
	bool wrote;	   /* to the LU of the last piece, since it was flushed */
	uint8_t *buf;
	struct iovec iov;
	struct copy_pass passes[2]; /* of the LUs that are read and written, by address */
	unsigned n_passes, n_inside;
	struct scsi_stable_op stable; /* of the flush at the end */
	struct engine_op op;
	struct engine_post post;
	struct duotgt_io io;
};

/* Begins to move the data; the job's thread. copy_job_ended() will be called from the loop. */
void copy_run(struct copy_job *job);

/* The job is over, and gone unless its result is kept: @state, and for COPY_FAILED how: a status,
 * and the sense for CHECK CONDITION. */
void copy_job_ended(struct copy_job *job, enum copy_state state, enum scsi_status status,
		    const struct scsi_sense *sense);
