/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine on io_uring: one ring per engine, one io_uring_enter(2) per turn, which submits all
 * that the last turn has queued and waits for completions. Needs Linux 5.19 for provided buffer
 * rings: receives without a buffer of their own take one only when data has come.
 *
 * An operation stands in pending only while the submission queue has no room for it, and in the
 * other lists until the next turn tries it without the ring.
 */
#include "util/cleanup.h"
#include "util/engine_priv.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <limits.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

enum {
	DEFAULT_DEPTH = 1024,
	MAX_DEPTH = 32768, /* IORING_MAX_ENTRIES */
	CQES_PER_SQE = 4,  /* more operations are under way than are queued in one turn */
	RECV_BUFS = 4,	   /* 2^n; few, so that they stay in the CPU's cache */
	RECV_BUF_BYTES = 128 * 1024,
	RECV_GROUP = 1,
	MAX_TRIES = 16,
	/* Turns in a row that may go by without the kernel because something was done on the spot.
	 */
	MAX_TURNS_BLIND = 8,
};

/* sock->state */
enum {
	DRAINED = 1, /* nothing was left after the last receive */
};

struct uring_engine {
	struct engine base;
	struct io_uring ring;
	bool enabled;
	struct list pending, cached, reads, sends;
	bool urgent; /* the queue holds what is to begin soon: not only receives */
	unsigned n_turns_blind;
	int wake_fd;
	bool wake_armed; /* a read of wake_fd is queued or under way */
	eventfd_t wake_count;
	struct io_uring_buf_ring *buf_ring;
	uint8_t *bufs;
	int n_bufs_back; /* given back since the kernel was last told */
};

static_assert(RECV_BUFS * RECV_BUF_BYTES <= ENGINE_RECV_SOME_AHEAD, "the kernel holds as many");

static inline struct uring_engine *uring_of(struct engine *engine)
{
	return container_of(engine, struct uring_engine, base);
}

/* ---- submission ---- */

/* One piece needs neither a msghdr nor an iovec array, which the kernel would have to copy. */
static bool is_one_piece(const struct iovec *iov, size_t n_iov)
{
	return n_iov == 1 && iov->iov_len <= INT_MAX;
}

static void prep_recv(struct io_uring_sqe *sqe, struct engine_op *op)
{
	const struct msghdr *msg = &op->msg;
	int fd = op->sock->fd;

	if (op->kind == OP_RECV_SOME) {
		io_uring_prep_recv(sqe, fd, NULL, 0, 0);
		sqe->flags |= IOSQE_BUFFER_SELECT;
		sqe->buf_group = RECV_GROUP;
	} else if (is_one_piece(msg->msg_iov, msg->msg_iovlen)) {
		io_uring_prep_recv(sqe, fd, msg->msg_iov->iov_base, msg->msg_iov->iov_len, 0);
	} else {
		io_uring_prep_recvmsg(sqe, fd, &op->msg, 0);
	}
	/* Probably still empty: ask poll first, instead of trying in vain. */
	if (op->sock->state & DRAINED)
		sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
}

/* No MSG_WAITALL: kernels before 6.1.9 may lose their place in the iovec when they go on with a
 * partial send by themselves (Linux 3e4cb6ebbb2b). Our caller goes on just as well. */
static void prep_send(struct io_uring_sqe *sqe, struct engine_op *op)
{
	const struct msghdr *msg = &op->msg;
	int fd = op->sock->fd;

	if (is_one_piece(msg->msg_iov, msg->msg_iovlen))
		io_uring_prep_send(sqe, fd, msg->msg_iov->iov_base, msg->msg_iov->iov_len,
				   MSG_NOSIGNAL);
	else
		io_uring_prep_sendmsg(sqe, fd, &op->msg, MSG_NOSIGNAL);
}

static void prep_rw(struct io_uring_sqe *sqe, struct engine_op *op)
{
	const struct iovec *iov = op->file.iov;
	int n_iov = op->file.n_iov, fd = op->file.fd;

	if (is_one_piece(iov, (size_t)n_iov) && op->kind == OP_READV)
		io_uring_prep_read(sqe, fd, iov->iov_base, (unsigned)iov->iov_len, op->file.offset);
	else if (is_one_piece(iov, (size_t)n_iov))
		io_uring_prep_write(sqe, fd, iov->iov_base, (unsigned)iov->iov_len,
				    op->file.offset);
	else if (op->kind == OP_READV)
		io_uring_prep_readv(sqe, fd, iov, (unsigned)n_iov, op->file.offset);
	else
		io_uring_prep_writev(sqe, fd, iov, (unsigned)n_iov, op->file.offset);
	if (op->file.flags & ENGINE_WRITE_DSYNC)
		sqe->rw_flags |= RWF_DSYNC;
}

