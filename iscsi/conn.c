/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection: its socket, its timers, its beginning and its end. Bytes go to rx.c, the PDUs
 * that come out of it to the login phase or to full feature phase.
 */
#include "iscsi/conn_priv.h"
#include "util/log.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>

/*
 * Less than this is cheaper to copy out of the engine's buffer than to receive by itself: with the
 * next header behind it, such a receive brings one command, and so do all that follow, however many
 * commands have come.
 */
#define DIRECT_MIN (64u << 10)

static void conn_read(struct iscsi_conn *conn);

const char *conn_peer(const struct iscsi_conn *conn, char *buf, size_t len)
{
	struct sockaddr_storage ss;
	socklen_t ss_len = sizeof(ss);
	char ip[INET6_ADDRSTRLEN] = "";

	if (conn->sock.fd < 0 || getpeername(conn->sock.fd, (struct sockaddr *)&ss, &ss_len) < 0) {
		snprintf(buf, len, "?");
	} else if (ss.ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&ss;

		inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof(ip));
		snprintf(buf, len, "[%s]:%u", ip, ntohs(in6->sin6_port));
	} else {
		const struct sockaddr_in *in = (const struct sockaddr_in *)&ss;

		inet_ntop(AF_INET, &in->sin_addr, ip, sizeof(ip));
		snprintf(buf, len, "%s:%u", ip, ntohs(in->sin_port));
	}
	return buf;
}

/* ---- the end ---- */

void conn_drop(struct iscsi_conn *conn, const char *why)
{
	char peer[80];

	if (conn->phase == CONN_CLOSING)
		return;
	/* A peer that never logged in is not worth a line each: a scan would flood the log. */
	if (why && conn->session)
		log_warning("%s (%s): connection dropped: %s", conn->session->initiator,
			    conn_peer(conn, peer, sizeof(peer)), why);
	else if (why)
		log_debug("%s: connection dropped: %s", conn_peer(conn, peer, sizeof(peer)), why);
	conn->phase = CONN_CLOSING;
	engine_timer_cancel(conn_engine(conn), &conn->timer);
	if (conn->waits_for)
		pool_wait_cancel(conn->waits_for, &conn->waiter);
	room_forget(conn);
	engine_sock_shutdown(conn_engine(conn), &conn->sock);
	/* The rest from the loop: callers up the stack still hold tasks and requests. */
	engine_defer(conn_engine(conn), &conn->flush);
}

static void conn_release(struct iscsi_conn *conn)
{
	struct iscsi_shard *shard = conn->shard;

	engine_sock_close(shard->reactor->engine, &conn->sock);
	list_del(&conn->flush.node); /* it may be queued once more */
	list_del(&conn->node);
	atomic_fetch_sub(&shard->reactor->n_conns, 1);
	free(conn);
	server_conn_gone(shard);
}

/* Frees the connection once nothing of it is under way; called whenever something has ended. */
void conn_try_free(struct iscsi_conn *conn)
{
	if (conn->phase != CONN_CLOSING || conn->rx_busy || conn->tx_busy || conn->freeing)
		return;
	conn->freeing = true; /* what follows calls back here */
	stash_drop(conn);
	if (conn->rx_req) {
		conn->rx_req->discard(conn->rx_req);
		conn->rx_req = NULL;
	}
	conn->rx_task = NULL;
	out_drop_all(conn);
	if (conn->session)
		session_discard_held(conn->session);
	list_for_each (task, &conn->tasks, struct iscsi_task, node)
		task_conn_lost(task);
	tmf_conn_lost(conn);
	conn->freeing = false;
	if (!list_empty(&conn->tasks) || !list_empty(&conn->tmfs))
		return;
	if (conn->session) {
		if (!registry_leave(server_registry(conn->server), conn->session))
			return;
		session_free(steal(conn->session));
	}
	login_phase_free(conn);
	text_free(conn);
	conn_release(conn);
}

/* The deferred call of a connection: sends, or ends it. */
static void conn_flush(struct engine_defer *defer)
{
	struct iscsi_conn *conn = container_of(defer, struct iscsi_conn, flush);

	if (conn->phase == CONN_CLOSING)
		conn_try_free(conn);
	else
		tx_flush(defer);
}

/* ---- receiving ---- */

static enum pdu_verdict conn_header(struct iscsi_conn *conn)
{
	if (conn->phase == CONN_LOGIN)
		return login_pdu_header(conn);
	if (conn->phase == CONN_FULL_FEATURE)
		return full_feature_header(conn);
	if (conn->phase == CONN_LOGGED_OUT) {
		iscsi_rx_drop(&conn->rx);
		return PDU_TAKE;
	}
	conn_drop(conn, "PDU before the login has ended");
	return PDU_DROP;
}

