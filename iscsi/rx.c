/* SPDX-License-Identifier: Apache-2.0 */
#include "iscsi/rx.h"
#include "util/crc32c.h"
#include <assert.h>

static void rx_enter(struct iscsi_rx *rx, int stage)
{
	rx->stage = stage;
	rx->got = 0;
}

void iscsi_rx_init(struct iscsi_rx *rx)
{
	memset(rx, 0, sizeof(*rx));
	rx->max_data = ISCSI_LOGIN_DATA_MAX;
	rx_enter(rx, RX_IN_BHS);
}

/* Copies input into @to until the stage has @want bytes. Return: whether it has. */
static bool rx_gather(struct iscsi_rx *rx, uint8_t *to, uint32_t want, const uint8_t **p,
		      size_t *len)
{
	uint32_t n = want - rx->got;

	if (n > *len)
		n = (uint32_t)*len;
	if (!n) /* the input may be NULL then */
		return rx->got == want;
	memcpy(to + rx->got, *p, n);
	rx->got += n;
	*p += n;
	*len -= n;
	return rx->got == want;
}

static bool header_digest_holds(const struct iscsi_rx *rx)
{
	uint32_t crc = crc32c_update(CRC32C_SEED, rx->bhs.b, ISCSI_BHS_LEN);

	crc = crc32c_update(crc, rx->ahs, rx->ahs_len);
	return le32_get(rx->tail) == crc32c_end(crc);
}

/* The lengths are only looked at here, when no digest can disown them any more. */
static enum iscsi_rx_event rx_header_done(struct iscsi_rx *rx)
{
	rx->data_len = bhs_data_len(&rx->bhs);
	if (rx->data_len > rx->max_data)
		return RX_TOO_LONG;
	rx->crc = CRC32C_SEED;
	rx->dest = NULL;
	rx_enter(rx, RX_AT_HEADER);
	return RX_HEADER;
}

static uint32_t rx_tail_len(const struct iscsi_rx *rx)
{
	if (!rx->data_len)
		return 0;
	return iscsi_pad(rx->data_len) + (rx->data_digest ? 4 : 0);
}

static enum iscsi_rx_event rx_pdu_done(struct iscsi_rx *rx)
{
	uint32_t pad = iscsi_pad(rx->data_len);
	bool good = true;

	if (rx->data_digest && rx->data_len)
		good = le32_get(rx->tail + pad) ==
		       crc32c_end(crc32c_update(rx->crc, rx->tail, pad));
	rx_enter(rx, RX_IN_BHS);
	return good ? RX_PDU : RX_BAD_DATA_DIGEST;
}

/* Moves the destination on by @len bytes, summing what lies there. */
static void rx_dest_advance(struct iscsi_rx *rx, size_t len)
{
	while (len && rx->dest) {
		size_t n = rx->dest->iov_len - rx->dest_off;

		if (n > len)
			n = len;
		if (rx->data_digest)
			rx->crc = crc32c_update(rx->crc,
						(uint8_t *)rx->dest->iov_base + rx->dest_off, n);
		len -= n;
		rx->dest_off += n;
		if (rx->dest_off == rx->dest->iov_len && rx->n_dest > 1) {
			rx->dest++;
			rx->n_dest--;
			rx->dest_off = 0;
		}
	}
}

static bool rx_take_data(struct iscsi_rx *rx, const uint8_t **p, size_t *len)
{
	while (rx->got < rx->data_len && *len) {
		size_t n = rx->data_len - rx->got;

		if (n > *len)
			n = *len;
		if (rx->dest) {
			size_t room = rx->dest->iov_len - rx->dest_off;

			if (n > room)
				n = room;
			assert(n); /* the owner gave room for the whole segment */
			memcpy((uint8_t *)rx->dest->iov_base + rx->dest_off, *p, n);
			rx_dest_advance(rx, n);
		} else if (rx->data_digest) {
			rx->crc = crc32c_update(rx->crc, *p, n);
		}
		rx->got += (uint32_t)n;
		*p += n;
		*len -= n;
	}
	return rx->got == rx->data_len;
}

enum iscsi_rx_event iscsi_rx_step(struct iscsi_rx *rx, const uint8_t **p, size_t *len)
{
	for (;;) {
		switch (rx->stage) {
		case RX_IN_BHS:
			if (!rx_gather(rx, rx->bhs.b, ISCSI_BHS_LEN, p, len))
				return RX_MORE;
			rx->ahs_len = bhs_ahs_len(&rx->bhs);
			rx_enter(rx, RX_IN_AHS);
			break;
		case RX_IN_AHS:
			if (!rx_gather(rx, rx->ahs, rx->ahs_len, p, len))
				return RX_MORE;
			if (!rx->header_digest)
				return rx_header_done(rx);
			rx_enter(rx, RX_IN_HDIGEST);
			break;
		case RX_IN_HDIGEST:
			if (!rx_gather(rx, rx->tail, 4, p, len))
				return RX_MORE;
			return header_digest_holds(rx) ? rx_header_done(rx) : RX_BAD_HEADER_DIGEST;
		case RX_AT_HEADER:
			rx_enter(rx, RX_IN_DATA);
			break;
		case RX_IN_DATA:
			if (!rx_take_data(rx, p, len))
				return RX_MORE;
			rx_enter(rx, RX_IN_TAIL);
			break;
		case RX_IN_TAIL:
			if (!rx_gather(rx, rx->tail, rx_tail_len(rx), p, len))
				return RX_MORE;
			return rx_pdu_done(rx);
		}
	}
}

void iscsi_rx_dest(struct iscsi_rx *rx, const struct iovec *iov, int n_iov, size_t offset)
{
	while (n_iov > 1 && offset >= iov->iov_len) {
		offset -= iov->iov_len;
		iov++;
		n_iov--;
	}
	rx->dest = iov;
	rx->n_dest = n_iov;
	rx->dest_off = offset;
}

void iscsi_rx_drop(struct iscsi_rx *rx)
{
	rx->dest = NULL;
}

uint32_t iscsi_rx_wanted(const struct iscsi_rx *rx)
{
	if (rx->stage != RX_IN_DATA || !rx->dest)
		return 0;
	return rx->data_len - rx->got;
}

int iscsi_rx_iov(const struct iscsi_rx *rx, struct iovec *iov, int max)
{
	size_t left = iscsi_rx_wanted(rx), off = rx->dest_off;
	int n = 0;

	for (int i = 0; left && i < rx->n_dest && n < max; i++) {
		size_t len = rx->dest[i].iov_len - off;

		if (len > left)
			len = left;
		iov[n].iov_base = (uint8_t *)rx->dest[i].iov_base + off;
		iov[n++].iov_len = len;
		left -= len;
		off = 0;
	}
	return n;
}

void iscsi_rx_received(struct iscsi_rx *rx, size_t len)
{
	assert(len <= iscsi_rx_wanted(rx));
	rx_dest_advance(rx, len);
	rx->got += (uint32_t)len;
}

uint32_t iscsi_rx_ahead(const struct iscsi_rx *rx)
{
	return rx_tail_len(rx) + ISCSI_BHS_LEN + (rx->header_digest ? 4 : 0);
}
