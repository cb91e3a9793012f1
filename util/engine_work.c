/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What may block goes to helper threads: one pool for the whole process, since the work is rare
 * and its threads mostly wait. A helper starts when work finds none idle, and ends after a while
 * without any.
 */
#include "util/engine_priv.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

enum {
	MAX_HELPERS = 8,
	IDLE_LIMIT_S = 10,
};

/* On its own thread's stack. */
struct helper {
	struct list node;
	struct engine *engine; /* whose operation it does, until it has let go of it */
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t more;	/* an operation was queued */
	pthread_cond_t settled; /* a helper has let go of an engine */
	struct list queue;
	struct list helpers;
	unsigned n_queued, n_helpers, n_idle;
} pool = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.more = PTHREAD_COND_INITIALIZER,
	.settled = PTHREAD_COND_INITIALIZER,
	.queue = LIST_INIT(pool.queue),
	.helpers = LIST_INIT(pool.helpers),
};

static ssize_t system_call(const struct engine_op *op)
{
	switch (op->kind) {
	case OP_READV:
		return preadv(op->file.fd, op->file.iov, op->file.n_iov, (off_t)op->file.offset);
	case OP_WRITEV:
		return pwritev2(op->file.fd, op->file.iov, op->file.n_iov, (off_t)op->file.offset,
				op->file.flags & ENGINE_WRITE_DSYNC ? RWF_DSYNC : 0);
	case OP_FLUSH:
		return fdatasync(op->file.fd);
	case OP_DISCARD:
		return fallocate(op->file.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				 (off_t)op->file.offset, (off_t)op->file.len);
	}
	errno = EINVAL;
	return -1;
}

static int perform(const struct engine_op *op)
{
	ssize_t n;

	if (op->kind == OP_WORK)
		return op->work.fn(op->work.arg);
	do {
		n = system_call(op);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : (int)n; /* a read or write moves less than 2 GiB */
}

/* ---- the helpers ---- */

static void performed(struct engine_post *post)
{
	struct engine_op *op = container_of(post, struct engine_op, post);

	engine_complete(op, op->res);
}

/* The next operation, or NULL when there was none for long. Called, and left, with the lock. */
static struct engine_op *next_op(void)
{
	struct timespec limit;
	int r = 0;

	clock_gettime(CLOCK_MONOTONIC, &limit);
	limit.tv_sec += IDLE_LIMIT_S;
	while (list_empty(&pool.queue)) {
		if (r == ETIMEDOUT)
			return NULL;
		pool.n_idle++;
		r = pthread_cond_clockwait(&pool.more, &pool.lock, CLOCK_MONOTONIC, &limit);
		pool.n_idle--;
	}
	pool.n_queued--;
	return list_entry(list_pop_front(&pool.queue), struct engine_op, node);
}

static void *helper_main(void *arg)
{
	struct helper self = {0};
	struct engine_op *op;

	(void)arg;
	pthread_setname_np(pthread_self(), "duotgt-work");
	pthread_mutex_lock(&pool.lock);
	list_push_back(&pool.helpers, &self.node);
	while ((op = next_op())) {
		self.engine = op->engine;
		pthread_mutex_unlock(&pool.lock);
		op->res = perform(op);
		engine_post(self.engine, &op->post);
		pthread_mutex_lock(&pool.lock);
		self.engine = NULL;
		pthread_cond_broadcast(&pool.settled);
	}
	list_del(&self.node);
	pool.n_helpers--;
	pthread_mutex_unlock(&pool.lock);
	return NULL;
}

/* Detached, deaf to signals, and on all CPUs of the main thread: not only on the one that the
 * thread asking for it is pinned to. */
static int helper_start(void)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all;
	cpu_set_t cpus;
	int r;

	if (pthread_attr_init(&attr))
		return -ENOMEM;
	sigfillset(&all);
	sigdelset(&all, SIGBUS); /* as with reactors */
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setsigmask_np(&attr, &all);
	if (sched_getaffinity(getpid(), sizeof(cpus), &cpus) == 0)
		pthread_attr_setaffinity_np(&attr, sizeof(cpus), &cpus);
	r = pthread_create(&thread, &attr, helper_main, NULL);
	pthread_attr_destroy(&attr);
	return -r;
}

/* Whether a helper will come to what is queued next. Called with the lock. */
static bool helper_at_hand(void)
{
	if (pool.n_queued >= pool.n_idle && pool.n_helpers < MAX_HELPERS && helper_start() == 0)
		pool.n_helpers++;
	return pool.n_helpers > 0;
}

void engine_work_submit(struct engine_op *op)
{
	bool at_hand;

	op->post.run = performed;
	pthread_mutex_lock(&pool.lock);
	at_hand = helper_at_hand();
	if (at_hand) {
		list_push_back(&pool.queue, &op->node);
		pool.n_queued++;
		pthread_cond_signal(&pool.more);
	}
	pthread_mutex_unlock(&pool.lock);
	if (at_hand)
		return;
	/* Not one thread to be had: slow is better than never. */
	op->res = perform(op);
	engine_post(op->engine, &op->post);
}

static bool helped(const struct engine *engine)
{
	list_for_each (helper, &pool.helpers, struct helper, node) {
		if (helper->engine == engine)
			return true;
	}
	return false;
}

void engine_work_drain(struct engine *engine)
{
	/* The last completion may have run while its helper is still on its way out of
	 * engine_post(), with the wake-up yet to come. */
	pthread_mutex_lock(&pool.lock);
	while (helped(engine))
		pthread_cond_wait(&pool.settled, &pool.lock);
	pthread_mutex_unlock(&pool.lock);
}