static void prep(struct io_uring_sqe *sqe, struct engine_op *op)
{
	switch ((enum engine_op_kind)op->kind) {
	case OP_ACCEPT:
		io_uring_prep_accept(sqe, op->sock->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		break;
	case OP_RECV:
	case OP_RECV_SOME:
		prep_recv(sqe, op);
		break;
	case OP_SEND:
		prep_send(sqe, op);
		break;
	case OP_READV:
	case OP_WRITEV:
		prep_rw(sqe, op);
		break;
	case OP_FLUSH:
		io_uring_prep_fsync(sqe, op->file.fd, IORING_FSYNC_DATASYNC);
		break;
	case OP_DISCARD:
		io_uring_prep_fallocate(sqe, op->file.fd,
					FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					(off_t)op->file.offset, (off_t)op->file.len);
		break;
	case OP_WATCH: /* multishot: looks at each wake-up, not at the level */
		io_uring_prep_poll_multishot(sqe, op->sock->fd, POLLIN);
		break;
	case OP_UNWATCH:
		io_uring_prep_cancel(sqe, &container_of(op, struct engine_watch, end)->op, 0);
		break;
	case OP_WORK:
		assert(false); /* went to the helper threads */
	}
	io_uring_sqe_set_data(sqe, op);
}

static void enqueue(struct uring_engine *ur, struct engine_op *op)
{
	struct io_uring_sqe *sqe = NULL;

	ur->urgent |= !op->sock || op->kind == OP_SEND;
	if (list_empty(&ur->pending))
		sqe = io_uring_get_sqe(&ur->ring);
	if (sqe)
		prep(sqe, op);
	else
		list_push_back(&ur->pending, &op->node);
}

/*
 * Whether it is tried without the ring. The ring hands to a worker thread what need not wait: a
 * write where the file system (ext4) has no RWF_NOWAIT for it, anything on a tmpfs.
 */
static bool is_for_cache(const struct engine_op *op)
{
	if (op->kind == OP_WRITEV)
		return op->file.flags & (ENGINE_CACHED | ENGINE_IN_MEMORY);
	return op->kind == OP_READV && op->file.flags & ENGINE_IN_MEMORY;
}

static void ur_queue(struct engine *engine, struct engine_op *op)
{
	struct uring_engine *ur = uring_of(engine);

	if (op->kind == OP_WORK)
		engine_work_submit(op);
	else if (is_for_cache(op))
		list_push_back(&ur->cached, &op->node);
	else if (op->kind == OP_READV && op->file.flags & ENGINE_CACHED)
		list_push_back(&ur->reads, &op->node);
	else if (op->kind == OP_SEND)
		list_push_back(&ur->sends, &op->node);
	else
		enqueue(ur, op);
}

static bool is_alone(const struct list *ops)
{
	return !list_empty(ops) && ops->next == ops->prev;
}

static void enqueue_all(struct uring_engine *ur, struct list *ops)
{
	struct list *node;

	while ((node = list_pop_front(ops)))
		enqueue(ur, list_entry(node, struct engine_op, node));
}

/* Return: how many were done at once; the rest goes to the ring. */
static int try_cached(struct uring_engine *ur)
{
	struct list ops = LIST_INIT(ops);
	int n;

	if (list_empty(&ur->cached))
		return 0;
	list_splice_back(&ops, &ur->cached);
	n = engine_files_try(&ur->base, &ops);
	enqueue_all(ur, &ops);
	return n;
}

static int try_sends(struct uring_engine *ur)
{
	struct list ops = LIST_INIT(ops);
	struct list *node;
	int n_done = 0;

	list_splice_back(&ops, &ur->sends);
	while ((node = list_pop_front(&ops))) {
		struct engine_op *op = list_entry(node, struct engine_op, node);
		ssize_t n = sendmsg(op->sock->fd, &op->msg, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0) {
			enqueue(ur, op); /* where it waits, or has its error once more */
			continue;
		}
		engine_complete(op, (int)n);
		n_done++;
	}
	return n_done;
}

/* Does on the spot what is quicker so. Several cached reads are cheaper by the ring, in one call.
 */
static int try_all(struct uring_engine *ur)
{
	int n = try_sends(ur);

	if (is_alone(&ur->reads))
		list_splice_back(&ur->cached, &ur->reads);
	enqueue_all(ur, &ur->reads);
	return n + try_cached(ur);
}

/* A free entry, if need be by submitting what is there. Return: 0 or -errno. */
static int next_sqe(struct uring_engine *ur, struct io_uring_sqe **ret_sqe)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ur->ring);

	if (!sqe) {
		int r = io_uring_submit(&ur->ring);

		if (r < 0)
			return r;
		sqe = io_uring_get_sqe(&ur->ring);
		if (!sqe)
			return -EAGAIN;
	}
	*ret_sqe = sqe;
	return 0;
}

