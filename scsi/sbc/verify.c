/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VERIFY (10) (12) (16) (32): reads the range, and compares it with the data-out where BYTCHK says
 * so. The range is read in pieces, so that any length is verified in one small buffer. Without
 * BYTCHK tuples are checked and go nowhere; with it those in the data-out are compared, too.
 * Source: SBC-4 r22, VERIFY.
 */
#include "scsi/lu_priv.h"
#include "scsi/pi/protect.h"
#include "scsi/sbc/sbc.h"
#include "scsi/sbc/walk.h"
#include "util/bytes.h"
#include <stdlib.h>

#define PIECE_MAX (64u << 10)

enum bytchk {
	BYTCHK_NONE = 0, /* only readable */
	BYTCHK_ALL = 1,	 /* equal to the data-out, byte by byte */
	BYTCHK_SAME = 3, /* each block equal to the one block of data-out */
};

/* A VERIFY under way: task->own. Bytes are those of the data-out, with tuples or without. */
struct verify {
	struct pi_use use;
	enum bytchk bytchk;
	uint64_t done, total;		       /* bytes */
	struct iovec iov;		       /* of the piece being read */
	struct walk data;		       /* where comparing has got to in the data-out */
	uint8_t block[SBC_BLOCK_MAX + PI_LEN]; /* BYTCHK_SAME: what each is compared with */
	uint8_t piece[PIECE_MAX];
};

static enum bytchk cdb_bytchk(const struct scsi_task *task)
{
	return (sbc_flags(task) >> 1) & 3;
}

static enum pi_table table_of(const struct scsi_task *task)
{
	return cdb_bytchk(task) == BYTCHK_NONE ? PI_READS : PI_COMPARES;
}

enum scsi_step sbc_plan_verify(struct scsi_task *task)
{
	enum bytchk bytchk = cdb_bytchk(task);
	enum scsi_step step;
	uint32_t unit;

	if (bytchk == 2)
		return scsi_check_field(task, sbc_flags_at(task), 0x06);
	step = pi_judge(task, table_of(task));
	if (step == SCSI_READY)
		step = bytchk == BYTCHK_ALL ? scsi_plan_write(task) : scsi_plan_range(task);
	if (step != SCSI_READY || bytchk == BYTCHK_NONE)
		return step;
	unit = pi_use_of(task, PI_COMPARES).unit;
	if (bytchk == BYTCHK_ALL)
		task->need_out = task->n_blocks * unit;
	else
		task->need_out = task->n_blocks ? unit : 0;
	return SCSI_READY;
}

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

/* The next @len bytes of the data-out against the piece. Return: how many are equal. */
static size_t equal_to_data(struct verify *verify, size_t len)
{
	size_t at = 0, n;
	uint8_t *data;

	while (at < len && (n = walk_next(&verify->data, len - at, &data))) {
		size_t equal = equal_bytes(verify->piece + at, data, n);

		at += equal;
		if (equal < n)
			break;
	}
	return at;
}

/* A piece is whole blocks. */
static size_t equal_to_block(struct verify *verify, size_t len, uint32_t block_size)
{
	for (size_t at = 0; at < len; at += block_size) {
		size_t equal = equal_bytes(verify->piece + at, verify->block, block_size);

		if (equal < block_size)
			return at + equal;
	}
	return len;
}

/* ---- with tuples ---- */

/* What the block and tuple @i of the range are compared with. */
static void take_unit(struct verify *verify, uint64_t i, uint8_t *unit)
{
	uint8_t *at = unit + verify->use.unit - PI_LEN;
	struct pi_tuple tuple;

	if (verify->bytchk == BYTCHK_ALL) {
		walk_get(&verify->data, unit, verify->use.unit);
		return;
	}
	memcpy(unit, verify->block, verify->use.unit);
	tuple = pi_tuple_get(at);
	tuple.ref += verify->use.ref_stays ? 0 : (uint32_t)i;
	pi_tuple_put(at, tuple);
}

/* Return: the first field that is compared and not the same; 0: none. */
static uint8_t different_field(const struct verify *verify, const uint8_t *a, const uint8_t *b)
{
	uint8_t fields = verify->use.compare;

	if ((fields & PI_GUARD) && memcmp(a, b, 2))
		return PI_GUARD;
	if ((fields & PI_APP) && memcmp(a + 2, b + 2, 2))
		return PI_APP;
	return (fields & PI_REF) && memcmp(a + 4, b + 4, 4) ? PI_REF : 0;
}

