/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small commands: TEST UNIT READY, REQUEST SENSE, START STOP UNIT, PREVENT ALLOW MEDIUM REMOVAL.
 * Source: SPC-5 r22, SBC-4 r22.
 */
#include "scsi/lu_priv.h"
#include "scsi/sbc/sbc.h"
#include "scsi/spc/spc.h"

enum {
	DESC = 0x01,	 /* REQUEST SENSE, byte 1 */
	NO_FLUSH = 0x04, /* START STOP UNIT, byte 4 */
	START = 0x01,
};

/* Whether the LU is ready has been judged by the row's access. */
enum scsi_step spc_test_unit_ready(struct scsi_task *task)
{
	return scsi_good(task);
}

/* What a command to this LU would be told now. A unit attention is told once. */
static enum scsi_sense_code sense_now(struct scsi_task *task)
{
	enum scsi_sense_code code;

	if (!task->lu)
		return SENSE_LU_NOT_SUPPORTED;
	code = scsi_itl_take_attention(task->itl);
	if (code != SENSE_NONE)
		return code;
	if (!scsi_lu_view(task->lu)->online)
		return SENSE_NOT_READY_OFFLINE;
	if (atomic_load(&task->lu->stopped))
		return SENSE_NOT_READY_INITIALIZING_REQUIRED;
	return SENSE_NONE;
}

enum scsi_step spc_request_sense(struct scsi_task *task)
{
	struct scsi_sense sense = scsi_sense(sense_now(task));
	uint8_t buf[SCSI_SENSE_MAX];

	return scsi_reply(task, buf, scsi_sense_build(&sense, task->cdb[1] & DESC, buf));
}

static enum scsi_step stop(struct scsi_task *task)
{
	atomic_store(&task->lu->stopped, true);
	return scsi_good(task);
}

/*
 * The state is the LU's, for all nexuses. With IMMED the answer could come before the flush; it
 * comes after, so that a flush that fails is told to the command that asked for it.
 */
enum scsi_step spc_start_stop(struct scsi_task *task)
{
	const struct scsi_lu_view *view = scsi_lu_view(task->lu);

	if (!view->online)
		return scsi_check(task, SENSE_NOT_READY_OFFLINE);
	if (task->cdb[4] & START) {
		atomic_store(&task->lu->stopped, false);
		return scsi_good(task);
	}
	if ((task->cdb[4] & NO_FLUSH) || view->read_only)
		return stop(task);
	return sbc_flush(task, stop);
}

/* The medium cannot be removed, so there is nothing to prevent or allow, and it holds already. */
enum scsi_step spc_prevent_allow(struct scsi_task *task)
{
	return scsi_good(task);
}
