/* SPDX-License-Identifier: Apache-2.0 */
/* GET LBA STATUS: which blocks take space, as the store knows it. Source: SBC-4 r22. */
#include "scsi/lu_priv.h"
#include "scsi/sbc/sbc.h"
#include <stdlib.h>

enum {
	HEADER_LEN = 8,
	EXTENT_LEN = 16,
	MAX_EXTENTS = 64, /* of one reply; the initiator goes on from the last one's end */
	MAPPED = 0,
	DEALLOCATED = 1,
};

/* In task->own, filled on a helper thread. */
struct lba_status {
	unsigned n;
	struct lba_extent {
		uint64_t lba;
		uint32_t n_blocks;
		uint8_t status;
	} extents[MAX_EXTENTS];
};

enum scsi_step sbc_plan_lba_status(struct scsi_task *task)
{
	task->lba = be64_get(task->cdb + 2);
	if (task->lba >= scsi_lu_view(task->lu)->n_blocks)
		return scsi_check_info(task, SENSE_LBA_OUT_OF_RANGE, task->lba);
	return scsi_plan_alloc32_at10(task);
}

static bool can_tell(const struct scsi_lu *lu)
{
	return scsi_lu_view(lu)->thin && scsi_backend_has(lu->backend, extent);
}

/*
 * What is alike from @lba on. A block of which any part is stored is mapped; without a hole from
 * its first byte to its last, it is not called deallocated.
 */
static int extent_at(const struct scsi_lu *lu, uint64_t lba, struct lba_extent *ret_extent)
{
	const struct scsi_lu_view *view = scsi_lu_view(lu);
	uint64_t offset = lba << view->block_shift, end = view->n_blocks << view->block_shift, len;
	uint64_t n_blocks;
	bool stored;
	int r = lu->backend->extent(lu->store, offset, end - offset, &len, &stored);

	if (r < 0)
		return r;
	n_blocks = len >> view->block_shift;
	if (stored && len & (view->block_size - 1))
		n_blocks++;
	if (!n_blocks) { /* the hole ends inside the first block */
		stored = true;
		n_blocks = 1;
	}
	if (n_blocks > UINT32_MAX)
		n_blocks = UINT32_MAX;
	*ret_extent = (struct lba_extent){lba, (uint32_t)n_blocks, stored ? MAPPED : DEALLOCATED};
	return 0;
}

static int find_extents(struct scsi_task *task)
{
	struct lba_status *status = task->own;
	const struct scsi_lu_view *view = scsi_lu_view(task->lu);
	uint64_t lba = task->lba;

	while (status->n < MAX_EXTENTS && lba < view->n_blocks &&
	       HEADER_LEN + status->n * EXTENT_LEN < task->need_in) {
		struct lba_extent *extent = &status->extents[status->n], *last = extent - 1;
		int r = extent_at(task->lu, lba, extent);

		if (r < 0)
			return r;
		lba += extent->n_blocks;
		/* Where a block had to be rounded, two neighbours may have become alike. */
		if (status->n && last->status == extent->status &&
		    extent->n_blocks <= UINT32_MAX - last->n_blocks)
			last->n_blocks += extent->n_blocks;
		else
			status->n++;
	}
	return 0;
}

static enum scsi_step reply(struct scsi_task *task)
{
	const struct lba_status *status = task->own;
	uint8_t buf[HEADER_LEN + MAX_EXTENTS * EXTENT_LEN];
	struct bytes_out out = bytes_out(buf, sizeof(buf));

	if (task->work_res < 0)
		return scsi_check_info(task, SENSE_UNRECOVERED_READ_ERROR, task->lba);
	out_be32(&out, (uint32_t)(HEADER_LEN - 4 + status->n * EXTENT_LEN));
	out_zero(&out, 4);
	for (unsigned i = 0; i < status->n; i++) {
		out_be64(&out, status->extents[i].lba);
		out_be32(&out, status->extents[i].n_blocks);
		out_u8(&out, status->extents[i].status);
		out_zero(&out, 3);
	}
	return scsi_reply(task, buf, out.len);
}

enum scsi_step sbc_get_lba_status(struct scsi_task *task)
{
	uint64_t left = scsi_lu_view(task->lu)->n_blocks - task->lba;
	struct lba_status *status = calloc(1, sizeof(*status));

	if (!status)
		return scsi_finish(task, STATUS_BUSY);
	task->own = status;
	if (can_tell(task->lu))
		return scsi_task_work(task, find_extents, reply);
	/* A fully provisioned LU: all of it is mapped. */
	task->work_res = 0;
	status->n = 1;
	status->extents[0] = (struct lba_extent){
		task->lba, left < UINT32_MAX ? (uint32_t)left : UINT32_MAX, MAPPED};
	return reply(task);
}
