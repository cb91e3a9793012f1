/* SPDX-License-Identifier: Apache-2.0 */
#include "iscsi/login.h"
#include "iscsi/keys.h"
#include "util/cleanup.h"
#include <assert.h>
#include <errno.h>

/* Bytes that grow only by what has arrived, or by what is really to be answered. */
struct login_bytes {
	uint8_t *buf;
	size_t len, cap;
};

struct iscsi_login {
	const struct iscsi_login_host *host;
	enum login_stage stage;
	bool begun;    /* first holds the header of the first request */
	bool declared; /* MaxRecvDataSegmentLength has been sent */
	bool over;     /* complete or refused */
	struct iscsi_bhs first;
	struct iscsi_negotiation neg;
	struct iscsi_chap *chap; /* NULL: nobody has to prove who he is */
	struct iscsi_login_result result;
	struct login_bytes in;	/* text of requests with the C bit set */
	struct login_bytes out; /* the answer under way */
	size_t sent;		/* of out */
};

/*
 * Inside this file: 0, a negative errno, or the status to refuse with; all of those are
 * positive.
 */

int iscsi_login_new(const struct iscsi_login_host *host, struct iscsi_login **ret_login)
{
	struct iscsi_login *login = calloc(1, sizeof(*login));

	if (!login)
		return -ENOMEM;
	login->host = host;
	*ret_login = login;
	return 0;
}

static void bytes_drop(struct login_bytes *bytes)
{
	free(bytes->buf);
	*bytes = (struct login_bytes){0};
}

static int bytes_reserve(struct login_bytes *bytes, size_t cap)
{
	uint8_t *buf;

	if (cap <= bytes->cap)
		return 0;
	cap = (cap + 255) & ~(size_t)255; /* not a reallocation for each byte */
	buf = realloc(bytes->buf, cap);
	if (!buf)
		return -ENOMEM;
	bytes->buf = buf;
	bytes->cap = cap;
	return 0;
}

void iscsi_login_free(struct iscsi_login *login)
{
	if (!login)
		return;
	bytes_drop(&login->in);
	bytes_drop(&login->out);
	iscsi_chap_free(login->chap);
	free(login);
}

const struct iscsi_login_result *iscsi_login_result(const struct iscsi_login *login)
{
	return &login->result;
}

/* ---- stages, RFC 7143 6.3 and 11.12.3 ---- */

static int login_keys_settled(struct iscsi_login *login)
{
	return (int)iscsi_negotiation_settle(&login->neg);
}

/* Besides, who has to prove who he is leaves the security stage only then: login_transit_to(). */
static const struct login_move {
	enum login_stage from, to;
	int (*open)(struct iscsi_login *login); /* NULL: always */
} login_moves[] = {
	{SECURITY, OPERATIONAL, NULL},
	{SECURITY, FULL_FEATURE, login_keys_settled},
	{OPERATIONAL, FULL_FEATURE, login_keys_settled},
};

static const struct login_move *login_move_find(enum login_stage from, uint8_t to)
{
	for (size_t i = 0; i < sizeof(login_moves) / sizeof(login_moves[0]); i++)
		if (login_moves[i].from == from && login_moves[i].to == to)
			return &login_moves[i];
	return NULL;
}

/* ---- headers ---- */

static int login_begin(struct iscsi_login *login, const struct iscsi_bhs *req)
{
	struct iscsi_login_result *result = &login->result;

	if (req->b[3] > 0) /* Version-min; ours is 0 */
		return LOGIN_UNSUPPORTED_VERSION;
	if (login_csg(req) != SECURITY && login_csg(req) != OPERATIONAL)
		return LOGIN_INITIATOR_ERROR;
	login->first = *req;
	login->begun = true;
	login->stage = (enum login_stage)login_csg(req);
	memcpy(result->isid, login_isid(req), sizeof(result->isid));
	result->tsih = login_tsih(req);
	result->cid = login_cid(req);
	return 0;
}

