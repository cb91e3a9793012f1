/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A back end that does as the test tells it: it fails on demand, and holds requests until they
 * are released. One store per test program.
 */
#include "duotgt/backend.h"
#include "util/list.h"
#include <pthread.h>
#include <stdatomic.h>

#define FAKE_SIZE (1 << 20)

struct fake_store {
	/* set by the test; fake_reset() clears all */
	bool volatile_cache, can_discard, read_only;
	int fail; /* what requests of fail_kind end with; 0: they are done */
	enum duotgt_io_kind fail_kind;
	atomic_bool hold;

	/* looked at by the test */
	atomic_uint n_ios, n_held;
	enum duotgt_io_kind kind; /* of the last request, as are these */
	uint32_t flags;
	uint64_t offset, len;

	/* own */
	uint8_t mem[FAKE_SIZE];
	pthread_mutex_t lock;
	struct list held;
};

extern struct fake_store fake;
extern const struct duotgt_backend_ops fake_backend_ops;

void fake_reset(void);

/* The request that is held for the shortest, or the longest, time ends with @res. */
void fake_release_last(int res);
void fake_release_first(int res);

/* Any thread: what is held is done now, and completes on the threads it came from. */
void fake_release(void);
