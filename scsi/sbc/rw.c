/* SPDX-License-Identifier: Apache-2.0 */
/*
 * READ and WRITE (6) (10) (12) (16) (32), SYNCHRONIZE CACHE (10) (16). The range has been decoded
 * and checked by the row's plan. DPO is a hint for a cache's replacement; there is nothing it would
 * change here, so any value is right.
 * Source: SBC-4 r22.
 */
#include "scsi/lu_priv.h"
#include "scsi/sbc/sbc.h"
#include "util/bytes.h"

enum { FUA = 0x08 }; /* of sbc_flags() */

static enum scsi_step read_range(struct scsi_task *task)
{
	return scsi_task_read(task, NULL);
}

enum scsi_step sbc_flush(struct scsi_task *task, enum scsi_step (*next)(struct scsi_task *task))
{
	task->io.kind = DUOTGT_IO_FLUSH;
	task->io.flags = 0;
	task->io.iov = NULL;
	task->io.n_iov = 0;
	task->io.offset = 0;
	task->io.len = 0;
	return scsi_task_io(task, next);
}

enum scsi_step sbc_read6(struct scsi_task *task)
{
	return read_range(task);
}

/* Only with WCE can a volatile cache hold blocks that the medium has not got. */
static bool may_be_dirty(const struct scsi_lu *lu)
{
	const struct scsi_lu_view *view = scsi_lu_view(lu);

	return view->write_cache && lu->info.volatile_cache && !view->read_only;
}

/* FUA: what is read shall be on the medium, not in a volatile cache alone. */
enum scsi_step sbc_read_stable(struct scsi_task *task, enum scsi_step (*read)(struct scsi_task *))
{
	if ((sbc_flags(task) & FUA) && task->n_blocks && may_be_dirty(task->lu))
		return sbc_flush(task, read);
	return read(task);
}

enum scsi_step sbc_read(struct scsi_task *task)
{
	return sbc_read_stable(task, read_range);
}

static enum scsi_step write_range(struct scsi_task *task, bool fua)
{
	return scsi_task_write_from(task, 0, fua, sbc_space_is_due(task) ? sbc_space_check : NULL);
}

enum scsi_step sbc_write6(struct scsi_task *task)
{
	return write_range(task, false);
}

enum scsi_step sbc_write(struct scsi_task *task)
{
	return write_range(task, sbc_flags(task) & FUA);
}

enum scsi_step sbc_end_writes(struct scsi_task *task)
{
	bool is_safe = scsi_lu_view(task->lu)->write_cache || !task->lu->info.volatile_cache;

	if (!is_safe)
		return sbc_flush(task, NULL);
	return sbc_space_is_due(task) ? sbc_space_check(task) : scsi_good(task);
}

/*
 * The maximum transfer length is not for this command, since nothing is transferred. A NUMBER OF
 * BLOCKS of 0 goes to the end of the medium.
 */
enum scsi_step sbc_plan_sync(struct scsi_task *task)
{
	uint64_t end = scsi_lu_view(task->lu)->n_blocks;
	bool is10 = task->op->cdb_len == 10;

	task->lba = is10 ? be32_get(task->cdb + 2) : be64_get(task->cdb + 2);
	task->n_blocks = is10 ? be16_get(task->cdb + 7) : be32_get(task->cdb + 10);
	if (task->lba >= end)
		return scsi_check_info(task, SENSE_LBA_OUT_OF_RANGE, task->lba);
	if (task->n_blocks > end - task->lba)
		return scsi_check_info(task, SENSE_LBA_OUT_OF_RANGE, end);
	if (!task->n_blocks)
		task->n_blocks = end - task->lba;
	return SCSI_READY;
}

/*
 * A store flushes as a whole, which the standard allows: the range names what has to be flushed
 * at least. With IMMED the answer comes after the flush all the same, so that it tells the truth.
 */
enum scsi_step sbc_sync(struct scsi_task *task)
{
	if (scsi_lu_view(task->lu)->read_only)
		return scsi_good(task); /* no write can be waiting for it */
	return sbc_flush(task, NULL);
}
