/* SPDX-License-Identifier: Apache-2.0 */
/* See intent.h. At most one write of the bits is under way, so that none overtakes another. */
#include "scsi/pi/intent.h"
#include <assert.h>
#include <string.h>

enum { CLEAR_FROM = 64 }; /* bits: fewer cost next to nothing to go through after a crash */

/* ---- under the lock ---- */

static uint64_t region_of(const struct pi_intent *intent, uint64_t offset)
{
	uint64_t region = offset >> intent->shift;

	return region < PI_MAX_REGIONS ? region : PI_MAX_REGIONS - 1;
}

static bool get_bit(const uint8_t *bits, uint64_t i)
{
	return bits[i / 8] >> i % 8 & 1;
}

static bool is_safe(const struct pi_intent *intent, const struct pi_mark *mark)
{
	uint64_t last;

	if (!mark->len) /* it waits for the bits to be cleared */
		return true;
	last = region_of(intent, mark->offset + mark->len - 1);
	for (uint64_t i = region_of(intent, mark->offset); i <= last; i++)
		if (!get_bit(intent->safe, i))
			return false;
	return true;
}

static void set_bits(struct pi_intent *intent, const struct pi_mark *mark)
{
	uint64_t last = region_of(intent, mark->offset + mark->len - 1);

	for (uint64_t i = region_of(intent, mark->offset); i <= last; i++) {
		intent->n_set += !get_bit(intent->bits, i);
		intent->bits[i / 8] |= (uint8_t)(1 << i % 8);
	}
}

static void bits_written(struct duotgt_io *io, int res);

static void write_bits(struct pi_intent *intent, struct engine *engine)
{
	intent->writing = true;
	memcpy(intent->written, intent->bits, PI_BITS_LEN);
	intent->iov = (struct iovec){intent->written, PI_BITS_LEN};
	intent->io = (struct duotgt_io){
		.done = bits_written,
		.kind = DUOTGT_IO_WRITE,
		.flags = DUOTGT_IO_FUA,
		.iov = &intent->iov,
		.n_iov = 1,
		.offset = intent->at,
		.len = PI_BITS_LEN,
	};
	intent->ops->submit(intent->store, engine, &intent->io);
}

static void posted(struct engine_post *post)
{
	struct pi_mark *mark = container_of(post, struct pi_mark, post);

	mark->marked(mark, mark->res);
}

/* After a failure nobody can tell which bits are there. */
static void bits_written(struct duotgt_io *io, int res)
{
	struct pi_intent *intent = container_of(io, struct pi_intent, io);

	pthread_mutex_lock(&intent->lock);
	if (res >= 0)
		memcpy(intent->safe, intent->written, PI_BITS_LEN);
	else
		memset(intent->safe, 0, PI_BITS_LEN);
	list_for_each (mark, &intent->waiting, struct pi_mark, node) {
		if (res >= 0 && !is_safe(intent, mark))
			continue;
		list_del(&mark->node);
		mark->res = res < 0 ? res : 0;
		engine_post(mark->engine, &mark->post);
	}
	/* On the engine of one who waits, since it will be there until the end of it. */
	intent->writing = !list_empty(&intent->waiting);
	if (intent->writing) {
		intent->engine = list_first(&intent->waiting, struct pi_mark, node)->engine;
		engine_post(intent->engine, &intent->again);
	}
	pthread_mutex_unlock(&intent->lock);
}

static void write_again(struct engine_post *post)
{
	struct pi_intent *intent = container_of(post, struct pi_intent, again);

	pthread_mutex_lock(&intent->lock);
	write_bits(intent, intent->engine);
	pthread_mutex_unlock(&intent->lock);
}

/* ---- */

void pi_intent_init(struct pi_intent *intent, const struct duotgt_backend_ops *ops, void *store,
		    uint64_t at, unsigned shift)
{
	*intent = (struct pi_intent){.ops = ops, .store = store, .at = at, .shift = shift};
	pthread_mutex_init(&intent->lock, NULL);
	list_init(&intent->waiting);
	intent->again.run = write_again;
}

void pi_intent_fini(struct pi_intent *intent)
{
	assert(!intent->n_active && !intent->writing);
	pthread_mutex_destroy(&intent->lock);
}

bool pi_intent_begin(struct pi_intent *intent, struct pi_mark *mark)
{
	bool safe;

	mark->post.run = posted;
	pthread_mutex_lock(&intent->lock);
	intent->n_active++;
	intent->n_begun++;
	safe = is_safe(intent, mark);
	if (!safe) {
		set_bits(intent, mark);
		list_push_back(&intent->waiting, &mark->node);
		if (!intent->writing)
			write_bits(intent, mark->engine);
	}
	pthread_mutex_unlock(&intent->lock);
	return safe;
}

void pi_intent_end(struct pi_intent *intent)
{
	pthread_mutex_lock(&intent->lock);
	intent->n_active--;
	pthread_mutex_unlock(&intent->lock);
}

uint64_t pi_intent_flush_begins(struct pi_intent *intent)
{
	uint64_t since;

	pthread_mutex_lock(&intent->lock);
	since = intent->n_active ? 0 : intent->n_begun;
	pthread_mutex_unlock(&intent->lock);
	return since;
}

bool pi_intent_flushed(struct pi_intent *intent, uint64_t since, struct pi_mark *mark)
{
	bool clear;

	mark->post.run = posted;
	mark->len = 0;
	pthread_mutex_lock(&intent->lock);
	clear = since && since == intent->n_begun && !intent->n_active && !intent->writing &&
		intent->n_set >= CLEAR_FROM;
	if (clear) {
		memset(intent->bits, 0, PI_BITS_LEN);
		memset(intent->safe, 0, PI_BITS_LEN);
		intent->n_set = 0;
		list_push_back(&intent->waiting, &mark->node);
		write_bits(intent, mark->engine);
	}
	pthread_mutex_unlock(&intent->lock);
	return !clear;
}
