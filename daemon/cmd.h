/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The verbs of the program, and what they share. */
#include "daemon/service.h"
#include <glib.h>

struct cmd {
	const char *name, *arguments, *summary;
	const char *description; /* below the options in its help; NULL: none */
	int (*run)(const struct cmd *cmd, int argc, char **argv); /* returns an exit code */
};

#define DEFAULT_CONFIG "/etc/duotgt/duotgt.json"

extern const struct cmd cmd_serve, cmd_daemon, cmd_storage;

/**
 * cmd_options() - take the options out of @argv, or print the help that they ask for
 * @entries: ends with an empty row
 * Return: -1 to go on, with argc and argv holding what is left; else the exit code.
 */
int cmd_options(const struct cmd *cmd, const GOptionEntry *entries, int *argc, char ***argv);

/* Tells "duotgt: what: why (hint)". Return: @code. */
int cmd_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* cmd_fail() with EXIT_USAGE and a hint at the verb's help. */
int cmd_bad_usage(const struct cmd *cmd, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * run_service() - serve until SIGTERM or SIGINT, with a "ready" line per LUN on stdout
 * @config: taken over
 * @path:   where SIGHUP reads it anew; NULL: SIGHUP only looks at the sizes of the stores
 * Return: exit code.
 */
int run_service(struct config *config, const char *path);

/* What went wrong with config_load(), as one line for stderr or the log; g_free() it. */
char *load_error_text(const char *path, int error, const struct config_error *why);

/* Tells what load_error_text() makes of it. Return: the exit code for it. */
int load_failed(const char *path, int error, const struct config_error *why);

/* Tells the service manager, when there is one: "READY=1". Source: sd_notify(3). */
void notify_manager(const char *state);
