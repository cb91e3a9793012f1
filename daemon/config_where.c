/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a value stands in the text. jansson tells the place of bad syntax only; for a value that
 * is well-formed and still wrong, this walks the text again, once, along the way that leads there.
 */
#include "daemon/config_priv.h"
#include <glib.h>
#include <string.h>

struct scan {
	const char *p, *end;
};

static bool scan_is(const struct scan *scan, char c)
{
	return scan->p < scan->end && *scan->p == c;
}

static bool scan_take(struct scan *scan, char c)
{
	if (!scan_is(scan, c))
		return false;
	scan->p++;
	return true;
}

static void skip_space(struct scan *scan)
{
	while (scan->p < scan->end && memchr(" \t\r\n", *scan->p, 4))
		scan->p++;
}

/* From the opening quote to behind the closing one. */
static void skip_string(struct scan *scan)
{
	scan_take(scan, '"');
	while (scan->p < scan->end && *scan->p != '"') {
		if (*scan->p == '\\' && scan->p + 1 < scan->end)
			scan->p++;
		scan->p++;
	}
	scan_take(scan, '"');
}

/* Counts brackets instead of calling itself: nesting is the text's choice. */
static void skip_value(struct scan *scan)
{
	size_t depth = 0;

	for (; scan->p < scan->end; scan->p++) {
		if (scan_is(scan, '"')) {
			skip_string(scan);
			if (!depth)
				return;
			scan->p--;
		} else if (memchr("[{", *scan->p, 2)) {
			depth++;
		} else if (memchr("]}", *scan->p, 2)) {
			if (!depth)
				return;
			if (!--depth) {
				scan->p++;
				return;
			}
		} else if (!depth && memchr(", \t\r\n", *scan->p, 5)) {
			return;
		}
	}
}

/* Four hexadecimal digits, or -1. */
static long take_hex4(struct scan *scan)
{
	long value = 0;

	for (int i = 0; i < 4; i++) {
		int digit = scan->p < scan->end ? g_ascii_xdigit_value(*scan->p) : -1;

		if (digit < 0)
			return -1;
		value = value << 4 | digit;
		scan->p++;
	}
	return value;
}

/* What follows a backslash, as UTF-8. Return: its length, 0 for what is no escape. */
static int take_escape(struct scan *scan, char ret_utf8[6])
{
	static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	const char *name;
	long unit, low;

	if (scan->p == scan->end)
		return 0;
	if (!scan_take(scan, 'u')) {
		name = memchr(names, *scan->p, sizeof(names) - 1);
		if (!name)
			return 0;
		*ret_utf8 = values[name - names];
		scan->p++;
		return 1;
	}
	unit = take_hex4(scan);
	if (unit >= 0xd800 && unit < 0xdc00 && scan_take(scan, '\\') && scan_take(scan, 'u')) {
		low = take_hex4(scan);
		if (low < 0xdc00 || low > 0xdfff)
			return 0;
		unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
	}
	return unit > 0 ? g_unichar_to_utf8((gunichar)unit, ret_utf8) : 0;
}

/* Whether the string that starts here says @want. */
static bool string_is(struct scan scan, const char *want)
{
	char utf8[6];
	int n;

	if (!scan_take(&scan, '"'))
		return false;
	while (scan.p < scan.end && *scan.p != '"') {
		utf8[0] = *scan.p++;
		n = utf8[0] == '\\' ? take_escape(&scan, utf8) : 1;
		if (!n || strncmp(want, utf8, (size_t)n) != 0)
			return false;
		want += n;
	}
	return !*want;
}

/* From an object to the member @key, or to its value. */
static bool enter_member(struct scan *scan, const char *key, bool of_key)
{
	if (!scan_take(scan, '{'))
		return false;
	do {
		struct scan name;

		skip_space(scan);
		name = *scan;
		skip_string(scan);
		skip_space(scan);
		if (!scan_take(scan, ':'))
			return false;
		skip_space(scan);
		if (string_is(name, key)) {
			if (of_key)
				*scan = name;
			return true;
		}
		skip_value(scan);
		skip_space(scan);
	} while (scan_take(scan, ','));
	return false;
}

static bool enter_element(struct scan *scan, size_t index)
{
	if (!scan_take(scan, '['))
		return false;
	for (size_t i = 0; i <= index; i++) {
		if (i > 0) {
			skip_value(scan);
			skip_space(scan);
			if (!scan_take(scan, ','))
				return false;
		}
		skip_space(scan);
	}
	return scan->p < scan->end && *scan->p != ']';
}

/* Calls itself as deep as our own format goes, not as deep as the text does. */
static bool walk(struct scan *scan, const struct at *at, bool of_key)
{
	if (!at) {
		skip_space(scan);
		return scan->p < scan->end;
	}
	if (!walk(scan, at->up, false))
		return false;
	return at->key ? enter_member(scan, at->key, of_key) : enter_element(scan, at->index);
}

bool config_where(const char *text, size_t len, const struct at *at, bool of_key, int *ret_line,
		  int *ret_column)
{
	struct scan scan = {.p = text, .end = text + len};
	int line = 1, column = 1;

	if (!walk(&scan, at, of_key))
		return false;
	for (const char *p = text; p < scan.p; p++) {
		if (*p == '\n') {
			line++;
			column = 1;
		} else if ((*p & 0xc0) != 0x80) { /* not the second byte of a character */
			column++;
		}
	}
	*ret_line = line;
	*ret_column = column;
	return true;
}
