/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Reactors: one thread pinned to one CPU each, with its engine and its buffers. A connection and
 * its tasks stay on one reactor from header to status.
 */
#include "util/engine.h"
#include "util/pool.h"
#include <pthread.h>
#include <stdatomic.h>

struct reactor {
	struct engine *engine;
	struct pool_cache *bufs;     /* of its own node's pool */
	struct pool_cache **of_node; /* by node, NULL where a node has no pool; n_nodes of them */
	int n_nodes;		     /* 0: one pool for all */
	unsigned index;
	int cpu;	     /* -1: not pinned */
	int node;	     /* its own; 0 without NUMA */
	atomic_uint n_conns; /* connections placed here */
	pthread_t thread;
	bool running;
};

struct reactors {
	struct reactor *all;
	unsigned n;
	struct pool **pools; /* one, or one per NUMA node */
	int n_pools;
};

struct reactors_config {
	enum engine_kind engine;
	struct engine_config engine_config;
	struct pool_config pool; /* of each; node is ignored */
	size_t pools_limit;	 /* bytes of all of them; 0: none */
	unsigned n;		 /* 0: one per CPU that the process may use */
	bool numa;		 /* a pool per node, threads pinned */
	bool unpinned;		 /* threads go where the kernel puts them */
};

/* Makes and starts them. Return: 0 or -errno, nothing left behind. */
int reactors_start(const struct reactors_config *cfg, struct reactors **ret_reactors);

/* Ends the threads and frees all. Whatever ran on them must be gone. NULL is fine. */
void reactors_stop(struct reactors *reactors);

/* How the buffers of a pool are used. */
struct reactors_pool_use {
	int node;		    /* -1: the only pool, wherever its memory is */
	size_t in_use, limit;	    /* bytes; what threads keep at hand counts as used */
	uint64_t n_local, n_remote; /* buffers handed out, to threads on the node and on others */
};

/* Of pool @i of n_pools. Any thread. */
struct reactors_pool_use reactors_pool_use(struct reactors *reactors, int i);

/* The one of @n with the fewest connections. */
struct reactor *reactor_least_busy(struct reactor *all, unsigned n);

/* Buffers of @node's memory, if it has a pool of its own; else (or -1) of the reactor's. */
static inline struct pool_cache *reactor_bufs(const struct reactor *reactor, int node)
{
	if (node < 0 || node >= reactor->n_nodes || !reactor->of_node[node])
		return reactor->bufs;
	return reactor->of_node[node];
}
