/* SPDX-License-Identifier: Apache-2.0 */
#include "handler/plugin/settings.h"
#include "handler/handover.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DEFAULT_CONFIG "/etc/duotgt/duotgt.json"

static const char *config_path(void)
{
	const char *path = getenv("DUOTGT_CONFIG");

	return path && *path ? path : DEFAULT_CONFIG;
}

/* Return: 0; -errno, with a text: -ENOENT when there is none. */
static int settings_load(struct config **ret_config, char *ret_why, size_t why_len)
{
	struct config_error error;
	int r = config_load(config_path(), ret_config, &error);

	if (r == 0)
		return 0;
	if (error.line)
		snprintf(ret_why, why_len, "%s:%d:%d: %s", config_path(), error.line, error.column,
			 error.text);
	else
		snprintf(ret_why, why_len, "%s: %s", config_path(),
			 *error.text ? error.text : strerror(-r));
	return r;
}

int settings_socket(char **ret_path)
{
	scoped(config_free) struct config *config = NULL;
	char why[512];
	const char *dir;

	/* One that cannot be read names no other directory. */
	settings_load(&config, why, sizeof(why));
	dir = config && config->run_dir ? config->run_dir : HANDOVER_RUN_DIR;
	return asprintf(ret_path, "%s/%s", dir, HANDOVER_SOCKET) < 0 ? -ENOMEM : 0;
}

int settings_storage(const struct cfgstring *cfg, struct config **ret_config,
		     const struct config_storage **ret_storage, char *ret_why, size_t why_len)
{
	scoped(config_free) struct config *config = NULL;
	const struct config_storage *storage = NULL;
	int r = settings_load(&config, ret_why, why_len);

	/* A path needs no file, but a file that is there tells where state is kept. */
	if (r == -ENOENT && *cfg->path) {
		config = calloc(1, sizeof(*config));
		if (!config)
			return -ENOMEM;
		config->default_state_dir = true;
	} else if (r < 0) {
		return r;
	} else if (*cfg->storage) {
		storage = config_find_storage(config, cfg->storage);
		if (!storage) {
			snprintf(ret_why, why_len, "%s: no storage has the name or deviceID %s",
				 config_path(), cfg->storage);
			return -ENOENT;
		}
	}
	*ret_storage = storage;
	*ret_config = steal(config);
	return 0;
}
