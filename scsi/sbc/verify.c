/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VERIFY (10) (12) (16) (32): reads the range, and compares it with the data-out where BYTCHK says
 * so. The range is read in pieces, so that any length is verified in one small buffer. Without
 * BYTCHK tuples are checked and go nowhere; with it those in the data-out are compared, too.
 * Source: SBC-4 r22, VERIFY.
 */
#include "scsi/lu_priv.h"
#include "scsi/sbc/pieces.h"
#include "scsi/sbc/sbc.h"
#include "util/bytes.h"
#include <stdlib.h>

enum bytchk {
	BYTCHK_NONE = 0, /* only readable */
	BYTCHK_ALL = 1,	 /* equal to the data-out, byte by byte */
	BYTCHK_SAME = 3, /* each block equal to the one block of data-out */
};

/* A VERIFY under way: task->own. */
struct verify {
	struct sbc_pieces pieces;
	enum bytchk bytchk;
	uint8_t block[SBC_BLOCK_MAX + PI_LEN]; /* BYTCHK_SAME: what each is compared with */
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

/* A piece is whole blocks. */
static size_t equal_to_block(const struct verify *verify)
{
	size_t len = verify->pieces.iov.iov_len, size = verify->pieces.use.unit;

	for (size_t at = 0; at < len; at += size) {
		size_t equal = sbc_equal_bytes(verify->pieces.piece + at, verify->block, size);

		if (equal < size)
			return at + equal;
	}
	return len;
}

/* ---- with tuples ---- */

/* What the block and tuple @i of the range are compared with. */
static void take_unit(struct verify *verify, uint64_t i, uint8_t *unit)
{
	const struct pi_use *use = &verify->pieces.use;
	uint8_t *at = unit + use->unit - PI_LEN;
	struct pi_tuple tuple;

	if (verify->bytchk == BYTCHK_ALL) {
		walk_get(&verify->pieces.data, unit, use->unit);
		return;
	}
	memcpy(unit, verify->block, use->unit);
	tuple = pi_tuple_get(at);
	tuple.ref += use->ref_stays ? 0 : (uint32_t)i;
	pi_tuple_put(at, tuple);
}

/* Return: the first of @fields that is not the same; 0: none. */
static uint8_t different_field(uint8_t fields, const uint8_t *a, const uint8_t *b)
{
	if ((fields & PI_GUARD) && memcmp(a, b, 2))
		return PI_GUARD;
	if ((fields & PI_APP) && memcmp(a + 2, b + 2, 2))
		return PI_APP;
	return (fields & PI_REF) && memcmp(a + 4, b + 4, 4) ? PI_REF : 0;
}

static enum scsi_step compare_units(struct scsi_task *task, struct verify *verify)
{
	const struct sbc_pieces *pieces = &verify->pieces;
	uint32_t unit = pieces->use.unit, size = unit - PI_LEN;
	uint8_t sent[SBC_BLOCK_MAX + PI_LEN], field;

	for (size_t at = 0; at < pieces->iov.iov_len; at += unit) {
		uint64_t offset = pieces->done + at;
		size_t equal;

		take_unit(verify, offset / unit, sent);
		equal = sbc_equal_bytes(pieces->piece + at, sent, size);
		if (equal < size)
			return scsi_check_info(task, SENSE_MISCOMPARE, offset + equal);
		field = different_field(pieces->use.compare, pieces->piece + at + size,
					sent + size);
		if (field) /* as numbers, fields are where they stand in a tuple: 0, 2, 4 */
			return scsi_check_info(task, pi_miscompare_of(field),
					       offset + size + (field & ~1u));
	}
	return SCSI_READY;
}

/* ---- */

/* INFORMATION of a miscompare is the byte's offset in the data-out. */
static enum scsi_step verify_piece(struct scsi_task *task)
{
	struct verify *verify = task->own;
	struct sbc_pieces *pieces = &verify->pieces;
	size_t equal;

	if (verify->bytchk == BYTCHK_NONE)
		return SCSI_READY;
	if (pieces->use.tuples)
		return compare_units(task, verify);
	equal = verify->bytchk == BYTCHK_ALL ? sbc_pieces_equal(pieces) : equal_to_block(verify);
	if (equal < pieces->iov.iov_len)
		return scsi_check_info(task, SENSE_MISCOMPARE, pieces->done + equal);
	return SCSI_READY;
}

static enum scsi_step verify_start(struct scsi_task *task, const struct pi_use *use,
				   enum bytchk bytchk, uint64_t len)
{
	struct verify *verify = malloc(sizeof(*verify));

	if (!verify)
		return scsi_finish(task, STATUS_BUSY);
	verify->bytchk = bytchk;
	if (bytchk == BYTCHK_SAME)
		scsi_param_copy(task, verify->block, use->unit);
	verify->pieces.each = verify_piece;
	verify->pieces.end = scsi_good;
	return sbc_pieces_start(task, &verify->pieces, use, len);
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
