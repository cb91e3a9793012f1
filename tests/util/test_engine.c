/* SPDX-License-Identifier: Apache-2.0 */
/* What util/engine.h promises, kept by both engines. A lost wake-up shows as SIGALRM. */
#include "util/cleanup.h"
#include "util/engine.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { PIECE = 4096 };

/* An operation with what came of it. */
struct call {
	struct engine_op op;
	int res;
	unsigned n_done;
	char bytes[64]; /* of recv_some */
};

static void call_done(struct engine_op *op, int res)
{
	struct call *call = container_of(op, struct call, op);

	call->res = res;
	call->n_done++;
	if (op->buf && res > 0)
		memcpy(call->bytes, op->buf, res < 64 ? (size_t)res : 64);
}

static struct engine_op *fresh(struct call *call)
{
	memset(call, 0, sizeof(*call));
	call->op.done = call_done;
	return &call->op;
}

/* Turns until it is done. That it is not done at the start is a promise, too. */
static int finish(struct engine *engine, struct call *call)
{
	assert_int_equal(call->n_done, 0);
	while (!call->n_done)
		assert_true(engine_turn(engine, true) >= 0);
	assert_int_equal(call->n_done, 1);
	return call->res;
}

static void set_up(struct engine **ret_engine, void **state, unsigned depth)
{
	enum engine_kind kind = *(enum engine_kind *)*state;
	struct engine_config cfg = {.queue_depth = depth};
	int r = engine_new(kind, &cfg, ret_engine);

	if (kind == ENGINE_URING && (r == -ENOSYS || r == -EPERM))
		skip();
	assert_int_equal(r, 0);
}

DEFINE_SCOPED(struct engine *, engine_free)
#define scoped_engine(name, depth)                                                                 \
	scoped(engine_free) struct engine *name = NULL;                                            \
	set_up(&name, state, depth)

static void open_pair(struct engine *engine, struct engine_sock *a, struct engine_sock *b)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
			 0);
	assert_int_equal(engine_sock_open(engine, a, fds[0]), 0);
	assert_int_equal(engine_sock_open(engine, b, fds[1]), 0);
}

static void open_listener(struct engine *engine, struct engine_sock *sock,
			  struct sockaddr_in *ret_addr)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	assert_int_equal(engine_sock_open(engine, sock, fd), 0);
	*ret_addr = addr;
}

/* A TCP connection; @far is an ordinary, blocking descriptor. */
static void open_tcp(struct engine *engine, struct engine_sock *near, int *ret_far)
{
	struct engine_sock listener;
	struct sockaddr_in addr;
	struct call accepted;
	int far = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd, one = 1;

	assert_int_equal(setsockopt(far, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), 0);
	open_listener(engine, &listener, &addr);
	engine_accept(engine, &listener, fresh(&accepted));
	assert_int_equal(engine_turn(engine, false), 0);
	assert_int_equal(connect(far, (struct sockaddr *)&addr, sizeof(addr)), 0);
	fd = finish(engine, &accepted);
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(engine_sock_open(engine, near, fd), 0);
	engine_sock_close(engine, &listener);
	*ret_far = far;
}

static int temp_file(void)
{
	char path[] = "/tmp/test_engine.XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);

	assert_true(fd >= 0);
	unlink(path);
	return fd;
}

/* ---- sockets ---- */

