/* SPDX-License-Identifier: Apache-2.0 */
/* LUs of a service: opening what a storage names, and closing it when nobody is left at it. */
#include "daemon/identity.h"
#include "daemon/service_priv.h"
#include "scsi/backend/backends.h"
#include "util/log.h"
#include "util/numa.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#define LEAVING_POLL_MS 50
#define LEAVING_PATIENCE_MS 5000 /* then what has begun is aborted */

/* ---- opening ---- */

static guint uuid_hash(gconstpointer key)
{
	const uint8_t *uuid = key;
	guint hash = 0;

	for (unsigned i = 0; i < 16; i++)
		hash = hash * 31 + uuid[i];
	return hash;
}

static gboolean uuid_equal(gconstpointer a, gconstpointer b)
{
	return memcmp(a, b, 16) == 0;
}

GHashTable *service_uuids_new(struct service_lu *lus, unsigned n_lus)
{
	GHashTable *uuids = g_hash_table_new(uuid_hash, uuid_equal);

	for (unsigned i = 0; i < n_lus; i++)
		if (lus[i].lu)
			g_hash_table_add(uuids, lus[i].uuid);
	return uuids;
}

/* The storage's own UUID, or one that is not taken. */
static int lu_identity(const struct config_storage *storage, GHashTable *uuids,
		       uint8_t ret_uuid[16])
{
	int r;

	if (storage->has_uuid)
		memcpy(ret_uuid, storage->uuid, 16);
	else if ((r = identity_make(storage, 0, ret_uuid)) < 0)
		return r;
	if (!g_hash_table_contains(uuids, ret_uuid))
		return 0;
	if (storage->has_uuid)
		return -EEXIST;
	/* The same file, read-only: two LUs keep two sets of reservations. */
	return identity_make(storage, storage->device_id + 1, ret_uuid);
}

static bool begins_with(const char *why, const char *name)
{
	return g_str_has_prefix(why, name) && g_str_has_prefix(why + strlen(name), ": ");
}

/* @why as far as it goes, and which storage it is about: by its path, or as the LU is called. */
static void explain(const struct config_storage *storage, const char *lu_name, int error, char *why,
		    size_t why_len)
{
	const char *store = *storage->path ? storage->path : storage->type;
	bool of_store = begins_with(why, store);
	bool named = of_store || begins_with(why, lu_name);
	/* Not when it is another file that is missing. */
	bool could_make = error == -ENOENT && of_store && strcmp(storage->type, "file") == 0 &&
			  !storage->size;
	char *text = g_strdup_printf(
		"%s%s%s%s", named ? "" : store, named ? "" : ": ", *why ? why : g_strerror(-error),
		could_make ? " (a size would make it: --size, or \"deviceSize\")" : "");

	g_strlcpy(why, text, why_len);
	g_free(text);
}

/* A disc's image is a file, or a drive. */
static const struct duotgt_backend_ops *backend_of(const struct config_storage *storage)
{
	struct stat st;

	if (!config_is_cdrom(storage))
		return duotgt_backend_find(storage->type);
	return duotgt_backend_find(stat(storage->path, &st) == 0 && S_ISBLK(st.st_mode) ? "block"
											: "file");
}

/* Tuples are kept in a file, whatever the blocks are in; those of memory, in memory. */
static struct scsi_protection_config protection_of(const struct config_storage *storage)
{
	if (!storage->has_protection)
		return (struct scsi_protection_config){0};
	return (struct scsi_protection_config){
		.backend = duotgt_backend_find(strcmp(storage->type, "ram") ? "file" : "ram"),
		.path = storage->protection_path,
		.type = storage->protection_type,
	};
}

