/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job: passes over the medium, piece by piece. Each piece ends in a post to its own engine, so
 * that a store that is always ready cannot keep the loop from its other work.
 */
#include "scsi/copy/copy.h"
#include "scsi/crypt/crypt.h"
#include "scsi/lu_priv.h"
#include "scsi/order.h"
#include "scsi/pi/pi.h"
#include "scsi/sbc/background_priv.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define PIECE_ALIGN 4096u /* so that it can go around the page cache */
#define NS_PER_S 1e9
#define RETRY_NS (10 * UINT64_C(1000000))

enum { MAX_TRIES = 500 }; /* of one piece, when the system is short of memory */

/* ---- the end ---- */

static void job_free(struct scsi_job *job)
{
	free(job->piece);
	free(job);
}

/* What the LU says from now on. Once it is published, others may start the next job. */
static void job_leave_lu(struct scsi_job *job, int res)
{
	struct scsi_lu *lu = job->lu;

	pthread_mutex_lock(&lu->lock);
	atomic_store(&lu->job_exit_allowed, job->exit_allowed);
	atomic_store(&lu->barred, res < 0 ? job->failed : SENSE_NONE);
	lu->job = NULL;
	pthread_cond_broadcast(&lu->job_ended);
	pthread_mutex_unlock(&lu->lock);
	scsi_lu_unref(lu);
}

/* From a post, so that a store is not closed inside a call of its own. */
static void job_end(struct scsi_job *job)
{
	struct scsi_task *task = job->task;

	job_leave_lu(job, job->res);
	if (task) {
		task->work_res = job->res;
		task->scratch[0] = job->told;
		scsi_task_go_on(task);
	}
	job_free(job);
}

static enum scsi_step job_answer(struct scsi_task *task)
{
	if (task->work_res == 0)
		return scsi_good(task);
	return scsi_check(task, (enum scsi_sense_code)task->scratch[0]);
}

/* ---- a pass ---- */

/* What may find out that dirty pages were lost: DESIGN 6.3. */
static bool may_lose_writes(const struct scsi_job *job)
{
	return job->io.kind == DUOTGT_IO_FLUSH ||
	       (job->io.kind == DUOTGT_IO_WRITE && (job->io.flags & DUOTGT_IO_FUA));
}

static void job_submit(struct scsi_job *job, enum duotgt_io_kind kind, uint32_t flags)
{
	job->io.kind = kind;
	job->io.flags = flags;
	job->io.iov = kind == DUOTGT_IO_WRITE ? &job->iov : NULL;
	job->io.n_iov = kind == DUOTGT_IO_WRITE;
	job->io.offset = kind == DUOTGT_IO_FLUSH ? 0 : job->at;
	job->io.len = kind == DUOTGT_IO_FLUSH ? 0 : job->len;
	job->iov = (struct iovec){job->piece, job->len};
	if (kind == DUOTGT_IO_WRITE && job->lu->pi)
		pi_set_args(&job->io, &(struct pi_args){.mode = PI_ESCAPE});
	if (may_lose_writes(job))
		scsi_stable_begin(&job->lu->stable, &job->stable);
	job->lu->backend->submit(job->lu->store, job->engine, &job->io);
}

static void job_next_step(struct scsi_job *job)
{
	engine_post(job->engine, &job->step);
}

static void job_last_step(struct scsi_job *job, int res)
{
	job->ended = true;
	job->res = res;
	job_next_step(job);
}

static int look(void *arg)
{
	struct scsi_job *job = arg;
	uint64_t left = job->size - job->at, len;
	int r = job->lu->backend->extent(job->lu->store, job->at, left, &len, &job->stored);

	if (r == 0)
		job->len = len;
	return r;
}

static void edit_protection(struct scsi_lu_view *view, void *arg)
{
	view->protection = *(const uint8_t *)arg;
	scsi_op_judge_devices(view);
}

/* For good, then for all to see. READ CAPACITY (16) has something else to tell then. */
static int protect(const struct scsi_job *job)
{
	bool differs = pi_store_type(job->lu->pi) != job->protection;
	uint8_t type = job->protection;
	int r = pi_store_set_type(job->lu->pi, (enum pi_type)type);

	if (r == 0 && differs)
		r = scsi_lu_change(job->lu, edit_protection, &type);
	if (r == 0 && differs)
		scsi_lu_attention(job->lu, UA_CAPACITY_CHANGED, job->asker);
	return r;
}

static int forget(void *arg)
{
	const struct scsi_job *job = arg;
	int r = job->protects ? protect(job) : 0;

	return r == 0 && job->lu->state_dir ? sbc_wipe_forget(job->lu) : r;
}

