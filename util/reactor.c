/* SPDX-License-Identifier: Apache-2.0 */
#include "util/reactor.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/numa.h"
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *reactor_main(void *arg)
{
	struct reactor *reactor = arg;
	int r;

	if (reactor->cpu >= 0) {
		r = numa_pin_thread(reactor->cpu);
		if (r < 0) /* the CPU went away, or a container forbids it: slower, not wrong */
			log_warning("reactor %u: cannot be pinned to CPU %d: %s", reactor->index,
				    reactor->cpu, strerror(-r));
	}
	r = engine_run(reactor->engine);
	if (r < 0) {
		/* Its connections would hang for ever, and nothing here can move them. */
		log_error("reactor %u: event loop failed: %s", reactor->index, strerror(-r));
		abort();
	}
	return NULL;
}

/*
 * Signals are the control thread's: reactors start with all of them blocked, but for the one of
 * memory that is not there. That is always the thread's own, and kills where it is blocked.
 */
static int reactor_start(struct reactor *reactor)
{
	sigset_t all, before;
	char name[24];
	int r;

	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&reactor->thread, NULL, reactor_main, reactor);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r)
		return -r;
	reactor->running = true;
	snprintf(name, sizeof(name), "duotgt/%u", reactor->index);
	pthread_setname_np(reactor->thread, name);
	return 0;
}

struct stop_post {
	struct engine_post post;
	struct engine *engine;
};

static void stop_run(struct engine_post *post)
{
	engine_stop(container_of(post, struct stop_post, post)->engine);
}

static void reactor_join(struct reactor *reactor)
{
	struct stop_post stop = {.post.run = stop_run, .engine = reactor->engine};

	if (!reactor->running)
		return;
	engine_post(reactor->engine, &stop.post);
	pthread_join(reactor->thread, NULL);
	reactor->running = false;
}

static void caches_free(struct reactor *reactor)
{
	for (int node = 0; node < reactor->n_nodes; node++)
		if (reactor->of_node[node] != reactor->bufs)
			pool_cache_free(reactor->of_node[node]);
	pool_cache_free(reactor->bufs);
	free(reactor->of_node);
}

void reactors_stop(struct reactors *reactors)
{
	if (!reactors)
		return;
	for (unsigned i = 0; i < reactors->n; i++)
		reactor_join(&reactors->all[i]);
	/* Only now: until here, a thread may post to any other's engine. */
	for (unsigned i = 0; i < reactors->n; i++) {
		engine_free(reactors->all[i].engine);
		caches_free(&reactors->all[i]);
	}
	for (int i = 0; i < reactors->n_pools; i++)
		pool_free(reactors->pools[i]);
	free(reactors->pools);
	free(reactors->all);
	free(reactors);
}
DEFINE_SCOPED(struct reactors *, reactors_stop)

/* Where the threads go: CPUs of this process in order, over and over when there are too few. */
static int place(struct reactors *reactors, const struct reactors_config *cfg)
{
	int cpus[CPU_SETSIZE];
	int n_cpus = numa_allowed_cpus(cpus, CPU_SETSIZE);
	unsigned n = cfg->n ? cfg->n : n_cpus > 0 ? (unsigned)n_cpus : 1;
	bool pin = n_cpus > 0 && !cfg->unpinned && (cfg->numa || n <= (unsigned)n_cpus);

	reactors->all = calloc(n, sizeof(*reactors->all));
	if (!reactors->all)
		return -ENOMEM;
	reactors->n = n;
	for (unsigned i = 0; i < n; i++) {
		reactors->all[i].index = i;
		reactors->all[i].cpu = pin ? cpus[i % (unsigned)n_cpus] : -1;
	}
	return 0;
}

/* Large buffers of each of @n pools. */
static size_t pool_share(const struct reactors_config *cfg, int n)
{
	size_t size = cfg->pool.large_size ? cfg->pool.large_size : POOL_LARGE_DEFAULT;
	size_t n_large = cfg->pool.n_large ? cfg->pool.n_large : POOL_N_DEFAULT;
	size_t share = cfg->pools_limit / (size_t)n / size;

	return cfg->pools_limit && share < n_large ? share : n_large;
}

/*
 * pool_of[node] becomes the index of the node's pool: one for each node that has a reactor, or
 * one in all.
 */
