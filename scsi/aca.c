/* SPDX-License-Identifier: Apache-2.0 */
/* See aca.h. A nexus' own condition and what is blocked change under lu->lock. */
#include "scsi/aca.h"
#include "scsi/order.h"
#include "scsi/tmf.h"
#include <assert.h>
#include <stdlib.h>

enum { PR_OUT = 0x5f, PREEMPT_AND_ABORT = 0x05, SA_MASK = 0x1f };

/* The condition that a command of this nexus meets: its own, or that of a shared task set. */
static bool meets_one(const struct scsi_itl *itl)
{
	return itl->aca || (!scsi_lu_view(itl->lu)->separate_sets && atomic_load(&itl->lu->n_aca));
}

/* ---- new commands ---- */

static bool asks_for_aca(const struct scsi_task *task)
{
	return scsi_cdb_control(task->cdb) & CONTROL_NACA &&
	       !(task->nexus->foreign & SCSI_FOREIGN_TASKS);
}

static bool is_preempt_and_abort(const struct scsi_task *task)
{
	return task->cdb[0] == PR_OUT && (task->cdb[1] & SA_MASK) == PREEMPT_AND_ABORT;
}

static bool has_other_aca_task(const struct scsi_task *task)
{
	list_for_each (other, &task->itl->tasks, struct scsi_task, node)
		if (other != task && other->attr == ATTR_ACA)
			return true;
	return false;
}

static enum scsi_step check_faulted(struct scsi_task *task)
{
	if (task->attr != ATTR_ACA || has_other_aca_task(task))
		return scsi_finish(task, STATUS_ACA_ACTIVE);
	return SCSI_READY;
}

/* PREEMPT AND ABORT is the way for others to end the condition of a nexus that does not. */
static enum scsi_step check_other(struct scsi_task *task)
{
	if (task->attr != ATTR_ACA && is_preempt_and_abort(task))
		return SCSI_READY;
	return scsi_finish(task, task->attr == ATTR_ACA || asks_for_aca(task) ? STATUS_ACA_ACTIVE
									      : STATUS_BUSY);
}

enum scsi_step scsi_aca_check(struct scsi_task *task)
{
	if (task->itl->aca)
		return check_faulted(task);
	if (meets_one(task->itl))
		return check_other(task);
	return task->attr == ATTR_ACA ? scsi_check(task, SENSE_INVALID_MESSAGE) : SCSI_READY;
}

/* ---- commands that are blocked ---- */

static bool stands_still(const struct scsi_task *task)
{
	return task->attr != ATTR_ACA && !is_preempt_and_abort(task) && meets_one(task->itl);
}

bool scsi_aca_block(struct scsi_task *task)
{
	struct scsi_lu *lu = task->lu;

	pthread_mutex_lock(&lu->lock);
	task->blocked = stands_still(task);
	task->itl->n_blocked += task->blocked;
	pthread_mutex_unlock(&lu->lock);
	return task->blocked;
}

void scsi_aca_unblock(struct scsi_task *task)
{
	assert(task->blocked);
	pthread_mutex_lock(&task->lu->lock);
	task->blocked = false;
	task->itl->n_blocked--;
	pthread_mutex_unlock(&task->lu->lock);
}

/* One that was aborted is on its way out already: scsi_order_cancel(). */
static struct scsi_task *next_to_resume(const struct scsi_itl *itl)
{
	list_for_each (task, &itl->tasks, struct scsi_task, node)
		if (task->blocked)
			return stands_still(task) ? NULL : task;
	return NULL;
}

/* On the nexus' thread. A task that goes on may end others at once: so look anew each time. */
static void resume(struct engine_post *post)
{
	struct scsi_itl *itl = container_of(post, struct scsi_itl, resume);
	struct scsi_task *task;

	pthread_mutex_lock(&itl->lu->lock);
	itl->resuming = false;
	pthread_mutex_unlock(&itl->lu->lock);
	while ((task = next_to_resume(itl))) {
		scsi_aca_unblock(task);
		if (scsi_order_admit(task))
			scsi_task_admitted(task);
	}
	scsi_itl_unref(itl);
}

static void resume_soon(struct scsi_itl *itl)
{
	if (!itl->n_blocked || itl->resuming)
		return;
	itl->resuming = true;
	itl->resume.run = resume;
	scsi_itl_ref(itl);
	engine_post(itl->nexus->engine, &itl->resume);
}

/* ---- the condition itself ---- */

static void establish(struct scsi_itl *itl)
{
	pthread_mutex_lock(&itl->lu->lock);
	if (!itl->aca)
		atomic_fetch_add(&itl->lu->n_aca, 1);
	itl->aca = true;
	pthread_mutex_unlock(&itl->lu->lock);
}

void scsi_aca_clear_locked(struct scsi_itl *itl)
{
	if (!itl->aca)
		return;
	itl->aca = false;
	atomic_fetch_sub(&itl->lu->n_aca, 1);
	list_for_each (other, &itl->lu->itls, struct scsi_itl, lu_node)
		resume_soon(other);
}

void scsi_aca_clear(struct scsi_itl *itl)
{
	pthread_mutex_lock(&itl->lu->lock);
	scsi_aca_clear_locked(itl);
	pthread_mutex_unlock(&itl->lu->lock);
}

/* ---- QERR ---- */

static void aborted_others(struct scsi_tmf *tmf)
{
	free(tmf);
}

/* Without memory they go on, as without QERR. */
static void abort_others(const struct scsi_task *task, enum scsi_qerr qerr)
{
	struct scsi_tmf *tmf = calloc(1, sizeof(*tmf));

	if (!tmf)
		return;
	tmf->function = qerr == QERR_ABORT_ALL ? TMF_CLEAR_TASK_SET : TMF_ABORT_TASK_SET;
	tmf->nexus = task->nexus;
	tmf->lun = task->lun;
	tmf->done = aborted_others;
	scsi_tmf_start(tmf);
}

void scsi_aca_fault(struct scsi_task *task)
{
	struct scsi_itl *itl = task->itl;
	enum scsi_qerr qerr = scsi_lu_view(itl->lu)->qerr;

	if (asks_for_aca(task))
		establish(itl);
	else if (task->attr == ATTR_ACA)
		scsi_aca_clear(itl);
	if (qerr != QERR_GO_ON)
		abort_others(task, qerr);
}
