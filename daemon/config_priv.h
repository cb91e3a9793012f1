/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * How the JSON file is read: objects by tables of keys, and a place for every complaint. A table
 * fills a plain struct of its own; the functions of config_json.c then judge the whole and build
 * the config from it. The tables are also what the JSON Schema is held against.
 */
#include "daemon/config.h"
#include <inttypes.h>
#include <jansson.h>
#include <stddef.h>

/* The way to a value, innermost step first; NULL is the top of the document. */
struct at {
	const struct at *up;
	const char *key; /* of an object; NULL: an element of a list */
	size_t index;
};

enum key_kind {
	KEY_FLAG,   /* true or false, into an int; what it held means absent */
	KEY_YES_NO, /* as KEY_FLAG, and "Yes" or "No" as RFC 7143 spells them */
	KEY_NUMBER, /* an integer from min to max, into an int64_t */
	KEY_TEXT,   /* a string, into a const char *, which the document owns */
	KEY_CHOICE, /* a string out of choices, its index into an int */
	KEY_LIST,   /* [...], into a json_t * */
	KEY_OBJECT, /* {...}, into a json_t * */
};

struct json_key {
	const char *name;
	enum key_kind kind;
	size_t offset; /* in the struct that the table fills */
	bool required;
	int64_t min, max;
	const char *const *choices; /* ends with NULL */
};

/* A table by its place in the document, "storages[]" for the elements of storages. */
struct json_section {
	const char *place;
	const struct json_key *keys; /* ends with an empty row */
};

extern const struct json_section config_sections[]; /* ends with an empty row */

struct reader {
	const char *text;
	size_t len;
	struct config_error *error;
};

/* Fills @into from @object, row by row. Return: 0, or -EINVAL with the error told. */
int reader_object(struct reader *reader, const struct at *at, json_t *object,
		  const struct json_key *keys, void *into);

/* Tells what is wrong with the value, or with the key, at a place. Return: -EINVAL. */
int reader_bad(struct reader *reader, const struct at *at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int reader_bad_key(struct reader *reader, const struct at *at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* A name of the document's in double quotes, made fit for a terminal and cut to size. */
struct quoted {
	char text[96];
};
struct quoted quote(const char *text);

/**
 * config_where() - the place of a value, or of its key, in a text that is known to be JSON
 * Reads within @len whatever the text holds. Columns count characters, from 1.
 * Return: whether it is there.
 */
bool config_where(const char *text, size_t len, const struct at *at, bool of_key, int *ret_line,
		  int *ret_column);

/* The back ends' names, "file, block, ...", and whether one is known. */
extern const char *const config_types[]; /* ends with NULL */
bool config_type_known(const char *type);
bool config_type_has_path(const char *type); /* else the rest of a spec is a size */

/**
 * config_split_spec() - part a type from the rest
 * A path with a '/' before any ':' has no type and is a file.
 * Return: 0; -EINVAL with a text when what stands before the ':' is no known type; -ENOMEM.
 */
int config_split_spec(const char *spec, char **ret_type, const char **ret_rest,
		      struct config_error *ret_error);
