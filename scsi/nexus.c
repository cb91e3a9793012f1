/* SPDX-License-Identifier: Apache-2.0 */
/* I_T nexuses, and their pairs with LUs: unit attentions and task sets. */
#include "scsi/aca.h"
#include "scsi/alua/alua.h"
#include "scsi/counters.h"
#include "scsi/lu_priv.h"
#include "scsi/medium.h"
#include "scsi/pr/pr.h"
#include <assert.h>
#include <errno.h>

/* A nexus knows the newest map from the start: target->lock is held. */
static int enter_target(struct scsi_nexus *nexus)
{
	struct scsi_map *map = nexus->target->map;

	nexus->itls = calloc(map->n ? map->n : 1, sizeof(struct scsi_itl *));
	if (!nexus->itls)
		return -ENOMEM;
	atomic_fetch_add_explicit(&map->refs, 1, memory_order_relaxed);
	nexus->map = map;
	list_push_back(&nexus->target->nexuses, &nexus->target_node);
	return 0;
}

int scsi_nexus_new(struct scsi_target *target, const char *initiator, uint16_t rel_port,
		   struct engine *engine, struct scsi_nexus **ret_nexus)
{
	scoped(scsi_nexus_free) struct scsi_nexus *nexus = calloc(1, sizeof(*nexus));
	int r;

	if (!nexus)
		return -ENOMEM;
	list_init(&nexus->strays);
	list_init(&nexus->leaving);
	list_init(&nexus->target_node);
	nexus->target = scsi_target_ref(target);
	nexus->rel_port = rel_port;
	nexus->group = scsi_alua_group_of(target->alua, rel_port);
	nexus->engine = engine;
	nexus->initiator = strdup(initiator);
	if (!nexus->initiator)
		return -ENOMEM;
	pthread_mutex_lock(&target->lock);
	r = enter_target(nexus);
	pthread_mutex_unlock(&target->lock);
	if (r < 0)
		return r;
	*ret_nexus = steal(nexus);
	return 0;
}

/* Task management of others may still hold the pair; it finds no nexus and no task there. */
static void itl_leave(struct scsi_itl *itl)
{
	assert(list_empty(&itl->tasks));
	scsi_medium_leave(itl);
	pthread_mutex_lock(&itl->lu->lock);
	scsi_pr_nexus_lost(itl->lu, itl->nexus);
	scsi_aca_clear_locked(itl);
	scsi_count_leave(itl);
	itl->nexus = NULL;
	list_del(&itl->lu_node);
	pthread_mutex_unlock(&itl->lu->lock);
	scsi_itl_unref(itl);
}

void scsi_nexus_free(struct scsi_nexus *nexus)
{
	if (!nexus)
		return;
	assert(list_empty(&nexus->strays) && list_empty(&nexus->leaving));
	pthread_mutex_lock(&nexus->target->lock);
	list_del(&nexus->target_node);
	pthread_mutex_unlock(&nexus->target->lock);
	for (unsigned i = 0; nexus->map && i < nexus->map->n; i++)
		if (nexus->itls[i])
			itl_leave(nexus->itls[i]);
	scsi_map_unref(nexus->map);
	scsi_target_unref(nexus->target);
	free(nexus->itls);
	free(nexus->initiator);
	free(nexus);
}

/* ---- following the target's map ---- */

/* The LUN is gone: so is the pair, once its last task has ended. */
static void itl_unmapped(struct scsi_nexus *nexus, struct scsi_itl *itl)
{
	if (list_empty(&itl->tasks)) {
		itl_leave(itl);
		return;
	}
	itl->leaving = true;
	list_push_back(&nexus->leaving, &itl->leaving_node);
}

void scsi_itl_task_ended(struct scsi_itl *itl)
{
	if (!itl->leaving || !list_empty(&itl->tasks))
		return;
	list_del(&itl->leaving_node);
	itl_leave(itl);
}

