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
};

struct engine_ops {
	const char *name;
	void (*free)(struct engine *engine);
	/* Submits what is queued, sleeps until @wait_until_ns (0: not at all, UINT64_MAX: for as
	 * long as it takes), runs completions. Return: how many ran, or -errno. */
	int (*poll)(struct engine *engine, uint64_t wait_until_ns);
	void (*wake)(struct engine *engine); /* any thread: ends a sleep in poll */
	uint64_t (*clock)(struct engine *engine);
	void (*random)(struct engine *engine, void *buf, size_t len);
	int (*sock_open)(struct engine *engine, struct engine_sock *sock, int fd);
	void (*sock_shutdown)(struct engine *engine, struct engine_sock *sock);
	void (*sock_close)(struct engine *engine, struct engine_sock *sock);
	/* Takes an operation whose kind and arguments are filled in. */
	void (*queue)(struct engine *engine, struct engine_op *op);
};

/* The head of each engine's own struct. */
struct engine {
	const struct engine_ops *ops;
	uint64_t now_ns;
	bool stop;
	struct list deferred;
	struct engine_timer **heap; /* heap[1] fires first */
	unsigned n_timers, heap_cap;
	_Atomic(struct engine_post *) posts; /* newest first */
	atomic_bool asleep; /* a post must wake it */
};

void engine_init(struct engine *engine, const struct engine_ops *ops);
void engine_fini(struct engine *engine);

/* The pool of helper threads: runs op->work.fn and posts the completion back. */
void engine_work_submit(struct engine_op *op);

int engine_uring_new(const struct engine_config *cfg, struct engine **ret_engine);
int engine_epoll_new(const struct engine_config *cfg, struct engine **ret_engine);