static void echoes_over_tcp(void **state)
{
	scoped_engine(engine, 0);
	struct engine_sock near;
	struct call in, out;
	char head[2], tail[16], back[8];
	struct iovec sent[] = {{"ab", 2}, {"cdef", 4}}, got[] = {{head, 2}, {tail, 16}};
	int far;

	open_tcp(engine, &near, &far);
	for (int i = 0; i < 100; i++) {
		engine_recv_some(engine, &near, fresh(&in));
		assert_int_equal(send(far, "hello", 5, 0), 5);
		assert_int_equal(finish(engine, &in), 5);
		assert_memory_equal(in.bytes, "hello", 5);

		engine_recv(engine, &near, fresh(&in), got, 2);
		engine_send(engine, &near, fresh(&out), sent, i % 2 ? 2 : 1);
		assert_int_equal(finish(engine, &out), i % 2 ? 6 : 2);
		assert_int_equal(recv(far, back, i % 2 ? 6 : 2, MSG_WAITALL), i % 2 ? 6 : 2);
		assert_memory_equal(back, "abcdef", i % 2 ? 6 : 2);
		assert_int_equal(send(far, "xyz", 3, 0), 3);
		assert_int_equal(finish(engine, &in), 3);
		assert_memory_equal(head, "xy", 2);
		assert_memory_equal(tail, "z", 1);
	}
	close(far);
	engine_recv_some(engine, &near, fresh(&in));
	assert_int_equal(finish(engine, &in), 0);
	engine_sock_close(engine, &near);
}

/* Data and end of stream that come at once, or one by one, before or after the receive. */
static void sees_the_end_of_the_stream(void **state)
{
	scoped_engine(engine, 0);

	for (int when = 0; when < 4; when++) {
		struct engine_sock near;
		struct call in;
		int far;

		open_tcp(engine, &near, &far);
		if (when & 1)
			engine_turn(engine, false);
		engine_recv_some(engine, &near, fresh(&in));
		if (when & 2)
			engine_turn(engine, false);
		assert_int_equal(send(far, "bye", 3, 0), 3);
		close(far);
		assert_int_equal(finish(engine, &in), 3);
		for (int again = 0; again < 2; again++) {
			engine_recv_some(engine, &near, fresh(&in));
			assert_int_equal(finish(engine, &in), 0);
		}
		engine_sock_close(engine, &near);
	}
}

/* A receive stops at the urgent mark though more is there (tcp(7)): no edge tells of the rest. */
static void goes_on_past_urgent_data(void **state)
{
	scoped_engine(engine, 0);
	struct engine_sock near;
	char text[8] = "";
	struct call in;
	size_t n = 0;
	int far;

	open_tcp(engine, &near, &far);
	assert_int_equal(send(far, "abc", 3, 0), 3);
	assert_int_equal(send(far, "!", 1, MSG_OOB), 1);
	assert_int_equal(send(far, "def", 3, 0), 3);
	for (int i = 0; i < 3; i++)
		engine_turn(engine, false); /* all edges are behind us */
	while (n < 6) {
		engine_recv_some(engine, &near, fresh(&in));
		assert_in_range(finish(engine, &in), 1, 6 - n);
		memcpy(text + n, in.bytes, (size_t)in.res);
		n += (size_t)in.res;
	}
	assert_string_equal(text, "abcdef");
	close(far);
	engine_sock_close(engine, &near);
}

struct stream {
	struct call in, out;
	size_t n_in, n_out, len;
	unsigned n_sends;
	uint8_t *src, *dst;
	struct iovec in_iov[2], out_iov[2];
};

/* The rest in two pieces of uneven length. */
static void halve(struct iovec iov[2], uint8_t *p, size_t len)
{
	iov[0] = (struct iovec){p, len / 3};
	iov[1] = (struct iovec){p + len / 3, len - len / 3};
}

static void sends_of_any_length_arrive_whole(void **state)
{
	scoped_engine(engine, 0);
	struct stream s = {.len = 5000003};
	struct engine_sock a, b;

	s.src = malloc(s.len);
	s.dst = malloc(s.len);
	for (size_t i = 0; i < s.len; i++)
		s.src[i] = (uint8_t)(i * 31 >> 5);
	open_pair(engine, &a, &b);
	fresh(&s.in);
	s.in.n_done = 1;
	fresh(&s.out);
	s.out.n_done = 1;
	while (s.n_in < s.len) {
		if (s.in.n_done) {
			halve(s.in_iov, s.dst + s.n_in, s.len - s.n_in);
			engine_recv(engine, &b, fresh(&s.in), s.in_iov, 2);
		}
		if (s.out.n_done && s.n_out < s.len) {
			halve(s.out_iov, s.src + s.n_out, s.len - s.n_out);
			engine_send(engine, &a, fresh(&s.out), s.out_iov, 2);
			s.n_sends++;
		}
		assert_true(engine_turn(engine, true) >= 0);
		if (s.in.n_done) {
			assert_true(s.in.res > 0);
			s.n_in += (size_t)s.in.res;
		}
		if (s.out.n_done && s.n_out < s.len) {
			assert_true(s.out.res > 0);
			s.n_out += (size_t)s.out.res;
		}
	}
	assert_true(s.n_sends > 1); /* so the socket was full at least once */
	assert_memory_equal(s.src, s.dst, s.len);
	free(s.src);
	free(s.dst);
	engine_sock_close(engine, &a);
	engine_sock_close(engine, &b);
}