static void conn_pdu(struct iscsi_conn *conn, bool damaged)
{
	if (conn->phase == CONN_LOGIN)
		login_pdu_end(conn);
	else if (conn->phase == CONN_FULL_FEATURE)
		full_feature_end(conn, damaged);
}

/* Whether input has to wait for what was there before it. */
static bool is_held_up(const struct iscsi_conn *conn)
{
	return conn->stalled || conn->choked;
}

/* Uses input up. Return: what is left of it when it is held up. */
static size_t conn_input(struct iscsi_conn *conn, const uint8_t *p, size_t len)
{
	while (conn->phase != CONN_CLOSING) {
		enum iscsi_rx_event event;

		conn->choked = conn->n_outs >= ISCSI_ANSWERS_MAX;
		if (conn->choked)
			return len;
		if (conn->stalled) {
			if (conn_header(conn) != PDU_TAKE)
				return len;
			conn->stalled = false;
		}
		event = iscsi_rx_step(&conn->rx, &p, &len);
		switch (event) {
		case RX_MORE:
			return 0;
		case RX_HEADER:
			if (conn_header(conn) == PDU_STALL) {
				conn->stalled = true;
				return len;
			}
			break;
		case RX_PDU:
		case RX_BAD_DATA_DIGEST:
			conn_pdu(conn, event == RX_BAD_DATA_DIGEST);
			break;
		case RX_BAD_HEADER_DIGEST:
			conn_drop(conn, "header digest error");
			break;
		case RX_TOO_LONG:
			conn_drop(conn, "data segment longer than declared");
			break;
		}
	}
	return 0;
}

/* Goes on when it was held up: first with what was kept, then with the socket. */
void conn_resume(struct iscsi_conn *conn)
{
	const uint8_t *p = conn->stash ? conn->stash + conn->stash_off : NULL;
	size_t len = conn->stash_len - conn->stash_off, left;

	if (conn->phase == CONN_CLOSING)
		return;
	left = conn_input(conn, p, len);
	if (conn->phase == CONN_CLOSING)
		return;
	stash_used(conn, len - left);
	conn_read(conn);
}

static void stall_granted(struct pool_waiter *waiter)
{
	conn_resume(container_of(waiter, struct iscsi_conn, waiter));
}

void conn_stall(struct iscsi_conn *conn, struct pool_cache *cache)
{
	conn->waits_for = cache;
	pool_wait(cache, &conn->waiter);
}

static bool conn_received(struct iscsi_conn *conn, int res)
{
	conn->rx_busy = false;
	if (conn->phase == CONN_CLOSING) {
		conn_try_free(conn);
		return false;
	}
	if (res <= 0) {
		conn_drop(conn, res == 0 || res == -ECONNRESET ? NULL : "receive failed");
		return false;
	}
	conn->heard_ns = engine_now(conn_engine(conn));
	conn->nop_sent = false;
	return true;
}

/* Uses up what a receive has brought, then receives on. */
static void rx_input(struct iscsi_conn *conn, const uint8_t *p, size_t len)
{
	size_t left = conn_input(conn, p, len);

	if (is_held_up(conn))
		stash_keep(conn, p + (len - left), left);
	else
		conn_read(conn);
}

static void rx_some_done(struct engine_op *op, int res)
{
	struct iscsi_conn *conn = container_of(op, struct iscsi_conn, rx_op);

	if (conn_received(conn, res))
		rx_input(conn, op->buf, (size_t)res);
}

static void rx_direct_done(struct engine_op *op, int res)
{
	struct iscsi_conn *conn = container_of(op, struct iscsi_conn, rx_op);
	size_t wanted = iscsi_rx_wanted(&conn->rx), len = (size_t)res;

	if (!conn_received(conn, res))
		return;
	iscsi_rx_received(&conn->rx, len < wanted ? len : wanted);
	rx_input(conn, conn->rx_ahead, len < wanted ? 0 : len - wanted);
}

/* When little may be received with the headers, shorter data is worth a receive of its own. */
static size_t direct_min(const struct iscsi_conn *conn)
{
	size_t some = conn->shard->room.recv_max;

	return some < DIRECT_MIN ? some : DIRECT_MIN;
}

/*
 * A long data segment goes straight to its place. The next PDU's header comes with it: the data
 * behind that, long again as a rule, can then go straight to its place as well.
 */
