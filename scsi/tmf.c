/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Task management: a part for every I_T_L nexus in reach, each on the thread that owns the tasks
 * there. A part aborts what it finds and waits until that has ended; the function is complete
 * when all its parts are.
 */
#include "scsi/tmf.h"
#include "scsi/aca.h"
#include "scsi/copy/copy.h"
#include "scsi/lu_priv.h"
#include "scsi/medium.h"
#include "scsi/pr/pr.h"
#include "scsi/spc/state.h"
#include <assert.h>

/* What a function that aborts is about. */
static const struct function {
	bool others;  /* the tasks of other nexuses, too */
	bool all_lus; /* of the target; else the one it names */
	bool resets;  /* the state of the LU goes back as well */
	enum { TELL_NOBODY, TELL_ALL, TELL_LOSERS } tells;
	enum scsi_attention attention;
	bool clears_aca;
} functions[] = {
	[TMF_ABORT_TASK] = {.tells = TELL_NOBODY},
	[TMF_ABORT_TASK_SET] = {.tells = TELL_NOBODY},
	[TMF_CLEAR_TASK_SET] = {true, .tells = TELL_LOSERS, .attention = UA_COMMANDS_CLEARED},
	[TMF_LU_RESET] = {true, false, true, TELL_ALL, UA_LU_RESET, true},
	[TMF_TARGET_RESET] = {true, true, true, TELL_ALL, UA_BUS_RESET, true},
	[TMF_NEXUS_RESET] = {false, true, false, TELL_ALL, UA_NEXUS_LOSS, true},
	[TMF_CLEAR_ACA] = {.tells = TELL_NOBODY, .clears_aca = true},
	[TMF_PREEMPT] = {true, .tells = TELL_LOSERS, .attention = UA_COMMANDS_CLEARED,
			 .clears_aca = true},
};

struct part {
	struct engine_post post;
	struct scsi_tmf *tmf;
	struct scsi_itl *itl;
	struct engine *engine; /* the thread of itl; engines outlive nexuses */
	struct list node;      /* first of all new parts, then in itl->parts */
	bool own;	       /* at the nexus that asked */
	bool tas;	       /* what is lost is answered with TASK ABORTED */
	const struct function *function;
	bool one_task;
	uint64_t tag;
	uint64_t last_seq; /* tasks that came later are none of its business */
	unsigned waits;	   /* tasks, and 1 while it still looks for them */
};

