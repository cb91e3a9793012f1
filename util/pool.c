/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mapping is a row of slabs of the large size. A slab is handed out whole, or carved into
 * pieces of one smaller class, and is whole again once all its pieces are back. What is free lies
 * in the shared part, under the lock, or in the caches of threads.
 *
 * Nobody waits while buffers lie idle: the first one to wait has all caches flushed, and as long
 * as somebody waits, buffers that are given back go to the shared part. Caches that wait stand in
 * a queue; only the head is told to try again ("kicked"): when something came back, and when it
 * is new at the head.
 */
#include "util/pool.h"
#include "util/numa.h"
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#define N_CLASSES_MAX 4
#define PIECES_MAX 64 /* of a slab: 4 to the power of N_CLASSES_MAX - 1 */
#define SIZE_MIN 4096 /* a page: no class is smaller */
#define N_LARGE_MAX (1u << 24)

/* Class 0 is the large size, each further one a quarter of it. */
struct slab {
	struct list node; /* in pool->whole or pool->carved[class] while it has something free */
	struct buf *free;
	uint16_t n_free;
	uint8_t class;
};

struct pool {
	size_t large_size;
	uint32_t n_large;
	int node;
	unsigned n_classes;
	uint8_t *mem;
	struct slab *slabs;
	struct buf *bufs;      /* PIECES_MAX for each slab */
	atomic_uint n_waiting; /* caches in waiting; read without the lock as a hint */

	pthread_mutex_t lock; /* for what follows, and for slabs */
	struct list whole;
	struct list carved[N_CLASSES_MAX];
	size_t free_bytes;
	uint64_t n_returns; /* times that something came back */
	struct list caches;
	struct list waiting; /* struct pool_cache.wait_node */
};

struct pool_cache {
	struct pool *pool;
	struct engine *engine;
	struct buf *free[N_CLASSES_MAX];
	unsigned n_free[N_CLASSES_MAX];
	_Atomic uint64_t n_gets;     /* buffers; written by its thread alone */
	struct list waiters;	     /* struct pool_waiter.node */
	struct pool_waiter *granted; /* whose granted() is running */
	uint64_t seen;		     /* n_returns when it last found too little */
	struct engine_post kick, flush;
	atomic_bool kicked, flushing; /* the post is under way */

	/* under the pool's lock */
	struct list node;
	struct list wait_node;
	bool waits;
};

/* How many buffers of a class a cache may hold, and how many it fetches at once. */
static const unsigned cache_max[N_CLASSES_MAX] = {4, 8, 16, 32};
static const unsigned cache_batch[N_CLASSES_MAX] = {1, 4, 8, 16};

static size_t class_size(const struct pool *pool, unsigned class)
{
	return pool->large_size >> (2 * class);
}

static unsigned class_of_buf(const struct pool *pool, const struct buf *buf)
{
	unsigned class = 0;

	while (class_size(pool, class) != buf->size)
		class ++;
	return class;
}

/* The smallest that holds @len, which is at most the large size. */
static unsigned class_of_len(const struct pool *pool, size_t len)
{
	unsigned class = 0;

	while (class + 1 < pool->n_classes && class_size(pool, class + 1) >= len)
		class ++;
	return class;
}

/* ---- the shared part: all under the lock ---- */

static void slab_carve(struct pool *pool, struct slab *slab, unsigned class)
{
	uint32_t index = (uint32_t)(slab - pool->slabs);
	unsigned n = 1u << (2 * class);
	size_t size = class_size(pool, class);

	slab->class = (uint8_t) class;
	slab->n_free = (uint16_t)n;
	slab->free = NULL;
	while (n--) {
		struct buf *buf = &pool->bufs[(size_t)index * PIECES_MAX + n];

		buf->data = pool->mem + index * pool->large_size + n * size;
		buf->size = (uint32_t)size;
		buf->slab = index;
		buf->next = slab->free;
		slab->free = buf;
	}
	list_del(&slab->node);
	list_push_front(&pool->carved[class], &slab->node);
}

static struct buf *shared_get(struct pool *pool, unsigned class)
{
	struct list *carved = &pool->carved[class];
	struct slab *slab;
	struct buf *buf;

