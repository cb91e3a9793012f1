/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Buffers of a small pool, with a hand-driven stand-in for the engine: engine_post() queues, and
 * run_posts() is the loop. Two caches in one thread take the part of two threads.
 */
#include "util/pool.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
/* after the above: cmocka.h relies on them */
#include <cmocka.h>

#define LARGE (64 << 10) /* so the classes are 64, 16 and 4 KiB */
#define N_LARGE 8

struct engine {
	struct engine_post *posts;
};

static struct engine engines[2];
static struct pool *pool;
static struct pool_cache *caches[2];

void engine_post(struct engine *engine, struct engine_post *post)
{
	struct engine_post **tail = &engine->posts;

	while (*tail)
		tail = &(*tail)->next;
	post->next = NULL;
	*tail = post;
}

/* Until nothing is left; a pool that wakes in circles is a failure. */
static void run_posts(void)
{
	for (int turns = 0; engines[0].posts || engines[1].posts; turns++) {
		assert_in_range(turns, 0, 1000);
		for (int i = 0; i < 2; i++) {
			struct engine_post *post = engines[i].posts;

			if (!post)
				continue;
			engines[i].posts = post->next;
			post->run(post);
		}
	}
}

static int setup(void **state)
{
	const struct pool_config cfg = {.large_size = LARGE, .n_large = N_LARGE, .node = -1};

	(void)state;
	assert_int_equal(pool_new(&cfg, &pool), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pool_cache_new(pool, &engines[i], &caches[i]), 0);
	return 0;
}

/* Each test has given everything back: the shared part must be whole again. */
static int teardown(void **state)
{
	(void)state;
	run_posts();
	for (int i = 0; i < 2; i++)
		pool_cache_free(caches[i]);
	assert_int_equal(pool_in_use(pool), 0);
	pool_free(pool);
	return 0;
}

static void put_all(struct pool_cache *cache, struct buf **bufs, int n)
{
	while (n)
		pool_put(cache, bufs[--n]);
}

static void sizes_of_a_length(void **state)
{
	static const struct {
		size_t len;
		int n;
		uint32_t last;
	} cases[] = {
		{0, 0, 0},
		{1, 1, 4 << 10},
		{4 << 10, 1, 4 << 10},
		{(4 << 10) + 1, 1, 16 << 10},
		{16 << 10, 1, 16 << 10},
		{(16 << 10) + 1, 1, LARGE},
		{LARGE, 1, LARGE},
		{LARGE + 1, 2, 4 << 10},
		{3 * LARGE + 5000, 4, 16 << 10},
		{N_LARGE * LARGE, N_LARGE, LARGE},
	};
	struct buf *bufs[N_LARGE];

	(void)state;
	assert_int_equal(pool_large_size(pool), LARGE);
	assert_int_equal(pool_limit(pool), N_LARGE * LARGE);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int n = pool_get(caches[0], cases[i].len, bufs, N_LARGE);

		assert_int_equal(n, cases[i].n);
		for (int j = 0; j < n; j++) {
			assert_int_equal(bufs[j]->size, j < n - 1 ? LARGE : cases[i].last);
			assert_int_equal((uintptr_t)bufs[j]->data % 4096, 0);
		}
		put_all(caches[0], bufs, n);
	}
}

static void what_can_never_be(void **state)
{
	struct buf *bufs[N_LARGE + 1];

	(void)state;
	assert_int_equal(pool_get(caches[0], 2 * LARGE + 1, bufs, 2), -EMSGSIZE);
	assert_int_equal(pool_get(caches[0], N_LARGE * LARGE + 1, bufs, N_LARGE + 1), -EMSGSIZE);
	assert_int_equal(pool_get(caches[0], SIZE_MAX, bufs, N_LARGE + 1), -EMSGSIZE);
}

/* No two buffers share a byte: each is filled with its own number, then all are checked. */
static void buffers_are_disjoint(void **state)
{
	enum { MAX = N_LARGE * 16 };
	struct buf *bufs[MAX];
	int n = 0;

	(void)state;
	while (pool_get(caches[0],
			n % 3 == 2 ? LARGE
			: n % 3	   ? 16 << 10
				   : 4 << 10,
			&bufs[n], 1) == 1)
		n++;
	assert_true(n > N_LARGE);
	for (int i = 0; i < n; i++)
		memset(bufs[i]->data, i, bufs[i]->size);
	for (int i = 0; i < n; i++)
		for (uint32_t j = 0; j < bufs[i]->size; j++)
			if (bufs[i]->data[j] != (uint8_t)i)
				fail_msg("buffer %d is not its own", i);
	put_all(caches[0], bufs, n);
}

