/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all engines have in common: the calls that fill in an operation, timers, posts, deferred
 * work, and the turn of the loop that puts them in order.
 */
#include "util/engine_priv.h"
#include "util/log.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum { TIMERS_PER_TURN = 16 };

int engine_new(enum engine_kind kind, const struct engine_config *cfg, struct engine **ret_engine)
{
	static const struct engine_config defaults;
	int r = -EINVAL;

	if (!cfg)
		cfg = &defaults;
	if (kind == ENGINE_URING || kind == ENGINE_AUTO)
		r = engine_uring_new(cfg, ret_engine);
	/* Whatever stands in io_uring's way (seccomp, sysctl, an old kernel, a limit on locked
	 * memory), epoll can do without it. */
	if (kind == ENGINE_EPOLL || (kind == ENGINE_AUTO && r < 0))
		r = engine_epoll_new(cfg, ret_engine);
	if (r == 0)
		(*ret_engine)->busy_poll_ns = cfg->busy_poll_us * UINT64_C(1000);
	return r;
}

void engine_free(struct engine *engine)
{
	if (!engine)
		return;
	engine_work_drain(engine);
	engine->ops->free(engine);
}

void engine_init(struct engine *engine, const struct engine_ops *ops)
{
	engine->ops = ops;
	engine->stop = false;
	list_init(&engine->deferred);
	engine->heap = NULL;
	engine->n_timers = engine->heap_cap = 0;
	atomic_init(&engine->posts, NULL);
	atomic_init(&engine->asleep, false);
	engine->fired_ns = engine->slow_until_ns = engine->slow_spell_ns = 0;
	memset(engine->no_nowait, 0, sizeof(engine->no_nowait));
	engine->busy_poll_ns = engine->active_ns = engine->gap_ns = 0;
	engine->recv_some_max = SIZE_MAX;
	engine->may_batch = false;
	engine->batch = NULL;
	engine->now_ns = ops->clock(engine);
}

void engine_fini(struct engine *engine)
{
	engine_batch_free(engine->batch);
	free(engine->heap);
}

const char *engine_name(const struct engine *engine)
{
	return engine->ops->name;
}

uint64_t engine_now(struct engine *engine)
{
	return engine->now_ns;
}

void engine_random(struct engine *engine, void *buf, size_t len)
{
	engine->ops->random(engine, buf, len);
}