/* Moves the pairs that stay from the places of the old map to those of the new one. */
static void move_itls(struct scsi_nexus *nexus, const struct scsi_map *map, struct scsi_itl **itls)
{
	const struct scsi_map *old = nexus->map;

	for (unsigned i = 0, at = 0; i < old->n; i++) {
		struct scsi_itl *itl = nexus->itls[i];

		while (at < map->n && map->all[at].lun < old->all[i].lun)
			at++;
		if (!itl)
			continue;
		if (at < map->n && map->all[at].lun == old->all[i].lun &&
		    map->all[at].lu == itl->lu) {
			itls[at] = itl;
			atomic_fetch_or(&itl->attentions, 1u << UA_LUNS_CHANGED);
		} else {
			itl_unmapped(nexus, itl);
		}
	}
}

/* target->lock is held. Without memory the old map holds for longer. */
static void follow(struct scsi_nexus *nexus)
{
	struct scsi_map *map = nexus->target->map;
	struct scsi_itl **itls;

	if (map == nexus->map)
		return;
	itls = calloc(map->n ? map->n : 1, sizeof(struct scsi_itl *));
	if (!itls)
		return;
	move_itls(nexus, map, itls);
	free(nexus->itls);
	nexus->itls = itls;
	scsi_map_unref(nexus->map);
	atomic_fetch_add_explicit(&map->refs, 1, memory_order_relaxed);
	nexus->map = map;
}

const struct scsi_map *scsi_nexus_map(struct scsi_nexus *nexus)
{
	struct scsi_target *target = nexus->target;

	/* The one we hold cannot have been freed and its place taken by another. */
	if (atomic_load_explicit(&target->map, memory_order_acquire) != nexus->map) {
		pthread_mutex_lock(&target->lock);
		follow(nexus);
		pthread_mutex_unlock(&target->lock);
	}
	return nexus->map;
}

void scsi_nexuses_follow(struct scsi_target *target, struct engine *engine)
{
	pthread_mutex_lock(&target->lock);
	list_for_each (nexus, &target->nexuses, struct scsi_nexus, target_node)
		if (nexus->engine == engine)
			follow(nexus);
	pthread_mutex_unlock(&target->lock);
}

static struct scsi_task *next_to_abort(struct scsi_target *target, const struct engine *engine)
{
	list_for_each (nexus, &target->nexuses, struct scsi_nexus, target_node) {
		if (nexus->engine != engine)
			continue;
		list_for_each (itl, &nexus->leaving, struct scsi_itl, leaving_node)
			list_for_each (task, &itl->tasks, struct scsi_task, node)
				if (!task->aborted)
					return task;
	}
	return NULL;
}

/* The transport may end this task or others at once, and nexuses with them: so look anew. */
void scsi_nexuses_abort_leaving(struct scsi_target *target, struct engine *engine)
{
	struct scsi_task *task;

	do {
		pthread_mutex_lock(&target->lock);
		task = next_to_abort(target, engine);
		pthread_mutex_unlock(&target->lock);
		if (task)
			scsi_task_abort(task, false);
	} while (task);
}

/* ---- pairs ---- */

void scsi_nexus_set_version(struct scsi_nexus *nexus, uint16_t version)
{
	nexus->version = version;
}

void scsi_nexus_set_foreign(struct scsi_nexus *nexus, unsigned flags)
{
	nexus->foreign = flags;
}

int scsi_nexus_numa_node(struct scsi_nexus *nexus, uint64_t lun)
{
	const struct scsi_map *map = scsi_nexus_map(nexus);
	int mapping = scsi_map_find(map, lun);

	return mapping < 0 ? -1 : map->all[mapping].lu->numa_node;
}

static struct scsi_itl *itl_new(struct scsi_nexus *nexus, struct scsi_lu *lu)
{
	struct scsi_itl *itl = calloc(1, sizeof(*itl));

