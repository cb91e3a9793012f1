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

/* In task->own, filled on a helper thread, which may not look at the LU's view. */
struct lba_status {
	uint64_t n_lu_blocks;
	unsigned shift, n;
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
static int extent_at(const struct scsi_lu *lu, const struct lba_status *status, uint64_t lba,
		     struct lba_extent *ret_extent)
{
	uint64_t offset = lba << status->shift, end = status->n_lu_blocks << status->shift, len;
	uint64_t n_blocks;
	bool stored;
	int r = lu->backend->extent(lu->store, offset, end - offset, &len, &stored);

	if (r < 0)
		return r;
	n_blocks = len >> status->shift;
	if (stored && n_blocks << status->shift != len)
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
	uint64_t lba = task->lba;

	while (status->n < MAX_EXTENTS && lba < status->n_lu_blocks &&
	       HEADER_LEN + status->n * EXTENT_LEN < task->need_in) {
		struct lba_extent *extent = &status->extents[status->n], *last = extent - 1;
		int r = extent_at(task->lu, status, lba, extent);

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
	const struct scsi_lu_view *view = scsi_lu_view(task->lu);
	struct lba_status *status = calloc(1, sizeof(*status));
	uint64_t left;

	if (!status)
		return scsi_finish(task, STATUS_BUSY);
	task->own = status;
	if (task->lba >= view->n_blocks) /* the LU has shrunk since */
		return scsi_check_info(task, SENSE_LBA_OUT_OF_RANGE, task->lba);
	left = view->n_blocks - task->lba;
	status->n_lu_blocks = view->n_blocks;
	status->shift = view->block_shift;
	if (can_tell(task->lu))
		return scsi_task_work(task, find_extents, reply);
	/* A fully provisioned LU: all of it is mapped. */
	task->work_res = 0;
	status->n = 1;
	status->extents[0] = (struct lba_extent){
		task->lba, left < UINT32_MAX ? (uint32_t)left : UINT32_MAX, MAPPED};
	return reply(task);
}
