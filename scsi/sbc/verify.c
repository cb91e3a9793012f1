/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VERIFY (10) (12) (16) (32): reads the range, and compares it with the data-out where BYTCHK says
 * so. The range is read in pieces, so that any length is verified in one small buffer.
 * Source: SBC-4 r22, VERIFY.
 */
#include "scsi/lu_priv.h"
#include "scsi/sbc/sbc.h"
#include "util/bytes.h"
#include <stdlib.h>

#define PIECE_MAX (64u << 10)

enum bytchk {
	BYTCHK_NONE = 0, /* only readable */
	BYTCHK_ALL = 1,	 /* equal to the data-out, byte by byte */
	BYTCHK_SAME = 3, /* each block equal to the one block of data-out */
};

/* A VERIFY under way: task->own. */
struct verify {
	enum bytchk bytchk;
	uint64_t done, total; /* bytes of the range */
	struct iovec iov;     /* of the piece being read */
	int seg;	      /* where comparing has got to in the data-out */
	size_t seg_at;
	uint8_t block[SBC_BLOCK_MAX]; /* BYTCHK_SAME: what each is compared with */
	uint8_t piece[PIECE_MAX];
};

static enum bytchk cdb_bytchk(const struct scsi_task *task)
{
	return (sbc_flags(task) >> 1) & 3;
}

enum scsi_step sbc_plan_verify(struct scsi_task *task)
{
	enum scsi_step step;

	switch (cdb_bytchk(task)) {
	case BYTCHK_NONE:
		return scsi_plan_range(task);
	case BYTCHK_ALL:
		return scsi_plan_write(task);
	case BYTCHK_SAME:
		step = scsi_plan_range(task);
		if (step == SCSI_READY && task->n_blocks)
			task->need_out = scsi_lu_view(task->lu)->block_size;
		return step;
	default:
		return scsi_check_field(task, sbc_flags_at(task), 0x06);
	}
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
static size_t equal_to_data(const struct scsi_task *task, struct verify *verify, size_t len)
{
	size_t at = 0;

	while (at < len && verify->seg < task->n_iov) {
		const struct iovec *iov = &task->iov[verify->seg];
		size_t n = iov->iov_len - verify->seg_at;
		size_t equal;

		n = n < len - at ? n : len - at;
		equal = equal_bytes(verify->piece + at,
				    (const uint8_t *)iov->iov_base + verify->seg_at, n);
		at += equal;
		if (equal < n)
			return at;
		verify->seg_at += n;
		if (verify->seg_at == iov->iov_len) {
			verify->seg++;
			verify->seg_at = 0;
		}
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

static enum scsi_step verify_piece(struct scsi_task *task);

/* A piece has been read. INFORMATION of a miscompare is the byte's offset in the range. */
static enum scsi_step verify_compare(struct scsi_task *task)
{
	struct verify *verify = task->own;
	size_t len = verify->iov.iov_len, equal = len;

	if (verify->bytchk == BYTCHK_ALL)
		equal = equal_to_data(task, verify, len);
	else if (verify->bytchk == BYTCHK_SAME)
		equal = equal_to_block(verify, len, scsi_lu_view(task->lu)->block_size);
	if (equal < len)
		return scsi_check_info(task, SENSE_MISCOMPARE, verify->done + equal);
	verify->done += len;
	return verify_piece(task);
}

static enum scsi_step verify_piece(struct scsi_task *task)
{
	struct verify *verify = task->own;
	uint64_t left = verify->total - verify->done;

	if (!left)
		return scsi_good(task);
	verify->iov.iov_base = verify->piece;
	verify->iov.iov_len = left < PIECE_MAX ? left : PIECE_MAX;
	task->io.kind = DUOTGT_IO_READ;
	task->io.flags = 0;
	task->io.iov = &verify->iov;
	task->io.n_iov = 1;
	task->io.offset = (task->lba << scsi_lu_view(task->lu)->block_shift) + verify->done;
	task->io.len = verify->iov.iov_len;
	return scsi_task_io(task, verify_compare);
}

static uint64_t data_len(const struct scsi_task *task)
{
	uint64_t len = 0;

	for (int i = 0; i < task->n_iov; i++)
		len += task->iov[i].iov_len;
	return len;
}

static enum scsi_step verify_start(struct scsi_task *task, enum bytchk bytchk, uint64_t len)
{
	struct verify *verify = malloc(sizeof(*verify));

	if (!verify)
		return scsi_finish(task, STATUS_BUSY);
	task->own = verify;
	verify->bytchk = bytchk;
	verify->done = 0;
	verify->total = len;
	verify->seg = 0;
	verify->seg_at = 0;
	if (bytchk == BYTCHK_SAME)
		scsi_param_copy(task, verify->block, scsi_lu_view(task->lu)->block_size);
	return verify_piece(task);
}

enum scsi_step sbc_verify_written(struct scsi_task *task, bool compare, uint64_t len)
{
	return verify_start(task, compare ? BYTCHK_ALL : BYTCHK_NONE, len);
}

enum scsi_step sbc_verify(struct scsi_task *task)
{
	if (!task->n_blocks)
		return scsi_good(task);
	/* An initiator that sends less than its CDB says cannot be told that all is equal. */
	if (task->need_out && data_len(task) < task->need_out)
		return scsi_check(task, SENSE_PARAMETER_LIST_LENGTH);
	return verify_start(task, cdb_bytchk(task),
			    task->n_blocks << scsi_lu_view(task->lu)->block_shift);
}
