/* SPDX-License-Identifier: Apache-2.0 */
/* Files of names and passwords: what is in them, what is wrong with them, who may read them. */
#include "daemon/chap_file.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define TEN "0123456789"
#define FIFTY TEN TEN TEN TEN TEN
#define LONGEST FIFTY FIFTY FIFTY FIFTY FIFTY "01234" /* 255 bytes */

/* In the heap and to the byte. */
static int parse(const char *text, size_t len, struct iscsi_chap_secrets **ret_secrets,
		 char *ret_why, size_t why_len)
{
	char *copy = malloc(len ? len : 1);
	int r;

	assert_non_null(copy);
	memcpy(copy, text, len);
	r = chap_file_parse(copy, len, ret_secrets, ret_why, why_len);
	free(copy);
	return r;
}

static void account_is(const struct iscsi_chap_account *account, const char *name,
		       const char *secret)
{
	static const uint8_t zeroes[ISCSI_CHAP_NAME_MAX + 1];
	size_t len = strlen(secret);

	assert_string_equal(account->name, name);
	assert_int_equal(account->secret_len, len);
	assert_memory_equal(account->secret, secret, len);
	assert_memory_equal(account->secret + len, zeroes, sizeof(account->secret) - len);
	assert_memory_equal(account->name + strlen(name), zeroes,
			    sizeof(account->name) - strlen(name));
}

