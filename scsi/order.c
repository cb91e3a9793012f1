/* SPDX-License-Identifier: Apache-2.0 */
/* See order.h. All of it on the thread of the nexus; only the gate knows of others. */
#include "scsi/order.h"
#include "scsi/aca.h"
#include <assert.h>

static enum scsi_order order_of(const struct scsi_task *task)
{
	if (!task->itl || task->op->access < ACCESS_READY)
		return ORDER_NONE;
	switch (task->attr) {
	case ATTR_ORDERED:
		return ORDER_ALONE;
	case ATTR_HEAD_OF_QUEUE:
	case ATTR_ACA: /* what is older is blocked */
		return ORDER_FIRST;
	default:
		return ORDER_AFTER_ORDERED;
	}
}

void scsi_order_begin(struct scsi_task *task)
{
	task->order = order_of(task);
	if (task->order == ORDER_ALONE)
		task->itl->n_ordered++;
}

/* Whether a task has to wait, given what is older than it. */
static bool must_wait(const struct scsi_task *task, bool older_any, bool older_ordered)
{
	if (task->order == ORDER_ALONE)
		return older_any;
	return task->order == ORDER_AFTER_ORDERED && older_ordered;
}

static bool waits_for_older(const struct scsi_task *task)
{
	bool older_any = false, older_ordered = false;

	if (!task->itl->n_ordered)
		return false;
	list_for_each (other, &task->itl->tasks, struct scsi_task, node) {
		if (other == task)
			break;
		older_any |= other->order != ORDER_NONE;
		older_ordered |= other->order == ORDER_ALONE;
	}
	return must_wait(task, older_any, older_ordered);
}

static void gate_admitted(struct scsi_gate_pass *pass)
{
	scsi_task_admitted(container_of(pass, struct scsi_task, pass));
}

static bool enter_gate(struct scsi_task *task)
{
	unsigned mode =
		task->op->exclusive || task->order == ORDER_ALONE ? GATE_EXCLUSIVE : GATE_SHARED;

	if (task->order == ORDER_FIRST)
		mode |= GATE_FIRST;
	task->pass.engine = task->nexus->engine;
	task->pass.admitted = gate_admitted;
	return scsi_gate_enter(&task->lu->gate, &task->pass, mode);
}

bool scsi_order_admit(struct scsi_task *task)
{
	if (task->itl && scsi_aca_is_near(task) && scsi_aca_block(task))
		return false;
	if (task->order == ORDER_NONE)
		return true;
	if (waits_for_older(task)) {
		task->held = true;
		task->itl->n_held++;
		return false;
	}
	return enter_gate(task);
}

void scsi_order_leave(struct scsi_task *task)
{
	if (task->pass.state == GATE_INSIDE)
		scsi_gate_leave(&task->lu->gate, &task->pass);
}

/* The older ones have ended, or the task is aborted. */
static void held_no_more(struct engine_post *post)
{
	struct scsi_gate_pass *pass = container_of(post, struct scsi_gate_pass, post);
	struct scsi_task *task = container_of(pass, struct scsi_task, pass);

	if (task->aborted || enter_gate(task))
		scsi_task_admitted(task);
}

static void wait_no_more(struct scsi_task *task)
{
	task->pass.post.run = held_no_more;
	engine_post(task->nexus->engine, &task->pass.post);
}

static void let_go(struct scsi_task *task)
{
	task->held = false;
	task->itl->n_held--;
	wait_no_more(task);
}

void scsi_order_cancel(struct scsi_task *task)
{
	assert(task->aborted);
	if (task->held) {
		let_go(task);
	} else if (task->blocked) {
		scsi_aca_unblock(task);
		wait_no_more(task);
	} else if (task->order != ORDER_NONE) {
		scsi_gate_cancel(&task->lu->gate, &task->pass);
	}
}

void scsi_order_end(struct scsi_task *task)
{
	bool older_any = false, older_ordered = false;

	if (task->order == ORDER_ALONE)
		task->itl->n_ordered--;
	if (!task->itl || !task->itl->n_held)
		return;
	list_for_each (other, &task->itl->tasks, struct scsi_task, node) {
		if (other->held && !must_wait(other, older_any, older_ordered))
			let_go(other);
		older_any |= other->order != ORDER_NONE;
		older_ordered |= other->order == ORDER_ALONE;
	}
}