int service_try_lu(const struct service *service, const struct config_storage *storage,
		   GHashTable *uuids, struct service_lu *ret_lu, char *ret_why, size_t why_len)
{
	char *name =
		g_strdup_printf("%s%s%s", storage->type, *storage->path ? ":" : "", storage->path);
	struct scsi_lu_config cfg = {
		.name = name,
		.backend = backend_of(storage),
		.params =
			{
				.path = storage->path,
				.size = storage->size,
				.block_size = storage->block_size,
				.read_only = storage->read_only,
				.create = storage->create,
				.thin = storage->thin,
				.direct = storage->direct,
			},
		.block_size = storage->block_size,
		.max_transfer = service->max_transfer,
		.write_cache = storage->write_cache,
		.thin = storage->thin,
		.online = storage->online,
		.cdrom = config_is_cdrom(storage),
		.removable = storage->removable,
		.write_same_to_end = storage->write_same_to_end,
		.physical_block = storage->physical_block,
		.lowest_aligned = storage->lowest_aligned,
		.numa_node = storage->numa_node,
		.background_rate = storage->background_rate,
		.no_reservations = storage->both_front_ends,
		.state_dir = service->state_dir,
		.protection = protection_of(storage),
		.encryption = {.key_file = storage->key_file},
	};
	int r = cfg.backend ? 0 : -EINVAL;

	*ret_why = '\0';
	if (r == 0)
		r = lu_identity(storage, uuids, cfg.uuid);
	if (r == -EEXIST)
		g_strlcpy(ret_why, "another storage has the same uuid", why_len);
	if (r == 0 && storage->numa_node >= 0 && !numa_node_usable(storage->numa_node)) {
		g_strlcpy(ret_why, "its numaNode is not on this machine, or has no memory",
			  why_len);
		r = -EINVAL;
	}
	if (r == 0)
		r = scsi_lu_new(&cfg, &ret_lu->lu, ret_why, why_len);
	if (r < 0)
		explain(storage, name, r, ret_why, why_len);
	g_free(name);
	if (r < 0)
		return r;
	memcpy(ret_lu->uuid, cfg.uuid, 16);
	g_hash_table_add(uuids, ret_lu->uuid);
	ret_lu->device_id = storage->device_id;
	g_strlcpy(ret_lu->name, storage->name ? storage->name : "", sizeof(ret_lu->name));
	ret_lu->both_front_ends = storage->both_front_ends;
	ret_lu->n_luns = 0;
	return 0;
}

int service_open_lu(const struct service *service, const struct config_storage *storage,
		    GHashTable *uuids, struct service_lu *ret_lu)
{
	char why[512];
	int r = service_try_lu(service, storage, uuids, ret_lu, why, sizeof(why));

	if (r == 0)
		return EXIT_OK;
	log_error("%s", why);
	return service_exit_code(r);
}

/* ---- closing ---- */

int service_close_lu(struct scsi_lu *lu, struct engine **engine)
{
	int code = EXIT_OK;
	int r = scsi_lu_read_only(lu) ? 0 : scsi_lu_flush_now(lu, engine);

	if (r < 0) {
		log_error("%s: the last flush failed, writes may be lost: %s", scsi_lu_name(lu),
			  g_strerror(-r));
		code = EXIT_FAILED;
	}
	scsi_lu_unref(lu);
	return code;
}

struct leaving_lu {
	struct list node;
	struct scsi_lu *lu;
	unsigned waited_ms;
};

static int close_leaving(struct leaving_lu *leaving, struct engine **engine)
{
	char *name = g_strdup(scsi_lu_name(leaving->lu));
	int code = service_close_lu(leaving->lu, engine);

	log_info("%s: closed", name);
	g_free(name);
	list_del(&leaving->node);
	free(leaving);
	return code;
}

/* The nexuses let go of a LU on their own threads, and tell nobody: so it is looked at. */
static gboolean look_at_leaving(gpointer arg)
{
	struct service *service = arg;
	bool late = false;

	list_for_each (leaving, &service->leaving, struct leaving_lu, node) {
		leaving->waited_ms += LEAVING_POLL_MS;
		if (!scsi_lu_in_use(leaving->lu))
			close_leaving(leaving, NULL);
		else
			late |= leaving->waited_ms % LEAVING_PATIENCE_MS == 0;
	}
	for (unsigned i = 0; late && i < service->n_targets; i++)
		scsi_target_abort_unmapped(service->targets[i]);
	if (!list_empty(&service->leaving))
		return G_SOURCE_CONTINUE;
	service->leaving_timer = 0;
	return G_SOURCE_REMOVE;
}

void service_let_go(struct service *service, struct scsi_lu *lu)
{
	struct leaving_lu *leaving = g_new0(struct leaving_lu, 1);

	leaving->lu = lu;
	list_push_back(&service->leaving, &leaving->node);
	if (!service->leaving_timer)
		service->leaving_timer = g_timeout_add(LEAVING_POLL_MS, look_at_leaving, service);
}

int service_close_leaving(struct service *service, struct engine **engine)
{
	int code = EXIT_OK;

	if (service->leaving_timer)
		g_source_remove(service->leaving_timer);
	list_for_each (leaving, &service->leaving, struct leaving_lu, node)
		if (close_leaving(leaving, engine) != EXIT_OK)
			code = EXIT_FAILED;
	return code;
}