static enum scsi_step compare_units(struct scsi_task *task, struct verify *verify, size_t len)
{
	uint32_t unit = verify->use.unit, size = unit - PI_LEN;
	uint8_t sent[SBC_BLOCK_MAX + PI_LEN], field;

	for (size_t at = 0; at < len; at += unit) {
		uint64_t offset = verify->done + at;
		size_t equal;

		take_unit(verify, offset / unit, sent);
		equal = equal_bytes(verify->piece + at, sent, size);
		if (equal < size)
			return scsi_check_info(task, SENSE_MISCOMPARE, offset + equal);
		field = different_field(verify, verify->piece + at + size, sent + size);
		if (field) /* as numbers, fields are where they stand in a tuple: 0, 2, 4 */
			return scsi_check_info(task, pi_miscompare_of(field),
					       offset + size + (field & ~1u));
	}
	return SCSI_READY;
}

/* ---- the steps ---- */

static enum scsi_step verify_piece(struct scsi_task *task);

/* A piece has been read. INFORMATION of a miscompare is the byte's offset in the data-out. */
static enum scsi_step verify_compare(struct scsi_task *task)
{
	struct verify *verify = task->own;
	size_t len = verify->iov.iov_len, equal = len;

	if (verify->bytchk != BYTCHK_NONE && verify->use.tuples) {
		if (compare_units(task, verify, len) == SCSI_DONE)
			return SCSI_DONE;
	} else if (verify->bytchk == BYTCHK_ALL) {
		equal = equal_to_data(verify, len);
	} else if (verify->bytchk == BYTCHK_SAME) {
		equal = equal_to_block(verify, len, verify->use.unit);
	}
	if (equal < len)
		return scsi_check_info(task, SENSE_MISCOMPARE, verify->done + equal);
	verify->done += len;
	return verify_piece(task);
}

static enum scsi_step verify_piece(struct scsi_task *task)
{
	struct verify *verify = task->own;
	uint64_t left = verify->total - verify->done, block = verify->done / verify->use.unit;
	size_t most = PIECE_MAX / verify->use.unit * verify->use.unit;

	if (!left)
		return scsi_good(task);
	verify->iov.iov_base = verify->piece;
	verify->iov.iov_len = left < most ? left : most;
	task->io.kind = DUOTGT_IO_READ;
	task->io.flags = 0;
	task->io.iov = &verify->iov;
	task->io.n_iov = 1;
	task->io.offset = (task->lba + block) << scsi_lu_view(task->lu)->block_shift;
	task->io.len = verify->iov.iov_len;
	pi_tell(task, &verify->use, verify->use.tuples, block);
	return scsi_task_io(task, verify_compare);
}

static enum scsi_step verify_start(struct scsi_task *task, const struct pi_use *use,
				   enum bytchk bytchk, uint64_t len)
{
	struct verify *verify = malloc(sizeof(*verify));

	if (!verify)
		return scsi_finish(task, STATUS_BUSY);
	task->own = verify;
	verify->use = *use;
	verify->bytchk = bytchk;
	verify->done = 0;
	verify->total = len;
	verify->data = sbc_walk(task);
	if (bytchk == BYTCHK_SAME)
		scsi_param_copy(task, verify->block, use->unit);
	return verify_piece(task);
}

/* What was sent is compared as it was sent. */
enum scsi_step sbc_verify_written(struct scsi_task *task, const struct pi_use *use, bool compare,
				  uint64_t len)
{
	struct pi_use all = *use;

	all.compare = PI_ALL;
	return verify_start(task, &all, compare ? BYTCHK_ALL : BYTCHK_NONE, len);
}

enum scsi_step sbc_verify(struct scsi_task *task)
{
	struct pi_use use = pi_use_of(task, table_of(task));
	enum bytchk bytchk = cdb_bytchk(task);

	if (!task->n_blocks)
		return scsi_good(task);
	/* An initiator that sends less than its CDB says cannot be told that all is equal. */
	if (task->need_out && sbc_received(task) < task->need_out)
		return scsi_check(task, SENSE_PARAMETER_LIST_LENGTH);
	if (bytchk != BYTCHK_NONE &&
	    pi_check_data(task, &use, 0, task->need_out / use.unit) == SCSI_DONE)
		return SCSI_DONE;
	return verify_start(task, &use, bytchk, task->n_blocks * use.unit);
}
