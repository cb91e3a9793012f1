/* SPDX-License-Identifier: Apache-2.0 */
/* A connection of the model initiator. */
#include "initiator.h"
#include "util/crc32c.h"
#include <assert.h>
#include <stdlib.h>

#define SHUT_NS (200 * UINT64_C(1000000)) /* longer than what is on its way takes */

uint64_t ini_below(struct initiator *ini, uint64_t limit)
{
	return sim_below(ini->world->sim, limit);
}

bool ini_chance(struct initiator *ini, unsigned permille)
{
	return sim_chance(ini->world->sim, permille);
}

static void append(uint8_t **buf, size_t *len, size_t *cap, const void *data, size_t n)
{
	if (*cap - *len < n) {
		*cap = 2 * (*len + n);
		*buf = realloc(*buf, *cap);
		if (!*buf)
			abort();
	}
	if (n)
		memcpy(*buf + *len, data, n);
	*len += n;
}

/* ---- the end ---- */

static void try_close(struct initiator *ini)
{
	if (ini->phase != INI_CLOSING || ini->rx_busy || ini->tx_busy)
		return;
	engine_sock_close(ini->engine, &ini->sock);
	ini->phase = INI_DOWN;
	ini->rx_len = ini->tx_len = ini->sending_len = 0;
	player_down(ini);
}

void initiator_disconnect(struct initiator *ini)
{
	if (ini->phase == INI_DOWN || ini->phase == INI_CLOSING)
		return;
	ini->phase = INI_CLOSING;
	if (ini->wants_reset)
		sim_reset(ini->world->sim, ini->sock.fd);
	engine_sock_shutdown(ini->engine, &ini->sock);
	try_close(ini);
}

/* ---- out ---- */

static void tx_go(struct initiator *ini);

static void tx_done(struct engine_op *op, int res)
{
	struct initiator *ini = container_of(op, struct initiator, tx_op);

	ini->tx_busy = false;
	if (ini->phase == INI_CLOSING) {
		try_close(ini);
		return;
	}
	if (res < 0) {
		initiator_disconnect(ini);
		return;
	}
	ini->tx_iov.iov_base = (uint8_t *)ini->tx_iov.iov_base + res;
	ini->tx_iov.iov_len -= (size_t)res;
	tx_go(ini);
	if (ini->phase == INI_FULL)
		command_pump(ini);
}

static void tx_go(struct initiator *ini)
{
	if (ini->tx_busy || ini->phase == INI_CLOSING || ini->phase == INI_DOWN)
		return;
	if (!ini->tx_iov.iov_len) {
		uint8_t *buf = ini->sending;
		size_t cap = ini->sending_cap;

		if (!ini->tx_len)
			return;
		ini->sending = ini->tx;
		ini->sending_cap = ini->tx_cap;
		ini->tx_iov = (struct iovec){ini->sending, ini->tx_len};
		ini->tx = buf;
		ini->tx_cap = cap;
		ini->tx_len = 0;
	}
	ini->tx_busy = true;
	engine_send(ini->engine, &ini->sock, &ini->tx_op, &ini->tx_iov, 1);
}

static void append_digest(struct initiator *ini, size_t from)
{
	uint8_t digest[4];

	le32_put(digest, crc32c(ini->tx + from, ini->tx_len - from));
	append(&ini->tx, &ini->tx_len, &ini->tx_cap, digest, 4);
}

void initiator_send(struct initiator *ini, struct iscsi_bhs *bhs, const void *data, uint32_t len)
{
	static const uint8_t zeroes[4];
	size_t at = ini->tx_len;

	bhs_set_data_len(bhs, len);
	append(&ini->tx, &ini->tx_len, &ini->tx_cap, bhs->b, ISCSI_BHS_LEN);
	if (ini->digests_on && ini->terms.header_digest)
		append_digest(ini, at);
	if (len) {
		at = ini->tx_len;
		append(&ini->tx, &ini->tx_len, &ini->tx_cap, data, len);
		append(&ini->tx, &ini->tx_len, &ini->tx_cap, zeroes, iscsi_pad(len));
		if (ini->digests_on && ini->terms.data_digest)
			append_digest(ini, at);
	}
	tx_go(ini);
}

