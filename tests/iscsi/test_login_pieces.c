/* SPDX-License-Identifier: Apache-2.0 */
/* Logins whose texts come in pieces, or are answered in some: RFC 7143 11.12.2, the C bit. */
#include "tests/iscsi/login_kit.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
/* cmocka.h wants the three above first. */
#include <cmocka.h>

static const char whole[] = "InitiatorName=iqn.2001-04.com.example:host\0"
			    "TargetName=iqn.2016-09.com.example:disk\0"
			    "HeaderDigest=CRC32C,None\0InitialR2T=No\0X-a=b";

/* The same text gives the same answer, wherever it is cut in two. */
static void a_text_may_be_cut_at_every_byte(void **state)
{
	(void)state;
	for (size_t cut = 0; cut <= sizeof(whole); cut++) {
		struct iscsi_login *login = login_make();
		struct iscsi_bhs req = login_request(OPERATIONAL, STAY | MORE, cut);
		struct iscsi_login_answer answer = ask(login, &req, whole, cut);

		assert_int_equal(answer.outcome, LOGIN_GOES_ON);
		assert_int_equal(answer.data_len, 0);
		assert_int_equal(where(&answer), STAY);
		req = login_request(OPERATIONAL, FULL_FEATURE, sizeof(whole) - cut);
		answer = ask(login, &req, whole + cut, sizeof(whole) - cut);
		assert_int_equal(answer.outcome, LOGIN_COMPLETE);
		assert_text(&answer,
			    TAG " HeaderDigest=CRC32C InitialR2T=No X-a=NotUnderstood " OURS);
		iscsi_login_free(login);
	}
}

static void a_text_may_come_byte_by_byte(void **state)
{
	struct iscsi_login *login = login_make();
	struct iscsi_login_answer answer;
	struct iscsi_bhs req;

	(void)state;
	for (size_t i = 0; i < sizeof(whole); i++) {
		req = login_request(OPERATIONAL, STAY | MORE, 1);
		answer = ask(login, &req, whole + i, 1);
		assert_int_equal(where(&answer), STAY);
	}
	answer = say(login, OPERATIONAL, FULL_FEATURE, "");
	assert_int_equal(answer.outcome, LOGIN_COMPLETE);
	iscsi_login_free(login);
}

static void a_text_that_stops_early_is_noticed(void **state)
{
	(void)state;
	for (size_t len = 0; len < sizeof(whole); len++) {
		struct iscsi_login *login = login_make();
		struct iscsi_bhs req = login_request(OPERATIONAL, FULL_FEATURE, len);
		struct iscsi_login_answer answer = ask(login, &req, whole, len);
		enum iscsi_login_status expected = LOGIN_INITIATOR_ERROR;

		if (len == 0 || len == strlen(whole) + 1) /* nothing, or the initiator's name */
			expected = LOGIN_MISSING_PARAMETER;
		else if (whole[len - 1] == '\0')
			expected = LOGIN_SUCCESS;
		assert_int_equal(status_of(&answer), expected);
		iscsi_login_free(login);
	}
}

static void gathered_text_is_bounded(void **state)
{
	struct iscsi_login *login = login_make();
	struct iscsi_bhs req = login_request(SECURITY, STAY | MORE, 4096);
	struct iscsi_login_answer answer;
	char text[4096];

	(void)state;
	memset(text, 'A', sizeof(text));
	for (int i = 0; i < ISCSI_TEXT_MAX / 4096; i++) {
		answer = ask(login, &req, text, sizeof(text));
		assert_int_equal(answer.outcome, LOGIN_GOES_ON);
	}
	req = login_request(SECURITY, STAY | MORE, 1);
	answer = ask(login, &req, text, 1);
	assert_int_equal(status_of(&answer), LOGIN_INITIATOR_ERROR);
	iscsi_login_free(login);
}

