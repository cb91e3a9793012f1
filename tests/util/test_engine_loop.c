/* SPDX-License-Identifier: Apache-2.0 */
/* What util/engine.h promises about time, threads and the turn of the loop. */
#include "tests/util/engine_harness.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* ---- timers and deferred work ---- */

enum { N_TIMERS = 500 };

struct alarm {
	struct engine_timer timer;
	struct engine *engine;
	unsigned n_fired, n_again;
	uint64_t want_ns, *last_ns;
};

static void alarm_fired(struct engine_timer *timer)
{
	struct alarm *alarm_ = container_of(timer, struct alarm, timer);

	alarm_->n_fired++;
	assert_true(alarm_->want_ns <= engine_now(alarm_->engine));
	if (alarm_->last_ns) {
		assert_true(*alarm_->last_ns <= alarm_->want_ns);
		*alarm_->last_ns = alarm_->want_ns;
	}
	if (alarm_->n_again) {
		alarm_->n_again--;
		engine_timer_set(alarm_->engine, timer, 0);
	}
}

static void timers_fire_in_order(void **state)
{
	scoped_engine(engine, 0);
	struct alarm *all = calloc(N_TIMERS, sizeof(*all));
	unsigned n_fired = 0, n_set = 0, dice = 1;
	uint64_t start = engine_now(engine) + 1000000, last = 0;

	for (unsigned i = 0; i < 3 * N_TIMERS; i++) {
		struct alarm *one = &all[i % N_TIMERS];

		dice = dice * 1103515245 + 12345;
		*one = (struct alarm){.timer = one->timer, .engine = engine, .last_ns = &last};
		one->timer.fire = alarm_fired;
		one->want_ns = start + (dice >> 16) % 5000 * 1000;
		engine_timer_set(engine, &one->timer, one->want_ns); /* the last setting counts */
		if (dice >> 8 & 1)
			engine_timer_cancel(engine, &one->timer);
		if (dice >> 9 & 1)
			engine_timer_cancel(engine, &one->timer); /* maybe for a second time */
	}
	for (unsigned i = 0; i < N_TIMERS; i++)
		n_set += all[i].timer.heap_i != 0;
	assert_in_range(n_set, 1, N_TIMERS - 1);
	for (unsigned n_turns = 0; n_fired < n_set; n_turns++) {
		assert_true(engine_turn(engine, true) >= 0);
		for (unsigned i = n_fired = 0; i < N_TIMERS; i++)
			n_fired += all[i].n_fired;
		assert_true(n_turns < 3 * N_TIMERS); /* it sleeps until the next one is due */
	}
	assert_int_equal(n_fired, n_set);
	free(all);
}

static void past_timers_fire_once_a_turn(void **state)
{
	scoped_engine(engine, 0);
	struct alarm self = {.timer.fire = alarm_fired, .engine = engine, .n_again = 3};

	engine_timer_set(engine, &self.timer, 0);
	assert_int_equal(self.n_fired, 0);
	for (unsigned i = 1; i <= 4; i++) {
		assert_int_equal(engine_turn(engine, true), 1);
		assert_int_equal(self.n_fired, i);
	}
	assert_int_equal(engine_turn(engine, false), 0);
}

/* Many that are due at once do not keep the rest of the loop waiting until all have fired. */
static void due_timers_share_the_loop(void **state)
{
	scoped_engine(engine, 0);
	struct alarm all[100];
	unsigned n_turns = 0, n_fired = 0;

	for (unsigned i = 0; i < 100; i++) {
		all[i] = (struct alarm){.timer.fire = alarm_fired, .engine = engine};
		engine_timer_set(engine, &all[i].timer, 0);
	}
	for (; n_fired < 100 && n_turns < 100; n_turns++) {
		int n = engine_turn(engine, true); /* does not sleep */

		assert_in_range(n, 1, 99);
		n_fired += (unsigned)n;
	}
	assert_in_range(n_turns, 4, 99);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(all[i].n_fired, 1);
}

struct chore {
	struct engine_defer defer;
	struct engine *engine;
	struct chore *next;
	unsigned n_runs;
};

static void chore_run(struct engine_defer *defer)
{
	struct chore *chore = container_of(defer, struct chore, defer);

	chore->n_runs++;
	if (chore->next)
		engine_defer(chore->engine, &chore->next->defer);
}

static void deferred_work_ends_the_turn(void **state)
{
	scoped_engine(engine, 0);
	struct chore second = {.defer.run = chore_run, .engine = engine};
	struct chore first = {.defer.run = chore_run, .engine = engine, .next = &second};

	list_init(&first.defer.node);
	list_init(&second.defer.node);
	engine_defer(engine, &first.defer);
	engine_defer(engine, &first.defer);
	assert_int_equal(first.n_runs, 0);
	assert_true(engine_turn(engine, true) >= 0); /* does not sleep */
	assert_int_equal(first.n_runs, 1);
	assert_int_equal(second.n_runs, 1); /* in the same turn */
	engine_turn(engine, false);
	assert_int_equal(first.n_runs, 1);
	assert_int_equal(second.n_runs, 1);
}

/* ---- threads ---- */

enum { N_THREADS = 4, N_POSTS = 20000 };

struct parcel {
	struct engine_post post;
	unsigned *next_no, no;
};