uint32_t initiator_itt(struct initiator *ini)
{
	uint32_t itt = ini->free_itt;

	ini->free_itt = ISCSI_RESERVED_TAG;
	if (itt != ISCSI_RESERVED_TAG)
		return itt;
	if (ini->next_itt == ISCSI_RESERVED_TAG)
		ini->next_itt++;
	return ini->next_itt++;
}

void initiator_number(struct initiator *ini, struct iscsi_bhs *bhs, bool immediate)
{
	if (immediate)
		bhs->b[0] |= BHS_IMMEDIATE;
	be32_put(bhs->b + 24, ini->cmdsn);
	be32_put(bhs->b + 28, ini->exp_statsn);
	if (!immediate)
		ini->cmdsn++;
}

/* ---- in ---- */

/* RFC 7143 4.2.2.2: each status has the next StatSN; R2T and pings of the target have none. */
static void take_statsn(struct initiator *ini, const struct iscsi_bhs *bhs)
{
	uint32_t statsn = be32_get(bhs->b + 24);
	uint8_t opcode = bhs_opcode(bhs);

	if (opcode == OP_DATA_IN && !(bhs->b[1] & 1))
		return;
	if (!ini->statsn_known)
		ini->exp_statsn = statsn;
	ini->statsn_known = true;
	if (statsn != ini->exp_statsn)
		world_fail(ini->world, "initiator %u: StatSN %u, expected %u, opcode %02xh",
			   ini->index, statsn, ini->exp_statsn, opcode);
	if (opcode != OP_R2T && !(opcode == OP_NOP_IN && bhs_itt(bhs) == ISCSI_RESERVED_TAG))
		ini->exp_statsn++;
}

/* RFC 7143 4.2.2.1: values that do not fit or go back are ignored. */
static void take_window(struct initiator *ini, const struct iscsi_bhs *bhs)
{
	uint32_t exp = be32_get(bhs->b + 28), max = be32_get(bhs->b + 32);

	if (sn_before(max, exp - 1))
		return;
	if (sn_before(ini->max_cmdsn, max))
		ini->max_cmdsn = max;
	if (sn_before(ini->cmdsn, exp))
		world_fail(ini->world, "initiator %u: ExpCmdSN %u, but %u is the next", ini->index,
			   exp, ini->cmdsn);
}

/*
 * Who has had all its answers may send the next command, as soon as its data for those that were
 * aborted has arrived: nothing else would ever let it.
 */
void initiator_judge_window(struct initiator *ini)
{
	uint64_t now = engine_now(ini->engine);
	bool waits = ini->n_commands || ini->tmf_itt != ISCSI_RESERVED_TAG ||
		     ini->ping_itt != ISCSI_RESERVED_TAG;

	if (ini->phase != INI_FULL || waits || ini->tx_busy ||
	    !sn_before(ini->max_cmdsn, ini->cmdsn))
		ini->open_ns = now;
	else if (now - ini->open_ns > SHUT_NS)
		world_fail(ini->world, "initiator %u: MaxCmdSN %u, %u is the next, nothing waits",
			   ini->index, ini->max_cmdsn, ini->cmdsn);
}

static void take_pdu(struct initiator *ini, const struct iscsi_bhs *bhs, const uint8_t *data,
		     uint32_t len)
{
	take_statsn(ini, bhs);
	take_window(ini, bhs);
	if (ini->phase == INI_LOGIN)
		login_pdu(ini, bhs, data, len);
	else
		full_feature_pdu(ini, bhs, data, len);
}

static bool digest_is_right(const uint8_t *p, size_t len)
{
	return le32_get(p + len) == crc32c(p, len);
}

