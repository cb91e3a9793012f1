/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON file as a whole: its syntax by jansson, its meaning section by section. */
#include "daemon/config_build.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_MAX (64 << 20) /* bytes; 10,000 LUNs are about 4 MiB */

static int build_dir(struct build *build, const char *key, const char *dir, char **ret_dir)
{
	const struct at at = {.key = key};

	if (!dir)
		return 0;
	if (!*dir)
		return reader_bad(&build->reader, &at,
				  "found an empty string, expected a directory");
	*ret_dir = strdup(dir);
	return *ret_dir ? 0 : -ENOMEM;
}

static int build_dirs(struct build *build, const struct top_in *in)
{
	struct config *config = build->config;
	int r = build_dir(build, "stateDir", in->state_dir, &config->state_dir);

	config->default_state_dir = !in->state_dir;
	return r == 0 ? build_dir(build, "runDir", in->run_dir, &config->run_dir) : r;
}

/* Both parts of iSCSI, unless the kernel is served and nobody else. */
static int require_iscsi(struct build *build, const struct top_in *in)
{
	const char *missing = in->portals ? "iscsitargets" : "iscsiportals";

	if ((in->portals && in->targets) || (in->tcmu && !in->portals && !in->targets))
		return 0;
	return reader_bad(&build->reader, NULL, "found no \"%s\", expected one", missing);
}

static int build_all(struct build *build, json_t *root)
{
	struct top_in in = {0};
	int r;

	r = reader_object(&build->reader, NULL, root, top_keys, &in);
	if (r == 0)
		r = build_dirs(build, &in);
	if (r == 0)
		r = build_storages(build, in.storages);
	if (r == 0)
		r = build_performance(build, in.performance);
	if (r == 0)
		r = build_memory(build, in.memory);
	if (r == 0)
		r = build_tcmu(build, in.tcmu);
	if (r == 0)
		r = require_iscsi(build, &in);
	if (r == 0 && in.portals)
		r = build_portals(build, in.portals);
	if (r == 0 && in.targets)
		r = build_targets(build, in.targets);
	return r;
}

static GHashTable *numbers_new(void)
{
	return g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
}

static void syntax_error(const json_error_t *why, struct config_error *ret_error)
{
	ret_error->line = MAX(why->line, 1);
	ret_error->column = MAX(why->column, 1);
	g_strlcpy(ret_error->text, "found bad JSON: ", sizeof(ret_error->text));
	for (size_t n = strlen(ret_error->text), i = 0;
	     why->text[i] && n + 1 < sizeof(ret_error->text); i++) {
		/* jansson quotes the text as it stands: nothing of it may steer a terminal */
		ret_error->text[n++] = g_ascii_isprint(why->text[i]) ? why->text[i] : '?';
		ret_error->text[n] = '\0';
	}
}

int config_parse(const char *json, size_t len, struct config **ret_config,
		 struct config_error *ret_error)
{
	scoped(config_free) struct config *config = calloc(1, sizeof(*config));
	struct build build = {
		.reader = {.text = json, .len = len, .error = ret_error},
		.config = config,
	};
	json_error_t why;
	json_t *root;
	int r;

	*ret_error = (struct config_error){0};
	if (!config)
		return -ENOMEM;
	root = json_loadb(json, len, JSON_REJECT_DUPLICATES, &why);
	if (!root) {
		syntax_error(&why, ret_error);
		return json_error_code(&why) == json_error_out_of_memory ? -ENOMEM : -EINVAL;
	}
	build.device_ids = numbers_new();
	build.portal_ids = numbers_new();
	build.names = g_hash_table_new(g_str_hash, g_str_equal);
	r = build_all(&build, root);
	g_hash_table_unref(build.device_ids);
	g_hash_table_unref(build.portal_ids);
	g_hash_table_unref(build.names);
	json_decref(root);
	if (r == 0)
		*ret_config = steal(config);
	return r;
}

/* The whole of a file, whatever its kind: a pipe is fine. */
static int read_all(const char *path, char **ret_text, size_t *ret_len)
{
	scoped(close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	scoped(free) char *text = NULL;
	size_t len = 0, cap = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	do {
		if (len == cap) {
			char *more;

			if (cap > FILE_MAX)
				return -EFBIG;
			cap = cap ? 2 * cap : 16384;
			more = realloc(text, cap);
			if (!more)
				return -ENOMEM;
			text = more;
		}
		n = read(fd, text + len, cap - len);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			len += (size_t)n;
	} while (n != 0);
	*ret_text = steal(text);
	*ret_len = len;
	return 0;
}

int config_load(const char *path, struct config **ret_config, struct config_error *ret_error)
{
	scoped(free) char *text = NULL;
	size_t len = 0;
	int r;

	*ret_error = (struct config_error){0};
	r = read_all(path, &text, &len);
	if (r < 0) {
		snprintf(ret_error->text, sizeof(ret_error->text), "%s", g_strerror(-r));
		return r;
	}
	return config_parse(text, len, ret_config, ret_error);
}
