/* SPDX-License-Identifier: Apache-2.0 */
/* The snapshot of registrations and reservations, and copies of it that are being changed. */
#include "scsi/pr/pr_priv.h"
#include <errno.h>
#include <stdlib.h>

struct pr_name pr_name_of(const struct scsi_nexus *nexus)
{
	return (struct pr_name){.initiator = nexus->initiator,
				.target = nexus->target->name,
				.rel_port = nexus->rel_port};
}

bool pr_type_is_all_registrants(unsigned type)
{
	return type == PR_WRITE_EXCLUSIVE_ALL || type == PR_EXCLUSIVE_ACCESS_ALL;
}

bool pr_type_is_shared(unsigned type)
{
	return pr_type_is_all_registrants(type) || type == PR_WRITE_EXCLUSIVE_REGISTRANTS ||
	       type == PR_EXCLUSIVE_ACCESS_REGISTRANTS;
}

bool pr_type_is_exclusive_access(unsigned type)
{
	return type == PR_EXCLUSIVE_ACCESS || type == PR_EXCLUSIVE_ACCESS_REGISTRANTS ||
	       type == PR_EXCLUSIVE_ACCESS_ALL;
}

bool pr_type_is_valid(unsigned type)
{
	return type == PR_WRITE_EXCLUSIVE || type == PR_EXCLUSIVE_ACCESS || pr_type_is_shared(type);
}

int pr_find(const struct scsi_pr *pr, const struct pr_name *name)
{
	for (unsigned i = 0; pr && i < pr->n; i++) {
		const struct pr_registrant *r = &pr->all[i];

		if (r->rel_port == name->rel_port && strcmp(r->initiator, name->initiator) == 0 &&
		    strcmp(r->target, name->target) == 0)
			return (int)i;
	}
	return -1;
}

bool pr_holds(const struct scsi_pr *pr, int i)
{
	if (i < 0 || !pr->type)
		return false;
	return pr_type_is_all_registrants(pr->type) || pr->holder == (unsigned)i;
}

enum pr_right pr_right_of(const struct scsi_pr *pr, const struct scsi_nexus *nexus)
{
	struct pr_name name = pr_name_of(nexus);
	int i = pr_find(pr, &name);

	if (i < 0)
		return PR_STRANGER;
	return pr_holds(pr, i) ? PR_HOLDER : PR_REGISTERED;
}

/* ---- copies ---- */

static size_t size_for(unsigned n)
{
	return sizeof(struct scsi_pr) + n * sizeof(struct pr_registrant);
}

struct scsi_pr *pr_copy(const struct scsi_pr *pr)
{
	unsigned n = pr ? pr->n : 0;
	struct scsi_pr *copy = calloc(1, size_for(n));

	if (!copy)
		return NULL;
	copy->serial = 1;
	if (!pr)
		return copy;
	copy->serial = pr->serial + 1;
	copy->generation = pr->generation;
	copy->aptpl = pr->aptpl;
	copy->type = pr->type;
	copy->holder = pr->holder;
	copy->n = n;
	memcpy(copy->all, pr->all, n * sizeof(pr->all[0]));
	return copy;
}

int pr_add(struct scsi_pr **pr, const struct pr_name *name, uint64_t key)
{
	struct pr_registrant *r;
	struct scsi_pr *more;

	if ((*pr)->n >= PR_MAX || strlen(name->initiator) >= PR_INITIATOR_MAX ||
	    strlen(name->target) >= PR_TARGET_MAX)
		return -ENOSPC;
	more = realloc(*pr, size_for((*pr)->n + 1));
	if (!more)
		return -ENOMEM;
	*pr = more;
	r = &more->all[more->n++];
	*r = (struct pr_registrant){.key = key, .rel_port = name->rel_port};
	strcpy(r->initiator, name->initiator);
	strcpy(r->target, name->target);
	return 0;
}

void pr_remove(struct scsi_pr *pr, unsigned i)
{
	memmove(&pr->all[i], &pr->all[i + 1], (pr->n - i - 1) * sizeof(pr->all[0]));
	pr->n--;
	if (pr->holder > i)
		pr->holder--;
}

void pr_unregister(struct scsi_pr *pr, unsigned i)
{
	bool last = pr->n == 1;

	if (pr_holds(pr, (int)i) && (last || !pr_type_is_all_registrants(pr->type)))
		pr->type = PR_NONE;
	pr_remove(pr, i);
}

void scsi_pr_free(struct scsi_lu *lu)
{
	free(scsi_pr_of(lu));
}
