/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Task management: a part for every I_T_L nexus in reach, each on the thread that owns the tasks
 * there. A part aborts what it finds and waits until that has ended; the function is complete
 * when all its parts are.
 */
#include "scsi/tmf.h"
#include "scsi/lu_priv.h"
#include <assert.h>

struct part {
	struct engine_post post;
	struct scsi_tmf *tmf;
	struct scsi_itl *itl;
	struct engine *engine; /* the thread of itl; engines outlive nexuses */
	struct list node;      /* first of all new parts, then in itl->parts */
	bool own;	       /* at the nexus that asked */
	enum scsi_tmf_function function;
	uint64_t tag;
	uint64_t last_seq; /* tasks that came later are none of its business */
	unsigned waits;	   /* tasks, and 1 while it still looks for them */
};

static bool in_reach(const struct part *part, const struct scsi_task *task)
{
	return task->seq <= part->last_seq &&
	       (part->function != TMF_ABORT_TASK || task->tag == part->tag);
}

/* ---- the end of parts, and of the function ---- */

static void tmf_done(struct engine_post *post)
{
	struct scsi_tmf *tmf = container_of(post, struct scsi_tmf, post);

	tmf->done(tmf);
}

static void tmf_part_gone(struct scsi_tmf *tmf)
{
	if (atomic_fetch_sub_explicit(&tmf->parts_left, 1, memory_order_acq_rel) == 1)
		engine_post(tmf->engine, &tmf->post);
}

static void part_free(struct part *part)
{
	list_del(&part->node);
	scsi_itl_unref(part->itl);
	free(part);
}

static void part_waits_less(struct part *part)
{
	struct scsi_tmf *tmf = part->tmf;

	if (--part->waits)
		return;
	part_free(part);
	tmf_part_gone(tmf);
}

void scsi_tmf_task_ended(struct scsi_itl *itl, const struct scsi_task *task)
{
	list_for_each (part, &itl->parts, struct part, node)
		if (in_reach(part, task))
			part_waits_less(part);
}

/* ---- a part at work ---- */

static unsigned count_tasks(const struct part *part)
{
	unsigned n = 0;

	list_for_each (task, &part->itl->tasks, struct scsi_task, node)
		n += in_reach(part, task);
	return n;
}

static struct scsi_task *next_to_abort(const struct part *part)
{
	list_for_each (task, &part->itl->tasks, struct scsi_task, node)
		if (in_reach(part, task) && !task->aborted)
			return task;
	return NULL;
}

static void set_attention(struct scsi_itl *itl, enum scsi_attention attention)
{
	atomic_fetch_or(&itl->attentions, 1u << attention);
}

/* What the initiator of this nexus is told; by SAM-5 the asker hears of resets only. */
static void part_tell(const struct part *part, unsigned n_lost)
{
	if (part->function == TMF_LU_RESET)
		set_attention(part->itl, UA_LU_RESET);
	else if (part->function == TMF_TARGET_RESET)
		set_attention(part->itl, UA_BUS_RESET);
	else if (part->function == TMF_CLEAR_TASK_SET && n_lost)
		set_attention(part->itl, UA_COMMANDS_CLEARED);
}

static bool nexus_is_gone(struct scsi_itl *itl)
{
	bool gone;

	pthread_mutex_lock(&itl->lu->lock);
	gone = !itl->nexus;
	pthread_mutex_unlock(&itl->lu->lock);
	return gone;
}

static void part_run(struct engine_post *post)
{
	struct part *part = container_of(post, struct part, post);
	struct scsi_task *task;
	unsigned n;

	part->waits = 1;
	if (nexus_is_gone(part->itl)) {
		part_waits_less(part);
		return;
	}
	if (!part->own)
		part->last_seq = part->itl->nexus->task_seq;
	n = count_tasks(part);
	if (!part->own) /* the asker was told at the start */
		part_tell(part, n);
	if (part->function == TMF_ABORT_TASK && !n)
		part->tmf->response = TMF_NO_TASK;
	part->waits += n;
	list_push_back(&part->itl->parts, &part->node);
	/* The transport may end this task or others at once: so look anew each time. */
	while ((task = next_to_abort(part))) {
		task->aborted = true;
		task->transport->aborted(task);
	}
	part_waits_less(part);
}

