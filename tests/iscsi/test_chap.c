/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CHAP as an exchange of texts: which hash is taken, who is let in, what is malformed, and the
 * target's own proof. The digests below were computed by Python's hashlib. In FIPS mode libgcrypt
 * has no MD5; "fips" as the argument asks for the tests of that.
 */
#include "iscsi/keys.h"
#include <gcrypt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka.h wants the three above first. */
#include <cmocka.h>

#define USER "host"
#define SECRET "initiator secret"
#define T_USER "disk"
#define T_SECRET "the target's own"

/* What random bytes are here, one after the other, from a0 on. */
#define IDENTIFIER "160"
#define CHALLENGE "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf"
#define CHALLENGED "CHAP_I=" IDENTIFIER " CHAP_C=0x" CHALLENGE

/* Of SECRET to that challenge; of T_SECRET to CHAP_I=7 CHAP_C=0x0011223344. */
#define MD5 "2fee5ae181916e3a34810ab524e13152"
#define MD5_BASE64 "L+5a4YGRbjo0gQq1JOExUg=="
#define T_MD5 "ba3752553d4e9dd4e48cbefe8eeae9aa"

static const struct vector {
	unsigned number;
	const char *ours, *theirs; /* of SECRET, of T_SECRET */
} vectors[] = {
	{5, MD5, T_MD5},
	{6, "24e7156baa1ce679ebebeb7681ce42c383bdfd7c", "30c5a459f85d58c3974c28c6f1fc1425e641a79d"},
	{7, "af65bac1698813202c554b2038e0d11755d63d58b17fd1f43e73c80ab320eedd",
	 "6f2230408107cff118d25cb3d424a274e300e40ae699be3e1f9ee96695e1e047"},
	{8, "c8e6115e2b64da225be78cd98d571db44ca749bd2a53d4847eb7d3d8d26a01d7",
	 "f76c4711b5d168a3fc14ca18cefc95e32ad448105bea1d9162422d80c6042ee9"},
};

/* ---- the target ---- */

static size_t random_len; /* how much was asked for */

static void host_random(const struct iscsi_login_host *host, void *buf, size_t len)
{
	(void)host;
	random_len += len;
	for (size_t i = 0; i < len; i++)
		((uint8_t *)buf)[i] = (uint8_t)(0xa0 + i);
}

static const struct iscsi_login_host host = {.random = host_random};

static struct iscsi_chap_account account(const char *name, const char *secret)
{
	struct iscsi_chap_account account = {.secret_len = (uint8_t)strlen(secret)};

	strcpy(account.name, name);
	memcpy(account.secret, secret, strlen(secret));
	return account;
}

static void target_init(struct iscsi_negotiation *neg, const char *user, const char *target_user)
{
	struct iscsi_chap_account initiator = account(user, SECRET),
				  target = account(target_user, *target_user ? T_SECRET : "");
	struct iscsi_chap_secrets *secrets;

	random_len = 0;
	iscsi_negotiation_init(neg, &iscsi_default_limits, false, true);
	neg->stage = IN_SECURITY;
	assert_int_equal(iscsi_chap_secrets_new(&initiator, &target, &secrets), 0);
	assert_int_equal(iscsi_chap_new(&host, secrets, &neg->chap), 0);
}

static void target_fini(struct iscsi_negotiation *neg)
{
	iscsi_chap_free(neg->chap);
}

/* Each in the heap and to the byte; in rows a blank stands for the NUL after a pair. */
static enum iscsi_login_status say(struct iscsi_negotiation *neg, const char *pairs,
				   char *ret_answer, size_t cap)
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

/* @answered matters only where there is success. */
static void says(struct iscsi_negotiation *neg, enum iscsi_login_status status, const char *sent,
		 const char *answered)
{
	char answer[ISCSI_CHAP_ANSWER_MAX + 64];

	assert_int_equal(say(neg, sent, answer, sizeof(answer)), status);
	if (status == LOGIN_SUCCESS)
		assert_string_equal(answer, answered);
}

/* As far as the challenge, by the hash of this number. */
static void target_challenges(struct iscsi_negotiation *neg, unsigned number)
{
	char list[32], answer[256];

	target_init(neg, USER, T_USER);
	says(neg, LOGIN_SUCCESS, "AuthMethod=CHAP", "AuthMethod=CHAP");
	snprintf(list, sizeof(list), "CHAP_A=%u", number);
	snprintf(answer, sizeof(answer), "CHAP_A=%u " CHALLENGED, number);
	says(neg, LOGIN_SUCCESS, list, answer);
	assert_false(iscsi_chap_done(neg->chap));
}

/* ---- hashes ---- */

