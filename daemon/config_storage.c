/* SPDX-License-Identifier: Apache-2.0 */
/* storages[], performance and memory: what is served from, and by what means. */
#include "daemon/config_build.h"
#include "util/pool.h"
#include <errno.h>
#include <string.h>

/* "01234567-89ab-cdef-0123-456789abcdef" */
static bool parse_uuid(const char *text, uint8_t ret_uuid[16])
{
	if (!g_uuid_string_is_valid(text))
		return false;
	for (int i = 0; i < 16; text += 2) {
		if (*text == '-')
			text++;
		ret_uuid[i++] = (uint8_t)(g_ascii_xdigit_value(text[0]) << 4 |
					  g_ascii_xdigit_value(text[1]));
	}
	return true;
}

/* Type and path out of "type:path" and backendType. */
static int storage_store(struct build *build, const struct at *at, const struct storage_in *in,
			 struct config_storage *storage)
{
	const struct at path = {.up = at, .key = "path"};
	const char *chosen = in->backend_type == ABSENT ? NULL : config_types[in->backend_type];
	const char *rest = "";
	int r;

	if (in->path) {
		struct config_error error = {0};

		r = config_split_spec(in->path, &storage->type, &rest, &error);
		if (r == -EINVAL)
			return reader_bad(&build->reader, &path, "%s", error.text);
		if (r < 0)
			return r;
	} else if (!chosen || config_type_has_path(chosen)) {
		return reader_bad(&build->reader, at, "found no \"path\", expected one");
	}
	if (chosen) {
		free(storage->type);
		storage->type = strdup(chosen);
		if (!storage->type)
			return -ENOMEM;
	}
	if (config_type_has_path(storage->type)) {
		if (!*rest)
			return reader_bad(&build->reader, &path, "found no path, expected one");
	} else {
		if (*rest && config_parse_size(rest, &storage->size) < 0)
			return reader_bad(&build->reader, &path,
					  "found %s behind the type, expected a size such as 1G",
					  quote(rest).text);
		rest = "";
	}
	storage->path = strdup(rest);
	return storage->path ? 0 : -ENOMEM;
}

/* storage->size holds what "ram:SIZE" said, or 0. */
static int storage_size(struct build *build, const struct at *at, const struct storage_in *in,
			struct config_storage *storage)
{
	const struct at key = {.up = at, .key = storage->size ? "path" : "deviceSize"};
	uint64_t asked = (uint64_t)in->device_size;

	if (asked && storage->size && asked != storage->size)
		return reader_bad(
			&build->reader, &key,
			"found a size that differs from \"deviceSize\", expected one size");
	if (asked)
		storage->size = asked;
	if (!storage->size && !config_type_has_path(storage->type))
		return reader_bad(&build->reader, at,
				  "found no \"deviceSize\", expected one for %s", storage->type);
	if (storage->size % storage->block_size)
		return reader_bad(&build->reader, &key,
				  "found a size of %" PRIu64 ", expected a multiple of the block "
				  "length, %" PRIu32,
				  storage->size, storage->block_size);
	return 0;
}

/* Physical blocks, and where the first one begins. */
static int storage_alignment(struct build *build, const struct at *at, const struct storage_in *in,
			     struct config_storage *storage)
{
	const struct at shift = {.up = at, .key = "physicalBlockShift"};
	const struct at lowest = {.up = at, .key = "lowestAlignedLBA"};
	int logical = in->block_shift ? (int)in->block_shift : config_is_cdrom(storage) ? 11 : 9;

	if (in->physical_shift &&
	    (in->physical_shift < logical || in->physical_shift > logical + 14))
		return reader_bad(&build->reader, &shift, "found %d, expected 0 or %d to %d",
				  (int)in->physical_shift, logical, logical + 14);
	storage->physical_block = in->physical_shift ? 1u << in->physical_shift : 0;
	if (in->lowest_aligned && in->lowest_aligned >= (int64_t)storage->physical_block >> logical)
		return reader_bad(&build->reader, &lowest,
				  "found %d, expected less than the blocks of a physical one "
				  "(physicalBlockShift)",
				  (int)in->lowest_aligned);
	storage->lowest_aligned = (uint16_t)in->lowest_aligned;
	return 0;
}

/* The keys that lean on one another; what would have no effect is refused. */
static int storage_judge(struct build *build, const struct at *at, const struct storage_in *in,
			 struct config_storage *storage)
{
	const struct at shift = {.up = at, .key = "blockShift"},
			direct = {.up = at, .key = "direct"};
	const struct at rate = {.up = at, .key = "backgroundBytesPerSecond"};
	const struct at node = {.up = at, .key = "numaNode"}, uuid = {.up = at, .key = "uuid"};

