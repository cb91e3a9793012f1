/* SPDX-License-Identifier: Apache-2.0 */
/* A LU that was given no UUID keeps the one that it gets, and shares it with no other. */
#include "daemon/identity.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void identity(char *path, uint64_t twin, uint8_t uuid[16])
{
	const struct config_storage storage = {.path = path};

	assert_int_equal(identity_make(&storage, twin, uuid), 0);
	assert_int_equal(uuid[6] >> 4, *path ? 8 : 4);
	assert_int_equal(uuid[8] >> 6, 2);
}

static void one_file_has_one_identity(void **state)
{
	char folder[] = "/tmp/duotgt-XXXXXX", path[64], other[64], link[64], again[64];
	uint8_t before[16], after[16];
	int fd;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/a", folder);
	snprintf(other, sizeof(other), "%s/b", folder);
	snprintf(link, sizeof(link), "%s/link", folder);
	snprintf(again, sizeof(again), "%s/./link/../a", folder);
	identity(path, 0, before); /* not made yet */
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	identity(path, 0, after);
	assert_memory_equal(before, after, 16);
	assert_int_equal(symlink(path, link), 0);
	identity(link, 0, after);
	assert_memory_equal(before, after, 16);
	identity(again, 0, after);
	assert_memory_equal(before, after, 16);

	identity(other, 0, after);
	assert_memory_not_equal(before, after, 16);
	identity(path, 1, after);
	assert_memory_not_equal(before, after, 16);
	unlink(link);
	unlink(path);
	rmdir(folder);
}

static void memory_is_new_each_time(void **state)
{
	char none[] = "";
	uint8_t one[16], two[16];

	(void)state;
	identity(none, 0, one);
	identity(none, 0, two);
	assert_memory_not_equal(one, two, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_file_has_one_identity),
		cmocka_unit_test(memory_is_new_each_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
