/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many connections that send while there are no buffers, on each engine: what has been received
 * of their streams stays within the bound that stash.c names, and all commands are answered as
 * soon as there are buffers. One thread turns everything.
 */
#include "iscsi/login.h"
#include "iscsi/server_priv.h"
#include "scsi/backend/backends.h"
#include "tests/sim/engine_sim.h"
#include "util/log.h"
#include "util/pool.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
/* cmocka.h wants the three above first. */
#include <cmocka.h>

#define TARGET_NAME "iqn.2026-11.test:t"
#define N_CLIENTS 64
#define N_COMMANDS 16 /* of each */
#define DATA_BYTES 16384
#define BUFFER_BYTES (64 << 10)
#define N_BUFFERS 16
#define N_PIECES (N_BUFFERS * BUFFER_BYTES / DATA_BYTES)
#define PARK_BYTES (256 << 10)
/* As stash.c says: a share, what was under way, and something for each connection. */
#define STASHES_MAX ((size_t)PARK_BYTES / 8 + ENGINE_RECV_SOME_AHEAD + N_CLIENTS * 512)
#define QUIET_TURNS 200

enum kind { ON_EPOLL, ON_URING, ON_SIM };

struct client {
	struct engine *engine;
	struct engine_sock sock;
	struct engine_op rx_op, tx_op;
	bool tx_busy, logged_in, closed;
	uint8_t out[N_COMMANDS * (ISCSI_BHS_LEN + DATA_BYTES)];
	size_t out_len, out_sent;
	struct iovec iov;
	struct iscsi_rx rx;
	uint8_t data[8192];
	struct iovec data_iov;
	uint32_t n_sent, n_answered, max_cmdsn;
	bool held_back; /* does not send commands yet */
};

static struct client clients[N_CLIENTS];

struct rig {
	struct sim *sim; /* NULL: a real engine */
	struct engine *far;
	struct reactor reactor;
	struct pool *pool;
	struct scsi_lu *lu;
	struct scsi_target *target;
	struct iscsi_server *server;
	struct sockaddr_in addr;
	int portal;
	struct buf *taken[N_PIECES + 1]; /* one for the attempt that fails */
	unsigned n_taken;
	size_t most; /* bytes of all stashes at a time */
	bool stopped;
};

/* ---- turning ---- */

static size_t stashed(const struct rig *rig)
{
	struct iscsi_shard *shard = &rig->server->shards[0];
	size_t sum = 0;

	list_for_each (conn, &shard->conns, struct iscsi_conn, node)
		sum += conn->stash_len;
	return sum;
}

static void turn(struct rig *rig, unsigned *n_quiet)
{
	size_t sum;
	bool busy;

	if (rig->sim) {
		assert_true(sim_step(rig->sim));
		busy = true;
	} else {
		int n = engine_turn(rig->reactor.engine, false), m = engine_turn(rig->far, false);

		assert_true(n >= 0 && m >= 0);
		busy = n + m;
	}
	*n_quiet = busy ? 0 : *n_quiet + 1;
	sum = stashed(rig);
	rig->most = sum > rig->most ? sum : rig->most;
}

static void turn_until(struct rig *rig, bool (*cond)(struct rig *rig))
{
	unsigned n_quiet = 0;

	while (!cond(rig))
		turn(rig, &n_quiet);
}

/* As long as anything moves. In the simulated world, timers always do. */
static void turn_until_quiet(struct rig *rig)
{
	uint64_t end = rig->sim ? sim_now(rig->sim) + 5 * 1000000000ull : 0;

	for (unsigned n_quiet = 0; rig->sim ? sim_now(rig->sim) < end : n_quiet < QUIET_TURNS;)
		turn(rig, &n_quiet);
}

/* ---- initiators ---- */

static void client_flush(struct client *client);

static void tx_done(struct engine_op *op, int res)
{
	struct client *client = container_of(op, struct client, tx_op);

	client->tx_busy = false;
	assert_true(res > 0);
	client->out_sent += (size_t)res;
	client_flush(client);
}