	if (in->block_shift && in->block_shift < 9)
		return reader_bad(&build->reader, &shift, "found %d, expected 0 or 9 to 12",
				  (int)in->block_shift);
	if (in->direct == 1 && !config_type_has_path(storage->type))
		return reader_bad(&build->reader, &direct,
				  "found true, expected it for file, block and cdrom only");
	if (in->background_rate && in->background_rate < CONFIG_BACKGROUND_MIN)
		return reader_bad(&build->reader, &rate,
				  "found %" PRId64 ", expected 0 or at least %d",
				  in->background_rate, CONFIG_BACKGROUND_MIN);
	if (in->numa_node >= 0 && in->enable_numa == ABSENT)
		return reader_bad(&build->reader, &node,
				  "found %d, expected \"enableNUMA\": true beside it",
				  (int)in->numa_node);
	if (in->uuid && !parse_uuid(in->uuid, storage->uuid))
		return reader_bad(&build->reader, &uuid,
				  "found %s, expected a UUID such as "
				  "\"0b2cbd5c-3f4f-4f0e-8a53-9a2a36a9ac40\"",
				  quote(in->uuid).text);
	storage->block_size = 1u << (in->block_shift ? in->block_shift : 9);
	storage->has_uuid = in->uuid != NULL;
	return storage_alignment(build, at, in, storage);
}

/* What is so with a disc whatever the file says may not be said otherwise. */
static int storage_cdrom(struct build *build, const struct at *at, const struct storage_in *in,
			 struct config_storage *storage)
{
	const struct {
		const char *key, *expected;
		bool wrong;
	} rules[] = {
		{"blockShift", "11, or none, for a cdrom",
		 in->block_shift && in->block_shift != 11},
		{"readOnly", "true, or none, for a cdrom", in->read_only == 0},
		{"removable", "true, or none, for a cdrom", in->removable == 0},
		{"thinProvisioning", "none for a cdrom", in->thin == 1},
		{"writeSameToEnd", "none for a cdrom", in->to_end == 1},
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(rules); i++) {
		const struct at key = {.up = at, .key = rules[i].key};

		if (rules[i].wrong)
			return reader_bad(&build->reader, &key, "found another value, expected %s",
					  rules[i].expected);
	}
	storage->block_size = 2048;
	storage->read_only = storage->removable = true;
	return 0;
}

/* A name is no other's, and never looks like a deviceID, which names a storage as well. */
static int storage_name(struct build *build, const struct at *at, const struct storage_in *in,
			struct config_storage *storage)
{
	const struct at name = {.up = at, .key = "name"};

	if (!in->name)
		return 0;
	if (!config_name_valid(in->name))
		return reader_bad(&build->reader, &name,
				  "found %s, expected up to 64 letters, digits, '.', '_', '-', and "
				  "not only digits",
				  quote(in->name).text);
	if (!g_hash_table_add(build->names, (gpointer)in->name))
		return reader_bad(&build->reader, &name, "found %s again, expected each once",
				  quote(in->name).text);
	storage->name = strdup(in->name);
	return storage->name ? 0 : -ENOMEM;
}

static int build_storage(struct build *build, const struct at *at, json_t *object,
			 struct config_storage *storage)
{
	struct storage_in in = {
		.numa_node = -1,
		.backend_type = ABSENT,
		.online = true,
		.enable_numa = ABSENT,
		.write_cache = true,
		.read_only = ABSENT,
		.removable = ABSENT,
	};
	const struct at id = {.up = at, .key = "deviceID"};
	unsigned index = (unsigned)at->index;
	int r;

	r = reader_object(&build->reader, at, object, storage_keys, &in);
	if (r == 0 && !build_define(build->device_ids, in.device_id, index))
		return reader_bad(&build->reader, &id,
				  "found %" PRId64 " again, expected each once", in.device_id);
	if (r == 0)
		r = storage_name(build, at, &in, storage);
	if (r == 0)
		r = storage_store(build, at, &in, storage);
	if (r == 0)
		r = storage_judge(build, at, &in, storage);
	storage->read_only = in.read_only == 1;
	storage->removable = in.removable == 1;
	if (r == 0 && config_is_cdrom(storage))
		r = storage_cdrom(build, at, &in, storage);
	if (r == 0)
		r = storage_size(build, at, &in, storage);
	if (r == 0)
		r = build_protection(build, at, in.protection, storage);
	if (r == 0)
		r = build_encryption(build, at, in.encryption, storage);
	if (r < 0)
		return r;
	storage->device_id = (uint64_t)in.device_id;
	storage->online = in.online;
	storage->thin = in.thin;
	storage->direct = in.direct;
	storage->write_cache = in.write_cache;
	storage->write_same_to_end = in.to_end;
	storage->background_rate = (uint64_t)in.background_rate;
	storage->both_front_ends = in.both;
	storage->create =
		strcmp(storage->type, "file") == 0 && storage->size && !storage->read_only;
	if (in.enable_numa == 1)
		storage->numa_node = in.numa_node < 0 ? SCSI_NODE_DISK : (int)in.numa_node;
	else
		storage->numa_node = SCSI_NODE_ANY;
	if (in.enable_numa == 1 && !build->config->numa) {
		build->config->numa = true;
		build->numa_storage = index;
	}
	build->queue_depth = MAX(build->queue_depth, (unsigned)in.queue_depth);
	return 0;
}

