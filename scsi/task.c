/* SPDX-License-Identifier: Apache-2.0 */
/* A command's way: what may stop it, its function, its medium, its answer. */
#include "scsi/task.h"
#include "scsi/lu_priv.h"
#include <assert.h>
#include <errno.h>

/* ---- answers ---- */

enum scsi_step scsi_finish(struct scsi_task *task, enum scsi_status status)
{
	task->status = status;
	task->sense = (struct scsi_sense){0};
	if (status != STATUS_GOOD)
		task->in_len = 0;
	return SCSI_DONE;
}

enum scsi_step scsi_good(struct scsi_task *task)
{
	return scsi_finish(task, STATUS_GOOD);
}

enum scsi_step scsi_check(struct scsi_task *task, enum scsi_sense_code code)
{
	scsi_finish(task, STATUS_CHECK_CONDITION);
	task->sense = scsi_sense(code);
	return SCSI_DONE;
}

enum scsi_step scsi_check_info(struct scsi_task *task, enum scsi_sense_code code, uint64_t info)
{
	scsi_check(task, code);
	task->sense.has_info = true;
	task->sense.info = info;
	return SCSI_DONE;
}

static enum scsi_step check_pointer(struct scsi_task *task, enum scsi_sense_code code,
				    unsigned byte, uint8_t bits)
{
	scsi_check(task, code);
	task->sense.has_field = true;
	task->sense.in_cdb = code == SENSE_INVALID_FIELD_IN_CDB;
	task->sense.field = (uint16_t)byte;
	task->sense.has_bit = bits != 0;
	task->sense.bit = bits ? (uint8_t)(31 - __builtin_clz(bits)) : 0;
	return SCSI_DONE;
}

enum scsi_step scsi_check_field(struct scsi_task *task, unsigned byte, uint8_t bits)
{
	return check_pointer(task, SENSE_INVALID_FIELD_IN_CDB, byte, bits);
}

enum scsi_step scsi_check_param(struct scsi_task *task, unsigned byte, uint8_t bits)
{
	return check_pointer(task, SENSE_INVALID_FIELD_IN_PARAMETERS, byte, bits);
}

enum scsi_step scsi_reply(struct scsi_task *task, const void *data, size_t len)
{
	const uint8_t *from = data;
	size_t left;

	if (len > task->need_in)
		len = task->need_in;
	left = len;
	for (int i = 0; i < task->n_iov && left; i++) {
		size_t n = task->iov[i].iov_len < left ? task->iov[i].iov_len : left;

		memcpy(task->iov[i].iov_base, from, n);
		from += n;
		left -= n;
	}
	task->in_len = len;
	return scsi_good(task);
}

size_t scsi_param_copy(const struct scsi_task *task, void *buf, size_t len)
{
	uint8_t *to = buf;
	size_t left = len;

	for (int i = 0; i < task->n_iov && left; i++) {
		size_t n = task->iov[i].iov_len < left ? task->iov[i].iov_len : left;

		memcpy(to, task->iov[i].iov_base, n);
		to += n;
		left -= n;
	}
	return len - left;
}

bool scsi_task_descriptor_sense(const struct scsi_task *task)
{
	return task->lu && scsi_lu_view(task->lu)->descriptor_sense;
}

/* ---- begin, run, end ---- */

static enum scsi_step check_ready(struct scsi_task *task)
{
	const struct scsi_lu_view *view = scsi_lu_view(task->lu);
	enum scsi_access access = task->op->access;

	if (access < ACCESS_READY)
		return SCSI_READY;
	if (!view->online)
		return scsi_check(task, SENSE_NOT_READY_OFFLINE);
	if (atomic_load_explicit(&task->lu->stopped, memory_order_relaxed))
		return scsi_check(task, SENSE_NOT_READY_INITIALIZING_REQUIRED);
	if (access == ACCESS_WRITE && view->read_only)
		return scsi_check(task, SENSE_WRITE_PROTECTED);
	return SCSI_READY;
}

/* INQUIRY, REPORT LUNS and REQUEST SENSE neither wait for a unit attention nor for a LU. */
static bool runs_always(const struct scsi_task *task)
{
	const struct scsi_op *op = scsi_op_find(task->cdb);

	return op && op->access == ACCESS_ANY;
}

static enum scsi_step check_attention(struct scsi_task *task)
{
	enum scsi_sense_code code;

