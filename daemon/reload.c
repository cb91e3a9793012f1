/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A running service led over from one configuration to the next. All that can be refused is
 * refused first, in the order: what takes a restart, what changes of a storage that stays, what
 * cannot be opened. Only then anything changes, and what did not differ is not touched.
 */
#include "daemon/service_priv.h"
#include "daemon/service_tcmu.h"
#include "util/log.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>

struct reload {
	struct service *service;
	struct config *now;
	struct config *next;
	struct service_lu *lus;		  /* in the order of next->storages */
	int *was;			  /* for each of them its index in now->storages, or -1 */
	struct iscsi_chap_secrets **chap; /* in the order of next->targets */
};

static int refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int refuse(const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = g_strdup_vprintf(format, args);
	va_end(args);
	log_error("%s; nothing has changed", text);
	g_free(text);
	return EXIT_CONFIG;
}

/* ---- what takes a restart ---- */

static bool same_portals(const struct config *a, const struct config *b)
{
	if (a->n_portals != b->n_portals)
		return false;
	for (unsigned i = 0; i < a->n_portals; i++)
		if (a->portals[i].id != b->portals[i].id ||
		    a->portals[i].port != b->portals[i].port ||
		    strcmp(a->portals[i].host, b->portals[i].host) != 0)
			return false;
	return true;
}

static bool same_performance(const struct config *a, const struct config *b)
{
	return a->engine == b->engine && a->queue_depth == b->queue_depth &&
	       a->n_reactors == b->n_reactors && a->numa == b->numa &&
	       a->busy_poll_us == b->busy_poll_us && a->pool_buffers == b->pool_buffers &&
	       a->pool_buffer_size == b->pool_buffer_size && a->memory_limit == b->memory_limit;
}

static bool same_tcmu(const struct config_tcmu *a, const struct config_tcmu *b)
{
	return a->enabled == b->enabled && a->own_reservations == b->own_reservations &&
	       a->own_alua == b->own_alua && a->paths == b->paths && a->replies == b->replies;
}

static bool same_tpgs(const struct config_target *a, const struct config_target *b)
{
	if (a->n_tpgs != b->n_tpgs)
		return false;
	for (unsigned i = 0; i < a->n_tpgs; i++)
		if (a->tpgs[i].tag != b->tpgs[i].tag ||
		    a->tpgs[i].n_portals != b->tpgs[i].n_portals ||
		    memcmp(a->tpgs[i].portals, b->tpgs[i].portals,
			   a->tpgs[i].n_portals * sizeof(*a->tpgs[i].portals)) != 0)
			return false;
	return true;
}

