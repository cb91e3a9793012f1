/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Targets: names with a map from LUNs to LUs. A map that a nexus may know is never changed; a new
 * one takes its place, and each nexus follows on its own thread: when it is told, or with its
 * next command if that comes first.
 */
#include "scsi/alua/alua.h"
#include "scsi/copy/copy.h"
#include <errno.h>

#define LUN_LIMIT 0x4000 /* what flat space addressing holds */

enum { METHOD_PERIPHERAL = 0, METHOD_FLAT = 1 }; /* SAM-5 r21, addressing methods */

/* ---- maps ---- */

static struct scsi_map *map_new(unsigned room)
{
	struct scsi_map *map = calloc(1, sizeof(*map) + room * sizeof(map->all[0]));

	if (!map)
		return NULL;
	map->refs = 1;
	map->room = room;
	return map;
}

void scsi_map_unref(struct scsi_map *map)
{
	if (!map || atomic_fetch_sub_explicit(&map->refs, 1, memory_order_acq_rel) > 1)
		return;
	for (unsigned i = 0; i < map->n; i++)
		scsi_lu_unref(map->all[i].lu);
	free(map);
}

static void map_add(struct scsi_map *map, const struct scsi_mapping *from, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		map->all[map->n++] = from[i];
		scsi_lu_ref(from[i].lu);
	}
}

