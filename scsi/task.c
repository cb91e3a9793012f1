/* SPDX-License-Identifier: Apache-2.0 */
/* A command's way: what may stop it, its function, its medium, its answer. */
#include "scsi/task.h"
#include "scsi/aca.h"
#include "scsi/alua/alua.h"
#include "scsi/counters.h"
#include "scsi/lu_priv.h"
#include "scsi/order.h"
#include "scsi/pi/protect.h"
#include "scsi/pr/pr.h"
#include "scsi/sbc/background.h"
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

/* Whether the LU is formatted or sanitized just now, or was in vain. */
static enum scsi_step check_barred(struct scsi_task *task)
{
	if (!task->lu || !atomic_load_explicit(&task->lu->barred, memory_order_relaxed))
		return SCSI_READY;
	return sbc_background_bars(task);
}

static enum scsi_step check_ready(struct scsi_task *task)
{
	const struct scsi_lu_view *view = scsi_lu_view(task->lu);
	enum scsi_access access = task->op->access;

	if (access < ACCESS_READY)
		return SCSI_READY;
	if (!view->online)
		return scsi_check(task, SENSE_NOT_READY_OFFLINE);
	if (atomic_load_explicit(&task->lu->ejected, memory_order_relaxed))
		return scsi_check(task, SENSE_MEDIUM_NOT_PRESENT);
	if (atomic_load_explicit(&task->lu->stopped, memory_order_relaxed))
		return scsi_check(task, SENSE_NOT_READY_INITIALIZING_REQUIRED);
	if (access == ACCESS_WRITE && (view->read_only || view->swp))
		return scsi_check(task, SENSE_WRITE_PROTECTED);
	return SCSI_READY;
}