/* ---- the start ---- */

static struct part *part_new(struct scsi_tmf *tmf, struct scsi_itl *itl)
{
	struct part *part = calloc(1, sizeof(*part));

	if (!part)
		return NULL;
	part->post.run = part_run;
	part->tmf = tmf;
	part->itl = scsi_itl_ref(itl);
	part->engine = itl->nexus->engine;
	list_init(&part->node);
	part->own = itl->nexus == tmf->nexus;
	part->function = tmf->function;
	part->tag = tmf->tag;
	/* For the asker, the commands that it sent after the function stand. */
	part->last_seq = tmf->nexus->task_seq;
	return part;
}

/* Parts for the LU's nexuses, or the asker's alone. Return: false when memory is short. */
static bool add_parts(struct scsi_tmf *tmf, struct scsi_lu *lu, struct list *parts)
{
	bool all = tmf->function != TMF_ABORT_TASK && tmf->function != TMF_ABORT_TASK_SET;
	bool ok = true;

	pthread_mutex_lock(&lu->lock);
	list_for_each (itl, &lu->itls, struct scsi_itl, lu_node) {
		struct part *part;

		if (!ok || (!all && itl->nexus != tmf->nexus))
			continue;
		part = part_new(tmf, itl);
		if (part)
			list_push_back(parts, &part->node);
		else
			ok = false;
	}
	pthread_mutex_unlock(&lu->lock);
	return ok;
}

/* Every part, for the LUs of mappings @first to @last. */
static bool collect_parts(struct scsi_tmf *tmf, unsigned first, unsigned last, struct list *parts)
{
	const struct scsi_target *target = tmf->nexus->target;
	bool ok = true;

	for (unsigned i = first; ok && i <= last; i++) /* so that the asker's is there as well */
		ok = scsi_nexus_itl(tmf->nexus, i) && add_parts(tmf, target->map[i].lu, parts);
	if (ok)
		return true;
	list_for_each (part, parts, struct part, node)
		part_free(part);
	return false;
}

/* Nothing to wait for: the answer comes from the loop all the same. */
static void finish_early(struct scsi_tmf *tmf, enum scsi_tmf_response response)
{
	tmf->response = response;
	engine_post(tmf->engine, &tmf->post);
}

static void start_parts(struct scsi_tmf *tmf, struct list *parts)
{
	unsigned n = 1; /* until all are posted */

	list_for_each (part, parts, struct part, node)
		n++;
	atomic_store(&tmf->parts_left, n);
	list_for_each (part, parts, struct part, node) {
		list_del(&part->node);
		if (part->own)
			part_tell(part, 0); /* now: its next command is to hear of it */
		if (part->own &&
		    (tmf->function == TMF_LU_RESET || tmf->function == TMF_TARGET_RESET))
			atomic_store(&part->itl->lu->stopped, false);
		engine_post(part->engine, &part->post);
	}
	tmf_part_gone(tmf);
}

void scsi_tmf_start(struct scsi_tmf *tmf)
{
	const struct scsi_target *target = tmf->nexus->target;
	struct list parts = LIST_INIT(parts);
	unsigned first, last;
	int mapping;

	tmf->engine = tmf->nexus->engine;
	tmf->post.run = tmf_done;
	tmf->response = TMF_COMPLETE;
	if (tmf->function == TMF_TARGET_RESET) {
		if (!target->n_map) {
			finish_early(tmf, TMF_COMPLETE);
			return;
		}
		first = 0;
		last = target->n_map - 1;
	} else {
		mapping = scsi_target_find(target, tmf->lun);
		if (mapping < 0) {
			finish_early(tmf, TMF_NO_LUN);
			return;
		}
		first = last = (unsigned)mapping;
	}
	if (!collect_parts(tmf, first, last, &parts)) {
		finish_early(tmf, TMF_FAILED);
		return;
	}
	start_parts(tmf, &parts);
}
