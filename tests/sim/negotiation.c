/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model initiator's login: random legal keys in random order, cut into requests anywhere.
 * What the target answers is held against the rule of each key. Source: RFC 7143 6, 13.
 */
#include "initiator.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECURITY_STAGE 0
#define OPERATIONAL_STAGE 1
#define FULL_FEATURE 3

enum rule {
	RULE_MIN,     /* the answer is not above our offer */
	RULE_MAX,     /* not below it */
	RULE_OR,      /* Yes when we say Yes */
	RULE_AND,     /* No when we say No */
	RULE_DIGEST,  /* one of our list: value 0 None, 1 CRC32C, 2 either */
	RULE_NONE,    /* "None" */
	RULE_UNKNOWN, /* "NotUnderstood" */
	RULE_DECLARED /* no answer */
};

/* clang-format off */
static const struct key {
	const char *name;
	enum rule rule;
	uint8_t stage;
	uint16_t permille; /* how often it is offered */
	uint32_t values[4];
} keys[] = {
	{"AuthMethod", RULE_NONE, SECURITY_STAGE, 1000, {0}},
	{"HeaderDigest", RULE_DIGEST, OPERATIONAL_STAGE, 800, {0, 1, 2, 2}},
	{"DataDigest", RULE_DIGEST, OPERATIONAL_STAGE, 800, {0, 1, 2, 0}},
	{"InitialR2T", RULE_OR, OPERATIONAL_STAGE, 800, {0, 0, 0, 1}},
	{"ImmediateData", RULE_AND, OPERATIONAL_STAGE, 800, {0, 1, 1, 1}},
	{"MaxBurstLength", RULE_MIN, OPERATIONAL_STAGE, 800, {8192, 20000, 65536, 262144}},
	{"FirstBurstLength", RULE_MIN, OPERATIONAL_STAGE, 0, {512, 4000, 8192, 8192}},
	{"MaxOutstandingR2T", RULE_MIN, OPERATIONAL_STAGE, 800, {1, 2, 4, 16}},
	{"DefaultTime2Wait", RULE_MAX, OPERATIONAL_STAGE, 500, {0, 2, 5, 3600}},
	{"DefaultTime2Retain", RULE_MIN, OPERATIONAL_STAGE, 500, {0, 20, 60, 3600}},
	{"MaxConnections", RULE_MIN, OPERATIONAL_STAGE, 500, {1, 1, 2, 8}},
	{"ErrorRecoveryLevel", RULE_MIN, OPERATIONAL_STAGE, 500, {0, 0, 1, 2}},
	{"DataPDUInOrder", RULE_OR, OPERATIONAL_STAGE, 500, {1, 1, 1, 1}},
	{"DataSequenceInOrder", RULE_OR, OPERATIONAL_STAGE, 500, {1, 1, 1, 1}},
	{"X-org.duotgt.sim", RULE_UNKNOWN, OPERATIONAL_STAGE, 300, {1, 2, 3, 4}},
	{"MaxRecvDataSegmentLength", RULE_DECLARED, OPERATIONAL_STAGE, 800,
	 {512, 1000, 8192, 65536}},
};
/* clang-format on */

#define N_KEYS (sizeof(keys) / sizeof(keys[0]))
_Static_assert(N_KEYS <= LOGIN_OFFERS_MAX, "room for all offers");

/* ---- what we say ---- */

static void put_text(struct initiator *ini, const char *key, const char *value)
{
	ini->keys_len +=
		1 + (size_t)snprintf(ini->keys + ini->keys_len, sizeof(ini->keys) - ini->keys_len,
				     "%s=%s", key, value);
}

static const char *value_text(const struct key *key, uint32_t value, char *buf, size_t len)
{
	static const char *const digests[] = {"None", "CRC32C", "CRC32C,None"};

	switch (key->rule) {
	case RULE_OR:
	case RULE_AND:
		return value ? "Yes" : "No";
	case RULE_DIGEST:
		return digests[value];
	case RULE_NONE:
		return "None";
	default:
		snprintf(buf, len, value % 3 == 1 ? "0x%x" : "%u", value);
		return buf;
	}
}

static void offer(struct initiator *ini, size_t i, uint32_t value)
{
	char buf[24];

	ini->offers[i] = (struct login_offer){.value = value, .sent = true};
	put_text(ini, keys[i].name, value_text(&keys[i], value, buf, sizeof(buf)));
	if (keys[i].rule == RULE_DECLARED)
		ini->terms.max_recv = value;
	/* These two go together: the first burst must not exceed the maximum (13.14). */
	if (!strcmp(keys[i].name, "MaxBurstLength"))
		offer(ini, i + 1, keys[i + 1].values[ini_below(ini, 4)]);
}

