/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WRITE SAME (10) (16) (32): one block of data-out, or zeroes (NDOB), in each block of the range.
 * With UNMAP a range of zeroes is given back instead, since it reads as zeroes afterwards; blocks
 * of anything else are written, UNMAP or not. ANCHOR is not offered: a usage bit that is 0.
 *
 * Protection information that comes with the block is written with each, its reference tag counting
 * up but for type 3; NDOB and UNMAP leave blocks that are not checked (all FFh), so a block that
 * comes with anything else is written.
 * Source: SBC-4 r22, WRITE SAME.
 */
#include "scsi/lu_priv.h"
#include "scsi/pi/protect.h"
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
	struct pi_args args; /* of its first block */
	bool protect;	     /* args are told */
	uint64_t at, end;    /* bytes */
	struct iovec iov;
	uint32_t cap;	 /* bytes of piece, whole blocks */
	uint8_t piece[]; /* the block, again and again */
};

enum scsi_step sbc_plan_write_same(struct scsi_task *task)
{
	const struct scsi_lu_view *view = scsi_lu_view(task->lu);
	enum scsi_step step = pi_judge(task, PI_WRITES);

	if (step == SCSI_READY)
		step = scsi_plan_range(task);
	if (step != SCSI_READY)
		return step;
	if ((sbc_flags(task) & UNMAP) && !view->thin)
		return scsi_check_field(task, sbc_flags_at(task), UNMAP);
	/* 0 blocks are all up to the last one, or, with WSNZ in page B0, not allowed */
	if (!task->n_blocks && view->write_same_to_end)
		task->n_blocks = view->n_blocks - task->lba;
	if (!task->n_blocks || task->n_blocks > SBC_WRITE_SAME_MAX_BLOCKS)
		return scsi_refuse_length(task);
	task->need_out = sbc_flags(task) & NDOB ? 0 : pi_use_of(task, PI_WRITES).unit;
	/* Less than a block cannot be repeated; more is a misunderstanding that costs data. */
	if (task->expect_out != task->need_out)
		return scsi_check(task, SENSE_INVALID_FIELD_IN_IU);
	return SCSI_READY;
}

static void tell_tuple(struct scsi_task *task, const struct write_same *same)
{
	struct pi_args args = same->args;
	uint64_t block = (same->at >> scsi_lu_view(task->lu)->block_shift) - task->lba;

	args.tuple.ref += args.ref_stays ? 0 : (uint32_t)block;
	pi_set_args(&task->io, &args);
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
	if (same->protect)
		tell_tuple(task, same);
	same->at += task->io.len;
	return scsi_task_io(task, write_next);
}

/* @block: followed by its tuple, when use->tuples */
static struct pi_args args_of(const struct scsi_task *task, const struct pi_use *use,
			      const uint8_t *block)
{
	struct pi_args args = {.mode = PI_MAKE, .tuple = use->made};

	if (sbc_flags(task) & NDOB) {
		args.mode = PI_ESCAPE;
	} else if (use->tuples) {
		args.mode = PI_SAME;
		args.ref_stays = use->ref_stays;
		args.tuple = pi_tuple_get(block + use->unit - PI_LEN);
	}
	return args;
}

static enum scsi_step write_blocks(struct scsi_task *task, const struct pi_use *use,
				   const uint8_t *block)
{
	const struct scsi_lu_view *view = scsi_lu_view(task->lu);
	uint64_t len = task->n_blocks << view->block_shift;
	uint32_t cap = len < PIECE_MAX ? (uint32_t)len : PIECE_MAX;
	struct write_same *same = malloc(sizeof(*same) + cap);

	if (!same)
		return scsi_finish(task, STATUS_BUSY);
	task->own = same;
	same->protect = use->on;
	same->args = args_of(task, use, block);
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

static bool is_all(const uint8_t *p, uint8_t byte, size_t len)
{
	return p[0] == byte && !memcmp(p, p + 1, len - 1);
}

/* What reads the same when it is given back. */
static bool is_like_unmapped(const struct pi_use *use, const uint8_t *block, uint32_t block_size)
{
	return is_all(block, 0, block_size) &&
	       (!use->tuples || is_all(block + block_size, 0xff, PI_LEN));
}

enum scsi_step sbc_write_same(struct scsi_task *task)
{
	uint32_t block_size = scsi_lu_view(task->lu)->block_size;
	struct pi_use use = pi_use_of(task, PI_WRITES);
	uint8_t block[SBC_BLOCK_MAX + PI_LEN] = {0};

	if (sbc_flags(task) & NDOB)
		use.tuples = false; /* there is no data-out that could have any */
	else if (scsi_param_copy(task, block, use.unit) < use.unit)
		return scsi_check(task, SENSE_INVALID_FIELD_IN_IU);
	if (pi_check_data(task, &use, 0, 1) == SCSI_DONE)
		return SCSI_DONE;
	if ((sbc_flags(task) & UNMAP) && is_like_unmapped(&use, block, block_size))
		return give_back(task);
	return write_blocks(task, &use, block);
}
