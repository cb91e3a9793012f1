/* SPDX-License-Identifier: Apache-2.0 */
/* The proofs of CHAP: who is let in, what is malformed, and what the target proves in return. */
#include "tests/iscsi/chap_kit.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka.h wants the three above first. */
#include <cmocka.h>

#define MD5_BASE64 "L+5a4YGRbjo0gQq1JOExUg=="

/* ---- the initiator's proof ---- */

/* The outcome of one last step, which is to be MD5's. */
static enum iscsi_login_status respond(const char *user, const char *sent)
{
	struct iscsi_negotiation neg;
	enum iscsi_login_status status;
	char answer[1024];

	chap_start_challenged(&neg, user, T_USER, 5);
	assert_int_equal(chap_random_len, 1 + 32);
	status = chap_say(&neg, sent, answer, sizeof(answer));
	assert_int_equal(status == LOGIN_SUCCESS, iscsi_chap_done(neg.chap));
	chap_stop(&neg);
	return status;
}

static void a_response_may_be_written_in_several_ways(void **state)
{
	static const struct {
		const char *value;
		enum iscsi_login_status status;
	} rows[] = {
		{"0x" MD5, LOGIN_SUCCESS},
		{"0X2FEE5AE181916E3a34810ab524e13152", LOGIN_SUCCESS},
		{"0b" MD5_BASE64, LOGIN_SUCCESS},
		{"0B" MD5_BASE64, LOGIN_SUCCESS},
		{MD5, LOGIN_INITIATOR_ERROR},
		{MD5_BASE64, LOGIN_INITIATOR_ERROR},
		{"0b" MD5, LOGIN_AUTH_FAILED}, /* base64, but of 24 other bytes */
		{"0x" MD5_BASE64, LOGIN_INITIATOR_ERROR},
		{"", LOGIN_INITIATOR_ERROR},
		{"0", LOGIN_INITIATOR_ERROR},
		{"0x", LOGIN_INITIATOR_ERROR},
		{"0b", LOGIN_INITIATOR_ERROR},
		{"0y" MD5, LOGIN_INITIATOR_ERROR},
		{"0x" MD5 "g", LOGIN_INITIATOR_ERROR},
		{"0bL+5a4YGRbjo0gQq1JOExUg=", LOGIN_INITIATOR_ERROR},
		{"0bL+5a4YGRbjo0gQq1JOExUh==", LOGIN_INITIATOR_ERROR}, /* bits left over */
		{"0bL-5a4YGRbjo0gQq1JOExUg==", LOGIN_INITIATOR_ERROR},
		{"12345678901234567890", LOGIN_INITIATOR_ERROR}, /* decimal: it has no length */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char sent[256];

		snprintf(sent, sizeof(sent), "CHAP_N=" USER " CHAP_R=%s", rows[i].value);
		assert_int_equal(respond(USER, sent), rows[i].status);
	}
}

/* @len bytes that begin with the right response, in one of the two encodings, or cut short. */
static void write_response(char *to, size_t len, bool base64)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint8_t bytes[1026 + 2] = {0};

	for (size_t i = 0; i < 16 && i < len; i++)
		sscanf(MD5 + 2 * i, "%2hhx", &bytes[i]);
	to += sprintf(to, base64 ? "0b" : "0x");
	for (size_t i = 0; !base64 && i < len; i++)
		to += sprintf(to, "%02x", bytes[i]);
	for (size_t i = 0; base64 && i < len; i += 3) {
		uint32_t group = be24_get(bytes + i);

		*to++ = digits[group >> 18];
		*to++ = digits[group >> 12 & 63];
		*to++ = len - i > 1 ? digits[group >> 6 & 63] : '=';
		*to++ = len - i > 2 ? digits[group & 63] : '=';
	}
	*to = '\0';
}

