/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/identity.h"
#include <errno.h>
#include <glib.h>
#include <limits.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

/* The machine's own id, which every Linux system makes once; else its name. machine-id(5) */
static char *host_identity(void)
{
	char *id = NULL;

	if (g_file_get_contents("/etc/machine-id", &id, NULL, NULL) && *g_strstrip(id))
		return id;
	g_free(id);
	return g_strdup(g_get_host_name());
}

/* One spelling of a path, also of one whose last part is missing. */
static char *canonical_path(const char *path)
{
	char *absolute = g_canonicalize_filename(path, NULL);
	char *folder, *name, *real;
	struct stat st;

	/* What /dev/disk/by-id leads to may have another name after the next boot. */
	if (stat(absolute, &st) == 0 && S_ISBLK(st.st_mode))
		return absolute;
	real = realpath(absolute, NULL);
	if (real) {
		g_free(absolute);
		return real; /* malloc and g_malloc are one */
	}
	folder = g_path_get_dirname(absolute);
	name = g_path_get_basename(absolute);
	real = realpath(folder, NULL);
	if (real) {
		g_free(absolute);
		absolute = g_build_filename(real, name, NULL);
	}
	free(real);
	g_free(folder);
	g_free(name);
	return absolute;
}

/* The NUL goes in too: "ab", "c" is not "a", "bc". */
static void hash_text(GChecksum *hash, const char *text)
{
	g_checksum_update(hash, (const guchar *)text, (gssize)strlen(text) + 1);
}

static void hash_identity(const char *path, uint64_t twin, uint8_t ret_uuid[16])
{
	GChecksum *hash = g_checksum_new(G_CHECKSUM_SHA256);
	char *host = host_identity(), *store = canonical_path(path);
	uint8_t digest[32];
	gsize len = sizeof(digest);

	hash_text(hash, "duotgt LU identity");
	hash_text(hash, host);
	hash_text(hash, store);
	if (twin)
		g_checksum_update(hash, (const guchar *)&twin, sizeof(twin));
	g_checksum_get_digest(hash, digest, &len);
	memcpy(ret_uuid, digest, 16);
	g_checksum_free(hash);
	g_free(host);
	g_free(store);
}

int identity_make(const struct config_storage *storage, uint64_t twin, uint8_t ret_uuid[16])
{
	if (*storage->path)
		hash_identity(storage->path, twin, ret_uuid);
	else if (getrandom(ret_uuid, 16, 0) != 16)
		return -EIO;
	/* Version and variant: 8 for a hash of our own, 4 for chance. RFC 9562 4, 5.4, 5.8 */
	ret_uuid[6] = (uint8_t)((*storage->path ? 0x80 : 0x40) | (ret_uuid[6] & 0x0f));
	ret_uuid[8] = 0x80 | (ret_uuid[8] & 0x3f);
	return 0;
}
