/* SPDX-License-Identifier: Apache-2.0 */
#include "iscsi/keys.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>

#define VALUE_MAX 255 /* bytes of a simple value, RFC 7143 6.1 */

enum key_outcome {
	KEY_ANSWER,	  /* with the value written */
	KEY_SILENT,	  /* no answer is due */
	KEY_ILLEGAL,	  /* the value is not one that this key may have */
	KEY_NO_AUTH,	  /* no way to authenticate that both sides allow */
	KEY_OUT_OF_PLACE, /* protocol error */
};

struct key;
typedef enum key_outcome key_fn(struct iscsi_negotiation *neg, const struct key *key,
				const struct iscsi_pair *pair, char *ret_value);

enum {
	LEADING_ONLY = 1,  /* Use: LO */
	NORMAL_ONLY = 2,   /* Irrelevant when: SessionType=Discovery */
	DECLARED = 4,	   /* no answer; an illegal value has no way back but a refusal */
	LIST = 8,	   /* a list of values: may be longer than one value */
	FROM_TARGET = 16,  /* Senders: Target */
	AFTER_OTHERS = 32, /* depends on the result of others in the same text */
};

#define SECURITY_ONLY IN_SECURITY
#define OPERATIONAL_ONLY IN_OPERATIONAL
#define LOGIN_ONLY (IN_SECURITY | IN_OPERATIONAL)
#define FULL_FEATURE_ONLY IN_FULL_FEATURE
#define NOT_IN_SECURITY (IN_OPERATIONAL | IN_FULL_FEATURE)
#define ANYWHERE (LOGIN_ONLY | IN_FULL_FEATURE)

struct key {
	const char *name; /* as RFC 7143 spells it */
	key_fn *take;
	uint8_t stages, flags;
	uint8_t offset, size; /* of the field in struct iscsi_params, where there is one */
	uint32_t min, max;    /* legal values of a number */
};

/* ---- fields of struct iscsi_params ---- */

static uint32_t field_get(const struct iscsi_params *params, const struct key *key)
{
	const uint8_t *p = (const uint8_t *)params + key->offset;
	uint32_t u32 = 0;
	uint16_t u16 = 0;

	switch (key->size) {
	case 4:
		memcpy(&u32, p, 4);
		return u32;
	case 2:
		memcpy(&u16, p, 2);
		return u16;
	default:
		return *p;
	}
}

static void field_set(struct iscsi_params *params, const struct key *key, uint32_t value)
{
	uint8_t *p = (uint8_t *)params + key->offset;
	uint16_t u16 = (uint16_t)value;

	switch (key->size) {
	case 4:
		memcpy(p, &value, 4);
		break;
	case 2:
		memcpy(p, &u16, 2);
		break;
	default:
		*p = (uint8_t)value;
	}
}

/* ---- one function per kind of key ---- */