	if (!atomic_load_explicit(&task->itl->attentions, memory_order_acquire) ||
	    runs_always(task))
		return SCSI_READY;
	code = scsi_itl_take_attention(task->itl);
	return code == SENSE_NONE ? SCSI_READY : scsi_check(task, code);
}

static enum scsi_step check(struct scsi_task *task)
{
	enum scsi_step step;

	if (task->lu)
		step = check_attention(task);
	else
		step = runs_always(task) ? SCSI_READY : scsi_check(task, SENSE_LU_NOT_SUPPORTED);
	if (step == SCSI_READY)
		step = scsi_op_check(task);
	if (step == SCSI_READY && task->lu)
		step = check_ready(task);
	if (step == SCSI_READY && task->op->plan)
		step = task->op->plan(task);
	if (step == SCSI_DONE)
		task->need_in = task->need_out = 0;
	task->out_len = task->need_out;
	return step;
}

enum scsi_step scsi_task_begin(struct scsi_task *task)
{
	struct scsi_nexus *nexus = task->nexus;
	int mapping = scsi_target_find(nexus->target, task->lun);

	task->need_in = task->need_out = task->in_len = task->out_len = 0;
	task->iov = NULL;
	task->n_iov = 0;
	task->op = NULL;
	task->cut = 0;
	task->own = NULL;
	task->aborted = task->pending = false;
	task->lba = task->n_blocks = 0;
	task->seq = ++nexus->task_seq;
	task->itl = mapping < 0 ? NULL : scsi_nexus_itl(nexus, (unsigned)mapping);
	task->lu = task->itl ? task->itl->lu : NULL;
	list_push_back(task->itl ? &task->itl->tasks : &nexus->strays, &task->node);
	scsi_good(task);
	if (mapping >= 0 && !task->itl)
		return scsi_finish(task, STATUS_BUSY);
	return check(task);
}

enum scsi_step scsi_task_run(struct scsi_task *task)
{
	assert(task->op && !task->pending && !task->aborted);
	return task->op->run(task);
}

void scsi_task_end(struct scsi_task *task)
{
	assert(!task->pending);
	free(steal(task->own));
	list_del(&task->node);
	if (task->itl)
		scsi_tmf_task_ended(task->itl, task);
}

/* ---- the medium ---- */

static bool is_transient(int res)
{
	return res == -ENOMEM || res == -EAGAIN;
}

/*
 * Whether a failure means that dirty pages may have been dropped: the kernel reports that once,
 * and a later flush that succeeds would prove nothing (DESIGN 6.3).
 */
static bool loses_writes(const struct duotgt_io *io, int res)
{
	if (io->kind == DUOTGT_IO_FLUSH)
		return true;
	return io->kind == DUOTGT_IO_WRITE && (io->flags & DUOTGT_IO_FUA) && res != -ENOSPC &&
	       !is_transient(res);
}

static enum scsi_step io_failed(struct scsi_task *task, int res)
{
	uint64_t lba = task->io.offset >> scsi_lu_view(task->lu)->block_shift;

	if (loses_writes(&task->io, res))
		atomic_store(&task->lu->flush_failed, true);
	if (task->io.kind == DUOTGT_IO_FLUSH)
		return scsi_check(task, SENSE_WRITE_ERROR);
	if (is_transient(res))
		return scsi_finish(task, STATUS_BUSY);
	if (task->io.kind == DUOTGT_IO_READ)
		return scsi_check_info(task, SENSE_UNRECOVERED_READ_ERROR, lba);
	if (res == -ENOSPC)
		return scsi_check(task, SENSE_SPACE_ALLOCATION_FAILED);
	return scsi_check_info(task, SENSE_WRITE_ERROR, lba);
}

/* Makes task->io of the first @len bytes of the task's buffer, or of all if there are fewer. */
static void borrow_buffer(struct scsi_task *task, uint64_t len)
{
	struct duotgt_io *io = &task->io;
	uint64_t sum = 0;
	int n = 0;

	while (n < task->n_iov && sum < len)
		sum += task->iov[n++].iov_len;
	task->cut = sum > len ? sum - len : 0;
	if (task->cut)
		task->iov[n - 1].iov_len -= task->cut;
	io->iov = task->iov;
	io->n_iov = n;
	io->len = sum - task->cut;
}

