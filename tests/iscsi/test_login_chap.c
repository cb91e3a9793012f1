/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logins to a target that asks for CHAP: where in a login its exchange stands, and that nobody gets
 * round it. What is a right answer is for test_chap.c and test_chap_proof.c.
 */
#include "tests/iscsi/chap_kit.h"
#include "tests/iscsi/login_kit.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka.h wants the three above first. */
#include <cmocka.h>

#define CHALLENGED "CHAP_A=5 " CHAP_CHALLENGED
#define WRONG "CHAP_N=" USER " CHAP_R=0x2fee5ae181916e3a34810ab524e13153" /* its last bit */
#define PROVED "CHAP_N=" T_USER " CHAP_R=0x" T_MD5

/* clang-format off */
CONVERSATION(chap_through_both_stages,
	{SECURITY, OPERATIONAL, LOCKED " AuthMethod=CHAP,None", 0, STAY, TAG " AuthMethod=CHAP"},
	{SECURITY, STAY, "CHAP_A=5", 0, STAY, CHALLENGED},
	{SECURITY, OPERATIONAL, RIGHT " " MUTUAL, 0, OPERATIONAL, PROVED},
	{OPERATIONAL, FULL_FEATURE, "InitialR2T=No", 0, FULL_FEATURE, "InitialR2T=No " OURS});
CONVERSATION(chap_to_full_feature,
	{SECURITY, FULL_FEATURE, LOCKED " AuthMethod=CHAP", 0, STAY, TAG " AuthMethod=CHAP"},
	{SECURITY, FULL_FEATURE, "CHAP_A=5", 0, STAY, CHALLENGED},
	{SECURITY, FULL_FEATURE, RIGHT, 0, FULL_FEATURE, ""});
CONVERSATION(chap_without_haste,
	{SECURITY, STAY, LOCKED, 0, STAY, TAG},
	{SECURITY, STAY, "", 0, STAY, ""},
	{SECURITY, STAY, "AuthMethod=None,CHAP", 0, STAY, "AuthMethod=CHAP"},
	{SECURITY, STAY, "CHAP_A=5", 0, STAY, CHALLENGED},
	{SECURITY, STAY, RIGHT, 0, STAY, ""},
	{SECURITY, STAY, "InitiatorAlias=a", 0, STAY, ""},
	{SECURITY, OPERATIONAL, "", 0, OPERATIONAL, ""},
	{OPERATIONAL, FULL_FEATURE, "", 0, FULL_FEATURE, OURS});
CONVERSATION(chap_in_pieces,
	{SECURITY, STAY | MORE, LOCKED, 0, STAY, ""},
	{SECURITY, OPERATIONAL, "AuthMethod=CHAP", 0, STAY, TAG " AuthMethod=CHAP"},
	{SECURITY, OPERATIONAL, "CHAP_A=5", 0, STAY, CHALLENGED},
	{SECURITY, STAY | MORE, RIGHT, 0, STAY, ""},
	{SECURITY, OPERATIONAL, MUTUAL, 0, OPERATIONAL, PROVED});
CONVERSATION(chap_is_demanded_in_security,
	{SECURITY, OPERATIONAL, LOCKED " AuthMethod=None", LOGIN_AUTH_FAILED, OVER, NULL});
CONVERSATION(chap_is_not_kerberos,
	{SECURITY, STAY, LOCKED " AuthMethod=KRB5,SRP,None", LOGIN_AUTH_FAILED, OVER, NULL});
CONVERSATION(chap_cannot_be_left_unsaid,
	{SECURITY, OPERATIONAL, LOCKED, LOGIN_AUTH_FAILED, OVER, NULL});
CONVERSATION(chap_cannot_be_left_unsaid_for_long,
	{SECURITY, STAY, LOCKED, 0, STAY, TAG},
	{SECURITY, FULL_FEATURE, "", LOGIN_AUTH_FAILED, OVER, NULL});
CONVERSATION(chap_cannot_be_gone_round,
	{OPERATIONAL, FULL_FEATURE, LOCKED, LOGIN_AUTH_FAILED, OVER, NULL});
CONVERSATION(chap_cannot_be_put_off,
	{OPERATIONAL, STAY, LOCKED, LOGIN_AUTH_FAILED, OVER, NULL},
	{SECURITY, STAY, "AuthMethod=CHAP", LOGIN_INITIATOR_ERROR, OVER, NULL});
CONVERSATION(chap_cannot_be_left_early,
	{SECURITY, OPERATIONAL, LOCKED " AuthMethod=CHAP", 0, STAY, TAG " AuthMethod=CHAP"},
	{OPERATIONAL, FULL_FEATURE, "", LOGIN_INITIATOR_ERROR, OVER, NULL});