static bool in_reach(const struct part *part, const struct scsi_task *task)
{
	if (task->seq > part->last_seq)
		return false;
	if (part->tmf->spares && part->tmf->spares(part->tmf, task))
		return false;
	if (part->function == &functions[TMF_CLEAR_ACA])
		return task->attr == ATTR_ACA;
	return !part->one_task || task->tag == part->tag;
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

/*
 * What the initiator of this nexus is told; by SAM-5 the asker hears of resets only. Those who get
 * a status for each task that they have lost are told by that.
 */
static void part_tell(const struct part *part, unsigned n_lost)
{
	const struct function *function = part->function;

	if (part->own && function->resets && part->itl->nexus->foreign & SCSI_FOREIGN_RESETS)
		return;
	if (function->tells == TELL_ALL ||
	    (function->tells == TELL_LOSERS && n_lost && !part->tas && !part->own))
		set_attention(part->itl, function->attention);
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
	if (part->one_task && !n)
		part->tmf->response = TMF_NO_TASK;
	part->waits += n;
	list_push_back(&part->itl->parts, &part->node);
	/* The transport may end this task or others at once: so look anew each time. */
	while ((task = next_to_abort(part)))
		scsi_task_abort(task, part->tas);
	if (part->function->clears_aca) /* now that what it blocked is aborted */
		scsi_aca_clear(part->itl);
	if (part->function == &functions[TMF_PREEMPT])
		scsi_medium_leave(part->itl); /* SPC-5: as if it allowed medium removal */
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
	part->tas = !part->own && scsi_lu_view(itl->lu)->tas;
	part->function = &functions[tmf->function];
	part->one_task = tmf->function == TMF_ABORT_TASK;
	part->tag = tmf->tag;
	/* For the asker, the commands that it sent after the function stand. */
	part->last_seq = tmf->nexus->task_seq;
	return part;
}

static bool part_wanted(const struct scsi_tmf *tmf, const struct scsi_itl *itl)
{
	if (tmf->reaches)
		return tmf->reaches(tmf, itl);
	if (tmf->function == TMF_CLEAR_TASK_SET && scsi_lu_view(itl->lu)->separate_sets)
		return itl->nexus == tmf->nexus;
	return functions[tmf->function].others || itl->nexus == tmf->nexus;
}

/* Parts for those of the LU's nexuses that are in reach. Return: false when memory is short. */
static bool add_parts(struct scsi_tmf *tmf, struct scsi_lu *lu, struct list *parts)
{
	bool ok = true;

	pthread_mutex_lock(&lu->lock);
	list_for_each (itl, &lu->itls, struct scsi_itl, lu_node) {
		struct part *part;

		if (!ok || !part_wanted(tmf, itl))
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

/* Every part, for the LUs of mappings @first to before @end. */
static bool collect_parts(struct scsi_tmf *tmf, unsigned first, unsigned end, struct list *parts)
{
	const struct scsi_map *map = scsi_nexus_map(tmf->nexus);
	bool ok = true;

	for (unsigned i = first; ok && i < end; i++) /* so that the asker's is there as well */
		ok = scsi_nexus_itl(tmf->nexus, i) && add_parts(tmf, map->all[i].lu, parts);
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

/* What a reset does beside aborting. */
static void lu_reset(struct scsi_tmf *tmf, struct scsi_lu *lu)
{
	atomic_store(&lu->stopped, false);
	spc_mode_reset(lu);
	scsi_medium_reset(lu);
	scsi_pr_reset(lu);
	if (scsi_copy_reset(lu, tmf, tmf_part_gone) < 0)
		tmf->response = TMF_FAILED;
}

/* @lu: the one that it is about, or the first of all. */
static void start_parts(struct scsi_tmf *tmf, struct list *parts, struct scsi_lu *lu)
{
	unsigned n = 1; /* until all are posted */

	list_for_each (part, parts, struct part, node)
		n++;
	atomic_store(&tmf->parts_left, n);
	list_for_each (part, parts, struct part, node) {
		list_del(&part->node);
		if (part->own)
			part_tell(part, 0); /* now: its next command is to hear of it */
		if (part->own && tmf->function == TMF_CLEAR_ACA)
			scsi_aca_clear(part->itl); /* likewise */
		if (part->own && part->function->resets)
			lu_reset(tmf, part->itl->lu);
		engine_post(part->engine, &part->post);
	}
	/* PREEMPT AND ABORT ends copies in the background, which are no tasks any more. */
	if (tmf->function == TMF_PREEMPT && scsi_copy_reset(lu, tmf, tmf_part_gone) < 0)
		tmf->response = TMF_FAILED;
	tmf_part_gone(tmf);
}

static void abort_tasks(struct scsi_tmf *tmf, unsigned first, unsigned end)
{
	struct list parts = LIST_INIT(parts);

	if (collect_parts(tmf, first, end, &parts))
		start_parts(tmf, &parts,
			    first < end ? scsi_nexus_map(tmf->nexus)->all[first].lu : NULL);
	else
		finish_early(tmf, TMF_FAILED);
}

/* ---- queries, which this thread can answer alone ---- */

static bool has_task(const struct scsi_tmf *tmf, const struct scsi_itl *itl)
{
	list_for_each (task, (struct list *)&itl->tasks, struct scsi_task, node)
		if (tmf->function == TMF_QUERY_TASK_SET || task->tag == tmf->tag)
			return true;
	return false;
}

/* UADE DEPTH (1: one, 2: more) and the sense key; ASC; ASCQ. */
static bool has_event(struct scsi_tmf *tmf, const struct scsi_itl *itl)
{
	unsigned n;
	struct scsi_sense sense = scsi_sense(scsi_itl_peek_attention(itl, &n));

	if (!n)
		return false;
	tmf->info[0] = (uint8_t)((n > 1 ? 2 : 1) << 4 | sense.key);
	tmf->info[1] = sense.asc;
	tmf->info[2] = sense.ascq;
	return true;
}

static void query(struct scsi_tmf *tmf, unsigned mapping)
{
	const struct scsi_itl *itl = scsi_nexus_itl(tmf->nexus, mapping);
	bool yes;

	if (!itl) {
		finish_early(tmf, TMF_FAILED);
		return;
	}
	yes = tmf->function == TMF_QUERY_ASYNC_EVENT ? has_event(tmf, itl) : has_task(tmf, itl);
	finish_early(tmf, yes ? TMF_SUCCEEDED : TMF_COMPLETE);
}

/* ---- */

void scsi_tmf_start(struct scsi_tmf *tmf)
{
	const struct scsi_map *map = scsi_nexus_map(tmf->nexus);
	bool aborts = tmf->function <= TMF_PREEMPT;
	int mapping;

	tmf->engine = tmf->nexus->engine;
	tmf->post.run = tmf_done;
	tmf->response = TMF_COMPLETE;
	memset(tmf->info, 0, sizeof(tmf->info));
	if (aborts && functions[tmf->function].all_lus) {
		abort_tasks(tmf, 0, map->n);
		return;
	}
	mapping = scsi_map_find(map, tmf->lun);
	if (mapping < 0)
		finish_early(tmf, TMF_NO_LUN);
	else if (aborts)
		abort_tasks(tmf, (unsigned)mapping, (unsigned)mapping + 1);
	else
		query(tmf, (unsigned)mapping);
}
