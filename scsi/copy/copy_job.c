/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs: whose they are, finding them, waiting for them, their results. One list for the process,
 * since a reset of a LU reaches the copies of every target that write to it.
 */
#include "scsi/copy/copy_job_priv.h"
#include "scsi/copy/token.h"
#include "scsi/order.h"
#include "scsi/tmf.h"
#include "util/bytes.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define KEPT_PER_TARGET 128 /* results of copies that ended */
#define KEPT_FOR_NS (UINT64_C(300) * 1000000000)

static struct {
	pthread_mutex_t lock;
	pthread_cond_t ended; /* some job has */
	struct list jobs;     /* oldest first */
} all = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.ended = PTHREAD_COND_INITIALIZER,
	.jobs = LIST_INIT(all.jobs),
};

/* Somebody to be told when a job has ended: a command, or a reset. */
struct waiter {
	struct list node;
	struct copy_job *job; /* a reference */
	/* a command: in task->io.priv */
	struct engine_post post;
	struct scsi_task *task;
	bool takes_result; /* ends as the job did; else GOOD */
	/* a reset: on the heap */
	struct scsi_tmf *tmf;
	void (*gone)(struct scsi_tmf *tmf);
};
_Static_assert(sizeof(struct waiter) <= sizeof(((struct duotgt_io *)0)->priv), "fits priv");

/* ---- life; with the lock, but for free_pieces() ---- */

static bool is_running(const struct copy_job *job)
{
	return !job->ended_ns;
}

static void unref(struct copy_job *job)
{
	if (--job->refs)
		return;
	assert(!job->pieces && !job->buf);
	free(job->initiator);
	free(job);
}

/* From the list; those who hold references may still look at it. */
static void forget(struct copy_job *job)
{
	list_del(&job->node);
	unref(job);
}

/* Without the lock, since the last reference to a LU closes its store. */
static void free_pieces(struct copy_job *job)
{
	struct copy_piece *pieces;
	unsigned n;

	pthread_mutex_lock(&all.lock);
	pieces = steal(job->pieces);
	n = job->n_pieces;
	job->n_pieces = 0;
	pthread_mutex_unlock(&all.lock);
	while (n--) {
		scsi_lu_unref(pieces[n].from);
		scsi_lu_unref(pieces[n].to);
	}
	free(pieces);
	free(steal(job->buf));
}

/* ---- finding ---- */

static bool is_owner(const struct copy_job *job, const struct scsi_task *task)
{
	return job->target == task->nexus->target && job->rel_port == task->nexus->rel_port &&
	       !memcmp(job->lu_uuid, task->lu->uuid, sizeof(job->lu_uuid)) &&
	       !strcmp(job->initiator, task->nexus->initiator);
}

static struct copy_job *find(const struct scsi_task *task, uint32_t list_id)
{
	list_for_each (job, &all.jobs, struct copy_job, node)
		if (job->with_list && job->list_id == list_id && is_owner(job, task))
			return job;
	return NULL;
}

/* Drops results that are too old or too many. Return: how many copies the target has under way. */
static unsigned prune(const struct scsi_target *target, uint64_t now_ns)
{
	unsigned n_running = 0, n_kept = 0;

	list_for_each (job, &all.jobs, struct copy_job, node) {
		if (job->target != target)
			continue;
		if (is_running(job))
			n_running++;
		else
			n_kept++;
	}
	list_for_each (job, &all.jobs, struct copy_job, node) {
		if (job->target != target || is_running(job))
			continue;
		if (n_kept < KEPT_PER_TARGET && now_ns - job->ended_ns < KEPT_FOR_NS)
			continue;
		n_kept--;
		forget(job);
	}
	return n_running;
}

/* ---- making ---- */

/* It has not been in the list. */
static void unmake(struct copy_job *job)
{
	free(job->pieces);
	free(job->initiator);
	free(job);
}

static struct copy_job *make(const struct scsi_task *task, unsigned max_pieces)
{
	struct copy_job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->initiator = strdup(task->nexus->initiator);
	job->pieces = calloc(max_pieces ? max_pieces : 1, sizeof(*job->pieces));
	if (!job->initiator || !job->pieces) {
		unmake(job);
		return NULL;
	}
	job->refs = 1;
	job->max_pieces = max_pieces;
	job->target = task->nexus->target;
	memcpy(job->lu_uuid, task->lu->uuid, sizeof(job->lu_uuid));
	job->rel_port = task->nexus->rel_port;
	job->engine = task->nexus->engine;
	list_init(&job->node);
	list_init(&job->waiters);
	job->report.sa = task->op->sa;
	job->report.state = COPY_IN_FOREGROUND;
	job->report.block_size = scsi_lu_view(task->lu)->block_size;
	job->report.descriptor_sense = scsi_task_descriptor_sense(task);
	return job;
}

