/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WRITE AND VERIFY (10) (12) (16) (32): the blocks go to stable storage and are read back from the
 * store, and compared with the data-out where BYTCHK says so. With less data-out than the CDB
 * announces, what has come is written and verified, as WRITE does.
 * Source: SBC-4 r22, WRITE AND VERIFY.
 */
#include "scsi/lu_priv.h"
#include "scsi/pi/protect.h"
#include "scsi/sbc/sbc.h"

enum { BYTCHK = 0x02 }; /* of sbc_flags(); the field's other bit is reserved here */

static enum scsi_step read_back(struct scsi_task *task)
{
	struct pi_use use = pi_use_of(task, PI_WRITES);

	return sbc_verify_written(task, &use, sbc_flags(task) & BYTCHK, task->io.len);
}

enum scsi_step sbc_write_verify(struct scsi_task *task)
{
	struct pi_use use = pi_use_of(task, PI_WRITES);

	return pi_task_write_from(task, &use, 0, true, read_back);
}
