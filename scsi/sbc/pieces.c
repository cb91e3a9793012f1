/* SPDX-License-Identifier: Apache-2.0 */
/* See pieces.h. */
#include "scsi/sbc/pieces.h"
#include "scsi/lu_priv.h"

void sbc_pieces_io(struct scsi_task *task, enum duotgt_io_kind kind, uint32_t flags)
{
	struct sbc_pieces *pieces = task->own;
	uint64_t block = pieces->done / pieces->use.unit;

	task->io.kind = kind;
	task->io.flags = flags;
	task->io.iov = &pieces->iov;
	task->io.n_iov = 1;
	task->io.offset = (task->lba + block) << scsi_lu_view(task->lu)->block_shift;
	task->io.len = pieces->iov.iov_len;
	pi_tell(task, &pieces->use, pieces->use.tuples, block);
}

static enum scsi_step piece_read(struct scsi_task *task)
{
	struct sbc_pieces *pieces = task->own;
	enum scsi_step step = pieces->each(task);

	return step == SCSI_READY ? sbc_pieces_next(task) : step;
}

static enum scsi_step read_piece(struct scsi_task *task)
{
	struct sbc_pieces *pieces = task->own;
	uint64_t left = pieces->total - pieces->done;
	size_t most = SBC_PIECE_MAX / pieces->use.unit * pieces->use.unit;

	if (!left)
		return pieces->end(task);
	pieces->iov.iov_base = pieces->piece;
	pieces->iov.iov_len = left < most ? left : most;
	sbc_pieces_io(task, DUOTGT_IO_READ, 0);
	return scsi_task_io(task, piece_read);
}

enum scsi_step sbc_pieces_next(struct scsi_task *task)
{
	struct sbc_pieces *pieces = task->own;

	pieces->done += pieces->iov.iov_len;
	return read_piece(task);
}

enum scsi_step sbc_pieces_start(struct scsi_task *task, struct sbc_pieces *pieces,
				const struct pi_use *use, uint64_t total)
{
	task->own = pieces;
	pieces->use = *use;
	pieces->done = 0;
	pieces->total = total;
	pieces->data = sbc_walk(task);
	return read_piece(task);
}

size_t sbc_equal_bytes(const uint8_t *a, const uint8_t *b, size_t len)
{
	size_t i = 0;

	if (!memcmp(a, b, len))
		return len;
	while (a[i] == b[i])
		i++;
	return i;
}

size_t sbc_pieces_equal(struct sbc_pieces *pieces)
{
	size_t len = pieces->iov.iov_len, at = 0, n;
	uint8_t *data;

	while (at < len && (n = walk_next(&pieces->data, len - at, &data))) {
		size_t equal = sbc_equal_bytes(pieces->piece + at, data, n);

		at += equal;
		if (equal < n)
			break;
	}
	return at;
}