struct copy_job *copy_job_new(struct scsi_task *task, bool with_list, uint32_t list_id, bool keep,
			      unsigned max_pieces)
{
	struct copy_job *job = make(task, max_pieces), *same = NULL;
	unsigned n_running;

	if (!job) {
		scsi_finish(task, STATUS_BUSY);
		return NULL;
	}
	job->with_list = with_list;
	job->list_id = list_id;
	job->keep = keep;
	pthread_mutex_lock(&all.lock);
	n_running = prune(job->target, engine_now(job->engine));
	if (with_list)
		same = find(task, list_id);
	if (same && is_running(same)) {
		scsi_check(task, SENSE_OPERATION_IN_PROGRESS);
	} else if (n_running >= COPY_MAX_CONCURRENT) {
		scsi_finish(task, STATUS_BUSY);
	} else {
		if (same)
			forget(same); /* the new one takes its name */
		scsi_target_ref(job->target);
		list_push_back(&all.jobs, &job->node);
		pthread_mutex_unlock(&all.lock);
		return job;
	}
	pthread_mutex_unlock(&all.lock);
	unmake(job);
	return NULL;
}

void copy_job_drop(struct copy_job *job)
{
	struct scsi_target *target;

	if (!job)
		return;
	target = job->target;
	free_pieces(job);
	pthread_mutex_lock(&all.lock);
	forget(job);
	pthread_mutex_unlock(&all.lock);
	scsi_target_unref(target);
}

void copy_job_add(struct copy_job *job, const struct copy_piece *piece)
{
	assert(job->n_pieces < job->max_pieces);
	if (piece->from)
		scsi_lu_ref(piece->from);
	scsi_lu_ref(piece->to);
	job->pieces[job->n_pieces++] = *piece;
}

void copy_job_ends_with(struct copy_job *job, const struct scsi_sense *sense)
{
	job->has_end = true;
	job->end = *sense;
}

void copy_job_ends_partly(struct copy_job *job)
{
	job->partly = true;
}

void copy_job_set_segments(struct copy_job *job, unsigned n)
{
	job->n_segments = n;
}

void copy_job_count(struct copy_job *job, uint64_t bytes)
{
	atomic_store(&job->bytes, bytes);
}

void copy_job_uses_up(struct copy_job *job, const uint8_t *token)
{
	job->uses_up = true;
	memcpy(job->report.token, token, ROD_TOKEN_LEN);
}

void copy_job_set_token(struct copy_job *job, const uint8_t *token)
{
	job->report.has_token = true;
	memcpy(job->report.token, token, ROD_TOKEN_LEN);
}

/* ---- waiting ---- */

static void take_result(struct scsi_task *task, const struct copy_report *report)
{
	scsi_finish(task, report->status);
	task->sense = report->sense;
}

static enum scsi_step answer_stands(struct scsi_task *task)
{
	(void)task;
	return SCSI_DONE;
}

static void waiter_runs(struct engine_post *post)
{
	struct waiter *waiter = container_of(post, struct waiter, post);
	struct scsi_task *task = waiter->task;

	if (waiter->takes_result)
		take_result(task, &waiter->job->report);
	else
		scsi_good(task);
	pthread_mutex_lock(&all.lock);
	unref(waiter->job);
	pthread_mutex_unlock(&all.lock);
	scsi_task_go_on(task);
}

/* With the lock. */
static enum scsi_step wait_for(struct copy_job *job, struct scsi_task *task, bool takes_result)
{
	struct waiter *waiter = (struct waiter *)task->io.priv;

	*waiter = (struct waiter){.job = job, .task = task, .takes_result = takes_result};
	waiter->post.run = waiter_runs;
	job->refs++;
	list_push_back(&job->waiters, &waiter->node);
	return scsi_task_wait(task, answer_stands);
}

/* With the lock: they are told, in the order they came. */
static void tell_waiters(struct copy_job *job)
{
	struct list *node;

	while ((node = list_pop_front(&job->waiters))) {
		struct waiter *waiter = list_entry(node, struct waiter, node);

		if (waiter->task) {
			engine_post(waiter->task->nexus->engine, &waiter->post);
			continue;
		}
		waiter->gone(waiter->tmf);
		unref(job);
		free(waiter);
	}
}

/* ---- start and end ---- */

enum scsi_step copy_job_start(struct copy_job *job, struct scsi_task *task, bool background)
{
	enum scsi_step step = SCSI_DONE;

	scsi_order_leave(task); /* the pieces pass the gates of the LUs they are for */
	pthread_mutex_lock(&all.lock);
	if (background) {
		job->report.state = COPY_IN_BACKGROUND;
		scsi_good(task);
	} else {
		job->task = task;
		step = wait_for(job, task, true);
	}
	pthread_mutex_unlock(&all.lock);
	copy_run(job);
	return step;
}