static void shutdown_ends_what_is_queued(void **state)
{
	scoped_engine(engine, 0);
	struct call recv_call, some_call, send_call, accept_call;
	struct engine_sock near, a, b, listener;
	struct sockaddr_in addr;
	struct iovec iov, big = {calloc(1, 1 << 20), 1 << 20};
	char byte;
	int far;

	iov = (struct iovec){&byte, 1};
	open_tcp(engine, &near, &far);
	open_pair(engine, &a, &b);
	open_listener(engine, &listener, &addr);
	do { /* until b's peer is full */
		engine_send(engine, &b, fresh(&send_call), &big, 1);
		for (int i = 0; i < 20 && !send_call.n_done; i++)
			engine_turn(engine, false);
	} while (send_call.n_done);
	engine_recv(engine, &near, fresh(&recv_call), &iov, 1);
	engine_recv_some(engine, &b, fresh(&some_call));
	engine_accept(engine, &listener, fresh(&accept_call));
	for (int i = 0; i < 20; i++)
		engine_turn(engine, false);
	engine_sock_shutdown(engine, &near);
	engine_sock_shutdown(engine, &b);
	engine_sock_shutdown(engine, &listener);
	assert_int_equal(finish(engine, &recv_call), 0);
	assert_int_equal(some_call.n_done ? some_call.res : finish(engine, &some_call), 0);
	assert_true((accept_call.n_done ? accept_call.res : finish(engine, &accept_call)) < 0);
	assert_true((send_call.n_done ? send_call.res : finish(engine, &send_call)) < 0);
	/* What comes too late ends as well; a send makes no SIGPIPE. */
	engine_recv_some(engine, &near, fresh(&recv_call));
	engine_send(engine, &near, fresh(&send_call), &iov, 1);
	assert_int_equal(finish(engine, &recv_call), 0);
	assert_int_equal(send_call.n_done ? send_call.res : finish(engine, &send_call), -EPIPE);
	engine_sock_close(engine, &near);
	engine_sock_close(engine, &a);
	engine_sock_close(engine, &b);
	engine_sock_close(engine, &listener);
	close(far);
	free(big.iov_base);
}

/* More sockets with data at once than there are buffers to lend. */
static void many_sockets_share_few_buffers(void **state)
{
	enum { N = 200 };
	scoped_engine(engine, 16);
	struct engine_sock *socks = calloc(2 * N, sizeof(*socks));
	struct call *calls = calloc(N, sizeof(*calls));
	unsigned n = 0;

	for (int i = 0; i < N; i++)
		open_pair(engine, &socks[2 * i], &socks[2 * i + 1]);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < N; i++) {
			engine_recv_some(engine, &socks[2 * i], fresh(&calls[i]));
			if (round == 1)
				engine_turn(engine, false);
			assert_int_equal(send(socks[2 * i + 1].fd, &i, sizeof(i), 0), sizeof(i));
		}
		for (n = 0; n < N;) {
			assert_true(engine_turn(engine, true) >= 0);
			for (int i = n = 0; i < N; i++)
				n += calls[i].n_done;
		}
		for (int i = 0; i < N; i++) {
			assert_int_equal(calls[i].n_done, 1);
			assert_int_equal(calls[i].res, sizeof(i));
			assert_memory_equal(calls[i].bytes, &i, sizeof(i));
		}
	}
	for (int i = 0; i < 2 * N; i++)
		engine_sock_close(engine, &socks[i]);
	free(socks);
	free(calls);
}