	if (list_empty(carved)) {
		if (list_empty(&pool->whole))
			return NULL;
		slab_carve(pool, list_first(&pool->whole, struct slab, node), class);
	}
	slab = list_first(carved, struct slab, node);
	buf = slab->free;
	slab->free = buf->next;
	if (!--slab->n_free)
		list_del(&slab->node);
	pool->free_bytes -= buf->size;
	return buf;
}

static void shared_put(struct pool *pool, struct buf *buf)
{
	struct slab *slab = &pool->slabs[buf->slab];

	buf->next = slab->free;
	slab->free = buf;
	pool->free_bytes += buf->size;
	pool->n_returns++;
	if (++slab->n_free == 1u << (2 * slab->class)) {
		list_del(&slab->node);
		list_push_front(&pool->whole, &slab->node);
	} else if (slab->n_free == 1) {
		list_push_front(&pool->carved[slab->class], &slab->node);
	}
}

static void kick_head(struct pool *pool)
{
	struct pool_cache *head;

	if (list_empty(&pool->waiting))
		return;
	head = list_first(&pool->waiting, struct pool_cache, wait_node);
	if (!atomic_exchange(&head->kicked, true))
		engine_post(head->engine, &head->kick);
}

static void waiting_leave(struct pool_cache *cache)
{
	if (!cache->waits)
		return;
	cache->waits = false;
	list_del(&cache->wait_node);
	atomic_fetch_sub(&cache->pool->n_waiting, 1);
	kick_head(cache->pool);
}

/* ---- caches ---- */

uint64_t pool_cache_gets(const struct pool_cache *cache)
{
	return atomic_load_explicit(&cache->n_gets, memory_order_relaxed);
}

static void cache_push(struct pool_cache *cache, unsigned class, struct buf *buf)
{
	buf->next = cache->free[class];
	cache->free[class] = buf;
	cache->n_free[class]++;
}

static struct buf *cache_pop(struct pool_cache *cache, unsigned class)
{
	struct buf *buf = cache->free[class];

	if (buf) {
		cache->free[class] = buf->next;
		cache->n_free[class]--;
	}
	return buf;
}

/* Under the lock. */
static void cache_drain(struct pool_cache *cache, unsigned class, unsigned keep)
{
	while (cache->n_free[class] > keep)
		shared_put(cache->pool, cache_pop(cache, class));
}

/* Under the lock. */
static void cache_drain_all(struct pool_cache *cache)
{
	for (unsigned class = 0; class < cache->pool->n_classes; class ++)
		cache_drain(cache, class, 0);
}

static void cache_flush(struct engine_post *post)
{
	struct pool_cache *cache = container_of(post, struct pool_cache, flush);
	struct pool *pool = cache->pool;

	atomic_store(&cache->flushing, false);
	pthread_mutex_lock(&pool->lock);
	cache_drain_all(cache);
	kick_head(pool);
	pthread_mutex_unlock(&pool->lock);
}

/*
 * The head of the queue tries: its waiters in their order, until one must wait on. It then makes
 * room at the head if it got anything, so that caches take turns.
 */
static void cache_kick(struct engine_post *post)
{
	struct pool_cache *cache = container_of(post, struct pool_cache, kick);
	struct pool *pool = cache->pool;
	bool got = false;

	atomic_store(&cache->kicked, false);
	while (!list_empty(&cache->waiters)) {
		cache->granted = list_first(&cache->waiters, struct pool_waiter, node);
		list_del(&cache->granted->node);
		cache->granted->granted(cache->granted);
		if (cache->waiters.next == &cache->granted->node)
			break; /* not enough: it waits again */
		got = true;
	}
	cache->granted = NULL;
	pthread_mutex_lock(&pool->lock);
	if (list_empty(&cache->waiters)) {
		waiting_leave(cache);
	} else if (got && cache->waits) {
		list_del(&cache->wait_node);
		list_push_back(&pool->waiting, &cache->wait_node);
		kick_head(pool);
	}
	pthread_mutex_unlock(&pool->lock);
}

/* Takes one buffer more than the cache has; the rest of the batch goes into the cache. */
static struct buf *cache_refill(struct pool_cache *cache, unsigned class)
{
	struct pool *pool = cache->pool;
	struct buf *buf, *more;