static void give_back_buffer(struct scsi_task *task)
{
	if (task->cut)
		task->io.iov[task->io.n_iov - 1].iov_len += task->cut;
	task->cut = 0;
}

static void task_done(struct scsi_task *task)
{
	task->pending = false;
	task->transport->done(task);
}

/* What was waited for has come: the command's next step, unless it was aborted meanwhile. */
static void task_go_on(struct scsi_task *task)
{
	enum scsi_step step;

	if (task->aborted)
		step = scsi_finish(task, STATUS_TASK_ABORTED);
	else
		step = task->next ? task->next(task) : scsi_good(task);
	if (step != SCSI_PENDING)
		task_done(task);
}

static void io_done(struct duotgt_io *io, int res)
{
	struct scsi_task *task = container_of(io, struct scsi_task, io);

	give_back_buffer(task);
	/* Of flushes under way together the kernel tells only one that pages were lost. */
	if (res >= 0 && loses_writes(io, -EIO) && atomic_load(&task->lu->flush_failed))
		res = -EIO;
	if (res >= 0) {
		task_go_on(task);
		return;
	}
	io_failed(task, res);
	task_done(task);
}

enum scsi_step scsi_task_io(struct scsi_task *task, enum scsi_step (*next)(struct scsi_task *task))
{
	struct scsi_lu *lu = task->lu;

	if (task->io.kind != DUOTGT_IO_READ && atomic_load(&lu->flush_failed)) {
		give_back_buffer(task);
		return scsi_check(task, SENSE_WRITE_ERROR);
	}
	task->next = next;
	task->io.done = io_done;
	task->pending = true;
	lu->backend->submit(lu->store, task->nexus->engine, &task->io);
	return SCSI_PENDING;
}

/* In io.priv, since no request is under way meanwhile. */
struct work {
	struct engine_op op;
	struct scsi_task *task;
	int (*fn)(struct scsi_task *task);
};
_Static_assert(sizeof(struct work) <= sizeof(((struct duotgt_io *)0)->priv), "fits priv");

static int work_run(void *arg)
{
	struct work *work = arg;

	return work->fn(work->task);
}

static void work_done(struct engine_op *op, int res)
{
	struct work *work = container_of(op, struct work, op);

	work->task->work_res = res;
	task_go_on(work->task);
}

enum scsi_step scsi_task_work(struct scsi_task *task, int (*fn)(struct scsi_task *task),
			      enum scsi_step (*next)(struct scsi_task *task))
{
	struct work *work = (struct work *)task->io.priv;

	*work = (struct work){.op.done = work_done, .task = task, .fn = fn};
	task->next = next;
	task->pending = true;
	engine_work(task->nexus->engine, &work->op, work_run, work);
	return SCSI_PENDING;
}

static uint64_t buffer_len(const struct scsi_task *task)
{
	uint64_t sum = 0;

	for (int i = 0; i < task->n_iov; i++)
		sum += task->iov[i].iov_len;
	return sum;
}

enum scsi_step scsi_task_read(struct scsi_task *task, enum scsi_step (*next)(struct scsi_task *))
{
	unsigned shift = scsi_lu_view(task->lu)->block_shift;

	task->in_len = task->n_blocks << shift;
	borrow_buffer(task, task->in_len);
	if (!task->io.len)
		return next ? next(task) : scsi_good(task);
	task->io.kind = DUOTGT_IO_READ;
	task->io.flags = 0;
	task->io.offset = task->lba << shift;
	return scsi_task_io(task, next);
}

enum scsi_step scsi_task_write(struct scsi_task *task, bool fua)
{
	const struct scsi_lu_view *view = scsi_lu_view(task->lu);
	uint64_t len = task->n_blocks << view->block_shift;
	uint64_t received = buffer_len(task) >> view->block_shift << view->block_shift;

	borrow_buffer(task, received < len ? received : len);
	task->io.kind = DUOTGT_IO_WRITE;
	task->io.flags = 0;
	if ((fua || !view->write_cache) && task->lu->info.volatile_cache)
		task->io.flags = DUOTGT_IO_FUA;
	task->io.offset = task->lba << view->block_shift;
	if (!task->io.len && !atomic_load(&task->lu->flush_failed))
		return scsi_good(task);
	return scsi_task_io(task, NULL);
}