static int rekey(void *arg)
{
	const struct scsi_job *job = arg;

	return crypt_store_new_key(job->lu->crypt);
}

/* ---- steps ---- */

/*
 * Its command was aborted, or its connection is gone. Runs on the task's own thread, so it looks
 * between any two steps.
 */
static void heed_abort(struct scsi_job *job)
{
	struct scsi_task *task = job->task;

	if (!task || !task->aborted)
		return;
	if (!job->sticks) {
		atomic_store(&job->cancelled, true);
		return; /* the task ends with the job, when nothing touches the medium any more */
	}
	job->task = NULL;
	scsi_task_go_on(task);
}

static void do_phase(struct scsi_job *job)
{
	bool volatile_cache = job->lu->info.volatile_cache;

	switch (job->phase) {
	case PHASE_SETTLE:
	case PHASE_FLUSH:
		job_submit(job, DUOTGT_IO_FLUSH, 0);
		break;
	case PHASE_REKEY:
		engine_work(job->engine, &job->work, rekey, job);
		break;
	case PHASE_LOOK:
		engine_work(job->engine, &job->work, look, job);
		break;
	case PHASE_WRITE: /* erased for good: on the medium, before it gives the space back */
		job_submit(job, DUOTGT_IO_WRITE,
			   job->how == WIPE_ERASE && volatile_cache ? DUOTGT_IO_FUA : 0);
		break;
	case PHASE_DISCARD:
		job_submit(job, DUOTGT_IO_DISCARD, 0);
		break;
	case PHASE_FORGET:
		engine_work(job->engine, &job->work, forget, job);
		break;
	}
}

static void job_step(struct engine_post *post)
{
	struct scsi_job *job = container_of(post, struct scsi_job, step);

	heed_abort(job);
	if (job->ended)
		job_end(job);
	else if (atomic_load(&job->cancelled))
		job_last_step(job, -ECANCELED);
	else if (atomic_load(&job->lu->flush_failed)) /* DESIGN 6.3: nothing more is promised */
		job_last_step(job, -EIO);
	else
		do_phase(job);
}

/* As of a task's I/O; what is tried again has lost nothing. */
static bool loses_writes(const struct scsi_job *job, int res)
{
	if (job->io.kind == DUOTGT_IO_FLUSH)
		return res < 0;
	return res < 0 && res != -ENOSPC && res != -EAGAIN && res != -ENOMEM;
}

/* A flush that has failed has lost what it was to make stable. */
static bool may_be_tried_again(const struct scsi_job *job)
{
	return job->phase != PHASE_FLUSH && job->phase != PHASE_SETTLE;
}

/* The step after a write: at once, or so much later that no more is written than is allowed. */
static void pace(struct scsi_job *job, uint64_t n_written)
{
	uint64_t rate = job->lu->background_rate, now = engine_now(job->engine);

	if (rate) {
		job->due_ns = job->due_ns > now ? job->due_ns : now;
		job->due_ns += (uint64_t)((double)n_written * NS_PER_S / (double)rate);
	}
	if (job->due_ns > now)
		engine_timer_set(job->engine, &job->later, job->due_ns);
	else
		job_next_step(job);
}

static void step_ended(struct scsi_job *job, int res)
{
	uint64_t n_written = job->phase == PHASE_WRITE ? job->len : 0;

	if ((res == -EAGAIN || res == -ENOMEM) && ++job->n_tries < MAX_TRIES &&
	    may_be_tried_again(job)) {
		engine_timer_set(job->engine, &job->later, engine_now(job->engine) + RETRY_NS);
		return;
	}
	job->n_tries = 0;
	if (res < 0) {
		job_last_step(job, res);
	} else if (wipe_advance(job)) {
		job_last_step(job, 0);
	} else if (n_written) {
		pace(job, n_written);
	} else {
		job_next_step(job);
	}
}

static void io_done(struct duotgt_io *io, int res)
{
	struct scsi_job *job = container_of(io, struct scsi_job, io);

	if (may_lose_writes(job)) {
		if (loses_writes(job, res))
			atomic_store(&job->lu->flush_failed, true);
		if (!scsi_stable_end(&job->lu->stable, &job->stable, res < 0))
			return;
	}
	step_ended(job, res);
}

/* The next step looks at lu->flush_failed. */
static void io_settled(struct scsi_stable_op *op)
{
	step_ended(container_of(op, struct scsi_job, stable), 0);
}

static void work_done(struct engine_op *op, int res)
{
	step_ended(container_of(op, struct scsi_job, work), res);
}

