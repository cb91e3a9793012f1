/* SPDX-License-Identifier: Apache-2.0 */
/* Logins as conversations: what is asked, what is answered, where that leads. */
#include "iscsi/login.h"
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka.h wants the three above first. */
#include <cmocka.h>

#define I_NAME "InitiatorName=iqn.2001-04.com.example:host"
#define T_NAME "TargetName=iqn.2016-09.com.example:disk"
#define NAMES I_NAME " " T_NAME
#define TAG "TargetPortalGroupTag=7"
#define OURS "MaxRecvDataSegmentLength=65536"

/* A target that asks for CHAP: what it says, and what is right; tests/iscsi/test_chap.c has more.
 */
#define LOCKED I_NAME " TargetName=iqn.2016-09.com.example:locked"
#define CHALLENGED                                                                                 \
	"CHAP_A=5 CHAP_I=160 CHAP_C=0x"                                                            \
	"a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf"
#define RIGHT "CHAP_N=host CHAP_R=0x2fee5ae181916e3a34810ab524e13152"
#define WRONG "CHAP_N=host CHAP_R=0x2fee5ae181916e3a34810ab524e13153"
#define ASKS_BACK "CHAP_I=7 CHAP_C=0x0011223344"
#define PROVED "CHAP_N=disk CHAP_R=0xba3752553d4e9dd4e48cbefe8eeae9aa"

enum {
	STAY = 0x10, /* T is 0 */
	MORE = 0x20, /* C is 1 */
	OVER = 0x40, /* after: refused */
};

/* ---- the portal ---- */

static struct iscsi_limits limits;
static unsigned asked; /* how often the target was looked for */

static struct iscsi_chap_secrets *make_secrets(bool long_name)
{
	static const struct iscsi_chap_account initiator = {"host", "initiator secret", 16};
	struct iscsi_chap_account target = {"disk", "the target's own", 16};
	struct iscsi_chap_secrets *secrets;

	if (long_name)
		memset(target.name, 'd', ISCSI_CHAP_NAME_MAX);
	assert_int_equal(iscsi_chap_secrets_new(&initiator, &target, &secrets), 0);
	return secrets;
}

static void host_random(const struct iscsi_login_host *host, void *buf, size_t len)
{
	(void)host;
	for (size_t i = 0; i < len; i++)
		((uint8_t *)buf)[i] = (uint8_t)(0xa0 + i);
}

static enum iscsi_login_status find_target(const struct iscsi_login_host *host,
					   const char *initiator, const char *target,
					   struct iscsi_login_target *ret_target)
{
	(void)host;
	asked++;
	assert_string_equal(initiator, "iqn.2001-04.com.example:host");
	if (strcmp(target, "iqn.2016-09.com.example:private") == 0)
		return LOGIN_FORBIDDEN;
	if (strcmp(target, "iqn.2016-09.com.example:gone") == 0)
		return LOGIN_TARGET_REMOVED;
	if (strcmp(target, "iqn.2016-09.com.example:moved") == 0)
		return LOGIN_TARGET_MOVED_TEMPORARILY;
	if (strcmp(target, "iqn.2016-09.com.example:down") == 0)
		return LOGIN_SERVICE_UNAVAILABLE;
	*ret_target = (struct iscsi_login_target){.limits = &limits, .tpgt = 7};
	if (strncmp(target, "iqn.2016-09.com.example:locked", 30) == 0)
		ret_target->chap = make_secrets(target[30]);
	else if (strcmp(target, "iqn.2016-09.com.example:disk") != 0)
		return LOGIN_NOT_FOUND;
	return LOGIN_SUCCESS;
}

static const struct iscsi_login_host host = {
	.find_target = find_target,
	.random = host_random,
	.discovery_limits = &iscsi_default_limits,
};

static struct iscsi_login *login_make(void)
{
	struct iscsi_login *login;

	limits = iscsi_default_limits;
	limits.values.max_recv_data_segment = 65536;
	asked = 0;
	assert_int_equal(iscsi_login_new(&host, &login), 0);
	return login;
}

