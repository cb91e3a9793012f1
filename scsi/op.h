/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Commands are rows. Dispatch, the reserved-bit check, LBA range, reservation and medium checks,
 * REPORT SUPPORTED OPERATION CODES and the generated command table all read the same row.
 */
#include "scsi/task.h"
#include "util/bytes.h"

#define NO_SA 0xff

enum scsi_access {
	/* What a command does, as write protection, readiness and reservations judge it. */
	ACCESS_ANY,   /* always allowed, unit attention or not (INQUIRY, REPORT LUNS, …);
			   also where there is no LU: task->lu and task->itl are NULL */
	ACCESS_NONE,  /* touches no medium; stopped by a unit attention */
	ACCESS_READY, /* as NONE, and needs a medium that is ready */
	ACCESS_READ,  /* reads the medium */
	ACCESS_WRITE, /* changes the medium */
};

struct scsi_op {
	const char *name;	     /* as the standard spells it */
	uint8_t opcode, sa, cdb_len; /* sa: service action, or NO_SA */
	enum scsi_access access;
	/*
	 * Decodes and checks the CDB and sets need_in or need_out: SCSI_READY, or SCSI_DONE with
	 * the answer. See the plan_ calls below. NULL: no data either way.
	 */
	enum scsi_step (*plan)(struct scsi_task *task);
	enum scsi_step (*run)(struct scsi_task *task); /* SCSI_DONE or SCSI_PENDING */
	uint8_t usage[SCSI_CDB_MAX]; /* [0] the opcode; else 1 where we honour the CDB bit */
	/* Whether this LU has the command; else it is INVALID COMMAND OPERATION CODE. NULL: yes. */
	bool (*offered)(const struct scsi_lu *lu);
};

static inline bool scsi_op_offered(const struct scsi_op *op, const struct scsi_lu *lu)
{
	return !op->offered || (lu && op->offered(lu));
}

/* For usage[]: runs of bytes. */
#define ALL_2 0xff, 0xff
#define ALL_3 0xff, 0xff, 0xff
#define ALL_4 0xff, 0xff, 0xff, 0xff
#define ALL_8 ALL_4, ALL_4
#define NONE_2 0, 0
#define NONE_3 0, 0, 0
#define NONE_4 0, 0, 0, 0
#define NONE_8 NONE_4, NONE_4
#define CONTROL 0x04 /* NACA is looked at, and refused: see dispatch.c */

/* The rows of a direct-access block device, ended by a row without a name. */
extern const struct scsi_op scsi_disk_ops[];

/* Row for a CDB, or NULL. */
const struct scsi_op *scsi_op_find(const uint8_t *cdb);

/*
 * Finds the row of task->cdb and holds the CDB against it: SCSI_READY with task->op set, or
 * SCSI_DONE with the answer.
 */
enum scsi_step scsi_op_check(struct scsi_task *task);

/* Length of a CDB by its group code (6, 10, 12, 16, or 8 + byte 7 for 7Fh); 0: vendor or reserved.
 */
unsigned scsi_cdb_len(const uint8_t *cdb);

/* Allocation lengths of data-in commands: need_in becomes the field's value. */
enum scsi_step scsi_plan_alloc8_at4(struct scsi_task *task);
enum scsi_step scsi_plan_alloc16_at3(struct scsi_task *task);
enum scsi_step scsi_plan_alloc16_at7(struct scsi_task *task);
enum scsi_step scsi_plan_alloc32_at6(struct scsi_task *task);
enum scsi_step scsi_plan_alloc32_at10(struct scsi_task *task);
/* Parameter list lengths of data-out commands: need_out. */
enum scsi_step scsi_plan_list8_at4(struct scsi_task *task);
enum scsi_step scsi_plan_list16_at7(struct scsi_task *task);

/*
 * lba and n_blocks by the layout of the CDB's group; LBA OUT OF RANGE (with the LBA that is, in
 * INFORMATION) and the maximum transfer length are judged here. _read sets need_in and _write
 * need_out to the range's bytes; _range moves no data.
 */
enum scsi_step scsi_plan_read(struct scsi_task *task);
enum scsi_step scsi_plan_write(struct scsi_task *task);
enum scsi_step scsi_plan_range(struct scsi_task *task);
