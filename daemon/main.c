/* SPDX-License-Identifier: Apache-2.0 */
/* The one binary: finds the verb, and says what verbs there are. */
#include "daemon/cmd.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct cmd *const cmds[] = {&cmd_serve, &cmd_daemon, &cmd_storage};

static const struct cmd *cmd_find(const char *name)
{
	for (unsigned i = 0; i < G_N_ELEMENTS(cmds); i++)
		if (strcmp(cmds[i]->name, name) == 0)
			return cmds[i];
	return NULL;
}

static int print_help(void)
{
	printf("Usage: duotgt VERB [OPTION...]\n\n"
	       "An iSCSI target: serves files, block devices and memory as disks.\n\n"
	       "Verbs:\n");
	for (unsigned i = 0; i < G_N_ELEMENTS(cmds); i++)
		printf("  %-10s %s\n", cmds[i]->name, cmds[i]->summary);
	printf("  %-10s what a verb does and its options\n\n"
	       "Options:\n"
	       "  --help     this text\n"
	       "  --version  the version\n\n"
	       "duotgt(8) has examples; duotgt.json(5) is about the configuration file.\n",
	       "help VERB");
	return EXIT_OK;
}

static int vfail(int code, const char *hint, const char *format, va_list args)
	__attribute__((format(printf, 3, 0)));

static int vfail(int code, const char *hint, const char *format, va_list args)
{
	char *text = g_strdup_vprintf(format, args);

	fprintf(stderr, "duotgt: %s%s\n", text, hint);
	g_free(text);
	return code;
}

int cmd_fail(int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfail(code, "", format, args);
	va_end(args);
	return code;
}

int cmd_bad_usage(const struct cmd *cmd, const char *format, ...)
{
	char *hint = g_strdup_printf(" (see duotgt help %s)", cmd->name);
	va_list args;

	va_start(args, format);
	vfail(EXIT_USAGE, hint, format, args);
	va_end(args);
	g_free(hint);
	return EXIT_USAGE;
}

static void print_cmd_help(const struct cmd *cmd, GOptionContext *context)
{
	char *text = g_option_context_get_help(context, TRUE, NULL);
	const char *options = strstr(text, "Options:\n");

	printf("Usage: duotgt %s [OPTION...]%s%s\n\n%s\n", cmd->name, *cmd->arguments ? " " : "",
	       cmd->arguments, cmd->summary);
	if (options) /* the first lines of GLib's text say less than ours */
		printf("\n%s", options);
	g_free(text);
}

int cmd_options(const struct cmd *cmd, const GOptionEntry *entries, int *argc, char ***argv)
{
	gboolean help = FALSE;
	const GOptionEntry common[] = {
		{"help", 'h', 0, G_OPTION_ARG_NONE, &help, "this text", NULL},
		{0},
	};
	GOptionContext *context = g_option_context_new(NULL);
	GError *error = NULL;
	int code = -1;

	g_option_context_set_help_enabled(context, FALSE);
	g_option_context_add_main_entries(context, entries, NULL);
	g_option_context_add_main_entries(context, common, NULL);
	g_option_context_set_description(context, cmd->description);
	if (!g_option_context_parse(context, argc, argv, &error)) {
		code = cmd_bad_usage(cmd, "%s: %s", cmd->name, error->message);
		g_error_free(error);
	} else if (help) {
		print_cmd_help(cmd, context);
		code = EXIT_OK;
	}
	g_option_context_free(context);
	return code;
}

static int help_for(const char *name)
{
	const struct cmd *cmd = cmd_find(name);
	char verb[16], option[] = "--help";
	char *argv[] = {verb, option, NULL};

	if (!cmd)
		return cmd_fail(EXIT_USAGE, "help: no verb %s (see duotgt --help)", name);
	g_strlcpy(verb, name, sizeof(verb));
	return cmd->run(cmd, 2, argv);
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : NULL;
	const struct cmd *cmd;

	if (!verb)
		return cmd_fail(EXIT_USAGE, "no verb (see duotgt --help)");
	if (strcmp(verb, "--version") == 0) {
		printf("duotgt %s\n", DUOTGT_VERSION);
		return EXIT_OK;
	}
	if (strcmp(verb, "help") == 0 && argc > 2)
		return help_for(argv[2]);
	if (strcmp(verb, "help") == 0 || strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0)
		return print_help();
	cmd = cmd_find(verb);
	if (!cmd)
		return cmd_fail(EXIT_USAGE, "%s: no such verb (see duotgt --help)", verb);
	return cmd->run(cmd, argc - 1, argv + 1);
}