static void a_response_has_the_length_of_its_hash(void **state)
{
	static const struct {
		size_t len;
		enum iscsi_login_status status;
	} rows[] = {
		{1, LOGIN_AUTH_FAILED},	       {15, LOGIN_AUTH_FAILED},
		{16, LOGIN_SUCCESS},	       {17, LOGIN_AUTH_FAILED},
		{20, LOGIN_AUTH_FAILED},       {32, LOGIN_AUTH_FAILED},
		{33, LOGIN_AUTH_FAILED},       {95, LOGIN_AUTH_FAILED},
		{1023, LOGIN_AUTH_FAILED},     {1024, LOGIN_AUTH_FAILED},
		{1025, LOGIN_INITIATOR_ERROR}, {1026, LOGIN_INITIATOR_ERROR},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (int base64 = 0; base64 <= 1; base64++) {
			char sent[4096] = "CHAP_N=" USER " CHAP_R=";

			write_response(sent + strlen(sent), rows[i].len, base64);
			assert_int_equal(respond(USER, sent), rows[i].status);
		}
}

static void no_bit_of_a_response_may_differ(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < 128; bit++) {
		char sent[] = RIGHT, *digit = sent + strlen(sent) - 32 + bit / 4;
		static const char digits[] = "0123456789abcdef";

		*digit = digits[(strchr(digits, *digit) - digits) ^ (1 << bit % 4)];
		assert_int_equal(respond(USER, sent), LOGIN_AUTH_FAILED);
	}
}

/* A name is a text: what looks like a number in it is not decoded, and nothing is folded. */
static void a_name_is_compared_as_it_stands(void **state)
{
	static const char *const names[] = {"host",   "0x686f7374",  "0baG9zdA==", "host,5",
					    "Host=x", "h\xc3\xb6st", "0x",	   "0b"};
	static const char *const others[] = {"",
					     "hos",
					     "host1",
					     "HOST",
					     "0x686f7374",
					     "0baG9zdA==",
					     "iqn.2001-04.com.example:host",
					     T_USER};
	char sent[512], longest[ISCSI_CHAP_NAME_MAX + 2];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(sent, sizeof(sent), "CHAP_R=0x" MD5 " CHAP_N=%s", names[i]);
		assert_int_equal(respond(names[i], sent), LOGIN_SUCCESS);
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		snprintf(sent, sizeof(sent), "CHAP_R=0x" MD5 " CHAP_N=%s", others[i]);
		assert_int_equal(respond(USER, sent), LOGIN_AUTH_FAILED);
	}
	memset(longest, 'n', ISCSI_CHAP_NAME_MAX + 1);
	longest[ISCSI_CHAP_NAME_MAX + 1] = '\0';
	snprintf(sent, sizeof(sent), "CHAP_R=0x" MD5 " CHAP_N=%s", longest);
	assert_int_equal(respond(USER, sent), LOGIN_INITIATOR_ERROR);
	longest[ISCSI_CHAP_NAME_MAX] = '\0';
	snprintf(sent, sizeof(sent), "CHAP_R=0x" MD5 " CHAP_N=%s", longest);
	assert_int_equal(respond(USER, sent), LOGIN_AUTH_FAILED);
	assert_int_equal(respond(longest, sent), LOGIN_SUCCESS);
}

/* ---- the target's proof ---- */

