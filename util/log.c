/* SPDX-License-Identifier: Apache-2.0 */
#include "util/log.h"
#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct {
	const char *name, *priority; /* of syslog(3), as the journal wants it */
	GLogLevelFlags flag;
} levels[] = {
	[LOG_LEVEL_ERROR] = {"error", "3", G_LOG_LEVEL_CRITICAL},
	[LOG_LEVEL_WARNING] = {"warning", "4", G_LOG_LEVEL_WARNING},
	[LOG_LEVEL_INFO] = {"info", "6", G_LOG_LEVEL_INFO},
	[LOG_LEVEL_DEBUG] = {"debug", "7", G_LOG_LEVEL_DEBUG},
};

static atomic_int max_level = LOG_LEVEL_INFO;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool to_journal;
static void (*other_writer)(enum log_level level, const char *text);

static void look_at_stderr(void)
{
	to_journal = g_log_writer_is_journald(STDERR_FILENO);
}

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&max_level, level, memory_order_relaxed);
}

void log_set_writer(void (*writer)(enum log_level level, const char *text))
{
	other_writer = writer;
}

int log_level_parse(const char *name, enum log_level *ret_level)
{
	for (unsigned i = 0; i < G_N_ELEMENTS(levels); i++)
		if (!strcmp(name, levels[i].name)) {
			*ret_level = (enum log_level)i;
			return 0;
		}
	return -EINVAL;
}

static bool journal_print(enum log_level level, const char *text)
{
	const GLogField fields[] = {
		{"MESSAGE", text, -1},
		{"PRIORITY", levels[level].priority, -1},
		{"SYSLOG_IDENTIFIER", "duotgt", -1},
	};

	return g_log_writer_journald(levels[level].flag, fields, G_N_ELEMENTS(fields), NULL) ==
	       G_LOG_WRITER_HANDLED;
}

/* One write, so that lines of several threads do not mix. What a full pipe drops is lost. */
static void line_print(enum log_level level, const char *text)
{
	char line[1280];
	int len = snprintf(line, sizeof(line), "duotgt: %s: %s\n", levels[level].name, text);

	if (len >= (int)sizeof(line)) {
		len = sizeof(line) - 1;
		line[len - 1] = '\n';
	}
	if (write(STDERR_FILENO, line, (size_t)len) < 0)
		return;
}

void log_print(enum log_level level, const char *format, ...)
{
	int saved_errno = errno; /* callers log first and return -errno next */
	char text[1200];
	va_list args;

	if ((int)level > atomic_load_explicit(&max_level, memory_order_relaxed))
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	/* Names and paths from outside end up here: a control character must not fake a line. */
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	pthread_once(&once, look_at_stderr);
	if (other_writer)
		other_writer(level, text);
	else if (!to_journal || !journal_print(level, text))
		line_print(level, text);
	errno = saved_errno;
}
