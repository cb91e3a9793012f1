/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What RDPROTECT, WRPROTECT, VRPROTECT and ORPROTECT ask for, by the protection type that the LU is
 * formatted with; and the requests that commands make of it. On a LU without protection information
 * all of it is what commands without such a field do, so that one function serves both.
 */
#include "scsi/pi/pi.h"
#include "scsi/task.h"

/* Which tables the field of a command is read by. */
enum pi_table {
	PI_READS,    /* RDPROTECT; VRPROTECT without BYTCHK */
	PI_WRITES,   /* WRPROTECT */
	PI_COMPARES, /* VRPROTECT with BYTCHK */
	PI_ORS,	     /* ORPROTECT */
};

struct pi_use {
	bool on;		 /* the LU is formatted with protection information */
	bool tuples;		 /* each block of the data buffer is followed by its tuple */
	uint32_t unit;		 /* bytes of a block there */
	uint8_t compare;	 /* of PI_COMPARES: fields of the tuples that are compared */
	bool ref_stays;		 /* type 3: a block that stands for many keeps its reference tag */
	struct pi_expect medium; /* of what is read from the medium */
	struct pi_expect data;	 /* of tuples in data-out */
	struct pi_tuple made;	 /* tags for what comes without a tuple */
};

/* The field's value can be; else SCSI_DONE with the answer. For plans, before the range is read. */
enum scsi_step pi_judge(struct scsi_task *task, enum pi_table table);

/*
 * What of a row's usage bits (SCSI_CDB_MAX of them) a LU of type 2 does not honour: protect fields
 * of commands without tags. They are there for pi_judge(), which has another answer for them than
 * that a bit is reserved.
 */
void pi_trim_usage(const struct scsi_op *op, const struct scsi_lu *lu, uint8_t *usage);

/* After the range has been read from the CDB. */
struct pi_use pi_use_of(const struct scsi_task *task, enum pi_table table);

/*
 * Tells a request of @task->io what its blocks need: of READ and WRITE, with or without tuples by
 * @tuples; @from_block is its first block, counted from the first of the command. The last thing
 * before scsi_task_io().
 */
void pi_tell(struct scsi_task *task, const struct pi_use *use, bool tuples, uint64_t from_block);

/*
 * The tuples of @n_blocks blocks in data-out from byte @from on: as expected, or SCSI_DONE with
 * ABORTED COMMAND. Without tuples all is well.
 */
enum scsi_step pi_check_data(struct scsi_task *task, const struct pi_use *use, uint64_t from,
			     uint64_t n_blocks);

/* The sense of a field that was found wrong, or of one that differs from the medium's. */
enum scsi_sense_code pi_sense_of(uint8_t field);
enum scsi_sense_code pi_miscompare_of(uint8_t field);

/* task->io has ended with -EILSEQ. */
enum scsi_step pi_check_failed(struct scsi_task *task);

/* As scsi_task_read() and scsi_task_write_from(), by @use; @from in bytes of the data buffer. */
enum scsi_step pi_task_read(struct scsi_task *task, const struct pi_use *use,
			    enum scsi_step (*next)(struct scsi_task *));
enum scsi_step pi_task_write_from(struct scsi_task *task, const struct pi_use *use, uint64_t from,
				  bool fua, enum scsi_step (*next)(struct scsi_task *));

/* ---- of the rows in pi_ops.c ---- */

enum scsi_step pi_plan_read(struct scsi_task *task);
enum scsi_step pi_plan_write(struct scsi_task *task);
enum scsi_step pi_plan_orwrite(struct scsi_task *task);
enum scsi_step pi_read(struct scsi_task *task);
enum scsi_step pi_write(struct scsi_task *task);
