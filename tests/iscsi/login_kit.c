/* SPDX-License-Identifier: Apache-2.0 */
/* See login_kit.h. */
#include "tests/iscsi/login_kit.h"
#include "tests/iscsi/chap_kit.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
/* cmocka.h wants the three above first. */
#include <cmocka.h>

/* ---- the portal ---- */

struct iscsi_limits kit_limits;
unsigned kit_asked;

static struct iscsi_chap_secrets *make_secrets(bool long_name)
{
	char longest[ISCSI_CHAP_NAME_MAX + 1] = "";

	memset(longest, 'd', ISCSI_CHAP_NAME_MAX);
	return chap_secrets(USER, long_name ? longest : T_USER);
}

static enum iscsi_login_status find_target(const struct iscsi_login_host *host,
					   const char *initiator, const char *target,
					   struct iscsi_login_target *ret_target)
{
	(void)host;
	kit_asked++;
	assert_string_equal(initiator, "iqn.2001-04.com.example:host");
	if (strcmp(target, "iqn.2016-09.com.example:private") == 0)
		return LOGIN_FORBIDDEN;
	if (strcmp(target, "iqn.2016-09.com.example:gone") == 0)
		return LOGIN_TARGET_REMOVED;
	if (strcmp(target, "iqn.2016-09.com.example:moved") == 0)
		return LOGIN_TARGET_MOVED_TEMPORARILY;
	if (strcmp(target, "iqn.2016-09.com.example:down") == 0)
		return LOGIN_SERVICE_UNAVAILABLE;
	*ret_target = (struct iscsi_login_target){.limits = &kit_limits, .tpgt = 7};
	if (strncmp(target, "iqn.2016-09.com.example:locked", 30) == 0)
		ret_target->chap = make_secrets(target[30]);
	else if (strcmp(target, "iqn.2016-09.com.example:disk") != 0)
		return LOGIN_NOT_FOUND;
	return LOGIN_SUCCESS;
}

static const struct iscsi_login_host host = {
	.find_target = find_target,
	.random = chap_random,
	.discovery_limits = &iscsi_default_limits,
};

struct iscsi_login *login_make(void)
{
	struct iscsi_login *login;

	kit_limits = iscsi_default_limits;
	kit_limits.values.max_recv_data_segment = 65536;
	kit_asked = 0;
	assert_int_equal(iscsi_login_new(&host, &login), 0);
	return login;
}

/* ---- requests and answers ---- */

const uint8_t kit_isid[6] = {0x80, 1, 2, 3, 4, 5};

struct iscsi_bhs login_request(unsigned csg, unsigned nsg, size_t len)
{
	struct iscsi_bhs req = {.b = {OP_LOGIN_REQ | BHS_IMMEDIATE}};

	req.b[1] = (uint8_t)(csg << 2 | (nsg & 3));
	if (!(nsg & STAY))
		req.b[1] |= BHS_FINAL;
	if (nsg & MORE)
		req.b[1] |= BHS_CONTINUE;
	bhs_set_data_len(&req, (uint32_t)len);
	memcpy(req.b + 8, kit_isid, 6);
	bhs_set_itt(&req, 0x12345678);
	be16_put(req.b + 20, 9); /* CID */
	return req;
}

unsigned status_of(const struct iscsi_login_answer *answer)
{
	return be16_get(answer->bhs.b + 36);
}

void answer_is_sound(const struct iscsi_bhs *req, const struct iscsi_login_answer *answer)
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

struct iscsi_login_answer ask(struct iscsi_login *login, const struct iscsi_bhs *req,
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

struct iscsi_login_answer say(struct iscsi_login *login, unsigned csg, unsigned nsg,
			      const char *pairs)
{
	size_t len = pairs[0] ? strlen(pairs) + 1 : 0;
	struct iscsi_bhs req = login_request(csg, nsg, len);
	struct iscsi_login_answer answer;
	char *text = strdup(pairs);

	assert_non_null(text);
	for (size_t i = 0; i < len; i++)
		text[i] = text[i] == ' ' ? '\0' : text[i];
	answer = ask(login, &req, text, len);
	free(text);
	return answer;
}

void assert_text(const struct iscsi_login_answer *answer, const char *pairs)
{
	char text[ISCSI_LOGIN_DATA_MAX + 1];

	for (size_t i = 0; i < answer->data_len; i++)
		text[i] = answer->data[i] ? (char)answer->data[i] : ' ';
	if (answer->data_len > 0)
		assert_int_equal(answer->data[answer->data_len - 1], '\0');
	text[answer->data_len > 0 ? answer->data_len - 1 : 0] = '\0';
	assert_string_equal(text, pairs);
}

unsigned where(const struct iscsi_login_answer *answer)
{
	if (answer->outcome == LOGIN_REFUSED)
		return OVER;
	if (bhs_continue(&answer->bhs))
		return MORE;
	return login_transit(&answer->bhs) ? login_nsg(&answer->bhs) : STAY;
}

void play(void **state)
{
	struct iscsi_login *login = login_make();

	for (const struct turn *t = *state; t->sent; t++) {
		struct iscsi_login_answer answer = say(login, t->csg, t->nsg, t->sent);

		assert_int_equal(status_of(&answer), t->status);
		assert_int_equal(where(&answer), t->after);
		assert_text(&answer, t->answered ? t->answered : "");
	}
	assert_true(kit_asked <= 1);
	iscsi_login_free(login);
}
