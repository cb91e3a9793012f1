/* SPDX-License-Identifier: Apache-2.0 */
/* Any text is a configuration string whose parts fit their bounds, or a complaint. */
#include "handler/cfgstring.h"
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(int what)
{
	if (!what)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = malloc(len + 1);
	struct cfgstring cfg;
	char why[64] = "";
	int r;

	require(text != NULL);
	memcpy(text, data, len);
	text[len] = '\0';
	r = cfgstring_parse(text, &cfg, why, sizeof(why));
	require(r == 0 || (r == -EINVAL && *why && memchr(why, '\0', sizeof(why))));
	if (r == 0) {
		require(!*cfg.storage != !*cfg.path);
		require(!*cfg.storage || cfgstring_is_name(cfg.storage));
		require(!*cfg.path || (cfg.path[0] == '/' && strstr(text, cfg.path)));
		require(strlen(text) <= CFGSTRING_MAX && !strpbrk(text, ",:;\n"));
		require(cfg.wait_s <= 3600);
	}
	free(text);
	return 0;
}
