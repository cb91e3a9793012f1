/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ORWRITE: each piece of the range is read, the bits of the data-out are set in it, and it is
 * written back. Of ORWRITE (32) there is the set operation alone: the generation code is 0 and
 * nothing changes it. With protection information from the initiator its tags are written, with a
 * guard made anew; without, all of it is made, as for WRITE. Source: SBC-4 r22, ORWRITE (16),
 * ORWRITE (32).
 */
#include "scsi/lu_priv.h"
#include "scsi/sbc/atomic.h"
#include "scsi/sbc/pieces.h"
#include "util/bytes.h"
#include <stdlib.h>

enum { FUA = 0x08 }; /* byte 1, or 10 of the long CDB */

enum scsi_step sbc_plan_orwrite32(struct scsi_task *task)
{
	if (be32_get(task->cdb + 20)) /* EXPECTED ORWGENERATION */
		return scsi_check(task, SENSE_ORWRITE_GENERATION);
	return pi_plan_orwrite(task);
}

static void set_bits(struct sbc_pieces *pieces, uint8_t *to, size_t len)
{
	uint8_t *data;
	size_t n;

	for (; (n = walk_next(&pieces->data, len, &data)); to += n, len -= n)
		for (size_t i = 0; i < n; i++)
			to[i] |= data[i];
}

/* A block, and its tuple after it. */
static void set_bits_of_block(struct sbc_pieces *pieces, uint8_t *block)
{
	uint32_t size = pieces->use.unit - PI_LEN;
	struct pi_tuple tuple;

	set_bits(pieces, block, size);
	walk_get(&pieces->data, block + size, PI_LEN);
	tuple = pi_tuple_get(block + size);
	tuple.guard = pi_crc(0, block, size);
	pi_tuple_put(block + size, tuple);
}

static enum scsi_step write_piece(struct scsi_task *task)
{
	struct sbc_pieces *pieces = task->own;
	size_t len = pieces->iov.iov_len;
	bool fua = task->cdb[task->op->cdb_len == 32 ? 10 : 1] & FUA;

	if (!pieces->use.tuples)
		set_bits(pieces, pieces->piece, len);
	for (size_t at = 0; pieces->use.tuples && at < len; at += pieces->use.unit)
		set_bits_of_block(pieces, pieces->piece + at);
	sbc_pieces_io(task, DUOTGT_IO_WRITE, scsi_task_write_flags(task, fua));
	return scsi_task_io(task, sbc_pieces_next);
}

enum scsi_step sbc_orwrite(struct scsi_task *task)
{
	struct pi_use use = pi_use_of(task, PI_ORS);
	uint64_t received = sbc_received(task) / use.unit * use.unit;
	uint64_t len = task->n_blocks * use.unit;
	struct sbc_pieces *pieces;

	/* Of what an initiator does not send all, the whole blocks count, as with WRITE. */
	len = received < len ? received : len;
	if (!len)
		return scsi_good(task);
	if (pi_check_data(task, &use, 0, len / use.unit) == SCSI_DONE)
		return SCSI_DONE;
	use.data.fields = 0; /* and what is written is ours */
	pieces = malloc(sizeof(*pieces));
	if (!pieces)
		return scsi_finish(task, STATUS_BUSY);
	pieces->each = write_piece;
	pieces->end = scsi_good;
	return sbc_pieces_start(task, pieces, &use, len);
}
