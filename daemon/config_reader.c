/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of the JSON file, read by tables of keys; every complaint gets its line and column. */
#include "daemon/config_priv.h"
#include <errno.h>
#include <glib.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct quoted quote(const char *text)
{
	struct quoted q;
	size_t n = 0;

	q.text[n++] = '"';
	for (; *text && n < sizeof(q.text) - 10; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\' || c < 0x20 || c > 0x7e)
			n += (size_t)snprintf(q.text + n, 5, "\\x%02x", c);
		else
			q.text[n++] = (char)c;
	}
	snprintf(q.text + n, sizeof(q.text) - n, "%s", *text ? "...\"" : "\"");
	return q;
}

static bool is_plain(const char *key)
{
	size_t n = strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");

	return n > 0 && !key[n] && !g_ascii_isdigit(key[0]);
}

/* "storages[0].deviceID" */
static void at_text(GString *out, const struct at *at)
{
	if (!at)
		return;
	at_text(out, at->up);
	if (!at->key)
		g_string_append_printf(out, "[%zu]", at->index);
	else if (is_plain(at->key) && strlen(at->key) < 64)
		g_string_append_printf(out, "%s%s", out->len ? "." : "", at->key);
	else
		g_string_append_printf(out, "[%s]", quote(at->key).text);
}

static int tell(struct reader *reader, const struct at *at, bool of_key, const char *format,
		va_list args) __attribute__((format(printf, 4, 0)));

static int tell(struct reader *reader, const struct at *at, bool of_key, const char *format,
		va_list args)
{
	struct config_error *error = reader->error;
	GString *text = g_string_new(NULL);

	at_text(text, at);
	if (text->len)
		g_string_append(text, ": ");
	g_string_append_vprintf(text, format, args);
	g_strlcpy(error->text, text->str, sizeof(error->text));
	g_string_free(text, TRUE);
	if (!config_where(reader->text, reader->len, at, of_key, &error->line, &error->column))
		error->line = error->column = 0;
	return -EINVAL;
}

int reader_bad(struct reader *reader, const struct at *at, const char *format, ...)
{
	va_list args;
	int r;

	va_start(args, format);
	r = tell(reader, at, false, format, args);
	va_end(args);
	return r;
}

int reader_bad_key(struct reader *reader, const struct at *at, const char *format, ...)
{
	va_list args;
	int r;

	va_start(args, format);
	r = tell(reader, at, true, format, args);
	va_end(args);
	return r;
}

/* What a value is, in words that fit behind "found". */
static void value_text(const json_t *value, char *buf, size_t len)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		snprintf(buf, len, "an object");
		break;
	case JSON_ARRAY:
		snprintf(buf, len, "a list");
		break;
	case JSON_STRING:
		snprintf(buf, len, "the string %s", quote(json_string_value(value)).text);
		break;
	case JSON_INTEGER:
		snprintf(buf, len, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		break;
	case JSON_REAL:
		snprintf(buf, len, "the number %g", json_real_value(value));
		break;
	case JSON_TRUE:
		snprintf(buf, len, "true");
		break;
	case JSON_FALSE:
		snprintf(buf, len, "false");
		break;
	case JSON_NULL:
		snprintf(buf, len, "null");
		break;
	}
}

static bool take_choice(const json_t *value, const char *const *choices, int *into)
{
	for (int i = 0; json_is_string(value) && choices[i]; i++) {
		if (strcmp(json_string_value(value), choices[i]) != 0)
			continue;
		*into = i;
		return true;
	}
	return false;
}

/* Return: whether the value is what the row wants. */
static bool take_value(const struct json_key *key, json_t *value, void *into)
{
	static const char *const no_yes[] = {"No", "Yes", NULL};

	switch (key->kind) {
	case KEY_YES_NO:
		if (take_choice(value, no_yes, into))
			return true;
		/* fallthrough */
	case KEY_FLAG:
		if (json_is_boolean(value))
			*(int *)into = json_is_true(value);
		return json_is_boolean(value);
	case KEY_NUMBER:
		if (!json_is_integer(value) || json_integer_value(value) < key->min ||
		    json_integer_value(value) > key->max)
			return false;
		*(int64_t *)into = json_integer_value(value);
		return true;
	case KEY_TEXT:
		*(const char **)into = json_string_value(value);
		return json_is_string(value);
	case KEY_CHOICE:
		return take_choice(value, key->choices, into);
	case KEY_LIST:
		*(json_t **)into = value;
		return json_is_array(value);
	case KEY_OBJECT:
		*(json_t **)into = value;
		return json_is_object(value);
	}
	return false;
}

/* What the row wants, in words that fit behind "expected". */
static void expected_text(const struct json_key *key, char *buf, size_t len)
{
	static const char *const words[] = {
		[KEY_FLAG] = "true or false", [KEY_YES_NO] = "true, false, \"Yes\" or \"No\"",
		[KEY_TEXT] = "a string",      [KEY_LIST] = "a list",
		[KEY_OBJECT] = "an object",
	};
	size_t n = 0;

	if (key->kind == KEY_NUMBER) {
		if (key->min == key->max)
			snprintf(buf, len, "%" PRId64, key->min);
		else
			snprintf(buf, len, "an integer from %" PRId64 " to %" PRId64, key->min,
				 key->max);
	} else if (key->kind == KEY_CHOICE) {
		for (int i = 0; key->choices[i] && n < len; i++)
			n += (size_t)snprintf(buf + n, len - n, "%s\"%s\"", i ? ", " : "one of ",
					      key->choices[i]);
	} else {
		snprintf(buf, len, "%s", words[key->kind]);
	}
}

static const struct json_key *key_find(const struct json_key *keys, const char *name)
{
	for (; keys->name; keys++)
		if (strcmp(keys->name, name) == 0)
			return keys;
	return NULL;
}

static int bad_unknown(struct reader *reader, const struct at *at, const struct json_key *keys)
{
	GString *known = g_string_new(NULL);

	for (; keys->name; keys++)
		g_string_append_printf(known, "%s%s", known->len ? ", " : "", keys->name);
	reader_bad_key(reader, at, "found an unknown key, expected one of %s", known->str);
	g_string_free(known, TRUE);
	return -EINVAL;
}

int reader_object(struct reader *reader, const struct at *at, json_t *object,
		  const struct json_key *keys, void *into)
{
	const char *name;
	json_t *value;

	if (!json_is_object(object)) {
		char found[128];

		value_text(object, found, sizeof(found));
		return reader_bad(reader, at, "found %s, expected an object", found);
	}
	json_object_foreach(object, name, value)
	{
		const struct json_key *key = key_find(keys, name);
		struct at here = {.up = at, .key = name};
		char found[128], expected[192];

		if (!key)
			return bad_unknown(reader, &here, keys);
		if (take_value(key, value, (char *)into + key->offset))
			continue;
		value_text(value, found, sizeof(found));
		expected_text(key, expected, sizeof(expected));
		return reader_bad(reader, &here, "found %s, expected %s", found, expected);
	}
	for (; keys->name; keys++)
		if (keys->required && !json_object_get(object, keys->name))
			return reader_bad(reader, at, "found no \"%s\", expected one", keys->name);
	return 0;
}