/* Everything that waits for an entry gets one. Return: 0 or -errno; what is left stays pending. */
static int fill_queue(struct uring_engine *ur)
{
	struct io_uring_sqe *sqe;
	int r;

	if (!ur->wake_armed) {
		r = next_sqe(ur, &sqe);
		if (r < 0)
			return r;
		io_uring_prep_read(sqe, ur->wake_fd, &ur->wake_count, sizeof(ur->wake_count), 0);
		io_uring_sqe_set_data(sqe, NULL);
		ur->wake_armed = true;
	}
	while (!list_empty(&ur->pending)) {
		r = next_sqe(ur, &sqe);
		if (r < 0)
			return r;
		prep(sqe, list_entry(list_pop_front(&ur->pending), struct engine_op, node));
	}
	return 0;
}

/* ---- completion ---- */

static uint8_t *recv_buf(struct uring_engine *ur, unsigned buf_id)
{
	return ur->bufs + (size_t)buf_id * RECV_BUF_BYTES;
}

/* A receive takes a buffer when data has come, so the limit of now reaches those that have long
 * been queued. */
static void buf_give_back(struct uring_engine *ur, unsigned buf_id)
{
	size_t len = ur->base.recv_some_max;

	if (len > RECV_BUF_BYTES)
		len = RECV_BUF_BYTES;
	io_uring_buf_ring_add(ur->buf_ring, recv_buf(ur, buf_id), (unsigned)len,
			      (unsigned short)buf_id, RECV_BUFS - 1, ur->n_bufs_back++);
}

static void bufs_publish(struct uring_engine *ur)
{
	io_uring_buf_ring_advance(ur->buf_ring, ur->n_bufs_back);
	ur->n_bufs_back = 0;
}

/* Whether the result only means that the kernel wants to be asked again. */
static bool is_to_retry(struct engine_op *op, int res)
{
	/* All buffers are out: they are back by the end of this turn, so it is only a matter of
	 * when. */
	if (op->kind == OP_RECV_SOME && res == -ENOBUFS)
		return true;
	return (res == -EAGAIN || res == -EINTR) && op->tries++ < MAX_TRIES;
}

/* Of the two operations of a watch, either may be the last one. */
static void watch_op_over(struct engine_watch *watch)
{
	if (!--watch->n_queued)
		watch->gone(watch);
}

static void take_watch_cqe(struct uring_engine *ur, struct engine_op *op,
			   const struct io_uring_cqe *cqe)
{
	struct engine_watch *watch = container_of(op, struct engine_watch, op);

	if (watch->ending) {
		if (!(cqe->flags & IORING_CQE_F_MORE))
			watch_op_over(watch);
		return;
	}
	/* The kernel ends it when completions found no room; an error would not be mended by asking
	 * again, and answered at once each time. */
	if (!(cqe->flags & IORING_CQE_F_MORE)) {
		if (cqe->res >= 0 && !(cqe->res & (POLLERR | POLLHUP)))
			list_push_back(&ur->pending, &op->node);
		else
			watch->n_queued--;
	}
	watch->ready(watch);
}

static bool is_watch_op(const struct engine_op *op)
{
	return op->kind == OP_WATCH || op->kind == OP_UNWATCH;
}

static void take_watch_op(struct uring_engine *ur, struct engine_op *op,
			  const struct io_uring_cqe *cqe)
{
	if (op->kind == OP_WATCH)
		take_watch_cqe(ur, op, cqe);
	else
		watch_op_over(container_of(op, struct engine_watch, end));
}