static void vectors_hold(const struct vector *from)
{
	const struct vector *end = vectors + sizeof(vectors) / sizeof(vectors[0]);

	for (const struct vector *v = from; v < end; v++) {
		struct iscsi_negotiation neg;
		char sent[512], answer[256];

		target_challenges(&neg, v->number);
		snprintf(sent, sizeof(sent), "CHAP_N=" USER " CHAP_R=0x%s", v->ours);
		says(&neg, LOGIN_SUCCESS, sent, "");
		assert_true(iscsi_chap_done(neg.chap));
		target_fini(&neg);

		target_challenges(&neg, v->number);
		strcat(sent, " CHAP_I=7 CHAP_C=0x0011223344");
		snprintf(answer, sizeof(answer), "CHAP_N=" T_USER " CHAP_R=0x%s", v->theirs);
		says(&neg, LOGIN_SUCCESS, sent, answer);
		assert_true(iscsi_chap_done(neg.chap));
		target_fini(&neg);
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

		target_init(&neg, USER, "");
		says(&neg, LOGIN_SUCCESS, "AuthMethod=SRP,CHAP,None", "AuthMethod=CHAP");
		snprintf(sent, sizeof(sent), "CHAP_A=%s", row->list);
		snprintf(answer, sizeof(answer), "CHAP_A=%u " CHALLENGED, row->chosen);
		says(&neg, row->status, sent, answer);
		target_fini(&neg);
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
#define RIGHT "CHAP_N=" USER " CHAP_R=0x" MD5
#define MUTUAL "CHAP_I=7 CHAP_C=0x0011223344"

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

		target_init(&neg, USER, T_USER);
		for (int n = 0; n < 4 && rows[i].sent[n]; n++) {
			bool last = n == 3 || !rows[i].sent[n + 1];

			assert_int_equal(say(&neg, rows[i].sent[n], answer, sizeof(answer)),
					 last ? rows[i].status : LOGIN_SUCCESS);
		}
		target_fini(&neg);
	}
}

/* ---- the initiator's proof ---- */

/* The outcome of one last step, which is to be MD5's. */
static enum iscsi_login_status respond(const char *user, const char *sent)
{
	struct iscsi_negotiation neg;
	enum iscsi_login_status status;
	char answer[1024];

	target_init(&neg, user, T_USER);
	says(&neg, LOGIN_SUCCESS, AGREED, AGREED);
	says(&neg, LOGIN_SUCCESS, "CHAP_A=5", "CHAP_A=5 " CHALLENGED);
	assert_int_equal(random_len, 1 + 32);
	status = say(&neg, sent, answer, sizeof(answer));
	assert_int_equal(status == LOGIN_SUCCESS, iscsi_chap_done(neg.chap));
	target_fini(&neg);
	return status;
}

static void a_response_may_be_written_in_several_ways(void **state)
{
	static const struct {
		const char *value;
		enum iscsi_login_status status;
	} rows[] = {
		{"0x" MD5, LOGIN_SUCCESS},
		{"0X2FEE5AE181916E3a34810ab524e13152", LOGIN_SUCCESS},
		{"0b" MD5_BASE64, LOGIN_SUCCESS},
		{"0B" MD5_BASE64, LOGIN_SUCCESS},
		{MD5, LOGIN_INITIATOR_ERROR},
		{MD5_BASE64, LOGIN_INITIATOR_ERROR},
		{"0b" MD5, LOGIN_AUTH_FAILED}, /* base64, but of 24 other bytes */
		{"0x" MD5_BASE64, LOGIN_INITIATOR_ERROR},
		{"", LOGIN_INITIATOR_ERROR},
		{"0", LOGIN_INITIATOR_ERROR},
		{"0x", LOGIN_INITIATOR_ERROR},
		{"0b", LOGIN_INITIATOR_ERROR},
		{"0y" MD5, LOGIN_INITIATOR_ERROR},
		{"0x" MD5 "g", LOGIN_INITIATOR_ERROR},
		{"0bL+5a4YGRbjo0gQq1JOExUg=", LOGIN_INITIATOR_ERROR},
		{"0bL+5a4YGRbjo0gQq1JOExUh==", LOGIN_INITIATOR_ERROR}, /* bits left over */
		{"0bL-5a4YGRbjo0gQq1JOExUg==", LOGIN_INITIATOR_ERROR},
		{"12345678901234567890", LOGIN_INITIATOR_ERROR}, /* decimal: it has no length */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char sent[256];

		snprintf(sent, sizeof(sent), "CHAP_N=" USER " CHAP_R=%s", rows[i].value);
		assert_int_equal(respond(USER, sent), rows[i].status);
	}
}

