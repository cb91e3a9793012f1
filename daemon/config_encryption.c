/* SPDX-License-Identifier: Apache-2.0 */
/* storages[].encryption: whether what is in the store is encrypted, and by whose key. */
#include "daemon/config_build.h"
#include <errno.h>
#include <string.h>

int build_encryption(struct build *build, const struct at *up, json_t *object_or_null,
		     struct config_storage *storage)
{
	const struct at at = {.up = up, .key = "encryption"}, file = {.up = &at, .key = "keyFile"};
	struct encryption_in in = {0};
	int r;

	if (!object_or_null)
		return 0;
	r = reader_object(&build->reader, &at, object_or_null, encryption_keys, &in);
	if (r < 0)
		return r;
	if (!config_can_encrypt(storage))
		return reader_bad(&build->reader, &at, "found it, expected none for %s",
				  storage->type);
	if (storage->has_protection)
		return reader_bad(&build->reader, &at,
				  "found it beside \"protection\", expected one of the two: the "
				  "tuples would tell of the blocks");
	if (!*in.key_file)
		return reader_bad(&build->reader, &file, "found no path, expected one");
	storage->key_file = strdup(in.key_file);
	return storage->key_file ? 0 : -ENOMEM;
}