static void client_flush(struct client *client)
{
	if (client->tx_busy)
		return;
	if (client->out_sent == client->out_len) {
		client->out_sent = client->out_len = 0;
		return;
	}
	client->tx_busy = true;
	client->tx_op.done = tx_done;
	client->iov =
		(struct iovec){client->out + client->out_sent, client->out_len - client->out_sent};
	engine_send(client->engine, &client->sock, &client->tx_op, &client->iov, 1);
}

static void say(struct client *client, const struct iscsi_bhs *bhs, const void *data, size_t len)
{
	struct bytes_out out = bytes_out(client->out, sizeof(client->out));

	out.len = client->out_len;
	out_bytes(&out, bhs->b, ISCSI_BHS_LEN);
	out_bytes(&out, data, len);
	out_zero(&out, iscsi_pad((uint32_t)len));
	assert_false(out.full);
	client->out_len = out.len;
	client_flush(client);
}

static void say_login(struct client *client)
{
	unsigned i = (unsigned)(client - clients);
	struct iscsi_bhs bhs = {.b = {OP_LOGIN_REQ | BHS_IMMEDIATE, 0x87}};
	char keys[256];
	int len = snprintf(keys, sizeof(keys),
			   "InitiatorName=iqn.2026-11.test:i%u%cTargetName=%s%cImmediateData=Yes%c",
			   i, 0, TARGET_NAME, 0, 0);

	bhs_set_data_len(&bhs, (uint32_t)len);
	be32_put(bhs.b + 24, 1);
	say(client, &bhs, keys, (size_t)len);
}

/* WRITE (10) with all its data, as many as the window lets through. */
static void say_commands(struct client *client)
{
	static const uint8_t data[DATA_BYTES];

	while (!client->held_back && client->n_sent < N_COMMANDS &&
	       !sn_before(client->max_cmdsn, client->n_sent + 1)) {
		struct iscsi_bhs bhs = {.b = {OP_SCSI_CMD, 0xa1}}; /* F, W, SIMPLE */

		bhs_set_data_len(&bhs, DATA_BYTES);
		bhs_set_itt(&bhs, client->n_sent);
		be32_put(bhs.b + 20, DATA_BYTES);
		be32_put(bhs.b + 24, ++client->n_sent); /* CmdSN */
		bhs.b[32] = 0x2a;
		be16_put(bhs.b + 32 + 7, DATA_BYTES / 512);
		say(client, &bhs, data, DATA_BYTES);
	}
}

static void heard(struct client *client)
{
	const struct iscsi_bhs *bhs = &client->rx.bhs;

	client->max_cmdsn = be32_get(bhs->b + 32);
	if (bhs_opcode(bhs) == OP_LOGIN_RSP) {
		assert_int_equal(be16_get(bhs->b + 36), 0);
		client->logged_in = true;
	} else if (bhs_opcode(bhs) == OP_SCSI_RSP) {
		assert_int_equal(bhs->b[2], 0);
		/* The first is told of the power-on. */
		assert_int_equal(bhs->b[3], bhs_itt(bhs) ? STATUS_GOOD : STATUS_CHECK_CONDITION);
		client->n_answered++;
	} else {
		assert_int_equal(bhs_opcode(bhs), OP_ASYNC_MSG); /* at the end */
	}
	if (client->logged_in)
		say_commands(client);
}

static void client_read(struct client *client);

static void rx_done(struct engine_op *op, int res)
{
	struct client *client = container_of(op, struct client, rx_op);
	const uint8_t *p = op->buf;
	size_t len = res > 0 ? (size_t)res : 0;
	enum iscsi_rx_event event;

	client->closed = res <= 0;
	if (client->closed)
		return;
	while ((event = iscsi_rx_step(&client->rx, &p, &len)) != RX_MORE) {
		assert_true(event == RX_HEADER || event == RX_PDU);
		if (event == RX_HEADER)
			iscsi_rx_dest(&client->rx, &client->data_iov, 1, 0);
		else
			heard(client);
	}
	client_read(client);
}