/* @len bytes that begin with the right response, in one of the two encodings, or cut short. */
static void write_response(char *to, size_t len, bool base64)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint8_t bytes[1026 + 2] = {0};

	for (size_t i = 0; i < 16 && i < len; i++)
		sscanf(MD5 + 2 * i, "%2hhx", &bytes[i]);
	to += sprintf(to, base64 ? "0b" : "0x");
	for (size_t i = 0; !base64 && i < len; i++)
		to += sprintf(to, "%02x", bytes[i]);
	for (size_t i = 0; base64 && i < len; i += 3) {
		uint32_t group = be24_get(bytes + i);

		*to++ = digits[group >> 18];
		*to++ = digits[group >> 12 & 63];
		*to++ = len - i > 1 ? digits[group >> 6 & 63] : '=';
		*to++ = len - i > 2 ? digits[group & 63] : '=';
	}
	*to = '\0';
}

static void a_response_has_the_length_of_its_hash(void **state)
{
	static const struct {
		size_t len;
		enum iscsi_login_status status;
	} rows[] = {
		{1, LOGIN_AUTH_FAILED},	       {15, LOGIN_AUTH_FAILED},
		{16, LOGIN_SUCCESS},	       {17, LOGIN_AUTH_FAILED},
		{20, LOGIN_AUTH_FAILED},       {32, LOGIN_AUTH_FAILED},
		{33, LOGIN_AUTH_FAILED},       {95, LOGIN_AUTH_FAILED},
		{1023, LOGIN_AUTH_FAILED},     {1024, LOGIN_AUTH_FAILED},
		{1025, LOGIN_INITIATOR_ERROR}, {1026, LOGIN_INITIATOR_ERROR},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (int base64 = 0; base64 <= 1; base64++) {
			char sent[4096] = "CHAP_N=" USER " CHAP_R=";

			write_response(sent + strlen(sent), rows[i].len, base64);
			assert_int_equal(respond(USER, sent), rows[i].status);
		}
}

static void no_bit_of_a_response_may_differ(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < 128; bit++) {
		char sent[] = RIGHT, *digit = sent + strlen(sent) - 32 + bit / 4;
		static const char digits[] = "0123456789abcdef";

		*digit = digits[(strchr(digits, *digit) - digits) ^ (1 << bit % 4)];
		assert_int_equal(respond(USER, sent), LOGIN_AUTH_FAILED);
	}
}

/* A name is a text: what looks like a number in it is not decoded, and nothing is folded. */
static void a_name_is_compared_as_it_stands(void **state)
{
	static const char *const names[] = {"host",   "0x686f7374",  "0baG9zdA==", "host,5",
					    "Host=x", "h\xc3\xb6st", "0x",	   "0b"};
	static const char *const others[] = {"",
					     "hos",
					     "host1",
					     "HOST",
					     "0x686f7374",
					     "0baG9zdA==",
					     "iqn.2001-04.com.example:host",
					     T_USER};
	char sent[512], longest[ISCSI_CHAP_NAME_MAX + 2];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(sent, sizeof(sent), "CHAP_R=0x" MD5 " CHAP_N=%s", names[i]);
		assert_int_equal(respond(names[i], sent), LOGIN_SUCCESS);
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		snprintf(sent, sizeof(sent), "CHAP_R=0x" MD5 " CHAP_N=%s", others[i]);
		assert_int_equal(respond(USER, sent), LOGIN_AUTH_FAILED);
	}
	memset(longest, 'n', ISCSI_CHAP_NAME_MAX + 1);
	longest[ISCSI_CHAP_NAME_MAX + 1] = '\0';
	snprintf(sent, sizeof(sent), "CHAP_R=0x" MD5 " CHAP_N=%s", longest);
	assert_int_equal(respond(USER, sent), LOGIN_INITIATOR_ERROR);
	longest[ISCSI_CHAP_NAME_MAX] = '\0';
	snprintf(sent, sizeof(sent), "CHAP_R=0x" MD5 " CHAP_N=%s", longest);
	assert_int_equal(respond(USER, sent), LOGIN_AUTH_FAILED);
	assert_int_equal(respond(longest, sent), LOGIN_SUCCESS);
}

/* ---- the target's proof ---- */