/* ---- requests and answers ---- */

static const uint8_t isid[6] = {0x80, 1, 2, 3, 4, 5};

/* A request without text; @nsg may hold STAY and MORE. */
static struct iscsi_bhs request(unsigned csg, unsigned nsg, size_t len)
{
	struct iscsi_bhs req = {.b = {OP_LOGIN_REQ | BHS_IMMEDIATE}};

	req.b[1] = (uint8_t)(csg << 2 | (nsg & 3));
	if (!(nsg & STAY))
		req.b[1] |= BHS_FINAL;
	if (nsg & MORE)
		req.b[1] |= BHS_CONTINUE;
	bhs_set_data_len(&req, (uint32_t)len);
	memcpy(req.b + 8, isid, 6);
	bhs_set_itt(&req, 0x12345678);
	be16_put(req.b + 20, 9); /* CID */
	return req;
}

static unsigned status_of(const struct iscsi_login_answer *answer)
{
	return be16_get(answer->bhs.b + 36);
}

/* What holds for every answer, whatever was asked. */
static void answer_is_sound(const struct iscsi_bhs *req, const struct iscsi_login_answer *answer)
{
	const struct iscsi_bhs *rsp = &answer->bhs;

	assert_int_equal(rsp->b[0], OP_LOGIN_RSP);
	assert_int_equal(rsp->b[2], 0); /* Version-max, Version-active */
	assert_int_equal(rsp->b[3], 0);
	assert_int_equal(rsp->b[4], 0);
	assert_int_equal(bhs_itt(rsp), bhs_itt(req));
	assert_int_equal(bhs_data_len(rsp), answer->data_len);
	assert_true(answer->data_len <= ISCSI_LOGIN_DATA_MAX);
	assert_int_equal(answer->outcome == LOGIN_REFUSED, status_of(answer) != 0);
	if (answer->outcome == LOGIN_REFUSED) {
		assert_int_equal(rsp->b[1], 0);
		assert_int_equal(answer->data_len, 0);
		return;
	}
	assert_memory_equal(rsp->b + 8, req->b + 8, 8); /* ISID, TSIH */
	assert_int_equal(login_csg(rsp), login_csg(req));
	assert_false(login_transit(rsp) && (bhs_continue(rsp) || !login_transit(req)));
	assert_int_equal(login_nsg(rsp), login_transit(rsp) ? login_nsg(req) : 0);
	assert_int_equal(answer->outcome == LOGIN_COMPLETE,
			 login_transit(rsp) && login_nsg(rsp) == FULL_FEATURE);
}

/* Sends @len bytes from the heap, so that a sanitizer sees each read past their end. */
static struct iscsi_login_answer ask(struct iscsi_login *login, const struct iscsi_bhs *req,
				     const void *data, size_t len)
{
	struct iscsi_login_answer answer;
	uint8_t *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	if (len)
		memcpy(copy, data, len);
	assert_int_equal(iscsi_login_step(login, req, copy, &answer), 0);
	free(copy);
	answer_is_sound(req, &answer);
	return answer;
}

/* In rows a blank stands for the NUL after a pair. */
static struct iscsi_login_answer say(struct iscsi_login *login, unsigned csg, unsigned nsg,
				     const char *pairs)
{
	size_t len = pairs[0] ? strlen(pairs) + 1 : 0;
	struct iscsi_bhs req = request(csg, nsg, len);
	struct iscsi_login_answer answer;
	char *text = strdup(pairs);

	assert_non_null(text);
	for (size_t i = 0; i < len; i++)
		text[i] = text[i] == ' ' ? '\0' : text[i];
	answer = ask(login, &req, text, len);
	free(text);
	return answer;
}

