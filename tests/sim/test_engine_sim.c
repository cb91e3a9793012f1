/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated world itself: order, chance, sockets, and what disks keep over a crash. */
#include "engine_sim.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
/* after the above: cmocka.h relies on them */
#include <cmocka.h>

#define SECOND 1000000000ull

static struct sim *sim;
static struct engine *engine;

static void begin(uint64_t seed)
{
	sim = sim_new(seed);
	assert_int_equal(sim_engine_new(sim, &engine), 0);
}

static void end(void)
{
	engine_free(engine);
	sim_free(sim);
}

/* ---- one operation, waited for ---- */

struct wait {
	struct engine_op op;
	bool done;
	int res;
	uint8_t lent[4096]; /* copy of what recv_some lent */
};

static void wait_done(struct engine_op *op, int res)
{
	struct wait *w = container_of(op, struct wait, op);

	assert_false(w->done);
	w->done = true;
	w->res = res;
	if (op->buf && res > 0)
		memcpy(w->lent, op->buf, (size_t)res);
}

static struct wait wait_new(void)
{
	return (struct wait){.op.done = wait_done};
}

static bool is_done(void *arg)
{
	return ((struct wait *)arg)->done;
}

static int wait_for(struct wait *w)
{
	assert_false(w->done); /* never inside the call that queued it */
	assert_int_equal(sim_run_until(sim, is_done, w, 10 * SECOND), 0);
	return w->res;
}

/* ---- time ---- */

static char order[8];

static void fire_a(struct engine_timer *timer)
{
	(void)timer;
	strcat(order, "a");
}

static void fire_b(struct engine_timer *timer)
{
	(void)timer;
	strcat(order, "b");
}

static bool two_fired(void *arg)
{
	(void)arg;
	return strlen(order) >= 2;
}

static void clock_jumps_to_what_is_next(void **state)
{
	struct engine_timer a = {.fire = fire_a}, b = {.fire = fire_b}, never = {.fire = fire_a};
	uint64_t start;

	(void)state;
	begin(1);
	order[0] = '\0';
	start = sim_now(sim);
	engine_timer_set(engine, &a, start + 3600 * SECOND);
	engine_timer_set(engine, &b, start + 1800 * SECOND);
	engine_timer_set(engine, &never, start + 1900 * SECOND);
	engine_timer_cancel(engine, &never);
	assert_int_equal(sim_run_until(sim, two_fired, NULL, 7200 * SECOND), 0);
	assert_string_equal(order, "ba");
	assert_in_range(sim_now(sim) - start, 3600 * SECOND, 3601 * SECOND);
	assert_false(sim_step(sim)); /* nothing will ever happen again */
	end();
}

static void numbers_follow_from_the_seed(void **state)
{
	uint64_t first[3];

	(void)state;
	for (int run = 0; run < 3; run++) {
		begin(run < 2 ? 7 : 8);
		for (int i = 0; i < 100; i++)
			first[run] = sim_random(sim);
		assert_in_range(sim_between(sim, 3, 5), 3, 5);
		end();
	}
	assert_true(first[0] == first[1]);
	assert_true(first[0] != first[2]);
}

/* ---- sockets ---- */

static struct engine_sock client, server, listener;

static void connect_pair(void)
{
	struct wait w = wait_new();
	int fd = sim_listen(sim);

	assert_int_equal(engine_sock_open(engine, &listener, fd), 0);
	assert_int_equal(engine_sock_open(engine, &client, sim_connect(sim, fd)), 0);
	engine_accept(engine, &listener, &w.op);
	assert_true(wait_for(&w) > 0);
	assert_int_equal(engine_sock_open(engine, &server, w.res), 0);
}

static void close_all(void)
{
	engine_sock_close(engine, &client);
	engine_sock_close(engine, &server);
	engine_sock_close(engine, &listener);
	while (sim_step(sim))
		;
	end();
}

