/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Full feature phase: a whole target in simulation, a good login, then PDUs made from the input:
 * any opcode, flags, tags, numbers, lengths, in any order, cut anywhere. What must hold: the
 * target answers with well-formed PDUs, StatSN never goes back, and at the end it stops with all
 * its buffers given back.
 *
 * Input: byte 0 the seed of the world, byte 1 options, then one record for each PDU (see step()).
 */
#include "iscsi/login.h"
#include "iscsi/rx.h"
#include "tests/sim/target.h"
#include "util/log.h"
#include <stdio.h>
#include <stdlib.h>

#define MAX_PDUS 48
#define STREAM_MAX 65536

enum { OPT_DISCOVERY = 1, OPT_SMALL_POOL = 2, OPT_INITIAL_R2T = 4 };

struct client {
	struct sim *sim;
	struct engine *engine;
	struct engine_sock sock;
	struct engine_op rx_op, tx_op;
	bool rx_busy, tx_busy, closed;
	uint8_t stream[STREAM_MAX]; /* all that is to be sent */
	size_t stream_len;
	struct iovec iov;
	struct iscsi_rx rx;
	uint8_t data[262144];
	struct iovec data_iov;
	bool logged_in, has_statsn;
	uint32_t statsn, exp_cmdsn, cmdsn;
	uint32_t ttts[4];
	unsigned n_ttts;
};

static void require(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "fuzz_session: %s\n", what);
	abort();
}

/* ---- what the target says ---- */

static bool counts_statsn(const struct iscsi_bhs *bhs)
{
	switch (bhs_opcode(bhs)) {
	case OP_R2T:
		return false;
	case OP_DATA_IN:
		return bhs->b[1] & 1;
	case OP_NOP_IN:
		return bhs_itt(bhs) != ISCSI_RESERVED_TAG;
	default:
		return true;
	}
}

static void on_pdu(struct client *client)
{
	const struct iscsi_bhs *bhs = &client->rx.bhs;
	uint8_t opcode = bhs_opcode(bhs);

	require((opcode >= OP_NOP_IN && opcode <= OP_LOGOUT_RSP) || opcode == OP_R2T ||
			opcode == OP_ASYNC_MSG || opcode == OP_REJECT,
		"not an opcode of a target");
	require(!client->rx.ahs_len, "a target's PDU with an AHS");
	if (counts_statsn(bhs)) {
		uint32_t statsn = be32_get(bhs->b + 24);

		require(!client->has_statsn || statsn == client->statsn + 1, "StatSN out of order");
		client->has_statsn = true;
		client->statsn = statsn;
	}
	if (opcode == OP_R2T)
		client->ttts[client->n_ttts++ % 4] = bhs_ttt(bhs);
	if (opcode == OP_LOGIN_RSP && bhs->b[36] == 0 && bhs->b[37] == 0 && login_transit(bhs))
		client->logged_in = true;
	require(be32_get(bhs->b + 32) - be32_get(bhs->b + 28) + 1 < 0x80000000u ||
			opcode == OP_LOGIN_RSP,
		"MaxCmdSN before ExpCmdSN - 1");
}

static void client_read(struct client *client);

static void rx_done(struct engine_op *op, int res)
{
	struct client *client = container_of(op, struct client, rx_op);
	const uint8_t *p = op->buf;
	size_t len = res > 0 ? (size_t)res : 0;
	enum iscsi_rx_event event;

	client->rx_busy = false;
	if (res <= 0) {
		client->closed = true;
		return;
	}
	while ((event = iscsi_rx_step(&client->rx, &p, &len)) != RX_MORE) {
		require(event == RX_HEADER || event == RX_PDU, "a PDU longer than declared");
		if (event == RX_HEADER)
			iscsi_rx_dest(&client->rx, &client->data_iov, 1, 0);
		else
			on_pdu(client);
	}
	client_read(client);
}

static void client_read(struct client *client)
{
	client->rx_busy = true;
	client->rx_op.done = rx_done;
	engine_recv_some(client->engine, &client->sock, &client->rx_op);
}

/* ---- what the client says ---- */

static void client_write(struct client *client);

static void tx_done(struct engine_op *op, int res)
{
	struct client *client = container_of(op, struct client, tx_op);

	client->tx_busy = false;
	if (res <= 0) {
		client->closed = true;
		return;
	}
	memmove(client->stream, client->stream + res, client->stream_len - (size_t)res);
	client->stream_len -= (size_t)res;
	client_write(client);
}

static void client_write(struct client *client)
{
	if (client->tx_busy || client->closed || !client->stream_len)
		return;
	client->iov = (struct iovec){client->stream, client->stream_len};
	client->tx_busy = true;
	client->tx_op.done = tx_done;
	engine_send(client->engine, &client->sock, &client->tx_op, &client->iov, 1);
}

static void say(struct client *client, const struct iscsi_bhs *bhs, const uint8_t *data, size_t len)
{
	struct bytes_out out = bytes_out(client->stream, sizeof(client->stream));

	out.len = client->stream_len;
	out_bytes(&out, bhs->b, ISCSI_BHS_LEN);
	out_zero(&out, bhs_ahs_len(bhs));
	out_bytes(&out, data, len);
	out_zero(&out, iscsi_pad((uint32_t)len));
	if (!out.full)
		client->stream_len = out.len;
	client_write(client);
}