uint64_t engine_clock_monotonic(struct engine *engine)
{
	struct timespec ts;

	(void)engine;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

void engine_random_system(struct engine *engine, void *buf, size_t len)
{
	uint8_t *p = buf;

	(void)engine;
	while (len) {
		ssize_t n = getrandom(p, len, 0);

		if (n < 0 && errno != EINTR) {
			/* Since Linux 3.17 only a seccomp filter makes it fail. Bytes that can be
			 * guessed would be worse than none. */
			log_error("getrandom: %s", strerror(errno));
			abort();
		}
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
}

/* ---- operations ---- */

static void op_queue(struct engine *engine, struct engine_op *op, enum engine_op_kind kind)
{
	op->engine = engine;
	op->kind = (uint8_t)kind;
	op->tries = 0;
	engine->ops->queue(engine, op);
}

static void sock_queue(struct engine *engine, struct engine_sock *sock, struct engine_op *op,
		       enum engine_op_kind kind)
{
	struct engine_op **side = kind == OP_SEND ? &sock->writer : &sock->reader;

	assert(sock->fd >= 0);
	assert(!*side);
	*side = op;
	op->sock = sock;
	op_queue(engine, op, kind);
}

static void file_queue(struct engine *engine, struct engine_op *op, enum engine_op_kind kind)
{
	op->sock = NULL;
	op_queue(engine, op, kind);
}

static void set_msg(struct engine_op *op, const struct iovec *iov, int n_iov)
{
	op->msg = (struct msghdr){.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n_iov};
}

int engine_sock_open(struct engine *engine, struct engine_sock *sock, int fd)
{
	int r;

	*sock = (struct engine_sock){.fd = -1};
	list_init(&sock->node);
	r = engine->ops->sock_open(engine, sock, fd);
	if (r == 0)
		sock->fd = fd;
	return r;
}

void engine_sock_shutdown(struct engine *engine, struct engine_sock *sock)
{
	assert(sock->fd >= 0);
	engine->ops->sock_shutdown(engine, sock);
}

void engine_sock_close(struct engine *engine, struct engine_sock *sock)
{
	assert(sock->fd >= 0 && !sock->reader && !sock->writer);
	engine->ops->sock_close(engine, sock);
	sock->fd = -1;
}

void engine_accept(struct engine *engine, struct engine_sock *sock, struct engine_op *op)
{
	sock_queue(engine, sock, op, OP_ACCEPT);
}

void engine_recv(struct engine *engine, struct engine_sock *sock, struct engine_op *op,
		 const struct iovec *iov, int n_iov)
{
	set_msg(op, iov, n_iov);
	sock_queue(engine, sock, op, OP_RECV);
}

void engine_recv_some(struct engine *engine, struct engine_sock *sock, struct engine_op *op)
{
	op->buf = NULL;
	sock_queue(engine, sock, op, OP_RECV_SOME);
}

void engine_recv_some_limit(struct engine *engine, size_t max)
{
	assert(max);
	engine->recv_some_max = max;
}

void engine_send(struct engine *engine, struct engine_sock *sock, struct engine_op *op,
		 const struct iovec *iov, int n_iov)
{
	set_msg(op, iov, n_iov);
	sock_queue(engine, sock, op, OP_SEND);
}

int engine_watch(struct engine *engine, struct engine_watch *watch, int fd)
{
	watch->op = (struct engine_op){.engine = engine, .kind = OP_WATCH, .sock = &watch->sock};
	watch->end = (struct engine_op){.engine = engine, .kind = OP_UNWATCH};
	watch->sock = (struct engine_sock){.fd = fd};
	watch->ending = false;
	watch->n_queued = 0;
	list_init(&watch->op.node);
	list_init(&watch->end.node);
	list_init(&watch->sock.node);
	return engine->ops->watch(engine, watch);
}

void engine_unwatch(struct engine *engine, struct engine_watch *watch)
{
	assert(!watch->ending);
	watch->ending = true;
	engine->ops->unwatch(engine, watch);
}

void engine_readv(struct engine *engine, struct engine_op *op, int fd, const struct iovec *iov,
		  int n_iov, uint64_t offset, int flags)
{
	op->file = (__typeof__(op->file)){
		.fd = fd, .flags = flags, .iov = iov, .n_iov = n_iov, .offset = offset};
	file_queue(engine, op, OP_READV);
}

void engine_writev(struct engine *engine, struct engine_op *op, int fd, const struct iovec *iov,
		   int n_iov, uint64_t offset, int flags)
{
	op->file = (__typeof__(op->file)){
		.fd = fd, .flags = flags, .iov = iov, .n_iov = n_iov, .offset = offset};
	file_queue(engine, op, OP_WRITEV);
}

void engine_flush(struct engine *engine, struct engine_op *op, int fd)
{
	op->file = (__typeof__(op->file)){.fd = fd};
	file_queue(engine, op, OP_FLUSH);
}

void engine_discard(struct engine *engine, struct engine_op *op, int fd, uint64_t offset,
		    uint64_t len)
{
	op->file = (__typeof__(op->file)){.fd = fd, .offset = offset, .len = len};
	file_queue(engine, op, OP_DISCARD);
}

void engine_work(struct engine *engine, struct engine_op *op, int (*fn)(void *arg), void *arg)
{
	op->work.fn = fn;
	op->work.arg = arg;
	file_queue(engine, op, OP_WORK);
}

/* ---- timers: a binary heap; the children of heap[i] are heap[2i] and heap[2i + 1] ---- */

/* The times lie in the heap itself: to sift through thousands of timers touches none of them. */
static void heap_place(struct engine *engine, unsigned i, struct engine_heap_entry entry)
{
	engine->heap[i] = entry;
	entry.timer->heap_i = i;
}

static void heap_up(struct engine *engine, unsigned i, struct engine_heap_entry entry)
{
	for (; i > 1 && engine->heap[i / 2].at_ns > entry.at_ns; i /= 2)
		heap_place(engine, i, engine->heap[i / 2]);
	heap_place(engine, i, entry);
}

static void heap_down(struct engine *engine, unsigned i, struct engine_heap_entry entry)
{
	unsigned child;

	for (; (child = 2 * i) <= engine->n_timers; i = child) {
		if (child < engine->n_timers &&
		    engine->heap[child + 1].at_ns < engine->heap[child].at_ns)
			child++;
		if (engine->heap[child].at_ns >= entry.at_ns)
			break;
		heap_place(engine, i, engine->heap[child]);
	}
	heap_place(engine, i, entry);
}

/* Where @entry belongs, seen from the hole at @i, may be above or below it. */
static void heap_settle(struct engine *engine, unsigned i, struct engine_heap_entry entry)
{
	if (i > 1 && engine->heap[i / 2].at_ns > entry.at_ns)
		heap_up(engine, i, entry);
	else
		heap_down(engine, i, entry);
}

static void heap_grow(struct engine *engine)
{
	unsigned cap = engine->heap_cap ? 2 * engine->heap_cap : 64;
	struct engine_heap_entry *heap = reallocarray(engine->heap, cap, sizeof(*heap));

	if (!heap) {
		/* A timer that never fires would leave dead connections and stuck commands
		 * behind without a word, and no caller could do anything else about it. */
		log_error("out of memory for %u timers", cap);
		abort();
	}
	engine->heap = heap;
	engine->heap_cap = cap;
}

void engine_timer_set(struct engine *engine, struct engine_timer *timer, uint64_t at_ns)
{
	unsigned i = timer->heap_i;

	/* Past what this turn still looks at: a timer that sets itself anew cannot hold it up. */
	if (at_ns <= engine->fired_ns)
		at_ns = engine->fired_ns + 1;
	if (!i) {
		i = ++engine->n_timers;
		if (i >= engine->heap_cap)
			heap_grow(engine);
	}
	heap_settle(engine, i, (struct engine_heap_entry){at_ns, timer});
}

void engine_timer_cancel(struct engine *engine, struct engine_timer *timer)
{
	unsigned i = timer->heap_i;
	struct engine_heap_entry last;

	if (!i)
		return;
	timer->heap_i = 0;
	last = engine->heap[engine->n_timers--];
	if (last.timer != timer)
		heap_settle(engine, i, last);
}

/* The rest of those that are due has the next turns: sockets are looked at in between. */
static int run_timers(struct engine *engine)
{
	int n = 0;

	engine->fired_ns = engine->now_ns;
	while (n < TIMERS_PER_TURN && engine->n_timers &&
	       engine->heap[1].at_ns <= engine->fired_ns) {
		struct engine_timer *timer = engine->heap[1].timer;

		engine_timer_cancel(engine, timer);
		timer->fire(timer);
		n++;
	}
	return n;
}

/* ---- posts and deferred work ---- */

void engine_post(struct engine *engine, struct engine_post *post)
{
	struct engine_post *head = atomic_load_explicit(&engine->posts, memory_order_relaxed);

	do {
		post->next = head;
	} while (!atomic_compare_exchange_weak(&engine->posts, &head, post));
	/* In one total order with sleep_until(): it sees the post, or we see it asleep. The first
	 * to see that wakes it, for all. */
	if (atomic_load(&engine->asleep) && atomic_exchange(&engine->asleep, false))
		engine->ops->wake(engine);
}

static int run_posts(struct engine *engine)
{
	struct engine_post *newest, *oldest = NULL;
	int n = 0;

	if (!atomic_load_explicit(&engine->posts, memory_order_relaxed))
		return 0;
	newest = atomic_exchange_explicit(&engine->posts, NULL, memory_order_acquire);
	while (newest) {
		struct engine_post *next = newest->next;

		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	while (oldest) {
		struct engine_post *next = oldest->next; /* run may free or post it again */

		oldest->run(oldest);
		oldest = next;
		n++;
	}
	return n;
}

void engine_defer(struct engine *engine, struct engine_defer *defer)
{
	if (list_empty(&defer->node))
		list_push_back(&engine->deferred, &defer->node);
}

static void run_deferred(struct engine *engine)
{
	struct list *node;

	while ((node = list_pop_front(&engine->deferred))) {
		struct engine_defer *defer = list_entry(node, struct engine_defer, node);

		defer->run(defer);
	}
}

/* ---- the loop ---- */

/* Until when there is nothing to run but completions; 0 when there is something now. */
static uint64_t sleep_until(struct engine *engine)
{
	uint64_t until = UINT64_MAX;

	if (!list_empty(&engine->deferred))
		return 0;
	if (engine->n_timers)
		until = engine->heap[1].at_ns;
	if (until <= engine->now_ns)
		return 0;
	/* First the flag, then the look: a post in between sees the flag and wakes us. */
	atomic_store(&engine->asleep, true);
	return atomic_load(&engine->posts) ? 0 : until;
}

static void note_activity(struct engine *engine)
{
	engine->gap_ns = engine->now_ns - engine->active_ns;
	engine->active_ns = engine->now_ns;
}

static bool has_own_work(const struct engine *engine)
{
	return !list_empty(&engine->deferred) ||
	       atomic_load_explicit(&engine->posts, memory_order_relaxed) ||
	       (engine->n_timers && engine->heap[1].at_ns <= engine->now_ns);
}

/*
 * Looks again and again instead of sleeping, since to be woken takes longer than most of what
 * comes. Only while it pays: where the last pause was longer than this may last, it is not tried.
 */
static int busy_poll(struct engine *engine)
{
	int n = 0;

	while (!n && !has_own_work(engine) && engine->gap_ns <= engine->busy_poll_ns &&
	       engine->now_ns - engine->active_ns < engine->busy_poll_ns)
		n = engine->ops->poll(engine, 0);
	return n;
}

int engine_turn(struct engine *engine, bool wait)
{
	int n = wait && engine->busy_poll_ns ? busy_poll(engine) : 0;

	if (!n)
		n = engine->ops->poll(engine, wait ? sleep_until(engine) : 0);
	if (n < 0)
		return n;
	if (n)
		note_activity(engine);
	n += run_posts(engine);
	n += run_timers(engine);
	run_deferred(engine);
	return n;
}

int engine_run(struct engine *engine)
{
	int r = 0;

	while (!engine->stop && r >= 0)
		r = engine_turn(engine, true);
	engine->stop = false;
	return r < 0 ? r : 0;
}

void engine_stop(struct engine *engine)
{
	engine->stop = true;
}
