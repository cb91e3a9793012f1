/* SPDX-License-Identifier: Apache-2.0 */
#include "iscsi/chap.h"
#include "iscsi/keys.h"
#include "util/gcrypt.h"

#define CHALLENGE_LEN 32 /* bytes: as many bits as the longest digest has */
#define DIGEST_MAX 32

/* "PPP Authentication Algorithms" of IANA. RFC 7143 requires the first. */
static const struct chap_hash {
	uint32_t number;
	int algo; /* libgcrypt's */
} hashes[] = {
	{5, GCRY_MD_MD5},
	{6, GCRY_MD_SHA1},
	{7, GCRY_MD_SHA256},
	{8, GCRY_MD_SHA3_256},
};

enum chap_key { CHAP_A, CHAP_I, CHAP_C, CHAP_N, CHAP_R, N_CHAP_KEYS };

static const char *const key_names[N_CHAP_KEYS] = {"CHAP_A", "CHAP_I", "CHAP_C", "CHAP_N",
						   "CHAP_R"};

enum chap_state { CHAP_IDLE, CHAP_AGREED, CHAP_CHALLENGED, CHAP_DONE };

#define BIT(key) (1u << (key))

/* What each step is made of. */
static const struct {
	unsigned allowed, required; /* sets of enum chap_key */
} steps[] = {
	[CHAP_IDLE] = {0, 0},
	[CHAP_AGREED] = {BIT(CHAP_A), BIT(CHAP_A)},
	[CHAP_CHALLENGED] = {BIT(CHAP_N) | BIT(CHAP_R) | BIT(CHAP_I) | BIT(CHAP_C),
			     BIT(CHAP_N) | BIT(CHAP_R)},
	[CHAP_DONE] = {0, 0},
};

struct iscsi_chap {
	const struct iscsi_login_host *host;
	struct iscsi_chap_secrets *secrets;
	enum chap_state state;
	bool agreed;
	unsigned said; /* a set of enum chap_key: of this text */
	struct iscsi_pair pairs[N_CHAP_KEYS];
	const struct chap_hash *hash;
	uint8_t identifier;
	uint8_t challenge[CHALLENGE_LEN];
};

/* The last step's values, decoded. */
struct response {
	char name[ISCSI_CHAP_NAME_MAX + 1]; /* zero behind its end */
	size_t len, challenge_len;	    /* challenge_len 0: the target need not answer */
	uint8_t identifier;
	uint8_t bytes[ISCSI_CHAP_BINARY_MAX], challenge[ISCSI_CHAP_BINARY_MAX];
};

int iscsi_chap_new(const struct iscsi_login_host *host, struct iscsi_chap_secrets *secrets,
		   struct iscsi_chap **ret_chap)
{
	struct iscsi_chap *chap = calloc(1, sizeof(*chap));

	if (!chap) {
		iscsi_chap_secrets_unref(secrets);
		return -ENOMEM;
	}
	gcrypt_init();
	chap->host = host;
	chap->secrets = secrets;
	*ret_chap = chap;
	return 0;
}

void iscsi_chap_free(struct iscsi_chap *chap)
{
	if (!chap)
		return;
	iscsi_chap_secrets_unref(chap->secrets);
	free(chap);
}

void iscsi_chap_agree(struct iscsi_chap *chap)
{
	chap->agreed = true;
}

bool iscsi_chap_agreed(const struct iscsi_chap *chap)
{
	return chap->agreed;
}

bool iscsi_chap_done(const struct iscsi_chap *chap)
{
	return chap->state == CHAP_DONE;
}

bool iscsi_chap_take(struct iscsi_chap *chap, const struct iscsi_pair *pair)
{
	for (unsigned key = 0; key < N_CHAP_KEYS; key++) {
		if (!(steps[chap->state].allowed & BIT(key)) ||
		    !iscsi_pair_is(pair, key_names[key]))
			continue;
		chap->pairs[key] = *pair;
		chap->said |= BIT(key);
		return true;
	}
	return false;
}

