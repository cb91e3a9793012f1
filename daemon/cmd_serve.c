/* SPDX-License-Identifier: Apache-2.0 */
/* duotgt serve: one target out of the command line, each SPEC a LUN. */
#include "daemon/cmd.h"
#include "iscsi/text.h"
#include "util/log.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DEFAULT_PORTAL "127.0.0.1:3260"
#define IQN_PREFIX "iqn.2026-11.io.duotgt:"
#define LUNS_MAX 16384

/* The options as they were written. */
struct serve_options {
	char **specs, **portals;
	char *iqn, *size, *engine, *log_level, *state_dir, *chap_file;
	int block_size, reactors, busy_poll_us;
	gboolean read_only;
};

static void options_fini(struct serve_options *options)
{
	g_strfreev(options->specs);
	g_strfreev(options->portals);
	g_free(options->iqn);
	g_free(options->size);
	g_free(options->engine);
	g_free(options->log_level);
	g_free(options->state_dir);
	g_free(options->chap_file);
}

/* iqn.2026-11.io.duotgt:HOSTNAME, with '-' for what a name may not hold. RFC 7143 4.2.7.2 */
static void default_iqn(char ret_name[ISCSI_NAME_MAX + 1])
{
	const char *host = g_get_host_name();
	size_t n = strlen(IQN_PREFIX);

	memcpy(ret_name, IQN_PREFIX, n);
	for (; *host && n < ISCSI_NAME_MAX; host++) {
		char c = g_ascii_tolower(*host);

		ret_name[n++] = g_ascii_isalnum(c) || c == '.' ? c : '-';
	}
	ret_name[n] = '\0';
}

/* --size, --block-size and --read-only hold for every SPEC. */
static int storage_apply(const struct cmd *cmd, const struct serve_options *options,
			 const char *spec, struct config_storage *storage)
{
	uint64_t size = 0;

	if (options->size && (config_parse_size(options->size, &size) < 0 || !size))
		return cmd_bad_usage(cmd, "--size: %s is not a size such as 512M or 1G",
				     options->size);
	if (storage->size && size)
		return cmd_bad_usage(cmd, "%s: has a size already (leave out --size)", spec);
	if (size)
		storage->size = size;
	if (!config_is_cdrom(storage)) {
		storage->block_size = (uint32_t)options->block_size;
		storage->read_only = options->read_only;
	}
	storage->create =
		strcmp(storage->type, "file") == 0 && storage->size && !storage->read_only;
	if (!storage->size && !*storage->path)
		return cmd_bad_usage(cmd, "%s: needs a size, as in %s:1G", spec, storage->type);
	if (storage->size % storage->block_size)
		return cmd_bad_usage(cmd, "%s: its size is no multiple of the block size, %u", spec,
				     storage->block_size);
	return -1;
}

static int make_storages(const struct cmd *cmd, const struct serve_options *options,
			 struct config *config)
{
	unsigned n = options->specs ? g_strv_length(options->specs) : 0;
	struct config_error why;

	if (!n)
		return cmd_bad_usage(cmd, "serve: no SPEC, expected what to serve");
	if (n > LUNS_MAX)
		return cmd_bad_usage(cmd, "serve: %u SPECs, expected %d at most", n, LUNS_MAX);
	config->storages = calloc(n, sizeof(*config->storages));
	if (!config->storages)
		return cmd_fail(EXIT_FAILED, "out of memory");
	for (unsigned i = 0; i < n; i++) {
		struct config_storage *storage = &config->storages[i];
		const char *spec = options->specs[i];
		int r = config_parse_spec(spec, storage, &why);

		if (r < 0)
			return r == -ENOMEM ? cmd_fail(EXIT_FAILED, "out of memory")
					    : cmd_bad_usage(cmd, "%s: %s", spec, why.text);
		config->n_storages++;
		storage->device_id = i;
		r = storage_apply(cmd, options, spec, storage);
		if (r >= 0)
			return r;
	}
	return -1;
}

