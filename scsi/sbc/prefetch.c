/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PRE-FETCH (10) (16): blocks into the store's cache. CONDITION MET says that all of them fit and
 * are there (with IMMED: are on their way), GOOD that they are not, or that there is no cache.
 * Source: SBC-4 r22, PRE-FETCH.
 */
#include "scsi/lu_priv.h"
#include "scsi/sbc/sbc.h"
#include <errno.h>

enum { IMMED = 0x02 }; /* byte 1 */

/* A PREFETCH LENGTH of 0 goes to the end of the medium. */
enum scsi_step sbc_plan_prefetch(struct scsi_task *task)
{
	enum scsi_step step = scsi_plan_range(task);

	if (step == SCSI_READY && !task->n_blocks)
		task->n_blocks = scsi_lu_view(task->lu)->n_blocks - task->lba;
	return step;
}

static int fetch(struct scsi_task *task)
{
	const struct scsi_lu *lu = task->lu;
	unsigned shift = (unsigned)task->scratch[0]; /* this thread may not look at the view */

	return lu->backend->prefetch(lu->store, task->lba << shift, task->n_blocks << shift,
				     !(task->cdb[1] & IMMED));
}

static enum scsi_step fetched(struct scsi_task *task)
{
	switch (task->work_res) {
	case 0:
		return scsi_finish(task, STATUS_CONDITION_MET);
	case -ENOSPC:
	case -EOPNOTSUPP:
		return scsi_good(task);
	default:
		return scsi_check_info(task, SENSE_UNRECOVERED_READ_ERROR, task->lba);
	}
}

enum scsi_step sbc_prefetch(struct scsi_task *task)
{
	if (!scsi_backend_has(task->lu->backend, prefetch))
		return scsi_good(task);
	task->scratch[0] = scsi_lu_view(task->lu)->block_shift;
	return scsi_task_work(task, fetch, fetched);
}
