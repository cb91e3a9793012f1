/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ORWRITE: each piece of the range is read, the bits of the data-out are set in it, and it is
 * written back. Of ORWRITE (32) there is the set operation alone: the generation code is 0 and
 * nothing changes it. Source: SBC-4 r22, ORWRITE (16), ORWRITE (32).
 */
#include "scsi/lu_priv.h"
#include "scsi/sbc/atomic.h"
#include "scsi/sbc/walk.h"
#include "util/bytes.h"
#include <stdlib.h>

#define PIECE_MAX (64u << 10)

enum { FUA = 0x08 }; /* byte 1, or 10 of the long CDB */

/* One under way: task->own. */
struct orwrite {
	uint64_t done, total; /* bytes of the range */
	struct sbc_walk data;
	struct iovec iov; /* of the piece */
	bool fua;
	uint8_t piece[PIECE_MAX];
};

enum scsi_step sbc_plan_orwrite32(struct scsi_task *task)
{
	if (be32_get(task->cdb + 20)) /* EXPECTED ORWGENERATION */
		return scsi_check(task, SENSE_ORWRITE_GENERATION);
	return scsi_plan_write(task);
}

static enum scsi_step read_piece(struct scsi_task *task);

static void io_of_piece(struct scsi_task *task, enum duotgt_io_kind kind, uint32_t flags)
{
	struct orwrite *orwrite = task->own;

	task->io.kind = kind;
	task->io.flags = flags;
	task->io.iov = &orwrite->iov;
	task->io.n_iov = 1;
	task->io.offset = (task->lba << scsi_lu_view(task->lu)->block_shift) + orwrite->done;
	task->io.len = orwrite->iov.iov_len;
}

static enum scsi_step piece_written(struct scsi_task *task)
{
	struct orwrite *orwrite = task->own;

	orwrite->done += orwrite->iov.iov_len;
	return read_piece(task);
}

static enum scsi_step write_piece(struct scsi_task *task)
{
	struct orwrite *orwrite = task->own;
	size_t len = orwrite->iov.iov_len, at = 0, n;
	const uint8_t *data;

	for (; (n = sbc_walk_next(&orwrite->data, len - at, &data)); at += n)
		for (size_t i = 0; i < n; i++)
			orwrite->piece[at + i] |= data[i];
	io_of_piece(task, DUOTGT_IO_WRITE, scsi_task_write_flags(task, orwrite->fua));
	return scsi_task_io(task, piece_written);
}

static enum scsi_step read_piece(struct scsi_task *task)
{
	struct orwrite *orwrite = task->own;
	uint64_t left = orwrite->total - orwrite->done;

	if (!left)
		return scsi_good(task);
	orwrite->iov.iov_base = orwrite->piece;
	orwrite->iov.iov_len = left < PIECE_MAX ? left : PIECE_MAX;
	io_of_piece(task, DUOTGT_IO_READ, 0);
	return scsi_task_io(task, write_piece);
}

enum scsi_step sbc_orwrite(struct scsi_task *task)
{
	unsigned shift = scsi_lu_view(task->lu)->block_shift;
	uint64_t received = sbc_received(task) >> shift << shift;
	uint64_t len = task->n_blocks << shift;
	struct orwrite *orwrite;

	/* Of what an initiator does not send all, the whole blocks count, as with WRITE. */
	len = received < len ? received : len;
	if (!len)
		return scsi_good(task);
	orwrite = malloc(sizeof(*orwrite));
	if (!orwrite)
		return scsi_finish(task, STATUS_BUSY);
	task->own = orwrite;
	orwrite->done = 0;
	orwrite->total = len;
	orwrite->data = sbc_walk(task);
	orwrite->fua = task->cdb[task->op->cdb_len == 32 ? 10 : 1] & FUA;
	return read_piece(task);
}
