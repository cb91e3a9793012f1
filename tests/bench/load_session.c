/* SPDX-License-Identifier: Apache-2.0 */
/* PDUs in and out of one session. What is received is looked at as it streams by, never kept. */
#include "tests/bench/load.h"
#include "util/crc32c.h"
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_IOV 96
#define DISCARD_FROM 32768 /* bytes of data to come that are worth a system call of their own */

void session_fail(struct session *s, const char *what)
{
	struct worker *w = s->worker;

	w->errors++;
	if (!w->first_error[0])
		snprintf(w->first_error, sizeof(w->first_error), "session %u: %s%s%s", s->index,
			 what, errno ? ", " : "", errno ? strerror(errno) : "");
	if (s->state == CONNECTING || s->state == LOGGING_IN || s->state == SETTING_UP)
		w->n_logging_in--;
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->state = DEAD;
	w->n_dead++;
}

/* ---- sending ---- */

struct tx_pdu *session_tx(struct session *s, uint8_t opcode, uint32_t itt)
{
	struct tx_pdu *pdu;

	if (s->n_tx == s->cap_tx) {
		s->cap_tx = s->cap_tx ? 2 * s->cap_tx : 4;
		s->tx = realloc(s->tx, s->cap_tx * sizeof(*s->tx));
		if (!s->tx)
			abort();
	}
	pdu = &s->tx[s->n_tx++];
	memset(pdu, 0, sizeof(*pdu));
	pdu->head[0] = opcode;
	pdu->head[1] = FINAL;
	pdu->head_len = BHS_LEN;
	be32_put(pdu->head + 16, itt);
	be32_put(pdu->head + 28, s->exp_statsn);
	if (!s->queued) {
		s->queued = true;
		s->worker->dirty[s->worker->n_dirty++] = s;
	}
	return pdu;
}

/* The last word about a PDU: its header must be complete but for the length. */
void session_tx_data(struct session *s, struct tx_pdu *pdu, const uint8_t *data, uint32_t len)
{
	bool login = s->state == LOGGING_IN;

	be24_put(pdu->head + 5, len);
	if (s->header_digest && !login) {
		le32_put(pdu->head + BHS_LEN, crc32c(pdu->head, BHS_LEN));
		pdu->head_len = BHS_LEN + DIGEST_LEN;
	}
	pdu->data = data;
	pdu->data_len = len;
	pdu->tail_len = padded(len) - len;
	if (s->data_digest && !login && len) {
		uint32_t crc = crc32c_update(CRC32C_SEED, data, len);

		crc = crc32c_update(crc, pdu->tail, pdu->tail_len);
		le32_put(pdu->tail + pdu->tail_len, crc32c_end(crc));
		pdu->tail_len += DIGEST_LEN;
	}
}

static unsigned tx_gather(struct session *s, struct iovec *iov)
{
	uint32_t skip = s->first_sent;
	unsigned n = 0;

	for (unsigned i = s->first_tx; i < s->n_tx && n + 3 <= MAX_IOV; i++) {
		struct tx_pdu *pdu = &s->tx[i];
		struct iovec parts[3] = {{pdu->head, pdu->head_len},
					 {(void *)pdu->data, pdu->data_len},
					 {pdu->tail, pdu->tail_len}};

		for (unsigned part = 0; part < 3; part++) {
			uint32_t len = (uint32_t)parts[part].iov_len;

			if (skip >= len) {
				skip -= len;
				continue;
			}
			iov[n++] =
				(struct iovec){(uint8_t *)parts[part].iov_base + skip, len - skip};
			skip = 0;
		}
	}
	return n;
}

static void tx_sent(struct session *s, size_t n)
{
	n += s->first_sent;
	while (s->first_tx < s->n_tx) {
		const struct tx_pdu *pdu = &s->tx[s->first_tx];
		size_t len = (size_t)pdu->head_len + pdu->data_len + pdu->tail_len;

		if (n < len)
			break;
		n -= len;
		s->first_tx++;
	}
	s->first_sent = (uint32_t)n;
	if (s->first_tx == s->n_tx)
		s->first_tx = s->n_tx = 0;
}

