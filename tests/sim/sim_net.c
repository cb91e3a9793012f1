/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The world's network: connections are pairs of streams. What is sent lies in the receiver's
 * buffer at once, and arrives by and by, cut into segments at random.
 */
#include "sim_priv.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct listener {
	struct sim_file file;
	struct sim_engine *engine; /* NULL: not opened, or closed */
	struct engine_sock *sock;
	struct list backlog; /* struct stream.node */
	struct list streams; /* server ends, struct stream.of_listener */
	bool closed;
	bool ready; /* its accept is in the engine's ready list */
};

struct stream {
	struct sim_file file;
	struct stream *peer;
	struct sim_engine *engine;
	struct engine_sock *sock;
	struct list node, of_listener;
	uint8_t *buf; /* what comes in: a ring */
	size_t cap, head, len, arrived;
	uint64_t last_at; /* when the last byte sent so far arrives */
	bool ended;	  /* the peer sends no more */
	bool end_arrived;
	bool shut; /* our own side: no more of anything */
	bool broken;
	bool closed;
	bool reader_ready; /* its receive is in the engine's ready list */
	bool writer_waits; /* for room */
};

void sim_net_configure(struct sim *sim, const struct sim_net_config *cfg)
{
	sim->net = *cfg;
}

/* ---- streams ---- */

static void stream_free(struct sim_file *file)
{
	struct stream *stream = container_of(file, struct stream, file);

	free(stream->buf);
	free(stream);
}

static struct stream *stream_new(struct sim *sim)
{
	struct stream *stream = sim_alloc(sizeof(*stream));

	stream->file.free = stream_free;
	stream->cap = sim->net.buffer_bytes;
	stream->buf = sim_alloc(stream->cap);
	list_init(&stream->node);
	list_init(&stream->of_listener);
	sim_file_add(sim, &stream->file, SIM_STREAM);
	return stream;
}

static void reader_look(struct stream *s)
{
	if (!s->sock || !s->sock->reader || s->reader_ready)
		return;
	if (!s->arrived && !s->end_arrived && !s->broken && !s->shut)
		return;
	s->reader_ready = true;
	sim_ready(s->sock->reader, 0);
}

static void bytes_arrive(void *arg, uint64_t n)
{
	struct stream *s = arg;

	if (s->broken)
		return;
	s->arrived += n;
	reader_look(s);
}

static void end_arrives(void *arg, uint64_t n)
{
	struct stream *s = arg;

	(void)n;
	s->end_arrived = true;
	reader_look(s);
}

static uint64_t arrival_delay(struct stream *to)
{
	struct sim *sim = to->file.sim;
	uint64_t at = sim->now_ns + sim_delay(sim, sim->net.latency_ns);

	if (at < to->last_at)
		at = to->last_at; /* in order */
	to->last_at = at;
	return at - sim->now_ns;
}

static void deliver(struct stream *to, size_t n)
{
	struct sim *sim = to->file.sim;

	while (n) {
		size_t seg = n;

		if (sim_chance(sim, sim->net.cut_permille))
			seg = sim_between(sim, 1, sim_chance(sim, 500) && n > 64 ? 64 : n);
		sim_after(sim, arrival_delay(to), bytes_arrive, to, seg);
		n -= seg;
	}
}

static void stream_end(struct stream *to)
{
	if (to->ended || to->broken)
		return;
	to->ended = true;
	sim_after(to->file.sim, arrival_delay(to) + 1, end_arrives, to, 0);
}

/* A send that has its turn: as much as there is room for. */
static void writer_goes(void *arg, uint64_t n)
{
	struct stream *s = arg, *peer = s->peer;
	struct sim *sim = s->file.sim;
	struct engine_op *op = s->sock->writer;
	size_t len = sim_iov_len(op->msg.msg_iov, op->msg.msg_iovlen);
	size_t room = peer->cap - peer->len, at, first;

	(void)n;
	s->writer_waits = false;
	if (s->broken || s->shut || peer->closed) {
		sim_ready(op, s->broken ? -ECONNRESET : -EPIPE);
		return;
	}
	if (!room && len) {
		s->writer_waits = true;
		return;
	}
	if (len > room)
		len = room;
	if (len > 1 && sim_chance(sim, sim->net.short_permille))
		len = sim_between(sim, 1, len - 1);
	at = (peer->head + peer->len) % peer->cap;
	first = len < peer->cap - at ? len : peer->cap - at;
	sim_iov_move(op->msg.msg_iov, op->msg.msg_iovlen, 0, peer->buf + at, first, false);
	sim_iov_move(op->msg.msg_iov, op->msg.msg_iovlen, first, peer->buf, len - first, false);
	peer->len += len;
	deliver(peer, len);
	sim_ready(op, (int)len);
}