	pthread_mutex_lock(&pool->lock);
	buf = shared_get(pool, class);
	if (!buf) {
		/* Pieces of our own may make up a whole slab. */
		cache_drain_all(cache);
		buf = shared_get(pool, class);
	}
	cache->seen = pool->n_returns;
	for (unsigned i = 1; buf && i < cache_batch[class]; i++) {
		if (atomic_load(&pool->n_waiting) || !(more = shared_get(pool, class)))
			break;
		cache_push(cache, class, more);
	}
	pthread_mutex_unlock(&pool->lock);
	return buf;
}

int pool_get(struct pool_cache *cache, size_t len, struct buf **bufs, int max)
{
	struct pool *pool = cache->pool;
	size_t n_full = len / pool->large_size, rest = len % pool->large_size;
	size_t n = n_full + !!rest;
	size_t got;

	if (max < 0 || n > (size_t)max || n > pool->n_large)
		return -EMSGSIZE;
	if (atomic_load_explicit(&pool->n_waiting, memory_order_relaxed) && !cache->granted)
		return -EAGAIN;
	for (got = 0; got < n; got++) {
		unsigned class = got < n_full ? 0 : class_of_len(pool, rest);

		bufs[got] = cache_pop(cache, class);
		if (!bufs[got])
			bufs[got] = cache_refill(cache, class);
		if (!bufs[got])
			break;
	}
	if (got == n) {
		atomic_store_explicit(&cache->n_gets, pool_cache_gets(cache) + n,
				      memory_order_relaxed);
		return (int)n;
	}
	pthread_mutex_lock(&pool->lock);
	while (got)
		shared_put(pool, bufs[--got]);
	/* What we just gave back ourselves is no reason to try again. */
	cache->seen = pool->n_returns;
	pthread_mutex_unlock(&pool->lock);
	return -EAGAIN;
}

void pool_put(struct pool_cache *cache, struct buf *buf)
{
	struct pool *pool = cache->pool;
	unsigned class = class_of_buf(pool, buf);

	/* A waiter we do not see yet will have our cache flushed after this. */
	if (!atomic_load_explicit(&pool->n_waiting, memory_order_relaxed)) {
		cache_push(cache, class, buf);
		if (cache->n_free[class] <= cache_max[class])
			return;
		pthread_mutex_lock(&pool->lock);
		cache_drain(cache, class, cache_max[class] / 2);
	} else {
		pthread_mutex_lock(&pool->lock);
		shared_put(pool, buf);
	}
	kick_head(pool);
	pthread_mutex_unlock(&pool->lock);
}

/* ---- waiting ---- */

/* Under the lock. */
static void flush_others(struct pool_cache *cache)
{
	list_for_each (other, &cache->pool->caches, struct pool_cache, node)
		if (other != cache && !atomic_exchange(&other->flushing, true))
			engine_post(other->engine, &other->flush);
}

void pool_wait(struct pool_cache *cache, struct pool_waiter *waiter)
{
	struct pool *pool = cache->pool;

	/* One who was granted and found too little keeps its place. */
	if (waiter == cache->granted)
		list_push_front(&cache->waiters, &waiter->node);
	else
		list_push_back(&cache->waiters, &waiter->node);
	pthread_mutex_lock(&pool->lock);
	cache_drain_all(cache);
	if (!cache->waits) {
		cache->waits = true;
		list_push_back(&pool->waiting, &cache->wait_node);
		if (!atomic_fetch_add(&pool->n_waiting, 1))
			flush_others(cache);
	}
	if (pool->n_returns != cache->seen) {
		cache->seen = pool->n_returns;
		kick_head(pool);
	}
	pthread_mutex_unlock(&pool->lock);
}

void pool_wait_cancel(struct pool_cache *cache, struct pool_waiter *waiter)
{
	if (list_empty(&waiter->node))
		return;
	list_del(&waiter->node);
	pthread_mutex_lock(&cache->pool->lock);
	/* The next in line may be content with less. */
	if (list_empty(&cache->waiters))
		waiting_leave(cache);
	else
		kick_head(cache->pool);
	pthread_mutex_unlock(&cache->pool->lock);
}