static int make_portals(const struct cmd *cmd, const struct serve_options *options,
			struct config *config)
{
	char by_default[] = DEFAULT_PORTAL;
	char *defaults[] = {by_default, NULL};
	char **portals = options->portals ? options->portals : defaults;
	unsigned n = g_strv_length(portals);

	if (n > UINT16_MAX)
		return cmd_bad_usage(cmd, "--portal: %u of them are too many", n);
	config->portals = calloc(n, sizeof(*config->portals));
	if (!config->portals)
		return cmd_fail(EXIT_FAILED, "out of memory");
	for (unsigned i = 0; i < n; i++) {
		if (config_parse_portal(portals[i], &config->portals[i]) < 0)
			return cmd_bad_usage(cmd,
					     "--portal: %s is not ADDR:PORT or [ADDR]:PORT, "
					     "with a numeric address",
					     portals[i]);
		config->portals[i].id = (uint16_t)i;
		config->n_portals++;
	}
	return -1;
}

static int make_target(const struct cmd *cmd, const struct serve_options *options,
		       struct config *config)
{
	char name[ISCSI_NAME_MAX + 1];
	struct config_target *target;
	struct config_tpg *tpg;

	if (!options->iqn)
		default_iqn(name);
	else if (iscsi_name_normalize(options->iqn, strlen(options->iqn), name) < 0)
		return cmd_bad_usage(cmd, "--iqn: %s is no iSCSI name such as %sdisk1",
				     options->iqn, IQN_PREFIX);
	config->targets = target = calloc(1, sizeof(*target));
	if (!target)
		return cmd_fail(EXIT_FAILED, "out of memory");
	config->n_targets = 1;
	target->limits = iscsi_default_limits;
	target->iqn = strdup(name);
	target->tpgs = tpg = calloc(1, sizeof(*tpg));
	target->luns = calloc(config->n_storages, sizeof(*target->luns));
	if (options->chap_file)
		target->chap_file = strdup(options->chap_file);
	if (!target->iqn || !tpg || !target->luns || (options->chap_file && !target->chap_file))
		return cmd_fail(EXIT_FAILED, "out of memory");
	target->n_tpgs = 1;
	tpg->tag = 1;
	tpg->portals = calloc(config->n_portals, sizeof(*tpg->portals));
	if (!tpg->portals)
		return cmd_fail(EXIT_FAILED, "out of memory");
	for (unsigned i = 0; i < config->n_portals; i++)
		tpg->portals[tpg->n_portals++] = (uint16_t)i;
	for (unsigned i = 0; i < config->n_storages; i++)
		target->luns[target->n_luns++] = (struct config_lun){.lun = i, .storage = i};
	return -1;
}

static int make_rest(const struct cmd *cmd, const struct serve_options *options,
		     struct config *config)
{
	static const char *const engines[] = {
		[ENGINE_AUTO] = "auto",
		[ENGINE_URING] = "uring",
		[ENGINE_EPOLL] = "epoll",
	};
	enum log_level level = LOG_LEVEL_INFO;
	unsigned kind = 0;

	while (options->engine && kind < G_N_ELEMENTS(engines) &&
	       strcmp(engines[kind], options->engine) != 0)
		kind++;
	if (kind == G_N_ELEMENTS(engines))
		return cmd_bad_usage(cmd, "--engine: %s is not auto, uring or epoll",
				     options->engine);
	if (options->reactors < 0 || options->reactors > CONFIG_REACTORS_MAX)
		return cmd_bad_usage(cmd, "--reactors: %d is not 0 to %d", options->reactors,
				     CONFIG_REACTORS_MAX);
	if (options->busy_poll_us < 0 || options->busy_poll_us > ENGINE_BUSY_POLL_MAX_US)
		return cmd_bad_usage(cmd, "--busy-poll: %d is not 0 to %d", options->busy_poll_us,
				     ENGINE_BUSY_POLL_MAX_US);
	if (options->log_level && log_level_parse(options->log_level, &level) < 0)
		return cmd_bad_usage(cmd, "--log-level: %s is not error, warning, info or debug",
				     options->log_level);
	log_set_level(level);
	if (options->state_dir) {
		config->state_dir = strdup(options->state_dir);
		if (!config->state_dir)
			return cmd_fail(EXIT_FAILED, "out of memory");
	}
	config->engine = (enum engine_kind)kind;
	config->n_reactors = (unsigned)options->reactors;
	config->busy_poll_us = (unsigned)options->busy_poll_us;
	return -1;
}