static void later_fire(struct engine_timer *timer)
{
	job_next_step(container_of(timer, struct scsi_job, later));
}

/* ---- the start ---- */

/* The pattern from the start of each block on. */
static void fill_piece(uint8_t *piece, const struct sbc_wipe *wipe, uint32_t block_size)
{
	for (uint32_t i = 0; i < SBC_WIPE_PIECE; i++)
		piece[i] = wipe->pattern[i % block_size % wipe->pattern_len];
}

static struct scsi_job *job_new(struct scsi_task *task, const struct sbc_wipe *wipe)
{
	const struct scsi_lu_view *view = scsi_lu_view(task->lu);
	struct scsi_job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->how = wipe->how;
	job->piece = wipe_gives_back(job) ? NULL : aligned_alloc(PIECE_ALIGN, SBC_WIPE_PIECE);
	if (!job->piece && !wipe_gives_back(job)) {
		free(job);
		return NULL;
	}
	job->engine = task->nexus->engine;
	job->asker = task->nexus;
	job->failed = wipe->failed;
	job->invert = wipe->invert;
	job->sticks = wipe->sticks;
	job->exit_allowed = wipe->exit_allowed;
	job->protects = wipe->protects;
	job->protection = wipe->protection;
	job->n_passes = wipe->n_passes;
	job->size = view->n_blocks << view->block_shift;
	job->io.done = io_done;
	job->stable.engine = job->engine;
	job->stable.settled = io_settled;
	job->work.done = work_done;
	job->step.run = job_step;
	job->later.fire = later_fire;
	assert(wipe->pattern_len || wipe_gives_back(job));
	if (job->piece)
		fill_piece(job->piece, wipe, view->block_size);
	return job;
}

/* Return: whether the LU has taken it: it has no other. */
static bool job_enter_lu(struct scsi_job *job, struct scsi_lu *lu, enum scsi_sense_code doing)
{
	bool is_free;

	pthread_mutex_lock(&lu->lock);
	is_free = !lu->job;
	if (is_free) {
		job->lu = scsi_lu_ref(lu);
		job->before = atomic_load(&lu->barred);
		lu->job = job;
		atomic_store(&lu->job_progress, 0);
		atomic_store(&lu->barred, doing);
	}
	pthread_mutex_unlock(&lu->lock);
	return is_free;
}

/* In the task's thread, which is the job's: a job that is not begun has nobody else to touch it. */
static enum scsi_step job_begin(struct scsi_task *task)
{
	struct scsi_job *job = task->lu->job;

	if (job->how == WIPE_REKEY)
		job->phase = PHASE_SETTLE;
	else
		wipe_start_piece(job);
	job_next_step(job);
	if (!job->task)
		return scsi_good(task);
	scsi_order_leave(task); /* what still waits for its turn is told, too, and not kept */
	return scsi_task_wait(task, job_answer);
}

static int note(struct scsi_task *task)
{
	const struct scsi_job *job = task->lu->job;

	return sbc_wipe_note(task->lu, job->failed, job->exit_allowed);
}

/* Without a note the medium is not touched, and what was said of it before holds. */
static enum scsi_step noted(struct scsi_task *task)
{
	struct scsi_job *job = task->lu->job;

	task->carries_on = false;
	if (task->work_res == 0)
		return job_begin(task);
	job->task = NULL;
	job->failed = job->before;
	job->exit_allowed = atomic_load(&task->lu->job_exit_allowed);
	job_last_step(job, task->work_res);
	return scsi_check(task, SENSE_INTERNAL_TARGET_FAILURE);
}

enum scsi_step sbc_background_start(struct scsi_task *task, const struct sbc_wipe *wipe, bool immed,
				    enum scsi_sense_code told)
{
	struct scsi_job *job = job_new(task, wipe);

	if (!job)
		return scsi_finish(task, STATUS_BUSY);
	job->told = told;
	if (!job_enter_lu(job, task->lu, wipe->doing)) {
		job_free(job);
		return scsi_finish(task, STATUS_BUSY);
	}
	job->task = immed ? NULL : task;
	if (!task->lu->state_dir)
		return job_begin(task);
	task->carries_on = true; /* there is a job now, whatever becomes of the task */
	return scsi_task_work(task, note, noted);
}

void scsi_lu_stop_work(struct scsi_lu *lu)
{
	scsi_copy_stop(lu);
	pthread_mutex_lock(&lu->lock);
	while (lu->job) {
		atomic_store(&lu->job->cancelled, true);
		pthread_cond_wait(&lu->job_ended, &lu->lock);
	}
	pthread_mutex_unlock(&lu->lock);
}
