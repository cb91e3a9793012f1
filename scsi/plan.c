/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plans: how much data a command moves, and which blocks, read from its CDB.
 * Source: SPC-5 r22, allocation and parameter list lengths; SBC-4 r22, LBA and transfer length.
 */
#include "scsi/lu_priv.h"

static enum scsi_step plan_in(struct scsi_task *task, uint64_t len_bytes)
{
	task->need_in = len_bytes;
	return SCSI_READY;
}

static enum scsi_step plan_out(struct scsi_task *task, uint64_t len_bytes)
{
	task->need_out = len_bytes;
	return SCSI_READY;
}

enum scsi_step scsi_plan_alloc8_at4(struct scsi_task *task)
{
	return plan_in(task, task->cdb[4]);
}

enum scsi_step scsi_plan_alloc16_at3(struct scsi_task *task)
{
	return plan_in(task, be16_get(task->cdb + 3));
}

enum scsi_step scsi_plan_alloc16_at7(struct scsi_task *task)
{
	return plan_in(task, be16_get(task->cdb + 7));
}

enum scsi_step scsi_plan_alloc32_at6(struct scsi_task *task)
{
	return plan_in(task, be32_get(task->cdb + 6));
}

enum scsi_step scsi_plan_alloc32_at10(struct scsi_task *task)
{
	return plan_in(task, be32_get(task->cdb + 10));
}

enum scsi_step scsi_plan_list8_at4(struct scsi_task *task)
{
	return plan_out(task, task->cdb[4]);
}

enum scsi_step scsi_plan_list16_at7(struct scsi_task *task)
{
	return plan_out(task, be16_get(task->cdb + 7));
}

/* Where a CDB has its range, by its length. */
static void decode_range(struct scsi_task *task)
{
	const uint8_t *cdb = task->cdb;

	switch (task->op->cdb_len) {
	case 6:
		task->lba = be24_get(cdb + 1) & 0x1fffff;
		task->n_blocks = cdb[4] ? cdb[4] : 256; /* READ (6), WRITE (6): 0 is 256 */
		break;
	case 10:
		task->lba = be32_get(cdb + 2);
		task->n_blocks = be16_get(cdb + 7);
		break;
	case 12:
		task->lba = be32_get(cdb + 2);
		task->n_blocks = be32_get(cdb + 6);
		break;
	case 16:
		task->lba = be64_get(cdb + 2);
		task->n_blocks = be32_get(cdb + 10);
		break;
	default: /* 32 bytes, opcode 7Fh */
		task->lba = be64_get(cdb + 12);
		task->n_blocks = be32_get(cdb + 28);
	}
}

enum scsi_step scsi_refuse_length(struct scsi_task *task)
{
	switch (task->op->cdb_len) {
	case 6:
		return scsi_check_field(task, 4, 0);
	case 10:
		return scsi_check_field(task, 7, 0);
	case 12:
		return scsi_check_field(task, 6, 0);
	case 16:
		return scsi_check_field(task, 10, 0);
	default:
		return scsi_check_field(task, 28, 0);
	}
}

static enum scsi_step check_range(struct scsi_task *task)
{
	uint64_t end = scsi_lu_view(task->lu)->n_blocks;

	if (task->lba >= end)
		return scsi_check_info(task, SENSE_LBA_OUT_OF_RANGE, task->lba);
	if (task->n_blocks > end - task->lba)
		return scsi_check_info(task, SENSE_LBA_OUT_OF_RANGE, end);
	return SCSI_READY;
}

/* With the maximum transfer length, which is for commands that move the data of their blocks. */
static enum scsi_step plan_blocks(struct scsi_task *task, uint64_t *ret_len_bytes)
{
	const struct scsi_lu_view *view = scsi_lu_view(task->lu);
	enum scsi_step step = scsi_plan_range(task);

	if (step != SCSI_READY)
		return step;
	if (task->n_blocks > view->max_transfer >> view->block_shift)
		return scsi_refuse_length(task);
	*ret_len_bytes = task->n_blocks << view->block_shift;
	return SCSI_READY;
}

enum scsi_step scsi_plan_read(struct scsi_task *task)
{
	return plan_blocks(task, &task->need_in);
}

enum scsi_step scsi_plan_write_of(struct scsi_task *task, uint32_t unit)
{
	enum scsi_step step = plan_blocks(task, &task->need_out);

	task->need_out = task->n_blocks * unit;
	if (step == SCSI_READY && task->expect_out < task->need_out && task->expect_out % unit) {
		task->out_len = task->need_out;
		return scsi_check(task, SENSE_INVALID_FIELD_IN_IU);
	}
	return step;
}

enum scsi_step scsi_plan_write(struct scsi_task *task)
{
	return scsi_plan_write_of(task, scsi_lu_view(task->lu)->block_size);
}

enum scsi_step scsi_plan_range(struct scsi_task *task)
{
	decode_range(task);
	return check_range(task);
}
