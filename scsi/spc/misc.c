/* SPDX-License-Identifier: Apache-2.0 */
/* Small commands: TEST UNIT READY, REQUEST SENSE. Source: SPC-5 r22. */
#include "scsi/lu_priv.h"
#include "scsi/sbc/background.h"
#include "scsi/spc/spc.h"

enum {
	DESC = 0x01, /* REQUEST SENSE, byte 1 */
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
	if (atomic_load(&task->lu->ejected))
		return SENSE_MEDIUM_NOT_PRESENT;
	if (atomic_load(&task->lu->stopped))
		return SENSE_NOT_READY_INITIALIZING_REQUIRED;
	return SENSE_NONE;
}

enum scsi_step spc_request_sense(struct scsi_task *task)
{
	enum scsi_sense_code code = sense_now(task);
	struct scsi_sense sense = scsi_sense(code);
	uint8_t buf[SCSI_SENSE_MAX];

	if (code == SENSE_NONE)
		sbc_background_sense(task->lu, &sense);
	return scsi_reply(task, buf, scsi_sense_build(&sense, task->cdb[1] & DESC, buf));
}
