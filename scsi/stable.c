/* SPDX-License-Identifier: Apache-2.0 */
/* See stable.h. */
#include "scsi/stable.h"
#include <assert.h>

void scsi_stable_init(struct scsi_stable *stable)
{
	*stable = (struct scsi_stable){0};
	pthread_mutex_init(&stable->lock, NULL);
	list_init(&stable->under_way);
	list_init(&stable->waiting);
}

void scsi_stable_fini(struct scsi_stable *stable)
{
	assert(list_empty(&stable->under_way) && list_empty(&stable->waiting));
	pthread_mutex_destroy(&stable->lock);
}

void scsi_stable_begin(struct scsi_stable *stable, struct scsi_stable_op *op)
{
	pthread_mutex_lock(&stable->lock);
	op->number = ++stable->n_begun;
	list_push_back(&stable->under_way, &op->node);
	pthread_mutex_unlock(&stable->lock);
}

/* Whether all up to this number have ended. Under the lock. */
static bool have_ended(struct scsi_stable *stable, uint64_t number)
{
	return list_empty(&stable->under_way) ||
	       list_first(&stable->under_way, struct scsi_stable_op, node)->number > number;
}

static void settled(struct engine_post *post)
{
	struct scsi_stable_op *op = container_of(post, struct scsi_stable_op, post);

	op->settled(op);
}

/* Under the lock. From its post on, an op may be gone. */
static void settle(struct scsi_stable *stable)
{
	while (!list_empty(&stable->waiting)) {
		struct scsi_stable_op *op =
			list_first(&stable->waiting, struct scsi_stable_op, node);

		if (!have_ended(stable, op->number))
			return;
		list_del(&op->node);
		op->post.run = settled;
		engine_post(op->engine, &op->post);
	}
}

bool scsi_stable_end(struct scsi_stable *stable, struct scsi_stable_op *op, bool failed)
{
	bool may_tell;

	pthread_mutex_lock(&stable->lock);
	list_del(&op->node);
	op->number = stable->n_begun;
	may_tell = failed || have_ended(stable, op->number);
	if (!may_tell)
		list_push_back(&stable->waiting, &op->node);
	settle(stable);
	pthread_mutex_unlock(&stable->lock);
	return may_tell;
}