static void value_put(char *ret_value, const char *value)
{
	snprintf(ret_value, VALUE_MAX + 1, "%s", value);
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static bool number_in_range(const struct key *key, const struct iscsi_pair *pair, uint32_t *ret_n)
{
	return iscsi_pair_number(pair, ret_n) == 0 && *ret_n >= key->min && *ret_n <= key->max;
}

static enum key_outcome number_settle(struct iscsi_negotiation *neg, const struct key *key,
				      uint32_t n, char *ret_value)
{
	field_set(&neg->params, key, n);
	snprintf(ret_value, VALUE_MAX + 1, "%u", n);
	return KEY_ANSWER;
}

static enum key_outcome take_min(struct iscsi_negotiation *neg, const struct key *key,
				 const struct iscsi_pair *pair, char *ret_value)
{
	uint32_t n;

	if (!number_in_range(key, pair, &n))
		return KEY_ILLEGAL;
	return number_settle(neg, key, smaller(n, field_get(&neg->ours, key)), ret_value);
}

static enum key_outcome take_max(struct iscsi_negotiation *neg, const struct key *key,
				 const struct iscsi_pair *pair, char *ret_value)
{
	uint32_t n, ours = field_get(&neg->ours, key);

	if (!number_in_range(key, pair, &n))
		return KEY_ILLEGAL;
	return number_settle(neg, key, n > ours ? n : ours, ret_value);
}

/* RFC 7143 13.14: FirstBurstLength must not exceed MaxBurstLength. */
static enum key_outcome take_first_burst(struct iscsi_negotiation *neg, const struct key *key,
					 const struct iscsi_pair *pair, char *ret_value)
{
	uint32_t n;

	if (!number_in_range(key, pair, &n))
		return KEY_ILLEGAL;
	n = smaller(n, neg->ours.first_burst);
	return number_settle(neg, key, smaller(n, neg->params.max_burst), ret_value);
}

static enum key_outcome take_declared_number(struct iscsi_negotiation *neg, const struct key *key,
					     const struct iscsi_pair *pair, char *ret_value)
{
	uint32_t n;

	(void)ret_value;
	if (!number_in_range(key, pair, &n))
		return KEY_ILLEGAL;
	field_set(&neg->params, key, n);
	return KEY_SILENT;
}

static enum key_outcome take_boolean(struct iscsi_negotiation *neg, const struct key *key,
				     const struct iscsi_pair *pair, bool both, char *ret_value)
{
	bool theirs = iscsi_pair_value_is(pair, "Yes"), ours = field_get(&neg->ours, key), result;

	if (!theirs && !iscsi_pair_value_is(pair, "No"))
		return KEY_ILLEGAL;
	result = both ? theirs && ours : theirs || ours;
	field_set(&neg->params, key, result);
	value_put(ret_value, result ? "Yes" : "No");
	return KEY_ANSWER;
}

static enum key_outcome take_and(struct iscsi_negotiation *neg, const struct key *key,
				 const struct iscsi_pair *pair, char *ret_value)
{
	return take_boolean(neg, key, pair, true, ret_value);
}

static enum key_outcome take_or(struct iscsi_negotiation *neg, const struct key *key,
				const struct iscsi_pair *pair, char *ret_value)
{
	return take_boolean(neg, key, pair, false, ret_value);
}

/*
 * RFC 7143 6.2.1: the first value of the list that is one of @options (ended by NULL) and whose
 * bit is in @allowed; values that nobody knows are passed over. Return: its index, or -1.
 */
static int list_choose(const struct iscsi_pair *pair, const char *const options[], unsigned allowed)
{
	const char *p = pair->value, *end = p + pair->value_len;

	while (p < end) {
		const char *comma = memchr(p, ',', (size_t)(end - p));
		size_t len = (size_t)((comma ? comma : end) - p);

		for (int i = 0; options[i]; i++)
			if (allowed & 1u << i && strlen(options[i]) == len &&
			    memcmp(p, options[i], len) == 0)
				return i;
		p += len + 1;
	}
	return -1;
}

/* The bits of enum iscsi_digest_policy, in its order. */
static enum key_outcome take_digest(struct iscsi_negotiation *neg, const struct key *key,
				    const struct iscsi_pair *pair, unsigned policy, char *ret_value)
{
	static const char *const digests[] = {"None", "CRC32C", NULL};
	int chosen = list_choose(pair, digests, policy);

	if (chosen < 0)
		return KEY_ILLEGAL;
	field_set(&neg->params, key, (uint32_t)chosen);
	value_put(ret_value, digests[chosen]);
	return KEY_ANSWER;
}

static enum key_outcome take_header_digest(struct iscsi_negotiation *neg, const struct key *key,
					   const struct iscsi_pair *pair, char *ret_value)
{
	return take_digest(neg, key, pair, neg->header_digest, ret_value);
}

static enum key_outcome take_data_digest(struct iscsi_negotiation *neg, const struct key *key,
					 const struct iscsi_pair *pair, char *ret_value)
{
	return take_digest(neg, key, pair, neg->data_digest, ret_value);
}

/* A method of authentication is an entry here, and its exchange a set of rows below. */
static enum key_outcome take_auth_method(struct iscsi_negotiation *neg, const struct key *key,
					 const struct iscsi_pair *pair, char *ret_value)
{
	enum { NONE, CHAP };
	static const char *const methods[] = {[NONE] = "None", [CHAP] = "CHAP", NULL};
	int chosen = list_choose(pair, methods, neg->chap ? 1 << CHAP : 1 << NONE);

	(void)key;
	if (chosen < 0)
		return KEY_NO_AUTH;
	if (chosen == CHAP)
		iscsi_chap_agree(neg->chap);
	value_put(ret_value, methods[chosen]);
	return KEY_ANSWER;
}

/* Answered at the end of the text, by the step that the keys make up. */
static enum key_outcome take_chap(struct iscsi_negotiation *neg, const struct key *key,
				  const struct iscsi_pair *pair, char *ret_value)
{
	(void)key, (void)ret_value;
	return neg->chap && iscsi_chap_take(neg->chap, pair) ? KEY_SILENT : KEY_OUT_OF_PLACE;
}

/* Not an initiator's to send; or part of an exchange by a method that has not been agreed on. */
static enum key_outcome take_out_of_place(struct iscsi_negotiation *neg, const struct key *key,
					  const struct iscsi_pair *pair, char *ret_value)
{
	(void)neg, (void)key, (void)pair, (void)ret_value;
	return KEY_OUT_OF_PLACE;
}

/* InitiatorName and TargetName are taken before all else, by the login, from its first text. */
static enum key_outcome take_name(struct iscsi_negotiation *neg, const struct key *key,
				  const struct iscsi_pair *pair, char *ret_value)
{
	(void)key, (void)pair, (void)ret_value;
	return neg->named ? KEY_OUT_OF_PLACE : KEY_SILENT;
}

/* Taken as the names are. It may also come later, but then it changes nothing any more. */
static enum key_outcome take_session_type(struct iscsi_negotiation *neg, const struct key *key,
					  const struct iscsi_pair *pair, char *ret_value)
{
	(void)key, (void)ret_value;
	return iscsi_pair_value_is(pair, neg->discovery ? "Discovery" : "Normal") ? KEY_SILENT
										  : KEY_ILLEGAL;
}

/* Understood, without effect on us. */
static enum key_outcome take_note(struct iscsi_negotiation *neg, const struct key *key,
				  const struct iscsi_pair *pair, char *ret_value)
{
	(void)neg, (void)key, (void)pair, (void)ret_value;
	return KEY_SILENT;
}

/*
 * The semantics of RFC 3720: a task management response waits until all affected tasks are done.
 */
static enum key_outcome take_task_reporting(struct iscsi_negotiation *neg, const struct key *key,
					    const struct iscsi_pair *pair, char *ret_value)
{
	static const char *const semantics[] = {"RFC3720", NULL};
	int chosen = list_choose(pair, semantics, ~0u);

	(void)neg, (void)key;
	if (chosen < 0)
		return KEY_ILLEGAL;
	value_put(ret_value, semantics[chosen]);
	return KEY_ANSWER;
}

/* RFC 7143 13.25: No may be answered. To No it is what initiators of RFC 3720 wait for. */
static enum key_outcome take_marker(struct iscsi_negotiation *neg, const struct key *key,
				    const struct iscsi_pair *pair, char *ret_value)
{
	(void)neg, (void)key;
	if (!iscsi_pair_value_is(pair, "Yes") && !iscsi_pair_value_is(pair, "No"))
		return KEY_ILLEGAL;
	value_put(ret_value, "No");
	return KEY_ANSWER;
}

/* RFC 7143 13.25: must be answered Reject. */
static enum key_outcome take_marker_interval(struct iscsi_negotiation *neg, const struct key *key,
					     const struct iscsi_pair *pair, char *ret_value)
{
	(void)neg, (void)key, (void)pair, (void)ret_value;
	return KEY_ILLEGAL;
}

/* ---- the table ---- */

#define FIELD(f) offsetof(struct iscsi_params, f), sizeof(((struct iscsi_params *)NULL)->f)
#define NO_FIELD 0, 0
#define LENGTH_MAX 0xffffff /* 2^24 - 1 */

/* clang-format off */
static const struct key keys[] = {
	/* RFC 7143 12 */
	{"AuthMethod", take_auth_method, SECURITY_ONLY, LIST, NO_FIELD, 0, 0},
	{"CHAP_A", take_chap, SECURITY_ONLY, LIST, NO_FIELD, 0, 0},
	{"CHAP_I", take_chap, SECURITY_ONLY, LIST, NO_FIELD, 0, 0},
	{"CHAP_C", take_chap, SECURITY_ONLY, LIST, NO_FIELD, 0, 0},
	{"CHAP_N", take_chap, SECURITY_ONLY, LIST, NO_FIELD, 0, 0},
	{"CHAP_R", take_chap, SECURITY_ONLY, LIST, NO_FIELD, 0, 0},
	{"KRB_AP_REQ", take_out_of_place, SECURITY_ONLY, LIST, NO_FIELD, 0, 0},
	{"SRP_U", take_out_of_place, SECURITY_ONLY, LIST, NO_FIELD, 0, 0},
	{"SRP_GROUP", take_out_of_place, SECURITY_ONLY, LIST, NO_FIELD, 0, 0},
	{"SRP_A", take_out_of_place, SECURITY_ONLY, LIST, NO_FIELD, 0, 0},
	{"SRP_M", take_out_of_place, SECURITY_ONLY, LIST, NO_FIELD, 0, 0},
	{"TargetAuth", take_out_of_place, SECURITY_ONLY, LIST, NO_FIELD, 0, 0},

	/* RFC 7143 13, in its order */
	{"HeaderDigest", take_header_digest, OPERATIONAL_ONLY, LIST, FIELD(header_digest), 0, 0},
	{"DataDigest", take_data_digest, OPERATIONAL_ONLY, LIST, FIELD(data_digest), 0, 0},
	{"MaxConnections", take_min, OPERATIONAL_ONLY, LEADING_ONLY | NORMAL_ONLY,
	 FIELD(max_connections), 1, 65535},
	{"SendTargets", take_note, FULL_FEATURE_ONLY, 0, NO_FIELD, 0, 0}, /* the caller's */
	{"TargetName", take_name, LOGIN_ONLY, DECLARED, NO_FIELD, 0, 0},
	{"InitiatorName", take_name, LOGIN_ONLY, DECLARED, NO_FIELD, 0, 0},
	{"TargetAlias", take_out_of_place, ANYWHERE, FROM_TARGET, NO_FIELD, 0, 0},
	{"InitiatorAlias", take_note, ANYWHERE, DECLARED, NO_FIELD, 0, 0},
	{"TargetAddress", take_out_of_place, ANYWHERE, FROM_TARGET, NO_FIELD, 0, 0},
	{"TargetPortalGroupTag", take_out_of_place, ANYWHERE, FROM_TARGET, NO_FIELD, 0, 0},
	{"InitialR2T", take_or, OPERATIONAL_ONLY, LEADING_ONLY | NORMAL_ONLY,
	 FIELD(initial_r2t), 0, 0},
	{"ImmediateData", take_and, OPERATIONAL_ONLY, LEADING_ONLY | NORMAL_ONLY,
	 FIELD(immediate_data), 0, 0},
	{"MaxRecvDataSegmentLength", take_declared_number, NOT_IN_SECURITY, DECLARED,
	 FIELD(max_send_data_segment), 512, LENGTH_MAX},
	{"MaxBurstLength", take_min, OPERATIONAL_ONLY, LEADING_ONLY | NORMAL_ONLY,
	 FIELD(max_burst), 512, LENGTH_MAX},
	{"FirstBurstLength", take_first_burst, OPERATIONAL_ONLY,
	 LEADING_ONLY | NORMAL_ONLY | AFTER_OTHERS, FIELD(first_burst), 512, LENGTH_MAX},
	{"DefaultTime2Wait", take_max, OPERATIONAL_ONLY, LEADING_ONLY, FIELD(time2wait), 0, 3600},
	{"DefaultTime2Retain", take_min, OPERATIONAL_ONLY, LEADING_ONLY,
	 FIELD(time2retain), 0, 3600},
	{"MaxOutstandingR2T", take_min, OPERATIONAL_ONLY, LEADING_ONLY | NORMAL_ONLY,
	 FIELD(max_outstanding_r2t), 1, 65535},
	{"DataPDUInOrder", take_or, OPERATIONAL_ONLY, LEADING_ONLY | NORMAL_ONLY,
	 FIELD(data_pdu_in_order), 0, 0},
	{"DataSequenceInOrder", take_or, OPERATIONAL_ONLY, LEADING_ONLY | NORMAL_ONLY,
	 FIELD(data_sequence_in_order), 0, 0},
	{"ErrorRecoveryLevel", take_min, OPERATIONAL_ONLY, LEADING_ONLY,
	 FIELD(error_recovery_level), 0, 2},
	{"SessionType", take_session_type, LOGIN_ONLY, DECLARED, NO_FIELD, 0, 0},
	{"TaskReporting", take_task_reporting, OPERATIONAL_ONLY, LEADING_ONLY | NORMAL_ONLY | LIST,
	 NO_FIELD, 0, 0},
	/* RFC 7144 7.1.1 */
	{"iSCSIProtocolLevel", take_min, OPERATIONAL_ONLY, LEADING_ONLY | NORMAL_ONLY,
	 FIELD(protocol_level), 0, 31},
	{"IFMarker", take_marker, OPERATIONAL_ONLY, 0, NO_FIELD, 0, 0},
	{"OFMarker", take_marker, OPERATIONAL_ONLY, 0, NO_FIELD, 0, 0},
	{"IFMarkInt", take_marker_interval, OPERATIONAL_ONLY, 0, NO_FIELD, 0, 0},
	{"OFMarkInt", take_marker_interval, OPERATIONAL_ONLY, 0, NO_FIELD, 0, 0},
	/* Nothing may depend on its presence (13.26.2), so no stage is wrong for it. */
	{"X#NodeArchitecture", take_note, LOGIN_ONLY, DECLARED, NO_FIELD, 0, 0},
};
/* clang-format on */

#define N_KEYS (sizeof(keys) / sizeof(keys[0]))
_Static_assert(N_KEYS <= 64, "a bit per row in iscsi_negotiation.seen");

static const struct key *key_find(const struct iscsi_pair *pair)
{
	for (size_t i = 0; i < N_KEYS; i++)
		if (iscsi_pair_is(pair, keys[i].name))
			return &keys[i];
	return NULL;
}

/* ---- pairs ---- */

static void answer_put(struct bytes_out *answer, const struct iscsi_pair *pair, const char *value)
{
	char name[ISCSI_KEY_MAX + 1];

	assert(pair->key_len <= ISCSI_KEY_MAX);
	memcpy(name, pair->key, pair->key_len);
	name[pair->key_len] = '\0';
	iscsi_text_put(answer, name, value);
}

/* RFC 7143 6.2: constants that only an answer may hold. */
static bool value_is_verdict(const struct iscsi_pair *pair)
{
	return iscsi_pair_value_is(pair, "Reject") || iscsi_pair_value_is(pair, "Irrelevant") ||
	       iscsi_pair_value_is(pair, "NotUnderstood");
}

/* The key is known, sent once, and legal here. */
static enum key_outcome key_judge(struct iscsi_negotiation *neg, const struct key *key,
				  const struct iscsi_pair *pair, char *ret_value)
{
	if (key->flags & NORMAL_ONLY && neg->discovery) {
		value_put(ret_value, "Irrelevant");
		return KEY_ANSWER;
	}
	/* Settled by the leading connection: Reject leaves it as it is. */
	if (key->flags & LEADING_ONLY && !neg->leading)
		return KEY_ILLEGAL;
	if (pair->value_len > VALUE_MAX && !(key->flags & LIST))
		return KEY_ILLEGAL;
	return key->take(neg, key, pair, ret_value);
}

/* In the full feature phase a wrong key or value is answered; the login ends with it. */
static enum iscsi_login_status pair_reject(const struct iscsi_negotiation *neg,
					   const struct iscsi_pair *pair, bool refuse,
					   struct bytes_out *answer)
{
	if (refuse && neg->stage != IN_FULL_FEATURE)
		return LOGIN_INITIATOR_ERROR;
	answer_put(answer, pair, "Reject");
	return LOGIN_SUCCESS;
}

static enum iscsi_login_status pair_take(struct iscsi_negotiation *neg,
					 const struct iscsi_pair *pair, struct bytes_out *answer)
{
	const struct key *key = key_find(pair);
	char value[VALUE_MAX + 1];
	uint64_t bit;

	/* NotUnderstood to what we have declared is no news. Else we never ask. */
	if (value_is_verdict(pair))
		return key && key->flags & FROM_TARGET ? LOGIN_SUCCESS : LOGIN_INITIATOR_ERROR;
	if (!key) {
		/* Not remembered as seen: nothing is negotiated by it. */
		answer_put(answer, pair, "NotUnderstood");
		return LOGIN_SUCCESS;
	}
	bit = UINT64_C(1) << (key - keys);
	if (neg->seen & bit)
		return LOGIN_INITIATOR_ERROR;
	neg->seen |= bit;
	if (!(key->stages & neg->stage))
		return pair_reject(neg, pair, true, answer);

	switch (key_judge(neg, key, pair, value)) {
	case KEY_ANSWER:
		answer_put(answer, pair, value);
		return LOGIN_SUCCESS;
	case KEY_SILENT:
		return LOGIN_SUCCESS;
	case KEY_ILLEGAL:
		return pair_reject(neg, pair, key->flags & DECLARED, answer);
	case KEY_NO_AUTH:
		return LOGIN_AUTH_FAILED;
	case KEY_OUT_OF_PLACE:
		break;
	}
	return pair_reject(neg, pair, true, answer);
}

static bool pair_waits(const struct iscsi_pair *pair)
{
	const struct key *key = key_find(pair);

	return key && key->flags & AFTER_OTHERS;
}

/* One pass over the text: what stands alone, or what depends on it. */
static enum iscsi_login_status pairs_take(struct iscsi_negotiation *neg, struct bytes_in in,
					  bool late, bool *ret_waiting, struct bytes_out *answer)
{
	enum iscsi_login_status status;
	struct iscsi_pair pair;
	int r;

	while ((r = iscsi_text_next(&in, &pair)) > 0) {
		if (pair_waits(&pair) != late) {
			*ret_waiting = true;
			continue;
		}
		status = pair_take(neg, &pair, answer);
		if (status != LOGIN_SUCCESS)
			return status;
	}
	return r < 0 ? LOGIN_INITIATOR_ERROR : LOGIN_SUCCESS;
}

enum iscsi_login_status iscsi_negotiate(struct iscsi_negotiation *neg, const uint8_t *text,
					size_t len, struct bytes_out *answer)
{
	struct bytes_in in = bytes_in(text, len);
	enum iscsi_login_status status;
	bool waiting = false;

	status = pairs_take(neg, in, false, &waiting, answer);
	if (status == LOGIN_SUCCESS && waiting)
		status = pairs_take(neg, in, true, &waiting, answer);
	if (status == LOGIN_SUCCESS && neg->chap)
		status = iscsi_chap_step(neg->chap, answer);
	return status;
}

void iscsi_declare(struct bytes_out *out, const char *key, uint32_t value)
{
	char number[16];

	snprintf(number, sizeof(number), "%u", value);
	iscsi_text_put(out, key, number);
}

/* ---- begin and end ---- */

void iscsi_negotiation_init(struct iscsi_negotiation *neg, const struct iscsi_limits *limits,
			    bool discovery, bool leading)
{
	*neg = (struct iscsi_negotiation){
		.discovery = discovery,
		.leading = leading,
		.ours = limits->values,
		.header_digest = limits->header_digest,
		.data_digest = limits->data_digest,
		.params = iscsi_rfc_defaults,
	};
	if (discovery) /* RFC 7143 7.4.1 */
		neg->ours.error_recovery_level = 0;
}

enum iscsi_login_status iscsi_negotiation_settle(struct iscsi_negotiation *neg)
{
	struct iscsi_params *params = &neg->params;

	/* Also where MaxBurstLength came alone, and below the default of the other. */
	params->first_burst = smaller(params->first_burst, params->max_burst);
	if (!params->header_digest && !(neg->header_digest & DIGEST_NONE))
		return LOGIN_INITIATOR_ERROR;
	if (!params->data_digest && !(neg->data_digest & DIGEST_NONE))
		return LOGIN_INITIATOR_ERROR;
	return LOGIN_SUCCESS;
}

int iscsi_negotiate_full_feature(struct iscsi_params *params, const uint8_t *text, size_t len,
				 struct bytes_out *answer)
{
	struct iscsi_negotiation neg = {
		.stage = IN_FULL_FEATURE,
		.leading = true,
		.params = *params,
	};

	if (iscsi_negotiate(&neg, text, len, answer) != LOGIN_SUCCESS)
		return -EPROTO;
	*params = neg.params; /* all of it or none: RFC 7143 6.2 */
	return 0;
}
