/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The gate of a LU: what touches the medium passes it, most of it side by side, some of it alone.
 *
 * A pass in shared mode costs an increment and a decrement of a counter that only this thread
 * writes, and two looks at a flag that is hardly ever set. One in exclusive mode waits until all
 * that are inside have left, keeps later ones out, and goes in alone. Who must wait is let in on
 * the thread of its engine, in the order of arrival; GATE_FIRST goes ahead of the others that wait.
 *
 * Commands of the LU pass it by themselves (scsi_task_run()). Whoever reaches a LU's store in
 * another way (a copy between LUs, work in the background) takes a pass of his own for each piece
 * of work. Who is inside waits for no other gate, but for copies, which go into the gates of their
 * two LUs by ascending address: two that each wait inside for the gate that the other holds would
 * wait for ever.
 */
#include "util/engine.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SCSI_GATE_SLOTS 16

enum scsi_gate_mode {
	GATE_SHARED = 0,
	GATE_EXCLUSIVE = 1,
	GATE_FIRST = 2, /* with either: ahead of all that wait, never into what is inside alone */
};

enum scsi_gate_state { GATE_OUTSIDE, GATE_WAITING, GATE_INSIDE };

/* Zeroed, or left before; lent to the gate until it has been left. */
struct scsi_gate_pass {
	/* set before entering */
	struct engine *engine; /* whose thread enters, is let in, and leaves */
	/*
	 * Let in at last; or turned away by scsi_gate_cancel(), then state is GATE_OUTSIDE. From
	 * the loop, never inside scsi_gate_enter(), _leave() or _cancel().
	 */
	void (*admitted)(struct scsi_gate_pass *pass);

	/* the gate's */
	struct engine_post post;
	struct list node;
	enum scsi_gate_state state;
	uint8_t mode, slot;
};

struct scsi_gate {
	/* Counters a cache line apart; a thread keeps to one, so that none is shared as a rule. */
	struct scsi_gate_slot {
		uint8_t apart[60];
		atomic_uint n_inside;
	} slots[SCSI_GATE_SLOTS];
	uint8_t apart[60];
	atomic_bool closed;   /* somebody is inside alone, or waits */
	pthread_mutex_t lock; /* for what follows, and for setting closed */
	struct list waiting;  /* struct scsi_gate_pass.node */
	struct scsi_gate_pass *alone;
};

void scsi_gate_init(struct scsi_gate *gate);
void scsi_gate_fini(struct scsi_gate *gate); /* nobody is inside or waits */

/**
 * scsi_gate_enter() - go in, or wait
 * @mode: of enum scsi_gate_mode
 * Return: true: inside; false: pass->admitted() follows.
 */
bool scsi_gate_enter(struct scsi_gate *gate, struct scsi_gate_pass *pass, unsigned mode);

/* Goes out again; it is inside, on the thread that it entered on. */
void scsi_gate_leave(struct scsi_gate *gate, struct scsi_gate_pass *pass);

/*
 * Gives up waiting, on the thread of the pass: pass->admitted() follows all the same, and has to
 * look at pass->state, for it may just have been let in. No effect on one that does not wait.
 */
void scsi_gate_cancel(struct scsi_gate *gate, struct scsi_gate_pass *pass);
