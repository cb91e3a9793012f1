/* SPDX-License-Identifier: Apache-2.0 */
/* I_T nexuses, and their pairs with LUs: unit attentions and task sets. */
#include "scsi/lu_priv.h"
#include <assert.h>
#include <errno.h>

int scsi_nexus_new(struct scsi_target *target, const char *initiator, uint16_t rel_port,
		   struct engine *engine, struct scsi_nexus **ret_nexus)
{
	scoped(scsi_nexus_free) struct scsi_nexus *nexus = calloc(1, sizeof(*nexus));

	if (!nexus)
		return -ENOMEM;
	list_init(&nexus->strays);
	nexus->target = scsi_target_ref(target);
	nexus->rel_port = rel_port;
	nexus->engine = engine;
	nexus->initiator = strdup(initiator);
	nexus->itls = calloc(target->n_map ? target->n_map : 1, sizeof(struct scsi_itl *));
	if (!nexus->initiator || !nexus->itls)
		return -ENOMEM;
	*ret_nexus = steal(nexus);
	return 0;
}

/* Task management of others may still hold the pair; it finds no nexus and no task there. */
static void itl_leave(struct scsi_itl *itl)
{
	assert(list_empty(&itl->tasks));
	pthread_mutex_lock(&itl->lu->lock);
	itl->nexus = NULL;
	list_del(&itl->lu_node);
	pthread_mutex_unlock(&itl->lu->lock);
	scsi_itl_unref(itl);
}

void scsi_nexus_free(struct scsi_nexus *nexus)
{
	if (!nexus)
		return;
	assert(list_empty(&nexus->strays));
	for (unsigned i = 0; nexus->itls && i < nexus->target->n_map; i++)
		if (nexus->itls[i])
			itl_leave(nexus->itls[i]);
	scsi_target_unref(nexus->target);
	free(nexus->itls);
	free(nexus->initiator);
	free(nexus);
}

int scsi_nexus_numa_node(const struct scsi_nexus *nexus, uint64_t lun)
{
	int mapping = scsi_target_find(nexus->target, lun);

	return mapping < 0 ? -1 : nexus->target->map[mapping].lu->numa_node;
}

static struct scsi_itl *itl_new(struct scsi_nexus *nexus, struct scsi_lu *lu)
{
	struct scsi_itl *itl = calloc(1, sizeof(*itl));

	if (!itl)
		return NULL;
	itl->refs = 1;
	itl->lu = scsi_lu_ref(lu);
	itl->nexus = nexus;
	itl->attentions = 1u << UA_POWER_ON;
	list_init(&itl->tasks);
	list_init(&itl->parts);
	pthread_mutex_lock(&lu->lock);
	list_push_back(&lu->itls, &itl->lu_node);
	pthread_mutex_unlock(&lu->lock);
	return itl;
}

struct scsi_itl *scsi_nexus_itl(struct scsi_nexus *nexus, unsigned mapping)
{
	if (!nexus->itls[mapping])
		nexus->itls[mapping] = itl_new(nexus, nexus->target->map[mapping].lu);
	return nexus->itls[mapping];
}

struct scsi_itl *scsi_itl_ref(struct scsi_itl *itl)
{
	atomic_fetch_add_explicit(&itl->refs, 1, memory_order_relaxed);
	return itl;
}

void scsi_itl_unref(struct scsi_itl *itl)
{
	if (atomic_fetch_sub_explicit(&itl->refs, 1, memory_order_acq_rel) > 1)
		return;
	scsi_lu_unref(itl->lu);
	free(itl);
}

/* ---- unit attentions ---- */

enum scsi_sense_code scsi_itl_take_attention(struct scsi_itl *itl)
{
	static const enum scsi_sense_code codes[UA_COUNT] = {
		[UA_POWER_ON] = SENSE_POWER_ON_OR_RESET,
		[UA_BUS_RESET] = SENSE_SCSI_BUS_RESET,
		[UA_LU_RESET] = SENSE_BUS_DEVICE_RESET,
		[UA_NEXUS_LOSS] = SENSE_NEXUS_LOSS,
		[UA_COMMANDS_CLEARED] = SENSE_COMMANDS_CLEARED,
		[UA_MODE_CHANGED] = SENSE_MODE_PARAMETERS_CHANGED,
		[UA_CAPACITY_CHANGED] = SENSE_CAPACITY_CHANGED,
		[UA_LUNS_CHANGED] = SENSE_REPORTED_LUNS_CHANGED,
	};
	unsigned pending = atomic_load(&itl->attentions);
	unsigned lowest;

	if (!pending)
		return SENSE_NONE;
	/* Others only add attentions: the lowest one seen here is still set. */
	lowest = (unsigned)__builtin_ctz(pending);
	atomic_fetch_and(&itl->attentions, ~(1u << lowest));
	return codes[lowest];
}

void scsi_lu_attention(struct scsi_lu *lu, enum scsi_attention attention,
		       const struct scsi_nexus *except)
{
	pthread_mutex_lock(&lu->lock);
	list_for_each (itl, &lu->itls, struct scsi_itl, lu_node)
		if (itl->nexus != except)
			atomic_fetch_or(&itl->attentions, 1u << attention);
	pthread_mutex_unlock(&lu->lock);
}