/* Return: 1 when done has run. */
static int take_cqe(struct uring_engine *ur, const struct io_uring_cqe *cqe)
{
	struct engine_op *op = io_uring_cqe_get_data(cqe);
	unsigned flags = cqe->flags, buf_id = flags >> IORING_CQE_BUFFER_SHIFT;
	int res = cqe->res;
	bool retry;

	if (!op) {
		ur->wake_armed = false;
		return 0;
	}
	if (is_watch_op(op)) {
		take_watch_op(ur, op, cqe);
		return 1;
	}
	if (op->kind == OP_RECV || op->kind == OP_RECV_SOME)
		op->sock->state = res > 0 && !(flags & IORING_CQE_F_SOCK_NONEMPTY) ? DRAINED : 0;
	if (op->kind == OP_RECV_SOME && flags & IORING_CQE_F_BUFFER)
		op->buf = recv_buf(ur, buf_id);
	retry = is_to_retry(op, res);
	if (retry)
		list_push_back(&ur->pending, &op->node);
	else
		engine_complete(op, res);
	/* A receive of 0 bytes may have taken one as well. */
	if (flags & IORING_CQE_F_BUFFER)
		buf_give_back(ur, buf_id);
	return !retry;
}

static int take_cqes(struct uring_engine *ur)
{
	struct io_uring_cqe *cqe;
	unsigned head, n_seen = 0;
	int n = 0;

	io_uring_for_each_cqe(&ur->ring, head, cqe)
	{
		n += take_cqe(ur, cqe);
		n_seen++;
	}
	io_uring_cq_advance(&ur->ring, n_seen);
	if (ur->n_bufs_back)
		bufs_publish(ur);
	return n;
}

/* ---- the loop ---- */