/* 200 KB through 4 KB of buffer, cut at random: every byte, in order, once. */
static void stream_keeps_order(void **state)
{
	const struct sim_net_config cfg = {.cut_permille = 500,
					   .short_permille = 300,
					   .latency_ns = 50000,
					   .buffer_bytes = 4096};
	static uint8_t out[200000], in[200000];
	struct wait tx = wait_new(), rx = wait_new();
	size_t sent = 0, got = 0;
	bool tx_busy = false, rx_busy = false;

	(void)state;
	begin(3);
	sim_net_configure(sim, &cfg);
	connect_pair();
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)sim_random(sim);
	while (got < sizeof(out)) {
		struct iovec tx_iov[2] = {{out + sent, 100}, {out + sent + 100, 3000}};
		struct iovec rx_iov = {in + got, sizeof(in) - got};

		if (tx.done) {
			assert_true(tx.res > 0);
			sent += (size_t)tx.res;
			tx = wait_new();
			tx_busy = false;
			continue;
		}
		if (rx.done) {
			assert_true(rx.res > 0);
			if (rx.op.buf)
				memcpy(in + got, rx.lent, (size_t)rx.res);
			got += (size_t)rx.res;
			rx = wait_new();
			rx_busy = false;
			continue;
		}
		if (!tx_busy && sent + 3100 <= sizeof(out)) {
			static struct iovec iov[2];

			memcpy(iov, tx_iov, sizeof(iov));
			engine_send(engine, &client, &tx.op, iov, 2);
			tx_busy = true;
		} else if (!tx_busy && sent < sizeof(out)) {
			static struct iovec iov;

			iov = (struct iovec){out + sent, sizeof(out) - sent};
			engine_send(engine, &client, &tx.op, &iov, 1);
			tx_busy = true;
		}
		if (!rx_busy && sim_chance(sim, 500)) {
			engine_recv_some(engine, &server, &rx.op);
			rx_busy = true;
		} else if (!rx_busy) {
			static struct iovec iov;

			iov = rx_iov;
			engine_recv(engine, &server, &rx.op, &iov, 1);
			rx_busy = true;
		}
		assert_true(sim_step(sim));
	}
	if (tx_busy && !tx.done)
		wait_for(&tx);
	assert_memory_equal(in, out, sizeof(out));
	close_all();
}

static void shutdown_ends_both_sides(void **state)
{
	struct wait tx = wait_new(), rx = wait_new(), own = wait_new(), late = wait_new();
	struct iovec iov = {"last words", 10};

	(void)state;
	begin(4);
	connect_pair();
	engine_send(engine, &client, &tx.op, &iov, 1);
	assert_int_equal(wait_for(&tx), 10);
	engine_recv_some(engine, &client, &own.op);
	engine_sock_shutdown(engine, &client);
	assert_int_equal(wait_for(&own), 0);
	engine_recv_some(engine, &server, &rx.op);
	assert_int_equal(wait_for(&rx), 10); /* first what was sent before the end */
	rx = wait_new();
	engine_recv_some(engine, &server, &rx.op);
	assert_int_equal(wait_for(&rx), 0);
	engine_send(engine, &client, &late.op, &iov, 1);
	assert_int_equal(wait_for(&late), -EPIPE);
	close_all();
}

static void reset_reaches_both_sides(void **state)
{
	struct wait rx = wait_new(), tx = wait_new();
	struct iovec iov = {"x", 1};

	(void)state;
	begin(5);
	connect_pair();
	engine_recv_some(engine, &server, &rx.op);
	sim_reset(sim, client.fd);
	assert_int_equal(wait_for(&rx), -ECONNRESET);
	engine_send(engine, &client, &tx.op, &iov, 1);
	assert_int_equal(wait_for(&tx), -ECONNRESET);
	close_all();
}

static void shutdown_of_a_listener_ends_accept(void **state)
{
	struct wait w = wait_new(), rx = wait_new();
	struct engine_sock refused;

	(void)state;
	begin(6);
	connect_pair();
	engine_accept(engine, &listener, &w.op);
	engine_sock_shutdown(engine, &listener);
	assert_true(wait_for(&w) < 0);
	engine_sock_open(engine, &refused, sim_connect(sim, listener.fd));
	engine_recv_some(engine, &refused, &rx.op);
	assert_int_equal(wait_for(&rx), -ECONNRESET);
	engine_sock_close(engine, &refused);
	close_all();
}

/* ---- disks ---- */

static void disk_write(int fd, char value, uint64_t sector, size_t n, int flags)
{
	uint8_t bytes[8 * SIM_SECTOR];
	struct iovec iov = {bytes, n * SIM_SECTOR};
	struct wait w = wait_new();

	memset(bytes, value, sizeof(bytes));
	engine_writev(engine, &w.op, fd, &iov, 1, sector * SIM_SECTOR, flags);
	assert_int_equal(wait_for(&w), n * SIM_SECTOR);
}