static void conn_read(struct iscsi_conn *conn)
{
	if (conn->rx_busy || is_held_up(conn) || conn->phase == CONN_CLOSING)
		return;
	conn->rx_busy = true;
	if (iscsi_rx_wanted(&conn->rx) >= direct_min(conn)) {
		int n = iscsi_rx_iov(&conn->rx, conn->rx_iov, ISCSI_TASK_BUFS);

		conn->rx_iov[n++] = (struct iovec){conn->rx_ahead, iscsi_rx_ahead(&conn->rx)};
		conn->rx_op.done = rx_direct_done;
		engine_recv(conn_engine(conn), &conn->sock, &conn->rx_op, conn->rx_iov, n);
		return;
	}
	conn->rx_op.done = rx_some_done;
	engine_recv_some(conn_engine(conn), &conn->sock, &conn->rx_op);
}

/* ---- timers ---- */

static void timer_in(struct iscsi_conn *conn, uint64_t from_ns, uint32_t ms)
{
	engine_timer_set(conn_engine(conn), &conn->timer, from_ns + ms * 1000000ull);
}

/*
 * When a silent connection is looked at. Those that logged in together are spread over a part of
 * the interval, so that their pings are no burst; and time goes in steps, so that the pings of a
 * step, and then their answers, cost one wake-up of the thread and not one each.
 */
#define SILENCE_STEP_NS (50 * 1000000ull)

static void silence_in(struct iscsi_conn *conn, uint64_t from_ns, uint32_t ms)
{
	uint64_t ns = ms * 1000000ull, spread = ns / 4 + 1;
	uint64_t at = from_ns + ns - (uint32_t)conn->sock.fd * 0x9e3779b97f4a7c15ull % spread;

	engine_timer_set(conn_engine(conn), &conn->timer,
			 at + SILENCE_STEP_NS - at % SILENCE_STEP_NS);
}

static void login_timed_out(struct engine_timer *timer)
{
	conn_drop(container_of(timer, struct iscsi_conn, timer), "login took too long");
}

/* Silence: first a NOP-In that asks for an answer, then the end. RFC 7143 11.19 */
static void silence_fired(struct engine_timer *timer)
{
	struct iscsi_conn *conn = container_of(timer, struct iscsi_conn, timer);
	const struct iscsi_server_config *cfg = server_config(conn->server);
	uint64_t now = engine_now(conn_engine(conn));

	if (conn->nop_sent) {
		conn_drop(conn, "no answer to NOP-In");
		return;
	}
	if (conn->heard_ns > conn->silent_ns) {
		conn->silent_ns = conn->heard_ns;
		silence_in(conn, conn->heard_ns, cfg->nop_interval_ms);
		return;
	}
	conn->nop_ttt = conn->next_ttt++;
	if (conn->nop_ttt == ISCSI_RESERVED_TAG)
		conn->nop_ttt = conn->next_ttt++;
	if (!out_nop_in(conn, conn->nop_ttt))
		return;
	conn->nop_sent = true;
	timer_in(conn, now, cfg->nop_timeout_ms);
}

void conn_enter_full_feature(struct iscsi_conn *conn)
{
	const struct iscsi_params *params = &conn->session->params;

	conn->phase = CONN_FULL_FEATURE;
	conn->rx.max_data = params->max_recv_data_segment;
	conn->rx.header_digest = params->header_digest;
	conn->rx.data_digest = params->data_digest;
	conn->timer.fire = silence_fired;
	conn->heard_ns = engine_now(conn_engine(conn));
	conn->silent_ns = conn->heard_ns;
	silence_in(conn, conn->heard_ns, server_config(conn->server)->nop_interval_ms);
}

/* ---- the beginning ---- */

void conn_new(struct iscsi_shard *shard, int fd, unsigned portal)
{
	struct iscsi_conn *conn = calloc(1, sizeof(*conn));
	int one = 1;

	if (!conn || engine_sock_open(shard->reactor->engine, &conn->sock, fd) < 0) {
		log_error("connection refused: out of memory");
		free(conn);
		close(fd);
		atomic_fetch_sub(&shard->reactor->n_conns, 1);
		server_conn_gone(shard);
		return;
	}
	/* Answers are gathered here, the kernel need not wait for more. Fails on what is not TCP.
	 */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	conn->shard = shard;
	conn->server = shard->server;
	conn->portal = portal;
	conn->phase = CONN_LOGIN;
	conn->statsn = 1;
	conn->next_ttt = 1;
	conn->flush.run = conn_flush;
	conn->waiter.granted = stall_granted;
	conn->timer.fire = login_timed_out;
	list_init(&conn->flush.node);
	list_init(&conn->waiter.node);
	list_init(&conn->out);
	list_init(&conn->sent);
	list_init(&conn->tasks);
	list_init(&conn->tmfs);
	list_init(&conn->room_node);
	iscsi_rx_init(&conn->rx);
	list_push_back(&shard->conns, &conn->node);
	stash_limit(shard);
	timer_in(conn, engine_now(conn_engine(conn)),
		 server_config(conn->server)->login_timeout_ms);
	conn_read(conn);
}