/* INQUIRY, REPORT LUNS and REQUEST SENSE neither wait for a unit attention nor for a LU. */
static bool runs_always(const struct scsi_task *task)
{
	const struct scsi_op *op = scsi_op_find(task->lu, task->cdb);

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

/* The attribute ACA is for the time of an ACA condition. */
static enum scsi_step check_attr(struct scsi_task *task)
{
	if (task->itl && scsi_aca_is_near(task))
		return scsi_aca_check(task);
	return task->attr >= ATTR_ACA ? scsi_check(task, SENSE_INVALID_MESSAGE) : SCSI_READY;
}

static enum scsi_step check(struct scsi_task *task)
{
	enum scsi_step step = check_attr(task);

	if (step == SCSI_READY && task->lu)
		step = check_attention(task);
	else if (step == SCSI_READY && !runs_always(task))
		step = scsi_check(task, SENSE_LU_NOT_SUPPORTED);
	if (step == SCSI_READY)
		step = check_barred(task); /* whatever else may be wrong with the CDB */
	if (step == SCSI_READY)
		step = scsi_op_check(task);
	if (step == SCSI_READY && task->lu)
		step = scsi_alua_check(task);
	if (step == SCSI_READY && task->lu)
		step = scsi_pr_check(task);
	if (step == SCSI_READY && task->lu)
		step = check_ready(task);
	if (step == SCSI_READY && task->op->plan)
		step = task->op->plan(task);
	if (step == SCSI_DONE)
		task->need_in = task->need_out = 0;
	else
		task->out_len = task->need_out;
	return step;
}

enum scsi_step scsi_task_begin(struct scsi_task *task)
{
	struct scsi_nexus *nexus = task->nexus;
	int mapping = scsi_map_find(scsi_nexus_map(nexus), task->lun);

	task->need_in = task->need_out = task->in_len = task->out_len = 0;
	task->iov = NULL;
	task->n_iov = 0;
	task->op = NULL;
	task->skip = task->cut = 0;
	task->own = NULL;
	task->aborted = task->pending = task->tell_aborted = false;
	task->held = task->blocked = task->carries_on = false;
	task->order = ORDER_NONE;
	task->pass.state = GATE_OUTSIDE;
	task->lba = task->n_blocks = 0;
	task->seq = ++nexus->task_seq;
	task->itl = mapping < 0 ? NULL : scsi_nexus_itl(nexus, (unsigned)mapping);
	task->lu = task->itl ? task->itl->lu : NULL;
	list_push_back(task->itl ? &task->itl->tasks : &nexus->strays, &task->node);
	if (task->itl)
		scsi_count_begin(task);
	scsi_good(task);
	if (mapping >= 0 && !task->itl)
		return scsi_finish(task, STATUS_BUSY);
	if (check(task) == SCSI_DONE)
		return SCSI_DONE;
	scsi_order_begin(task);
	return SCSI_READY;
}

static void task_done(struct scsi_task *task)
{
	if (task->aborted)
		scsi_finish(task, STATUS_TASK_ABORTED);
	task->pending = false;
	scsi_order_leave(task);
	task->transport->done(task);
}

/* Whether the row is still one for its LU, which may have been formatted to another protection. */
static enum scsi_step check_row(struct scsi_task *task)
{
	if (!task->lu || task->op->devices & scsi_lu_view(task->lu)->op_devices)
		return SCSI_READY;
	return scsi_op_check(task);
}

/* What it waited for, its data or its turn, may have given a FORMAT UNIT time to begin. */
static enum scsi_step task_work(struct scsi_task *task)
{
	if (check_barred(task) == SCSI_DONE || check_row(task) == SCSI_DONE)
		return SCSI_DONE;
	return task->op->run(task);
}

enum scsi_step scsi_task_run(struct scsi_task *task)
{
	enum scsi_step step;

	assert(task->op && !task->pending && !task->aborted);
	if (!scsi_order_admit(task)) {
		task->pending = true;
		return SCSI_PENDING;
	}
	step = task_work(task);
	if (step != SCSI_PENDING)
		scsi_order_leave(task);
	return step;
}

/* An ACA condition may have come while it waited for its turn, which it gives up then. */
void scsi_task_admitted(struct scsi_task *task)
{
	if (!task->aborted && scsi_aca_is_near(task) && scsi_aca_block(task)) {
		scsi_order_leave(task);
		return;
	}
	if (task->aborted || task_work(task) != SCSI_PENDING)
		task_done(task);
}

void scsi_task_abort(struct scsi_task *task, bool tell)
{
	task->aborted = true;
	task->tell_aborted = tell;
	if (task->pending)
		scsi_order_cancel(task);
	else
		scsi_finish(task, STATUS_TASK_ABORTED);
	task->transport->aborted(task);
}

void scsi_task_end(struct scsi_task *task)
{
	assert(!task->pending && task->pass.state == GATE_OUTSIDE);
	free(steal(task->own));
	list_del(&task->node);
	if (!task->itl)
		return;
	scsi_count_end(task);
	scsi_order_end(task);
	if (task->status == STATUS_CHECK_CONDITION && !task->aborted)
		scsi_aca_fault(task);
	scsi_tmf_task_ended(task->itl, task);
	scsi_itl_task_ended(task->itl); /* which may end the pair */
}

/* ---- the medium ---- */

static bool is_transient(int res)
{
	return res == -ENOMEM || res == -EAGAIN;
}

/*
 * Whether a failure means that dirty pages may have been dropped: the kernel reports that once,
 * and a later flush that succeeds would prove nothing (DESIGN 6.3). What fails a check of its
 * protection information has not been written at all.
 */
static bool loses_writes(const struct duotgt_io *io, int res)
{
	if (io->kind == DUOTGT_IO_FLUSH)
		return true;
	/* -EILSEQ: its protection information is wrong, so that nothing was written. */
	return io->kind == DUOTGT_IO_WRITE && (io->flags & DUOTGT_IO_FUA) && res != -ENOSPC &&
	       res != -EILSEQ && !is_transient(res);
}

static enum scsi_step io_failed(struct scsi_task *task, int res)
{
	uint64_t lba = task->io.offset >> scsi_lu_view(task->lu)->block_shift;

	if (res == -EILSEQ)
		return pi_check_failed(task);
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

void scsi_task_borrow(struct scsi_task *task, uint64_t from, uint64_t len)
{
	struct duotgt_io *io = &task->io;
	/* Without a buffer iov is NULL, to which not even 0 may be added. */
	struct iovec *iov = task->iov, *end = task->n_iov ? iov + task->n_iov : iov;
	uint64_t sum = 0;

	for (; iov < end && from >= iov->iov_len; iov++)
		from -= iov->iov_len;
	io->iov = iov;
	task->skip = iov < end ? from : 0;
	if (task->skip) {
		iov->iov_base = (char *)iov->iov_base + task->skip;
		iov->iov_len -= task->skip;
	}
	for (; iov < end && sum < len; iov++)
		sum += iov->iov_len;
	task->cut = sum > len ? sum - len : 0;
	if (task->cut)
		iov[-1].iov_len -= task->cut;
	io->n_iov = (int)(iov - io->iov);
	io->len = sum - task->cut;
}

static void give_back_buffer(struct scsi_task *task)
{
	struct iovec *iov = task->io.iov;

	if (task->cut)
		iov[task->io.n_iov - 1].iov_len += task->cut;
	if (task->skip) {
		iov->iov_base = (char *)iov->iov_base - task->skip;
		iov->iov_len += task->skip;
	}
	task->skip = task->cut = 0;
}

/* What was waited for has come: the command's next step, unless it was aborted meanwhile. */
void scsi_task_go_on(struct scsi_task *task)
{
	enum scsi_step step = SCSI_DONE;

	if (!task->aborted || task->carries_on)
		step = task->next ? task->next(task) : scsi_good(task);
	if (step != SCSI_PENDING)
		task_done(task);
}

enum scsi_step scsi_task_wait(struct scsi_task *task, enum scsi_step (*next)(struct scsi_task *))
{
	task->next = next;
	task->pending = true;
	return SCSI_PENDING;
}

/* Whether it has to do with what is dirty, so that it may find out that some was lost. */
static bool is_stable(const struct duotgt_io *io)
{
	return io->kind == DUOTGT_IO_FLUSH ||
	       (io->kind == DUOTGT_IO_WRITE && (io->flags & DUOTGT_IO_FUA));
}

static void io_ended(struct scsi_task *task, int res)
{
	task->io_res = res;
	if (res < 0)
		io_failed(task, res);
	if (res < 0 && !task->carries_on)
		task_done(task);
	else
		scsi_task_go_on(task);
}

static void io_settled(struct scsi_stable_op *op)
{
	struct scsi_task *task = container_of(op, struct scsi_task, stable);

	io_ended(task, atomic_load(&task->lu->flush_failed) ? -EIO : 0);
}

static void io_done(struct duotgt_io *io, int res)
{
	struct scsi_task *task = container_of(io, struct scsi_task, io);

	give_back_buffer(task);
	if (is_stable(io)) {
		if (res < 0 && loses_writes(io, res))
			atomic_store(&task->lu->flush_failed, true);
		if (!scsi_stable_end(&task->lu->stable, &task->stable, res < 0))
			return;
		if (res >= 0 && atomic_load(&task->lu->flush_failed))
			res = -EIO;
	}
	io_ended(task, res);
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
	if (is_stable(&task->io)) {
		task->stable.engine = task->nexus->engine;
		task->stable.settled = io_settled;
		scsi_stable_begin(&lu->stable, &task->stable);
	}
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
	scsi_task_go_on(work->task);
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
	scsi_task_borrow(task, 0, task->in_len);
	if (!task->io.len)
		return next ? next(task) : scsi_good(task);
	task->io.kind = DUOTGT_IO_READ;
	task->io.flags = 0;
	task->io.offset = task->lba << shift;
	return scsi_task_io(task, next);
}

uint32_t scsi_task_write_flags(const struct scsi_task *task, bool fua)
{
	if (!task->lu->info.volatile_cache)
		return 0;
	return fua || !scsi_lu_view(task->lu)->write_cache ? DUOTGT_IO_FUA : 0;
}

enum scsi_step scsi_task_write_from(struct scsi_task *task, uint64_t from, bool fua,
				    enum scsi_step (*next)(struct scsi_task *))
{
	const struct scsi_lu_view *view = scsi_lu_view(task->lu);
	uint64_t len = task->n_blocks << view->block_shift, received = buffer_len(task);

	received =
		received > from ? (received - from) >> view->block_shift << view->block_shift : 0;
	scsi_task_borrow(task, from, received < len ? received : len);
	task->io.kind = DUOTGT_IO_WRITE;
	task->io.flags = scsi_task_write_flags(task, fua);
	task->io.offset = task->lba << view->block_shift;
	if (!task->io.len && !atomic_load(&task->lu->flush_failed)) {
		give_back_buffer(task);
		return next ? next(task) : scsi_good(task);
	}
	return scsi_task_io(task, next);
}

enum scsi_step scsi_task_write(struct scsi_task *task, bool fua)
{
	return scsi_task_write_from(task, 0, fua, NULL);
}
