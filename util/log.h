/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Log lines for the operator: to stderr as "duotgt: level: text", or to the journal with its
 * priority when stderr is the journal's. Never a secret, never a line per I/O.
 */
enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* What is above @level is dropped; LOG_LEVEL_INFO at start. Any thread. */
void log_set_level(enum log_level level);

/* "error", "warning", "info", "debug" to a level. Return: 0, or -EINVAL. */
int log_level_parse(const char *name, enum log_level *ret_level);

/*
 * Where lines go instead, as in a program that has its own log. @text ends with no newline and
 * holds no control character. Before the first line.
 */
void log_set_writer(void (*writer)(enum log_level level, const char *text));

void log_print(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_print(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_print(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_print(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_print(LOG_LEVEL_DEBUG, __VA_ARGS__)
