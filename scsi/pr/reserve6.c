/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RESERVE (6), (10) and RELEASE (6), (10) of the whole LU for the nexus that asks. A reset of the
 * LU or the loss of the nexus ends such a reservation.
 *
 * They and registrations exclude each other, but for what REPORT CAPABILITIES tells as CRH: for
 * who is let in by a persistent reservation, both commands are GOOD and do nothing.
 * Source: SPC-2 r20, RESERVE and RELEASE; SPC-5 r22, exceptions to SPC-2 RESERVE and RELEASE
 * behavior.
 */
#include "scsi/pr/pr_priv.h"
#include <stdlib.h>

/*
 * Registrations decide: SCSI_DONE with the answer, else SCSI_READY. lu->lock is held.
 * Some LUs change their registrations off the reactors; what will come of that is not known yet.
 */
static enum scsi_step judge_registered(struct scsi_task *task)
{
	const struct scsi_pr *pr = scsi_pr_of(task->lu);
	enum pr_right right = pr_right_of(pr, task->nexus);

	if (task->lu->pr_changing)
		return scsi_finish(task, STATUS_BUSY);
	if (!pr || !pr->n)
		return SCSI_READY;
	if (right == PR_HOLDER || (right == PR_REGISTERED && pr_type_is_shared(pr->type)))
		return scsi_good(task);
	return scsi_finish(task, STATUS_RESERVATION_CONFLICT);
}

/* The snapshot to note a RESERVE in. lu->lock is held. Return: NULL without memory. */
static struct scsi_pr *get_pr(struct scsi_lu *lu)
{
	struct scsi_pr *pr = scsi_pr_of(lu);

	if (pr)
		return pr;
	pr = pr_copy(NULL);
	if (pr)
		atomic_store_explicit(&lu->pr, pr, memory_order_release);
	return pr;
}

static enum scsi_step reserve_locked(struct scsi_task *task)
{
	enum scsi_step step = judge_registered(task);
	struct scsi_pr *pr;

	if (step == SCSI_DONE)
		return step;
	pr = get_pr(task->lu);
	if (!pr)
		return scsi_finish(task, STATUS_BUSY);
	if (pr->reserved && pr->reserved != task->nexus)
		return scsi_finish(task, STATUS_RESERVATION_CONFLICT);
	atomic_store(&pr->reserved, task->nexus);
	return scsi_good(task);
}

static enum scsi_step release_locked(struct scsi_task *task)
{
	enum scsi_step step = judge_registered(task);

	if (step == SCSI_DONE)
		return step;
	/* What another nexus has reserved stays so, without an error. */
	scsi_pr_nexus_lost(task->lu, task->nexus);
	return scsi_good(task);
}

enum scsi_step pr_reserve(struct scsi_task *task)
{
	enum scsi_step step;

	pthread_mutex_lock(&task->lu->lock);
	step = reserve_locked(task);
	pthread_mutex_unlock(&task->lu->lock);
	return step;
}

enum scsi_step pr_release(struct scsi_task *task)
{
	enum scsi_step step;

	pthread_mutex_lock(&task->lu->lock);
	step = release_locked(task);
	pthread_mutex_unlock(&task->lu->lock);
	return step;
}

void scsi_pr_reset(struct scsi_lu *lu)
{
	struct scsi_pr *pr;

	pthread_mutex_lock(&lu->lock);
	pr = scsi_pr_of(lu);
	if (pr)
		atomic_store(&pr->reserved, NULL);
	pthread_mutex_unlock(&lu->lock);
}

void scsi_pr_nexus_lost(struct scsi_lu *lu, const struct scsi_nexus *nexus)
{
	struct scsi_pr *pr = scsi_pr_of(lu);

	if (pr && pr->reserved == nexus)
		atomic_store(&pr->reserved, NULL);
}