	if (!itl)
		return NULL;
	itl->counters = scsi_counters_new();
	if (!itl->counters) {
		free(itl);
		return NULL;
	}
	itl->refs = 1;
	itl->lu = scsi_lu_ref(lu);
	itl->nexus = nexus;
	itl->attentions = 1u << UA_POWER_ON;
	list_init(&itl->tasks);
	list_init(&itl->parts);
	list_init(&itl->leaving_node);
	pthread_mutex_lock(&lu->lock);
	list_push_back(&lu->itls, &itl->lu_node);
	scsi_count_enter(itl);
	pthread_mutex_unlock(&lu->lock);
	return itl;
}

struct scsi_itl *scsi_nexus_itl(struct scsi_nexus *nexus, unsigned mapping)
{
	if (!nexus->itls[mapping])
		nexus->itls[mapping] = itl_new(nexus, nexus->map->all[mapping].lu);
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
	scsi_counters_free(itl->counters);
	free(itl->echo);
	free(itl);
}

/* ---- unit attentions ---- */

void scsi_nexus_luns_seen(struct scsi_nexus *nexus)
{
	for (unsigned i = 0; i < nexus->map->n; i++)
		if (nexus->itls[i])
			atomic_fetch_and(&nexus->itls[i]->attentions, ~(1u << UA_LUNS_CHANGED));
}

static enum scsi_sense_code attention_code(unsigned attention)
{
	static const enum scsi_sense_code codes[UA_COUNT] = {
		[UA_POWER_ON] = SENSE_POWER_ON_OR_RESET,
		[UA_BUS_RESET] = SENSE_SCSI_BUS_RESET,
		[UA_LU_RESET] = SENSE_BUS_DEVICE_RESET,
		[UA_NEXUS_LOSS] = SENSE_NEXUS_LOSS,
		[UA_COMMANDS_CLEARED] = SENSE_COMMANDS_CLEARED,
		[UA_MODE_CHANGED] = SENSE_MODE_PARAMETERS_CHANGED,
		[UA_LOG_CHANGED] = SENSE_LOG_PARAMETERS_CHANGED,
		[UA_ALUA_CHANGED] = SENSE_ALUA_STATE_CHANGED,
		[UA_ALUA_FAILED] = SENSE_ALUA_TRANSITION_FAILED,
		[UA_TIMESTAMP_CHANGED] = SENSE_TIMESTAMP_CHANGED,
		[UA_IDENT_CHANGED] = SENSE_IDENTIFIER_CHANGED,
		[UA_RESERVATIONS_PREEMPTED] = SENSE_RESERVATIONS_PREEMPTED,
		[UA_RESERVATIONS_RELEASED] = SENSE_RESERVATIONS_RELEASED,
		[UA_REGISTRATIONS_PREEMPTED] = SENSE_REGISTRATIONS_PREEMPTED,
		[UA_SPACE_THRESHOLD] = SENSE_SPACE_THRESHOLD,
		[UA_CAPACITY_CHANGED] = SENSE_CAPACITY_CHANGED,
		[UA_LUNS_CHANGED] = SENSE_REPORTED_LUNS_CHANGED,
		[UA_MEDIUM_CHANGED] = SENSE_MEDIUM_MAY_HAVE_CHANGED,
	};

	return codes[attention];
}

enum scsi_sense_code scsi_itl_peek_attention(const struct scsi_itl *itl, unsigned *ret_n)
{
	unsigned pending = atomic_load(&((struct scsi_itl *)itl)->attentions);

	*ret_n = (unsigned)__builtin_popcount(pending);
	return pending ? attention_code((unsigned)__builtin_ctz(pending)) : SENSE_NONE;
}

enum scsi_sense_code scsi_itl_take_attention(struct scsi_itl *itl)
{
	unsigned pending = atomic_load(&itl->attentions);
	unsigned lowest;

	if (!pending)
		return SENSE_NONE;
	/* Others only add attentions: the lowest one seen here is still set. */
	lowest = (unsigned)__builtin_ctz(pending);
	atomic_fetch_and(&itl->attentions, ~(1u << lowest));
	if (lowest == UA_LUNS_CHANGED) /* LUICLR in VPD page 86 */
		scsi_nexus_luns_seen(itl->nexus);
	return attention_code(lowest);
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
