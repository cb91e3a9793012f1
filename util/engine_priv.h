/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the engines share: the table each one fills, and the parts of engine.c. */
#include "util/engine.h"
#include <stdatomic.h>

enum engine_op_kind {
	OP_ACCEPT,
	OP_RECV,
	OP_RECV_SOME,
	OP_SEND,
	OP_READV,
	OP_WRITEV,
	OP_FLUSH,
	OP_DISCARD,
	OP_WORK,
	OP_WATCH,
	OP_UNWATCH,
};

struct engine_ops {
	const char *name;
	void (*free)(struct engine *engine);
	/* Submits what is queued, sleeps until @wait_until_ns (0: not at all, UINT64_MAX: for as
	 * long as it takes), calls engine_slept(), runs completions by engine_complete().
	 * Return: how many ran, or -errno. */
	int (*poll)(struct engine *engine, uint64_t wait_until_ns);
	void (*wake)(struct engine *engine); /* any thread: ends a sleep in poll */
	uint64_t (*clock)(struct engine *engine);
	void (*random)(struct engine *engine, void *buf, size_t len);
	int (*sock_open)(struct engine *engine, struct engine_sock *sock, int fd);
	void (*sock_shutdown)(struct engine *engine, struct engine_sock *sock);
	void (*sock_close)(struct engine *engine, struct engine_sock *sock);
	/* Their operations, end and sock.fd are filled in. */
	int (*watch)(struct engine *engine, struct engine_watch *watch);
	void (*unwatch)(struct engine *engine, struct engine_watch *watch);
	/* Takes an operation whose kind and arguments are filled in; it is already noted as its
	 * socket's reader or writer. Must not complete it before the next poll. */
	void (*queue)(struct engine *engine, struct engine_op *op);
};

/* A timer that is set. */
struct engine_heap_entry {
	uint64_t at_ns; /* engine_now() scale */
	struct engine_timer *timer;
};

#define ENGINE_FDS 1024 /* descriptors that are told apart; the others share the bits of these */

struct engine_batch;

/* The head of each engine's own struct. */
struct engine {
	const struct engine_ops *ops;
	uint64_t now_ns;		     /* when the last sleep ended */
	uint64_t fired_ns;		     /* timers up to here have been looked at */
	uint64_t slow_until_ns;		     /* till then, cached writes are taken to block */
	uint64_t slow_spell_ns;		     /* how long that was */
	uint64_t no_nowait[ENGINE_FDS / 64]; /* a bit of a descriptor: it refuses RWF_NOWAIT */
	bool may_batch;		    /* cached files, as soon as there are several at once */
	struct engine_batch *batch; /* NULL: none yet */
	uint64_t busy_poll_ns;
	uint64_t active_ns;   /* when something was last complete */
	uint64_t gap_ns;      /* how long nothing was before that */
	size_t recv_some_max; /* see engine_recv_some_limit() */
	bool stop;
	struct list deferred;
	struct engine_heap_entry *heap; /* heap[1] fires first */
	unsigned n_timers, heap_cap;
	_Atomic(struct engine_post *) posts; /* newest first */
	atomic_bool asleep;		     /* a post must wake it */
};

void engine_init(struct engine *engine, const struct engine_ops *ops);
void engine_fini(struct engine *engine);

/* For ops->poll, once its sleep is over: takes the time; posts need no wake from here on. */
static inline void engine_slept(struct engine *engine)
{
	atomic_store_explicit(&engine->asleep, false, memory_order_relaxed);
	engine->now_ns = engine->ops->clock(engine);
}

/* The same where it did not sleep: the time is of no use but to timers, and where the kernel has no
 * clock that can be read without a system call, it would cost as much as a small read. */
static inline void engine_went_on(struct engine *engine)
{
	atomic_store_explicit(&engine->asleep, false, memory_order_relaxed);
	if (engine->n_timers)
		engine->now_ns = engine->ops->clock(engine);
}

/* Ends an operation. Its owner, its socket and itself may be gone afterwards. */
static inline void engine_complete(struct engine_op *op, int res)
{
	if (op->sock && op->kind == OP_SEND)
		op->sock->writer = NULL;
	else if (op->sock)
		op->sock->reader = NULL;
	op->done(op, res);
}

/* For ops->clock and ops->random: CLOCK_MONOTONIC and getrandom(2). */
uint64_t engine_clock_monotonic(struct engine *engine);
void engine_random_system(struct engine *engine, void *buf, size_t len);

/* engine_cached.c: does those of the reads and writes in @ops that need not wait; what is in @ops
 * afterwards has to go another way. Return: how many are complete. */
int engine_files_try(struct engine *engine, struct list *ops);
void engine_batch_free(struct engine_batch *batch);

/* The pool of helper threads: does the operation (work or file) the blocking way and posts the
 * completion back. */
void engine_work_submit(struct engine_op *op);

/* Waits until no helper thread has a hand on @engine any more. */
void engine_work_drain(struct engine *engine);

int engine_uring_new(const struct engine_config *cfg, struct engine **ret_engine);
int engine_epoll_new(const struct engine_config *cfg, struct engine **ret_engine);
