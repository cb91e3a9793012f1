/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A task: one command under way, from the CDB to status, sense and data.
 *
 * A transport embeds struct scsi_task in its own, fills in the first part, and goes
 *
 *	scsi_task_begin()   checks all that can be checked without data: SCSI_DONE, the answer
 *	                    stands; or SCSI_READY, need_in or need_out says how much data moves
 *	(transport)         sets iov to min(need, expect) bytes; for need_out with the data in it
 *	scsi_task_run()     SCSI_DONE, or SCSI_PENDING: transport->done() is called later
 *	(transport)         sends status, sense and data, then
 *	scsi_task_end()     the command has left the task set
 *
 * All of it on the thread of the nexus. scsi_task_end() may come at any time before
 * scsi_task_run() too (the connection is gone), but not while the task is pending.
 */
#include "duotgt/backend.h"
#include "scsi/gate.h"
#include "scsi/sense.h"
#include "scsi/stable.h"
#include "util/list.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#define SCSI_CDB_MAX 32

struct scsi_itl;
struct scsi_lu;
struct scsi_nexus;
struct scsi_op;
struct scsi_task;

/* SAM-5 status codes */
enum scsi_status {
	STATUS_GOOD = 0x00,
	STATUS_CHECK_CONDITION = 0x02,
	STATUS_CONDITION_MET = 0x04,
	STATUS_BUSY = 0x08,
	STATUS_RESERVATION_CONFLICT = 0x18,
	STATUS_TASK_SET_FULL = 0x28,
	STATUS_ACA_ACTIVE = 0x30,
	STATUS_TASK_ABORTED = 0x40,
};

enum scsi_attr { ATTR_UNTAGGED, ATTR_SIMPLE, ATTR_ORDERED, ATTR_HEAD_OF_QUEUE, ATTR_ACA };

enum scsi_step {
	SCSI_DONE,    /* status, sense and data stand in the task */
	SCSI_READY,   /* begin only: give it its data buffer, then run */
	SCSI_PENDING, /* run only: done will be called */
};

struct scsi_transport {
	/* A pending task has finished. Its thread, from the loop, never inside scsi_task_run(). */
	void (*done)(struct scsi_task *task);
	/*
	 * Task management took the task away (task->aborted is set). If it is pending, leave it
	 * until done() and then end it without an answer; else end it now. With
	 * task->tell_aborted it is answered as it ends: the status is TASK ABORTED then.
	 */
	void (*aborted)(struct scsi_task *task);
};

/* A task's place among those of its I_T_L nexus: scsi/order.h. */
enum scsi_order { ORDER_NONE, ORDER_AFTER_ORDERED, ORDER_ALONE, ORDER_FIRST };

struct scsi_task {
	/* the transport's part, set before begin */
	const struct scsi_transport *transport;
	struct scsi_nexus *nexus;
	uint64_t lun; /* the eight bytes of SAM-5 as one number */
	uint64_t tag;
	enum scsi_attr attr;
	uint8_t cdb[SCSI_CDB_MAX];	/* what was not received is 0 */
	uint32_t cdb_len;		/* bytes received, may be more than SCSI_CDB_MAX */
	uint32_t expect_in, expect_out; /* bytes the initiator is ready to move */

	/* set by begin */
	uint64_t need_in, need_out; /* bytes the command would move */

	/* lent by the transport from run until the task is done */
	struct iovec *iov;
	int n_iov;

	/* the answer */
	enum scsi_status status;
	struct scsi_sense sense; /* for CHECK CONDITION */
	uint64_t in_len;  /* bytes of data-in the command produced; those past expect_in were cut */
	uint64_t out_len; /* bytes of data-out it wanted: need_out, but for one refused since
			     expect_out ends inside a block */

	/* the core's own */
	struct list node;     /* in itl->tasks */
	struct scsi_itl *itl; /* NULL: there is no such LU */
	struct scsi_lu *lu;
	const struct scsi_op *op;
	bool aborted, pending;
	bool tell_aborted; /* aborted for another nexus, which TAS says is to be told */
	bool held;	   /* waits for older tasks of its I_T_L nexus */
	bool blocked;	   /* waits for the end of an ACA condition: scsi/aca.h */
	bool carries_on;   /* its steps go on to the end, aborted or not, whatever io_res is */
	enum scsi_order order;
	struct scsi_gate_pass pass; /* of lu->gate */
	uint64_t seq;		    /* order of arrival on this thread */
	uint64_t begun_ns;	    /* when it came, by the engine's clock */
	uint64_t lba, n_blocks;	    /* of commands that name a range */
	struct duotgt_io io;
	struct scsi_stable_op stable;			/* of io, when it is a flush or has FUA */
	enum scsi_step (*next)(struct scsi_task *task); /* after io; NULL: GOOD */
	size_t skip, cut; /* taken off the first and last segment of io.iov while io is under way */
	uint64_t scratch[4]; /* of the command's own function */
	int work_res;	     /* of scsi_task_work() */
	int io_res;	     /* of scsi_task_io() */
	void *own; /* its memory: NULL from begin on, free()d by end, however the task went */
};

enum scsi_step scsi_task_begin(struct scsi_task *task);
enum scsi_step scsi_task_run(struct scsi_task *task);
void scsi_task_end(struct scsi_task *task);

/*
 * Takes a task away from its transport: aborted() is called, and the task ends as soon as it can,
 * waiting no longer for its turn nor for work in the background. For task management, and for a
 * transport that has lost its initiator. @tell: as task->tell_aborted. On the thread of the task.
 */
void scsi_task_abort(struct scsi_task *task, bool tell);

/* Which format the LU wants its sense in; false (fixed) where there is no LU. */
bool scsi_task_descriptor_sense(const struct scsi_task *task);

/* ---- for the functions of commands: each gives SCSI_DONE, so that it can be returned ---- */

enum scsi_step scsi_good(struct scsi_task *task);
enum scsi_step scsi_finish(struct scsi_task *task, enum scsi_status status);
enum scsi_step scsi_check(struct scsi_task *task, enum scsi_sense_code code);

/* With INFORMATION: an LBA, or an offset for a miscompare. */
enum scsi_step scsi_check_info(struct scsi_task *task, enum scsi_sense_code code, uint64_t info);

/* INVALID FIELD IN CDB at @byte; the pointer's bit is the highest of @bits (0: no bit). */
enum scsi_step scsi_check_field(struct scsi_task *task, unsigned byte, uint8_t bits);

/* INVALID FIELD IN PARAMETER LIST, likewise. */
enum scsi_step scsi_check_param(struct scsi_task *task, unsigned byte, uint8_t bits);

/* Data-in from @data, cut to need_in (the allocation length) and to the buffer, with GOOD. */
enum scsi_step scsi_reply(struct scsi_task *task, const void *data, size_t len);

/* Copies the first @len bytes of data-out to @buf. Return: how many there were, up to @len. */
size_t scsi_param_copy(const struct scsi_task *task, void *buf, size_t len);
