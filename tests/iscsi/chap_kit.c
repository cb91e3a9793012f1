/* SPDX-License-Identifier: Apache-2.0 */
/* See chap_kit.h. */
#include "tests/iscsi/chap_kit.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka.h wants the three above first. */
#include <cmocka.h>

size_t chap_random_len;

void chap_random(const struct iscsi_login_host *host, void *buf, size_t len)
{
	(void)host;
	chap_random_len += len;
	for (size_t i = 0; i < len; i++)
		((uint8_t *)buf)[i] = (uint8_t)(0xa0 + i);
}

static const struct iscsi_login_host host = {.random = chap_random};

static struct iscsi_chap_account account(const char *name, const char *secret)
{
	struct iscsi_chap_account account = {.secret_len = (uint8_t)strlen(secret)};

	strcpy(account.name, name);
	memcpy(account.secret, secret, strlen(secret));
	return account;
}

struct iscsi_chap_secrets *chap_secrets(const char *user, const char *target_user)
{
	struct iscsi_chap_account initiator = account(user, SECRET),
				  target = account(target_user, *target_user ? T_SECRET : "");
	struct iscsi_chap_secrets *secrets;

	assert_int_equal(iscsi_chap_secrets_new(&initiator, &target, &secrets), 0);
	return secrets;
}

void chap_start(struct iscsi_negotiation *neg, const char *user, const char *target_user)
{
	chap_random_len = 0;
	iscsi_negotiation_init(neg, &iscsi_default_limits, false, true);
	neg->stage = IN_SECURITY;
	assert_int_equal(iscsi_chap_new(&host, chap_secrets(user, target_user), &neg->chap), 0);
}

void chap_stop(struct iscsi_negotiation *neg)
{
	iscsi_chap_free(neg->chap);
}

enum iscsi_login_status chap_say(struct iscsi_negotiation *neg, const char *pairs, char *ret_answer,
				 size_t cap)
{
	size_t len = *pairs ? strlen(pairs) + 1 : 0;
	uint8_t *text = malloc(len ? len : 1);
	struct bytes_out out = bytes_out(ret_answer, cap - 1);
	enum iscsi_login_status status;

	assert_non_null(text);
	for (size_t i = 0; i < len; i++)
		text[i] = pairs[i] == ' ' ? '\0' : (uint8_t)pairs[i];
	status = iscsi_negotiate(neg, text, len, &out);
	free(text);
	assert_false(out.full);
	for (size_t i = 0; i < out.len; i++)
		ret_answer[i] = ret_answer[i] ? ret_answer[i] : ' ';
	ret_answer[out.len ? out.len - 1 : 0] = '\0';
	return status;
}

void chap_says(struct iscsi_negotiation *neg, enum iscsi_login_status status, const char *sent,
	       const char *answered)
{
	char answer[ISCSI_CHAP_ANSWER_MAX + 64];

	assert_int_equal(chap_say(neg, sent, answer, sizeof(answer)), status);
	if (status == LOGIN_SUCCESS)
		assert_string_equal(answer, answered);
}

void chap_start_challenged(struct iscsi_negotiation *neg, const char *user, const char *target_user,
			   unsigned number)
{
	char list[32], answer[256];

	chap_start(neg, user, target_user);
	chap_says(neg, LOGIN_SUCCESS, "AuthMethod=CHAP", "AuthMethod=CHAP");
	snprintf(list, sizeof(list), "CHAP_A=%u", number);
	snprintf(answer, sizeof(answer), "CHAP_A=%u " CHAP_CHALLENGED, number);
	chap_says(neg, LOGIN_SUCCESS, list, answer);
	assert_false(iscsi_chap_done(neg->chap));
}
