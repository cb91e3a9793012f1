/* SPDX-License-Identifier: Apache-2.0 */
/* Logins as conversations: what is asked, what is answered, where that leads. */
#include "tests/iscsi/login_kit.h"
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
/* cmocka.h wants the three above first. */
#include <cmocka.h>

/* ---- conversations ---- */

/* clang-format off */
CONVERSATION(through_both_stages,
	{SECURITY, OPERATIONAL, NAMES " AuthMethod=CHAP,None", 0, OPERATIONAL,
	 TAG " AuthMethod=None"},
	{OPERATIONAL, FULL_FEATURE, "HeaderDigest=CRC32C,None InitialR2T=No", 0, FULL_FEATURE,
	 "HeaderDigest=CRC32C InitialR2T=No " OURS});
CONVERSATION(operational_at_once,
	{OPERATIONAL, FULL_FEATURE, NAMES " SessionType=Normal MaxRecvDataSegmentLength=4096", 0,
	 FULL_FEATURE, TAG " " OURS});
CONVERSATION(all_defaults,
	{OPERATIONAL, FULL_FEATURE, NAMES, 0, FULL_FEATURE, TAG " " OURS});
CONVERSATION(security_to_full_feature,
	{SECURITY, FULL_FEATURE, NAMES " AuthMethod=None", 0, FULL_FEATURE,
	 TAG " AuthMethod=None"});
CONVERSATION(no_auth_method_named,
	{SECURITY, OPERATIONAL, NAMES, 0, OPERATIONAL, TAG},
	{OPERATIONAL, FULL_FEATURE, "", 0, FULL_FEATURE, OURS});
CONVERSATION(many_rounds,
	{SECURITY, STAY, NAMES, 0, STAY, TAG},
	{SECURITY, STAY, "", 0, STAY, ""},
	{SECURITY, STAY, "AuthMethod=None", 0, STAY, "AuthMethod=None"},
	{SECURITY, OPERATIONAL, "", 0, OPERATIONAL, ""},
	{OPERATIONAL, STAY, "", 0, STAY, OURS},
	{OPERATIONAL, STAY, "InitialR2T=Yes", 0, STAY, "InitialR2T=Yes"},
	{OPERATIONAL, STAY, "MaxRecvDataSegmentLength=1024", 0, STAY, ""},
	{OPERATIONAL, STAY, "ImmediateData=No Foo=1", 0, STAY, "ImmediateData=No Foo=NotUnderstood"},
	{OPERATIONAL, FULL_FEATURE, "", 0, FULL_FEATURE, ""});
CONVERSATION(discovery,
	{SECURITY, OPERATIONAL, I_NAME " SessionType=Discovery AuthMethod=None", 0, OPERATIONAL,
	 "AuthMethod=None"},
	{OPERATIONAL, FULL_FEATURE, "MaxBurstLength=512", 0, FULL_FEATURE,
	 "MaxBurstLength=Irrelevant MaxRecvDataSegmentLength=262144"});
CONVERSATION(discovery_of_one_target,
	{OPERATIONAL, FULL_FEATURE, "SessionType=Discovery " NAMES, 0, FULL_FEATURE,
	 TAG " MaxRecvDataSegmentLength=262144"});
CONVERSATION(discovery_of_no_target,
	{OPERATIONAL, FULL_FEATURE, "SessionType=Discovery TargetName=iqn.none " I_NAME,
	 LOGIN_NOT_FOUND, OVER, NULL});
CONVERSATION(names_in_capitals,
	{OPERATIONAL, FULL_FEATURE,
	 "TargetName=IQN.2016-09.com.Example:Disk InitiatorName=iqn.2001-04.COM.EXAMPLE:host", 0,
	 FULL_FEATURE, TAG " " OURS});
CONVERSATION(text_in_pieces,
	{SECURITY, STAY | MORE, I_NAME, 0, STAY, ""},
	{SECURITY, STAY | MORE, "", 0, STAY, ""},
	{SECURITY, STAY | MORE, T_NAME, 0, STAY, ""},
	{SECURITY, OPERATIONAL, "AuthMethod=None", 0, OPERATIONAL, TAG " AuthMethod=None"},
	{OPERATIONAL, STAY | MORE, "InitialR2T=No", 0, STAY, ""},
	{OPERATIONAL, FULL_FEATURE, "X-a=b", 0, FULL_FEATURE,
	 "InitialR2T=No X-a=NotUnderstood " OURS});