/* ---- files ---- */

static void reads_and_writes_files(void **state)
{
	scoped_engine(engine, 0);
	static char ones[PIECE], twos[PIECE], buf[3 * PIECE];
	struct iovec src[] = {{ones, PIECE}, {twos, PIECE}},
		     dst[] = {{buf, 10}, {buf + 10, 3 * PIECE - 10}};
	scoped(close) int fd = temp_file();
	struct call call;

	memset(ones, 1, PIECE);
	memset(twos, 2, PIECE);
	engine_writev(engine, fresh(&call), fd, src, 2, 0, 0);
	assert_int_equal(finish(engine, &call), 2 * PIECE);
	engine_writev(engine, fresh(&call), fd, src, 1, 2 * PIECE, ENGINE_WRITE_DSYNC);
	assert_int_equal(finish(engine, &call), PIECE);
	engine_flush(engine, fresh(&call), fd);
	assert_int_equal(finish(engine, &call), 0);
	engine_readv(engine, fresh(&call), fd, dst, 2, 0);
	assert_int_equal(finish(engine, &call), 3 * PIECE);
	assert_memory_equal(buf, ones, PIECE);
	assert_memory_equal(buf + PIECE, twos, PIECE);
	assert_memory_equal(buf + 2 * PIECE, ones, PIECE);
	/* one piece, at the end of the file and past it */
	dst[0] = (struct iovec){buf, PIECE};
	engine_readv(engine, fresh(&call), fd, dst, 1, 3 * PIECE - 10);
	assert_int_equal(finish(engine, &call), 10);
	engine_readv(engine, fresh(&call), fd, dst, 1, 3 * PIECE);
	assert_int_equal(finish(engine, &call), 0);
}

static void discards_a_hole(void **state)
{
	scoped_engine(engine, 0);
	static char buf[2 * PIECE], zeroes[PIECE];
	struct iovec iov = {buf, 2 * PIECE};
	scoped(close) int fd = temp_file();
	struct call call;
	struct stat st;

	memset(buf, 7, sizeof(buf));
	assert_int_equal(pwrite(fd, buf, sizeof(buf), 0), sizeof(buf));
	engine_discard(engine, fresh(&call), fd, PIECE, 4 * PIECE);
	assert_int_equal(finish(engine, &call), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 2 * PIECE);
	engine_readv(engine, fresh(&call), fd, &iov, 1, 0);
	assert_int_equal(finish(engine, &call), 2 * PIECE);
	assert_int_equal(buf[PIECE - 1], 7);
	assert_memory_equal(buf + PIECE, zeroes, PIECE);
}

static void file_errors_come_back(void **state)
{
	scoped_engine(engine, 0);
	scoped(close) int rd_only = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	char buf[16] = "";
	struct iovec iov = {buf, sizeof(buf)};
	struct call call;

	engine_readv(engine, fresh(&call), -1, &iov, 1, 0);
	assert_int_equal(finish(engine, &call), -EBADF);
	engine_writev(engine, fresh(&call), rd_only, &iov, 1, 0, 0);
	assert_int_equal(finish(engine, &call), -EBADF);
	engine_writev(engine, fresh(&call), rd_only, &iov, 1, 0, ENGINE_WRITE_DSYNC);
	assert_int_equal(finish(engine, &call), -EBADF);
	engine_flush(engine, fresh(&call), -1);
	assert_int_equal(finish(engine, &call), -EBADF);
	engine_discard(engine, fresh(&call), rd_only, 0, 4096);
	assert_int_equal(finish(engine, &call), -EBADF);
}

