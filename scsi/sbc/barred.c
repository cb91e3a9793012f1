/* SPDX-License-Identifier: Apache-2.0 */
/* What commands are told of a job in the background, or of one that has failed. */
#include "scsi/lu_priv.h"
#include "scsi/sbc/background.h"

bool sbc_background_sense(const struct scsi_lu *lu, struct scsi_sense *ret_sense)
{
	enum scsi_sense_code code = atomic_load(&lu->barred);

	if (code == SENSE_NONE)
		return false;
	*ret_sense = scsi_sense(code);
	ret_sense->has_progress = ret_sense->key == KEY_NOT_READY;
	ret_sense->progress = (uint16_t)atomic_load(&lu->job_progress);
	return true;
}

/* A FORMAT UNIT mends what one left behind, and a SANITIZE what either did. */
static bool may_end(const struct scsi_op *op, enum scsi_sense_code code)
{
	enum { FORMAT_UNIT = 0x04, SANITIZE = 0x48 };

	return (code == SENSE_FORMAT_CORRUPTED && op->opcode == FORMAT_UNIT) ||
	       ((code == SENSE_FORMAT_CORRUPTED || code == SENSE_SANITIZE_FAILED) &&
		op->opcode == SANITIZE);
}

/* START STOP UNIT is always allowed, but not now: it is alone with the medium, as a job is. */
static bool needs_medium(const struct scsi_op *op)
{
	return op->access >= ACCESS_READY || op->exclusive;
}

enum scsi_step sbc_background_bars(struct scsi_task *task)
{
	const struct scsi_op *op = task->op ? task->op : scsi_op_find(task->lu, task->cdb);
	enum scsi_sense_code code = atomic_load(&task->lu->barred);
	struct scsi_sense sense;

	if (!op || !needs_medium(op) || may_end(op, code) ||
	    !sbc_background_sense(task->lu, &sense))
		return SCSI_READY;
	scsi_finish(task, STATUS_CHECK_CONDITION);
	task->sense = sense;
	return SCSI_DONE;
}

bool sbc_background_may_forgive(const struct scsi_lu *lu)
{
	return atomic_load(&lu->barred) != SENSE_SANITIZE_FAILED ||
	       atomic_load(&lu->job_exit_allowed);
}

void sbc_background_forgive(struct scsi_lu *lu)
{
	unsigned failed = SENSE_SANITIZE_FAILED;

	atomic_compare_exchange_strong(&lu->barred, &failed, SENSE_NONE);
}