static void assert_text(const struct iscsi_login_answer *answer, const char *pairs)
{
	char text[ISCSI_LOGIN_DATA_MAX + 1];

	for (size_t i = 0; i < answer->data_len; i++)
		text[i] = answer->data[i] ? (char)answer->data[i] : ' ';
	if (answer->data_len > 0)
		assert_int_equal(answer->data[answer->data_len - 1], '\0');
	text[answer->data_len > 0 ? answer->data_len - 1 : 0] = '\0';
	assert_string_equal(text, pairs);
}

/* ---- conversations ---- */

struct turn {
	unsigned csg, nsg;
	const char *sent;
	enum iscsi_login_status status;
	unsigned after; /* stage granted; STAY, MORE or OVER */
	const char *answered;
};

static unsigned where(const struct iscsi_login_answer *answer)
{
	if (answer->outcome == LOGIN_REFUSED)
		return OVER;
	if (bhs_continue(&answer->bhs))
		return MORE;
	return login_transit(&answer->bhs) ? login_nsg(&answer->bhs) : STAY;
}

static void play(void **state)
{
	struct iscsi_login *login = login_make();

	for (const struct turn *t = *state; t->sent; t++) {
		struct iscsi_login_answer answer = say(login, t->csg, t->nsg, t->sent);

		assert_int_equal(status_of(&answer), t->status);
		assert_int_equal(where(&answer), t->after);
		assert_text(&answer, t->answered ? t->answered : "");
	}
	assert_true(asked <= 1);
	iscsi_login_free(login);
}

#define CONVERSATION(name, ...) static const struct turn name[] = {__VA_ARGS__, {0}}

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

/* authentication */
CONVERSATION(chap_through_both_stages,
	{SECURITY, OPERATIONAL, LOCKED " AuthMethod=CHAP,None", 0, STAY, TAG " AuthMethod=CHAP"},
	{SECURITY, STAY, "CHAP_A=5", 0, STAY, CHALLENGED},
	{SECURITY, OPERATIONAL, RIGHT " " ASKS_BACK, 0, OPERATIONAL, PROVED},
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
	{SECURITY, OPERATIONAL, ASKS_BACK, 0, OPERATIONAL, PROVED});
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

/* ---- headers ---- */

static void versions(void **state)
{
	(void)state;
	for (unsigned max = 0; max <= 2; max++)
		for (unsigned min = 0; min <= max; min++) {
			struct iscsi_login *login = login_make();
			struct iscsi_bhs req = request(SECURITY, STAY | MORE, 0);
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
		struct iscsi_bhs req = request(SECURITY, STAY, 0);
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
			struct iscsi_bhs req = request(SECURITY, STAY, 0);
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
				assert_memory_equal(answer.bhs.b + 8, later ? isid : no_isid, 6);
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
		struct iscsi_bhs req = request(SECURITY, STAY | MORE, lens[i]);
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
	assert_memory_equal(result->isid, isid, 6);
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
	assert_int_equal(asked, 0);
	iscsi_login_free(login);
}

/* A connection that joins a session cannot change what the session has settled. */
static void a_second_connection_names_its_session(void **state)
{
	static const char text[] = "InitiatorName=iqn.2001-04.com.example:host\0"
				   "TargetName=iqn.2016-09.com.example:disk\0"
				   "MaxBurstLength=4096\0DataDigest=CRC32C";
	struct iscsi_login *login = login_make();
	struct iscsi_bhs req = request(OPERATIONAL, FULL_FEATURE, sizeof(text));
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

		limits.header_digest = DIGEST_CRC32C;
		answer = say(login, rows[i].from, FULL_FEATURE, rows[i].sent);
		assert_int_equal(status_of(&answer), rows[i].status);
		iscsi_login_free(login);
	}
}

static void an_answer_can_be_turned_down(void **state)
{
	struct iscsi_login *login = login_make();
	struct iscsi_login_answer answer = say(login, OPERATIONAL, FULL_FEATURE, NAMES);
	struct iscsi_bhs req = request(OPERATIONAL, FULL_FEATURE, 0);

	(void)state;
	assert_int_equal(answer.outcome, LOGIN_COMPLETE);
	iscsi_login_refuse(&answer, LOGIN_SESSION_DOES_NOT_EXIST);
	answer_is_sound(&req, &answer);
	assert_int_equal(status_of(&answer), LOGIN_SESSION_DOES_NOT_EXIST);
	assert_int_equal(answer.outcome, LOGIN_REFUSED);
	iscsi_login_free(login);
}