int build_storages(struct build *build, json_t *list)
{
	const struct at at = {.key = "storages"};
	struct config *config = build->config;
	int r;

	if (!json_array_size(list))
		return reader_bad(&build->reader, &at, "found an empty list, expected a storage");
	config->storages = calloc(json_array_size(list), sizeof(*config->storages));
	if (!config->storages)
		return -ENOMEM;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const struct at here = {.up = &at, .index = i};

		config->n_storages++;
		r = build_storage(build, &here, json_array_get(list, i), &config->storages[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

/* enableIoUring: ABSENT leaves it to "engine", which leaves it to the kernel. */
static int performance_engine(struct build *build, const struct at *at,
			      const struct performance_in *in)
{
	const struct at key = {.up = at, .key = "enableIoUring"};
	enum engine_kind wanted = in->enable_uring == 1 ? ENGINE_URING : ENGINE_EPOLL;

	if (in->engine != ABSENT)
		build->config->engine = (enum engine_kind)in->engine;
	if (in->enable_uring == ABSENT)
		return 0;
	if (in->engine != ABSENT && build->config->engine != wanted)
		return reader_bad(
			&build->reader, &key,
			"found %s beside \"engine\": \"%s\", expected one of the two keys",
			in->enable_uring ? "true" : "false", engine_names[in->engine]);
	build->config->engine = wanted;
	return 0;
}

static int performance_memory(struct build *build, const struct at *at,
			      const struct performance_in *in)
{
	const struct at count = {.up = at, .key = "numaBufferPoolSize"};
	const struct at size = {.up = at, .key = "numaBufferSize"};
	int64_t bytes = in->buffer_size;

	if (bytes && (bytes < 64 << 10 || (bytes & (bytes - 1))))
		return reader_bad(&build->reader, &size,
				  "found %" PRId64 ", expected 0 or a power of two from 65536 to "
				  "4194304",
				  bytes);
	if (in->pool_buffers && in->pool_buffers < CONFIG_POOL_BUFFERS_MIN)
		return reader_bad(&build->reader, &count,
				  "found %" PRId64 ", expected 0 or at least %d", in->pool_buffers,
				  CONFIG_POOL_BUFFERS_MIN);
	build->config->pool_buffers = (uint64_t)in->pool_buffers;
	build->config->pool_buffer_size = (uint64_t)bytes;
	return 0;
}

int build_performance(struct build *build, json_t *object_or_null)
{
	const struct at at = {.key = "performance"};
	struct performance_in in = {
		.enable_numa = ABSENT,
		.enable_uring = ABSENT,
		.engine = ABSENT,
	};
	struct config *config = build->config;
	int r = 0;

	if (object_or_null)
		r = reader_object(&build->reader, &at, object_or_null, performance_keys, &in);
	if (r == 0)
		r = performance_engine(build, &at, &in);
	if (r == 0)
		r = performance_memory(build, &at, &in);
	if (r < 0)
		return r;
	if (in.enable_numa == 0 && config->numa) {
		const struct at list = {.key = "storages"};
		const struct at storage = {.up = &list, .index = build->numa_storage};
		const struct at key = {.up = &storage, .key = "enableNUMA"};

		return reader_bad(&build->reader, &key,
				  "found true beside \"performance\": {\"enableNUMA\": false}, "
				  "expected them to agree");
	}
	config->numa |= in.enable_numa == 1;
	config->n_reactors = (unsigned)in.reactors;
	config->busy_poll_us = (unsigned)in.busy_poll_us;
	config->queue_depth = MAX(build->queue_depth, (unsigned)in.queue_depth);
	return 0;
}

int build_memory(struct build *build, json_t *object_or_null)
{
	const struct at at = {.key = "memory"}, limit = {.up = &at, .key = "limit"};
	const struct config *config = build->config;
	uint64_t size = config->pool_buffer_size ? config->pool_buffer_size : POOL_LARGE_DEFAULT;
	struct memory_in in = {0};
	uint64_t least = 2 * size * MAX(config->pool_buffers, CONFIG_POOL_BUFFERS_MIN);
	int r = 0;

	if (object_or_null)
		r = reader_object(&build->reader, &at, object_or_null, memory_keys, &in);
	if (r < 0)
		return r;
	least = MAX(least, CONFIG_MEMORY_MIN);
	if (in.limit && (uint64_t)in.limit < least)
		return reader_bad(&build->reader, &limit,
				  "found %" PRId64 ", expected 0 or at least %" PRIu64
				  ": half of it is for buffers",
				  in.limit, least);
	build->config->memory_limit = (uint64_t)in.limit;
	return 0;
}