/* Both began as a copy of the same default, padding included. */
static bool same_limits(const struct iscsi_limits *a, const struct iscsi_limits *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static bool same_ports(const struct scsi_alua_group *a, const struct scsi_alua_group *b)
{
	return a->n_ports == b->n_ports &&
	       memcmp(a->ports, b->ports, a->n_ports * sizeof(*a->ports)) == 0;
}

/* But for the groups' states. */
static bool same_alua(const struct config_alua *a, const struct config_alua *b)
{
	if (!a || !b)
		return a == b;
	if (a->n_groups != b->n_groups || a->implicit != b->implicit ||
	    a->explicit_too != b->explicit_too || a->referrals != b->referrals ||
	    g_strcmp0(a->hook, b->hook) != 0)
		return false;
	for (unsigned i = 0; i < a->n_groups; i++)
		if (a->groups[i].id != b->groups[i].id || !same_ports(&a->groups[i], &b->groups[i]))
			return false;
	return true;
}

static bool same_addresses(const struct config_target *a, const struct config_target *b)
{
	for (unsigned i = 0; i < SCSI_N_SERVICES; i++)
		if (g_strcmp0(a->addresses[i], b->addresses[i]) != 0)
			return false;
	return true;
}

static const struct config_target *find_target(const struct config *config, const char *iqn)
{
	for (unsigned i = 0; i < config->n_targets; i++)
		if (strcmp(config->targets[i].iqn, iqn) == 0)
			return &config->targets[i];
	return NULL;
}

static int judge_fixed_parts(const struct reload *reload)
{
	const struct config *now = reload->now, *next = reload->next;

	if (!same_portals(now, next))
		return refuse("iscsiportals: a change takes a restart");
	if (!same_performance(now, next))
		return refuse("performance, memory: a change takes a restart, also of the largest "
			      "ioUringQueueDepth and of a first enableNUMA");
	if (!same_tcmu(&now->tcmu, &next->tcmu))
		return refuse("tcmu: a change takes a restart");
	if (g_strcmp0(now->state_dir, next->state_dir) != 0)
		return refuse("stateDir: a change takes a restart");
	if (g_strcmp0(now->run_dir, next->run_dir) != 0)
		return refuse("runDir: a change takes a restart");
	if (now->n_targets != next->n_targets)
		return refuse("iscsitargets: one more or less takes a restart");
	for (unsigned i = 0; i < now->n_targets; i++) {
		const struct config_target *a = &now->targets[i], *b = find_target(next, a->iqn);

		if (!b)
			return refuse("iscsitargets: %s is gone, which takes a restart", a->iqn);
		if (!same_tpgs(a, b) || !same_limits(&a->limits, &b->limits))
			return refuse("%s: a change of tpgts or parameters takes a restart",
				      a->iqn);
		if (!same_addresses(a, b))
			return refuse("%s: a change of managementAddresses takes a restart",
				      a->iqn);
		if (!same_alua(a->alua, b->alua))
			return refuse("%s: a change of alua takes a restart, but for states of "
				      "groups and what is preferred",
				      a->iqn);
	}
	return EXIT_OK;
}

/* ---- storages that stay ---- */

static bool same_protection(const struct config_storage *a, const struct config_storage *b)
{
	if (!a->has_protection || !b->has_protection)
		return a->has_protection == b->has_protection;
	return a->protection_type == b->protection_type &&
	       strcmp(a->protection_path, b->protection_path) == 0;
}

/* The key of the first thing that differs, of those that a LU cannot change; NULL: none. */
static const char *fixed_difference(const struct config_storage *a, const struct config_storage *b)
{
	const struct {
		const char *key;
		bool differs;
	} parts[] = {
		{"path", strcmp(a->type, b->type) != 0 || strcmp(a->path, b->path) != 0},
		{"blockShift", a->block_size != b->block_size},
		{"readOnly", a->read_only != b->read_only},
		{"direct", a->direct != b->direct},
		{"thinProvisioning", a->thin != b->thin},
		{"writeCache", a->write_cache != b->write_cache},
		{"removable", a->removable != b->removable},
		{"backgroundBytesPerSecond", a->background_rate != b->background_rate},
		{"writeSameToEnd", a->write_same_to_end != b->write_same_to_end},
		{"protection", !same_protection(a, b)},
		{"encryption", g_strcmp0(a->key_file, b->key_file) != 0},
		{"physicalBlockShift", a->physical_block != b->physical_block},
		{"lowestAlignedLBA", a->lowest_aligned != b->lowest_aligned},
		{"numaNode", a->numa_node != b->numa_node},
		{"bothFrontEnds", a->both_front_ends != b->both_front_ends},
		{"uuid", a->has_uuid != b->has_uuid || memcmp(a->uuid, b->uuid, 16) != 0},
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(parts); i++)
		if (parts[i].differs)
			return parts[i].key;
	return NULL;
}

static int match_storages(struct reload *reload)
{
	GHashTable *ids = g_hash_table_new(g_int64_hash, g_int64_equal);
	int code = EXIT_OK;

	for (unsigned i = 0; i < reload->now->n_storages; i++)
		g_hash_table_insert(ids, &reload->now->storages[i].device_id,
				    GUINT_TO_POINTER(i + 1));
	for (unsigned i = 0; code == EXIT_OK && i < reload->next->n_storages; i++) {
		struct config_storage *storage = &reload->next->storages[i];
		const char *key;

		reload->was[i] =
			(int)GPOINTER_TO_UINT(g_hash_table_lookup(ids, &storage->device_id)) - 1;
		if (reload->was[i] < 0)
			continue;
		reload->lus[i] = reload->service->lus[reload->was[i]];
		g_strlcpy(reload->lus[i].name, storage->name ? storage->name : "",
			  sizeof(reload->lus[i].name));
		key = fixed_difference(&reload->now->storages[reload->was[i]], storage);
		if (key)
			code = refuse("deviceID %" PRIu64 ": %s cannot change while it is served "
				      "(take the storage out first)",
				      storage->device_id, key);
	}
	g_hash_table_unref(ids);
	return code;
}

/* A storage that the kernel is being served stays, and is no LUN besides. */
static int judge_kernel(const struct reload *reload)
{
	const struct service *service = reload->service;
	const struct config *next = reload->next;
	scoped(free) bool *kept = g_new0(bool, service->n_lus);

	service_count_luns(next, reload->lus);
	for (unsigned i = 0; i < next->n_storages; i++) {
		const struct service_lu *lu = &reload->lus[i];

		if (reload->was[i] < 0)
			continue;
		kept[reload->was[i]] = true;
		if (lu->n_luns && !lu->both_front_ends && service_kernel_has(service, lu->lu))
			return refuse("deviceID %" PRIu64
				      ": is served to the kernel, and so can be "
				      "no LUN (\"bothFrontEnds\")",
				      lu->device_id);
	}
	for (unsigned i = 0; i < service->n_lus; i++)
		if (!kept[i] && service_kernel_has(service, service->lus[i].lu))
			return refuse("deviceID %" PRIu64
				      ": is served to the kernel, and so has to "
				      "stay",
				      service->lus[i].device_id);
	return EXIT_OK;
}

static int read_secrets(struct reload *reload)
{
	int code = service_read_chap(reload->next, &reload->chap);

	if (code != EXIT_OK)
		log_error("passwords cannot be read; nothing has changed");
	return code;
}

/* ---- new storages ---- */

static int open_new(struct reload *reload)
{
	const struct config *next = reload->next;
	GHashTable *uuids = service_uuids_new(reload->lus, next->n_storages);
	int code = EXIT_OK;

	for (unsigned i = 0; code == EXIT_OK && i < next->n_storages; i++)
		if (!reload->lus[i].lu)
			code = service_open_lu(reload->service, &next->storages[i], uuids,
					       &reload->lus[i]);
	g_hash_table_unref(uuids);
	if (code != EXIT_OK)
		log_error("a new storage cannot be served; nothing has changed");
	return code;
}

static void close_new(struct reload *reload)
{
	for (unsigned i = 0; i < reload->next->n_storages; i++)
		if (reload->was[i] < 0)
			scsi_lu_unref(reload->lus[i].lu);
}

/* ---- the changes ---- */

/*
 * A size that was written down is meant, also when it is smaller; one that a store has by itself
 * may only have grown. What fails is said, and tried again with the next reload.
 */
static void resize(struct scsi_lu *lu, const struct config_storage *was,
		   struct config_storage *storage)
{
	unsigned flags = storage->size ? SCSI_LU_GROW_STORE : 0;
	uint64_t before = scsi_lu_blocks(lu);
	char why[512] = "";
	int r;

	if (storage->size && storage->size != was->size)
		flags |= SCSI_LU_SHRINK;
	r = scsi_lu_resize(lu, storage->size, flags, why, sizeof(why));
	if (r < 0) {
		log_error("%s; it keeps its %" PRIu64 " blocks", *why ? why : g_strerror(-r),
			  before);
		storage->size = was->size;
	} else if (r > 0) {
		log_info("%s: resized from %" PRIu64 " to %" PRIu64 " blocks", scsi_lu_name(lu),
			 before, scsi_lu_blocks(lu));
	}
}

static void change_kept(struct reload *reload)
{
	for (unsigned i = 0; i < reload->next->n_storages; i++) {
		struct config_storage *storage = &reload->next->storages[i];
		const struct config_storage *was;

		if (reload->was[i] < 0)
			continue;
		was = &reload->now->storages[reload->was[i]];
		resize(reload->lus[i].lu, was, storage);
		if (storage->online != was->online &&
		    scsi_lu_set_online(reload->lus[i].lu, storage->online) < 0) {
			service_out_of_memory();
			storage->online = was->online;
		}
	}
}

static int by_lun(const void *a, const void *b)
{
	const struct scsi_mapping *x = a, *y = b;

	return x->lun < y->lun ? -1 : x->lun > y->lun;
}

/* The mappings that each target of the service, in its order, is to have. */
static struct scsi_mapping *mappings_of(const struct reload *reload,
					const struct config_target *target)
{
	struct scsi_mapping *mappings = calloc(target->n_luns, sizeof(*mappings));

	for (unsigned i = 0; mappings && i < target->n_luns; i++)
		mappings[i] = (struct scsi_mapping){target->luns[i].lun,
						    reload->lus[target->luns[i].storage].lu};
	if (mappings)
		qsort(mappings, target->n_luns, sizeof(*mappings), by_lun);
	return mappings;
}

static int remap(const struct reload *reload)
{
	const struct service *service = reload->service;

	for (unsigned i = 0; i < service->n_targets; i++) {
		const struct config_target *target =
			find_target(reload->next, scsi_target_name(service->targets[i]));
		scoped(free) struct scsi_mapping *mappings = mappings_of(reload, target);
		int r = mappings ? scsi_target_remap(service->targets[i], mappings, target->n_luns)
				 : -ENOMEM;

		if (r < 0)
			return service_out_of_memory();
	}
	return EXIT_OK;
}

/* What differs from the last configuration: an initiator may have set another state meanwhile. */
static void change_groups(const struct reload *reload, struct scsi_target *target)
{
	const char *iqn = scsi_target_name(target);
	const struct config_alua *now = find_target(reload->now, iqn)->alua;
	const struct config_alua *next = find_target(reload->next, iqn)->alua;

	for (unsigned i = 0; next && i < next->n_groups; i++) {
		const struct scsi_alua_group *was = &now->groups[i];
		struct scsi_alua_group *is = &next->groups[i];
		int r;

		if (is->state == was->state && is->preferred == was->preferred)
			continue;
		r = scsi_target_set_group(target, is->id, is->state, is->preferred);
		if (r == 0)
			continue;
		log_error("%s: group %u: its state stays what it is: %s", iqn, is->id,
			  r == -EPERM ? "\"implicit\" is false" : g_strerror(-r));
		is->state = was->state;
		is->preferred = was->preferred;
	}
}

/* Sessions stay; the next login is judged by them. */
static void change_secrets(const struct reload *reload, const struct scsi_target *target)
{
	const char *iqn = scsi_target_name(target);
	const struct config *next = reload->next;

	iscsi_server_set_chap(reload->service->server, iqn,
			      reload->chap[find_target(next, iqn) - next->targets]);
}

/* What the next configuration has no longer. Return: how many. */
static unsigned let_go_of_old(const struct reload *reload)
{
	struct service *service = reload->service;
	scoped(free) bool *kept = g_new0(bool, service->n_lus);
	unsigned n = 0;

	for (unsigned i = 0; i < reload->next->n_storages; i++)
		if (reload->was[i] >= 0)
			kept[reload->was[i]] = true;
	for (unsigned i = 0; i < service->n_lus; i++) {
		if (kept[i])
			continue;
		service_let_go(service, service->lus[i].lu);
		n++;
	}
	return n;
}

static int apply(struct reload *reload)
{
	struct service *service = reload->service;
	unsigned n_gone;
	int code = remap(reload);

	if (code != EXIT_OK)
		return code;
	change_kept(reload);
	for (unsigned i = 0; i < service->n_targets; i++) {
		change_secrets(reload, service->targets[i]);
		change_groups(reload, service->targets[i]);
	}
	n_gone = let_go_of_old(reload);
	log_info("configuration reloaded: storages %u, of which new %u, gone %u",
		 reload->next->n_storages, reload->next->n_storages - (service->n_lus - n_gone),
		 n_gone);
	service_count_luns(reload->next, reload->lus);
	free(service->lus);
	service->lus = steal(reload->lus);
	service->n_lus = reload->next->n_storages;
	return EXIT_OK;
}

int service_reload(struct service *service, struct config *now, struct config *next)
{
	scoped(free) int *was = g_new(int, next->n_storages);
	struct reload reload = {service, now, next, g_new0(struct service_lu, next->n_storages),
				was,	 NULL};
	int code;

	for (unsigned i = 0; i < next->n_storages; i++)
		was[i] = -1;
	code = judge_fixed_parts(&reload);
	if (code == EXIT_OK)
		code = read_secrets(&reload);
	if (code == EXIT_OK)
		code = match_storages(&reload);
	if (code == EXIT_OK)
		code = judge_kernel(&reload);
	if (code == EXIT_OK)
		code = open_new(&reload);
	if (code == EXIT_OK)
		code = apply(&reload);
	if (code != EXIT_OK)
		close_new(&reload);
	service_drop_chap(next, reload.chap);
	free(reload.lus);
	return code;
}

void service_resize(struct service *service, struct config *config)
{
	for (unsigned i = 0; i < service->n_lus; i++)
		resize(service->lus[i].lu, &config->storages[i], &config->storages[i]);
}