/* Many times the depth of the queue, of all kinds at once. */
static void no_operation_is_lost(void **state)
{
	enum { N = 1000 };
	scoped_engine(engine, 4);
	struct call *calls = calloc(N, sizeof(*calls));
	struct iovec *iovs = calloc(N, sizeof(*iovs));
	unsigned *words = calloc(N, sizeof(*words)), n = 0;
	scoped(close) int fd = temp_file();

	for (unsigned i = 0; i < N; i++) {
		assert_int_equal(pwrite(fd, &i, sizeof(i), i * sizeof(i)), sizeof(i));
		iovs[i] = (struct iovec){&words[i], sizeof(i)};
	}
	for (unsigned i = 0; i < N; i++) {
		if (i % 16 == 15)
			engine_flush(engine, fresh(&calls[i]), fd);
		else
			engine_readv(engine, fresh(&calls[i]), fd, &iovs[i], 1, i * sizeof(i));
	}
	while (n < N) {
		assert_true(engine_turn(engine, true) >= 0);
		for (unsigned i = n = 0; i < N; i++)
			n += calls[i].n_done;
	}
	for (unsigned i = 0; i < N; i++) {
		assert_int_equal(calls[i].n_done, 1);
		assert_int_equal(calls[i].res, i % 16 == 15 ? 0 : sizeof(i));
		assert_int_equal(words[i], i % 16 == 15 ? 0 : i);
	}
	free(calls);
	free(iovs);
	free(words);
}

/* Reads that always find their page in memory, one after the other. */
struct busy {
	struct engine_op op;
	struct engine *engine;
	struct iovec iov;
	int fd;
	unsigned n_left;
	char byte;
};

static void read_again(struct engine_op *op, int res)
{
	struct busy *busy = container_of(op, struct busy, op);

	assert_int_equal(res, 1);
	if (--busy->n_left)
		engine_readv(busy->engine, op, busy->fd, &busy->iov, 1, 0);
}

static void busy_files_do_not_starve_sockets(void **state)
{
	scoped_engine(engine, 0);
	scoped(close) int fd = temp_file();
	struct busy busy = {.op.done = read_again, .engine = engine, .fd = fd, .n_left = 20000};
	struct engine_sock a, b;
	struct call in;

	busy.iov = (struct iovec){&busy.byte, 1};
	assert_int_equal(pwrite(fd, "x", 1, 0), 1);
	open_pair(engine, &a, &b);
	engine_recv_some(engine, &a, fresh(&in));
	engine_turn(engine, false);
	engine_readv(engine, &busy.op, fd, &busy.iov, 1, 0);
	assert_int_equal(send(b.fd, "x", 1, 0), 1);
	assert_int_equal(finish(engine, &in), 1);
	assert_true(busy.n_left > 10000);
	while (busy.n_left)
		engine_turn(engine, true);
	engine_sock_close(engine, &a);
	engine_sock_close(engine, &b);
}

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

/* ---- what done may do ---- */

struct owner {
	struct engine_op op;
	struct engine *engine;
	struct engine_sock sock, *victim;
	unsigned *n_gone;
};

static void close_and_free(struct engine_op *op, int res)
{
	struct owner *owner = container_of(op, struct owner, op);

	(void)res;
	if (owner->sock.fd >= 0)
		engine_sock_close(owner->engine, &owner->sock);
	if (owner->victim) {
		engine_sock_close(owner->engine, owner->victim);
		free(owner->victim);
	}
	++*owner->n_gone;
	free(owner);
}

static struct owner *owner_new(struct engine *engine, unsigned *n_gone)
{
	struct owner *owner = calloc(1, sizeof(*owner));

	*owner = (struct owner){
		.op.done = close_and_free, .engine = engine, .sock.fd = -1, .n_gone = n_gone};
	return owner;
}

