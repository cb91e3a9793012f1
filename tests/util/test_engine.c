/* SPDX-License-Identifier: Apache-2.0 */
/* What util/engine.h promises about sockets and files, kept by both engines. */
#include "tests/util/engine_harness.h"
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { PIECE = 4096 };

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

/* Memory that the kernel already has for receives is of the old length: used up first. */
static void use_up_recv_bufs(struct engine *engine, struct engine_sock *near, int far)
{
	struct call in;

	for (unsigned i = 0; i < 16; i++) {
		assert_int_equal(send(far, "x", 1, 0), 1);
		engine_recv_some(engine, near, fresh(&in));
		assert_int_equal(finish(engine, &in), 1);
	}
}

static void a_limit_reaches_receives_that_wait(void **state)
{
	scoped_engine(engine, 0);
	struct engine_sock near, busy;
	struct call waits, in;
	int far, busy_far;

	open_tcp(engine, &near, &far);
	open_tcp(engine, &busy, &busy_far);
	engine_recv_some(engine, &near, fresh(&waits));
	assert_int_equal(engine_turn(engine, false), 0);
	engine_recv_some_limit(engine, 5);
	use_up_recv_bufs(engine, &busy, busy_far);
	assert_int_equal(send(far, "hello, world", 12, 0), 12);
	assert_int_equal(finish(engine, &waits), 5);
	assert_memory_equal(waits.bytes, "hello", 5);
	engine_recv_some(engine, &near, fresh(&in));
	assert_int_equal(finish(engine, &in), 5);
	assert_memory_equal(in.bytes, ", wor", 5);
	engine_recv_some_limit(engine, SIZE_MAX);
	use_up_recv_bufs(engine, &busy, busy_far);
	assert_int_equal(send(far, "s of many", 9, 0), 9);
	engine_recv_some(engine, &near, fresh(&in));
	assert_int_equal(finish(engine, &in), 11);
	assert_memory_equal(in.bytes, "lds of many", 11);
	close(far);
	close(busy_far);
	engine_sock_close(engine, &near);
	engine_sock_close(engine, &busy);
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

static void read_and_write(struct engine *engine, int fd, int flags)
{
	static char ones[PIECE], twos[PIECE], buf[3 * PIECE];
	struct iovec src[] = {{ones, PIECE}, {twos, PIECE}},
		     dst[] = {{buf, 10}, {buf + 10, 3 * PIECE - 10}};
	struct call call;

	memset(ones, 1, PIECE);
	memset(twos, 2, PIECE);
	engine_writev(engine, fresh(&call), fd, src, 2, 0, flags);
	assert_int_equal(finish(engine, &call), 2 * PIECE);
	engine_writev(engine, fresh(&call), fd, src, 1, 2 * PIECE, ENGINE_WRITE_DSYNC | flags);
	assert_int_equal(finish(engine, &call), PIECE);
	engine_flush(engine, fresh(&call), fd);
	assert_int_equal(finish(engine, &call), 0);
	engine_readv(engine, fresh(&call), fd, dst, 2, 0, flags);
	assert_int_equal(finish(engine, &call), 3 * PIECE);
	assert_memory_equal(buf, ones, PIECE);
	assert_memory_equal(buf + PIECE, twos, PIECE);
	assert_memory_equal(buf + 2 * PIECE, ones, PIECE);
	/* one piece, at the end of the file and past it */
	dst[0] = (struct iovec){buf, PIECE};
	engine_readv(engine, fresh(&call), fd, dst, 1, 3 * PIECE - 10, flags);
	assert_int_equal(finish(engine, &call), 10);
	engine_readv(engine, fresh(&call), fd, dst, 1, 3 * PIECE, flags);
	assert_int_equal(finish(engine, &call), 0);
}

static void reads_and_writes_files(void **state)
{
	scoped_engine(engine, 0);
	scoped(close) int fd = temp_file(), memory = memfd_create("test_engine", MFD_CLOEXEC);

	assert_true(memory >= 0);
	read_and_write(engine, fd, 0);
	read_and_write(engine, fd, ENGINE_CACHED);
	read_and_write(engine, memory, 0);
	read_and_write(engine, memory, ENGINE_CACHED);
	read_and_write(engine, memory, ENGINE_IN_MEMORY);
	engine->slow_until_ns = UINT64_MAX; /* as after a write that blocked */
	read_and_write(engine, fd, ENGINE_CACHED);
	read_and_write(engine, memory, ENGINE_IN_MEMORY);
}

enum { N_CACHED = 200 };

/* Numbers go to a file and come back, many at once, of sizes that go together and that do not. */
static void move_many(struct engine *engine, int fd, int flags, bool write)
{
	static char bufs[N_CACHED][16 * PIECE];
	static struct iovec iovs[N_CACHED][2];
	static struct call calls[N_CACHED];
	unsigned n = 0;

	for (unsigned i = 0; i < N_CACHED; i++) {
		size_t len = i % 7 ? PIECE : 16 * PIECE, half = i % 5 ? 0 : 100;

		memset(bufs[i], write ? (int)(i + 1) : 0, len);
		iovs[i][0] = (struct iovec){bufs[i], half ? half : len};
		iovs[i][1] = (struct iovec){bufs[i] + half, len - half};
		if (write)
			engine_writev(engine, fresh(&calls[i]), fd, iovs[i], half ? 2 : 1,
				      i * sizeof(bufs[i]), flags);
		else
			engine_readv(engine, fresh(&calls[i]), fd, iovs[i], half ? 2 : 1,
				     i * sizeof(bufs[i]), flags);
	}
	while (n < N_CACHED) {
		assert_true(engine_turn(engine, true) >= 0);
		for (unsigned i = n = 0; i < N_CACHED; i++)
			n += calls[i].n_done;
	}
	for (unsigned i = 0; i < N_CACHED; i++) {
		size_t len = i % 7 ? PIECE : 16 * PIECE;

		assert_int_equal(calls[i].n_done, 1);
		assert_int_equal(calls[i].res, len);
		for (size_t at = 0; at < len; at += 100)
			assert_int_equal((uint8_t)bufs[i][at], (uint8_t)(i + 1));
	}
}

static void cached_files_one_by_one_and_together(void **state)
{
	scoped_engine(engine, 0);
	scoped(close) int fd = temp_file(), memory = memfd_create("test_engine", MFD_CLOEXEC);

	for (int round = 0; round < 2; round++) {
		move_many(engine, fd, ENGINE_CACHED, true);
		move_many(engine, fd, ENGINE_CACHED, false);
		move_many(engine, memory, ENGINE_IN_MEMORY, true);
		move_many(engine, memory, ENGINE_IN_MEMORY, false);
		move_many(engine, memory, ENGINE_CACHED, true); /* no RWF_NOWAIT at all */
		move_many(engine, memory, ENGINE_CACHED, false);
		/* as where io_setup() is not allowed */
		engine_batch_free(steal(engine->batch));
		engine->may_batch = false;
		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(ftruncate(memory, 0), 0);
	}
}

/* One that fails among others that do not. */
static void cached_errors_stay_apart(void **state)
{
	scoped_engine(engine, 0);
	scoped(close) int fd = temp_file();
	char bytes[4] = "";
	struct iovec iov = {bytes, 1};
	struct call calls[6];
	unsigned n = 0;

	assert_int_equal(pwrite(fd, "x", 1, 0), 1);
	for (int i = 0; i < 6; i++)
		engine_readv(engine, fresh(&calls[i]), i == 0 || i == 3 ? 1 << 20 : fd, &iov, 1, 0,
			     i % 2 ? ENGINE_CACHED : ENGINE_IN_MEMORY);
	while (n < 6) {
		assert_true(engine_turn(engine, true) >= 0);
		for (int i = n = 0; i < 6; i++)
			n += calls[i].n_done;
	}
	for (int i = 0; i < 6; i++)
		assert_int_equal(calls[i].res, i == 0 || i == 3 ? -EBADF : 1);
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
	engine_readv(engine, fresh(&call), fd, &iov, 1, 0, 0);
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

	engine_readv(engine, fresh(&call), -1, &iov, 1, 0, 0);
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
			engine_readv(engine, fresh(&calls[i]), fd, &iovs[i], 1, i * sizeof(i), 0);
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
		engine_readv(busy->engine, op, busy->fd, &busy->iov, 1, 0, ENGINE_CACHED);
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
	engine_readv(engine, &busy.op, fd, &busy.iov, 1, 0, ENGINE_CACHED);
	assert_int_equal(send(b.fd, "x", 1, 0), 1);
	assert_int_equal(finish(engine, &in), 1);
	assert_true(busy.n_left > 10000);
	while (busy.n_left)
		engine_turn(engine, true);
	engine_sock_close(engine, &a);
	engine_sock_close(engine, &b);
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

static int no_work(void *arg)
{
	(void)arg;
	return 0;
}

/* Run with AddressSanitizer, this finds any look back at an operation or a socket. */
static void done_may_free_everything(void **state)
{
	scoped_engine(engine, 0);
	scoped(close) int fd = temp_file();
	struct engine_sock far[3];
	struct engine_sock *victim = malloc(sizeof(*victim));
	unsigned n_gone = 0;
	struct owner *reader = owner_new(engine, &n_gone), *sender = owner_new(engine, &n_gone);
	struct owner *file = owner_new(engine, &n_gone), *worker = owner_new(engine, &n_gone);
	static char buf[4];
	static struct iovec iov = {buf, 4};

	open_pair(engine, &reader->sock, &far[0]);
	open_pair(engine, &sender->sock, &far[1]);
	open_pair(engine, victim, &far[2]);
	reader->victim = victim; /* it has an event of its own in the same turn, maybe behind us */
	engine_recv_some(engine, &reader->sock, &reader->op);
	engine_turn(engine, false);
	assert_int_equal(send(far[0].fd, "data", 4, 0), 4);
	assert_int_equal(send(far[2].fd, "data", 4, 0), 4);
	engine_send(engine, &sender->sock, &sender->op, &iov, 1);
	engine_readv(engine, &file->op, fd, &iov, 1, 0, 0);
	engine_work(engine, &worker->op, no_work, NULL);
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
	engine_readv(engine, fresh(&calls[2]), fd, &iov, 1, 0, 0);
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

int main(void)
{
	/* clang-format off */
	const struct CMUnitTest tests[] = {
		on_both(echoes_over_tcp),
		on_both(a_limit_reaches_receives_that_wait),
		on_both(sees_the_end_of_the_stream),
		on_both(goes_on_past_urgent_data),
		on_both(sends_of_any_length_arrive_whole),
		on_both(shutdown_ends_what_is_queued),
		on_both(many_sockets_share_few_buffers),
		on_both(reads_and_writes_files),
		on_both(cached_files_one_by_one_and_together),
		on_both(cached_errors_stay_apart),
		on_both(discards_a_hole),
		on_both(file_errors_come_back),
		on_both(no_operation_is_lost),
		on_both(busy_files_do_not_starve_sockets),
		on_both(done_may_free_everything),
		on_both(done_waits_for_the_loop),
	};
	/* clang-format on */

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
