/* SPDX-License-Identifier: Apache-2.0 */
/* duotgt daemon: serve what one JSON file says, or only judge it. */
#include "daemon/cmd.h"
#include "util/log.h"
#include <errno.h>
#include <stdio.h>

/* The exit code for a file that cannot be read, or holds what cannot be served. */
static int load_code(int error)
{
	switch (error) {
	case -ENOENT:
	case -ENOTDIR:
		return EXIT_NOT_FOUND;
	case -EACCES:
	case -EPERM:
		return EXIT_PERMISSION;
	case -EINVAL:
		return EXIT_CONFIG;
	default:
		return EXIT_FAILED;
	}
}

char *load_error_text(const char *path, int error, const struct config_error *why)
{
	if (error == -ENOMEM)
		return g_strdup_printf("%s: out of memory", path);
	if (why->line)
		return g_strdup_printf("%s:%d:%d: %s", path, why->line, why->column, why->text);
	return g_strdup_printf("%s: %s", path, why->text);
}

int load_failed(const char *path, int error, const struct config_error *why)
{
	char *text = load_error_text(path, error, why);
	int code = cmd_fail(load_code(error), "%s", text);

	g_free(text);
	return code;
}

static int serve_file(const struct cmd *cmd, const char *path, bool check, const char *log_level)
{
	scoped(config_free) struct config *config = NULL;
	enum log_level level = LOG_LEVEL_INFO;
	struct config_error why;
	int r;

	if (log_level && log_level_parse(log_level, &level) < 0)
		return cmd_bad_usage(cmd, "--log-level: %s is not error, warning, info or debug",
				     log_level);
	log_set_level(level);
	r = config_load(path, &config, &why);
	if (r < 0)
		return load_failed(path, r, &why);
	if (!check)
		return run_service(steal(config), path);
	printf("%s: ok\n", path);
	return EXIT_OK;
}

static int daemon_run(const struct cmd *cmd, int argc, char **argv)
{
	char *path = NULL, *log_level = NULL;
	gboolean check = FALSE;
	const GOptionEntry entries[] = {
		{"config", 'c', 0, G_OPTION_ARG_FILENAME, &path,
		 "the configuration (" DEFAULT_CONFIG ")", "FILE"},
		{"check", 0, 0, G_OPTION_ARG_NONE, &check, "only judge the configuration", NULL},
		{"log-level", 0, 0, G_OPTION_ARG_STRING, &log_level,
		 "error, warning, info (default) or debug", "LEVEL"},
		{0},
	};
	int code = cmd_options(cmd, entries, &argc, &argv);

	if (code < 0 && argc > 1)
		code = cmd_bad_usage(cmd, "daemon: %s is one argument too many", argv[1]);
	if (code < 0)
		code = serve_file(cmd, path ? path : DEFAULT_CONFIG, check, log_level);
	g_free(path);
	g_free(log_level);
	return code;
}

const struct cmd cmd_daemon = {
	.name = "daemon",
	.arguments = "",
	.summary = "serves what a JSON file says, in the foreground",
	.run = daemon_run,
};
