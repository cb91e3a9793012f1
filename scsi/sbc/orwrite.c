/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ORWRITE: each piece of the range is read, the bits of the data-out are set in it, and it is
 * written back. Of ORWRITE (32) there is the set operation alone: the generation code is 0 and
 * nothing changes it. With protection information from the initiator its tags are written, with a
 * guard made anew; without, all of it is made, as for WRITE. Source: SBC-4 r22, ORWRITE (16),
 * ORWRITE (32).
 */
#include "scsi/lu_priv.h"
#include "scsi/pi/protect.h"
#include "scsi/sbc/atomic.h"
#include "scsi/sbc/walk.h"
#include "util/bytes.h"
#include <stdlib.h>

#define PIECE_MAX (64u << 10)

enum { FUA = 0x08 }; /* byte 1, or 10 of the long CDB */

/* One under way: task->own. */
struct orwrite {
	struct pi_use use;
	uint64_t done, total; /* bytes of the data-out */
	struct walk data;
	struct iovec iov; /* of the piece */
	bool fua;
	uint8_t piece[PIECE_MAX];
};

enum scsi_step sbc_plan_orwrite32(struct scsi_task *task)
{
	if (be32_get(task->cdb + 20)) /* EXPECTED ORWGENERATION */
		return scsi_check(task, SENSE_ORWRITE_GENERATION);
	return pi_plan_orwrite(task);
}

static enum scsi_step read_piece(struct scsi_task *task);

static void io_of_piece(struct scsi_task *task, enum duotgt_io_kind kind, uint32_t flags)
{
	struct orwrite *orwrite = task->own;
	uint64_t block = orwrite->done / orwrite->use.unit;

	task->io.kind = kind;
	task->io.flags = flags;
	task->io.iov = &orwrite->iov;
	task->io.n_iov = 1;
	task->io.offset = (task->lba + block) << scsi_lu_view(task->lu)->block_shift;
	task->io.len = orwrite->iov.iov_len;
	pi_tell(task, &orwrite->use, orwrite->use.tuples, block);
}

static enum scsi_step piece_written(struct scsi_task *task)
{
	struct orwrite *orwrite = task->own;

	orwrite->done += orwrite->iov.iov_len;
	return read_piece(task);
}

static void set_bits(struct orwrite *orwrite, uint8_t *to, size_t len)
{
	uint8_t *data;
	size_t n;

	for (; (n = walk_next(&orwrite->data, len, &data)); to += n, len -= n)
		for (size_t i = 0; i < n; i++)
			to[i] |= data[i];
}

/* A block, and its tuple after it. */
static void set_bits_of_block(struct orwrite *orwrite, uint8_t *block)
{
	uint32_t size = orwrite->use.unit - PI_LEN;
	struct pi_tuple tuple;

	set_bits(orwrite, block, size);
	walk_get(&orwrite->data, block + size, PI_LEN);
	tuple = pi_tuple_get(block + size);
	tuple.guard = pi_crc(0, block, size);
	pi_tuple_put(block + size, tuple);
}

static enum scsi_step write_piece(struct scsi_task *task)
{
	struct orwrite *orwrite = task->own;
	size_t len = orwrite->iov.iov_len;

	if (!orwrite->use.tuples)
		set_bits(orwrite, orwrite->piece, len);
	for (size_t at = 0; orwrite->use.tuples && at < len; at += orwrite->use.unit)
		set_bits_of_block(orwrite, orwrite->piece + at);
	io_of_piece(task, DUOTGT_IO_WRITE, scsi_task_write_flags(task, orwrite->fua));
	return scsi_task_io(task, piece_written);
}

static enum scsi_step read_piece(struct scsi_task *task)
{
	struct orwrite *orwrite = task->own;
	uint64_t left = orwrite->total - orwrite->done;
	size_t most = PIECE_MAX / orwrite->use.unit * orwrite->use.unit;

	if (!left)
		return scsi_good(task);
	orwrite->iov.iov_base = orwrite->piece;
	orwrite->iov.iov_len = left < most ? left : most;
	io_of_piece(task, DUOTGT_IO_READ, 0);
	return scsi_task_io(task, write_piece);
}

enum scsi_step sbc_orwrite(struct scsi_task *task)
{
	struct pi_use use = pi_use_of(task, PI_ORS);
	uint64_t received = sbc_received(task) / use.unit * use.unit;
	uint64_t len = task->n_blocks * use.unit;
	struct orwrite *orwrite;

	/* Of what an initiator does not send all, the whole blocks count, as with WRITE. */
	len = received < len ? received : len;
	if (!len)
		return scsi_good(task);
	if (pi_check_data(task, &use, 0, len / use.unit) == SCSI_DONE)
		return SCSI_DONE;
	use.data.fields = 0; /* and what is written is ours */
	orwrite = malloc(sizeof(*orwrite));
	if (!orwrite)
		return scsi_finish(task, STATUS_BUSY);
	task->own = orwrite;
	orwrite->use = use;
	orwrite->done = 0;
	orwrite->total = len;
	orwrite->data = sbc_walk(task);
	orwrite->fua = task->cdb[task->op->cdb_len == 32 ? 10 : 1] & FUA;
	return read_piece(task);
}