/* One PDU from the front of what has been received. Return: its bytes on the wire; 0: not whole. */
static size_t parse(struct initiator *ini)
{
	size_t header_crc = ini->digests_on && ini->terms.header_digest ? 4 : 0, data_at, n;
	size_t data_crc = ini->digests_on && ini->terms.data_digest ? 4 : 0;
	struct iscsi_bhs bhs;
	uint32_t len, padded;

	if (ini->rx_len < ISCSI_BHS_LEN)
		return 0;
	memcpy(bhs.b, ini->rx, ISCSI_BHS_LEN);
	len = bhs_data_len(&bhs);
	padded = len + iscsi_pad(len);
	data_at = ISCSI_BHS_LEN + header_crc;
	n = data_at + padded + (len ? data_crc : 0);
	if (len > (ini->digests_on ? ini->terms.max_recv : ISCSI_LOGIN_DATA_MAX) || bhs.b[4]) {
		world_fail(ini->world, "initiator %u: PDU %02xh of %u bytes", ini->index, bhs.b[0],
			   len);
		return 0;
	}
	if (ini->rx_len < n)
		return 0;
	if ((header_crc && !digest_is_right(ini->rx, ISCSI_BHS_LEN)) ||
	    (len && data_crc && !digest_is_right(ini->rx + data_at, padded)))
		world_fail(ini->world, "initiator %u: wrong digest", ini->index);
	take_pdu(ini, &bhs, ini->rx + data_at, len);
	return n;
}

static void rx_go(struct initiator *ini)
{
	ini->rx_busy = true;
	engine_recv_some(ini->engine, &ini->sock, &ini->rx_op);
}

static void rx_done(struct engine_op *op, int res)
{
	struct initiator *ini = container_of(op, struct initiator, rx_op);
	bool heard = false;
	size_t n;

	ini->rx_busy = false;
	if (ini->phase == INI_CLOSING) {
		try_close(ini);
		return;
	}
	if (res <= 0) {
		initiator_disconnect(ini);
		return;
	}
	append(&ini->rx, &ini->rx_len, &ini->rx_cap, op->buf, (size_t)res);
	while (!ini->world->verdict[0] && (n = parse(ini))) {
		if (ini->phase == INI_DOWN || ini->phase == INI_CLOSING)
			return;
		memmove(ini->rx, ini->rx + n, ini->rx_len - n);
		ini->rx_len -= n;
		heard = true;
	}
	rx_go(ini);
	if (ini->phase == INI_FULL)
		command_pump(ini);
	if (heard)
		player_kick(ini);
}

/* ---- the beginning ---- */

void initiator_connect(struct initiator *ini)
{
	int r;

	assert(ini->phase == INI_DOWN);
	r = engine_sock_open(ini->engine, &ini->sock,
			     sim_connect(ini->world->sim, ini->world->portal));
	assert(r == 0);
	ini->phase = INI_LOGIN;
	ini->digests_on = ini->statsn_known = false;
	ini->wants_reset = ini_chance(ini, 500);
	ini->tx_iov.iov_len = 0;
	ini->tmf_itt = ini->ping_itt = ini->logout_itt = ISCSI_RESERVED_TAG;
	/* Both wrap soon in some runs. */
	ini->cmdsn = ini_chance(ini, 300) ? 0xfffffff0u + (uint32_t)ini_below(ini, 16)
					  : (uint32_t)sim_random(ini->world->sim);
	ini->max_cmdsn = ini->cmdsn;
	ini->free_itt = ISCSI_RESERVED_TAG;
	ini->next_itt = (uint32_t)sim_random(ini->world->sim) | 0xfffff000u;
	rx_go(ini);
	login_start(ini);
}

void initiator_init(struct initiator *ini, struct world *world, unsigned index)
{
	memset(ini, 0, sizeof(*ini));
	ini->world = world;
	ini->index = index;
	if (sim_engine_new(world->sim, &ini->engine) < 0)
		abort();
	ini->rx_op.done = rx_done;
	ini->tx_op.done = tx_done;
	list_init(&ini->commands);
	list_init(&ini->unsolicited);
	player_init(ini);
}

void initiator_fini(struct initiator *ini)
{
	assert(ini->phase == INI_DOWN && list_empty(&ini->commands));
	player_fini(ini);
	engine_free(ini->engine);
	free(ini->rx);
	free(ini->tx);
	free(ini->sending);
}
