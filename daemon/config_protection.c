/* SPDX-License-Identifier: Apache-2.0 */
/* storages[].protection: whether a disk can have protection information, and where it is kept. */
#include "daemon/config_build.h"
#include <errno.h>
#include <string.h>

/* Beside the image, unless the file says otherwise; memory keeps it in memory. */
static int protection_path(struct build *build, const struct at *at, const struct protection_in *in,
			   struct config_storage *storage)
{
	const struct at path = {.up = at, .key = "path"};
	bool is_ram = strcmp(storage->type, "ram") == 0;
	char *beside = NULL;

	if (in->path && is_ram)
		return reader_bad(&build->reader, &path, "found one, expected none for ram");
	if (in->path && !*in->path)
		return reader_bad(&build->reader, &path, "found no path, expected one, or none");
	if (!in->path && strcmp(storage->type, "block") == 0)
		return reader_bad(&build->reader, at,
				  "found no \"path\", expected one for a block device");
	if (!in->path && !is_ram)
		beside = g_strconcat(storage->path, ".pi", NULL);
	storage->protection_path = strdup(beside ? beside : in->path ? in->path : "");
	g_free(beside);
	return storage->protection_path ? 0 : -ENOMEM;
}

int build_protection(struct build *build, const struct at *up, json_t *object_or_null,
		     struct config_storage *storage)
{
	const struct at at = {.up = up, .key = "protection"};
	struct protection_in in = {0};
	int r;

	if (!object_or_null)
		return 0;
	r = reader_object(&build->reader, &at, object_or_null, protection_keys, &in);
	if (r < 0)
		return r;
	if (config_is_cdrom(storage) || strcmp(storage->type, "null") == 0)
		return reader_bad(&build->reader, &at, "found it, expected none for %s",
				  storage->type);
	storage->has_protection = true;
	storage->protection_type = (unsigned)in.type;
	return protection_path(build, &at, &in, storage);
}