static void names_and_passwords_are_read(void **state)
{
	static const struct {
		const char *text, *user, *password, *target_user, *target_password;
	} rows[] = {
		{"joe secretsecret", "joe", "secretsecret", "", ""},
		{"joe secretsecret\n", "joe", "secretsecret", "", ""},
		{"joe secretsecret\n\n", "joe", "secretsecret", "", ""},
		{"joe secretsecret\n \t\n\n  \n", "joe", "secretsecret", "", ""},
		{"joe s\n", "joe", "s", "", ""},
		{"joe secretsecret\ndisk othersecret1", "joe", "secretsecret", "disk",
		 "othersecret1"},
		{"joe secretsecret\ndisk othersecret1\n\n", "joe", "secretsecret", "disk",
		 "othersecret1"},
		/* the same name both ways, one password the beginning of the other */
		{"joe secretsecret\njoe secretsecret1\n", "joe", "secretsecret", "joe",
		 "secretsecret1"},
		/* blanks as the shell's read takes them */
		{" \tjoe \t secret secret\t \n", "joe", "secret secret", "", ""},
		{"joe a\tb  c\\n\n", "joe", "a\tb  c\\n", "", ""},
		{"0x6a6f65 0bsecret\n", "0x6a6f65", "0bsecret", "", ""},
		{"j\xc3\xb6 s\xff\x80\n", "j\xc3\xb6", "s\xff\x80", "", ""},
		{LONGEST " " LONGEST "\n", LONGEST, LONGEST, "", ""},
		{"Rejected Reject\n", "Rejected", "Reject", "", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		scoped(iscsi_chap_secrets_unref) struct iscsi_chap_secrets *secrets = NULL;
		char why[128] = "";

		if (parse(rows[i].text, strlen(rows[i].text), &secrets, why, sizeof(why)) < 0)
			fail_msg("%s: %s", rows[i].text, why);
		account_is(&secrets->initiator, rows[i].user, rows[i].password);
		account_is(&secrets->target, rows[i].target_user, rows[i].target_password);
	}
}

static void what_is_wrong_is_said(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{"", "line 1: is not USER PASSWORD"},
		{"\n", "line 1: is not USER PASSWORD"},
		{"  \t \n", "line 1: is not USER PASSWORD"},
		{"\njoe secretsecret\n", "line 1: is not USER PASSWORD"},
		{"joe", "line 1: is not USER PASSWORD"},
		{"joe \n", "line 1: is not USER PASSWORD"},
		{"joe secretsecret\ndisk\n", "line 2: is not USER PASSWORD"},
		{"joe secretsecret\ndisk othersecret1\nx y\n", "line 3: is one too many"},
		{"joe secretsecret\n\nx y\n", "line 3: is one too many"},
		{"joe secretsecret\r\n", "line 1: has a control character"},
		{"joe secretsecret\ndisk other\x01secret\n", "line 2: has a control character"},
		{"joe secretsecret\n\x7f\n", "line 2: has a control character"},
		{LONGEST "1 secretsecret", "line 1: its USER has more than 255 bytes"},
		{"joe " LONGEST "1\n", "line 1: its PASSWORD has more than 255 bytes"},
		{"joe s\n" LONGEST "1 secretsecret", "line 2: its USER has more than 255 bytes"},
		{"joe secretsecret\ndisk secretsecret\n", "line 2: has the PASSWORD of line 1"},
		{"joe secretsecret\ndisk 12345678901\n",
		 "line 2: its PASSWORD has less than 12 bytes (96 bits"},
		{"Reject secretsecret\n", "line 1: its USER is a word that no user can have"},
		{"NotUnderstood secretsecret\n", "line 1: its USER is a word"},
		{"joe secretsecret\nIrrelevant othersecret1\n", "line 2: its USER is a word"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct iscsi_chap_secrets *secrets = NULL;
		char why[128] = "";

		assert_int_equal(
			parse(rows[i].text, strlen(rows[i].text), &secrets, why, sizeof(why)),
			-EINVAL);
		assert_null(secrets);
		if (!strstr(why, rows[i].why))
			fail_msg("found %s, expected %s", why, rows[i].why);
		assert_null(strstr(why, "secret"));
		assert_null(strstr(why, "1234567"));
	}
}

static void a_nul_is_a_control_character(void **state)
{
	struct iscsi_chap_secrets *secrets = NULL;
	char why[128] = "";

	(void)state;
	assert_int_equal(parse("joe sec\0ret\n", 12, &secrets, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "line 1: has a control character"));
}

/* ---- files ---- */

static const char *make(mode_t mode, const char *text, size_t n_times)
{
	static char path[] = "test_chap_file.tmp";
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	for (size_t i = 0; i < n_times; i++)
		assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	return path;
}

static void nobody_else_may_read_it(void **state)
{
	(void)state;
	for (mode_t mode = 0; mode <= 0777; mode++) {
		scoped(iscsi_chap_secrets_unref) struct iscsi_chap_secrets *secrets = NULL;
		const char *path = make(0400 | mode, "joe secretsecret\n", 1);
		char why[256] = "";
		int r = chap_file_read(path, &secrets, why, sizeof(why));

		assert_int_equal(r, mode & 077 ? -EPERM : 0);
		assert_int_equal(!secrets, r != 0);
		if (r < 0)
			assert_non_null(strstr(why, "chmod 600"));
		unlink(path);
	}
}

static void it_is_a_small_file(void **state)
{
	static const struct {
		const char *text;
		size_t n;
		const char *why;
	} rows[] = {
		{"\n", 4096, "is too long"},
		{"joe secretsecret\n", 1000, "is too long"},
		{"joe secretsecret\n", 2, "line 2: has the PASSWORD"},
		{"joe secretsecret\n", 0, "line 1: is not"},
	};
	struct iscsi_chap_secrets *secrets = NULL;
	char why[256] = "";

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *path = make(0600, rows[i].text, rows[i].n);

		assert_int_equal(chap_file_read(path, &secrets, why, sizeof(why)), -EINVAL);
		assert_non_null(strstr(why, "CHAP file test_chap_file.tmp: "));
		if (!strstr(why, rows[i].why))
			fail_msg("found %s, expected %s", why, rows[i].why);
		unlink(path);
	}
	assert_int_equal(chap_file_read("test_chap_file.absent", &secrets, why, sizeof(why)),
			 -ENOENT);
	assert_int_equal(chap_file_read("/", &secrets, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "CHAP file /: is not a regular file"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_passwords_are_read),
		cmocka_unit_test(what_is_wrong_is_said),
		cmocka_unit_test(a_nul_is_a_control_character),
		cmocka_unit_test(nobody_else_may_read_it),
		cmocka_unit_test(it_is_a_small_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