/* ---- making and ending ---- */

int pool_cache_new(struct pool *pool, struct engine *engine, struct pool_cache **ret_cache)
{
	struct pool_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return -ENOMEM;
	cache->pool = pool;
	cache->engine = engine;
	cache->kick.run = cache_kick;
	cache->flush.run = cache_flush;
	list_init(&cache->waiters);
	list_init(&cache->wait_node);
	pthread_mutex_lock(&pool->lock);
	list_push_back(&pool->caches, &cache->node);
	pthread_mutex_unlock(&pool->lock);
	*ret_cache = cache;
	return 0;
}

void pool_cache_free(struct pool_cache *cache)
{
	struct pool *pool;

	if (!cache)
		return;
	assert(list_empty(&cache->waiters));
	pool = cache->pool;
	pthread_mutex_lock(&pool->lock);
	waiting_leave(cache);
	list_del(&cache->node);
	cache_drain_all(cache);
	kick_head(pool);
	pthread_mutex_unlock(&pool->lock);
	free(cache);
}

static int pool_map(struct pool *pool, int node)
{
	size_t len = pool_limit(pool);
	void *mem = mmap(NULL, len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (mem == MAP_FAILED)
		return -errno;
	pool->mem = mem;
	/* Both are wishes: huge pages may be off, and the node full or not ours to choose. */
	madvise(mem, len, MADV_HUGEPAGE);
	if (node >= 0)
		numa_bind_memory(mem, len, node);
	return 0;
}

static bool config_sound(const struct pool *pool, size_t n_large)
{
	return pool->large_size >= 64 << 10 && pool->large_size <= 4 << 20 &&
	       !(pool->large_size & (pool->large_size - 1)) && n_large <= N_LARGE_MAX;
}

int pool_new(const struct pool_config *cfg, struct pool **ret_pool)
{
	size_t n_large = cfg->n_large ? cfg->n_large : POOL_N_DEFAULT;
	struct pool *pool = calloc(1, sizeof(*pool));
	int r;

	if (!pool)
		return -ENOMEM;
	pthread_mutex_init(&pool->lock, NULL);
	pool->large_size = cfg->large_size ? cfg->large_size : POOL_LARGE_DEFAULT;
	r = config_sound(pool, n_large) ? 0 : -EINVAL;
	if (r < 0)
		goto fail;
	pool->n_large = (uint32_t)n_large;
	pool->node = cfg->node;
	r = -ENOMEM;
	pool->slabs = calloc(n_large, sizeof(*pool->slabs));
	pool->bufs = calloc(n_large * PIECES_MAX, sizeof(*pool->bufs)); /* untouched until carved */
	if (!pool->slabs || !pool->bufs)
		goto fail;
	r = pool_map(pool, cfg->node);
	if (r < 0)
		goto fail;
	while (pool->n_classes < N_CLASSES_MAX && class_size(pool, pool->n_classes) >= SIZE_MIN)
		list_init(&pool->carved[pool->n_classes++]);
	list_init(&pool->whole);
	list_init(&pool->caches);
	list_init(&pool->waiting);
	for (size_t i = 0; i < n_large; i++)
		list_push_back(&pool->whole, &pool->slabs[i].node);
	pool->free_bytes = pool_limit(pool);
	*ret_pool = pool;
	return 0;
fail:
	pool_free(pool);
	return r;
}

void pool_free(struct pool *pool)
{
	if (!pool)
		return;
	if (pool->mem) {
		assert(list_empty(&pool->caches));
		munmap(pool->mem, pool_limit(pool));
	}
	free(pool->bufs);
	free(pool->slabs);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

size_t pool_large_size(const struct pool *pool)
{
	return pool->large_size;
}

int pool_node(const struct pool *pool)
{
	return pool->node;
}

size_t pool_limit(const struct pool *pool)
{
	return pool->n_large * pool->large_size;
}

size_t pool_in_use(struct pool *pool)
{
	size_t free_bytes;

	pthread_mutex_lock(&pool->lock);
	free_bytes = pool->free_bytes;
	pthread_mutex_unlock(&pool->lock);
	return pool_limit(pool) - free_bytes;
}
