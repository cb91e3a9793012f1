/* SPDX-License-Identifier: Apache-2.0 */
/* State files: what is read is what was written, or nothing; nothing else lies about after it. */
#include "util/atomic_file.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
/* after the above: cmocka.h relies on them */
#include <cmocka.h>

static char dir[] = "/tmp/atomic_file.XXXXXX";
static char path[64], temporary[64];

static int make_dir(void **state)
{
	(void)state;
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/state", dir);
	snprintf(temporary, sizeof(temporary), "%s/.state.new", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	chmod(dir, 0700);
	unlink(path);
	rmdir(temporary);
	unlink(temporary);
	return rmdir(dir); /* fails when a test leaves something else behind */
}

static unsigned n_files(void)
{
	DIR *d = opendir(dir);
	unsigned n = 0;

	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));)
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(d);
	return n;
}

static void assert_content(const void *data, size_t len)
{
	char buf[64];
	size_t got = 99;

	assert_int_equal(atomic_file_read(dir, "state", buf, sizeof(buf), &got), 0);
	assert_int_equal(got, len);
	assert_memory_equal(buf, data, len);
}

static int read_result(void)
{
	char buf[64];
	size_t len;

	return atomic_file_read(dir, "state", buf, sizeof(buf), &len);
}

static void what_is_written_is_read(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(read_result(), -ENOENT);
	assert_false(atomic_file_exists(dir, "state"));
	assert_true(atomic_file_exists("/nonexistent", "state")); /* who reads it is told why not */
	assert_int_equal(atomic_file_write(dir, "state", "first", 5), 0);
	assert_true(atomic_file_exists(dir, "state"));
	assert_content("first", 5);
	assert_int_equal(atomic_file_write(dir, "state", "2", 1), 0);
	assert_content("2", 1);
	assert_int_equal(atomic_file_write(dir, "state", "", 0), 0);
	assert_content("", 0);
	assert_int_equal(n_files(), 1);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(atomic_file_remove(dir, "state"), 0);
	assert_int_equal(read_result(), -ENOENT);
	assert_int_equal(atomic_file_remove(dir, "state"), 0);
}

static void what_a_crash_left_is_in_nobodys_way(void **state)
{
	struct stat st;
	int fd = open(temporary, O_WRONLY | O_CREAT, 0666);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, 0666), 0);
	assert_int_equal(write(fd, "longer than what follows it here", 32), 32);
	close(fd);
	assert_int_equal(atomic_file_write(dir, "state", "new", 3), 0);
	assert_content("new", 3);
	assert_int_equal(n_files(), 1);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

/* Each byte in turn is another one; then each length is too short; then one is too long. */
static void damage_is_noticed(void **state)
{
	const size_t whole = 16 + 7;
	uint8_t byte;
	int fd;

	(void)state;
	assert_int_equal(atomic_file_write(dir, "state", "payload", 7), 0);
	fd = open(path, O_RDWR);
	for (size_t i = 0; i < whole; i++) {
		assert_int_equal(pread(fd, &byte, 1, (off_t)i), 1);
		byte ^= 1;
		assert_int_equal(pwrite(fd, &byte, 1, (off_t)i), 1);
		assert_int_equal(read_result(), -EBADMSG);
		byte ^= 1;
		assert_int_equal(pwrite(fd, &byte, 1, (off_t)i), 1);
	}
	assert_content("payload", 7);
	assert_int_equal(pwrite(fd, "x", 1, (off_t)whole), 1);
	assert_int_equal(read_result(), -EBADMSG);
	for (size_t len = whole; len--;) {
		assert_int_equal(ftruncate(fd, (off_t)len), 0);
		assert_int_equal(read_result(), -EBADMSG);
	}
	close(fd);
}

static void reading_is_bounded(void **state)
{
	char buf[8] = "1234567";
	size_t len = 99;

	(void)state;
	assert_int_equal(atomic_file_write(dir, "state", "abcdef", 6), 0);
	assert_int_equal(atomic_file_read(dir, "state", buf, 5, &len), -EFBIG);
	assert_string_equal(buf, "1234567");
	assert_int_equal(len, 99);
	assert_int_equal(atomic_file_read(dir, "state", buf, 6, &len), 0);
	assert_memory_equal(buf, "abcdef7", 8);
	assert_int_equal(len, 6);
}

static void a_failed_write_leaves_the_old(void **state)
{
	struct rlimit limit, small;
	static uint8_t big[8192];

	(void)state;
	assert_int_equal(atomic_file_write(dir, "state", "old", 3), 0);
	/* no room for the temporary file */
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	small = limit;
	small.rlim_cur = 100;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(atomic_file_write(dir, "state", big, sizeof(big)), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_content("old", 3);
	assert_int_equal(n_files(), 1);
	/* something stands in its place */
	assert_int_equal(mkdir(temporary, 0700), 0);
	assert_int_equal(atomic_file_write(dir, "state", "new", 3), -EISDIR);
	assert_content("old", 3);
}

static void names_and_lengths_are_checked(void **state)
{
	static const char *const names[] = {"", ".", "..", ".hidden", "a/b", "/tmp/x"};
	static uint8_t big[ATOMIC_FILE_MAX + 1];
	char long_name[201];
	size_t len;

	(void)state;
	memset(long_name, 'n', 200);
	long_name[200] = '\0';
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(atomic_file_write(dir, names[i], "x", 1), -EINVAL);
		assert_int_equal(atomic_file_read(dir, names[i], big, 1, &len), -EINVAL);
		assert_int_equal(atomic_file_remove(dir, names[i]), -EINVAL);
	}
	assert_int_equal(atomic_file_write(dir, long_name, "x", 1), -EINVAL);
	assert_int_equal(atomic_file_write(dir, "state", big, sizeof(big)), -EINVAL);
	assert_int_equal(atomic_file_write(dir, "state", big, ATOMIC_FILE_MAX), 0);
	assert_int_equal(atomic_file_read(dir, "state", big, ATOMIC_FILE_MAX, &len), 0);
	assert_int_equal(len, ATOMIC_FILE_MAX);
	assert_int_equal(atomic_file_write("/nonexistent", "state", "x", 1), -ENOENT);
	assert_int_equal(n_files(), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_written_is_read, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(what_a_crash_left_is_in_nobodys_way, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(damage_is_noticed, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(reading_is_bounded, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_failed_write_leaves_the_old, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(names_and_lengths_are_checked, make_dir,
						remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
