/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the parser's tables as JSON, one key a line: test_schema.py holds the schema to it. */
#include "daemon/config_priv.h"
#include <inttypes.h>
#include <stdio.h>

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

int main(void)
{
	for (const struct json_section *s = config_sections; s->place; s++)
		for (const struct json_key *key = s->keys; key->name; key++)
			print_key(s->place, key);
	return 0;
}