/* moves that are none */
CONVERSATION(security_to_itself, {SECURITY, SECURITY, NAMES, LOGIN_INITIATOR_ERROR, OVER, NULL});
CONVERSATION(security_to_reserved, {SECURITY, 2, NAMES, LOGIN_INITIATOR_ERROR, OVER, NULL});
CONVERSATION(operational_to_itself,
	{OPERATIONAL, OPERATIONAL, NAMES, LOGIN_INITIATOR_ERROR, OVER, NULL});
CONVERSATION(operational_to_reserved, {OPERATIONAL, 2, NAMES, LOGIN_INITIATOR_ERROR, OVER, NULL});
CONVERSATION(operational_to_security,
	{OPERATIONAL, SECURITY, NAMES, LOGIN_INITIATOR_ERROR, OVER, NULL});
CONVERSATION(starts_in_reserved, {2, FULL_FEATURE, NAMES, LOGIN_INITIATOR_ERROR, OVER, NULL});
CONVERSATION(stays_in_reserved, {2, STAY, NAMES, LOGIN_INITIATOR_ERROR, OVER, NULL});
CONVERSATION(starts_in_full_feature,
	{FULL_FEATURE, FULL_FEATURE, NAMES, LOGIN_INITIATOR_ERROR, OVER, NULL});
CONVERSATION(other_stage_than_granted,
	{SECURITY, OPERATIONAL, NAMES, 0, OPERATIONAL, TAG},
	{SECURITY, OPERATIONAL, "", LOGIN_INITIATOR_ERROR, OVER, NULL});
CONVERSATION(stage_not_yet_granted,
	{SECURITY, STAY, NAMES, 0, STAY, TAG},
	{OPERATIONAL, FULL_FEATURE, "", LOGIN_INITIATOR_ERROR, OVER, NULL});
CONVERSATION(back_to_security,
	{OPERATIONAL, STAY, NAMES, 0, STAY, TAG " " OURS},
	{SECURITY, OPERATIONAL, "", LOGIN_INITIATOR_ERROR, OVER, NULL});
CONVERSATION(transit_and_continue,
	{SECURITY, OPERATIONAL | MORE, NAMES, LOGIN_INITIATOR_ERROR, OVER, NULL});
CONVERSATION(after_the_end,
	{OPERATIONAL, FULL_FEATURE, NAMES, 0, FULL_FEATURE, TAG " " OURS},
	{OPERATIONAL, FULL_FEATURE, "", LOGIN_INITIATOR_ERROR, OVER, NULL});
CONVERSATION(after_a_refusal,
	{OPERATIONAL, FULL_FEATURE, T_NAME, LOGIN_MISSING_PARAMETER, OVER, NULL},
	{OPERATIONAL, FULL_FEATURE, NAMES, LOGIN_INITIATOR_ERROR, OVER, NULL});

/* statuses */
CONVERSATION(no_text, {OPERATIONAL, FULL_FEATURE, "", LOGIN_MISSING_PARAMETER, OVER, NULL});
CONVERSATION(no_initiator,
	{OPERATIONAL, FULL_FEATURE, T_NAME, LOGIN_MISSING_PARAMETER, OVER, NULL});
CONVERSATION(no_target, {OPERATIONAL, FULL_FEATURE, I_NAME, LOGIN_MISSING_PARAMETER, OVER, NULL});
CONVERSATION(no_initiator_in_discovery,
	{OPERATIONAL, FULL_FEATURE, "SessionType=Discovery", LOGIN_MISSING_PARAMETER, OVER, NULL});
CONVERSATION(target_too_late,
	{SECURITY, OPERATIONAL, I_NAME, LOGIN_MISSING_PARAMETER, OVER, NULL});
CONVERSATION(unknown_session_type,
	{OPERATIONAL, FULL_FEATURE, NAMES " SessionType=Backup", LOGIN_SESSION_TYPE_NOT_SUPPORTED,
	 OVER, NULL});
CONVERSATION(unknown_target,
	{OPERATIONAL, FULL_FEATURE, I_NAME " TargetName=iqn.x", LOGIN_NOT_FOUND, OVER, NULL});
CONVERSATION(forbidden_target,
	{OPERATIONAL, FULL_FEATURE, I_NAME " TargetName=iqn.2016-09.com.example:private",
	 LOGIN_FORBIDDEN, OVER, NULL});
CONVERSATION(removed_target,
	{OPERATIONAL, FULL_FEATURE, I_NAME " TargetName=iqn.2016-09.com.example:gone",
	 LOGIN_TARGET_REMOVED, OVER, NULL});
