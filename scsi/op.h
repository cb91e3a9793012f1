/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Commands are rows. Dispatch, the reserved-bit check, LBA range, reservation and medium checks,
 * REPORT SUPPORTED OPERATION CODES and the generated command table all read the same row.
 */
#include "scsi/task.h"
#include "util/bytes.h"

struct scsi_lu_view;

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

/* What a reservation of another nexus means for a command: SPC-5 and SBC-4, their tables of it. */
enum scsi_resv {
	RESV_BY_ACCESS,	 /* READ, READY, NONE: allowed under write exclusive types; WRITE: never */
	RESV_ALLOWED,	 /* whatever is reserved */
	RESV_PERSISTENT, /* allowed under persistent ones, not under RESERVE of another nexus */
	RESV_CONFLICT,	 /* under any type, unless the nexus is allowed in */
	RESV_OWN,	 /* the command judges for itself (PERSISTENT RESERVE OUT, RELEASE, …) */
};

/* On which paths a command is done, by the asymmetric access state of the target port's group. */
enum scsi_paths {
	PATHS_ACTIVE,  /* ACCESS_ANY: all */
	PATHS_STANDBY, /* also in the standby state */
	PATHS_SETTLED, /* in any state but a transition */
	PATHS_ALL,
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
	enum scsi_resv resv; /* how reservations judge it */
	bool exclusive; /* runs alone on its LU: no other command touches the medium meanwhile */
	enum scsi_paths paths;
	/* Whether it is there for this nexus, which may depend on its target. NULL: yes. */
	bool (*offered_to)(const struct scsi_nexus *nexus);
	uint32_t timeout_s; /* recommended command timeout; 0: what its access suggests */
	uint8_t devices;    /* enum scsi_op_devices; 0: as ops.c has it for its set */
};

/* Disks by the protection information that they are formatted with: 0, 1 or 3, or 2. */
enum scsi_op_devices {
	ON_PLAIN = 1,
	ON_TYPES_1_3 = 2,
	ON_TYPE_2 = 4,
	ON_PROTECTED = ON_TYPES_1_3 | ON_TYPE_2,
	ON_DISKS = ON_PLAIN | ON_PROTECTED,
	ON_CDROMS = 8,
	ON_ANY = ON_DISKS | ON_CDROMS,
};

/* Sets view->op_devices: which of these a LU is. */
void scsi_op_judge_devices(struct scsi_lu_view *view);

/* Whether a LU (NULL: no LU) has the command: one of its kind, and as it is set up. */
bool scsi_op_offered(const struct scsi_op *op, const struct scsi_lu *lu);

/* Whether it has it for this nexus. */
static inline bool scsi_op_offered_to(const struct scsi_op *op, const struct scsi_lu *lu,
				      const struct scsi_nexus *nexus)
{
	return scsi_op_offered(op, lu) && (!op->offered_to || op->offered_to(nexus));
}

/* For timeout_s. A flush may have to write all that the host's page cache holds. */
enum { TIMEOUT_FLUSH = 600, TIMEOUT_WHOLE_MEDIUM = 86400 };

/* For usage[]: runs of bytes. */
#define ALL_2 0xff, 0xff
#define ALL_3 0xff, 0xff, 0xff
#define ALL_4 0xff, 0xff, 0xff, 0xff
#define ALL_8 ALL_4, ALL_4
#define NONE_2 0, 0
#define NONE_3 0, 0, 0
#define NONE_4 0, 0, 0, 0
#define NONE_8 NONE_4, NONE_4
#define CONTROL CONTROL_NACA /* the one bit of it that is looked at: scsi/aca.h */
#define CONTROL_NACA 0x04

/*
 * The rows, a set for each domain, in a file of its own beside the functions it names; a set ends
 * with a row without a name, the sets with NULL (scsi/ops.c).
 */
extern const struct scsi_op *const scsi_op_sets[];
extern const struct scsi_op sbc_atomic_ops[];
extern const struct scsi_op pi_ops[], pi_long_ops[];
extern const struct scsi_op copy_ops[], spc_ops[], sbc_ops[], medium_ops[], mmc_ops[], pr_ops[],
	alua_ops[], diag_ops[], erase_ops[];

/*
 * All rows, sorted by opcode and service action; NULL past the last one. A command may have more
 * than one, of which a LU is offered one at most.
 */
const struct scsi_op *scsi_op_at(unsigned i);

/* Where the rows of an opcode begin, for scsi_op_at(); past the last one when there is none. */
unsigned scsi_op_first(uint8_t opcode);

/* The row that a LU (NULL: no LU) has for a CDB, or NULL. */
const struct scsi_op *scsi_op_find(const struct scsi_lu *lu, const uint8_t *cdb);

/*
 * Finds the row of task->cdb and holds the CDB against it: SCSI_READY with task->op set, or
 * SCSI_DONE with the answer.
 */
enum scsi_step scsi_op_check(struct scsi_task *task);

/* Length of a CDB by its group code (6, 10, 12, 16, or 8 + byte 7 for 7Fh); 0: vendor or reserved.
 */
unsigned scsi_cdb_len(const uint8_t *cdb);

/* The CONTROL byte of a CDB, at the end or by the layout of 7Fh; 0 where no length is known. */
uint8_t scsi_cdb_control(const uint8_t *cdb);

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

/*
 * The same with @unit bytes of data-out for each block. Blocks are written whole: when what the
 * initiator is ready to send ends inside of one, it is told so and nothing is written; out_len says
 * how much it would have been.
 */
enum scsi_step scsi_plan_write_of(struct scsi_task *task, uint32_t unit);
enum scsi_step scsi_plan_range(struct scsi_task *task);

/* INVALID FIELD IN CDB that points at the number of blocks. */
enum scsi_step scsi_refuse_length(struct scsi_task *task);
