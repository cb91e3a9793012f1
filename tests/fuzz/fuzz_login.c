/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A login as a sequence of up to 16 requests. The input is one byte that chooses the target's
 * limits and whether it wants CHAP, then for each request
 *	byte 1 of its header (T, C, CSG, NSG),
 *	a byte of its header to spoil (0: none) and what to flip in it,
 *	the length of its text in two bytes, and the text.
 * What must hold for every answer is checked here, not what the answer is.
 */
#include "iscsi/login.h"
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                                                   \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                    \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

enum { MAX_REQUESTS = 16, STRICT_DIGESTS = 1, SMALL_LIMITS = 2, NO_TARGET = 4, WANTS_CHAP = 8 };

struct portal {
	struct iscsi_login_host host; /* first: find_target() is given its address */
	struct iscsi_limits limits;
	unsigned flags, asked;
};

/* The answer to one text, gathered from its pieces. */
struct gathered {
	uint8_t text[ISCSI_TEXT_MAX];
	size_t len;
};

static struct iscsi_chap_secrets *make_secrets(void)
{
	static const struct iscsi_chap_account initiator = {"host", "initiator secret", 16},
					       target = {"disk", "the target's own", 16};
	struct iscsi_chap_secrets *secrets = NULL;

	return iscsi_chap_secrets_new(&initiator, &target, &secrets) == 0 ? secrets : NULL;
}

/* Always the same, so that an input can hold the right response. */
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
	struct portal *portal = (struct portal *)(uintptr_t)host;
	char again[ISCSI_NAME_MAX + 1];

	CHECK(portal->asked++ == 0);
	CHECK(iscsi_name_normalize(initiator, strlen(initiator), again) == 0);
	CHECK(strcmp(initiator, again) == 0);
	CHECK(iscsi_name_normalize(target, strlen(target), again) == 0);
	CHECK(strcmp(target, again) == 0);
	if (portal->flags & NO_TARGET)
		return LOGIN_NOT_FOUND;
	*ret_target = (struct iscsi_login_target){
		.limits = &portal->limits,
		.chap = portal->flags & WANTS_CHAP ? make_secrets() : NULL,
		.tpgt = 1,
	};
	return LOGIN_SUCCESS;
}

static void portal_init(struct portal *portal, unsigned flags)
{
	*portal = (struct portal){.limits = iscsi_default_limits, .flags = flags};
	portal->host.find_target = find_target;
	portal->host.random = host_random;
	portal->host.discovery_limits = &portal->limits;
	if (flags & STRICT_DIGESTS)
		portal->limits.header_digest = portal->limits.data_digest = DIGEST_CRC32C;
	if (flags & SMALL_LIMITS) {
		portal->limits.values.max_burst = 1024;
		portal->limits.values.first_burst = 512;
		portal->limits.values.initial_r2t = true;
		portal->limits.values.immediate_data = false;
	}
}

static void check_refusal(const struct iscsi_login_answer *answer)
{
	unsigned status = be16_get(answer->bhs.b + 36);

	CHECK(status >> 8 >= 1 && status >> 8 <= 3 && (status & 0xff) <= 0x0b);
	CHECK(answer->data_len == 0 && answer->bhs.b[1] == 0);
}

static void check_answer(const struct iscsi_bhs *req, const struct iscsi_login_answer *answer)
{
	const struct iscsi_bhs *rsp = &answer->bhs;

	CHECK(rsp->b[0] == OP_LOGIN_RSP && rsp->b[2] == 0 && rsp->b[3] == 0 && rsp->b[4] == 0);
	CHECK(bhs_itt(rsp) == bhs_itt(req));
	CHECK(bhs_data_len(rsp) == answer->data_len);
	CHECK(answer->data_len <= ISCSI_LOGIN_DATA_MAX);
	if (answer->outcome == LOGIN_REFUSED) {
		check_refusal(answer);
		return;
	}
	CHECK(bhs_opcode(req) == OP_LOGIN_REQ && be16_get(rsp->b + 36) == 0);
	CHECK(memcmp(rsp->b + 8, req->b + 8, 8) == 0);
	CHECK(login_csg(rsp) == login_csg(req));
	CHECK(!login_transit(rsp) || (login_transit(req) && !bhs_continue(rsp)));
	CHECK(login_nsg(rsp) == (login_transit(rsp) ? login_nsg(req) : 0));
	CHECK(!bhs_continue(req) || (answer->data_len == 0 && !bhs_continue(rsp)));
	CHECK((answer->outcome == LOGIN_COMPLETE) ==
	      (login_transit(rsp) && login_nsg(rsp) == FULL_FEATURE));
}

/* The pieces of an answer make up text. */
static void check_text(struct gathered *gathered, const struct iscsi_login_answer *answer)
{
	struct bytes_in in;
	struct iscsi_pair pair;
	int r;

	CHECK(gathered->len + answer->data_len <= sizeof(gathered->text));
	if (answer->data_len > 0)
		memcpy(gathered->text + gathered->len, answer->data, answer->data_len);
	gathered->len += answer->data_len;
	if (bhs_continue(&answer->bhs)) {
		CHECK(answer->data_len == ISCSI_LOGIN_DATA_MAX);
		return;
	}
	in = bytes_in(gathered->text, gathered->len);
	while ((r = iscsi_text_next(&in, &pair)) > 0)
		CHECK(pair.value_len > 0);
	CHECK(r == 0);
	gathered->len = 0;
}

