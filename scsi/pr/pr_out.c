/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PERSISTENT RESERVE OUT: from the parameter list to the published state, the unit attentions, and
 * the end of what the preempted had under way.
 *
 * One at a time for each LU. With a state directory all of it happens on a helper thread, since a
 * state file may have to be on stable storage before anybody sees the change; else right here.
 */
#include "scsi/pr/pr_priv.h"
#include <stdlib.h>

enum { LIST_MAX = 16 << 10 }; /* bytes of a parameter list; room for 60 TransportIDs and more */

enum scsi_step pr_plan_out(struct scsi_task *task)
{
	uint32_t len = be32_get(task->cdb + 5);
	bool longer = task->op->sa == PR_REGISTER || task->op->sa == PR_REGISTER_AND_IGNORE ||
		      task->op->sa == PR_REGISTER_AND_MOVE;

	if (len < PR_LIST_LEN || len > LIST_MAX || (len > PR_LIST_LEN && !longer))
		return scsi_check(task, SENSE_PARAMETER_LIST_LENGTH);
	task->need_out = len;
	return SCSI_READY;
}

/* ---- the change ---- */

static bool preempts(const struct pr_out *out)
{
	uint8_t action = out->task->op->sa;

	return action == PR_PREEMPT || action == PR_PREEMPT_AND_ABORT;
}

static void set_attention(struct scsi_itl *itl, enum scsi_attention attention)
{
	atomic_fetch_or(&itl->attentions, 1u << attention);
}

/* What the change means for a nexus other than the asker's that was registered before it. */
static void tell(const struct pr_out *out, struct scsi_itl *itl, const struct pr_name *name)
{
	const struct scsi_pr *old = out->old, *pr = out->pr;

	if (pr_find(pr, name) < 0) {
		if (preempts(out))
			set_attention(itl, UA_REGISTRATIONS_PREEMPTED);
		else if (out->task->op->sa == PR_CLEAR)
			set_attention(itl, UA_RESERVATIONS_PREEMPTED);
	} else if (old->type && old->type != pr->type &&
		   (preempts(out) || pr_type_is_shared(old->type))) {
		set_attention(itl, UA_RESERVATIONS_RELEASED);
	}
}

/* Whether PREEMPT AND ABORT meant registration @i of the old state. */
static bool was_meant(const struct pr_out *out, int i, bool is_asker)
{
	if (out->sa_key)
		return out->old->all[i].key == out->sa_key;
	return !is_asker; /* of an all registrants reservation */
}

/* lu->lock is held. */
static void tell_all(struct pr_out *out)
{
	const struct scsi_nexus *asker = out->task->nexus;
	bool aborts = out->task->op->sa == PR_PREEMPT_AND_ABORT;

	if (aborts)
		out->preempt_serial = out->pr->serial;
	list_for_each (itl, &out->task->lu->itls, struct scsi_itl, lu_node) {
		struct pr_name name = pr_name_of(itl->nexus);
		int i = pr_find(out->old, &name);

		if (i < 0)
			continue;
		if (itl->nexus != asker)
			tell(out, itl, &name);
		if (aborts && was_meant(out, i, itl->nexus == asker))
			itl->pr_preempted = out->preempt_serial;
	}
}

/* lu->lock is held. */
static void publish(struct pr_out *out)
{
	struct scsi_lu *lu = out->task->lu;

	tell_all(out);
	atomic_store_explicit(&lu->pr, steal(out->pr), memory_order_release);
	scsi_lu_retire(lu, (void *)out->old);
}

/* What the file shall have before anybody is answered by it. */
static enum scsi_step save(struct pr_out *out)
{
	const struct scsi_lu *lu = out->task->lu;

	if (!lu->state_dir || !(out->pr->aptpl || (out->old && out->old->aptpl)))
		return SCSI_READY;
	if (pr_file_write(lu, out->pr) < 0)
		return scsi_check(out->task, SENSE_INTERNAL_TARGET_FAILURE);
	return SCSI_READY;
}