/* RFC 7143 11.12: versions, ISID, TSIH, ITT and CID stay the same for the whole login. */
static bool login_is_same(const struct iscsi_login *login, const struct iscsi_bhs *req)
{
	const uint8_t *first = login->first.b;

	return memcmp(first + 2, req->b + 2, 2) == 0 && memcmp(first + 8, req->b + 8, 14) == 0;
}

static int login_check_header(struct iscsi_login *login, const struct iscsi_bhs *req)
{
	int r = 0;

	if (bhs_opcode(req) != OP_LOGIN_REQ)
		return LOGIN_INVALID_DURING_LOGIN;
	if (login->over || bhs_data_len(req) > ISCSI_LOGIN_DATA_MAX)
		return LOGIN_INITIATOR_ERROR;
	if (!login->begun)
		r = login_begin(login, req);
	else if (!login_is_same(login, req))
		r = LOGIN_INITIATOR_ERROR;
	if (r)
		return r;
	if (login_csg(req) != login->stage)
		return LOGIN_INITIATOR_ERROR;
	if (login_transit(req) &&
	    (bhs_continue(req) || !login_move_find(login->stage, login_nsg(req))))
		return LOGIN_INITIATOR_ERROR;
	return 0;
}

/* An answer with no text that grants nothing. */
static struct iscsi_login_answer login_answer(const struct iscsi_login *login,
					      const struct iscsi_bhs *req)
{
	struct iscsi_login_answer answer = {.outcome = LOGIN_GOES_ON};
	/* What is not a Login Request has other things where the ISID would be. */
	const struct iscsi_bhs *ids = bhs_opcode(req) == OP_LOGIN_REQ ? req : &login->first;

	answer.bhs.b[0] = OP_LOGIN_RSP;
	answer.bhs.b[1] = (uint8_t)(login_csg(req) << 2);
	memcpy(answer.bhs.b + 8, ids->b + 8, 8);
	bhs_set_itt(&answer.bhs, bhs_itt(req));
	return answer;
}

void iscsi_login_refuse(struct iscsi_login_answer *answer, enum iscsi_login_status status)
{
	answer->outcome = LOGIN_REFUSED;
	answer->bhs.b[1] = 0;
	be16_put(answer->bhs.b + 36, (uint16_t)status);
	bhs_set_data_len(&answer->bhs, 0);
	answer->data = NULL;
	answer->data_len = 0;
}

/* ---- who and where to ---- */

/* What the first text must tell before any other key means something. */
struct login_names {
	char initiator[ISCSI_NAME_MAX + 1], target[ISCSI_NAME_MAX + 1]; /* "": not given */
	bool discovery;
};

static int login_take_name(const struct iscsi_pair *pair, struct login_names *names)
{
	char *to = NULL;

	if (iscsi_pair_is(pair, "InitiatorName"))
		to = names->initiator;
	else if (iscsi_pair_is(pair, "TargetName"))
		to = names->target;
	if (to && iscsi_name_normalize(pair->value, pair->value_len, to) < 0)
		return LOGIN_INITIATOR_ERROR;
	if (!iscsi_pair_is(pair, "SessionType"))
		return 0;
	names->discovery = iscsi_pair_value_is(pair, "Discovery");
	if (!names->discovery && !iscsi_pair_value_is(pair, "Normal"))
		return LOGIN_SESSION_TYPE_NOT_SUPPORTED;
	return 0;
}

/* RFC 7143 6.3.1: who skips the security stage is turned away. */
static int login_demand_chap(struct iscsi_login *login, struct iscsi_chap_secrets *secrets)
{
	if (login->stage != SECURITY) {
		iscsi_chap_secrets_unref(secrets);
		return LOGIN_AUTH_FAILED;
	}
	return iscsi_chap_new(login->host, secrets, &login->chap);
}

/*
 * Asks for the target and begins the negotiation with its limits. In a discovery session the
 * target's name is optional; where it is given, it must be right, and its tag is answered. Names
 * are no secret: nobody has to prove who he is to be told them.
 */