static void writer_look(struct stream *s)
{
	if (!s->writer_waits)
		return;
	s->writer_waits = false;
	sim_after(s->file.sim, 0, writer_goes, s, 0);
}

static void stream_break(struct stream *s)
{
	s->broken = true;
	s->len = s->arrived = 0;
	reader_look(s);
	writer_look(s);
}

/* What a receive gets. */
static int stream_read(struct stream *s, void *bytes, const struct iovec *iov, size_t n_iov,
		       size_t len)
{
	struct sim *sim = s->file.sim;
	size_t first;

	if (s->broken)
		return -ECONNRESET;
	if (s->shut || !s->arrived)
		return 0;
	if (len > s->arrived)
		len = s->arrived;
	if (len > 1 && sim_chance(sim, sim->net.short_permille))
		len = sim_between(sim, 1, len - 1);
	first = len < s->cap - s->head ? len : s->cap - s->head;
	if (iov) {
		sim_iov_move(iov, n_iov, 0, s->buf + s->head, first, true);
		sim_iov_move(iov, n_iov, first, s->buf, len - first, true);
	} else {
		memcpy(bytes, s->buf + s->head, first);
		memcpy((uint8_t *)bytes + first, s->buf, len - first);
	}
	s->head = (s->head + len) % s->cap;
	s->len -= len;
	s->arrived -= len;
	writer_look(s->peer);
	return (int)len;
}

static void recv_complete(struct stream *s, struct engine_op *op)
{
	uint8_t lent[4096], *buf;
	size_t max = op->engine->recv_some_max;
	int res;

	s->reader_ready = false;
	if (op->kind == OP_RECV) {
		res = stream_read(s, NULL, op->msg.msg_iov, op->msg.msg_iovlen,
				  sim_iov_len(op->msg.msg_iov, op->msg.msg_iovlen));
		engine_complete(op, res);
		return;
	}
	/* Lent for as long as done runs, and of exact size: the sanitizer watches over both. */
	res = stream_read(s, lent, NULL, 0, max < sizeof(lent) ? max : sizeof(lent));
	buf = sim_alloc(res > 0 ? (size_t)res : 0);
	memcpy(buf, lent, res > 0 ? (size_t)res : 0);
	op->buf = buf;
	engine_complete(op, res);
	free(buf);
}

/* ---- listeners ---- */

static void listener_free(struct sim_file *file)
{
	free(container_of(file, struct listener, file));
}

int sim_listen(struct sim *sim)
{
	struct listener *l = sim_alloc(sizeof(*l));

	l->file.free = listener_free;
	list_init(&l->backlog);
	list_init(&l->streams);
	return sim_file_add(sim, &l->file, SIM_LISTENER);
}

static void accept_look(struct listener *l)
{
	if (!l->sock || !l->sock->reader || l->ready || (list_empty(&l->backlog) && !l->closed))
		return;
	l->ready = true;
	sim_ready(l->sock->reader, 0);
}

static void connection_arrives(void *arg, uint64_t n)
{
	struct stream *server = arg;
	struct listener *l =
		container_of(sim_file_find(server->file.sim, (int)n), struct listener, file);

	if (l->closed || server->broken) {
		stream_break(server);
		stream_break(server->peer);
		return;
	}
	list_push_back(&l->backlog, &server->node);
	accept_look(l);
}

int sim_connect(struct sim *sim, int listen_fd)
{
	struct sim_file *file = sim_file_find(sim, listen_fd);
	struct stream *client = stream_new(sim), *server = stream_new(sim);

	assert(file->kind == SIM_LISTENER);
	client->peer = server;
	server->peer = client;
	list_push_back(&container_of(file, struct listener, file)->streams, &server->of_listener);
	sim_after(sim, sim_delay(sim, sim->net.latency_ns), connection_arrives, server,
		  (uint64_t)listen_fd);
	return client->file.fd;
}

