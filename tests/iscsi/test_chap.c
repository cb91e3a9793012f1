/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CHAP as an exchange of texts: which hash is taken, and which key may come when. In FIPS mode
 * libgcrypt has no MD5; "fips" as the argument asks for the tests of that.
 */
#include "tests/iscsi/chap_kit.h"
#include <gcrypt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka.h wants the three above first. */
#include <cmocka.h>

static const struct vector {
	unsigned number;
	const char *ours, *theirs; /* of SECRET, of T_SECRET */
} vectors[] = {
	{5, MD5, T_MD5},
	{6, "24e7156baa1ce679ebebeb7681ce42c383bdfd7c", "30c5a459f85d58c3974c28c6f1fc1425e641a79d"},
	{7, "af65bac1698813202c554b2038e0d11755d63d58b17fd1f43e73c80ab320eedd",
	 "6f2230408107cff118d25cb3d424a274e300e40ae699be3e1f9ee96695e1e047"},
	{8, SHA3_256, T_SHA3_256},
};

/* ---- hashes ---- */

static void vectors_hold(const struct vector *from)
{
	const struct vector *end = vectors + sizeof(vectors) / sizeof(vectors[0]);

	for (const struct vector *v = from; v < end; v++) {
		struct iscsi_negotiation neg;
		char sent[512], answer[256];

		chap_start_challenged(&neg, USER, T_USER, v->number);
		snprintf(sent, sizeof(sent), "CHAP_N=" USER " CHAP_R=0x%s", v->ours);
		chap_says(&neg, LOGIN_SUCCESS, sent, "");
		assert_true(iscsi_chap_done(neg.chap));
		chap_stop(&neg);

		chap_start_challenged(&neg, USER, T_USER, v->number);
		strcat(sent, " CHAP_I=7 CHAP_C=0x0011223344");
		snprintf(answer, sizeof(answer), "CHAP_N=" T_USER " CHAP_R=0x%s", v->theirs);
		chap_says(&neg, LOGIN_SUCCESS, sent, answer);
		assert_true(iscsi_chap_done(neg.chap));
		chap_stop(&neg);
	}
}

static void every_hash_has_its_number(void **state)
{
	(void)state;
	vectors_hold(vectors);
}

struct choice {
	const char *list;
	unsigned chosen; /* 0: none */
	enum iscsi_login_status status;
};

static void choices_hold(const struct choice *row)
{
	for (; row->list; row++) {
		struct iscsi_negotiation neg;
		char sent[256], answer[256];

		chap_start(&neg, USER, "");
		chap_says(&neg, LOGIN_SUCCESS, "AuthMethod=SRP,CHAP,None", "AuthMethod=CHAP");
		snprintf(sent, sizeof(sent), "CHAP_A=%s", row->list);
		snprintf(answer, sizeof(answer), "CHAP_A=%u " CHAP_CHALLENGED, row->chosen);
		chap_says(&neg, row->status, sent, answer);
		chap_stop(&neg);
	}
}

static void the_first_hash_that_we_have_is_taken(void **state)
{
	static const struct choice rows[] = {
		{"5", 5, LOGIN_SUCCESS},
		{"5,6,7,8", 5, LOGIN_SUCCESS},
		{"8,7,6,5", 8, LOGIN_SUCCESS},
		{"7,5", 7, LOGIN_SUCCESS},
		{"56,57,0,6", 6, LOGIN_SUCCESS},
		{"5,5", 5, LOGIN_SUCCESS},
		{"0x5", 5, LOGIN_SUCCESS}, /* a number in its other form */
		{"9,4294967295,7", 7, LOGIN_SUCCESS},
		{"56", 0, LOGIN_AUTH_FAILED}, /* not 5 */
		{"4,9,55,261", 0, LOGIN_AUTH_FAILED},
		{"4294967301", 0, LOGIN_INITIATOR_ERROR}, /* nor is this */
		{"", 0, LOGIN_INITIATOR_ERROR},
		{",", 0, LOGIN_INITIATOR_ERROR},
		{"5,", 0, LOGIN_INITIATOR_ERROR},
		{",5", 0, LOGIN_INITIATOR_ERROR},
		{"05", 0, LOGIN_INITIATOR_ERROR},
		{"5;6", 0, LOGIN_INITIATOR_ERROR},
		{"-5", 0, LOGIN_INITIATOR_ERROR},
		{"MD5", 0, LOGIN_INITIATOR_ERROR},
		{"5,MD5", 0, LOGIN_INITIATOR_ERROR},
		{0},
	};

	(void)state;
	choices_hold(rows);
}

static void without_md5_it_is_not_in_the_list(void **state)
{
	static const struct choice rows[] = {
		{"5,7", 7, LOGIN_SUCCESS},
		{"5", 0, LOGIN_AUTH_FAILED},
		{0},
	};

	(void)state;
	choices_hold(rows);
	vectors_hold(vectors + 1);
}

/* ---- order ---- */

#define AGREED "AuthMethod=CHAP"

