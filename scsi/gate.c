/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two who meet at the gate are told apart as in Dekker's algorithm: the shared one counts itself
 * and then looks at the flag, the exclusive one sets the flag and then looks at the counters. All
 * four are sequentially consistent, so at least one of the two sees the other.
 */
#include "scsi/gate.h"
#include <assert.h>

void scsi_gate_init(struct scsi_gate *gate)
{
	*gate = (struct scsi_gate){0};
	pthread_mutex_init(&gate->lock, NULL);
	list_init(&gate->waiting);
}

void scsi_gate_fini(struct scsi_gate *gate)
{
	assert(!atomic_load(&gate->closed));
	pthread_mutex_destroy(&gate->lock);
}

/* The calling thread's slot, the same for all gates. More threads than slots share some. */
static uint8_t own_slot(void)
{
	static atomic_uint n_threads;
	static _Thread_local uint8_t slot_plus_1;

	if (!slot_plus_1)
		slot_plus_1 = (uint8_t)(atomic_fetch_add(&n_threads, 1) % SCSI_GATE_SLOTS + 1);
	return slot_plus_1 - 1;
}

static bool is_empty(struct scsi_gate *gate)
{
	for (unsigned i = 0; i < SCSI_GATE_SLOTS; i++)
		if (atomic_load(&gate->slots[i].n_inside))
			return false;
	return true;
}

/* ---- under the lock ---- */

/* Whether a pass may go in now, if it is its turn. The gate counts as closed already. */
static bool may_enter(struct scsi_gate *gate, const struct scsi_gate_pass *pass)
{
	if (gate->alone)
		return false;
	return !(pass->mode & GATE_EXCLUSIVE) || is_empty(gate);
}

static void go_in(struct scsi_gate *gate, struct scsi_gate_pass *pass)
{
	if (pass->mode & GATE_EXCLUSIVE)
		gate->alone = pass;
	else
		atomic_fetch_add(&gate->slots[pass->slot].n_inside, 1);
	pass->state = GATE_INSIDE;
}

/* Lets in whose turn it is, and opens the gate when nobody is left who needs it closed. */
static void let_in(struct scsi_gate *gate)
{
	while (!list_empty(&gate->waiting)) {
		struct scsi_gate_pass *pass =
			list_first(&gate->waiting, struct scsi_gate_pass, node);

		if (!may_enter(gate, pass))
			return;
		list_del(&pass->node);
		go_in(gate, pass);
		engine_post(pass->engine, &pass->post); /* from here on it may be gone */
	}
	atomic_store(&gate->closed, gate->alone != NULL);
}

/* Where in the line a pass belongs: it goes just before this. */
static struct list *place_in_line(struct scsi_gate *gate, const struct scsi_gate_pass *pass)
{
	if (pass->mode & GATE_FIRST)
		list_for_each (other, &gate->waiting, struct scsi_gate_pass, node)
			if (!(other->mode & GATE_FIRST))
				return &other->node;
	return &gate->waiting;
}

/* Return: whether it went in. */
static bool enter_or_wait(struct scsi_gate *gate, struct scsi_gate_pass *pass)
{
	struct list *place = place_in_line(gate, pass);
	bool is_first = gate->waiting.next == place;

	if (is_first && may_enter(gate, pass)) {
		go_in(gate, pass);
		return true;
	}
	pass->state = GATE_WAITING;
	list_push_back(place, &pass->node);
	return false;
}

/* ---- */

static void pass_admitted(struct engine_post *post)
{
	struct scsi_gate_pass *pass = container_of(post, struct scsi_gate_pass, post);

	pass->admitted(pass);
}

static bool enter_slowly(struct scsi_gate *gate, struct scsi_gate_pass *pass)
{
	bool is_inside;

	pthread_mutex_lock(&gate->lock);
	atomic_store(&gate->closed, true); /* before the counters are looked at */
	is_inside = enter_or_wait(gate, pass);
	/* It counted itself for a moment, which may have kept another one waiting. */
	let_in(gate);
	pthread_mutex_unlock(&gate->lock);
	return is_inside;
}

bool scsi_gate_enter(struct scsi_gate *gate, struct scsi_gate_pass *pass, unsigned mode)
{
	atomic_uint *n_inside;

	assert(pass->state == GATE_OUTSIDE);
	pass->post.run = pass_admitted;
	pass->mode = (uint8_t)mode;
	pass->slot = own_slot();
	if (mode & GATE_EXCLUSIVE)
		return enter_slowly(gate, pass);
	n_inside = &gate->slots[pass->slot].n_inside;
	atomic_fetch_add(n_inside, 1);
	if (!atomic_load(&gate->closed)) {
		pass->state = GATE_INSIDE;
		return true;
	}
	atomic_fetch_sub(n_inside, 1);
	return enter_slowly(gate, pass);
}

void scsi_gate_leave(struct scsi_gate *gate, struct scsi_gate_pass *pass)
{
	assert(pass->state == GATE_INSIDE);
	pass->state = GATE_OUTSIDE;
	if (!(pass->mode & GATE_EXCLUSIVE)) {
		atomic_fetch_sub(&gate->slots[pass->slot].n_inside, 1);
		if (!atomic_load(&gate->closed))
			return;
	}
	pthread_mutex_lock(&gate->lock);
	if (gate->alone == pass)
		gate->alone = NULL;
	let_in(gate);
	pthread_mutex_unlock(&gate->lock);
}

void scsi_gate_cancel(struct scsi_gate *gate, struct scsi_gate_pass *pass)
{
	bool turned_away;

	pthread_mutex_lock(&gate->lock);
	turned_away = pass->state == GATE_WAITING;
	if (turned_away) {
		list_del(&pass->node);
		pass->state = GATE_OUTSIDE;
		let_in(gate);
	}
	pthread_mutex_unlock(&gate->lock);
	if (turned_away)
		engine_post(pass->engine, &pass->post);
}