static void wait_to_send(struct session *s, bool wait)
{
	struct epoll_event event = {.events = wait ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = s};

	if (s->waits_to_send == wait)
		return;
	s->waits_to_send = wait;
	epoll_ctl(s->worker->epoll_fd, EPOLL_CTL_MOD, s->fd, &event);
}

void session_flush(struct session *s)
{
	struct iovec iov[MAX_IOV];

	while (s->state != DEAD && s->n_tx) {
		struct msghdr msg = {.msg_iov = iov, .msg_iovlen = tx_gather(s, iov)};
		ssize_t n = sendmsg(s->fd, &msg, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			session_fail(s, "cannot send");
			return;
		}
		tx_sent(s, (size_t)n);
	}
	if (s->state != DEAD)
		wait_to_send(s, s->n_tx > 0);
}

/* ---- commands ---- */

static const uint8_t *write_data(const struct slot *slot, uint32_t offset)
{
	return slot->data ? slot->data + offset : load_pattern + offset;
}

static void send_data_out(struct session *s, unsigned index, uint32_t ttt, uint32_t from,
			  uint32_t len)
{
	uint32_t sent = 0, datasn = 0;

	while (sent < len) {
		struct tx_pdu *pdu = session_tx(s, DATA_OUT, index);
		uint32_t n = len - sent < s->data_segment ? len - sent : s->data_segment;

		pdu->head[1] = sent + n == len ? FINAL : 0;
		be64_put(pdu->head + 8, 0);
		be32_put(pdu->head + 20, ttt);
		be32_put(pdu->head + 36, datasn++);
		be32_put(pdu->head + 40, from + sent);
		session_tx_data(s, pdu, write_data(&s->slots[index], from + sent), n);
		sent += n;
	}
}

static uint32_t smallest(uint32_t a, uint32_t b, uint32_t c)
{
	uint32_t n = a < b ? a : b;

	return n < c ? n : c;
}

static void put_lun(struct session *s, uint8_t *p)
{
	const struct options *opt = s->worker->opt;
	uint64_t lun = opt->lun;

	if (opt->n_luns)
		lun += (opt->n_targets ? s->index / opt->n_targets : s->index) % opt->n_luns;
	if (lun >= 256)
		lun |= 0x4000; /* flat space addressing */
	be16_put(p, (uint16_t)lun);
}

void session_command(struct session *s, unsigned index, const uint8_t cdb[16])
{
	struct slot *slot = &s->slots[index];
	uint32_t len = slot->setup ? 0 : s->worker->opt->block, now = 0, more = 0;
	struct tx_pdu *pdu = session_tx(s, SCSI_COMMAND, index);

	put_lun(s, pdu->head + 8);
	be32_put(pdu->head + 20, slot->setup ? 32 : len);
	be32_put(pdu->head + 24, s->cmdsn++);
	memcpy(pdu->head + 32, cdb, 16);
	if (!slot->write) {
		pdu->head[1] = FINAL | COMMAND_READS;
		session_tx_data(s, pdu, NULL, 0);
		return;
	}
	if (s->immediate_data)
		now = smallest(len, s->data_segment, s->first_burst);
	if (!s->initial_r2t)
		more = (len < s->first_burst ? len : s->first_burst) - now;
	pdu->head[1] = (more ? 0 : FINAL) | COMMAND_WRITES;
	session_tx_data(s, pdu, write_data(slot, 0), now);
	if (more)
		send_data_out(s, index, NO_TAG, now, more);
}

/* ---- receiving ---- */

/* Data that is neither looked at nor summed up is thrown away without a copy. */
static bool may_discard(const struct session *s)
{
	const struct options *opt = s->worker->opt;

	return s->in_data && !s->text && !s->data_digest && !opt->check && !opt->copy;
}