/* Looks for the one right response in all that was sent, wherever it was cut. */
struct sent {
	char tail[80];
	size_t len;
	bool has_response;
};

static void sent_add(struct sent *sent, const uint8_t *text, size_t len)
{
	/* By each hash, and one in base64; either case will do for what is checked here. */
	static const char *const responses[] = {
		"=0x2fee5ae181916e3a34810ab524e13152",
		"=0bL+5a4YGRbjo0gQq1JOExUg==",
		"=0x24e7156baa1ce679ebebeb7681ce42c383bdfd7c",
		"=0xaf65bac1698813202c554b2038e0d11755d63d58b17fd1f43e73c80ab320eedd",
		"=0xc8e6115e2b64da225be78cd98d571db44ca749bd2a53d4847eb7d3d8d26a01d7",
	};

	for (size_t i = 0; i < len; i++) {
		if (sent->len == sizeof(sent->tail) - 1)
			memmove(sent->tail, sent->tail + 1, --sent->len);
		sent->tail[sent->len++] = text[i] ? (char)text[i] : ' ';
		sent->tail[sent->len] = '\0';
		for (size_t n = 0; n < sizeof(responses) / sizeof(responses[0]); n++) {
			size_t tail = strlen(responses[n]);

			if (sent->len >= tail &&
			    strncasecmp(sent->tail + sent->len - tail, responses[n], tail) == 0)
				sent->has_response = true;
		}
	}
}

static void check_result(const struct portal *portal, const struct sent *sent,
			 const struct iscsi_login_result *result)
{
	const struct iscsi_params *p = &result->params;

	CHECK(result->initiator[0] && (result->discovery || result->target[0]));
	CHECK(!result->discovery || !result->target[0]);
	CHECK(result->discovery || portal->asked == 1);
	CHECK(p->max_recv_data_segment == 8192 ||
	      p->max_recv_data_segment == portal->limits.values.max_recv_data_segment);
	CHECK(p->max_send_data_segment >= 512 && p->max_send_data_segment <= 0xffffff);
	CHECK(p->max_burst >= 512 && p->max_burst <= 1048576);
	CHECK(p->first_burst >= 512 && p->first_burst <= p->max_burst);
	CHECK(p->max_outstanding_r2t >= 1 && p->max_outstanding_r2t <= 16);
	CHECK(p->max_connections == 1 && p->error_recovery_level == 0);
	CHECK(p->time2wait <= 3600 && p->time2retain <= 20);
	CHECK(p->data_pdu_in_order && p->data_sequence_in_order);
	if (portal->flags & STRICT_DIGESTS)
		CHECK(p->header_digest && p->data_digest);
	CHECK(!(portal->flags & WANTS_CHAP) || result->discovery || sent->has_response);
}

static struct iscsi_bhs next_request(struct bytes_in *in, const uint8_t **ret_data)
{
	struct iscsi_bhs req = {.b = {OP_LOGIN_REQ | BHS_IMMEDIATE, in_u8(in)}};
	uint8_t spoil = in_u8(in), flip = in_u8(in);
	size_t len = in_be16(in);

	if (len > in->left)
		len = in->left;
	memcpy(req.b + 8, "\x80\0\0\0\0\1\0\0\0\0\0\1\0\1", 14); /* ISID, TSIH, ITT, CID */
	if (spoil > 0 && (spoil < 4 || spoil > 7))
		req.b[spoil % ISCSI_BHS_LEN] ^= flip;
	bhs_set_data_len(&req, (uint32_t)len);
	*ret_data = in_bytes(in, len);
	return req;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct gathered gathered;
	struct bytes_in in = bytes_in(data, size);
	struct iscsi_login *login;
	struct portal portal;
	struct sent sent = {.len = 0};
	bool over = false;

	portal_init(&portal, in_u8(&in));
	if (iscsi_login_new(&portal.host, &login) < 0)
		return 0;
	gathered.len = 0;
	for (int i = 0; i < MAX_REQUESTS && in.left > 0 && !in.bad; i++) {
		struct iscsi_login_answer answer;
		const uint8_t *text;
		struct iscsi_bhs req = next_request(&in, &text);

		if (in.bad)
			break;
		sent_add(&sent, text, bhs_data_len(&req));
		CHECK(iscsi_login_step(login, &req, text, &answer) == 0);
		check_answer(&req, &answer);
		CHECK(!over || answer.outcome == LOGIN_REFUSED);
		over = over || answer.outcome != LOGIN_GOES_ON;
		if (answer.outcome != LOGIN_REFUSED)
			check_text(&gathered, &answer);
		if (answer.outcome == LOGIN_COMPLETE)
			check_result(&portal, &sent, iscsi_login_result(login));
	}
	iscsi_login_free(login);
	return 0;
}