static int login_find_target(struct iscsi_login *login, const struct login_names *names,
			     struct bytes_out *out)
{
	const struct iscsi_login_host *host = login->host;
	struct iscsi_login_result *result = &login->result;
	struct iscsi_login_target target = {.limits = host->discovery_limits};
	int r = 0;

	if (names->target[0]) {
		enum iscsi_login_status status =
			host->find_target(host, names->initiator, names->target, &target);

		if (status != LOGIN_SUCCESS)
			return (int)status;
		result->tpgt = target.tpgt;
		iscsi_declare(out, "TargetPortalGroupTag", result->tpgt);
	}
	if (names->discovery) {
		iscsi_chap_secrets_unref(target.chap);
		target.limits = host->discovery_limits;
	} else if (target.chap) {
		r = login_demand_chap(login, target.chap);
	}
	iscsi_negotiation_init(&login->neg, target.limits, names->discovery, result->tsih == 0);
	login->neg.chap = login->chap;
	return r;
}

static int login_identify(struct iscsi_login *login, const uint8_t *text, size_t len,
			  struct bytes_out *out)
{
	struct bytes_in in = bytes_in(text, len);
	struct iscsi_login_result *result = &login->result;
	struct login_names names = {0};
	struct iscsi_pair pair;
	int r;

	while (iscsi_text_next(&in, &pair) > 0) {
		r = login_take_name(&pair, &names);
		if (r)
			return r;
	}
	if (!names.initiator[0] || (!names.target[0] && !names.discovery))
		return LOGIN_MISSING_PARAMETER;
	memcpy(result->initiator, names.initiator, sizeof(names.initiator));
	if (!names.discovery)
		memcpy(result->target, names.target, sizeof(names.target));
	result->discovery = names.discovery;
	return login_find_target(login, &names, out);
}

/* ---- text ---- */

/*
 * Room for all answers to a text, for our own two declarations and for a step of CHAP. A text of
 * many short keys that nobody knows would be answered by a multiple of itself: there is a limit to
 * that.
 */
static int login_answer_room(const struct iscsi_login *login, const uint8_t *text, size_t len,
			     size_t *ret_room)
{
	struct bytes_in in = bytes_in(text, len);
	size_t room = 2 * (ISCSI_KEY_MAX + ISCSI_ANSWER_EXTRA);
	struct iscsi_pair pair;
	int r;

	if (login->chap)
		room += ISCSI_CHAP_ANSWER_MAX;
	while ((r = iscsi_text_next(&in, &pair)) > 0)
		room += pair.key_len + ISCSI_ANSWER_EXTRA;
	if (r < 0 || room > ISCSI_TEXT_MAX)
		return LOGIN_INITIATOR_ERROR;
	*ret_room = room;
	return 0;
}

/* One whole text: C bits taken out. Its answer is in login->out. */
static int login_negotiate(struct iscsi_login *login, const uint8_t *text, size_t len)
{
	struct iscsi_negotiation *neg = &login->neg;
	struct bytes_out out;
	size_t room;
	int r;

	r = login_answer_room(login, text, len, &room);
	if (r == 0)
		r = bytes_reserve(&login->out, room);
	if (r)
		return r;
	out = bytes_out(login->out.buf, login->out.cap);
	if (!neg->named)
		r = login_identify(login, text, len, &out);
	if (r)
		return r;
	neg->stage = login->stage == SECURITY ? IN_SECURITY : IN_OPERATIONAL;
	r = (int)iscsi_negotiate(neg, text, len, &out);
	if (r)
		return r;
	neg->named = true;
	/* In force only once it is declared; a login may also end without an operational stage. */
	if (login->stage == OPERATIONAL && !login->declared) {
		neg->params.max_recv_data_segment = neg->ours.max_recv_data_segment;
		iscsi_declare(&out, "MaxRecvDataSegmentLength", neg->ours.max_recv_data_segment);
		login->declared = true;
	}
	assert(!out.full);
	login->out.len = out.len;
	return 0;
}