/* Whether completions wait inside the kernel for us to come and get them. */
static bool kernel_has_more(const struct uring_engine *ur)
{
	return IO_URING_READ_ONCE(*ur->ring.sq.kflags) &
	       (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

/* Submits and waits, or neither when there is no need. Return: -errno on failure. */
static int enter(struct uring_engine *ur, uint64_t wait_until_ns)
{
	uint64_t now = ur->base.now_ns, ns = wait_until_ns - now;
	struct __kernel_timespec ts = {.tv_sec = (int64_t)(ns / 1000000000),
				       .tv_nsec = (long long)(ns % 1000000000)};
	struct io_uring_cqe *cqe;

	if (wait_until_ns <= now || io_uring_cq_ready(&ur->ring)) {
		if (io_uring_sq_ready(&ur->ring) || kernel_has_more(ur))
			return io_uring_submit_and_get_events(&ur->ring);
		return 0;
	}
	if (wait_until_ns == UINT64_MAX)
		return io_uring_submit_and_wait(&ur->ring, 1);
	return io_uring_submit_and_wait_timeout(&ur->ring, &cqe, 1, &ts, NULL);
}

/* A single-issuer ring belongs to the thread that enables it: the one that runs the engine, which
 * need not be the one that made it. */
static int enable(struct uring_engine *ur)
{
	/* Not io_uring_enable_rings(): the shared liburing 2.3 forgot to export it. */
	int r = io_uring_register((unsigned)ur->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL,
				  0);

	ur->enabled = r >= 0;
	return r;
}

static bool is_passing(int r)
{
	return r == -ETIME || r == -EINTR || r == -EAGAIN || r == -EBUSY;
}

static int ur_poll(struct engine *engine, uint64_t wait_until_ns)
{
	struct uring_engine *ur = uring_of(engine);
	int r = ur->enabled ? 0 : enable(ur);
	int n_done;

	if (r < 0)
		return r;
	n_done = try_all(ur);
	if (n_done && !ur->urgent && ++ur->n_turns_blind <= MAX_TURNS_BLIND) {
		engine_went_on(engine);
		return n_done;
	}
	ur->urgent = false;
	ur->n_turns_blind = 0;
	r = fill_queue(ur);
	/* No sleep when a completion may have left something to run, nor when the queue has no
	 * room (EAGAIN, EBUSY): taking completions makes room. */
	if (r >= 0 || is_passing(r))
		r = enter(ur, r < 0 || n_done ? 0 : wait_until_ns);
	engine_slept(engine);
	if (r < 0 && !is_passing(r))
		return r;
	return n_done + take_cqes(ur);
}

static void ur_wake(struct engine *engine)
{
	eventfd_write(uring_of(engine)->wake_fd, 1);
}

static int ur_sock_open(struct engine *engine, struct engine_sock *sock, int fd)
{
	(void)engine;
	(void)sock;
	return fd < 0 ? -EBADF : 0;
}

static void ur_sock_shutdown(struct engine *engine, struct engine_sock *sock)
{
	(void)engine;
	shutdown(sock->fd, SHUT_RDWR); /* wakes the polls that queued operations sit on */
}

static void ur_sock_close(struct engine *engine, struct engine_sock *sock)
{
	(void)engine;
	close(sock->fd);
}

static int ur_watch(struct engine *engine, struct engine_watch *watch)
{
	watch->n_queued = 1;
	enqueue(uring_of(engine), &watch->op);
	return 0;
}

static void ur_unwatch(struct engine *engine, struct engine_watch *watch)
{
	watch->n_queued++;
	enqueue(uring_of(engine), &watch->end);
}

/* ---- making one ---- */

static unsigned queue_depth(const struct engine_config *cfg)
{
	unsigned depth = cfg->queue_depth ? cfg->queue_depth : DEFAULT_DEPTH;

	return depth < MAX_DEPTH ? depth : MAX_DEPTH; /* the kernel rounds up */
}

/* The best that the kernel takes: completions run only when we ask for them (6.1), one thread
 * only (6.0), no interrupt of a running thread (5.19). */
static int ring_init(struct io_uring *ring, unsigned depth)
{
	static const unsigned wishes[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
		IORING_SETUP_SINGLE_ISSUER,
		0,
	};
	int r = -EINVAL;

	for (unsigned i = 0; i < 3 && r == -EINVAL; i++) {
		struct io_uring_params params = {
			.flags = wishes[i] | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
				 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_R_DISABLED |
				 IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
			.cq_entries = depth * CQES_PER_SQE,
		};

		r = io_uring_queue_init_params(depth, ring, &params);
	}
	return r;
}

static void *map_pages(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static int bufs_init(struct uring_engine *ur)
{
	struct io_uring_buf_reg reg = {.ring_entries = RECV_BUFS, .bgid = RECV_GROUP};
	int r;

	ur->buf_ring = map_pages(RECV_BUFS * sizeof(struct io_uring_buf));
	ur->bufs = map_pages((size_t)RECV_BUFS * RECV_BUF_BYTES);
	if (!ur->buf_ring || !ur->bufs)
		return -ENOMEM;
	io_uring_buf_ring_init(ur->buf_ring);
	for (unsigned i = 0; i < RECV_BUFS; i++)
		buf_give_back(ur, i);
	bufs_publish(ur);
	reg.ring_addr = (uintptr_t)ur->buf_ring;
	r = io_uring_register_buf_ring(&ur->ring, &reg, 0);
	return r < 0 ? r : 0;
}

static void ur_free(struct engine *engine)
{
	struct uring_engine *ur = uring_of(engine);

	if (ur->ring.ring_fd >= 0)
		io_uring_queue_exit(&ur->ring);
	if (ur->wake_fd >= 0)
		close(ur->wake_fd);
	if (ur->buf_ring)
		munmap(ur->buf_ring, RECV_BUFS * sizeof(struct io_uring_buf));
	if (ur->bufs)
		munmap(ur->bufs, (size_t)RECV_BUFS * RECV_BUF_BYTES);
	engine_fini(engine);
	free(ur);
}

static void ur_unref(struct uring_engine *ur)
{
	if (ur)
		ur_free(&ur->base);
}
DEFINE_SCOPED(struct uring_engine *, ur_unref)

static const struct engine_ops uring_ops = {
	.name = "io_uring",
	.free = ur_free,
	.poll = ur_poll,
	.wake = ur_wake,
	.clock = engine_clock_monotonic,
	.random = engine_random_system,
	.sock_open = ur_sock_open,
	.sock_shutdown = ur_sock_shutdown,
	.sock_close = ur_sock_close,
	.watch = ur_watch,
	.unwatch = ur_unwatch,
	.queue = ur_queue,
};

int engine_uring_new(const struct engine_config *cfg, struct engine **ret_engine)
{
	scoped(ur_unref) struct uring_engine *ur = calloc(1, sizeof(*ur));
	int r;

	if (!ur)
		return -ENOMEM;
	engine_init(&ur->base, &uring_ops);
	list_init(&ur->pending);
	list_init(&ur->cached);
	list_init(&ur->reads);
	list_init(&ur->sends);
	ur->base.may_batch = true;
	ur->ring.ring_fd = -1;
	/* Blocking: a non-blocking one would have its read fail instead of waiting. */
	ur->wake_fd = eventfd(0, EFD_CLOEXEC);
	if (ur->wake_fd < 0)
		return -errno;
	r = ring_init(&ur->ring, queue_depth(cfg));
	if (r < 0)
		ur->ring.ring_fd = -1;
	if (r == 0)
		r = bufs_init(ur);
	if (r < 0)
		return r == -EINVAL ? -ENOSYS : r; /* EINVAL: older than what we need */
	*ret_engine = &steal(ur)->base;
	return 0;
}