static void accept_complete(struct listener *l, struct engine_op *op)
{
	struct list *node = l->closed ? NULL : list_pop_front(&l->backlog);

	l->ready = false;
	engine_complete(op, node ? list_entry(node, struct stream, node)->file.fd : -ECONNABORTED);
}

static void listener_end(struct listener *l)
{
	struct list *node;

	l->closed = true;
	while ((node = list_pop_front(&l->backlog))) {
		stream_break(list_entry(node, struct stream, node));
		stream_break(list_entry(node, struct stream, node)->peer);
	}
	accept_look(l);
}

void sim_reset(struct sim *sim, int fd)
{
	struct sim_file *file = sim_file_find(sim, fd);
	struct stream *s = container_of(file, struct stream, file);

	assert(file->kind == SIM_STREAM);
	stream_break(s);
	stream_break(s->peer);
}

void sim_reset_all(struct sim *sim, int listen_fd)
{
	struct listener *l = container_of(sim_file_find(sim, listen_fd), struct listener, file);

	listener_end(l);
	list_for_each (s, &l->streams, struct stream, of_listener) {
		stream_break(s);
		stream_break(s->peer);
	}
}

/* ---- as the engine calls it ---- */

void sim_net_queue(struct engine_op *op)
{
	struct sim_engine *se = container_of(op->engine, struct sim_engine, engine);
	struct sim_file *file = sim_file_find(se->sim, op->sock->fd);

	if (file->kind == SIM_LISTENER) {
		assert(op->kind == OP_ACCEPT);
		accept_look(container_of(file, struct listener, file));
	} else if (op->kind == OP_SEND) {
		sim_after(se->sim, sim_below(se->sim, 5000), writer_goes,
			  container_of(file, struct stream, file), 0);
	} else {
		reader_look(container_of(file, struct stream, file));
	}
}

void sim_net_complete(struct engine_op *op)
{
	struct sim_engine *se = container_of(op->engine, struct sim_engine, engine);
	struct sim_file *file = sim_file_find(se->sim, op->sock->fd);

	if (file->kind == SIM_LISTENER)
		accept_complete(container_of(file, struct listener, file), op);
	else
		recv_complete(container_of(file, struct stream, file), op);
}

int sim_sock_open(struct engine *engine, struct engine_sock *sock, int fd)
{
	struct sim_engine *se = container_of(engine, struct sim_engine, engine);
	struct sim_file *file = sim_file_find(se->sim, fd);

	if (file->kind == SIM_LISTENER) {
		container_of(file, struct listener, file)->sock = sock;
		container_of(file, struct listener, file)->engine = se;
	} else {
		assert(file->kind == SIM_STREAM);
		container_of(file, struct stream, file)->sock = sock;
		container_of(file, struct stream, file)->engine = se;
	}
	return 0;
}

void sim_sock_shutdown(struct engine *engine, struct engine_sock *sock)
{
	struct sim_engine *se = container_of(engine, struct sim_engine, engine);
	struct sim_file *file = sim_file_find(se->sim, sock->fd);
	struct stream *s = container_of(file, struct stream, file);

	if (file->kind == SIM_LISTENER) {
		listener_end(container_of(file, struct listener, file));
		return;
	}
	if (s->shut)
		return;
	s->shut = true;
	stream_end(s->peer);
	reader_look(s);
	writer_look(s);
}

void sim_sock_close(struct engine *engine, struct engine_sock *sock)
{
	struct sim_engine *se = container_of(engine, struct sim_engine, engine);
	struct sim_file *file = sim_file_find(se->sim, sock->fd);
	struct stream *s = container_of(file, struct stream, file);

	if (file->kind == SIM_LISTENER) {
		container_of(file, struct listener, file)->sock = NULL;
		listener_end(container_of(file, struct listener, file));
		return;
	}
	s->sock = NULL;
	s->closed = true;
	/* As TCP does: data that nobody will read is answered by a reset, else the end is sent. */
	if (s->len && !s->peer->broken)
		stream_break(s->peer);
	else
		stream_end(s->peer);
}
