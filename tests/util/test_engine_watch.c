/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors that are watched, on both engines: no news is missed, and none comes afterwards. */
#include "tests/util/engine_harness.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct bell {
	struct engine_watch watch;
	int fd;
	unsigned n_ready, n_gone;
};

static void bell_ready(struct engine_watch *watch)
{
	struct bell *bell = container_of(watch, struct bell, watch);

	assert_int_equal(bell->n_gone, 0);
	bell->n_ready++;
}

static void bell_gone(struct engine_watch *watch)
{
	struct bell *bell = container_of(watch, struct bell, watch);

	bell->n_gone++;
}

static void bell_init(struct bell *bell)
{
	*bell = (struct bell){.watch = {.ready = bell_ready, .gone = bell_gone},
			      .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
	assert_true(bell->fd >= 0);
}

static void ring(struct bell *bell)
{
	assert_int_equal(eventfd_write(bell->fd, 1), 0);
}

static void turns(struct engine *engine, unsigned n)
{
	while (n--)
		assert_true(engine_turn(engine, false) >= 0);
}

static void bell_end(struct engine *engine, struct bell *bell)
{
	engine_unwatch(engine, &bell->watch);
	assert_int_equal(bell->n_gone, 0);
	while (!bell->n_gone)
		assert_true(engine_turn(engine, true) >= 0);
	turns(engine, 3);
	assert_int_equal(bell->n_gone, 1);
	close(bell->fd);
}

static void hears_each_ring_without_reading(void **state)
{
	scoped_engine(engine, 0);
	struct bell bell;

	bell_init(&bell);
	assert_int_equal(engine_watch(engine, &bell.watch, bell.fd), 0);
	turns(engine, 3);
	assert_int_equal(bell.n_ready, 0);
	for (unsigned i = 1; i <= 100; i++) {
		ring(&bell);
		while (bell.n_ready < i)
			assert_true(engine_turn(engine, true) >= 0);
		turns(engine, 2);
		assert_int_equal(bell.n_ready, i); /* once each: the level says nothing */
	}
	bell_end(engine, &bell);
}

static void hears_what_rang_before(void **state)
{
	scoped_engine(engine, 0);
	struct bell bell;

	bell_init(&bell);
	ring(&bell);
	assert_int_equal(engine_watch(engine, &bell.watch, bell.fd), 0);
	assert_int_equal(bell.n_ready, 0);
	while (!bell.n_ready)
		assert_true(engine_turn(engine, true) >= 0);
	bell_end(engine, &bell);
}

static void is_silent_once_it_ends(void **state)
{
	scoped_engine(engine, 0);
	struct bell bell;

	bell_init(&bell);
	assert_int_equal(engine_watch(engine, &bell.watch, bell.fd), 0);
	turns(engine, 2);
	ring(&bell);
	bell_end(engine, &bell);
	assert_int_equal(bell.n_ready, 0);
	/* Right after the start, too, with the first look still queued. */
	bell_init(&bell);
	ring(&bell);
	assert_int_equal(engine_watch(engine, &bell.watch, bell.fd), 0);
	bell_end(engine, &bell);
	assert_int_equal(bell.n_ready, 0);
}

/* More than the queues hold: completions overflow, which ends a multishot poll in the kernel. */
static void many_bells(void **state)
{
	enum { N = 200 };
	scoped_engine(engine, 4);
	struct bell *bells = calloc(N, sizeof(*bells));
	unsigned n;

	for (unsigned i = 0; i < N; i++) {
		bell_init(&bells[i]);
		assert_int_equal(engine_watch(engine, &bells[i].watch, bells[i].fd), 0);
	}
	turns(engine, 3);
	for (unsigned round = 1; round <= 20; round++) {
		for (unsigned i = 0; i < N; i++)
			ring(&bells[i]);
		do {
			assert_true(engine_turn(engine, true) >= 0);
			n = 0;
			for (unsigned i = 0; i < N; i++)
				n += bells[i].n_ready >= round;
		} while (n < N);
	}
	for (unsigned i = 0; i < N; i++)
		bell_end(engine, &bells[i]);
	free(bells);
}

static void *ring_often(void *arg)
{
	struct bell *bell = arg;

	for (unsigned i = 0; i < 20000; i++)
		ring(bell);
	return NULL;
}

/* However fast they come: the last one is heard after it has rung. */
static void rings_of_another_thread(void **state)
{
	scoped_engine(engine, 0);
	struct bell bell;
	pthread_t thread;
	unsigned heard;

	bell_init(&bell);
	assert_int_equal(engine_watch(engine, &bell.watch, bell.fd), 0);
	assert_int_equal(pthread_create(&thread, NULL, ring_often, &bell), 0);
	while (bell.n_ready < 10)
		assert_true(engine_turn(engine, true) >= 0);
	pthread_join(thread, NULL);
	turns(engine, 4);
	heard = bell.n_ready;
	ring(&bell);
	while (bell.n_ready == heard)
		assert_true(engine_turn(engine, true) >= 0);
	bell_end(engine, &bell);
}

static void files_cannot_be_watched_by_epoll(void **state)
{
	scoped_engine(engine, 0);
	struct engine_watch watch = {0};
	char path[] = "/tmp/test_engine_watch.XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);

	if (strcmp(engine_name(engine), "epoll") == 0)
		assert_int_equal(engine_watch(engine, &watch, fd), -EPERM);
	unlink(path);
	close(fd);
}

int main(void)
{
	/* clang-format off */
	const struct CMUnitTest tests[] = {
		on_both(hears_each_ring_without_reading),
		on_both(hears_what_rang_before),
		on_both(is_silent_once_it_ends),
		on_both(many_bells),
		on_both(rings_of_another_thread),
		on_both(files_cannot_be_watched_by_epoll),
	};
	/* clang-format on */

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