static void take_r2t(struct session *s)
{
	uint32_t index = be32_get(s->head + 16), offset = be32_get(s->head + 40),
		 len = be32_get(s->head + 44);

	s->worker->r2ts++;
	if (index >= s->worker->opt->depth || !s->slots[index].busy ||
	    (uint64_t)offset + len > s->worker->opt->block) {
		session_fail(s, "an R2T that fits no write");
		return;
	}
	send_data_out(s, index, be32_get(s->head + 20), offset, len);
}

static void take_nop_in(struct session *s)
{
	struct tx_pdu *pdu;

	if (be32_get(s->head + 20) == NO_TAG)
		return;
	pdu = session_tx(s, NOP_OUT | IMMEDIATE, NO_TAG);
	memcpy(pdu->head + 8, s->head + 8, 8);
	memcpy(pdu->head + 20, s->head + 20, 4);
	be32_put(pdu->head + 24, s->cmdsn);
	session_tx_data(s, pdu, NULL, 0);
}

static struct slot *slot_of(struct session *s)
{
	uint32_t index = be32_get(s->head + 16);

	return s->slots && index < s->worker->opt->depth && s->slots[index].busy ? &s->slots[index]
										 : NULL;
}

static void numbers_take(struct session *s, bool has_status)
{
	uint32_t max = be32_get(s->head + 32);

	if (has_status)
		s->exp_statsn = be32_get(s->head + 24) + 1;
	if ((int32_t)(max - s->max_cmdsn) > 0)
		s->max_cmdsn = max;
}

/* A Reject brings the header that was rejected. */
static void unexpected(struct session *s)
{
	char what[120];

	errno = 0;
	if (pdu_opcode(s->head) == REJECT)
		snprintf(what, sizeof(what), "a Reject for reason %02x of opcode %02x", s->head[2],
			 s->text_len ? pdu_opcode(s->text) : 0x3f);
	else
		snprintf(what, sizeof(what), "an unexpected PDU, opcode %02x", s->head[0]);
	session_fail(s, what);
}

/* Header and data are all here. */
static void pdu_over(struct session *s)
{
	uint8_t opcode = pdu_opcode(s->head);
	bool status_in_data = opcode == DATA_IN && s->head[1] & DATA_IN_STATUS;
	struct slot *slot = slot_of(s);

	numbers_take(s, opcode != R2T && (opcode != DATA_IN || status_in_data) &&
				(opcode != NOP_IN || be32_get(s->head + 16) != NO_TAG));
	switch (opcode) {
	case LOGIN_RESPONSE:
		session_take_login(s);
		break;
	case DATA_IN:
	case SCSI_RESPONSE:
		if (!slot)
			session_fail(s, "an answer to nothing");
		else if (opcode == SCSI_RESPONSE && s->head[2] != 0)
			session_fail(s, "a command that the target could not take");
		else if (opcode == SCSI_RESPONSE || status_in_data)
			work_done(s, slot, s->head[3], s->text, s->text_len);
		break;
	case R2T:
		take_r2t(s);
		break;
	case NOP_IN:
		take_nop_in(s);
		break;
	default:
		unexpected(s);
	}
	free(s->text);
	s->text = NULL;
	s->text_len = 0;
}

static void head_over(struct session *s)
{
	uint32_t len = pdu_data_len(s->head);

	if (s->head_got > BHS_LEN && le32_get(s->head + BHS_LEN) != crc32c(s->head, BHS_LEN)) {
		session_fail(s, "a header digest is wrong");
		return;
	}
	s->in_data = true;
	s->data_left = len;
	s->pad_left = padded(len) - len;
	s->crc = CRC32C_SEED;
	s->digest_got = s->data_digest && len && s->state != LOGGING_IN ? 0 : DIGEST_LEN;
	if (pdu_opcode(s->head) != DATA_IN && len) {
		free(s->text);
		s->text = malloc(padded(len));
		s->text_len = 0;
		if (!s->text)
			session_fail(s, "no memory");
	} else if (s->state == LOGGING_IN) {
		s->text_len = 0;
	}
}