void copy_job_ended(struct copy_job *job, enum copy_state state, enum scsi_status status,
		    const struct scsi_sense *sense)
{
	struct scsi_target *target = job->target;

	if (job->uses_up && status == STATUS_GOOD)
		token_delete(target, job->report.token);
	free_pieces(job);
	pthread_mutex_lock(&all.lock);
	job->task = NULL;
	job->report.state = state;
	job->report.status = status;
	if (sense)
		job->report.sense = *sense;
	job->ended_ns = engine_now(job->engine);
	job->ended_ns += !job->ended_ns;
	tell_waiters(job);
	if (!job->keep || !job->with_list)
		forget(job);
	pthread_cond_broadcast(&all.ended);
	pthread_mutex_unlock(&all.lock);
	scsi_target_unref(target);
}

bool copy_job_report(const struct scsi_task *task, uint32_t list_id, struct copy_report *ret)
{
	const struct copy_job *job;

	pthread_mutex_lock(&all.lock);
	prune(task->nexus->target, engine_now(task->nexus->engine));
	job = find(task, list_id);
	if (job) {
		*ret = job->report;
		ret->segments = atomic_load(&job->segments);
		ret->bytes = atomic_load(&job->bytes);
		ret->operations = (uint16_t)atomic_load(&job->operations);
	}
	pthread_mutex_unlock(&all.lock);
	return job;
}

void copy_job_forget(const struct scsi_task *task, uint32_t list_id)
{
	struct copy_job *job;

	pthread_mutex_lock(&all.lock);
	job = find(task, list_id);
	if (job && !is_running(job))
		forget(job);
	pthread_mutex_unlock(&all.lock);
}

/* COPY OPERATION ABORT: GOOD when the job can no longer change a medium. */
enum scsi_step copy_abort(struct scsi_task *task)
{
	uint32_t list_id = be32_get(task->cdb + 2);
	enum scsi_step step;
	struct copy_job *job;

	pthread_mutex_lock(&all.lock);
	job = find(task, list_id);
	if (!job) {
		step = scsi_check_field(task, 2, 0);
	} else if (!is_running(job)) {
		step = scsi_good(task);
	} else {
		atomic_store(&job->stop, true);
		step = wait_for(job, task, false);
	}
	pthread_mutex_unlock(&all.lock);
	return step;
}

/* ---- for the rest of scsi/ ---- */

static bool concerns(const struct copy_job *job, const struct scsi_lu *lu, bool also_read)
{
	if (!is_running(job))
		return false;
	if (!memcmp(job->lu_uuid, lu->uuid, sizeof(job->lu_uuid)))
		return true;
	for (unsigned i = 0; i < job->n_pieces; i++)
		if (job->pieces[i].to == lu || (also_read && job->pieces[i].from == lu))
			return true;
	return false;
}

static bool stop_for(struct copy_job *job, struct scsi_tmf *tmf, void (*gone)(struct scsi_tmf *tmf))
{
	struct waiter *waiter = calloc(1, sizeof(*waiter));

	if (!waiter)
		return false;
	atomic_store(&job->stop, true);
	atomic_fetch_add(&tmf->parts_left, 1);
	waiter->job = job;
	waiter->tmf = tmf;
	waiter->gone = gone;
	job->refs++;
	list_push_back(&job->waiters, &waiter->node);
	return true;
}

int scsi_copy_reset(const struct scsi_lu *lu, struct scsi_tmf *tmf,
		    void (*gone)(struct scsi_tmf *tmf))
{
	bool ok = true;

	pthread_mutex_lock(&all.lock);
	/* In the foreground it is a task, which task management ends by itself. */
	list_for_each (job, &all.jobs, struct copy_job, node)
		if (ok && job->report.state == COPY_IN_BACKGROUND && concerns(job, lu, false))
			ok = stop_for(job, tmf, gone);
	pthread_mutex_unlock(&all.lock);
	return ok ? 0 : -ENOMEM;
}

/* Tells all of them to stop. Return: how many have not yet. */
static unsigned stop_all(const struct scsi_lu *lu)
{
	unsigned n = 0;

	list_for_each (job, &all.jobs, struct copy_job, node)
		if (job->report.state == COPY_IN_BACKGROUND && concerns(job, lu, true)) {
			atomic_store(&job->stop, true);
			n++;
		}
	return n;
}

void scsi_copy_stop(const struct scsi_lu *lu)
{
	pthread_mutex_lock(&all.lock);
	while (stop_all(lu))
		pthread_cond_wait(&all.ended, &all.lock);
	pthread_mutex_unlock(&all.lock);
}

void scsi_copy_forget(const struct scsi_target *target)
{
	token_forget_target(target);
	pthread_mutex_lock(&all.lock);
	list_for_each (job, &all.jobs, struct copy_job, node) {
		if (job->target != target)
			continue;
		assert(!is_running(job)); /* it would hold a reference */
		forget(job);
	}
	pthread_mutex_unlock(&all.lock);
}