unsigned scsi_map_search(const struct scsi_map *map, uint32_t lun)
{
	unsigned low = 0, high = map->n;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (map->all[middle].lun < lun)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int scsi_map_find(const struct scsi_map *map, uint64_t lun)
{
	int32_t number = scsi_lun_decode(lun);
	unsigned at;

	if (number < 0)
		return -1;
	/* LUNs mostly count from 0 without a gap. */
	at = (uint32_t)number < map->n && map->all[number].lun == (uint32_t)number
		     ? (uint32_t)number
		     : scsi_map_search(map, (uint32_t)number);
	return at < map->n && map->all[at].lun == (uint32_t)number ? (int)at : -1;
}

/* ---- targets ---- */

int scsi_target_new(const char *name, struct scsi_target **ret_target)
{
	scoped(scsi_target_unref) struct scsi_target *target = calloc(1, sizeof(*target));

	if (!target)
		return -ENOMEM;
	target->refs = 1;
	pthread_mutex_init(&target->lock, NULL);
	list_init(&target->nexuses);
	target->name = strdup(name);
	target->map = map_new(1);
	target->alua = scsi_alua_new();
	if (!target->name || !target->map || !target->alua)
		return -ENOMEM;
	*ret_target = steal(target);
	return 0;
}

struct scsi_target *scsi_target_ref(struct scsi_target *target)
{
	atomic_fetch_add_explicit(&target->refs, 1, memory_order_relaxed);
	return target;
}

void scsi_target_unref(struct scsi_target *target)
{
	if (!target || atomic_fetch_sub_explicit(&target->refs, 1, memory_order_acq_rel) > 1)
		return;
	scsi_copy_forget(target);
	scsi_map_unref(target->map);
	scsi_alua_free(target->alua);
	for (unsigned i = 0; i < SCSI_N_SERVICES; i++)
		free(target->addresses[i]);
	pthread_mutex_destroy(&target->lock);
	free(target->name);
	free(target);
}

int scsi_target_set_addresses(struct scsi_target *target, char *const uris[SCSI_N_SERVICES])
{
	for (unsigned i = 0; i < SCSI_N_SERVICES; i++) {
		if (!uris[i])
			continue;
		target->addresses[i] = strdup(uris[i]);
		if (!target->addresses[i])
			return -ENOMEM;
	}
	return 0;
}

const char *scsi_target_name(const struct scsi_target *target)
{
	return target->name;
}

/* ---- telling the threads of the nexuses ---- */

struct news {
	struct engine_post post;
	struct scsi_target *target;
	struct engine *engine;
	void (*tell)(struct scsi_target *target, struct engine *engine);
};

static void news_run(struct engine_post *post)
{
	struct news *news = container_of(post, struct news, post);

	news->tell(news->target, news->engine);
	scsi_target_unref(news->target);
	free(news);
}

static bool told_already(const struct scsi_target *target, const struct scsi_nexus *until)
{
	list_for_each (nexus, (struct list *)&target->nexuses, struct scsi_nexus, target_node) {
		if (nexus == until)
			return false;
		if (nexus->engine == until->engine)
			return true;
	}
	return false;
}

/* Runs @tell on each thread that has nexuses of the target. target->lock is held. */
static void tell_threads(struct scsi_target *target,
			 void (*tell)(struct scsi_target *target, struct engine *engine))
{
	list_for_each (nexus, &target->nexuses, struct scsi_nexus, target_node) {
		struct news *news;

		if (told_already(target, nexus))
			continue;
		news = malloc(sizeof(*news));
		if (!news)
			return; /* then a nexus follows at its next command, or at its end */
		*news = (struct news){.post.run = news_run,
				      .target = scsi_target_ref(target),
				      .engine = nexus->engine,
				      .tell = tell};
		engine_post(nexus->engine, &news->post);
	}
}

/* target->lock is held; takes @map over. */
static void publish(struct scsi_target *target, struct scsi_map *map)
{
	struct scsi_map *old = target->map;

	atomic_store_explicit(&target->map, map, memory_order_release);
	scsi_map_unref(old);
	tell_threads(target, scsi_nexuses_follow);
}

/* ---- changing the map ---- */

/* A map with room for one more: the old one while no nexus knows it, else a copy. */
static struct scsi_map *map_to_extend(struct scsi_target *target)
{
	struct scsi_map *old = target->map;
	bool known = atomic_load_explicit(&old->refs, memory_order_acquire) > 1;
	struct scsi_map *map;

	if (!known && old->n < old->room)
		return old;
	map = map_new(known ? old->n + 1 : 2 * old->room);
	if (map)
		map_add(map, old->all, old->n);
	return map;
}

int scsi_target_map(struct scsi_target *target, uint32_t lun, struct scsi_lu *lu)
{
	struct scsi_map *map;
	unsigned at;
	int r = 0;

	if (lun >= LUN_LIMIT)
		return -EINVAL;
	pthread_mutex_lock(&target->lock);
	at = scsi_map_search(target->map, lun);
	if (at < target->map->n && target->map->all[at].lun == lun) {
		r = -EEXIST;
	} else if (!(map = map_to_extend(target))) {
		r = -ENOMEM;
	} else {
		memmove(map->all + at + 1, map->all + at, (map->n - at) * sizeof(map->all[0]));
		map->all[at] = (struct scsi_mapping){.lun = lun, .lu = scsi_lu_ref(lu)};
		map->n++;
		if (map != target->map)
			publish(target, map);
	}
	pthread_mutex_unlock(&target->lock);
	return r;
}

static bool is_same(const struct scsi_map *map, const struct scsi_mapping *mappings, unsigned n)
{
	if (map->n != n)
		return false;
	for (unsigned i = 0; i < n; i++)
		if (map->all[i].lun != mappings[i].lun || map->all[i].lu != mappings[i].lu)
			return false;
	return true;
}

int scsi_target_remap(struct scsi_target *target, const struct scsi_mapping *mappings, unsigned n)
{
	struct scsi_map *map;

	for (unsigned i = 0; i < n; i++)
		if (mappings[i].lun >= LUN_LIMIT || (i && mappings[i].lun <= mappings[i - 1].lun))
			return -EINVAL;
	map = map_new(n ? n : 1);
	if (!map)
		return -ENOMEM;
	map_add(map, mappings, n);
	pthread_mutex_lock(&target->lock);
	if (!is_same(target->map, mappings, n))
		publish(target, steal(map));
	pthread_mutex_unlock(&target->lock);
	scsi_map_unref(map);
	return 0;
}

void scsi_target_abort_unmapped(struct scsi_target *target)
{
	pthread_mutex_lock(&target->lock);
	tell_threads(target, scsi_nexuses_abort_leaving);
	pthread_mutex_unlock(&target->lock);
}

/* ---- the eight bytes of a LUN ---- */

int32_t scsi_lun_decode(uint64_t lun)
{
	uint16_t first = (uint16_t)(lun >> 48);

	if (lun << 16) /* a second level */
		return -1;
	switch (first >> 14) {
	case METHOD_PERIPHERAL:
		return first < 0x100 ? first : -1; /* bus 0 only */
	case METHOD_FLAT:
		return first & (LUN_LIMIT - 1);
	default:
		return -1;
	}
}

uint64_t scsi_lun_encode(uint32_t lun)
{
	uint64_t first = lun < 0x100 ? lun : METHOD_FLAT << 14 | (lun & (LUN_LIMIT - 1));

	return first << 48;
}