static void all_or_nothing(void **state)
{
	struct buf *bufs[N_LARGE], *more[N_LARGE];
	size_t used;

	(void)state;
	assert_int_equal(pool_get(caches[0], 5 * LARGE, bufs, N_LARGE), 5);
	used = pool_in_use(pool);
	assert_int_equal(pool_get(caches[1], 4 * LARGE, more, N_LARGE), -EAGAIN);
	assert_int_equal(pool_in_use(pool), used);
	assert_int_equal(pool_get(caches[1], 3 * LARGE, more, N_LARGE), 3);
	put_all(caches[1], more, 3);
	put_all(caches[0], bufs, 5);
}

/* Pieces of every slab come back in a mixed order; then all is large buffers again. */
static void carved_slabs_become_whole(void **state)
{
	enum { N = N_LARGE * 16 };
	struct buf *bufs[N], *none;

	(void)state;
	for (int i = 0; i < N; i++)
		assert_int_equal(pool_get(caches[0], 1, &bufs[i], 1), 1);
	assert_int_equal(pool_get(caches[0], 1, &none, 1), -EAGAIN);
	for (int i = 0; i < N; i++)
		pool_put(caches[0], bufs[i * 37 % N]);
	assert_int_equal(pool_get(caches[0], N_LARGE * LARGE, bufs, N), N_LARGE);
	put_all(caches[0], bufs, N_LARGE);
}

struct getter {
	struct pool_waiter waiter;
	struct pool_cache *cache;
	size_t len;
	struct buf *bufs[N_LARGE];
	int n;	   /* buffers it holds; 0 while it waits */
	int tries; /* times it was granted */
	int order; /* the how-manieth getter to be served */
};

static int n_served;

static void try(struct getter *getter)
{
	int n = pool_get(getter->cache, getter->len, getter->bufs, N_LARGE);

	if (n == -EAGAIN) {
		pool_wait(getter->cache, &getter->waiter);
		return;
	}
	assert_true(n > 0);
	getter->n = n;
	getter->order = n_served++;
}

static void granted(struct pool_waiter *waiter)
{
	struct getter *getter = container_of(waiter, struct getter, waiter);

	getter->tries++;
	try(getter);
}

static void getter_start(struct getter *getter, struct pool_cache *cache, size_t len)
{
	memset(getter, 0, sizeof(*getter));
	list_init(&getter->waiter.node);
	getter->waiter.granted = granted;
	getter->cache = cache;
	getter->len = len;
	try(getter);
}

static void getter_end(struct getter *getter)
{
	assert_true(getter->n > 0);
	put_all(getter->cache, getter->bufs, getter->n);
}

/* The first in line wants much, the next little: the next one must not overtake. */
static void first_come_first_served(void **state)
{
	struct getter holder, big, small, late;

	(void)state;
	n_served = 0;
	getter_start(&holder, caches[0], N_LARGE * LARGE);
	getter_start(&big, caches[0], 4 * LARGE);
	getter_start(&small, caches[0], 1);
	run_posts();
	assert_int_equal(big.n + small.n, 0);
	pool_put(caches[0], holder.bufs[--holder.n]);
	run_posts();
	assert_int_equal(big.n + small.n, 0);
	getter_start(&late, caches[0], 1); /* there is room for it, but others came before */
	assert_int_equal(late.n, 0);
	getter_end(&holder);
	run_posts();
	assert_int_equal(big.order, 1);
	assert_int_equal(small.order, 2);
	assert_int_equal(late.order, 3);
	getter_end(&big);
	getter_end(&small);
	getter_end(&late);
}

/* What lies idle in another thread's cache is fetched from there. */
static void caches_of_others_are_flushed(void **state)
{
	struct buf *bufs[4];
	struct getter getter;

	(void)state;
	assert_int_equal(pool_get(caches[0], 4 * LARGE, bufs, 4), 4);
	put_all(caches[0], bufs, 4); /* now in cache 0 */
	getter_start(&getter, caches[1], N_LARGE * LARGE);
	assert_int_equal(getter.n, 0);
	run_posts();
	assert_int_equal(getter.n, N_LARGE);
	getter_end(&getter);
}