/* The keys of a stage, beginning anywhere in the table. */
static void offer_stage(struct initiator *ini, uint8_t stage)
{
	size_t first = ini_below(ini, N_KEYS);

	for (size_t n = 0; n < N_KEYS; n++) {
		size_t i = (first + n) % N_KEYS;

		if (keys[i].stage == stage && ini_chance(ini, keys[i].permille))
			offer(ini, i, keys[i].values[ini_below(ini, 4)]);
	}
}

/* One Login Request with all that is left of the stage's keys, or with a part of it. */
static void send_request(struct initiator *ini)
{
	struct iscsi_bhs bhs = {{OP_LOGIN_REQ | BHS_IMMEDIATE}};
	size_t left = ini->keys_len - ini->keys_sent, n = left;
	const char *text = ini->keys + ini->keys_sent;

	ini->cut = ini->asked_transit = false;
	if (ini->login_steps++ == 100)
		world_fail(ini->world, "initiator %u: login never ends", ini->index);
	if (left > 1 && ini_chance(ini, 300)) {
		n = 1 + ini_below(ini, left - 1);
		ini->cut = true; /* even in the middle of a pair: C says that there is more */
	} else if (left && ini->keys_sent >= ini->names_len && ini_chance(ini, 300)) {
		n = strlen(text) + 1; /* one whole pair, and no transition yet */
		ini->asked_transit = n == left;
	} else {
		ini->asked_transit = true;
	}
	bhs.b[1] = (uint8_t)(ini->csg << 2);
	if (ini->cut)
		bhs.b[1] |= BHS_CONTINUE;
	if (ini->asked_transit)
		bhs.b[1] |= (uint8_t)(BHS_FINAL | ini->nsg);
	memcpy(bhs.b + 8, (const uint8_t[]){0x80, 0, 0, 1, 0, (uint8_t)ini->index}, 6); /* ISID */
	bhs_set_itt(&bhs, 7);
	initiator_number(ini, &bhs, true);
	ini->keys_sent += n;
	initiator_send(ini, &bhs, text, (uint32_t)n);
}

static void enter_stage(struct initiator *ini, uint8_t stage)
{
	ini->csg = stage;
	offer_stage(ini, stage);
	ini->nsg =
		stage == SECURITY_STAGE && ini_chance(ini, 800) ? OPERATIONAL_STAGE : FULL_FEATURE;
	send_request(ini);
}

void login_start(struct initiator *ini)
{
	char name[64];

	ini->terms = (struct login_terms){.max_send = 8192,
					  .max_recv = 8192,
					  .max_burst = 262144,
					  .first_burst = 65536,
					  .max_r2t = 1,
					  .initial_r2t = true,
					  .immediate_data = true};
	memset(ini->offers, 0, sizeof(ini->offers));
	ini->keys_len = ini->keys_sent = ini->answer_len = 0;
	ini->login_steps = 0;
	snprintf(name, sizeof(name), "iqn.2025-01.org.duotgt.sim:%u", ini->index);
	put_text(ini, "InitiatorName", name);
	put_text(ini, "TargetName", "iqn.2025-01.org.duotgt:sim");
	put_text(ini, "SessionType", "Normal");
	ini->names_len = ini->keys_len;
	enter_stage(ini, ini_chance(ini, 500) ? SECURITY_STAGE : OPERATIONAL_STAGE);
}

/* ---- what the target says ---- */

static bool yes_or_no(const char *value, uint32_t *ret_value)
{
	*ret_value = !strcmp(value, "Yes");
	return *ret_value || !strcmp(value, "No");
}

static bool number(const char *value, uint32_t *ret_value)
{
	char *end;

	*ret_value = (uint32_t)strtoul(value, &end, 0);
	return *value && !*end;
}

static bool answer_is_legal(const struct key *key, uint32_t ours, const char *value,
			    uint32_t *ret_value)
{
	switch (key->rule) {
	case RULE_MIN:
		return number(value, ret_value) && *ret_value <= ours;
	case RULE_MAX:
		return number(value, ret_value) && *ret_value >= ours;
	case RULE_OR:
		return yes_or_no(value, ret_value) && (*ret_value || !ours);
	case RULE_AND:
		return yes_or_no(value, ret_value) && (!*ret_value || ours);
	case RULE_DIGEST:
		*ret_value = !strcmp(value, "CRC32C");
		return (*ret_value || !strcmp(value, "None")) && (ours == 2 || ours == *ret_value);
	case RULE_NONE:
		return !strcmp(value, "None");
	case RULE_UNKNOWN:
		return !strcmp(value, "NotUnderstood");
	case RULE_DECLARED:
		return false;
	}
	return false;
}