/* NAMES and then @n pairs a=b, in PDUs of 8192 bytes. Return: the last answer. */
static struct iscsi_login_answer send_pairs(struct iscsi_login *login, size_t n, unsigned nsg)
{
	size_t len = 0, total = sizeof(NAMES) + 4 * n;
	char *text = malloc(total);
	struct iscsi_login_answer answer;

	assert_non_null(text);
	memcpy(text, whole, sizeof(NAMES)); /* the two names, with NULs */
	for (size_t i = 0; i < n; i++)
		memcpy(text + sizeof(NAMES) + 4 * i, "a=b", 4);
	do {
		size_t rest = total - len, part = rest > 8192 ? 8192 : rest;
		struct iscsi_bhs req =
			login_request(OPERATIONAL, part < rest ? STAY | MORE : nsg, part);

		answer = ask(login, &req, text + len, part);
		len += part;
	} while (len < total);
	free(text);
	return answer;
}

/* 2,048 pairs of four bytes would be answered by 32 KiB. */
static void amplification_is_refused(void **state)
{
	struct iscsi_login *login = login_make();
	struct iscsi_login_answer answer = send_pairs(login, 2048, FULL_FEATURE);

	(void)state;
	assert_int_equal(status_of(&answer), LOGIN_INITIATOR_ERROR);
	iscsi_login_free(login);
}

/* 900 of them are answered, in two pieces; the transit is granted with the last one. */
static void a_long_answer_comes_in_pieces(void **state)
{
	static const char one[] = "a=NotUnderstood";
	struct iscsi_login *login = login_make();
	struct iscsi_login_answer answer = send_pairs(login, 900, FULL_FEATURE);
	size_t expected = sizeof(TAG) + 900 * sizeof(one) + sizeof(OURS);
	char all[ISCSI_TEXT_MAX];
	size_t len = 0;

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_true(len + answer.data_len <= sizeof(all));
		memcpy(all + len, answer.data, answer.data_len);
		len += answer.data_len;
		assert_int_equal(where(&answer), i == 0 ? MORE : FULL_FEATURE);
		if (i == 0)
			answer = say(login, OPERATIONAL, FULL_FEATURE, "");
	}
	assert_int_equal(len, expected);
	assert_string_equal(all, TAG);
	for (size_t i = 0; i < 900; i++)
		assert_string_equal(all + sizeof(TAG) + i * sizeof(one), one);
	assert_string_equal(all + expected - sizeof(OURS), OURS);
	assert_int_equal(answer.outcome, LOGIN_COMPLETE);
	iscsi_login_free(login);
}

/* Whoever asks for the rest of an answer asks for nothing else. */
static void the_rest_is_asked_for_in_silence(void **state)
{
	static const struct {
		unsigned nsg;
		const char *sent;
		unsigned after;
	} rows[] = {
		{STAY, "", STAY},
		{FULL_FEATURE, "", FULL_FEATURE},
		{FULL_FEATURE, "InitialR2T=No", OVER},
		{STAY | MORE, "", OVER},
		{OPERATIONAL, "", OVER},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct iscsi_login *login = login_make();
		struct iscsi_login_answer answer = send_pairs(login, 900, STAY);

		assert_int_equal(where(&answer), MORE);
		answer = say(login, OPERATIONAL, rows[i].nsg, rows[i].sent);
		assert_int_equal(where(&answer), rows[i].after);
		if (rows[i].after == STAY) { /* and the login goes on */
			answer = say(login, OPERATIONAL, FULL_FEATURE, "InitialR2T=No");
			assert_text(&answer, "InitialR2T=No");
			assert_int_equal(where(&answer), FULL_FEATURE);
		}
		iscsi_login_free(login);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_may_be_cut_at_every_byte),
		cmocka_unit_test(a_text_may_come_byte_by_byte),
		cmocka_unit_test(a_text_that_stops_early_is_noticed),
		cmocka_unit_test(gathered_text_is_bounded),
		cmocka_unit_test(amplification_is_refused),
		cmocka_unit_test(a_long_answer_comes_in_pieces),
		cmocka_unit_test(the_rest_is_asked_for_in_silence),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