static void client_read(struct client *client)
{
	client->rx_op.done = rx_done;
	engine_recv_some(client->engine, &client->sock, &client->rx_op);
}

static int open_socket(struct rig *rig)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&rig->addr, sizeof(rig->addr)), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static void client_start(struct rig *rig, struct client *client)
{
	int fd = rig->sim ? sim_connect(rig->sim, rig->portal) : open_socket(rig);

	memset(client, 0, sizeof(*client));
	client->engine = rig->far;
	client->held_back = true;
	client->data_iov = (struct iovec){client->data, sizeof(client->data)};
	iscsi_rx_init(&client->rx);
	assert_int_equal(engine_sock_open(rig->far, &client->sock, fd), 0);
	client_read(client);
	say_login(client);
}

/* ---- the target ---- */

static void open_portal(struct rig *rig)
{
	socklen_t len = sizeof(rig->addr);

	if (rig->sim) {
		rig->portal = sim_listen(rig->sim);
		return;
	}
	rig->addr = (struct sockaddr_in){.sin_family = AF_INET,
					 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	rig->portal = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(rig->portal, (struct sockaddr *)&rig->addr, len), 0);
	assert_int_equal(listen(rig->portal, N_CLIENTS), 0);
	assert_int_equal(getsockname(rig->portal, (struct sockaddr *)&rig->addr, &len), 0);
}

static void make_engines(struct rig *rig, enum kind kind)
{
	if (kind == ON_SIM) {
		rig->sim = sim_new(1);
		assert_int_equal(sim_engine_new(rig->sim, &rig->reactor.engine), 0);
		assert_int_equal(sim_engine_new(rig->sim, &rig->far), 0);
	} else {
		int r = engine_new(kind == ON_URING ? ENGINE_URING : ENGINE_EPOLL, NULL,
				   &rig->reactor.engine);

		if (kind == ON_URING && (r == -ENOSYS || r == -EPERM))
			skip();
		assert_int_equal(r, 0);
		assert_int_equal(engine_new(ENGINE_EPOLL, NULL, &rig->far), 0);
	}
}

static void serve(struct rig *rig)
{
	const struct iscsi_server_config cfg = {.reactors = &rig->reactor,
						.n_reactors = 1,
						.max_transfer = BUFFER_BYTES,
						.park_bytes = PARK_BYTES};
	struct scsi_lu_config lu = {.name = "disk",
				    .backend = &null_backend_ops,
				    .params.size = 1 << 20,
				    .uuid = {1},
				    .block_size = 512,
				    .max_transfer = BUFFER_BYTES,
				    .online = true,
				    .numa_node = -1};
	struct iscsi_limits limits = iscsi_default_limits;
	char why[256] = "";

	limits.values.first_burst = DATA_BYTES;
	assert_int_equal(scsi_lu_new(&lu, &rig->lu, why, sizeof(why)), 0);
	assert_int_equal(scsi_target_new(TARGET_NAME, &rig->target), 0);
	assert_int_equal(scsi_target_map(rig->target, 0, rig->lu), 0);
	assert_int_equal(iscsi_server_new(&cfg, &rig->server), 0);
	assert_int_equal(iscsi_server_add_target(rig->server, rig->target, &limits), 0);
	assert_int_equal(iscsi_server_add_portal(rig->server, rig->portal, "192.0.2.1:3260"), 0);
	assert_int_equal(iscsi_server_link(rig->server, TARGET_NAME, 1, 0), 0);
	assert_int_equal(iscsi_server_start(rig->server), 0);
}

static void rig_start(struct rig *rig, enum kind kind)
{
	const struct pool_config pool = {
		.large_size = BUFFER_BYTES, .n_large = N_BUFFERS, .node = -1};

	*rig = (struct rig){.reactor.cpu = -1};
	make_engines(rig, kind);
	assert_int_equal(pool_new(&pool, &rig->pool), 0);
	assert_int_equal(pool_cache_new(rig->pool, rig->reactor.engine, &rig->reactor.bufs), 0);
	open_portal(rig);
	serve(rig);
}

