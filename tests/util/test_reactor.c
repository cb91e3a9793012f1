/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real threads: reactors that start, run posts and stop, and that share a pool far too small for
 * what they want of it. Meant to be run under the thread sanitizer as well.
 */
#include "util/reactor.h"
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* after the above: cmocka.h relies on them */
#include <cmocka.h>

#define N_REACTORS 4
#define LARGE (64 << 10)
#define ROUNDS 2000

static struct reactors *start(unsigned n, bool numa, size_t n_large)
{
	const struct reactors_config cfg = {.engine = ENGINE_AUTO,
					    .pool = {.large_size = LARGE, .n_large = n_large},
					    .n = n,
					    .numa = numa};
	struct reactors *reactors = NULL;

	assert_int_equal(reactors_start(&cfg, &reactors), 0);
	return reactors;
}

/* ---- where posts run ---- */

struct visit {
	struct engine_post post;
	struct reactor *reactor;
	char name[16];
	bool own_thread;
	sigset_t blocked;
	atomic_bool done;
};

static void visit_run(struct engine_post *post)
{
	struct visit *visit = container_of(post, struct visit, post);

	visit->own_thread = pthread_equal(pthread_self(), visit->reactor->thread);
	pthread_getname_np(pthread_self(), visit->name, sizeof(visit->name));
	pthread_sigmask(SIG_SETMASK, NULL, &visit->blocked);
	atomic_store(&visit->done, true);
}

static void each_has_its_thread(void **state)
{
	struct reactors *reactors = start(3, true, 16);

	(void)state;
	assert_int_equal(reactors->n, 3);
	for (unsigned i = 0; i < reactors->n; i++) {
		struct visit visit = {.post.run = visit_run, .reactor = &reactors->all[i]};
		char name[24];

		engine_post(reactors->all[i].engine, &visit.post);
		while (!atomic_load(&visit.done))
			usleep(100);
		snprintf(name, sizeof(name), "duotgt/%u", i);
		assert_string_equal(visit.name, name);
		assert_true(visit.own_thread);
		assert_true(sigismember(&visit.blocked, SIGTERM)); /* the control thread's */
		assert_false(sigismember(&visit.blocked, SIGBUS)); /* its own */
		assert_true(reactors->all[i].cpu >= 0);
	}
	reactors_stop(reactors);
}

static void one_per_cpu_by_default(void **state)
{
	struct reactors *reactors = start(0, false, 16);
	cpu_set_t set;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	assert_int_equal(reactors->n, CPU_COUNT(&set));
	reactors_stop(reactors);
	reactors_stop(NULL);
}

static void least_busy(void **state)
{
	struct reactors *reactors = start(3, false, 16);

	(void)state;
	atomic_store(&reactors->all[0].n_conns, 2);
	atomic_store(&reactors->all[1].n_conns, 1);
	atomic_store(&reactors->all[2].n_conns, 3);
	assert_ptr_equal(reactor_least_busy(reactors->all, reactors->n), &reactors->all[1]);
	reactors_stop(reactors);
}

static void what_cannot_be_had_leaves_nothing(void **state)
{
	const struct reactors_config cfg = {.engine = ENGINE_AUTO, .pool.large_size = 1, .n = 2};
	struct reactors *reactors = NULL;

	(void)state;
	assert_int_equal(reactors_start(&cfg, &reactors), -EINVAL);
	assert_null(reactors);
}

/* ---- all of them at one pool ---- */

/* Takes buffers, marks them, gives them back a turn later or has another thread do it. */
struct user {
	struct engine_post post;
	struct pool_waiter waiter;
	struct reactor *reactor, *next;
	struct buf *bufs[4];
	int n, rounds;
	unsigned random, mark;
};

static atomic_uint n_left, n_spoilt;

static void user_get(struct user *user);
static void user_goes_on(struct engine_post *post);

static void granted(struct pool_waiter *waiter)
{
	user_get(container_of(waiter, struct user, waiter));
}

static void put_all(struct user *user, struct reactor *where)
{
	for (int i = 0; i < user->n; i++) {
		struct buf *buf = user->bufs[i];

		if (memcmp(buf->data, &user->mark, sizeof(user->mark)) != 0)
			atomic_fetch_add(&n_spoilt, 1);
		pool_put(where->bufs, buf);
	}
	user->n = 0;
}

static void user_put_elsewhere(struct engine_post *post)
{
	struct user *user = container_of(post, struct user, post);

	put_all(user, user->next);
	user->post.run = user_goes_on;
	engine_post(user->reactor->engine, &user->post);
}

static void user_goes_on(struct engine_post *post)
{
	struct user *user = container_of(post, struct user, post);

	put_all(user, user->reactor);
	if (!user->rounds--) {
		atomic_fetch_sub(&n_left, 1);
		return;
	}
	user_get(user);
}

static void user_get(struct user *user)
{
	size_t len = 1 + (user->random = user->random * 1103515245 + 12345) / 7 % (3 * LARGE);
	bool elsewhere = user->random >> 16 & 1;

	user->n = pool_get(user->reactor->bufs, len, user->bufs, 4);
	if (user->n == -EAGAIN) {
		user->n = 0;
		pool_wait(user->reactor->bufs, &user->waiter);
		return;
	}
	user->mark = user->random ^ (unsigned)(uintptr_t)user;
	for (int i = 0; i < user->n; i++)
		memcpy(user->bufs[i]->data, &user->mark, sizeof(user->mark));
	user->post.run = elsewhere ? user_put_elsewhere : user_goes_on;
	engine_post(elsewhere ? user->next->engine : user->reactor->engine, &user->post);
}

/* 12 users, of whom 3 could use up the pool: all come to their end, with what is their own. */
static void nobody_starves(void **state)
{
	enum { N = 3 * N_REACTORS };
	struct reactors *reactors = start(N_REACTORS, false, 4);
	struct user *users = calloc(N, sizeof(*users));

	(void)state;
	assert_non_null(users);
	atomic_store(&n_left, N);
	for (unsigned i = 0; i < N; i++) {
		users[i].reactor = &reactors->all[i % N_REACTORS];
		users[i].next = &reactors->all[(i + 1 + i / N_REACTORS) % N_REACTORS];
		users[i].rounds = ROUNDS;
		users[i].random = i;
		users[i].waiter.granted = granted;
		users[i].post.run = user_goes_on;
		list_init(&users[i].waiter.node);
		engine_post(users[i].reactor->engine, &users[i].post);
	}
	while (atomic_load(&n_left)) /* a test that hangs is cut by the test runner */
		usleep(1000);
	assert_int_equal(atomic_load(&n_spoilt), 0);
	reactors_stop(reactors);
	free(users);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_has_its_thread),
		cmocka_unit_test(one_per_cpu_by_default),
		cmocka_unit_test(least_busy),
		cmocka_unit_test(what_cannot_be_had_leaves_nothing),
		cmocka_unit_test(nobody_starves),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
