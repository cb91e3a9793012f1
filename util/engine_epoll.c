/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine that runs everywhere. Sockets: edge-triggered epoll, and what an edge said is kept
 * in sock->state, so that a system call is only made when it has a chance. Files: inline as long
 * as the page cache can serve them without waiting (engine_cached.c), else on a helper thread.
 *
 * An operation that may run now stands in a list. One that waits for its socket stands in no
 * list: sock->reader or sock->writer leads to it.
 */
#include "util/cleanup.h"
#include "util/engine_priv.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

enum {
	RECV_BUF_BYTES = 256 * 1024,
	MAX_EVENTS = 256,
	/* Turns in a row that may go by without a look at the sockets because queued operations
	 * went through at once: it saves a system call per turn, and must end some time. */
	MAX_TURNS_BLIND = 8,
};

/* sock->state */
enum {
	READABLE = 1,
	WRITABLE = 2,
	/* End of stream, an error or urgent data: a short receive does not mean empty any more. */
	NOT_PLAIN = 4,
	WATCHED = 8, /* no socket, but part of a struct engine_watch */
};

struct epoll_engine {
	struct engine base;
	int epoll_fd, wake_fd;
	struct list receives, sends, files; /* receives: accepts, too */
	unsigned n_turns_blind;
	bool no_pwait2;
	uint8_t *recv_buf; /* lent out while one done runs */
	struct epoll_event events[MAX_EVENTS];
};

static inline struct epoll_engine *epoll_of(struct engine *engine)
{
	return container_of(engine, struct epoll_engine, base);
}

/* ---- sockets ---- */