CONVERSATION(moved_target,
	{OPERATIONAL, FULL_FEATURE, I_NAME " TargetName=iqn.2016-09.com.example:moved",
	 LOGIN_TARGET_MOVED_TEMPORARILY, OVER, NULL});
CONVERSATION(unavailable_target,
	{OPERATIONAL, FULL_FEATURE, I_NAME " TargetName=iqn.2016-09.com.example:down",
	 LOGIN_SERVICE_UNAVAILABLE, OVER, NULL});
CONVERSATION(bad_initiator_name,
	{OPERATIONAL, FULL_FEATURE, "InitiatorName=me " T_NAME, LOGIN_INITIATOR_ERROR, OVER, NULL});
CONVERSATION(bad_target_name,
	{OPERATIONAL, FULL_FEATURE, I_NAME " TargetName=iqn.a/b", LOGIN_INITIATOR_ERROR, OVER,
	 NULL});
CONVERSATION(wants_authentication,
	{SECURITY, OPERATIONAL, NAMES " AuthMethod=CHAP,KRB5", LOGIN_AUTH_FAILED, OVER, NULL});
CONVERSATION(names_twice,
	{OPERATIONAL, FULL_FEATURE, NAMES " " I_NAME, LOGIN_INITIATOR_ERROR, OVER, NULL});
CONVERSATION(name_again,
	{SECURITY, OPERATIONAL, NAMES, 0, OPERATIONAL, TAG},
	{OPERATIONAL, FULL_FEATURE, I_NAME, LOGIN_INITIATOR_ERROR, OVER, NULL});
CONVERSATION(key_again,
	{OPERATIONAL, STAY, NAMES " InitialR2T=No", 0, STAY, TAG " InitialR2T=No " OURS},
	{OPERATIONAL, STAY, "InitialR2T=No", LOGIN_INITIATOR_ERROR, OVER, NULL});
CONVERSATION(declaration_again,
	{OPERATIONAL, STAY, NAMES " MaxRecvDataSegmentLength=512", 0, STAY, TAG " " OURS},
	{OPERATIONAL, STAY, "MaxRecvDataSegmentLength=512", LOGIN_INITIATOR_ERROR, OVER, NULL});
CONVERSATION(operational_key_in_security,
	{SECURITY, OPERATIONAL, NAMES " InitialR2T=No", LOGIN_INITIATOR_ERROR, OVER, NULL});
CONVERSATION(send_targets_in_login,
	{OPERATIONAL, FULL_FEATURE, NAMES " SendTargets=All", LOGIN_INITIATOR_ERROR, OVER, NULL});
CONVERSATION(not_text, {OPERATIONAL, FULL_FEATURE, NAMES " what", LOGIN_INITIATOR_ERROR, OVER,
	 NULL});
CONVERSATION(not_text_before_the_names,
	{OPERATIONAL, FULL_FEATURE, "what " NAMES, LOGIN_INITIATOR_ERROR, OVER, NULL});
/* clang-format on */

/* ---- headers ---- */

static void versions(void **state)
{
	(void)state;
	for (unsigned max = 0; max <= 2; max++)
		for (unsigned min = 0; min <= max; min++) {
			struct iscsi_login *login = login_make();
			struct iscsi_bhs req = login_request(SECURITY, STAY | MORE, 0);
			struct iscsi_login_answer answer;

			req.b[2] = (uint8_t)max;
			req.b[3] = (uint8_t)min;
			answer = ask(login, &req, NULL, 0);
			assert_int_equal(status_of(&answer), min ? LOGIN_UNSUPPORTED_VERSION : 0);
			iscsi_login_free(login);
		}
}

/* Each byte of the header that names the login must stay; the others may change. */
static void a_login_keeps_its_header(void **state)
{
	(void)state;
	for (unsigned i = 2; i < ISCSI_BHS_LEN; i++) {
		bool names_it = i == 2 || i == 3 || (i >= 8 && i < 22);
		struct iscsi_bhs req = login_request(SECURITY, STAY, 0);
		struct iscsi_login_answer answer;
		struct iscsi_login *login;

		if (i >= 4 && i < 8) /* the length of the data is no name */
			continue;
		login = login_make();
		answer = say(login, SECURITY, STAY, NAMES);
		assert_int_equal(answer.outcome, LOGIN_GOES_ON);
		req.b[i] ^= 1;
		answer = ask(login, &req, NULL, 0);
		assert_int_equal(status_of(&answer), names_it ? LOGIN_INITIATOR_ERROR : 0);
		iscsi_login_free(login);
	}
}

