/* SPDX-License-Identifier: Apache-2.0 */
/*
 * duotgt storage: what a storage is to the kernel's target, told to scripts before anything is
 * opened. One line for each fact: its name, a blank, its value.
 */
#include "daemon/cmd.h"
#include "daemon/identity.h"
#include "handler/cfgstring.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define COMMAND_TIME_OUT_S                                                                         \
	120 /* time for a daemon to be started again, before the host sees errors */
#define COMMANDS_IN_MEMORY                                                                         \
	64 /* of the largest size, at the same time in the kernel's data area                      \
	    */

struct facts {
	char *name;
	uint64_t size;
	uint32_t block_size, max_transfer;
	bool write_cache;
	const char *server;	  /* "daemon" or "runner" */
	const char *reservations; /* whose they are: "lio", "duotgt", or "none" */
	bool stable;		  /* uuid is the same at each start */
	uint8_t uuid[16];
};

/* What a file or device holds; it need not be there where the configuration says a size. */
static int store_size(const struct config_storage *storage, uint64_t *ret_size)
{
	scoped(close) int fd = -1;
	struct stat st;

	*ret_size = storage->size;
	if (storage->size || !*storage->path)
		return EXIT_OK;
	fd = open(storage->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		*ret_size = (uint64_t)st.st_size;
	else if (fd < 0 || ioctl(fd, BLKGETSIZE64, ret_size) < 0)
		return cmd_fail(errno == ENOENT	  ? EXIT_NOT_FOUND
				: errno == EACCES ? EXIT_PERMISSION
						  : EXIT_FAILED,
				"%s: %s", storage->path, g_strerror(errno));
	return EXIT_OK;
}

static int find_size(const struct config_storage *storage, struct facts *facts)
{
	int code = store_size(storage, &facts->size);

	facts->size -= facts->size % storage->block_size;
	if (code == EXIT_OK && !facts->size)
		return cmd_fail(EXIT_CONFIG, "%s: holds less than one block of %" PRIu32 " bytes",
				*storage->path ? storage->path : storage->type,
				storage->block_size);
	return code;
}

/* The one that the service gives it: its own, or made; another one for the second of a file. */
static int find_uuid(const struct config *config, const struct config_storage *storage,
		     uint8_t ret_uuid[16])
{
	uint8_t other[16];

	if (storage->has_uuid) {
		memcpy(ret_uuid, storage->uuid, 16);
		return 0;
	}
	for (const struct config_storage *s = config->storages; s < storage; s++) {
		if (*storage->path && identity_make(storage, 0, ret_uuid) == 0 && !s->has_uuid &&
		    identity_make(s, 0, other) == 0 && memcmp(other, ret_uuid, 16) == 0)
			return identity_make(storage, storage->device_id + 1, ret_uuid);
	}
	return identity_make(storage, 0, ret_uuid);
}

/* A name for the backstore of a path: its last part, without what configfs or rtslib trip over. */
static char *name_of_path(const char *path)
{
	char *base = g_path_get_basename(path);
	char *name = g_strndup(base, CFGSTRING_NAME_MAX);

	g_free(base);
	return g_strcanon(name, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "._-", '_');
}

/* ---- the two kinds of strings ---- */

static int of_configuration(const char *path, const struct cfgstring *string, struct facts *facts)
{
	scoped(config_free) struct config *config = NULL;
	const struct config_storage *storage;
	struct config_error why;
	int r = config_load(path, &config, &why);

	if (r < 0)
		return load_failed(path, r, &why);
	storage = config_find_storage(config, string->storage);
	if (!storage)
		return cmd_fail(EXIT_NOT_FOUND, "%s: no storage has that name or deviceID in %s",
				string->storage, path);
	facts->name = storage->name ? g_strdup(storage->name)
				    : g_strdup_printf("%" PRIu64, storage->device_id);
	facts->block_size = storage->block_size;
	facts->max_transfer = service_max_transfer(config);
	facts->write_cache = storage->write_cache && !storage->read_only;
	facts->stable = storage->has_uuid || *storage->path;
	facts->server = config->tcmu.enabled ? "daemon" : "runner";
	if (storage->both_front_ends)
		facts->reservations = "none";
	else if (config->tcmu.enabled && config->tcmu.own_reservations)
		facts->reservations = "duotgt";
	r = find_uuid(config, storage, facts->uuid);
	if (r < 0)
		return cmd_fail(EXIT_FAILED, "%s: %s", facts->name, g_strerror(-r));
	return find_size(storage, facts);
}

static int of_path(const struct cfgstring *string, struct facts *facts)
{
	const struct config empty = {0};
	char *path = g_strdup(string->path);
	const struct config_storage storage = {.path = path, .block_size = 512};
	int r = identity_make(&storage, 0, facts->uuid), code;

	facts->name = name_of_path(path);
	facts->block_size = storage.block_size;
	facts->max_transfer = service_max_transfer(&empty);
	facts->write_cache = !string->read_only;
	facts->stable = true;
	code = r < 0 ? cmd_fail(EXIT_FAILED, "%s: %s", path, g_strerror(-r))
		     : find_size(&storage, facts);
	g_free(path);
	return code;
}

/* @storage as it was given, but by its name rather than its deviceID: one string for one storage.
 */
static char *device_string(const struct facts *facts, const struct cfgstring *string,
			   const char *storage)
{
	const char *options = strchr(storage, '?');

	if (*string->path)
		return g_strconcat(CFGSTRING_SUBTYPE "/", storage, NULL);
	return g_strconcat(CFGSTRING_SUBTYPE "/", facts->name, options, NULL);
}

static void print_facts(const struct facts *facts, const char *string)
{
	uint64_t memory = (uint64_t)COMMANDS_IN_MEMORY * facts->max_transfer;

	printf("name %s\n", facts->name);
	printf("dev_config %s\n", string);
	printf("size %" PRIu64 "\n", facts->size);
	printf("block_size %" PRIu32 "\n", facts->block_size);
	printf("max_sectors %" PRIu32 "\n", facts->max_transfer / facts->block_size);
	printf("write_cache %d\n", facts->write_cache);
	if (facts->stable) { /* the unit serial number that the core tells */
		printf("serial ");
		for (unsigned i = 0; i < sizeof(facts->uuid); i++)
			printf("%02x", facts->uuid[i]);
		printf("\n");
	}
	printf("server %s\n", facts->server);
	printf("reservations %s\n", facts->reservations);
	printf("cmd_time_out %d\n", COMMAND_TIME_OUT_S);
	printf("max_data_area_mb %" PRIu64 "\n", MAX(memory >> 20, 1));
}

static int tell(const struct cmd *cmd, const char *config, const char *storage)
{
	char *text = g_strconcat(CFGSTRING_SUBTYPE "/", storage, NULL);
	struct facts facts = {.server = "runner", .reservations = "lio"};
	struct cfgstring string;
	char why[256];
	int code;

	if (cfgstring_parse(text, &string, why, sizeof(why)) < 0)
		code = cmd_bad_usage(cmd, "%s: %s", storage, why);
	else if (*string.path)
		code = of_path(&string, &facts);
	else
		code = of_configuration(config, &string, &facts);
	g_free(text);
	if (code == EXIT_OK) {
		text = device_string(&facts, &string, storage);
		print_facts(&facts, text);
		g_free(text);
	}
	g_free(facts.name);
	return code;
}

static int storage_run(const struct cmd *cmd, int argc, char **argv)
{
	char *path = NULL;
	const GOptionEntry entries[] = {
		{"config", 'c', 0, G_OPTION_ARG_FILENAME, &path,
		 "the configuration (" DEFAULT_CONFIG ")", "FILE"},
		{0},
	};
	int code = cmd_options(cmd, entries, &argc, &argv);

	if (code < 0 && argc != 2)
		code = cmd_bad_usage(cmd, "storage: takes one STORAGE");
	if (code < 0)
		code = tell(cmd, path ? path : DEFAULT_CONFIG, argv[1]);
	g_free(path);
	return code;
}

const struct cmd cmd_storage = {
	.name = "storage",
	.arguments = "STORAGE",
	.summary = "tells what a storage is to the kernel's target, for scripts",
	.description =
		"STORAGE: a name or deviceID out of the configuration, or the absolute path of "
		"a file or device;\nas in a TCMU device's string after \"duotgt/\". Nothing is "
		"opened for writing.",
	.run = storage_run,
};