/* Buffers given back on another thread reach who waits, once it is enough. */
static void others_give_back(void **state)
{
	struct getter holder, waiter;

	(void)state;
	getter_start(&holder, caches[0], N_LARGE * LARGE);
	getter_start(&waiter, caches[1], 2 * LARGE);
	run_posts();
	assert_int_equal(waiter.n, 0);
	pool_put(caches[0], holder.bufs[--holder.n]);
	run_posts();
	assert_int_equal(waiter.n, 0);
	pool_put(caches[0], holder.bufs[--holder.n]);
	run_posts();
	assert_int_equal(waiter.n, 2);
	getter_end(&waiter);
	getter_end(&holder);
}

/* Both threads wait: each gets its turn, however many wait in the other. */
static void threads_take_turns(void **state)
{
	struct getter holder, many[3], one;

	(void)state;
	n_served = 0;
	getter_start(&holder, caches[0], N_LARGE * LARGE);
	for (int i = 0; i < 3; i++)
		getter_start(&many[i], caches[0], N_LARGE * LARGE);
	getter_start(&one, caches[1], N_LARGE * LARGE);
	getter_end(&holder);
	run_posts();
	assert_int_equal(many[0].order, 1);
	getter_end(&many[0]);
	run_posts();
	assert_int_equal(one.order, 2);
	getter_end(&one);
	run_posts();
	getter_end(&many[1]);
	run_posts();
	getter_end(&many[2]);
}

static void who_gives_up_holds_nobody_up(void **state)
{
	struct getter holder, big, small, other;

	(void)state;
	getter_start(&holder, caches[0], (N_LARGE - 1) * LARGE);
	getter_start(&big, caches[0], 2 * LARGE);
	getter_start(&small, caches[0], 1);
	getter_start(&other, caches[1], 1);
	run_posts();
	assert_int_equal(small.n + other.n, 0);
	pool_wait_cancel(caches[0], &big.waiter);
	pool_wait_cancel(caches[0], &big.waiter); /* not queued: no effect */
	run_posts();
	assert_int_equal(big.n, 0);
	assert_int_equal(small.n, 1);
	assert_int_equal(other.n, 1);
	getter_end(&small);
	getter_end(&other);
	getter_end(&holder);
}

static void nobody_is_woken_for_nothing(void **state)
{
	struct getter holder, waiter;

	(void)state;
	getter_start(&holder, caches[0], N_LARGE * LARGE);
	getter_start(&waiter, caches[1], LARGE);
	run_posts();
	assert_in_range(waiter.tries, 0, 1);
	getter_end(&holder);
	run_posts();
	assert_in_range(waiter.tries, 1, 2);
	getter_end(&waiter);
}

static void refuses_bad_sizes(void **state)
{
	static const struct pool_config bad[] = {
		{.large_size = 32 << 10, .n_large = 1, .node = -1},
		{.large_size = 8 << 20, .n_large = 1, .node = -1},
		{.large_size = (64 << 10) + 4096, .n_large = 1, .node = -1},
		{.large_size = 64 << 10, .n_large = SIZE_MAX, .node = -1},
	};
	struct pool *none = NULL;

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(pool_new(&bad[i], &none), -EINVAL);
	assert_null(none);
}

static void default_sizes(void **state)
{
	const struct pool_config cfg = {.node = 0};
	struct pool *big;

	(void)state;
	assert_int_equal(pool_new(&cfg, &big), 0);
	assert_int_equal(pool_large_size(big), 256 << 10);
	assert_int_equal(pool_limit(big), 1024 * (256 << 10));
	pool_free(big);
}

#define POOL_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		POOL_TEST(sizes_of_a_length),
		POOL_TEST(what_can_never_be),
		POOL_TEST(buffers_are_disjoint),
		POOL_TEST(all_or_nothing),
		POOL_TEST(carved_slabs_become_whole),
		POOL_TEST(first_come_first_served),
		POOL_TEST(caches_of_others_are_flushed),
		POOL_TEST(others_give_back),
		POOL_TEST(threads_take_turns),
		POOL_TEST(who_gives_up_holds_nobody_up),
		POOL_TEST(nobody_is_woken_for_nothing),
		cmocka_unit_test(refuses_bad_sizes),
		cmocka_unit_test(default_sizes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