static int ep_sock_open(struct engine *engine, struct engine_sock *sock, int fd)
{
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET,
		.data.ptr = sock,
	};

	sock->state = READABLE | WRITABLE; /* worth a try; EAGAIN tells */
	if (epoll_ctl(epoll_of(engine)->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return -errno;
	return 0;
}

static void ep_sock_close(struct engine *engine, struct engine_sock *sock)
{
	/* close() alone would leave it in epoll as long as a duplicate of it is open somewhere. */
	epoll_ctl(epoll_of(engine)->epoll_fd, EPOLL_CTL_DEL, sock->fd, NULL);
	close(sock->fd);
}

static void ep_sock_shutdown(struct engine *engine, struct engine_sock *sock)
{
	(void)engine;
	shutdown(sock->fd, SHUT_RDWR); /* makes an edge, both ways */
}

static bool is_short(const struct msghdr *msg, ssize_t n)
{
	size_t len = 0;

	for (size_t i = 0; i < msg->msg_iovlen; i++)
		len += msg->msg_iov[i].iov_len;
	return (size_t)n < len;
}

static ssize_t receive(struct epoll_engine *ep, struct engine_op *op)
{
	struct engine_sock *sock = op->sock;
	bool emptied;
	ssize_t n;

	if (op->kind == OP_RECV_SOME) {
		size_t max = ep->base.recv_some_max;

		if (max > RECV_BUF_BYTES)
			max = RECV_BUF_BYTES;
		op->buf = ep->recv_buf;
		n = recv(sock->fd, ep->recv_buf, max, MSG_DONTWAIT);
		emptied = n < (ssize_t)max;
	} else {
		n = recvmsg(sock->fd, &op->msg, MSG_DONTWAIT);
		emptied = n > 0 && is_short(&op->msg, n);
	}
	/* Less than asked for: the socket is empty, and the next byte makes an edge (epoll(7)).
	 * Saves the call that would only say EAGAIN. */
	if (n > 0 && emptied && !(sock->state & NOT_PLAIN))
		sock->state &= ~(uint32_t)READABLE;
	return n;
}

static ssize_t sock_call(struct epoll_engine *ep, struct engine_op *op)
{
	switch (op->kind) {
	case OP_ACCEPT:
		return accept4(op->sock->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	case OP_SEND:
		return sendmsg(op->sock->fd, &op->msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	default:
		return receive(ep, op);
	}
}

/* Return: whether it is complete; else it waits for its socket. */
static bool run_sock_op(struct epoll_engine *ep, struct engine_op *op)
{
	uint32_t ready = op->kind == OP_SEND ? WRITABLE : READABLE;
	struct engine_sock *sock = op->sock;
	ssize_t n;

	if (!(sock->state & ready))
		return false;
	do {
		n = sock_call(ep, op);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN) {
		sock->state &= ~ready;
		return false;
	}
	engine_complete(op, n < 0 ? -errno : (int)n);
	return true;
}

/* ---- watched descriptors ---- */

static int ep_watch(struct engine *engine, struct engine_watch *watch)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = &watch->sock};

	watch->sock.state = WATCHED;
	if (epoll_ctl(epoll_of(engine)->epoll_fd, EPOLL_CTL_ADD, watch->sock.fd, &event) < 0)
		return -errno;
	return 0;
}

static void ep_unwatch(struct engine *engine, struct engine_watch *watch)
{
	struct epoll_engine *ep = epoll_of(engine);

	epoll_ctl(ep->epoll_fd, EPOLL_CTL_DEL, watch->sock.fd, NULL);
	list_del(&watch->op.node); /* news that came just before */
	list_push_back(&ep->receives, &watch->end.node);
}

static void run_watch_op(struct engine_op *op)
{
	if (op->kind == OP_WATCH) {
		struct engine_watch *watch = container_of(op, struct engine_watch, op);

		watch->ready(watch);
	} else {
		struct engine_watch *watch = container_of(op, struct engine_watch, end);

		watch->gone(watch);
	}
}

/* ---- the loop ---- */

static void ep_queue(struct engine *engine, struct engine_op *op)
{
	struct epoll_engine *ep = epoll_of(engine);

	if (op->kind == OP_READV || op->kind == OP_WRITEV)
		list_push_back(&ep->files, &op->node);
	else if (op->sock)
		list_push_back(op->kind == OP_SEND ? &ep->sends : &ep->receives, &op->node);
	else
		engine_work_submit(op);
}

/* What done queues meanwhile is left to the next turn. */
static int run_socks(struct epoll_engine *ep, struct list *ops)
{
	struct list batch = LIST_INIT(batch);
	struct list *node;
	int n = 0;

	list_splice_back(&batch, ops);
	while ((node = list_pop_front(&batch))) {
		struct engine_op *op = list_entry(node, struct engine_op, node);

		if (op->kind == OP_WATCH || op->kind == OP_UNWATCH) {
			run_watch_op(op);
			n++;
		} else {
			n += run_sock_op(ep, op);
		}
	}
	return n;
}

static int run_files(struct epoll_engine *ep)
{
	struct list files = LIST_INIT(files);
	struct list *node;
	int n;

	list_splice_back(&files, &ep->files);
	n = engine_files_try(&ep->base, &files);
	while ((node = list_pop_front(&files)))
		engine_work_submit(list_entry(node, struct engine_op, node));
	return n;
}

/* Sends first: what they set free, receives and reads may want. */
static int run_pending(struct epoll_engine *ep)
{
	int n = run_socks(ep, &ep->sends);

	n += run_files(ep);
	return n + run_socks(ep, &ep->receives);
}

static int wait_ms(struct epoll_engine *ep, uint64_t ns)
{
	uint64_t ms = ns / 1000000 + (ns % 1000000 != 0);

	if (ns == UINT64_MAX)
		return epoll_wait(ep->epoll_fd, ep->events, MAX_EVENTS, -1);
	return epoll_wait(ep->epoll_fd, ep->events, MAX_EVENTS,
			  ms > INT32_MAX ? INT32_MAX : (int)ms);
}

/* Sleeps for @ns at most (UINT64_MAX: no limit). Return: number of events, or -errno. */
static int wait_events(struct epoll_engine *ep, uint64_t ns)
{
	struct timespec ts = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = ns % 1000000000};
	int n;

	if (ns == 0 || ns == UINT64_MAX || ep->no_pwait2) {
		n = wait_ms(ep, ns);
	} else {
		n = epoll_pwait2(ep->epoll_fd, ep->events, MAX_EVENTS, &ts, NULL);
		if (n < 0 && (errno == ENOSYS || errno == EPERM)) {
			ep->no_pwait2 = true; /* before 5.11, or a seccomp filter */
			n = wait_ms(ep, ns);
		}
	}
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	return n;
}