static void only_login_requests(void **state)
{
	static const uint8_t no_isid[6];

	(void)state;
	for (uint8_t opcode = 0; opcode < 0x40; opcode++)
		for (int later = 0; later <= 1; later++) {
			struct iscsi_login *login = login_make();
			struct iscsi_bhs req = login_request(SECURITY, STAY, 0);
			struct iscsi_login_answer answer;

			if (later)
				say(login, SECURITY, STAY, NAMES);
			req.b[0] = opcode;
			if (opcode != OP_LOGIN_REQ)
				req.b[8] = 0x77;
			answer = ask(login, &req, NULL, 0);
			if (opcode == OP_LOGIN_REQ)
				assert_int_equal(status_of(&answer),
						 later ? 0 : LOGIN_MISSING_PARAMETER);
			else
				assert_int_equal(status_of(&answer), LOGIN_INVALID_DURING_LOGIN);
			/* Not what lies in the place of an ISID. */
			if (opcode != OP_LOGIN_REQ)
				assert_memory_equal(answer.bhs.b + 8, later ? kit_isid : no_isid,
						    6);
			iscsi_login_free(login);
		}
}

static void a_data_segment_has_8192_bytes_at_most(void **state)
{
	static const size_t lens[] = {8191, 8192, 8193, 0xffffff};
	static char text[0xffffff];

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct iscsi_login *login = login_make();
		struct iscsi_bhs req = login_request(SECURITY, STAY | MORE, lens[i]);
		struct iscsi_login_answer answer = ask(login, &req, text, lens[i]);

		assert_int_equal(status_of(&answer), lens[i] <= 8192 ? 0 : LOGIN_INITIATOR_ERROR);
		iscsi_login_free(login);
	}
}

/* ---- results ---- */

static void the_result_holds_what_was_agreed(void **state)
{
	struct iscsi_login *login = login_make();
	const struct iscsi_login_result *result = iscsi_login_result(login);

	(void)state;
	say(login, SECURITY, OPERATIONAL, NAMES " AuthMethod=None");
	say(login, OPERATIONAL, FULL_FEATURE,
	    "MaxRecvDataSegmentLength=1024 MaxBurstLength=8192 DataDigest=CRC32C");
	assert_string_equal(result->initiator, "iqn.2001-04.com.example:host");
	assert_string_equal(result->target, "iqn.2016-09.com.example:disk");
	assert_false(result->discovery);
	assert_memory_equal(result->isid, kit_isid, 6);
	assert_int_equal(result->tsih, 0);
	assert_int_equal(result->cid, 9);
	assert_int_equal(result->tpgt, 7);
	assert_int_equal(result->params.max_send_data_segment, 1024);
	assert_int_equal(result->params.max_recv_data_segment, 65536);
	assert_int_equal(result->params.max_burst, 8192);
	assert_int_equal(result->params.first_burst, 8192);
	assert_true(result->params.data_digest);
	assert_false(result->params.header_digest);
	assert_true(result->params.initial_r2t); /* not spoken of: RFC 7143's default */
	iscsi_login_free(login);
}

/* What the initiator was never told is not in force. */
static void without_an_operational_stage_defaults_hold(void **state)
{
	struct iscsi_login *login = login_make();

	(void)state;
	say(login, SECURITY, FULL_FEATURE, NAMES);
	assert_memory_equal(&iscsi_login_result(login)->params, &iscsi_rfc_defaults,
			    sizeof(struct iscsi_params));
	iscsi_login_free(login);
}

static void discovery_has_no_target(void **state)
{
	struct iscsi_login *login = login_make();

	(void)state;
	say(login, OPERATIONAL, FULL_FEATURE, I_NAME " SessionType=Discovery");
	assert_true(iscsi_login_result(login)->discovery);
	assert_string_equal(iscsi_login_result(login)->target, "");
	assert_int_equal(kit_asked, 0);
	iscsi_login_free(login);
}

/* A connection that joins a session cannot change what the session has settled. */
static void a_second_connection_names_its_session(void **state)
{
	static const char text[] = "InitiatorName=iqn.2001-04.com.example:host\0"
				   "TargetName=iqn.2016-09.com.example:disk\0"
				   "MaxBurstLength=4096\0DataDigest=CRC32C";
	struct iscsi_login *login = login_make();
	struct iscsi_bhs req = login_request(OPERATIONAL, FULL_FEATURE, sizeof(text));
	struct iscsi_login_answer answer;

	(void)state;
	be16_put(req.b + 14, 0x1234);
	answer = ask(login, &req, text, sizeof(text));
	assert_int_equal(answer.outcome, LOGIN_COMPLETE);
	assert_text(&answer, TAG " MaxBurstLength=Reject DataDigest=CRC32C " OURS);
	assert_int_equal(iscsi_login_result(login)->tsih, 0x1234);
	iscsi_login_free(login);
}