static void disk_flush(int fd)
{
	struct wait w = wait_new();

	engine_flush(engine, &w.op, fd);
	assert_int_equal(wait_for(&w), 0);
}

static char disk_byte(struct sim_disk *disk, uint64_t sector)
{
	return (char)sim_disk_view(disk)[sector * SIM_SECTOR];
}

/* How often of 64 sectors, each written A (flushed), then B, then C, a crash leaves which. */
static void crash_keeps_what_was_flushed(void **state)
{
	const struct sim_disk_config cfg = {.size = 64 * SIM_SECTOR};
	struct sim_disk *disk;
	unsigned n[256] = {0};
	int fd;

	(void)state;
	begin(9);
	disk = sim_disk_new(sim, &cfg);
	fd = sim_disk_open(disk);
	for (char value = 'A'; value <= 'C'; value++) {
		for (uint64_t at = 0; at < 64; at += 8)
			disk_write(fd, value, at, 8, 0);
		if (value == 'A') {
			assert_int_equal(sim_disk_dirty(disk), 64);
			disk_flush(fd);
			assert_int_equal(sim_disk_dirty(disk), 0);
		}
	}
	assert_int_equal(disk_byte(disk, 5), 'C');
	sim_disk_crash(disk);
	for (uint64_t at = 0; at < 64; at++)
		n[(unsigned char)disk_byte(disk, at)]++;
	assert_int_equal(n['A'] + n['B'] + n['C'], 64);
	assert_true(n['A'] && n['B'] && n['C']);
	end();
}

static void dsync_survives(void **state)
{
	const struct sim_disk_config cfg = {.size = 64 * SIM_SECTOR};
	struct sim_disk *disk;
	int fd;

	(void)state;
	begin(10);
	disk = sim_disk_new(sim, &cfg);
	fd = sim_disk_open(disk);
	disk_write(fd, 'x', 8, 8, 0);
	disk_write(fd, 'y', 8, 8, ENGINE_WRITE_DSYNC);
	assert_int_equal(sim_disk_dirty(disk), 0);
	sim_disk_crash(disk);
	for (uint64_t at = 8; at < 16; at++)
		assert_int_equal(disk_byte(disk, at), 'y');
	end();
}

/* A flush that failed takes what it covered out of reach of the next one, as the kernel does. */
static void failed_flush_loses(void **state)
{
	const struct sim_disk_config cfg = {.size = 64 * SIM_SECTOR, .flush_error_permille = 1000};
	struct wait w = wait_new();
	struct sim_disk *disk;
	unsigned n_kept = 0;
	int fd;

	(void)state;
	begin(11);
	disk = sim_disk_new(sim, &cfg);
	fd = sim_disk_open(disk);
	for (uint64_t at = 0; at < 64; at += 8)
		disk_write(fd, 'x', at, 8, 0);
	engine_flush(engine, &w.op, fd);
	assert_int_equal(wait_for(&w), -EIO);
	assert_int_equal(disk_byte(disk, 0), 'x'); /* reads still see it */
	sim_disk_calm(disk);
	disk_flush(fd);
	sim_disk_crash(disk);
	for (uint64_t at = 0; at < 64; at++)
		n_kept += disk_byte(disk, at) == 'x';
	assert_in_range(n_kept, 1, 63);
	end();
}

static void descriptors_die_with_a_crash(void **state)
{
	const struct sim_disk_config cfg = {.size = 8 * SIM_SECTOR};
	struct wait w = wait_new();
	uint8_t bytes[SIM_SECTOR];
	struct iovec iov = {bytes, sizeof(bytes)};
	struct sim_disk *disk;
	int fd;

	(void)state;
	memset(bytes, 'z', sizeof(bytes));
	begin(12);
	disk = sim_disk_new(sim, &cfg);
	fd = sim_disk_open(disk);
	sim_disk_crash(disk);
	engine_writev(engine, &w.op, fd, &iov, 1, 0, 0);
	assert_int_equal(wait_for(&w), -EIO);
	assert_int_equal(disk_byte(disk, 0), 0);
	disk_write(sim_disk_open(disk), 'n', 0, 1, 0);
	assert_int_equal(disk_byte(disk, 0), 'n');
	end();
}