static void an_initiator_may_ask_who_we_are(void **state)
{
	static const struct {
		const char *sent;
		enum iscsi_login_status status;
	} rows[] = {
		{"CHAP_I=0 CHAP_C=0x00", LOGIN_SUCCESS},
		{"CHAP_I=0xff CHAP_C=0bAA==", LOGIN_SUCCESS},
		{"CHAP_I=255 CHAP_C=0x1", LOGIN_SUCCESS}, /* a byte with one digit */
		{"CHAP_I=256 CHAP_C=0x00", LOGIN_INITIATOR_ERROR},
		{"CHAP_I=-1 CHAP_C=0x00", LOGIN_INITIATOR_ERROR},
		{"CHAP_I= CHAP_C=0x00", LOGIN_INITIATOR_ERROR},
		{"CHAP_I=1 CHAP_C=", LOGIN_INITIATOR_ERROR},
		{"CHAP_I=1 CHAP_C=0x", LOGIN_INITIATOR_ERROR},
		{"CHAP_I=1 CHAP_C=0b====", LOGIN_INITIATOR_ERROR},
		{"CHAP_I=1 CHAP_C=77", LOGIN_INITIATOR_ERROR},
		/* our own challenge, whatever its identifier, however it is written */
		{CHAP_CHALLENGED, LOGIN_AUTH_FAILED},
		{"CHAP_I=1 CHAP_C=0x" CHALLENGE, LOGIN_AUTH_FAILED},
		{"CHAP_I=1 CHAP_C=0boKGio6SlpqeoqaqrrK2ur7CxsrO0tba3uLm6u7y9vr8=",
		 LOGIN_AUTH_FAILED},
		/* one that only begins or ends like it */
		{"CHAP_I=1 CHAP_C=0x" CHALLENGE "00", LOGIN_SUCCESS},
		{"CHAP_I=1 CHAP_C=0x00" CHALLENGE, LOGIN_SUCCESS},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char sent[512];

		snprintf(sent, sizeof(sent), RIGHT " %s", rows[i].sent);
		assert_int_equal(respond(USER, sent), rows[i].status);
	}
}

static void a_challenge_has_1024_bytes_at_most(void **state)
{
	(void)state;
	for (size_t len = 1023; len <= 1026; len++)
		for (int base64 = 0; base64 <= 1; base64++) {
			char sent[4096] = RIGHT " CHAP_I=1 CHAP_C=";

			write_response(sent + strlen(sent), len, base64);
			assert_int_equal(respond(USER, sent),
					 len > 1024 ? LOGIN_INITIATOR_ERROR : LOGIN_SUCCESS);
		}
}

/* Who has not proved himself gets no response to play with. */
static void nothing_is_proved_to_a_stranger(void **state)
{
	struct iscsi_negotiation neg;
	char answer[1024];

	(void)state;
	chap_start_challenged(&neg, USER, T_USER, 5);
	assert_int_equal(chap_say(&neg, "CHAP_N=" USER " CHAP_R=0x" T_MD5 " " MUTUAL, answer,
				  sizeof(answer)),
			 LOGIN_AUTH_FAILED);
	assert_string_equal(answer, "");
	chap_stop(&neg);
}

static void a_target_without_a_secret_proves_nothing(void **state)
{
	struct iscsi_negotiation neg;

	(void)state;
	chap_start_challenged(&neg, USER, "", 5);
	chap_says(&neg, LOGIN_AUTH_FAILED, RIGHT " " MUTUAL, "");
	assert_false(iscsi_chap_done(neg.chap));
	chap_stop(&neg);
}

static void the_longest_answer_fits(void **state)
{
	char name[ISCSI_CHAP_NAME_MAX + 1], answer[ISCSI_CHAP_ANSWER_MAX + 1];
	struct iscsi_negotiation neg;

	(void)state;
	memset(name, 'd', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	chap_start_challenged(&neg, USER, name, 8);
	assert_int_equal(chap_say(&neg, "CHAP_N=" USER " CHAP_R=0x" SHA3_256 " " MUTUAL, answer,
				  sizeof(answer)),
			 LOGIN_SUCCESS);
	assert_memory_equal(answer + strlen("CHAP_N="), name, sizeof(name) - 1);
	chap_stop(&neg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_response_may_be_written_in_several_ways),
		cmocka_unit_test(a_response_has_the_length_of_its_hash),
		cmocka_unit_test(no_bit_of_a_response_may_differ),
		cmocka_unit_test(a_name_is_compared_as_it_stands),
		cmocka_unit_test(an_initiator_may_ask_who_we_are),
		cmocka_unit_test(a_challenge_has_1024_bytes_at_most),
		cmocka_unit_test(nothing_is_proved_to_a_stranger),
		cmocka_unit_test(a_target_without_a_secret_proves_nothing),
		cmocka_unit_test(the_longest_answer_fits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