static int serve(const struct cmd *cmd, const struct serve_options *options)
{
	scoped(config_free) struct config *config = calloc(1, sizeof(*config));
	int code = -1;

	if (!config)
		return cmd_fail(EXIT_FAILED, "out of memory");
	if (options->block_size != 512 && options->block_size != 1024 &&
	    options->block_size != 2048 && options->block_size != 4096)
		code = cmd_bad_usage(cmd, "--block-size: %d is not 512, 1024, 2048 or 4096",
				     options->block_size);
	if (code < 0)
		code = make_storages(cmd, options, config);
	if (code < 0)
		code = make_portals(cmd, options, config);
	if (code < 0)
		code = make_target(cmd, options, config);
	if (code < 0)
		code = make_rest(cmd, options, config);
	return code < 0 ? run_service(steal(config), NULL) : code;
}

static int serve_run(const struct cmd *cmd, int argc, char **argv)
{
	struct serve_options options = {.block_size = 512};
	const GOptionEntry entries[] = {
		{"portal", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options.portals,
		 "where to listen (" DEFAULT_PORTAL "); [ADDR]:PORT for IPv6; again for more; "
		 "port 0 takes a free one",
		 "ADDR:PORT"},
		{"iqn", 0, 0, G_OPTION_ARG_STRING, &options.iqn,
		 "name of the target (" IQN_PREFIX "HOSTNAME)", "NAME"},
		{"chap-file", 0, 0, G_OPTION_ARG_FILENAME, &options.chap_file,
		 "a file with the USER PASSWORD that initiators log in with (nobody needs any)",
		 "FILE"},
		{"size", 0, 0, G_OPTION_ARG_STRING, &options.size,
		 "size of ram, null, or a file, which is made, sparse, when it is missing", "SIZE"},
		{"block-size", 0, 0, G_OPTION_ARG_INT, &options.block_size,
		 "512 (default), 1024, 2048 or 4096; a cdrom has 2048", "BYTES"},
		{"read-only", 0, 0, G_OPTION_ARG_NONE, &options.read_only, "refuse writes", NULL},
		{"engine", 0, 0, G_OPTION_ARG_STRING, &options.engine,
		 "auto (default), uring or epoll", "ENGINE"},
		{"reactors", 0, 0, G_OPTION_ARG_INT, &options.reactors,
		 "threads (0: one per CPU that may be used)", "N"},
		{"busy-poll", 0, 0, G_OPTION_ARG_INT, &options.busy_poll_us,
		 "how long a thread looks for work before it sleeps, up to 1000 (0)",
		 "MICROSECONDS"},
		{"state-dir", 0, 0, G_OPTION_ARG_FILENAME, &options.state_dir,
		 "where reservations and saved mode pages outlive the process (nowhere)", "DIR"},
		{"log-level", 0, 0, G_OPTION_ARG_STRING, &options.log_level,
		 "error, warning, info (default) or debug", "LEVEL"},
		{G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &options.specs, NULL, NULL},
		{0},
	};
	int code = cmd_options(cmd, entries, &argc, &argv);

	if (code < 0)
		code = serve(cmd, &options);
	options_fini(&options);
	return code;
}

const struct cmd cmd_serve = {
	.name = "serve",
	.arguments = "SPEC...",
	.summary = "serves files, devices or memory as LUN 0, 1, ... of one target",
	.description =
		"SPEC: /path, file:/path, block:/dev/x, cdrom:/path, ram:SIZE or null:SIZE. "
		"Behind it, after a\n'?', direct=on goes around the page cache, "
		"removable=on makes a medium that can be ejected,\nwrite-same-to-end=on lets a "
		"WRITE SAME of 0 blocks go to the end, key-file=PATH\nencrypts (with "
		"--state-dir); with a ',' between them. SIZE: bytes, or with K, M, G, "
		"T, P (of 1024).",
	.run = serve_run,
};
