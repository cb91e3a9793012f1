/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which regions of the medium may hold blocks whose tuples do not fit: a bit each, in the tuple
 * store, on stable storage before anything in the region is written. A set bit costs a look; one
 * that has to be set costs a write, which all who come meanwhile share.
 */
#include "duotgt/backend.h"
#include "util/engine.h"
#include <pthread.h>

#define PI_BITS_LEN 4096u
#define PI_MAX_REGIONS (PI_BITS_LEN * 8)

struct pi_intent {
	const struct duotgt_backend_ops *ops; /* of the tuple store */
	void *store;
	uint64_t at;	/* bytes: where the bits are there */
	unsigned shift; /* a region is 2^shift bytes; the last bit stands for all that follows */

	pthread_mutex_t lock; /* for all below */
	uint8_t bits[PI_BITS_LEN];
	uint8_t safe[PI_BITS_LEN];    /* what of it is on stable storage */
	uint8_t written[PI_BITS_LEN]; /* what is being written */
	bool writing;
	unsigned n_set, n_active; /* bits; writes between begin and end */
	uint64_t n_begun;
	struct list waiting; /* struct pi_mark.node */
	struct duotgt_io io;
	struct iovec iov;
	struct engine_post again;
	struct engine *engine; /* where it runs */
};

/* One who writes. */
struct pi_mark {
	/* set before pi_intent_begin() */
	uint64_t offset, len; /* bytes of the medium, len not 0 */
	struct engine *engine;
	/* On the thread of the engine, from the loop; @res as duotgt_io.done has it. */
	void (*marked)(struct pi_mark *mark, int res);

	struct list node;
	struct engine_post post;
	int res;
};

void pi_intent_init(struct pi_intent *intent, const struct duotgt_backend_ops *ops, void *store,
		    uint64_t at, unsigned shift);
void pi_intent_fini(struct pi_intent *intent);

/* Return: true: the write may go on at once; false: mark->marked() follows. */
bool pi_intent_begin(struct pi_intent *intent, struct pi_mark *mark);
void pi_intent_end(struct pi_intent *intent);

/*
 * Around a flush of both stores. When it was good and nothing was written meanwhile, the bits have
 * done their work; they are cleared once many are set, for each has to be set anew afterwards.
 * Return: of the first, what the second is to be given; of the second, as pi_intent_begin(), with
 * mark->engine and marked set; its result does not matter.
 */
uint64_t pi_intent_flush_begins(struct pi_intent *intent);
bool pi_intent_flushed(struct pi_intent *intent, uint64_t since, struct pi_mark *mark);
