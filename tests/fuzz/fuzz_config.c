/* SPDX-License-Identifier: Apache-2.0 */
/* Any text is a config or a complaint with a place, and nothing else happens. */
#include "daemon/config.h"
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct config *config = NULL;
	struct config_error error;
	int r = config_parse((const char *)data, len, &config, &error);

	assert(r == 0 || (r == -EINVAL && error.line > 0 && error.column > 0 && error.text[0]));
	config_free(config);
	return 0;
}