static int make_pools(struct reactors *reactors, const struct reactors_config *cfg, int *pool_of)
{
	struct pool_config pool_cfg = cfg->pool;
	int limit = numa_node_limit(), n = 0;
	int r;

	for (int node = 0; node < limit; node++)
		pool_of[node] = -1;
	for (unsigned i = 0; i < reactors->n; i++) {
		int node = cfg->numa ? numa_node_of_cpu_or_0(reactors->all[i].cpu) : 0;

		if (pool_of[node] < 0)
			pool_of[node] = n++;
	}
	reactors->pools = calloc((size_t)n, sizeof(*reactors->pools));
	if (!reactors->pools)
		return -ENOMEM;
	reactors->n_pools = n;
	pool_cfg.n_large = pool_share(cfg, n);
	for (int node = 0; node < limit; node++) {
		if (pool_of[node] < 0)
			continue;
		pool_cfg.node = cfg->numa ? node : -1;
		r = pool_new(&pool_cfg, &reactors->pools[pool_of[node]]);
		if (r < 0)
			return r;
	}
	return 0;
}

/* A cache of its own node's pool, and one of each other's for LUs whose data is to lie there. */
static int make_caches(struct reactors *reactors, struct reactor *reactor, const int *pool_of)
{
	int r = pool_cache_new(reactors->pools[pool_of[reactor->node]], reactor->engine,
			       &reactor->bufs);

	if (r < 0 || reactors->n_pools == 1)
		return r;
	reactor->of_node = calloc((size_t)numa_node_limit(), sizeof(struct pool_cache *));
	if (!reactor->of_node)
		return -ENOMEM;
	reactor->n_nodes = numa_node_limit();
	for (int node = 0; r == 0 && node < reactor->n_nodes; node++) {
		if (node == reactor->node)
			reactor->of_node[node] = reactor->bufs;
		else if (pool_of[node] >= 0)
			r = pool_cache_new(reactors->pools[pool_of[node]], reactor->engine,
					   &reactor->of_node[node]);
	}
	return r;
}

static int equip(struct reactors *reactors, const struct reactors_config *cfg)
{
	scoped(free) int *pool_of = calloc((size_t)numa_node_limit(), sizeof(*pool_of));
	int r;

	if (!pool_of)
		return -ENOMEM;
	r = make_pools(reactors, cfg, pool_of);
	for (unsigned i = 0; r == 0 && i < reactors->n; i++) {
		struct reactor *reactor = &reactors->all[i];

		reactor->node = cfg->numa ? numa_node_of_cpu_or_0(reactor->cpu) : 0;
		r = engine_new(cfg->engine, &cfg->engine_config, &reactor->engine);
		if (r == 0)
			r = make_caches(reactors, reactor, pool_of);
	}
	return r;
}

int reactors_start(const struct reactors_config *cfg, struct reactors **ret_reactors)
{
	scoped(reactors_stop) struct reactors *reactors = calloc(1, sizeof(*reactors));
	int r;

	if (!reactors)
		return -ENOMEM;
	r = place(reactors, cfg);
	if (r == 0)
		r = equip(reactors, cfg);
	for (unsigned i = 0; r == 0 && i < reactors->n; i++)
		r = reactor_start(&reactors->all[i]);
	if (r < 0)
		return r;
	*ret_reactors = steal(reactors);
	return 0;
}

struct reactors_pool_use reactors_pool_use(struct reactors *reactors, int i)
{
	struct pool *pool = reactors->pools[i];
	struct reactors_pool_use use = {
		.node = pool_node(pool), .in_use = pool_in_use(pool), .limit = pool_limit(pool)};

	for (unsigned r = 0; r < reactors->n; r++) {
		const struct reactor *reactor = &reactors->all[r];
		bool local = use.node < 0 || use.node == reactor->node;
		uint64_t *n = local ? &use.n_local : &use.n_remote;

		*n += pool_cache_gets(local ? reactor->bufs : reactor->of_node[use.node]);
	}
	return use;
}

struct reactor *reactor_least_busy(struct reactor *all, unsigned n)
{
	struct reactor *best = &all[0];

	for (unsigned i = 1; i < n; i++)
		if (atomic_load_explicit(&all[i].n_conns, memory_order_relaxed) <
		    atomic_load_explicit(&best->n_conns, memory_order_relaxed))
			best = &all[i];
	return best;
}