static void an_initiator_may_ask_who_we_are(void **state)
{
	static const struct {
		const char *sent;
		enum iscsi_login_status status;
	} rows[] = {
		{"CHAP_I=0 CHAP_C=0x00", LOGIN_SUCCESS},
		{"CHAP_I=0xff CHAP_C=0bAA==", LOGIN_SUCCESS},
		{"CHAP_I=255 CHAP_C=0x1", LOGIN_SUCCESS}, /* a byte with one digit */
		{"CHAP_I=256 CHAP_C=0x00", LOGIN_INITIATOR_ERROR},
		{"CHAP_I=-1 CHAP_C=0x00", LOGIN_INITIATOR_ERROR},
		{"CHAP_I= CHAP_C=0x00", LOGIN_INITIATOR_ERROR},
		{"CHAP_I=1 CHAP_C=", LOGIN_INITIATOR_ERROR},
		{"CHAP_I=1 CHAP_C=0x", LOGIN_INITIATOR_ERROR},
		{"CHAP_I=1 CHAP_C=0b====", LOGIN_INITIATOR_ERROR},
		{"CHAP_I=1 CHAP_C=77", LOGIN_INITIATOR_ERROR},
		/* our own challenge, whatever its identifier, however it is written */
		{CHALLENGED, LOGIN_AUTH_FAILED},
		{"CHAP_I=1 CHAP_C=0x" CHALLENGE, LOGIN_AUTH_FAILED},
		{"CHAP_I=1 CHAP_C=0boKGio6SlpqeoqaqrrK2ur7CxsrO0tba3uLm6u7y9vr8=",
		 LOGIN_AUTH_FAILED},
		/* one that only begins or ends like it */
		{"CHAP_I=1 CHAP_C=0x" CHALLENGE "00", LOGIN_SUCCESS},
		{"CHAP_I=1 CHAP_C=0x00" CHALLENGE, LOGIN_SUCCESS},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char sent[512];

		snprintf(sent, sizeof(sent), RIGHT " %s", rows[i].sent);
		assert_int_equal(respond(USER, sent), rows[i].status);
	}
}

static void a_challenge_has_1024_bytes_at_most(void **state)
{
	(void)state;
	for (size_t len = 1023; len <= 1026; len++)
		for (int base64 = 0; base64 <= 1; base64++) {
			char sent[4096] = RIGHT " CHAP_I=1 CHAP_C=";

			write_response(sent + strlen(sent), len, base64);
			assert_int_equal(respond(USER, sent),
					 len > 1024 ? LOGIN_INITIATOR_ERROR : LOGIN_SUCCESS);
		}
}

/* Who has not proved himself gets no response to play with. */
static void nothing_is_proved_to_a_stranger(void **state)
{
	struct iscsi_negotiation neg;
	char answer[1024];

	(void)state;
	target_init(&neg, USER, T_USER);
	says(&neg, LOGIN_SUCCESS, AGREED, AGREED);
	says(&neg, LOGIN_SUCCESS, "CHAP_A=5", "CHAP_A=5 " CHALLENGED);
	assert_int_equal(
		say(&neg, "CHAP_N=" USER " CHAP_R=0x" T_MD5 " " MUTUAL, answer, sizeof(answer)),
		LOGIN_AUTH_FAILED);
	assert_string_equal(answer, "");
	target_fini(&neg);
}

static void a_target_without_a_secret_proves_nothing(void **state)
{
	struct iscsi_negotiation neg;

	(void)state;
	target_init(&neg, USER, "");
	says(&neg, LOGIN_SUCCESS, AGREED, AGREED);
	says(&neg, LOGIN_SUCCESS, "CHAP_A=5", "CHAP_A=5 " CHALLENGED);
	says(&neg, LOGIN_AUTH_FAILED, RIGHT " " MUTUAL, "");
	assert_false(iscsi_chap_done(neg.chap));
	target_fini(&neg);
}

static void the_longest_answer_fits(void **state)
{
	char name[ISCSI_CHAP_NAME_MAX + 1], sent[512], answer[ISCSI_CHAP_ANSWER_MAX + 1];
	struct iscsi_negotiation neg;

	(void)state;
	memset(name, 'd', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	target_init(&neg, USER, name);
	says(&neg, LOGIN_SUCCESS, AGREED, AGREED);
	says(&neg, LOGIN_SUCCESS, "CHAP_A=8", "CHAP_A=8 " CHALLENGED);
	snprintf(sent, sizeof(sent), "CHAP_N=" USER " CHAP_R=0x%s " MUTUAL, vectors[3].ours);
	assert_int_equal(say(&neg, sent, answer, sizeof(answer)), LOGIN_SUCCESS);
	assert_memory_equal(answer + strlen("CHAP_N="), name, sizeof(name) - 1);
	target_fini(&neg);
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
		cmocka_unit_test(a_response_may_be_written_in_several_ways),
		cmocka_unit_test(a_response_has_the_length_of_its_hash),
		cmocka_unit_test(no_bit_of_a_response_may_differ),
		cmocka_unit_test(a_name_is_compared_as_it_stands),
		cmocka_unit_test(an_initiator_may_ask_who_we_are),
		cmocka_unit_test(a_challenge_has_1024_bytes_at_most),
		cmocka_unit_test(nothing_is_proved_to_a_stranger),
		cmocka_unit_test(a_target_without_a_secret_proves_nothing),
		cmocka_unit_test(the_longest_answer_fits),
	};
	const struct CMUnitTest fips_tests[] = {
		cmocka_unit_test(without_md5_it_is_not_in_the_list),
	};

	if (argc > 1 && strcmp(argv[1], "fips") == 0)
		return cmocka_run_group_tests(fips_tests, in_fips_mode, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