/* RFC 1994 4.1: of the identifier, the secret and the challenge, one behind the other. */
static enum iscsi_login_status digest(const struct chap_hash *hash, uint8_t identifier,
				      const struct iscsi_chap_account *account,
				      const uint8_t *challenge, size_t challenge_len,
				      uint8_t ret_digest[DIGEST_MAX])
{
	const gcry_buffer_t parts[] = {
		{.len = 1, .data = &identifier},
		{.len = account->secret_len, .data = (void *)account->secret},
		{.len = challenge_len, .data = (void *)challenge},
	};

	/* Some systems forbid a hash only when it is used. */
	return gcry_md_hash_buffers(hash->algo, 0, ret_digest, parts, 3) ? LOGIN_TARGET_ERROR
									 : LOGIN_SUCCESS;
}

/* ---- CHAP_A ---- */

/* One of ours, unless this system's rules forbid it, as FIPS 140 does MD5. */
static const struct chap_hash *hash_find(uint32_t number)
{
	for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++)
		if (hashes[i].number == number && gcry_md_test_algo(hashes[i].algo) == 0)
			return &hashes[i];
	return NULL;
}

/* The first of the list that we have: it is in the initiator's order of preference. */
static enum iscsi_login_status choose_hash(const struct iscsi_pair *list,
					   const struct chap_hash **ret_hash)
{
	const char *p = list->value, *end = p + list->value_len;

	*ret_hash = NULL;
	for (;;) {
		const char *comma = memchr(p, ',', (size_t)(end - p));
		struct iscsi_pair item = {.value = p,
					  .value_len = (size_t)((comma ? comma : end) - p)};
		uint32_t number;

		if (iscsi_pair_number(&item, &number) < 0)
			return LOGIN_INITIATOR_ERROR;
		if (!*ret_hash)
			*ret_hash = hash_find(number);
		if (!comma)
			return *ret_hash ? LOGIN_SUCCESS : LOGIN_AUTH_FAILED;
		p = comma + 1;
	}
}

static enum iscsi_login_status put_challenge(struct iscsi_chap *chap, struct bytes_out *answer)
{
	enum iscsi_login_status status = choose_hash(&chap->pairs[CHAP_A], &chap->hash);

	if (status != LOGIN_SUCCESS)
		return status;
	chap->host->random(chap->host, &chap->identifier, sizeof(chap->identifier));
	chap->host->random(chap->host, chap->challenge, sizeof(chap->challenge));
	iscsi_declare(answer, "CHAP_A", chap->hash->number);
	iscsi_declare(answer, "CHAP_I", chap->identifier);
	iscsi_text_put_binary(answer, "CHAP_C", chap->challenge, sizeof(chap->challenge));
	chap->state = CHAP_CHALLENGED;
	return LOGIN_SUCCESS;
}

/* ---- CHAP_N, CHAP_R ---- */

/* What can be said of the values without any secret. */
static enum iscsi_login_status decode(const struct iscsi_chap *chap, unsigned said,
				      struct response *response)
{
	const struct iscsi_pair *pairs = chap->pairs, *name = &pairs[CHAP_N];
	uint32_t identifier;

	/* A text, also when it looks like a binary value. */
	if (name->value_len > ISCSI_CHAP_NAME_MAX)
		return LOGIN_INITIATOR_ERROR;
	memcpy(response->name, name->value, name->value_len);
	if (iscsi_pair_binary(&pairs[CHAP_R], response->bytes, sizeof(response->bytes),
			      &response->len) < 0)
		return LOGIN_INITIATOR_ERROR;
	if (!(said & (BIT(CHAP_I) | BIT(CHAP_C))))
		return LOGIN_SUCCESS;
	if (!(said & BIT(CHAP_I)) || !(said & BIT(CHAP_C)))
		return LOGIN_MISSING_PARAMETER;
	if (iscsi_pair_number(&pairs[CHAP_I], &identifier) < 0 || identifier > UINT8_MAX ||
	    iscsi_pair_binary(&pairs[CHAP_C], response->challenge, sizeof(response->challenge),
			      &response->challenge_len) < 0)
		return LOGIN_INITIATOR_ERROR;
	response->identifier = (uint8_t)identifier;
	return LOGIN_SUCCESS;
}