static void reads_discards_and_faults(void **state)
{
	const struct sim_disk_config cfg = {.size = 8 * SIM_SECTOR, .short_permille = 1000};
	const struct sim_disk_config bad = {.size = 8 * SIM_SECTOR, .read_error_permille = 1000};
	uint8_t bytes[2 * SIM_SECTOR];
	struct iovec iov[2] = {{bytes, 100}, {bytes + 100, sizeof(bytes) - 100}};
	struct wait r = wait_new(), d = wait_new(), e = wait_new(), eof = wait_new();
	struct sim_disk *disk, *broken;
	int fd;

	(void)state;
	begin(13);
	disk = sim_disk_new(sim, &cfg);
	broken = sim_disk_new(sim, &bad);
	fd = sim_disk_open(disk);
	disk_write(fd, 'q', 3, 1, 0);
	memset(bytes, 0, sizeof(bytes));
	engine_readv(engine, &r.op, fd, iov, 2, 3 * SIM_SECTOR, 0);
	assert_in_range(wait_for(&r), 1, sizeof(bytes));
	assert_int_equal(bytes[0], 'q');
	engine_readv(engine, &eof.op, fd, iov, 2, 8 * SIM_SECTOR, 0);
	assert_int_equal(wait_for(&eof), 0);
	engine_discard(engine, &d.op, fd, 3 * SIM_SECTOR, SIM_SECTOR);
	assert_int_equal(wait_for(&d), 0);
	assert_int_equal(disk_byte(disk, 3), 0);
	engine_readv(engine, &e.op, sim_disk_open(broken), iov, 2, 0, 0);
	assert_int_equal(wait_for(&e), -EIO);
	end();
}

static int answer(void *arg)
{
	return *(int *)arg;
}

static void work_comes_back(void **state)
{
	struct wait w = wait_new();
	int value = -42;

	(void)state;
	begin(14);
	engine_work(engine, &w.op, answer, &value);
	assert_int_equal(wait_for(&w), -42);
	end();
}

/* ---- bells ---- */

struct ear {
	struct engine_watch watch;
	unsigned n_ready, n_gone;
};

static void ear_ready(struct engine_watch *watch)
{
	container_of(watch, struct ear, watch)->n_ready++;
}

static void ear_gone(struct engine_watch *watch)
{
	container_of(watch, struct ear, watch)->n_gone++;
}

static bool has_heard(void *arg)
{
	return ((struct ear *)arg)->n_ready;
}

static bool is_deaf(void *arg)
{
	return ((struct ear *)arg)->n_gone;
}

static void bells_are_heard_until_the_end(void **state)
{
	struct ear ear = {.watch = {.ready = ear_ready, .gone = ear_gone}};
	int fd;

	(void)state;
	begin(7);
	fd = sim_bell_new(sim);
	assert_int_equal(engine_watch(engine, &ear.watch, fd), 0);
	sim_bell_ring(sim, fd);
	assert_int_equal(ear.n_ready, 0);
	assert_int_equal(sim_run_until(sim, has_heard, &ear, SECOND), 0);
	sim_bell_ring(sim, fd);
	engine_unwatch(engine, &ear.watch);
	assert_int_equal(sim_run_until(sim, is_deaf, &ear, SECOND), 0);
	while (sim_step(sim))
		;
	assert_int_equal(ear.n_ready, 1);
	assert_int_equal(ear.n_gone, 1);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clock_jumps_to_what_is_next),
		cmocka_unit_test(numbers_follow_from_the_seed),
		cmocka_unit_test(stream_keeps_order),
		cmocka_unit_test(shutdown_ends_both_sides),
		cmocka_unit_test(reset_reaches_both_sides),
		cmocka_unit_test(shutdown_of_a_listener_ends_accept),
		cmocka_unit_test(crash_keeps_what_was_flushed),
		cmocka_unit_test(dsync_survives),
		cmocka_unit_test(failed_flush_loses),
		cmocka_unit_test(descriptors_die_with_a_crash),
		cmocka_unit_test(reads_discards_and_faults),
		cmocka_unit_test(work_comes_back),
		cmocka_unit_test(bells_are_heard_until_the_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
