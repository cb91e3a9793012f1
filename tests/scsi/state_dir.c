/* SPDX-License-Identifier: Apache-2.0 */
/* See state_dir.h. */
#include "tests/scsi/state_dir.h"
#include "tests/scsi/harness.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[32];

/* What is in it is of no worth after the test: in memory where that can be, for the thousands of
 * times that it is made stable. */
const char *state_dir_make(void)
{
	const char *root = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

	snprintf(dir, sizeof(dir), "%s/duotgt-test-XXXXXX", root);
	assert_non_null(mkdtemp(dir));
	return dir;
}

static unsigned each_file(void (*do_it)(int dir_fd, const char *name))
{
	DIR *files = opendir(dir);
	unsigned n = 0;

	assert_non_null(files);
	for (struct dirent *file; (file = readdir(files));) {
		if (file->d_name[0] == '.')
			continue;
		n++;
		if (do_it)
			do_it(dirfd(files), file->d_name);
	}
	closedir(files);
	return n;
}

static void remove_file(int dir_fd, const char *name)
{
	assert_int_equal(unlinkat(dir_fd, name, 0), 0);
}

static void spoil_file(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "\xff", 1, 0), 1);
	close(fd);
}

void state_dir_remove(void)
{
	each_file(remove_file);
	assert_int_equal(rmdir(dir), 0);
}

unsigned state_dir_files(void)
{
	return each_file(NULL);
}

void state_dir_spoil(void)
{
	each_file(spoil_file);
}
