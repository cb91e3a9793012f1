/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What reservations allow. The tables of SPC-5 r22 (commands allowed in the presence of various
 * reservations) and of SBC-4 r22 come down to this: who is let in by a reservation may do anything;
 * anybody else, what stands in allowed[] for the kind of the command, which is in its row.
 */
#include "scsi/pr/pr_priv.h"

enum kind { KIND_ALWAYS, KIND_READS, KIND_WRITES, N_KINDS };

static const bool allowed[PR_TYPES][N_KINDS] = {
	/* ALWAYS, READS, WRITES; for who is not let in */
	[PR_NONE] = {true, true, true},
	[PR_WRITE_EXCLUSIVE] = {true, true, false},
	[PR_EXCLUSIVE_ACCESS] = {true, false, false},
	[PR_WRITE_EXCLUSIVE_REGISTRANTS] = {true, true, false},
	[PR_EXCLUSIVE_ACCESS_REGISTRANTS] = {true, false, false},
	[PR_WRITE_EXCLUSIVE_ALL] = {true, true, false},
	[PR_EXCLUSIVE_ACCESS_ALL] = {true, false, false},
};

static enum kind kind_of(enum scsi_resv resv, enum scsi_access access)
{
	switch (resv) {
	case RESV_ALLOWED:
	case RESV_PERSISTENT:
	case RESV_OWN:
		return KIND_ALWAYS;
	case RESV_CONFLICT:
		return KIND_WRITES;
	default:
		if (access == ACCESS_ANY)
			return KIND_ALWAYS;
		return access == ACCESS_WRITE ? KIND_WRITES : KIND_READS;
	}
}

/* Commands that are allowed whatever is reserved when a field has a certain value. */
static const struct {
	uint8_t opcode, byte, mask, value;
} exempt[] = {
	{0x1b, 4, 0xf1, 0x01}, /* START STOP UNIT: START 1, POWER CONDITION 0 */
	{0x1e, 4, 0x03, 0x00}, /* PREVENT ALLOW MEDIUM REMOVAL: PREVENT 0 */
};

static enum scsi_resv resv_of(const struct scsi_task *task)
{
	for (unsigned i = 0; i < sizeof(exempt) / sizeof(exempt[0]); i++)
		if (task->cdb[0] == exempt[i].opcode &&
		    (task->cdb[exempt[i].byte] & exempt[i].mask) == exempt[i].value)
			return RESV_ALLOWED;
	return task->op->resv;
}

/* RESERVE lets in nobody but its nexus. Source: SPC-2 r20, the same table. */
static bool reserve_allows(enum scsi_resv resv, enum scsi_access access)
{
	return resv == RESV_ALLOWED || resv == RESV_OWN || access == ACCESS_ANY;
}

static bool bars(const struct scsi_pr *pr, enum pr_right right, const struct scsi_nexus *nexus,
		 enum scsi_resv resv, enum scsi_access access)
{
	const struct scsi_nexus *reserved = atomic_load(&pr->reserved);

	if (reserved && reserved != nexus)
		return !reserve_allows(resv, access);
	if (right == PR_HOLDER || (right == PR_REGISTERED && pr_type_is_shared(pr->type)))
		return false;
	return !allowed[pr->type][kind_of(resv, access)];
}

bool scsi_pr_bars(struct scsi_lu *lu, const struct scsi_nexus *nexus, enum scsi_resv resv,
		  enum scsi_access access)
{
	const struct scsi_pr *pr;
	bool barred;

	/* The thread that asks may be none of the LU's, which a snapshot is kept for. */
	pthread_mutex_lock(&lu->lock);
	pr = scsi_pr_of(lu);
	barred = pr && bars(pr, pr_right_of(pr, nexus), nexus, resv, access);
	pthread_mutex_unlock(&lu->lock);
	return barred;
}

enum scsi_step scsi_pr_check(struct scsi_task *task)
{
	const struct scsi_pr *pr = scsi_pr_of(task->lu);
	struct scsi_itl *itl = task->itl;

	if (!pr || (!pr->type && !atomic_load(&pr->reserved)))
		return SCSI_READY;
	if (itl->pr_serial != pr->serial) { /* looked up by name once for each change */
		itl->pr_right = (uint8_t)pr_right_of(pr, task->nexus);
		itl->pr_serial = pr->serial;
	}
	if (bars(pr, itl->pr_right, task->nexus, resv_of(task), task->op->access))
		return scsi_finish(task, STATUS_RESERVATION_CONFLICT);
	return SCSI_READY;
}