/* RFC 7143 9.2.1: who sends our own challenge back would have us answer it for him. */
static bool is_reflected(const struct iscsi_chap *chap, const struct response *response)
{
	return response->challenge_len == sizeof(chap->challenge) &&
	       memcmp(response->challenge, chap->challenge, sizeof(chap->challenge)) == 0;
}

/* Name and response are both judged, whichever of them is wrong. */
static enum iscsi_login_status verify(const struct iscsi_chap *chap,
				      const struct response *response)
{
	const struct iscsi_chap_account *account = &chap->secrets->initiator;
	size_t len = gcry_md_get_algo_dlen(chap->hash->algo);
	uint8_t expected[DIGEST_MAX];
	enum iscsi_login_status status = digest(chap->hash, chap->identifier, account,
						chap->challenge, sizeof(chap->challenge), expected);
	bool good = status == LOGIN_SUCCESS && response->len == len;

	good &= iscsi_chap_same(response->name, account->name, sizeof(account->name));
	good &= iscsi_chap_same(response->bytes, expected, len);
	explicit_bzero(expected, sizeof(expected));
	if (status == LOGIN_SUCCESS && !good)
		status = LOGIN_AUTH_FAILED;
	return status;
}

/* The target's own proof. */
static enum iscsi_login_status put_response(const struct iscsi_chap *chap,
					    const struct response *response,
					    struct bytes_out *answer)
{
	const struct iscsi_chap_account *account = &chap->secrets->target;
	uint8_t bytes[DIGEST_MAX];
	enum iscsi_login_status status;

	if (!account->name[0])
		return LOGIN_AUTH_FAILED;
	status = digest(chap->hash, response->identifier, account, response->challenge,
			response->challenge_len, bytes);
	if (status != LOGIN_SUCCESS)
		return status;
	iscsi_text_put(answer, "CHAP_N", account->name);
	iscsi_text_put_binary(answer, "CHAP_R", bytes, gcry_md_get_algo_dlen(chap->hash->algo));
	return LOGIN_SUCCESS;
}

static enum iscsi_login_status judge_response(struct iscsi_chap *chap, unsigned said,
					      struct bytes_out *answer)
{
	struct response response = {.challenge_len = 0};
	enum iscsi_login_status status = decode(chap, said, &response);

	if (status == LOGIN_SUCCESS && is_reflected(chap, &response))
		status = LOGIN_AUTH_FAILED;
	if (status == LOGIN_SUCCESS)
		status = verify(chap, &response);
	if (status == LOGIN_SUCCESS && response.challenge_len)
		status = put_response(chap, &response, answer);
	if (status == LOGIN_SUCCESS)
		chap->state = CHAP_DONE;
	return status;
}

enum iscsi_login_status iscsi_chap_step(struct iscsi_chap *chap, struct bytes_out *answer)
{
	unsigned said = chap->said, required = steps[chap->state].required;

	chap->said = 0;
	if ((said & required) != required)
		return LOGIN_MISSING_PARAMETER;
	switch (chap->state) {
	case CHAP_IDLE:
		if (chap->agreed)
			chap->state = CHAP_AGREED;
		break;
	case CHAP_AGREED:
		return put_challenge(chap, answer);
	case CHAP_CHALLENGED:
		return judge_response(chap, said, answer);
	case CHAP_DONE:
		break;
	}
	return LOGIN_SUCCESS;
}
