/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a CHECK CONDITION means for the other commands of its task set: auto contingent allegiance
 * (ACA), which a command asks for by NACA, and QERR of the Control mode page.
 *
 * While there is an ACA condition, new commands of the faulted I_T nexus are answered with ACA
 * ACTIVE, but for one at a time with the ACA task attribute; those of other nexuses, where all
 * share a task set (TST), with BUSY or ACA ACTIVE; and what had not begun to work stays blocked
 * until it is cleared. What was at work already is carried to its end. A LU without an ACA
 * condition costs its commands a look at lu->n_aca.
 * Source: SAM-5 r21, auto contingent allegiance; SPC-5 r22, Control mode page.
 */
#include "scsi/lu_priv.h"

/* Whether an ACA condition may stand in a command's way. task->itl is there. */
static inline bool scsi_aca_is_near(const struct scsi_task *task)
{
	return __builtin_expect(atomic_load_explicit(&task->lu->n_aca, memory_order_relaxed) != 0,
				0);
}

/* For a new command: SCSI_READY, or SCSI_DONE with the answer. Only when one is near. */
enum scsi_step scsi_aca_check(struct scsi_task *task);

/*
 * For a command that is about to begin its work: whether it has to wait until the condition is
 * cleared. scsi_order_admit() is asked again for it then. Only when one is near.
 */
bool scsi_aca_block(struct scsi_task *task);

/* A blocked command is to wait no longer. */
void scsi_aca_unblock(struct scsi_task *task);

/* A command has left itl->tasks with CHECK CONDITION. */
void scsi_aca_fault(struct scsi_task *task);

/* Clears the ACA condition of this nexus, if there is one. Any thread; lu->lock is held or not. */
void scsi_aca_clear(struct scsi_itl *itl);
void scsi_aca_clear_locked(struct scsi_itl *itl);
