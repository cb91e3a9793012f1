/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the service actions of PERSISTENT RESERVE OUT do to a copy of the state; the ones that
 * register are in pr_register.c. Source: SPC-5 r22, persistent reservations: reserving, releasing,
 * clearing, preempting.
 */
#include "scsi/pr/pr_priv.h"

enum { SCOPE_SHIFT = 4, TYPE_MASK = 0x0f };

static unsigned scope_of(const struct pr_out *out)
{
	return out->task->cdb[2] >> SCOPE_SHIFT;
}

static unsigned type_of(const struct pr_out *out)
{
	return out->task->cdb[2] & TYPE_MASK;
}

static enum scsi_step conflict(struct pr_out *out)
{
	return scsi_finish(out->task, STATUS_RESERVATION_CONFLICT);
}

/* SCOPE and TYPE of what is to be reserved. */
static enum scsi_step check_type(struct pr_out *out)
{
	if (scope_of(out))
		return scsi_check_field(out->task, 2, 0xf0);
	if (!pr_type_is_valid(type_of(out)))
		return scsi_check_field(out->task, 2, TYPE_MASK);
	return SCSI_READY;
}

static enum scsi_step act_reserve(struct pr_out *out)
{
	struct scsi_pr *pr = out->pr;
	enum scsi_step step = check_type(out);

	if (step == SCSI_DONE)
		return step;
	if (pr->type)
		return pr_holds(pr, out->self) && pr->type == type_of(out) ? scsi_good(out->task)
									   : conflict(out);
	pr->type = (uint8_t)type_of(out);
	pr->holder = (unsigned)out->self;
	return SCSI_READY;
}

static enum scsi_step act_release(struct pr_out *out)
{
	struct scsi_pr *pr = out->pr;

	if (!pr_holds(pr, out->self))
		return scsi_good(out->task); /* nothing of its own to release */
	if (scope_of(out) || pr->type != type_of(out))
		return scsi_check(out->task, SENSE_INVALID_RELEASE);
	pr->type = PR_NONE;
	return SCSI_READY;
}

static enum scsi_step act_clear(struct pr_out *out)
{
	out->pr->type = PR_NONE;
	out->pr->n = 0;
	out->pr->generation++;
	return SCSI_READY;
}

/* ---- preempting ---- */

/* Whether the key names the reservation, not registrations alone: it is taken over then. */
static bool takes_over(const struct pr_out *out)
{
	const struct scsi_pr *pr = out->pr;

	if (!pr->type)
		return false;
	if (pr_type_is_all_registrants(pr->type))
		return !out->sa_key;
	return pr->all[pr->holder].key == out->sa_key;
}

static enum scsi_step take_over(struct pr_out *out)
{
	struct scsi_pr *pr = out->pr;
	enum scsi_step step = check_type(out);

	if (step == SCSI_DONE)
		return step;
	for (unsigned i = pr->n; i--;)
		if (i != (unsigned)out->self && (!out->sa_key || pr->all[i].key == out->sa_key)) {
			pr_remove(pr, i);
			out->self -= i < (unsigned)out->self;
		}
	pr->type = (uint8_t)type_of(out);
	pr->holder = (unsigned)out->self;
	return SCSI_READY;
}

/* The asker's own registration too, when it has that key. */
static enum scsi_step remove_registrations(struct pr_out *out)
{
	struct scsi_pr *pr = out->pr;
	unsigned n_before = pr->n;

	if (!out->sa_key)
		return scsi_check_param(out->task, 8, 0);
	for (unsigned i = pr->n; i--;)
		if (pr->all[i].key == out->sa_key)
			pr_unregister(pr, i);
	return pr->n < n_before ? SCSI_READY : conflict(out);
}

static enum scsi_step act_preempt(struct pr_out *out)
{
	enum scsi_step step = takes_over(out) ? take_over(out) : remove_registrations(out);

	if (step == SCSI_READY)
		out->pr->generation++;
	return step;
}

/* ---- all ---- */

enum scsi_step pr_act(struct pr_out *out)
{
	static enum scsi_step (*const acts[PR_ACTIONS])(struct pr_out *) = {
		[PR_REGISTER] = pr_act_register,
		[PR_RESERVE] = act_reserve,
		[PR_RELEASE] = act_release,
		[PR_CLEAR] = act_clear,
		[PR_PREEMPT] = act_preempt,
		[PR_PREEMPT_AND_ABORT] = act_preempt,
		[PR_REGISTER_AND_IGNORE] = pr_act_register,
		[PR_REGISTER_AND_MOVE] = pr_act_move,
	};
	uint8_t action = out->task->op->sa;

	out->self = pr_find(out->pr, &out->asker);
	/* Who is not registered may do nothing but register. */
	if (acts[action] != pr_act_register &&
	    (out->self < 0 || out->pr->all[out->self].key != out->key))
		return conflict(out);
	return acts[action](out);
}
