/* SPDX-License-Identifier: Apache-2.0 */
/* Source: SPC-5 r22, ROD token format; SBC-4 r22, block device zero ROD token. */
#include "scsi/copy/token.h"
#include "scsi/copy/cscd.h"
#include "util/bytes.h"
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

enum {
	TOKENS_PER_TARGET = 256,

	/* where things are in a token */
	AT_ID = 8,
	AT_CREATOR = 16,
	AT_BYTES = 48,
	AT_BLOCK_SIZE = 96,
	AT_RANDOM = 128,
	ID_LEN = AT_CREATOR - AT_ID,
};

struct token {
	struct list node;
	const struct scsi_target *target; /* never followed */
	uint64_t used_ns;
	uint64_t timeout_ns;
	struct rod rod;
	uint8_t bytes[ROD_TOKEN_LEN];
};

static struct {
	pthread_mutex_t lock;
	struct list tokens; /* oldest first */
} all = {.lock = PTHREAD_MUTEX_INITIALIZER, .tokens = LIST_INIT(all.tokens)};

static void forget(struct token *token)
{
	list_del(&token->node);
	free(token);
}

static bool is_expired(const struct token *token, uint64_t now_ns)
{
	return now_ns > token->used_ns && now_ns - token->used_ns > token->timeout_ns;
}

/* In a time that does not tell how much of it is right. */
static bool is_same(const uint8_t *a, const uint8_t *b)
{
	unsigned differs = 0;

	for (unsigned i = 0; i < ROD_TOKEN_LEN; i++)
		differs |= a[i] ^ b[i];
	return !differs;
}

static struct token *find(const struct scsi_target *target, const uint8_t *bytes)
{
	struct token *found = NULL;

	list_for_each (token, &all.tokens, struct token, node)
		if (token->target == target && is_same(token->bytes, bytes))
			found = token;
	return found;
}

/* Whether there is room for one more; what has expired makes room when it is short. */
static bool has_room(const struct scsi_target *target, uint64_t now_ns)
{
	unsigned n = 0;

	list_for_each (token, &all.tokens, struct token, node)
		n += token->target == target;
	list_for_each (token, &all.tokens, struct token, node)
		if (n >= TOKENS_PER_TARGET && token->target == target &&
		    is_expired(token, now_ns)) {
			forget(token);
			n--;
		}
	return n < TOKENS_PER_TARGET;
}

static void fill(struct token *token, const struct scsi_task *task)
{
	struct engine *engine = task->nexus->engine;
	uint8_t *p = token->bytes;

	be32_put(p, ROD_ACCESS_ON_REFERENCE);
	be16_put(p + 6, ROD_TOKEN_LEN - 8); /* ROD TOKEN LENGTH: what follows it */
	engine_random(engine, p + AT_ID, ID_LEN);
	cscd_put(task->lu, p + AT_CREATOR);
	/* NUMBER OF BYTES REPRESENTED has 16 bytes */
	be64_put(p + AT_BYTES + 8, token->rod.n_blocks * token->rod.block_size);
	be32_put(p + AT_BLOCK_SIZE, token->rod.block_size);
	engine_random(engine, p + AT_RANDOM, ROD_TOKEN_LEN - AT_RANDOM);
}

bool token_make(const struct scsi_task *task, const struct rod *rod, uint32_t timeout_s,
		uint8_t *ret_token)
{
	uint64_t now_ns = engine_now(task->nexus->engine);
	scoped(free) struct token *token = calloc(1, sizeof(*token));
	bool ok;

	if (!token)
		return false;
	token->target = task->nexus->target;
	token->used_ns = now_ns;
	token->timeout_ns = timeout_s * UINT64_C(1000000000);
	token->rod = *rod;
	fill(token, task);
	memcpy(ret_token, token->bytes, ROD_TOKEN_LEN);
	pthread_mutex_lock(&all.lock);
	ok = has_room(token->target, now_ns);
	if (ok)
		list_push_back(&all.tokens, &steal(token)->node);
	pthread_mutex_unlock(&all.lock);
	return ok;
}

enum scsi_sense_code token_use(const struct scsi_task *task, const uint8_t *bytes,
			       struct rod *ret_rod)
{
	uint64_t now_ns = engine_now(task->nexus->engine);
	enum scsi_sense_code code = SENSE_NONE;
	struct token *token;

	pthread_mutex_lock(&all.lock);
	token = find(task->nexus->target, bytes);
	if (!token) {
		code = SENSE_TOKEN_UNKNOWN;
	} else if (is_expired(token, now_ns)) {
		code = SENSE_TOKEN_EXPIRED;
	} else {
		token->used_ns = now_ns;
		*ret_rod = token->rod;
	}
	pthread_mutex_unlock(&all.lock);
	return code;
}

void token_delete(const struct scsi_target *target, const uint8_t *bytes)
{
	struct token *token;

	pthread_mutex_lock(&all.lock);
	token = find(target, bytes);
	if (token)
		forget(token);
	pthread_mutex_unlock(&all.lock);
}

unsigned token_list(const struct scsi_task *task, struct bytes_out *out)
{
	uint64_t now_ns = engine_now(task->nexus->engine);
	unsigned n = 0;

	pthread_mutex_lock(&all.lock);
	list_for_each (token, &all.tokens, struct token, node) {
		if (token->target != task->nexus->target || is_expired(token, now_ns) ||
		    memcmp(token->rod.lu_uuid, task->lu->uuid, sizeof(task->lu->uuid)))
			continue;
		out_bytes(out, token->bytes, TOKEN_MANAGED_LEN);
		n++;
	}
	pthread_mutex_unlock(&all.lock);
	return n;
}

void token_forget_target(const struct scsi_target *target)
{
	pthread_mutex_lock(&all.lock);
	list_for_each (token, &all.tokens, struct token, node)
		if (token->target == target)
			forget(token);
	pthread_mutex_unlock(&all.lock);
}
