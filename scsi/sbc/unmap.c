/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UNMAP of a thin LU. All descriptors are judged before the first is acted upon; then they are
 * discarded one after the other. Source: SBC-4 r22, UNMAP.
 */
#include "scsi/lu_priv.h"
#include "scsi/sbc/sbc.h"
#include "util/bytes.h"
#include <stdlib.h>

enum { HEADER_LEN = 8, RANGE_LEN = 16 };

/* An UNMAP under way: task->own. */
struct unmap {
	unsigned n, next;
	struct unmap_range {
		uint64_t lba;
		uint32_t n_blocks;
	} ranges[SBC_UNMAP_MAX_RANGES];
};

bool sbc_unmap_offered(const struct scsi_lu *lu)
{
	return scsi_lu_view(lu)->thin;
}

static enum scsi_step unmap_next(struct scsi_task *task)
{
	struct unmap *unmap = task->own;
	unsigned shift = scsi_lu_view(task->lu)->block_shift;

	while (unmap->next < unmap->n) {
		const struct unmap_range *range = &unmap->ranges[unmap->next++];

		if (!range->n_blocks)
			continue;
		task->io.kind = DUOTGT_IO_DISCARD;
		task->io.flags = 0;
		task->io.iov = NULL;
		task->io.n_iov = 0;
		task->io.offset = range->lba << shift;
		task->io.len = (uint64_t)range->n_blocks << shift;
		return scsi_task_io(task, unmap_next);
	}
	return sbc_end_writes(task);
}

/* Reads and judges the descriptors at @in. Return: SCSI_READY, or SCSI_DONE with the answer. */
static enum scsi_step unmap_judge(struct scsi_task *task, struct bytes_in *in, struct unmap *unmap)
{
	uint64_t n_lu_blocks = scsi_lu_view(task->lu)->n_blocks, total = 0;

	for (unsigned i = 0; i < unmap->n; i++) {
		struct unmap_range *range = &unmap->ranges[i];

		range->lba = in_be64(in);
		range->n_blocks = in_be32(in);
		in_skip(in, 4);
		if (range->lba > n_lu_blocks)
			return scsi_check_info(task, SENSE_LBA_OUT_OF_RANGE, range->lba);
		if (range->n_blocks > n_lu_blocks - range->lba)
			return scsi_check_info(task, SENSE_LBA_OUT_OF_RANGE, n_lu_blocks);
		total += range->n_blocks;
		if (total > SBC_UNMAP_MAX_BLOCKS)
			return scsi_check_param(task, HEADER_LEN + i * RANGE_LEN + 8, 0xff);
	}
	return SCSI_READY;
}

enum scsi_step sbc_unmap(struct scsi_task *task)
{
	uint8_t list[HEADER_LEN + SBC_UNMAP_MAX_RANGES * RANGE_LEN];
	size_t list_len = scsi_param_copy(task, list, sizeof(list));
	struct bytes_in in = bytes_in(list, list_len);
	uint16_t ranges_len;

	if (!task->need_out)
		return scsi_good(task); /* no list is no error */
	if (task->need_out < HEADER_LEN)
		return scsi_check(task, SENSE_PARAMETER_LIST_LENGTH);
	in_skip(&in, 2); /* UNMAP DATA LENGTH: what matters of it is the descriptors' length */
	ranges_len = in_be16(&in);
	in_skip(&in, 4);
	if (in.bad || (uint32_t)ranges_len + HEADER_LEN > task->need_out)
		return scsi_check(task, SENSE_PARAMETER_LIST_LENGTH);
	/* What is left over after the last whole descriptor is ignored. */
	if (ranges_len / RANGE_LEN > SBC_UNMAP_MAX_RANGES)
		return scsi_check_param(task, 2, 0xff);
	if (ranges_len / RANGE_LEN > in.left / RANGE_LEN)
		return scsi_check(task, SENSE_PARAMETER_LIST_LENGTH);
	task->own = malloc(sizeof(struct unmap));
	if (!task->own)
		return scsi_finish(task, STATUS_BUSY);
	((struct unmap *)task->own)->n = ranges_len / RANGE_LEN;
	((struct unmap *)task->own)->next = 0;
	if (unmap_judge(task, &in, task->own) == SCSI_DONE)
		return SCSI_DONE;
	return unmap_next(task);
}