/* ---- pieces ---- */

static const char whole[] = "InitiatorName=iqn.2001-04.com.example:host\0"
			    "TargetName=iqn.2016-09.com.example:disk\0"
			    "HeaderDigest=CRC32C,None\0InitialR2T=No\0X-a=b";

/* The same text gives the same answer, wherever it is cut in two. */
static void a_text_may_be_cut_at_every_byte(void **state)
{
	(void)state;
	for (size_t cut = 0; cut <= sizeof(whole); cut++) {
		struct iscsi_login *login = login_make();
		struct iscsi_bhs req = request(OPERATIONAL, STAY | MORE, cut);
		struct iscsi_login_answer answer = ask(login, &req, whole, cut);

		assert_int_equal(answer.outcome, LOGIN_GOES_ON);
		assert_int_equal(answer.data_len, 0);
		assert_int_equal(where(&answer), STAY);
		req = request(OPERATIONAL, FULL_FEATURE, sizeof(whole) - cut);
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
		req = request(OPERATIONAL, STAY | MORE, 1);
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
		struct iscsi_bhs req = request(OPERATIONAL, FULL_FEATURE, len);
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
	struct iscsi_bhs req = request(SECURITY, STAY | MORE, 4096);
	struct iscsi_login_answer answer;
	char text[4096];

	(void)state;
	memset(text, 'A', sizeof(text));
	for (int i = 0; i < ISCSI_TEXT_MAX / 4096; i++) {
		answer = ask(login, &req, text, sizeof(text));
		assert_int_equal(answer.outcome, LOGIN_GOES_ON);
	}
	req = request(SECURITY, STAY | MORE, 1);
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
		struct iscsi_bhs req = request(OPERATIONAL, part < rest ? STAY | MORE : nsg, part);

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

static void the_longest_name_of_a_target_fits(void **state)
{
	struct iscsi_login *login = login_make();
	struct iscsi_login_answer answer;

	(void)state;
	say(login, SECURITY, STAY, LOCKED "2 AuthMethod=CHAP");
	say(login, SECURITY, STAY, "CHAP_A=5");
	answer = say(login, SECURITY, FULL_FEATURE, RIGHT " " ASKS_BACK);
	assert_int_equal(where(&answer), FULL_FEATURE);
	assert_int_equal(answer.data_len, strlen("CHAP_N=") + ISCSI_CHAP_NAME_MAX + 1 +
						  strlen("CHAP_R=0x") + 2 * 16 + 1);
	iscsi_login_free(login);
}

/* The answer of a step may be cut as any other: 600 keys more than fill a PDU. */
static void unknown_keys_leave_room_for_chap(void **state)
{
	static const char *const steps[] = {"CHAP_A=5", RIGHT " " ASKS_BACK};
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

/* A connection that has sent nothing costs little. */
static void a_new_login_is_small(void **state)
{
	struct iscsi_login *login = login_make();

	(void)state;
	assert_true(malloc_usable_size(login) < 4096);
	iscsi_login_free(login);
	iscsi_login_free(NULL);
}

#define PLAY(name)                                                                                 \
	{                                                                                          \
#name, play, NULL, NULL, (void *)name                                              \
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
		cmocka_unit_test(a_text_may_be_cut_at_every_byte),
		cmocka_unit_test(a_text_may_come_byte_by_byte),
		cmocka_unit_test(a_text_that_stops_early_is_noticed),
		cmocka_unit_test(gathered_text_is_bounded),
		cmocka_unit_test(amplification_is_refused),
		cmocka_unit_test(a_long_answer_comes_in_pieces),
		cmocka_unit_test(the_rest_is_asked_for_in_silence),
		cmocka_unit_test(a_new_login_is_small),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