static void stopped(void *arg)
{
	((struct rig *)arg)->stopped = true;
}

static bool is_stopped(struct rig *rig)
{
	return rig->stopped;
}

static bool all_closed(struct rig *rig)
{
	(void)rig;
	for (unsigned i = 0; i < N_CLIENTS; i++)
		if (!clients[i].closed || clients[i].tx_busy)
			return false;
	return true;
}

static void rig_stop(struct rig *rig)
{
	for (unsigned i = 0; i < N_CLIENTS; i++)
		engine_sock_shutdown(rig->far, &clients[i].sock);
	turn_until(rig, all_closed);
	for (unsigned i = 0; i < N_CLIENTS; i++)
		engine_sock_close(rig->far, &clients[i].sock);
	iscsi_server_stop(rig->server, stopped, rig);
	turn_until(rig, is_stopped);
	iscsi_server_free(rig->server);
	scsi_target_unref(rig->target);
	scsi_lu_unref(rig->lu);
	engine_turn(rig->reactor.engine, false);
	pool_cache_free(rig->reactor.bufs);
	engine_free(rig->reactor.engine);
	engine_free(rig->far);
	assert_int_equal(pool_in_use(rig->pool), 0);
	pool_free(rig->pool);
	sim_free(rig->sim);
}

/* ---- the promise ---- */

static void take_all_buffers(struct rig *rig)
{
	while (pool_get(rig->reactor.bufs, DATA_BYTES, &rig->taken[rig->n_taken], 1) == 1)
		rig->n_taken++;
	assert_true(rig->n_taken > 0);
}

static void give_back_buffers(struct rig *rig)
{
	while (rig->n_taken)
		pool_put(rig->reactor.bufs, rig->taken[--rig->n_taken]);
}

static bool all_logged_in(struct rig *rig)
{
	(void)rig;
	for (unsigned i = 0; i < N_CLIENTS; i++)
		if (!clients[i].logged_in)
			return false;
	return true;
}

static bool all_done(struct rig *rig)
{
	(void)rig;
	for (unsigned i = 0; i < N_CLIENTS; i++)
		if (clients[i].n_answered < N_COMMANDS)
			return false;
	return true;
}

static unsigned n_held_up(const struct rig *rig)
{
	struct iscsi_shard *shard = &rig->server->shards[0];
	unsigned n = 0;

	list_for_each (conn, &shard->conns, struct iscsi_conn, node)
		n += conn->stalled;
	return n;
}

static void floods_that_are_held_up_stay_small(void **state)
{
	struct rig rig;

	rig_start(&rig, *(enum kind *)*state);
	for (unsigned i = 0; i < N_CLIENTS; i++)
		client_start(&rig, &clients[i]);
	turn_until(&rig, all_logged_in);
	take_all_buffers(&rig);
	for (unsigned i = 0; i < N_CLIENTS; i++) {
		clients[i].held_back = false;
		say_commands(&clients[i]);
	}
	turn_until_quiet(&rig);
	assert_true(n_held_up(&rig) >= N_CLIENTS / 2); /* the others have come into the room */
	assert_true(stashed(&rig) > 0);
	give_back_buffers(&rig);
	turn_until(&rig, all_done);
	assert_int_equal(stashed(&rig), 0);
	assert_in_range(rig.most, 1, STASHES_MAX);
	rig_stop(&rig);
}

static enum kind kinds[] = {ON_EPOLL, ON_URING, ON_SIM};

int main(void)
{
	const struct CMUnitTest tests[] = {
		{"floods that are held up stay small (epoll)", floods_that_are_held_up_stay_small,
		 NULL, NULL, &kinds[0]},
		{"floods that are held up stay small (io_uring)",
		 floods_that_are_held_up_stay_small, NULL, NULL, &kinds[1]},
		{"floods that are held up stay small (simulated)",
		 floods_that_are_held_up_stay_small, NULL, NULL, &kinds[2]},
	};

	log_set_level(LOG_LEVEL_WARNING);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