static void take_data(struct session *s, const uint8_t *data, uint32_t len)
{
	struct slot *slot;

	if (s->digest_got < DIGEST_LEN)
		s->crc = crc32c_update(s->crc, data, len);
	if (pdu_opcode(s->head) != DATA_IN) {
		memcpy(s->text + s->text_len, data, len);
		s->text_len += len;
		return;
	}
	slot = slot_of(s);
	if (!slot)
		session_fail(s, "data for nothing");
	else
		work_data_in(s, slot, data, len);
}

static uint32_t least(size_t a, uint32_t b)
{
	return a < b ? (uint32_t)a : b;
}

static void data_over(struct session *s)
{
	if (pdu_data_len(s->head) && s->data_digest && s->state != LOGGING_IN &&
	    le32_get(s->digest) != crc32c_end(s->crc)) {
		session_fail(s, "a data digest is wrong");
		return;
	}
	s->in_data = false;
	s->head_got = 0;
	pdu_over(s);
}

static uint32_t head_len(const struct session *s)
{
	return BHS_LEN + (s->header_digest && s->state != LOGGING_IN ? DIGEST_LEN : 0);
}

static void take_bytes(struct session *s, const uint8_t *p, size_t left)
{
	static const uint8_t zero[4];
	uint32_t n;

	while (s->state != DEAD) {
		if (!s->in_data) {
			n = least(left, head_len(s) - s->head_got);
			memcpy(s->head + s->head_got, p, n);
			s->head_got += n;
			if (s->head_got < head_len(s))
				return;
			head_over(s);
		} else if (s->data_left) {
			n = least(left, s->data_left);
			if (n == 0)
				return;
			take_data(s, p, n);
			s->data_left -= n;
		} else if (s->pad_left) {
			n = least(left, s->pad_left);
			if (n == 0)
				return;
			if (s->digest_got < DIGEST_LEN)
				s->crc = crc32c_update(s->crc, zero, n);
			s->pad_left -= n;
		} else if (s->digest_got < DIGEST_LEN) {
			n = least(left, DIGEST_LEN - s->digest_got);
			if (n == 0)
				return;
			memcpy(s->digest + s->digest_got, p, n);
			s->digest_got += n;
		} else {
			n = 0;
			data_over(s);
		}
		p += n;
		left -= n;
	}
}

/* One receive of what is there. Large data comes by itself, so that it need not be copied. */
void session_receive(struct session *s)
{
	static __thread uint8_t chunk[RX_CHUNK];
	const struct options *opt = s->worker->opt;
	bool large = opt->block >= DISCARD_FROM && s->state == READY && !opt->check && !opt->copy &&
		     !s->data_digest;

	for (unsigned turn = 0; turn < 64 && s->state != DEAD; turn++) {
		bool discard = may_discard(s) && s->data_left >= DISCARD_FROM;
		size_t want = sizeof(chunk);
		ssize_t n;

		if (discard)
			want = s->data_left;
		else if (large && !s->in_data)
			want = head_len(s) - s->head_got;
		n = recv(s->fd, discard ? NULL : chunk, want, discard ? MSG_TRUNC : 0);
		if (n == 0 || (n < 0 && errno != EAGAIN)) {
			errno = n == 0 ? 0 : errno;
			session_fail(s, "the target closed");
			return;
		}
		if (n < 0)
			return;
		s->worker->now = load_now();
		if (discard) {
			s->data_left -= (uint32_t)n;
			if (slot_of(s))
				slot_of(s)->got += (uint32_t)n;
			take_bytes(s, chunk, 0);
		} else {
			take_bytes(s, chunk, (size_t)n);
		}
		if (!large)
			return;
	}
}