struct sender {
	struct engine *engine;
	struct parcel *parcels;
	unsigned next_no;
	pthread_t thread;
};

static void parcel_arrived(struct engine_post *post)
{
	struct parcel *parcel = container_of(post, struct parcel, post);

	assert_int_equal(parcel->no, *parcel->next_no);
	++*parcel->next_no;
}

static void *send_parcels(void *arg)
{
	struct sender *sender = arg;

	for (unsigned i = 0; i < N_POSTS; i++)
		engine_post(sender->engine, &sender->parcels[i].post);
	return NULL;
}

static void posts_arrive_in_order(void **state)
{
	scoped_engine(engine, 0);
	struct sender senders[N_THREADS] = {0};
	int n = 0;

	for (int t = 0; t < N_THREADS; t++) {
		struct sender *sender = &senders[t];

		sender->engine = engine;
		sender->parcels = calloc(N_POSTS, sizeof(*sender->parcels));
		for (unsigned i = 0; i < N_POSTS; i++)
			sender->parcels[i] =
				(struct parcel){{.run = parcel_arrived}, &sender->next_no, i};
		assert_int_equal(pthread_create(&sender->thread, NULL, send_parcels, sender), 0);
	}
	while (n < N_THREADS * N_POSTS) {
		int r = engine_turn(engine, true);

		assert_true(r >= 0);
		n += r;
	}
	for (int t = 0; t < N_THREADS; t++) {
		pthread_join(senders[t].thread, NULL);
		assert_int_equal(senders[t].next_no, N_POSTS);
		free(senders[t].parcels);
	}
}

struct knock {
	struct engine_post post;
	struct engine *engine;
	sem_t answered;
	bool last;
};

static void knock_run(struct engine_post *post)
{
	struct knock *knock = container_of(post, struct knock, post);

	if (knock->last)
		engine_stop(knock->engine);
	sem_post(&knock->answered);
}

static void *run_engine(void *arg)
{
	return (void *)(intptr_t)engine_run(arg);
}

/* The engine is made here, runs there, and sleeps each time, or nearly, when the post comes. */
static void a_post_ends_the_sleep(void **state)
{
	scoped_engine(engine, 0);
	struct knock knock = {.post.run = knock_run, .engine = engine};
	pthread_t thread;
	void *r;

	sem_init(&knock.answered, 0, 0);
	assert_int_equal(pthread_create(&thread, NULL, run_engine, engine), 0);
	for (int i = 0; i < 2000; i++) {
		knock.last = i == 1999;
		engine_post(engine, &knock.post);
		while (sem_wait(&knock.answered) < 0)
			;
		if (i % 10 == 0)
			usleep(500);
	}
	pthread_join(thread, &r);
	assert_null(r);
	sem_destroy(&knock.answered);
}

static int work_here(void *arg)
{
	return pthread_equal(*(pthread_t *)arg, pthread_self()) ? -EDEADLK : 42;
}

static void work_runs_elsewhere(void **state)
{
	enum { N = 60 };
	scoped_engine(engine, 0);
	pthread_t self = pthread_self();
	struct call calls[N];
	unsigned n = 0;

	for (int i = 0; i < N; i++)
		engine_work(engine, fresh(&calls[i]), work_here, &self);
	while (n < N) {
		int r = engine_turn(engine, true);

		assert_true(r >= 0);
		n += (unsigned)r;
	}
	for (int i = 0; i < N; i++) {
		assert_int_equal(calls[i].n_done, 1);
		assert_int_equal(calls[i].res, 42);
	}
}

/* ---- choosing one ---- */

static int forbid_io_uring(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {.len = 4, .filter = code};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}

/* As in a container: in a child, since a filter cannot be taken off again. */
static void falls_back_to_epoll(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0) {
		struct engine *engine = NULL;
		int r;

		if (forbid_io_uring())
			_exit(2);
		r = engine_new(ENGINE_URING, NULL, &engine);
		if ((r != -EPERM && r != -ENOSYS) || engine)
			_exit(3);
		if (engine_new(ENGINE_AUTO, NULL, &engine) || strcmp(engine_name(engine), "epoll"))
			_exit(4);
		engine_free(engine);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void has_a_name_and_chance(void **state)
{
	scoped_engine(engine, 0);
	bool uring = (*(unsigned *)*state & ~BUSY_POLLS) == ENGINE_URING;
	uint8_t a[300] = {0}, b[300] = {0};

	assert_string_equal(engine_name(engine), uring ? "io_uring" : "epoll");
	engine_random(engine, a, sizeof(a));
	engine_random(engine, b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	assert_memory_not_equal(a + 268, b + 268, 32);
	engine_free(NULL);
}

int main(void)
{
	/* clang-format off */
	const struct CMUnitTest tests[] = {
		on_both(timers_fire_in_order),
		on_both(past_timers_fire_once_a_turn),
		on_both(due_timers_share_the_loop),
		on_both(deferred_work_ends_the_turn),
		on_both(posts_arrive_in_order),
		on_both(a_post_ends_the_sleep),
		on_both(work_runs_elsewhere),
		on_both(has_a_name_and_chance),
		cmocka_unit_test(falls_back_to_epoll),
	};
	/* clang-format on */

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
