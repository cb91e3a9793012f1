/* SPDX-License-Identifier: Apache-2.0 */
/*
 * COMPARE AND WRITE: the range is read and compared with the first half of the data-out, in pieces
 * through one small buffer; when all is equal the second half is written. That no other command
 * comes in between is the gate's doing. With protection information each half has it, all of it is
 * checked first, and it is compared as the data is. Source: SBC-4 r22, COMPARE AND WRITE.
 */
#include "scsi/lu_priv.h"
#include "scsi/pi/protect.h"
#include "scsi/sbc/atomic.h"
#include "scsi/sbc/walk.h"
#include <stdlib.h>

#define PIECE_MAX (64u << 10)

enum {
	FUA = 0x08,	       /* byte 1 */
	NUMBER_OF_BLOCKS = 13, /* the byte */
};

/* One under way: task->own. */
struct caw {
	struct pi_use use;
	uint64_t done, total; /* bytes of a half of the data-out */
	struct walk data;     /* what comes next of the half that is compared */
	struct iovec iov;     /* of the piece being read */
	uint8_t piece[PIECE_MAX];
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

static enum scsi_step read_piece(struct scsi_task *task);

/* How many bytes of @a and @b are equal before the first that is not. */
static size_t equal_bytes(const uint8_t *a, const uint8_t *b, size_t len)
{
	size_t i = 0;

	if (!memcmp(a, b, len))
		return len;
	while (a[i] == b[i])
		i++;
	return i;
}

/* INFORMATION of a miscompare is the byte's offset in the data-out. */
static enum scsi_step compare_piece(struct scsi_task *task)
{
	struct caw *caw = task->own;
	size_t len = caw->iov.iov_len, at = 0;

	while (at < len) {
		uint8_t *data;
		size_t n = walk_next(&caw->data, len - at, &data);
		size_t equal = n ? equal_bytes(caw->piece + at, data, n) : 0;

		if (equal < n || !n)
			return scsi_check_info(task, SENSE_MISCOMPARE, caw->done + at + equal);
		at += n;
	}
	caw->done += len;
	return read_piece(task);
}

static enum scsi_step read_piece(struct scsi_task *task)
{
	struct caw *caw = task->own;
	uint64_t left = caw->total - caw->done, block = caw->done / caw->use.unit;
	size_t most = PIECE_MAX / caw->use.unit * caw->use.unit;

	if (!left)
		return pi_task_write_from(task, &caw->use, caw->total, task->cdb[1] & FUA, NULL);
	caw->iov.iov_base = caw->piece;
	caw->iov.iov_len = left < most ? left : most;
	task->io.kind = DUOTGT_IO_READ;
	task->io.flags = 0;
	task->io.iov = &caw->iov;
	task->io.n_iov = 1;
	task->io.offset = (task->lba + block) << scsi_lu_view(task->lu)->block_shift;
	task->io.len = caw->iov.iov_len;
	pi_tell(task, &caw->use, caw->use.tuples, block);
	return scsi_task_io(task, compare_piece);
}

enum scsi_step sbc_compare_and_write(struct scsi_task *task)
{
	struct caw *caw;

	if (!task->n_blocks)
		return scsi_good(task);
	/* The transport may have got less than was announced. */
	if (sbc_received(task) < task->need_out)
		return scsi_check_field(task, NUMBER_OF_BLOCKS, 0);
	caw = malloc(sizeof(*caw));
	if (!caw)
		return scsi_finish(task, STATUS_BUSY);
	task->own = caw;
	caw->done = 0;
	caw->use = pi_use_of(task, PI_WRITES);
	caw->total = task->n_blocks * caw->use.unit;
	caw->data = sbc_walk(task);
	if (pi_check_data(task, &caw->use, 0, task->n_blocks) == SCSI_DONE ||
	    pi_check_data(task, &caw->use, caw->total, task->n_blocks) == SCSI_DONE)
		return SCSI_DONE;
	return read_piece(task);
}
