/* SPDX-License-Identifier: Apache-2.0 */
/* See crypt_kit.h. */
#include "tests/scsi/crypt_kit.h"
#include "tests/scsi/state_dir.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *dir;

const char *crypt_kit_path(const char *name)
{
	static char paths[4][96];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

void crypt_kit_write(const char *name, const void *data, size_t len)
{
	int fd = open(crypt_kit_path(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

const char *crypt_kit_make(void)
{
	uint8_t key[32];

	memset(key, 0x5a, sizeof(key));
	dir = state_dir_make();
	crypt_kit_write(CRYPT_KIT_KEY, key, sizeof(key));
	return dir;
}

void crypt_kit_remove(void)
{
	state_dir_remove();
}

void crypt_kit_use(struct scsi_lu_config *cfg)
{
	cfg->state_dir = dir;
	cfg->encryption.key_file = crypt_kit_path(CRYPT_KIT_KEY);
}