/* Run with AddressSanitizer, this finds any look back at an operation or a socket. */
static void done_may_free_everything(void **state)
{
	scoped_engine(engine, 0);
	scoped(close) int fd = temp_file();
	struct engine_sock far[3];
	struct engine_sock *victim = malloc(sizeof(*victim));
	struct owner *reader = owner_new(engine, &(unsigned){0}), *sender, *file, *worker;
	unsigned n_gone = 0;
	static char buf[4];
	static struct iovec iov = {buf, 4};
	pthread_t self = pthread_self();

	reader->n_gone = &n_gone;
	sender = owner_new(engine, &n_gone);
	file = owner_new(engine, &n_gone);
	worker = owner_new(engine, &n_gone);
	open_pair(engine, &reader->sock, &far[0]);
	open_pair(engine, &sender->sock, &far[1]);
	open_pair(engine, victim, &far[2]);
	reader->victim = victim; /* it has an event of its own in the same turn, maybe behind us */
	engine_recv_some(engine, &reader->sock, &reader->op);
	engine_turn(engine, false);
	assert_int_equal(send(far[0].fd, "data", 4, 0), 4);
	assert_int_equal(send(far[2].fd, "data", 4, 0), 4);
	engine_send(engine, &sender->sock, &sender->op, &iov, 1);
	engine_readv(engine, &file->op, fd, &iov, 1, 0);
	engine_work(engine, &worker->op, work_here, &self);
	while (n_gone < 4)
		assert_true(engine_turn(engine, true) >= 0);
	for (int i = 0; i < 3; i++)
		engine_sock_close(engine, &far[i]);
}

/* None of the calls may run done itself, however ready its result is. */
static void done_waits_for_the_loop(void **state)
{
	scoped_engine(engine, 0);
	scoped(close) int fd = temp_file();
	struct engine_sock a, b;
	char byte = 0;
	struct iovec iov = {&byte, 1};
	struct call calls[6];
	unsigned n = 0;

	open_pair(engine, &a, &b);
	assert_int_equal(send(b.fd, "x", 1, 0), 1);
	engine_recv_some(engine, &a, fresh(&calls[0]));
	engine_send(engine, &a, fresh(&calls[1]), &iov, 1);
	engine_readv(engine, fresh(&calls[2]), fd, &iov, 1, 0);
	engine_writev(engine, fresh(&calls[3]), fd, &iov, 1, 0, 0);
	engine_flush(engine, fresh(&calls[4]), fd);
	engine_recv_some(engine, &b, fresh(&calls[5]));
	engine_sock_shutdown(engine, &b);
	for (int i = 0; i < 6; i++)
		assert_int_equal(calls[i].n_done, 0);
	while (n < 6) {
		assert_true(engine_turn(engine, true) >= 0);
		for (int i = n = 0; i < 6; i++)
			n += calls[i].n_done;
	}
	engine_sock_close(engine, &a);
	engine_sock_close(engine, &b);
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
	bool uring = *(enum engine_kind *)*state == ENGINE_URING;
	uint8_t a[300] = {0}, b[300] = {0};

	assert_string_equal(engine_name(engine), uring ? "io_uring" : "epoll");
	engine_random(engine, a, sizeof(a));
	engine_random(engine, b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	assert_memory_not_equal(a + 268, b + 268, 32);
	engine_free(NULL);
}

static enum engine_kind kinds[] = {ENGINE_EPOLL, ENGINE_URING};

#define on_both(test)                                                                              \
	{#test " (epoll)", test, NULL, NULL, &kinds[0]},                                           \
	{                                                                                          \
#test " (io_uring)", test, NULL, NULL, &kinds[1]                                   \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_both(echoes_over_tcp),
		on_both(sees_the_end_of_the_stream),
		on_both(goes_on_past_urgent_data),
		on_both(sends_of_any_length_arrive_whole),
		on_both(shutdown_ends_what_is_queued),
		on_both(many_sockets_share_few_buffers),
		on_both(reads_and_writes_files),
		on_both(discards_a_hole),
		on_both(file_errors_come_back),
		on_both(no_operation_is_lost),
		on_both(busy_files_do_not_starve_sockets),
		on_both(timers_fire_in_order),
		on_both(past_timers_fire_once_a_turn),
		on_both(deferred_work_ends_the_turn),
		on_both(posts_arrive_in_order),
		on_both(a_post_ends_the_sleep),
		on_both(work_runs_elsewhere),
		on_both(done_may_free_everything),
		on_both(done_waits_for_the_loop),
		on_both(has_a_name_and_chance),
		cmocka_unit_test(falls_back_to_epoll),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
