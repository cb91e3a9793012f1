/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Data buffers: page-aligned pieces of one mapping per NUMA node, in four sizes, each a quarter
 * of the next one (4, 16, 64, 256 KiB by default). The mapping is the limit: when it is used up,
 * callers wait; nothing fails. A thread takes buffers through its own cache, without a lock in
 * the usual case.
 */
#include "util/engine.h"
#include <stddef.h>
#include <stdint.h>

#define POOL_LARGE_DEFAULT (256u << 10) /* bytes */
#define POOL_N_DEFAULT 1024

struct pool;
struct pool_cache;

/* A buffer: @size bytes at @data, page-aligned. Whoever holds it owns it. */
struct buf {
	uint8_t *data;
	uint32_t size;
	uint32_t slab;
	struct buf *next; /* for whoever owns the buffer */
};

struct pool_config {
	size_t large_size; /* bytes of the largest class, 2^n, 64 KiB to 4 MiB; 0: 256 KiB */
	size_t n_large;	   /* large buffers in all: the limit; 0: 1024 */
	int node;	   /* NUMA node of the memory; -1: any */
};

/* One who found too few buffers. granted runs on its engine's thread, from the loop. */
struct pool_waiter {
	struct list node;			     /* list_init() it once */
	void (*granted)(struct pool_waiter *waiter); /* time to try again; no longer queued */
};

int pool_new(const struct pool_config *cfg, struct pool **ret_pool);
void pool_free(struct pool *pool); /* all caches closed; NULL is fine */
size_t pool_large_size(const struct pool *pool);
size_t pool_limit(const struct pool *pool); /* bytes */
size_t pool_in_use(struct pool *pool);	    /* bytes, what caches hold counted as used */
int pool_node(const struct pool *pool);	    /* NUMA node of the memory; -1: any */

/* The cache of one thread; its engine is how waiters are told. */
int pool_cache_new(struct pool *pool, struct engine *engine, struct pool_cache **ret_cache);
void pool_cache_free(struct pool_cache *cache); /* no waiter left; NULL is fine */

/**
 * pool_get() - buffers for @len bytes in all, or none
 * @bufs:   room for @max; each but the last is of the large size
 * Return: how many were written; -EAGAIN when there are too few just now or others wait already
 * (pool_wait() then); -EMSGSIZE when @max, or the whole pool, could never hold @len.
 */
int pool_get(struct pool_cache *cache, size_t len, struct buf **bufs, int max);

/* Gives one back, on any thread that has a cache of the same pool. */
void pool_put(struct pool_cache *cache, struct buf *buf);

/* Buffers that pool_get() has handed out through this cache since the start. Any thread. */
uint64_t pool_cache_gets(const struct pool_cache *cache);

/* Queues for the next chance, first come first served among this thread's waiters. */
void pool_wait(struct pool_cache *cache, struct pool_waiter *waiter);

/* Stops waiting; no effect when it is not queued. */
void pool_wait_cancel(struct pool_cache *cache, struct pool_waiter *waiter);
