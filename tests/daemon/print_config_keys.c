/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints the parser's tables as JSON, one key a line: test_schema.py holds the schema to it. With
 * --judge: reads documents, one a line, and prints a verdict on each, "ok" or where and why not; a
 * process for each of its hundreds of documents would take minutes.
 */
#include "daemon/config_priv.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_key(const char *place, const struct json_key *key)
{
	static const char *const kinds[] = {
		[KEY_FLAG] = "flag",	 [KEY_YES_NO] = "yes_no", [KEY_NUMBER] = "number",
		[KEY_TEXT] = "text",	 [KEY_CHOICE] = "choice", [KEY_LIST] = "list",
		[KEY_OBJECT] = "object",
	};

	printf("{\"place\": \"%s\", \"key\": \"%s\", \"kind\": \"%s\", \"required\": %s", place,
	       key->name, kinds[key->kind], key->required ? "true" : "false");
	if (key->kind == KEY_NUMBER)
		printf(", \"min\": %" PRId64 ", \"max\": %" PRId64, key->min, key->max);
	if (key->kind == KEY_CHOICE) {
		printf(", \"choices\": [");
		for (int i = 0; key->choices[i]; i++)
			printf("%s\"%s\"", i ? ", " : "", key->choices[i]);
		printf("]");
	}
	printf("}\n");
}

static int judge(void)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t len;

	while ((len = getline(&line, &room, stdin)) > 0) {
		struct config *config = NULL;
		struct config_error why;

		if (config_parse(line, (size_t)len, &config, &why) == 0)
			puts("ok");
		else
			printf("%d:%d: %s\n", why.line, why.column, why.text);
		config_free(config);
		fflush(stdout);
	}
	free(line);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--judge") == 0)
		return judge();
	for (const struct json_section *s = config_sections; s->place; s++)
		for (const struct json_key *key = s->keys; key->name; key++)
			print_key(s->place, key);
	return 0;
}