static void unpark(struct list *ops, struct engine_op *op)
{
	if (op && list_empty(&op->node))
		list_push_back(ops, &op->node);
}

/* Notes all events before any done runs: it may close, or free, any of these sockets. */
static void note_events(struct epoll_engine *ep, int n)
{
	for (int i = 0; i < n; i++) {
		struct engine_sock *sock = ep->events[i].data.ptr;
		uint32_t events = ep->events[i].events;

		if (!sock)
			continue; /* the wake-up: it has ended the sleep, that is all */
		if (sock->state & WATCHED) {
			unpark(&ep->receives, &container_of(sock, struct engine_watch, sock)->op);
			continue;
		}
		if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI))
			sock->state |= NOT_PLAIN;
		if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
			sock->state |= READABLE;
			unpark(&ep->receives, sock->reader);
		}
		if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) {
			sock->state |= WRITABLE;
			unpark(&ep->sends, sock->writer);
		}
	}
}

static int ep_poll(struct engine *engine, uint64_t wait_until_ns)
{
	struct epoll_engine *ep = epoll_of(engine);
	int n_done = run_pending(ep);
	int n_events;

	if (n_done && ++ep->n_turns_blind <= MAX_TURNS_BLIND) {
		engine_went_on(engine);
		return n_done;
	}
	ep->n_turns_blind = 0;
	if (n_done || wait_until_ns <= engine->now_ns)
		n_events = wait_events(ep, 0);
	else if (wait_until_ns == UINT64_MAX)
		n_events = wait_events(ep, UINT64_MAX);
	else
		n_events = wait_events(ep, wait_until_ns - engine->now_ns);
	engine_slept(engine);
	if (n_events < 0)
		return n_events;
	note_events(ep, n_events);
	return n_done + run_pending(ep);
}

/* The descriptor is edge-triggered, so nothing needs to read it empty again. */
static void ep_wake(struct engine *engine)
{
	eventfd_write(epoll_of(engine)->wake_fd, 1);
}

static void ep_free(struct engine *engine)
{
	struct epoll_engine *ep = epoll_of(engine);

	if (ep->epoll_fd >= 0)
		close(ep->epoll_fd);
	if (ep->wake_fd >= 0)
		close(ep->wake_fd);
	free(ep->recv_buf);
	engine_fini(engine);
	free(ep);
}

static void ep_unref(struct epoll_engine *ep)
{
	if (ep)
		ep_free(&ep->base);
}
DEFINE_SCOPED(struct epoll_engine *, ep_unref)

static const struct engine_ops epoll_ops = {
	.name = "epoll",
	.free = ep_free,
	.poll = ep_poll,
	.wake = ep_wake,
	.clock = engine_clock_monotonic,
	.random = engine_random_system,
	.sock_open = ep_sock_open,
	.sock_shutdown = ep_sock_shutdown,
	.sock_close = ep_sock_close,
	.watch = ep_watch,
	.unwatch = ep_unwatch,
	.queue = ep_queue,
};

int engine_epoll_new(const struct engine_config *cfg, struct engine **ret_engine)
{
	scoped(ep_unref) struct epoll_engine *ep = calloc(1, sizeof(*ep));
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};

	(void)cfg; /* there is no ring whose depth could be set */
	if (!ep)
		return -ENOMEM;
	engine_init(&ep->base, &epoll_ops);
	list_init(&ep->receives);
	list_init(&ep->sends);
	list_init(&ep->files);
	ep->base.may_batch = true;
	ep->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	ep->wake_fd = ep->epoll_fd < 0 ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ep->wake_fd < 0)
		return -errno;
	if (epoll_ctl(ep->epoll_fd, EPOLL_CTL_ADD, ep->wake_fd, &event) < 0)
		return -errno;
	ep->recv_buf = aligned_alloc(4096, RECV_BUF_BYTES);
	if (!ep->recv_buf)
		return -ENOMEM;
	*ret_engine = &steal(ep)->base;
	return 0;
}
