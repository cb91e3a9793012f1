/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WRITE SAME (10) (16) (32): one block of data-out, or zeroes (NDOB), in each block of the range.
 * With UNMAP a range of zeroes is given back instead, since it reads as zeroes afterwards; blocks
 * of anything else are written, UNMAP or not. ANCHOR is not offered: a usage bit that is 0.
 * Source: SBC-4 r22, WRITE SAME.
 */
#include "scsi/lu_priv.h"
#include "scsi/sbc/sbc.h"
#include <stdlib.h>

#define PIECE_MAX (256u << 10) /* of any block size a multiple */

enum {
	/* of sbc_flags() */
	UNMAP = 0x08,
	NDOB = 0x01,
};

/* A WRITE SAME under way: task->own. */
struct write_same {
	uint64_t at, end; /* bytes */
	struct iovec iov;
	uint32_t cap;	 /* bytes of piece, whole blocks */
	uint8_t piece[]; /* the block, again and again */
};

enum scsi_step sbc_plan_write_same(struct scsi_task *task)
{
	const struct scsi_lu_view *view = scsi_lu_view(task->lu);
	enum scsi_step step = scsi_plan_range(task);

	if (step != SCSI_READY)
		return step;
	if ((sbc_flags(task) & UNMAP) && !view->thin)
		return scsi_check_field(task, sbc_flags_at(task), UNMAP);
	/* 0 blocks are none: WSNZ in page B0 */
	if (!task->n_blocks || task->n_blocks > SBC_WRITE_SAME_MAX_BLOCKS)
		return scsi_refuse_length(task);
	task->need_out = sbc_flags(task) & NDOB ? 0 : view->block_size;
	/* Less than a block cannot be repeated; more is a misunderstanding that costs data. */
	if (task->expect_out != task->need_out)
		return scsi_check(task, SENSE_INVALID_FIELD_IN_IU);
	return SCSI_READY;
}

static enum scsi_step write_next(struct scsi_task *task)
{
	struct write_same *same = task->own;
	uint64_t left = same->end - same->at;

	if (!left)
		return sbc_end_writes(task);
	same->iov.iov_base = same->piece;
	same->iov.iov_len = left < same->cap ? left : same->cap;
	task->io.kind = DUOTGT_IO_WRITE;
	task->io.flags = 0;
	task->io.iov = &same->iov;
	task->io.n_iov = 1;
	task->io.offset = same->at;
	task->io.len = same->iov.iov_len;
	same->at += task->io.len;
	return scsi_task_io(task, write_next);
}

static enum scsi_step write_blocks(struct scsi_task *task, const uint8_t *block)
{
	const struct scsi_lu_view *view = scsi_lu_view(task->lu);
	uint64_t len = task->n_blocks << view->block_shift;
	uint32_t cap = len < PIECE_MAX ? (uint32_t)len : PIECE_MAX;
	struct write_same *same = malloc(sizeof(*same) + cap);

	if (!same)
		return scsi_finish(task, STATUS_BUSY);
	task->own = same;
	same->at = task->lba << view->block_shift;
	same->end = same->at + len;
	same->cap = cap;
	for (uint32_t i = 0; i < cap; i += view->block_size)
		memcpy(same->piece + i, block, view->block_size);
	return write_next(task);
}

static enum scsi_step give_back(struct scsi_task *task)
{
	unsigned shift = scsi_lu_view(task->lu)->block_shift;

	task->io.kind = DUOTGT_IO_DISCARD;
	task->io.flags = 0;
	task->io.iov = NULL;
	task->io.n_iov = 0;
	task->io.offset = task->lba << shift;
	task->io.len = task->n_blocks << shift;
	return scsi_task_io(task, sbc_end_writes);
}

static bool is_zero(const uint8_t *block, size_t len)
{
	return !block[0] && !memcmp(block, block + 1, len - 1);
}

enum scsi_step sbc_write_same(struct scsi_task *task)
{
	uint8_t block[SBC_BLOCK_MAX] = {0};
	uint32_t block_size = scsi_lu_view(task->lu)->block_size;

	if (!(sbc_flags(task) & NDOB) && scsi_param_copy(task, block, block_size) < block_size)
		return scsi_check(task, SENSE_INVALID_FIELD_IN_IU);
	if ((sbc_flags(task) & UNMAP) && is_zero(block, block_size))
		return give_back(task);
	return write_blocks(task, block);
}
