/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SANITIZE: OVERWRITE, BLOCK ERASE of thin LUs, CRYPTOGRAPHIC ERASE of encrypted ones, EXIT FAILURE
 * MODE. Once begun it goes on, whatever task management or the connection of the initiator do. ZNR
 * is for zoned devices. Source: SBC-4 r22, SANITIZE.
 */
#include "scsi/lu_priv.h"
#include "scsi/sbc/background.h"
#include "util/bytes.h"

enum {
	/* CDB, byte 1 */
	SANITIZE_IMMED = 0x80,
	AUSE = 0x20,

	/* overwrite parameter list, byte 0 */
	INVERT = 0x80,
	TEST = 0x60,
	COUNT = 0x1f,

	LIST_HEADER = 4, /* the pattern follows */
	LIST_LENGTH_AT = 7,
};

/* A pattern has one byte at least and a block at most. */
enum scsi_step sbc_plan_sanitize_overwrite(struct scsi_task *task)
{
	uint16_t len = be16_get(task->cdb + LIST_LENGTH_AT);

	if (len <= LIST_HEADER || len > LIST_HEADER + scsi_lu_view(task->lu)->block_size)
		return scsi_check_field(task, LIST_LENGTH_AT, 0);
	task->need_out = len;
	return SCSI_READY;
}

static enum scsi_step sanitize(struct scsi_task *task, struct sbc_wipe *wipe)
{
	wipe->doing = SENSE_SANITIZE_IN_PROGRESS;
	wipe->failed = SENSE_SANITIZE_FAILED;
	wipe->sticks = true;
	wipe->exit_allowed = task->cdb[1] & AUSE;
	return sbc_background_start(task, wipe, task->cdb[1] & SANITIZE_IMMED,
				    SENSE_SANITIZE_FAILED);
}

enum scsi_step sbc_sanitize_overwrite(struct scsi_task *task)
{
	uint8_t list[LIST_HEADER + SBC_BLOCK_MAX];
	size_t len = scsi_param_copy(task, list, task->need_out);
	struct sbc_wipe wipe = {.how = WIPE_WRITE, .pattern = list + LIST_HEADER};

	if (len < task->need_out)
		return scsi_check(task, SENSE_PARAMETER_LIST_LENGTH);
	if (list[0] & TEST)
		return scsi_check_param(task, 0, list[0] & TEST);
	if (!(list[0] & COUNT))
		return scsi_check_param(task, 0, COUNT);
	if (list[1])
		return scsi_check_param(task, 1, list[1]);
	wipe.invert = list[0] & INVERT;
	wipe.n_passes = list[0] & COUNT;
	wipe.pattern_len = be16_get(list + 2);
	if (!wipe.pattern_len || wipe.pattern_len > len - LIST_HEADER)
		return scsi_check_param(task, 2, 0xff);
	return sanitize(task, &wipe);
}

enum scsi_step sbc_sanitize_block_erase(struct scsi_task *task)
{
	static const uint8_t zero[1];
	struct sbc_wipe wipe = {
		.how = WIPE_ERASE, .n_passes = 1, .pattern = zero, .pattern_len = 1};

	return sanitize(task, &wipe);
}

bool sbc_crypto_erase_offered(const struct scsi_lu *lu)
{
	return lu->crypt;
}

enum scsi_step sbc_sanitize_crypto_erase(struct scsi_task *task)
{
	struct sbc_wipe wipe = {.how = WIPE_REKEY, .n_passes = 1};

	return sanitize(task, &wipe);
}

static int forget(struct scsi_task *task)
{
	return sbc_wipe_forget(task->lu);
}

static enum scsi_step forgotten(struct scsi_task *task)
{
	if (task->work_res < 0)
		return scsi_check(task, SENSE_INTERNAL_TARGET_FAILURE);
	sbc_background_forgive(task->lu);
	return scsi_good(task);
}

/* Without a failure there is nothing to do. */
enum scsi_step sbc_sanitize_exit_failure(struct scsi_task *task)
{
	if (!sbc_background_may_forgive(task->lu))
		return scsi_check_field(task, 1, 0x1f);
	if (!task->lu->state_dir) {
		sbc_background_forgive(task->lu);
		return scsi_good(task);
	}
	return scsi_task_work(task, forget, forgotten);
}
