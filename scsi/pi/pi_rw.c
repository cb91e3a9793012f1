/* SPDX-License-Identifier: Apache-2.0 */
/* READ and WRITE of LUs with protection information. Source: SBC-4 r22. */
#include "scsi/lu_priv.h"
#include "scsi/pi/protect.h"
#include "scsi/sbc/sbc.h"
#include "scsi/sbc/walk.h"

enum { FUA = 0x08 }; /* of sbc_flags() */

enum scsi_step pi_plan_read(struct scsi_task *task)
{
	enum scsi_step step = pi_judge(task, PI_READS);

	if (step == SCSI_READY)
		step = scsi_plan_read(task);
	if (step == SCSI_READY)
		task->need_in = task->n_blocks * pi_use_of(task, PI_READS).unit;
	return step;
}

static enum scsi_step plan_out(struct scsi_task *task, enum pi_table table)
{
	enum scsi_step step = pi_judge(task, table);

	return step == SCSI_READY ? scsi_plan_write_of(task, pi_use_of(task, table).unit) : step;
}

enum scsi_step pi_plan_write(struct scsi_task *task)
{
	return plan_out(task, PI_WRITES);
}

enum scsi_step pi_plan_orwrite(struct scsi_task *task)
{
	return plan_out(task, PI_ORS);
}

enum scsi_step pi_task_read(struct scsi_task *task, const struct pi_use *use,
			    enum scsi_step (*next)(struct scsi_task *))
{
	task->in_len = task->n_blocks * use->unit;
	scsi_task_borrow(task, 0, task->in_len);
	if (!task->io.len)
		return next ? next(task) : scsi_good(task);
	task->io.kind = DUOTGT_IO_READ;
	task->io.flags = 0;
	task->io.offset = task->lba << scsi_lu_view(task->lu)->block_shift;
	pi_tell(task, use, use->tuples, 0);
	return scsi_task_io(task, next);
}

/* What has come in whole blocks. */
enum scsi_step pi_task_write_from(struct scsi_task *task, const struct pi_use *use, uint64_t from,
				  bool fua, enum scsi_step (*next)(struct scsi_task *))
{
	uint64_t len = task->n_blocks * use->unit, received = sbc_received(task);

	if (!use->on)
		return scsi_task_write_from(task, from, fua, next);
	received = received > from ? (received - from) / use->unit * use->unit : 0;
	scsi_task_borrow(task, from, received < len ? received : len);
	task->io.kind = DUOTGT_IO_WRITE;
	task->io.flags = scsi_task_write_flags(task, fua);
	task->io.offset = task->lba << scsi_lu_view(task->lu)->block_shift;
	pi_tell(task, use, use->tuples, 0);
	/* Without a byte it is a request all the same, which no LU refuses that has lost none. */
	return scsi_task_io(task, next);
}

static enum scsi_step read_range(struct scsi_task *task)
{
	struct pi_use use = pi_use_of(task, PI_READS);

	return pi_task_read(task, &use, NULL);
}

enum scsi_step pi_read(struct scsi_task *task)
{
	return task->op->cdb_len > 6 ? sbc_read_stable(task, read_range) : read_range(task);
}

enum scsi_step pi_write(struct scsi_task *task)
{
	struct pi_use use = pi_use_of(task, PI_WRITES);
	bool fua = task->op->cdb_len > 6 && (sbc_flags(task) & FUA);

	return pi_task_write_from(task, &use, 0, fua,
				  sbc_space_is_due(task) ? sbc_space_check : NULL);
}