static void every_key_has_its_time(void **state)
{
	static const struct {
		const char *sent[4]; /* the last is what status is of */
		enum iscsi_login_status status;
	} rows[] = {
		{{AGREED, "CHAP_A=5", RIGHT}, LOGIN_SUCCESS},
		{{AGREED, "CHAP_A=5", "CHAP_R=0x" MD5 " CHAP_N=" USER}, LOGIN_SUCCESS},
		{{AGREED, "CHAP_A=5", "CHAP_C=0x0011223344 " RIGHT " CHAP_I=7"}, LOGIN_SUCCESS},
		{{"", "", AGREED, "CHAP_A=5"}, LOGIN_SUCCESS},
		{{AGREED " InitiatorAlias=a", "Foo=1 CHAP_A=5", "Bar=1 " RIGHT}, LOGIN_SUCCESS},
		/* other methods */
		{{"AuthMethod=None"}, LOGIN_AUTH_FAILED},
		{{"AuthMethod="}, LOGIN_AUTH_FAILED},
		{{"AuthMethod=KRB5,SRP"}, LOGIN_AUTH_FAILED},
		{{"AuthMethod=CHAPS"}, LOGIN_AUTH_FAILED},
		{{AGREED, AGREED " CHAP_A=5"}, LOGIN_INITIATOR_ERROR},
		{{AGREED, "CHAP_A=5", RIGHT, AGREED}, LOGIN_INITIATOR_ERROR},
		/* too early: nobody has said yet that it is CHAP */
		{{"CHAP_A=5"}, LOGIN_INITIATOR_ERROR},
		{{AGREED " CHAP_A=5"}, LOGIN_INITIATOR_ERROR},
		{{"CHAP_A=5 " AGREED}, LOGIN_INITIATOR_ERROR},
		{{RIGHT}, LOGIN_INITIATOR_ERROR},
		{{AGREED " " RIGHT}, LOGIN_INITIATOR_ERROR},
		{{AGREED, RIGHT}, LOGIN_INITIATOR_ERROR},
		{{AGREED, MUTUAL}, LOGIN_INITIATOR_ERROR},
		{{AGREED, "CHAP_A=5 " RIGHT}, LOGIN_INITIATOR_ERROR},
		{{AGREED, "CHAP_A=5 " MUTUAL}, LOGIN_INITIATOR_ERROR},
		{{AGREED, "CHAP_A=5 CHAP_N=" USER}, LOGIN_INITIATOR_ERROR},
		/* too late, or twice */
		{{AGREED, "CHAP_A=5 CHAP_A=5"}, LOGIN_INITIATOR_ERROR},
		{{AGREED, "CHAP_A=5", "CHAP_A=5"}, LOGIN_INITIATOR_ERROR},
		{{AGREED, "CHAP_A=5", "CHAP_A=5 " RIGHT}, LOGIN_INITIATOR_ERROR},
		{{AGREED, "CHAP_A=5", RIGHT " " RIGHT}, LOGIN_INITIATOR_ERROR},
		{{AGREED, "CHAP_A=5", RIGHT " CHAP_R=0x" MD5}, LOGIN_INITIATOR_ERROR},
		{{AGREED, "CHAP_A=5", RIGHT, RIGHT}, LOGIN_INITIATOR_ERROR},
		{{AGREED, "CHAP_A=5", RIGHT, MUTUAL}, LOGIN_INITIATOR_ERROR},
		{{AGREED, "CHAP_A=5", RIGHT, "CHAP_A=5"}, LOGIN_INITIATOR_ERROR},
		/* a step without its keys: RFC 7143 9.2 */
		{{AGREED, ""}, LOGIN_MISSING_PARAMETER},
		{{AGREED, "Foo=1"}, LOGIN_MISSING_PARAMETER},
		{{AGREED, "CHAP_A=5", ""}, LOGIN_MISSING_PARAMETER},
		{{AGREED, "CHAP_A=5", "CHAP_N=" USER}, LOGIN_MISSING_PARAMETER},
		{{AGREED, "CHAP_A=5", "CHAP_R=0x" MD5}, LOGIN_MISSING_PARAMETER},
		{{AGREED, "CHAP_A=5", "CHAP_N=" USER " " MUTUAL}, LOGIN_MISSING_PARAMETER},
		{{AGREED, "CHAP_A=5", MUTUAL}, LOGIN_MISSING_PARAMETER},
		{{AGREED, "CHAP_A=5", RIGHT " CHAP_I=7"}, LOGIN_MISSING_PARAMETER},
		{{AGREED, "CHAP_A=5", RIGHT " CHAP_C=0x00"}, LOGIN_MISSING_PARAMETER},
		/* answers that are none of ours to ask for */
		{{AGREED, "CHAP_A=Reject"}, LOGIN_INITIATOR_ERROR},
		{{AGREED, "CHAP_A=5", "CHAP_N=" USER " CHAP_R=Reject"}, LOGIN_INITIATOR_ERROR},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct iscsi_negotiation neg;
		char answer[1024];

		chap_start(&neg, USER, T_USER);
		for (int n = 0; n < 4 && rows[i].sent[n]; n++) {
			bool last = n == 3 || !rows[i].sent[n + 1];

			assert_int_equal(chap_say(&neg, rows[i].sent[n], answer, sizeof(answer)),
					 last ? rows[i].status : LOGIN_SUCCESS);
		}
		chap_stop(&neg);
	}
}

static int in_fips_mode(void **state)
{
	(void)state;
	gcry_check_version(NULL);
	if (!gcry_fips_mode_active())
		print_message("libgcrypt is not in FIPS mode\n");
	return gcry_fips_mode_active() ? 0 : -1;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_hash_has_its_number),
		cmocka_unit_test(the_first_hash_that_we_have_is_taken),
		cmocka_unit_test(every_key_has_its_time),
	};
	const struct CMUnitTest fips_tests[] = {
		cmocka_unit_test(without_md5_it_is_not_in_the_list),
	};

	if (argc > 1 && strcmp(argv[1], "fips") == 0)
		return cmocka_run_group_tests(fips_tests, in_fips_mode, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