CONVERSATION(chap_cannot_be_left_unanswered,
	{SECURITY, STAY, LOCKED " AuthMethod=CHAP", 0, STAY, TAG " AuthMethod=CHAP"},
	{SECURITY, STAY, "CHAP_A=5", 0, STAY, CHALLENGED},
	{SECURITY, FULL_FEATURE, "", LOGIN_MISSING_PARAMETER, OVER, NULL});
CONVERSATION(chap_is_tried_once,
	{SECURITY, STAY, LOCKED " AuthMethod=CHAP", 0, STAY, TAG " AuthMethod=CHAP"},
	{SECURITY, STAY, "CHAP_A=5", 0, STAY, CHALLENGED},
	{SECURITY, FULL_FEATURE, WRONG, LOGIN_AUTH_FAILED, OVER, NULL},
	{SECURITY, FULL_FEATURE, RIGHT, LOGIN_INITIATOR_ERROR, OVER, NULL});
CONVERSATION(chap_has_its_stage,
	{SECURITY, STAY, LOCKED " AuthMethod=CHAP", 0, STAY, TAG " AuthMethod=CHAP"},
	{SECURITY, STAY, "CHAP_A=5", 0, STAY, CHALLENGED},
	{SECURITY, OPERATIONAL, RIGHT, 0, OPERATIONAL, ""},
	{OPERATIONAL, FULL_FEATURE, RIGHT, LOGIN_INITIATOR_ERROR, OVER, NULL});
CONVERSATION(names_are_told_to_everybody,
	{OPERATIONAL, FULL_FEATURE, "SessionType=Discovery " LOCKED, 0, FULL_FEATURE,
	 TAG " MaxRecvDataSegmentLength=262144"});
CONVERSATION(no_names_for_chap,
	{SECURITY, OPERATIONAL, "SessionType=Discovery " LOCKED " AuthMethod=CHAP",
	 LOGIN_AUTH_FAILED, OVER, NULL});
/* clang-format on */

static void the_longest_name_of_a_target_fits(void **state)
{
	struct iscsi_login *login = login_make();
	struct iscsi_login_answer answer;

	(void)state;
	say(login, SECURITY, STAY, LOCKED "2 AuthMethod=CHAP");
	say(login, SECURITY, STAY, "CHAP_A=5");
	answer = say(login, SECURITY, FULL_FEATURE, RIGHT " " MUTUAL);
	assert_int_equal(where(&answer), FULL_FEATURE);
	assert_int_equal(answer.data_len, strlen("CHAP_N=") + ISCSI_CHAP_NAME_MAX + 1 +
						  strlen("CHAP_R=0x") + 2 * 16 + 1);
	iscsi_login_free(login);
}

/* The answer of a step may be cut as any other: 600 keys more than fill a PDU. */
static void unknown_keys_leave_room_for_chap(void **state)
{
	static const char *const steps[] = {"CHAP_A=5", RIGHT " " MUTUAL};
	struct iscsi_login *login = login_make();
	struct iscsi_login_answer answer = say(login, SECURITY, STAY, LOCKED " AuthMethod=CHAP");

	(void)state;
	for (int step = 0; step < 2; step++) {
		char sent[7000];
		size_t len = (size_t)sprintf(sent, "%s", steps[step]);

		for (int i = 0; i < 600; i++)
			len += (size_t)sprintf(sent + len, " X-a=b");
		answer = say(login, SECURITY, STAY, sent);
		assert_int_equal(where(&answer), MORE);
		while (where(&answer) == MORE)
			answer = say(login, SECURITY, step ? OPERATIONAL : STAY, "");
		assert_int_equal(where(&answer), step ? OPERATIONAL : STAY);
	}
	iscsi_login_free(login);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLAY(chap_through_both_stages),
		PLAY(chap_to_full_feature),
		PLAY(chap_without_haste),
		PLAY(chap_in_pieces),
		PLAY(chap_is_demanded_in_security),
		PLAY(chap_is_not_kerberos),
		PLAY(chap_cannot_be_left_unsaid),
		PLAY(chap_cannot_be_left_unsaid_for_long),
		PLAY(chap_cannot_be_gone_round),
		PLAY(chap_cannot_be_put_off),
		PLAY(chap_cannot_be_left_early),
		PLAY(chap_cannot_be_left_unanswered),
		PLAY(chap_is_tried_once),
		PLAY(chap_has_its_stage),
		PLAY(names_are_told_to_everybody),
		PLAY(no_names_for_chap),
		cmocka_unit_test(the_longest_name_of_a_target_fits),
		cmocka_unit_test(unknown_keys_leave_room_for_chap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