static void settle(struct login_terms *terms, const char *name, uint32_t value)
{
	if (!strcmp(name, "HeaderDigest"))
		terms->header_digest = value;
	else if (!strcmp(name, "DataDigest"))
		terms->data_digest = value;
	else if (!strcmp(name, "InitialR2T"))
		terms->initial_r2t = value;
	else if (!strcmp(name, "ImmediateData"))
		terms->immediate_data = value;
	else if (!strcmp(name, "MaxBurstLength"))
		terms->max_burst = value;
	else if (!strcmp(name, "FirstBurstLength"))
		terms->first_burst = value;
	else if (!strcmp(name, "MaxOutstandingR2T"))
		terms->max_r2t = value;
}

/* Return: false when the target may not say this. */
static bool take_pair(struct initiator *ini, const char *name, const char *value)
{
	uint32_t n = 0;

	if (!strcmp(name, "MaxRecvDataSegmentLength")) {
		if (!number(value, &n) || n < 512)
			return false;
		ini->terms.max_send = n;
		return true;
	}
	if (!strcmp(name, "TargetPortalGroupTag") || !strcmp(name, "TargetAlias"))
		return true;
	for (size_t i = 0; i < N_KEYS; i++) {
		struct login_offer *o = &ini->offers[i];

		if (strcmp(name, keys[i].name) != 0)
			continue;
		if (!o->sent || o->answered || !answer_is_legal(&keys[i], o->value, value, &n))
			return false;
		o->answered = true;
		settle(&ini->terms, name, n);
		return true;
	}
	return false;
}

static void take_answer(struct initiator *ini)
{
	char *p = ini->answer, *end = p + ini->answer_len;

	if (ini->answer_len && end[-1] != '\0') {
		world_fail(ini->world, "initiator %u: text without its NUL", ini->index);
		return;
	}
	while (p < end) {
		size_t len = strlen(p);
		char *equals = strchr(p, '=');

		if (equals)
			*equals = '\0';
		if (!equals || !take_pair(ini, p, equals + 1))
			world_fail(ini->world, "initiator %u: login answer %s=%s", ini->index, p,
				   equals ? equals + 1 : "");
		p += len + 1;
	}
	ini->answer_len = 0;
}

static void login_complete(struct initiator *ini)
{
	for (size_t i = 0; i < N_KEYS; i++)
		if (ini->offers[i].sent && !ini->offers[i].answered &&
		    keys[i].rule != RULE_DECLARED)
			world_fail(ini->world, "initiator %u: %s was never answered", ini->index,
				   keys[i].name);
	if (ini->terms.first_burst > ini->terms.max_burst)
		world_fail(ini->world, "initiator %u: FirstBurstLength above MaxBurstLength",
			   ini->index);
	ini->phase = INI_FULL;
	ini->digests_on = true;
	player_logged_in(ini);
}

void login_pdu(struct initiator *ini, const struct iscsi_bhs *bhs, const uint8_t *data,
	       uint32_t len)
{
	bool transits = bhs->b[1] & BHS_FINAL;

	if (bhs_opcode(bhs) != OP_LOGIN_RSP || bhs_itt(bhs) != 7 || bhs->b[36] || bhs->b[37]) {
		world_fail(ini->world, "initiator %u: login: opcode %02xh, status %02x%02xh",
			   ini->index, bhs_opcode(bhs), bhs->b[36], bhs->b[37]);
		return;
	}
	if ((transits && (!ini->asked_transit || login_nsg(bhs) != ini->nsg)) ||
	    login_csg(bhs) != ini->csg || (ini->cut && len) ||
	    ini->answer_len + len > sizeof(ini->answer)) {
		world_fail(ini->world, "initiator %u: login response %02xh with %u bytes",
			   ini->index, bhs->b[1], len);
		return;
	}
	memcpy(ini->answer + ini->answer_len, data, len);
	ini->answer_len += len;
	if (!bhs_continue(bhs) && !ini->cut)
		take_answer(ini);
	if (!transits) {
		send_request(ini);
		return;
	}
	if (!be16_get(bhs->b + 14) && ini->nsg == FULL_FEATURE)
		world_fail(ini->world, "initiator %u: no TSIH", ini->index);
	if (ini->nsg == FULL_FEATURE)
		login_complete(ini);
	else
		enter_stage(ini, ini->nsg);
}