static void say_login(struct client *client, bool discovery)
{
	static const char normal[] = "InitiatorName=iqn.2026-11.test:fuzz\0TargetName=" TARGET_NAME
				     "\0MaxRecvDataSegmentLength=8192\0InitialR2T=No";
	static const char disco[] = "InitiatorName=iqn.2026-11.test:fuzz\0SessionType=Discovery";
	struct iscsi_bhs bhs = {.b = {OP_LOGIN_REQ | BHS_IMMEDIATE, 0x87}};
	size_t len = discovery ? sizeof(disco) : sizeof(normal);

	bhs.b[13] = 7; /* ISID */
	bhs_set_data_len(&bhs, (uint32_t)len);
	be32_put(bhs.b + 24, client->cmdsn);
	say(client, &bhs, (const uint8_t *)(discovery ? disco : normal), len);
}

/*
 * One record: opcode, byte 1, LUN, ITT, [0] how the numbers are set, [1] EDTL or BufferOffset in
 * units, [2] data length in units, then 16 bytes of CDB (or of bytes 32 to 47).
 */
static bool step(struct client *client, struct bytes_in *in)
{
	static uint8_t junk[20000];
	const uint8_t *r = in_bytes(in, 7), *cdb = in_bytes(in, 16);
	struct iscsi_bhs bhs = {0};
	uint32_t len, edtl;

	if (in->bad)
		return false;
	bhs.b[0] = r[0];
	bhs.b[1] = r[1];
	bhs.b[9] = r[2] & 3;
	bhs_set_itt(&bhs, r[3] == 0xff ? ISCSI_RESERVED_TAG : r[3] & 15u);
	len = r[4] & 0x80 ? r[6] : r[6] * 64u;
	edtl = r[4] & 0x40 ? r[5] : r[5] * 512u;
	bhs_set_data_len(&bhs, len);
	bhs.b[4] = r[4] & 0x20 ? r[6] & 7 : 0;
	memcpy(bhs.b + 32, cdb, 16);
	be32_put(bhs.b + 20, edtl);
	if (bhs_opcode(&bhs) == OP_DATA_OUT) {
		bhs_set_ttt(&bhs, r[4] & 0x10 ? ISCSI_RESERVED_TAG : client->ttts[r[2] & 3]);
		be32_put(bhs.b + 40, edtl);
	} else if (bhs_opcode(&bhs) == OP_NOP_OUT || bhs_opcode(&bhs) == OP_TEXT_REQ) {
		bhs_set_ttt(&bhs, ISCSI_RESERVED_TAG);
	} else if (bhs_opcode(&bhs) == OP_TMF_REQ) {
		be32_put(bhs.b + 20, edtl & 15);
	}
	be32_put(bhs.b + 24, client->cmdsn + (r[4] & 8 ? r[4] & 7u : 0) - (r[4] & 4 ? 2u : 0));
	if (!bhs_immediate(&bhs) && !(r[4] & 12))
		client->cmdsn++;
	say(client, &bhs, junk, len);
	return true;
}

/* ---- the world ---- */

static bool may_go_on(void *arg)
{
	const struct client *client = arg;

	return client->logged_in || client->closed;
}

static bool is_over(void *arg)
{
	return ((const struct client *)arg)->closed;
}

static bool is_idle(void *arg)
{
	const struct client *client = arg;

	return !client->rx_busy && !client->tx_busy;
}

static struct target *start_target(struct sim *sim, uint8_t options)
{
	const struct sim_disk_config disk = {.size = 1 << 20};
	const struct target_config cfg = {
		.n_reactors = 1,
		.n_buffers = options & OPT_SMALL_POOL ? 16 : 64,
		.queue_depth = 16,
		.max_transfer = 128 << 10,
		.block_size = 512,
		.size = 1 << 20,
		.write_cache = true,
		.max_recv_data_segment = 8192,
		.max_burst = 16384,
		.first_burst = 8192,
		.max_outstanding_r2t = 2,
		.initial_r2t = options & OPT_INITIAL_R2T,
		.immediate_data = true,
	};

	return target_start(sim, sim_disk_new(sim, &disk), &cfg);
}

static void talk(struct client *client, struct bytes_in *in, uint8_t options)
{
	say_login(client, options & OPT_DISCOVERY);
	require(sim_run_until(client->sim, may_go_on, client, 20 * 1000000000ull) == 0, "no login");
	client->cmdsn = 1;
	for (unsigned i = 0; i < MAX_PDUS && !client->closed && step(client, in); i++) {
		for (unsigned n = (unsigned)sim_below(client->sim, 60); n; n--)
			sim_step(client->sim);
	}
	/* Keepalive ends it when nothing else does. */
	require(sim_run_until(client->sim, is_over, client, 600 * 1000000000ull) == 0,
		"the target neither answers nor hangs up");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct client client;
	struct bytes_in in = bytes_in(data, size);
	uint8_t seed = in_u8(&in), options = in_u8(&in);
	struct target *target;

	if (in.bad)
		return 0;
	log_set_level(LOG_LEVEL_ERROR);
	memset(&client, 0, sizeof(client));
	client.sim = sim_new(seed);
	client.cmdsn = 1;
	client.data_iov = (struct iovec){client.data, sizeof(client.data)};
	iscsi_rx_init(&client.rx);
	client.rx.max_data = sizeof(client.data);
	target = start_target(client.sim, options);
	require(sim_engine_new(client.sim, &client.engine) == 0, "no engine");
	engine_sock_open(client.engine, &client.sock,
			 sim_connect(client.sim, target_portal(target)));
	client_read(&client);
	talk(&client, &in, options);
	engine_sock_shutdown(client.engine, &client.sock);
	sim_run_until(client.sim, is_idle, &client, 10 * 1000000000ull);
	engine_sock_close(client.engine, &client.sock);
	require(target_stop(target) == 0, "the target does not stop");
	engine_free(client.engine);
	sim_free(client.sim);
	return 0;
}
