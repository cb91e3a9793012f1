/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* For tests that run on both engines, named by on_both(). A lost wake-up shows as SIGALRM. */
#include "util/cleanup.h"
#include "util/engine_priv.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* An operation with what came of it. */
struct call {
	struct engine_op op;
	int res;
	unsigned n_done;
	char bytes[64]; /* of recv_some */
};

static inline void call_done(struct engine_op *op, int res)
{
	struct call *call = container_of(op, struct call, op);

	call->res = res;
	call->n_done++;
	if (op->buf && res > 0)
		memcpy(call->bytes, op->buf, res < 64 ? (size_t)res : 64);
}

static inline struct engine_op *fresh(struct call *call)
{
	memset(call, 0, sizeof(*call));
	call->op.done = call_done;
	return &call->op;
}

/* Turns until it is done. That it is not done at the start is a promise, too. */
static inline int finish(struct engine *engine, struct call *call)
{
	assert_int_equal(call->n_done, 0);
	while (!call->n_done)
		assert_true(engine_turn(engine, true) >= 0);
	assert_int_equal(call->n_done, 1);
	return call->res;
}

enum { BUSY_POLLS = 0x100 };

static inline void set_up(struct engine **ret_engine, void **state, unsigned depth)
{
	unsigned code = *(unsigned *)*state;
	enum engine_kind kind = (enum engine_kind)(code & ~BUSY_POLLS);
	struct engine_config cfg = {
		.queue_depth = depth,
		.busy_poll_us = code & BUSY_POLLS ? ENGINE_BUSY_POLL_MAX_US : 0,
	};
	int r = engine_new(kind, &cfg, ret_engine);

	if (kind == ENGINE_URING && (r == -ENOSYS || r == -EPERM))
		skip();
	assert_int_equal(r, 0);
}

DEFINE_SCOPED(struct engine *, engine_free)
#define scoped_engine(name, depth)                                                                 \
	scoped(engine_free) struct engine *name = NULL;                                            \
	set_up(&name, state, depth)

static unsigned kinds[] __attribute__((unused)) = {
	ENGINE_EPOLL, ENGINE_URING, ENGINE_EPOLL | BUSY_POLLS, ENGINE_URING | BUSY_POLLS};

/* clang-format off */
#define on_both(test)                                                                              \
	{#test " (epoll)", test, NULL, NULL, &kinds[0]},                                           \
	{#test " (io_uring)", test, NULL, NULL, &kinds[1]},                                        \
	{#test " (epoll, busy polling)", test, NULL, NULL, &kinds[2]},                             \
	{#test " (io_uring, busy polling)", test, NULL, NULL, &kinds[3]}
/* clang-format on */
