/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WRITE ATOMIC: all of its blocks, or none, whatever happens meanwhile. That no other command sees
 * half of it is the gate's doing. For a loss of power, a killed process and a store that fails,
 * what the range held before is first saved beside the LU's other state; once the new blocks are on
 * stable storage that is removed again, and only then the command is GOOD. What is found there when
 * the LU is opened is put back. One block needs none of this: it is never written by halves.
 *
 * So VPD page B0 offers as much as is saved at once, in whole physical blocks, and none at all
 * where there is no place for state. ATOMIC BOUNDARY is not offered: it is for writes larger than
 * what can be done as one. On a LU with protection information, blocks are saved with their
 * tuples; of one that is encrypted, as they are in the store. Source: SBC-4 r22, WRITE ATOMIC (16),
 * atomic writes.
 */
#include "scsi/crypt/crypt.h"
#include "scsi/lu_priv.h"
#include "scsi/pi/protect.h"
#include "scsi/sbc/atomic.h"
#include "scsi/sbc/sbc.h"
#include "scsi/sbc/walk.h"
#include "scsi/spc/state.h"
#include "util/atomic_file.h"
#include "util/bytes.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define UNDO_FILE "undo"

enum {
	FUA = 0x08,	      /* byte 1 */
	LBA = 2,	      /* the byte */
	TRANSFER_LENGTH = 12, /* likewise */
	HEADER_LEN = 8,	      /* of the file: offset in the store; then the blocks */
	UNDO_MAX = ATOMIC_FILE_MAX - HEADER_LEN,
};

/* What was there before: task->own. */
struct undo {
	uint64_t len;
	struct iovec iov;
	uint8_t file[HEADER_LEN + UNDO_MAX];
};

uint32_t sbc_atomic_max_blocks(const struct scsi_lu *lu)
{
	const struct scsi_lu_view *view = scsi_lu_view(lu);
	uint32_t saved = UNDO_MAX / (view->block_size + (lu->pi ? PI_LEN : 0));
	uint32_t sent = view->max_transfer >> view->block_shift;
	uint32_t n = sent < saved ? sent : saved;
	uint32_t alignment = sbc_atomic_alignment(lu);

	if (!lu->state_dir)
		return 0;
	if (n > UINT16_MAX) /* the field of the CDB has two bytes */
		n = UINT16_MAX;
	return alignment ? n / alignment * alignment : n;
}

/* An alignment cannot be told when it does not begin at LBA 0. */
uint32_t sbc_atomic_alignment(const struct scsi_lu *lu)
{
	unsigned exponent = sbc_physical_exponent(lu);

	return exponent && !scsi_lu_view(lu)->lowest_aligned ? 1u << exponent : 0;
}

bool sbc_write_atomic_offered(const struct scsi_lu *lu)
{
	return sbc_atomic_max_blocks(lu) > 0;
}

enum scsi_step sbc_plan_write_atomic(struct scsi_task *task)
{
	uint32_t alignment = sbc_atomic_alignment(task->lu);
	enum scsi_step step = scsi_plan_range(task);

	if (step != SCSI_READY)
		return step;
	if (alignment && task->lba % alignment)
		return scsi_check_field(task, LBA, 0);
	if (task->n_blocks > sbc_atomic_max_blocks(task->lu) ||
	    (alignment && task->n_blocks % alignment))
		return scsi_check_field(task, TRANSFER_LENGTH, 0);
	return pi_plan_write(task);
}

/* ---- saved blocks ---- */

static uint32_t saved_unit(const struct scsi_lu_view *view)
{
	return view->block_size + (view->protection ? PI_LEN : 0);
}

/* Of a request for them: with their tuples, whatever those are; and never in the clear. */
static void tell_saved(struct duotgt_io *io, const struct scsi_lu *lu)
{
	if (scsi_lu_view(lu)->protection)
		pi_set_args(io, &(struct pi_args){.mode = PI_WITH_TUPLES});
	if (lu->crypt)
		io->flags |= CRYPT_IO_RAW;
}

/* ---- the steps, last first ---- */

static enum scsi_step undo_forgotten(struct scsi_task *task)
{
	task->carries_on = false;
	if (task->work_res < 0) {
		/* It would undo newer writes one day: so there must be none. */
		atomic_store(&task->lu->flush_failed, true);
		return scsi_check(task, SENSE_WRITE_ERROR);
	}
	return task->status == STATUS_GOOD ? scsi_good(task) : SCSI_DONE;
}

static int forget_undo(struct scsi_task *task)
{
	return atomic_file_remove(task->lu->state_dir, spc_file_name(task->lu, UNDO_FILE).text);
}

/* The last step, whatever became of the others; the status stands unless this one fails. */
static enum scsi_step undo_forget(struct scsi_task *task)
{
	return scsi_task_work(task, forget_undo, undo_forgotten);
}

/* A step that the store is not even asked for has failed. */
static enum scsi_step or_forget(struct scsi_task *task, enum scsi_step step)
{
	return step == SCSI_DONE ? undo_forget(task) : step;
}

/* The write has failed, and its error is the answer; half of it may have been done. */
static enum scsi_step put_back(struct scsi_task *task)
{
	struct undo *undo = task->own;