static int login_gather(struct iscsi_login *login, const uint8_t *data, size_t len)
{
	int r = bytes_reserve(&login->in, login->in.len + len);

	if (r == 0 && len > 0)
		memcpy(login->in.buf + login->in.len, data, len);
	if (r == 0)
		login->in.len += len;
	return r;
}

/* A text that comes in one piece, as most do, is read where it lies. */
static int login_take_text(struct iscsi_login *login, const struct iscsi_bhs *req,
			   const uint8_t *data)
{
	size_t len = bhs_data_len(req);
	int r;

	if (login->in.len + len > ISCSI_TEXT_MAX)
		return LOGIN_INITIATOR_ERROR;
	if (!bhs_continue(req) && login->in.len == 0)
		return login_negotiate(login, data, len);
	r = login_gather(login, data, len);
	if (r || bhs_continue(req))
		return r;
	r = login_negotiate(login, login->in.buf, login->in.len);
	bytes_drop(&login->in);
	return r;
}

/* ---- answers ---- */

static int login_transit_to(struct iscsi_login *login, const struct iscsi_bhs *req,
			    struct iscsi_login_answer *answer)
{
	const struct login_move *move = login_move_find(login->stage, login_nsg(req));
	int r;

	/* RFC 7143 6.3.3: T stays 0 while there is more to come. */
	if (login->chap && !iscsi_chap_done(login->chap))
		return iscsi_chap_agreed(login->chap) ? 0 : LOGIN_AUTH_FAILED;
	r = move->open ? move->open(login) : 0;
	if (r)
		return r;
	answer->bhs.b[1] |= (uint8_t)(BHS_FINAL | move->to);
	login->stage = move->to;
	if (move->to == FULL_FEATURE) {
		login->result.params = login->neg.params;
		login->over = true;
		answer->outcome = LOGIN_COMPLETE;
	}
	return 0;
}

/* The next piece of the answer. Only the last one may grant a transit: RFC 7143 11.13.7. */
static int login_send(struct iscsi_login *login, const struct iscsi_bhs *req,
		      struct iscsi_login_answer *answer)
{
	size_t len = login->out.len - login->sent;
	bool more = len > ISCSI_LOGIN_DATA_MAX;

	if (more)
		len = ISCSI_LOGIN_DATA_MAX;
	if (len > 0)
		answer->data = login->out.buf + login->sent;
	answer->data_len = (uint32_t)len;
	bhs_set_data_len(&answer->bhs, (uint32_t)len);
	login->sent += len;
	if (more)
		answer->bhs.b[1] |= BHS_CONTINUE;
	return more || !login_transit(req) ? 0 : login_transit_to(login, req, answer);
}

static int login_run(struct iscsi_login *login, const struct iscsi_bhs *req, const uint8_t *data,
		     struct iscsi_login_answer *answer)
{
	int r = login_check_header(login, req);

	if (r)
		return r;
	if (login->sent < login->out.len) { /* it must ask for the rest, and for nothing else */
		if (bhs_data_len(req) > 0 || bhs_continue(req))
			return LOGIN_INITIATOR_ERROR;
		return login_send(login, req, answer);
	}
	bytes_drop(&login->out);
	login->sent = 0;
	r = login_take_text(login, req, data);
	if (r || bhs_continue(req))
		return r;
	return login_send(login, req, answer);
}

int iscsi_login_step(struct iscsi_login *login, const struct iscsi_bhs *req, const uint8_t *data,
		     struct iscsi_login_answer *ret_answer)
{
	struct iscsi_login_answer answer = login_answer(login, req);
	int r;

	r = login_run(login, req, data, &answer);
	if (r < 0)
		return r;
	if (r > 0) {
		iscsi_login_refuse(&answer, (enum iscsi_login_status)r);
		login->over = true;
	}
	*ret_answer = answer;
	return 0;
}
