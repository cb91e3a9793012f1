/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server: portals, connections handed to reactors, start and end.
 */
#include "iscsi/server_priv.h"
#include "util/log.h"
#include <errno.h>

struct iscsi_registry *server_registry(const struct iscsi_server *server)
{
	return server->registry;
}

const struct iscsi_server_config *server_config(const struct iscsi_server *server)
{
	return &server->cfg;
}

/* ---- set up ---- */

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
	return value ? value : otherwise;
}

static void shard_init(struct iscsi_shard *shard, struct iscsi_server *server, unsigned i)
{
	shard->server = server;
	shard->reactor = &server->cfg.reactors[i];
	list_init(&shard->conns);
	list_init(&shard->tasks);
	list_init(&shard->outs);
	list_init(&shard->batches);
	room_init(&shard->room, server->cfg.park_bytes / server->cfg.n_reactors,
		  server->cfg.max_tasks / server->cfg.n_reactors + 1);
}

int iscsi_server_new(const struct iscsi_server_config *cfg, struct iscsi_server **ret_server)
{
	struct iscsi_server *server = calloc(1, sizeof(*server));

	if (!server)
		return -ENOMEM;
	targets_init(&server->targets);
	server->cfg = *cfg;
	server->cfg.queue_depth = or_default(cfg->queue_depth, 128);
	server->cfg.login_timeout_ms = or_default(cfg->login_timeout_ms, 15000);
	server->cfg.nop_interval_ms = or_default(cfg->nop_interval_ms, 60000);
	server->cfg.nop_timeout_ms = or_default(cfg->nop_timeout_ms, 15000);
	server->cfg.stop_timeout_ms = or_default(cfg->stop_timeout_ms, 3000);
	server->cfg.max_connections = or_default(cfg->max_connections, 65536);
	server->cfg.park_bytes = cfg->park_bytes ? cfg->park_bytes : 128 << 20;
	server->cfg.max_tasks = or_default(cfg->max_tasks, 65536);
	server->shards = calloc(cfg->n_reactors, sizeof(*server->shards));
	if (!server->shards || registry_new(&server->registry) < 0) {
		iscsi_server_free(server);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < cfg->n_reactors; i++)
		shard_init(&server->shards[i], server, i);
	*ret_server = server;
	return 0;
}

static void accept_done(struct engine_op *op, int res);
static void accept_retry(struct engine_timer *timer);

int iscsi_server_add_portal(struct iscsi_server *server, int listen_fd, const char *address)
{
	struct portal **portals =
		reallocarray(server->portals, server->n_portals + 1, sizeof(*portals));
	struct portal *portal = calloc(1, sizeof(*portal));
	int r;

	if (portals)
		server->portals = portals;
	if (!portals || !portal || (address && !(portal->address = strdup(address)))) {
		free(portal);
		return -ENOMEM;
	}
	portal->server = server;
	portal->index = server->n_portals;
	portal->op.done = accept_done;
	portal->retry.fire = accept_retry;
	r = engine_sock_open(server->cfg.reactors[0].engine, &portal->sock, listen_fd);
	if (r < 0) {
		free(portal->address);
		free(portal);
		return r;
	}
	portals[server->n_portals++] = portal;
	return (int)portal->index;
}

/* ---- accepting ---- */

struct handover {
	struct engine_post post;
	struct iscsi_shard *shard;
	int fd;
	unsigned portal;
};

static void handover_run(struct engine_post *post)
{
	struct handover *h = container_of(post, struct handover, post);

	if (h->shard->stopping) {
		close(h->fd);
		atomic_fetch_sub(&h->shard->reactor->n_conns, 1);
		server_conn_gone(h->shard);
	} else {
		conn_new(h->shard, h->fd, h->portal);
	}
	free(h);
}

static void accepted(struct portal *portal, int fd)
{
	struct iscsi_server *server = portal->server;
	struct reactor *all = server->cfg.reactors;
	struct iscsi_shard *shard =
		&server->shards[reactor_least_busy(all, server->cfg.n_reactors) - all];
	struct handover *h;

	if (atomic_load(&server->n_conns) >= server->cfg.max_connections) {
		if (!atomic_exchange(&server->full_said, true))
			log_warning("connections refused: all %u are in use",
				    server->cfg.max_connections);
		close(fd);
		return;
	}
	h = malloc(sizeof(*h));
	if (!h) {
		close(fd);
		return;
	}
	*h = (struct handover){.shard = shard, .fd = fd, .portal = portal->index};
	h->post.run = handover_run;
	atomic_fetch_add(&server->n_conns, 1);
	atomic_fetch_add(&shard->reactor->n_conns, 1);
	engine_post(shard->reactor->engine, &h->post);
}

static void accept_next(struct portal *portal)
{
	portal->accepting = true;
	engine_accept(portal->server->cfg.reactors[0].engine, &portal->sock, &portal->op);
}

static void accept_retry(struct engine_timer *timer)
{
	accept_next(container_of(timer, struct portal, retry));
}

static void portals_try_end(struct iscsi_server *server);

static void accept_done(struct engine_op *op, int res)
{
	struct portal *portal = container_of(op, struct portal, op);
	struct iscsi_server *server = portal->server;
	struct engine *engine = server->cfg.reactors[0].engine;

	portal->accepting = false;
	if (server->shards[0].stopping) {
		if (res >= 0)
			close(res);
		portals_try_end(server);
		return;
	}
	if (res >= 0) {
		accepted(portal, res);
		accept_next(portal);
	} else if (res == -EMFILE || res == -ENFILE || res == -ENOMEM || res == -ENOBUFS) {
		/* Out of descriptors: no busy loop, some will come free. */
		engine_timer_set(engine, &portal->retry, engine_now(engine) + 100 * 1000000ull);
	} else {
		accept_next(portal); /* that connection has failed, not the portal */
	}
}