static void strict_digests_end_a_login(void **state)
{
	static const struct {
		enum login_stage from;
		const char *sent;
		enum iscsi_login_status status;
	} rows[] = {
		{OPERATIONAL, NAMES " HeaderDigest=CRC32C", LOGIN_SUCCESS},
		{OPERATIONAL, NAMES " HeaderDigest=None,CRC32C", LOGIN_SUCCESS},
		{OPERATIONAL, NAMES " HeaderDigest=None", LOGIN_INITIATOR_ERROR},
		{OPERATIONAL, NAMES, LOGIN_INITIATOR_ERROR},
		{SECURITY, NAMES, LOGIN_INITIATOR_ERROR},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct iscsi_login *login = login_make();
		struct iscsi_login_answer answer;

		kit_limits.header_digest = DIGEST_CRC32C;
		answer = say(login, rows[i].from, FULL_FEATURE, rows[i].sent);
		assert_int_equal(status_of(&answer), rows[i].status);
		iscsi_login_free(login);
	}
}

static void an_answer_can_be_turned_down(void **state)
{
	struct iscsi_login *login = login_make();
	struct iscsi_login_answer answer = say(login, OPERATIONAL, FULL_FEATURE, NAMES);
	struct iscsi_bhs req = login_request(OPERATIONAL, FULL_FEATURE, 0);

	(void)state;
	assert_int_equal(answer.outcome, LOGIN_COMPLETE);
	iscsi_login_refuse(&answer, LOGIN_SESSION_DOES_NOT_EXIST);
	answer_is_sound(&req, &answer);
	assert_int_equal(status_of(&answer), LOGIN_SESSION_DOES_NOT_EXIST);
	assert_int_equal(answer.outcome, LOGIN_REFUSED);
	iscsi_login_free(login);
}

/* A connection that has sent nothing costs little. */
static void a_new_login_is_small(void **state)
{
	struct iscsi_login *login = login_make();

	(void)state;
	assert_true(malloc_usable_size(login) < 4096);
	iscsi_login_free(login);
	iscsi_login_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLAY(through_both_stages),
		PLAY(operational_at_once),
		PLAY(all_defaults),
		PLAY(security_to_full_feature),
		PLAY(no_auth_method_named),
		PLAY(many_rounds),
		PLAY(discovery),
		PLAY(discovery_of_one_target),
		PLAY(discovery_of_no_target),
		PLAY(names_in_capitals),
		PLAY(text_in_pieces),
		PLAY(security_to_itself),
		PLAY(security_to_reserved),
		PLAY(operational_to_itself),
		PLAY(operational_to_reserved),
		PLAY(operational_to_security),
		PLAY(starts_in_reserved),
		PLAY(stays_in_reserved),
		PLAY(starts_in_full_feature),
		PLAY(other_stage_than_granted),
		PLAY(stage_not_yet_granted),
		PLAY(back_to_security),
		PLAY(transit_and_continue),
		PLAY(after_the_end),
		PLAY(after_a_refusal),
		PLAY(no_text),
		PLAY(no_initiator),
		PLAY(no_target),
		PLAY(no_initiator_in_discovery),
		PLAY(target_too_late),
		PLAY(unknown_session_type),
		PLAY(unknown_target),
		PLAY(forbidden_target),
		PLAY(removed_target),
		PLAY(moved_target),
		PLAY(unavailable_target),
		PLAY(bad_initiator_name),
		PLAY(bad_target_name),
		PLAY(wants_authentication),
		PLAY(names_twice),
		PLAY(name_again),
		PLAY(key_again),
		PLAY(declaration_again),
		PLAY(operational_key_in_security),
		PLAY(send_targets_in_login),
		PLAY(not_text),
		PLAY(not_text_before_the_names),
		cmocka_unit_test(versions),
		cmocka_unit_test(a_login_keeps_its_header),
		cmocka_unit_test(only_login_requests),
		cmocka_unit_test(a_data_segment_has_8192_bytes_at_most),
		cmocka_unit_test(the_result_holds_what_was_agreed),
		cmocka_unit_test(without_an_operational_stage_defaults_hold),
		cmocka_unit_test(discovery_has_no_target),
		cmocka_unit_test(a_second_connection_names_its_session),
		cmocka_unit_test(strict_digests_end_a_login),
		cmocka_unit_test(an_answer_can_be_turned_down),
		cmocka_unit_test(a_new_login_is_small),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
