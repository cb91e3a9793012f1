/* SPDX-License-Identifier: Apache-2.0 */
/*
 * COMPARE AND WRITE: the range is read and compared with the first half of the data-out, in pieces
 * through one small buffer; when all is equal the second half is written. That no other command
 * comes in between is the gate's doing. With protection information each half has it, all of it is
 * checked first, and it is compared as the data is. Source: SBC-4 r22, COMPARE AND WRITE.
 */
#include "scsi/lu_priv.h"
#include "scsi/sbc/atomic.h"
#include "scsi/sbc/pieces.h"
#include <stdlib.h>

enum {
	FUA = 0x08,	       /* byte 1 */
	NUMBER_OF_BLOCKS = 13, /* the byte */
};

uint8_t sbc_caw_max_blocks(const struct scsi_lu *lu)
{
	const struct scsi_lu_view *view = scsi_lu_view(lu);
	uint32_t n = view->max_transfer / 2 >> view->block_shift; /* a transfer is both halves */

	return n < UINT8_MAX ? (uint8_t)n : UINT8_MAX;
}

/*
 * An initiator that sends another number of bytes than its CDB means has a different idea of where
 * the second half begins: nothing is compared or written then.
 */
enum scsi_step sbc_plan_compare_and_write(struct scsi_task *task)
{
	enum scsi_step step = pi_judge(task, PI_WRITES);

	if (step == SCSI_READY)
		step = scsi_plan_range(task);
	if (step != SCSI_READY)
		return step;
	if (task->n_blocks > sbc_caw_max_blocks(task->lu))
		return scsi_check_field(task, NUMBER_OF_BLOCKS, 0);
	task->need_out = task->n_blocks * 2 * pi_use_of(task, PI_WRITES).unit;
	if (task->expect_out != task->need_out)
		return scsi_check_field(task, NUMBER_OF_BLOCKS, 0);
	return SCSI_READY;
}

/* INFORMATION of a miscompare is the byte's offset in the data-out. */
static enum scsi_step compare_piece(struct scsi_task *task)
{
	struct sbc_pieces *pieces = task->own;
	size_t equal = sbc_pieces_equal(pieces);

	if (equal < pieces->iov.iov_len)
		return scsi_check_info(task, SENSE_MISCOMPARE, pieces->done + equal);
	return SCSI_READY;
}

static enum scsi_step write_new(struct scsi_task *task)
{
	struct sbc_pieces *pieces = task->own;

	return pi_task_write_from(task, &pieces->use, pieces->total, task->cdb[1] & FUA, NULL);
}

enum scsi_step sbc_compare_and_write(struct scsi_task *task)
{
	struct pi_use use = pi_use_of(task, PI_WRITES);
	uint64_t half = task->n_blocks * use.unit;
	struct sbc_pieces *pieces;

	if (!task->n_blocks)
		return scsi_good(task);
	/* The transport may have got less than was announced. */
	if (sbc_received(task) < task->need_out)
		return scsi_check_field(task, NUMBER_OF_BLOCKS, 0);
	if (pi_check_data(task, &use, 0, task->n_blocks) == SCSI_DONE ||
	    pi_check_data(task, &use, half, task->n_blocks) == SCSI_DONE)
		return SCSI_DONE;
	pieces = malloc(sizeof(*pieces));
	if (!pieces)
		return scsi_finish(task, STATUS_BUSY);
	pieces->each = compare_piece;
	pieces->end = write_new;
	return sbc_pieces_start(task, pieces, &use, half);
}