struct start {
	struct engine_post post;
	struct iscsi_server *server;
};

static void start_run(struct engine_post *post)
{
	struct start *start = container_of(post, struct start, post);

	for (unsigned i = 0; i < start->server->n_portals; i++)
		accept_next(start->server->portals[i]);
	free(start);
}

int iscsi_server_start(struct iscsi_server *server)
{
	struct start *start = malloc(sizeof(*start));

	if (!start)
		return -ENOMEM;
	start->server = server;
	start->post.run = start_run;
	engine_post(server->cfg.reactors[0].engine, &start->post);
	return 0;
}

/* ---- the end ---- */

static void portals_close(struct iscsi_server *server)
{
	for (unsigned i = 0; i < server->n_portals; i++) {
		if (server->portals[i]->sock.fd >= 0)
			engine_sock_close(server->cfg.reactors[0].engine,
					  &server->portals[i]->sock);
	}
}

static void stopped_run(struct engine_post *post)
{
	struct iscsi_server *server = container_of(post, struct iscsi_server, stopped_post);

	server->stopped(server->stopped_arg);
}

static void shard_ended(struct iscsi_shard *shard)
{
	struct iscsi_server *server = shard->server;

	shard->stopped = true;
	if (shard == &server->shards[0])
		portals_close(server);
	engine_timer_cancel(shard->reactor->engine, &shard->stop_timer);
	if (atomic_fetch_sub(&server->shards_left, 1) != 1)
		return;
	server->stopped_post.run = stopped_run;
	engine_post(server->cfg.reactors[0].engine, &server->stopped_post);
}

/* Shard 0 also waits for the portals, whose listeners it owns. */
static void shard_try_end(struct iscsi_shard *shard)
{
	struct iscsi_server *server = shard->server;

	if (!shard->stopping || shard->stopped || atomic_load(&shard->reactor->n_conns))
		return;
	if (shard == &server->shards[0]) {
		for (unsigned i = 0; i < server->n_portals; i++) {
			if (server->portals[i]->accepting)
				return;
		}
	}
	shard_ended(shard);
}

static void portals_try_end(struct iscsi_server *server)
{
	shard_try_end(&server->shards[0]);
}

void server_conn_gone(struct iscsi_shard *shard)
{
	atomic_fetch_sub(&shard->server->n_conns, 1);
	atomic_store(&shard->server->full_said, false);
	shard_try_end(shard);
}

static void stop_timed_out(struct engine_timer *timer)
{
	struct iscsi_shard *shard = container_of(timer, struct iscsi_shard, stop_timer);

	list_for_each (conn, &shard->conns, struct iscsi_conn, node)
		conn_drop(conn, "no logout in time before the end of service");
}

/* RFC 7143 11.9.1: sessions are asked to log out, and given time for it. */
static void shard_stop(struct engine_post *post)
{
	struct iscsi_shard *shard = container_of(post, struct iscsi_shard, stop_post);
	struct iscsi_server *server = shard->server;
	struct engine *engine = shard->reactor->engine;
	uint32_t ms = server->cfg.stop_timeout_ms;

	shard->stopping = true;
	if (shard == &server->shards[0]) {
		for (unsigned i = 0; i < server->n_portals; i++) {
			struct portal *portal = server->portals[i];

			engine_timer_cancel(engine, &portal->retry);
			engine_sock_shutdown(engine, &portal->sock);
		}
	}
	list_for_each (conn, &shard->conns, struct iscsi_conn, node) {
		if (conn->phase == CONN_FULL_FEATURE)
			out_async(conn, 1, 0, 0, (uint16_t)((ms + 999) / 1000));
		else if (conn->phase != CONN_LOGGED_OUT)
			conn_drop(conn, NULL);
	}
	shard->stop_timer.fire = stop_timed_out;
	engine_timer_set(engine, &shard->stop_timer, engine_now(engine) + ms * 1000000ull);
	shard_try_end(shard);
}

void iscsi_server_stop(struct iscsi_server *server, void (*stopped)(void *arg), void *arg)
{
	server->stopped = stopped;
	server->stopped_arg = arg;
	atomic_store(&server->shards_left, server->cfg.n_reactors);
	for (unsigned i = 0; i < server->cfg.n_reactors; i++) {
		struct iscsi_shard *shard = &server->shards[i];

		shard->stop_post.run = shard_stop;
		engine_post(shard->reactor->engine, &shard->stop_post);
	}
}

static void free_nodes(struct list *list, size_t offset)
{
	struct list *node;

	while ((node = list_pop_front(list)))
		free((char *)node - offset);
}

void iscsi_server_free(struct iscsi_server *server)
{
	if (!server)
		return;
	portals_close(server); /* those that never began to accept */
	for (unsigned i = 0; i < server->n_portals; i++) {
		free(server->portals[i]->address);
		free(server->portals[i]);
	}
	for (unsigned i = 0; server->shards && i < server->cfg.n_reactors; i++) {
		free_nodes(&server->shards[i].tasks, offsetof(struct iscsi_task, node));
		free_nodes(&server->shards[i].outs, offsetof(struct iscsi_out, node));
		free_nodes(&server->shards[i].batches, offsetof(struct tx_batch, node));
	}
	targets_fini(&server->targets);
	registry_free(server->registry);
	free(server->portals);
	free(server->shards);
	free(server);
}