	task->io.kind = DUOTGT_IO_WRITE;
	task->io.flags = 0;
	task->io.iov = &undo->iov;
	task->io.n_iov = 1;
	task->io.len = undo->len;
	tell_saved(&task->io, task->lu);
	return or_forget(task, scsi_task_io(task, undo_forget));
}

static enum scsi_step new_written(struct scsi_task *task)
{
	if (task->io_res < 0)
		return put_back(task);
	if (!task->lu->info.volatile_cache)
		return undo_forget(task);
	return or_forget(task, sbc_flush(task, undo_forget));
}

static enum scsi_step write_new(struct scsi_task *task, bool fua,
				enum scsi_step (*next)(struct scsi_task *))
{
	struct pi_use use = pi_use_of(task, PI_WRITES);

	return pi_task_write_from(task, &use, 0, fua, next);
}

static enum scsi_step undo_saved(struct scsi_task *task)
{
	if (task->work_res < 0)
		scsi_check(task, SENSE_INTERNAL_TARGET_FAILURE);
	if (task->work_res < 0 || task->aborted)
		return undo_forget(task); /* it may be there all the same */
	return or_forget(task, write_new(task, false, new_written));
}

static int save_undo(struct scsi_task *task)
{
	struct undo *undo = task->own;

	return atomic_file_write(task->lu->state_dir, spc_file_name(task->lu, UNDO_FILE).text,
				 undo->file, HEADER_LEN + undo->len);
}

static enum scsi_step old_read(struct scsi_task *task)
{
	task->carries_on = true; /* from here on there is something to clean up */
	return scsi_task_work(task, save_undo, undo_saved);
}

enum scsi_step sbc_write_atomic(struct scsi_task *task)
{
	const struct scsi_lu_view *view = scsi_lu_view(task->lu);
	struct undo *undo;

	if (sbc_received(task) < task->need_out) /* a part of it would not be what was asked for */
		return scsi_check_field(task, TRANSFER_LENGTH, 0);
	if (task->n_blocks <= 1)
		return write_new(task, task->cdb[1] & FUA, NULL);
	undo = malloc(sizeof(*undo));
	if (!undo)
		return scsi_finish(task, STATUS_BUSY);
	task->own = undo;
	undo->len = task->n_blocks * saved_unit(view);
	undo->iov = (struct iovec){undo->file + HEADER_LEN, undo->len};
	be64_put(undo->file, task->lba << view->block_shift);
	task->io.kind = DUOTGT_IO_READ;
	task->io.flags = 0;
	task->io.iov = &undo->iov;
	task->io.n_iov = 1;
	task->io.offset = task->lba << view->block_shift;
	task->io.len = undo->len;
	tell_saved(&task->io, task->lu);
	return scsi_task_io(task, old_read);
}

/* ---- after a crash ---- */

static int refuse(const struct scsi_lu *lu, int r, const char *why, char *ret_why, size_t why_len)
{
	snprintf(ret_why, why_len, "%s: an atomic write was cut off, and %s: %s (%s/%s)", lu->name,
		 why, strerror(-r), lu->state_dir, spc_file_name(lu, UNDO_FILE).text);
	return r;
}

static int restore(struct scsi_lu *lu, uint8_t *file, size_t file_len)
{
	const struct scsi_lu_view *view = scsi_lu_view(lu);
	struct iovec iov = {file + HEADER_LEN, file_len - HEADER_LEN};
	uint64_t n_blocks = iov.iov_len / saved_unit(view);
	struct duotgt_io io = {
		.kind = DUOTGT_IO_WRITE, .iov = &iov, .n_iov = 1, .len = iov.iov_len};
	int r;

	io.offset = be64_get(file);
	if (io.offset > lu->info.size || iov.iov_len % saved_unit(view) ||
	    n_blocks << view->block_shift > lu->info.size - io.offset)
		return -EBADMSG;
	tell_saved(&io, lu);
	r = scsi_lu_io_now(lu, &io);
	if (r < 0)
		return r;
	io = (struct duotgt_io){.kind = DUOTGT_IO_FLUSH};
	return scsi_lu_io_now(lu, &io);
}

int sbc_atomic_recover(struct scsi_lu *lu, char *ret_why, size_t why_len)
{
	scoped(free) uint8_t *file = NULL;
	struct spc_file_name name = spc_file_name(lu, UNDO_FILE);
	size_t file_len;
	int r;

	/* Thousands of LUs may be opened at once, and hardly one has such a file. */
	if (!lu->state_dir || !atomic_file_exists(lu->state_dir, name.text))
		return 0;
	file = malloc(ATOMIC_FILE_MAX);
	if (!file)
		return -ENOMEM;
	r = atomic_file_read(lu->state_dir, name.text, file, ATOMIC_FILE_MAX, &file_len);
	if (r == -ENOENT)
		return 0;
	if (r == 0 && file_len < HEADER_LEN)
		r = -EBADMSG;
	if (r < 0)
		return refuse(lu, r, "what was there before cannot be read", ret_why, why_len);
	r = scsi_lu_view(lu)->read_only ? -EROFS : restore(lu, file, file_len);
	if (r == 0)
		r = atomic_file_remove(lu->state_dir, name.text);
	if (r < 0)
		return refuse(lu, r, "what was there before cannot be put back", ret_why, why_len);
	return 0;
}