/* Keeps RESERVE out meanwhile. By SPC-2, nobody may register while one holds. */
static enum scsi_step begin(struct pr_out *out)
{
	struct scsi_lu *lu = out->task->lu;
	enum scsi_step step = SCSI_READY;

	pthread_mutex_lock(&lu->lock);
	out->old = scsi_pr_of(lu); /* stays the newest until publish() */
	if (out->old && out->old->reserved)
		step = scsi_finish(out->task, STATUS_RESERVATION_CONFLICT);
	else
		lu->pr_changing = true;
	pthread_mutex_unlock(&lu->lock);
	return step;
}

static void end(struct pr_out *out, enum scsi_step step)
{
	struct scsi_lu *lu = out->task->lu;

	pthread_mutex_lock(&lu->lock);
	if (step == SCSI_READY) {
		publish(out);
		scsi_good(out->task);
	}
	lu->pr_changing = false;
	pthread_mutex_unlock(&lu->lock);
}

static int change(struct scsi_task *task)
{
	struct pr_out *out = task->own;
	enum scsi_step step;

	pthread_mutex_lock(&task->lu->pr_lock);
	if (begin(out) == SCSI_READY) {
		out->pr = pr_copy(out->old);
		step = out->pr ? pr_act(out) : scsi_finish(task, STATUS_BUSY);
		if (step == SCSI_READY)
			step = save(out);
		end(out, step);
		free(steal(out->pr));
	}
	pthread_mutex_unlock(&task->lu->pr_lock);
	return 0;
}

/* ---- the end of what the preempted had under way ---- */

static bool reaches(const struct scsi_tmf *tmf, const struct scsi_itl *itl)
{
	const struct pr_out *out = container_of(tmf, const struct pr_out, tmf);

	/* Later ones took it again: to wait for their tasks too does no harm. */
	return itl->pr_preempted >= out->preempt_serial;
}

/*
 * Not itself; and no other command of this kind, of which two that preempt each other's nexuses
 * would wait for each other for ever. They change no medium, and are judged by the new state.
 */
static bool spares(const struct scsi_tmf *tmf, const struct scsi_task *task)
{
	(void)tmf;
	return task->op && task->op->run == pr_out;
}

static enum scsi_step aborted_all(struct scsi_task *task)
{
	struct pr_out *out = task->own;

	if (out->tmf.response == TMF_FAILED)
		return scsi_check(task, SENSE_INTERNAL_TARGET_FAILURE);
	return scsi_good(task);
}

static void abort_done(struct scsi_tmf *tmf)
{
	scsi_task_go_on(container_of(tmf, struct pr_out, tmf)->task);
}

static enum scsi_step answer(struct scsi_task *task)
{
	struct pr_out *out = task->own;

	if (!out->preempt_serial)
		return SCSI_DONE;
	out->tmf = (struct scsi_tmf){
		.function = TMF_PREEMPT,
		.nexus = task->nexus,
		.lun = task->lun,
		.done = abort_done,
		.reaches = reaches,
		.spares = spares,
	};
	scsi_tmf_start(&out->tmf);
	return scsi_task_wait(task, aborted_all);
}

enum scsi_step pr_out(struct scsi_task *task)
{
	size_t room = task->need_out == PR_LIST_LEN ? PR_LIST_LEN : LIST_MAX;
	struct pr_out *out = calloc(1, sizeof(*out) + room);

	if (!out)
		return scsi_finish(task, STATUS_BUSY);
	task->own = out;
	out->task = task;
	out->asker = pr_name_of(task->nexus);
	out->list_len = scsi_param_copy(task, out->list, task->need_out);
	if (out->list_len < task->need_out)
		return scsi_check(task, SENSE_PARAMETER_LIST_LENGTH);
	out->key = be64_get(out->list);
	out->sa_key = be64_get(out->list + 8);
	task->carries_on = true; /* what is published is told, though the answer may be unwanted */
	if (task->lu->state_dir)
		return scsi_task_work(task, change, answer);
	change(task);
	return answer(task);
}
