/* SPDX-License-Identifier: Apache-2.0 */
/* Framing: PDUs come out of a stream however it is cut, and damage is seen. */
#include "iscsi/rx.h"
#include "util/crc32c.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants the three above first. */
#include <cmocka.h>

#define DATA_LEN 1001 /* needs padding */

/* One PDU with AHS, data and both digests. Return: its length. */
static size_t make_pdu(uint8_t *p, bool header_digest, bool data_digest)
{
	struct bytes_out out = bytes_out(p, 4096);
	uint8_t *h = out_room(&out, ISCSI_BHS_LEN), *data, digest[4];

	memset(h, 0, ISCSI_BHS_LEN);
	h[0] = OP_DATA_OUT;
	h[4] = 2;
	be24_put(h + 5, DATA_LEN);
	memset(out_room(&out, 8), 0x11, 8);
	if (header_digest) {
		le32_put(digest, crc32c(p, out.len));
		out_bytes(&out, digest, 4);
	}
	data = out_room(&out, DATA_LEN);
	for (int i = 0; i < DATA_LEN; i++)
		data[i] = (uint8_t)(i * 7);
	out_zero(&out, iscsi_pad(DATA_LEN));
	if (data_digest) {
		le32_put(digest, crc32c(data, DATA_LEN + iscsi_pad(DATA_LEN)));
		out_bytes(&out, digest, 4);
	}
	return out.len;
}

static struct iscsi_rx rx;
static uint8_t room[DATA_LEN];
static struct iovec iov = {room, sizeof(room)};

/* Feeds a stream in pieces of @cut bytes. Return: the last event, RX_MORE when none was final. */
static enum iscsi_rx_event feed(const uint8_t *p, size_t len, size_t cut)
{
	enum iscsi_rx_event last = RX_MORE;

	while (len) {
		size_t n = cut < len ? cut : len, left = n;
		const uint8_t *at = p;
		enum iscsi_rx_event event;

		while ((event = iscsi_rx_step(&rx, &at, &left)) != RX_MORE) {
			last = event;
			if (event == RX_HEADER)
				iscsi_rx_dest(&rx, &iov, 1, 0);
			else if (event != RX_PDU)
				return event;
		}
		p += n;
		len -= n;
	}
	return last;
}

static void start(bool header_digest, bool data_digest)
{
	iscsi_rx_init(&rx);
	rx.header_digest = header_digest;
	rx.data_digest = data_digest;
	memset(room, 0, sizeof(room));
}

static void cut_anywhere_gives_the_same(void **state)
{
	uint8_t stream[4096];

	(void)state;
	for (int digests = 0; digests < 4; digests++) {
		size_t len = make_pdu(stream, digests & 1, digests & 2);

		for (size_t cut = 1; cut <= len; cut++) {
			start(digests & 1, digests & 2);
			assert_int_equal(feed(stream, len, cut), RX_PDU);
			assert_int_equal(rx.ahs_len, 8);
			for (int i = 0; i < DATA_LEN; i++)
				assert_int_equal(room[i], (uint8_t)(i * 7));
		}
	}
}

static void every_flipped_byte_is_seen(void **state)
{
	uint8_t stream[4096];
	size_t len = make_pdu(stream, true, true), header = ISCSI_BHS_LEN + 8 + 4;

	(void)state;
	for (size_t i = 0; i < len; i++) {
		enum iscsi_rx_event event;

		if (i == 4)
			continue; /* TotalAHSLength: where the digest is cannot be known then */
		stream[i] ^= 0x40;
		start(true, true);
		event = feed(stream, len, len);
		assert_int_equal(event, i < header ? RX_BAD_HEADER_DIGEST : RX_BAD_DATA_DIGEST);
		stream[i] ^= 0x40;
	}
}

static void too_long_a_segment_is_refused_before_its_data(void **state)
{
	uint8_t header[ISCSI_BHS_LEN] = {OP_LOGIN_REQ};

	(void)state;
	start(false, false);
	be24_put(header + 5, ISCSI_LOGIN_DATA_MAX + 1);
	assert_int_equal(feed(header, sizeof(header), 5), RX_TOO_LONG);
	start(false, false);
	be24_put(header + 5, ISCSI_LOGIN_DATA_MAX);
	rx.max_data = ISCSI_LOGIN_DATA_MAX;
	assert_int_equal(feed(header, sizeof(header), 5), RX_HEADER);
}

static void data_can_be_received_in_place(void **state)
{
	uint8_t stream[4096];
	size_t len = make_pdu(stream, false, true), head = ISCSI_BHS_LEN + 8 + 100;
	struct iovec rest;

	(void)state;
	start(false, true);
	assert_int_equal(feed(stream, head, head), RX_HEADER);
	assert_int_equal(iscsi_rx_wanted(&rx), DATA_LEN - 100);
	assert_int_equal(iscsi_rx_iov(&rx, &rest, 1), 1);
	assert_int_equal(rest.iov_len, DATA_LEN - 100);
	memcpy(rest.iov_base, stream + head, rest.iov_len);
	iscsi_rx_received(&rx, rest.iov_len);
	assert_int_equal(iscsi_rx_wanted(&rx), 0);
	head += rest.iov_len;
	assert_int_equal(feed(stream + head, len - head, 1), RX_PDU);
}

/* What may be received behind the data ends where the next header does. */
static void next_header_can_come_with_the_data(void **state)
{
	(void)state;
	for (int digests = 0; digests < 4; digests++) {
		bool header_digest = digests & 1, data_digest = digests & 2;
		uint8_t stream[4096];
		size_t len = make_pdu(stream, header_digest, data_digest);
		size_t head = ISCSI_BHS_LEN + 8 + (header_digest ? 4 : 0), ahead;
		struct iovec rest;

		/* The second one has neither AHS nor data. */
		memset(stream + len, 0, ISCSI_BHS_LEN);
		le32_put(stream + len + ISCSI_BHS_LEN, crc32c(stream + len, ISCSI_BHS_LEN));
		start(header_digest, data_digest);
		assert_int_equal(feed(stream, head, head), RX_HEADER);
		assert_int_equal(iscsi_rx_iov(&rx, &rest, 1), 1);
		memcpy(rest.iov_base, stream + head, rest.iov_len);
		iscsi_rx_received(&rx, rest.iov_len);
		ahead = iscsi_rx_ahead(&rx);
		assert_true(ahead <= ISCSI_RX_AHEAD_MAX);
		assert_int_equal(feed(stream + head + DATA_LEN, ahead - 1, ahead), RX_PDU);
		assert_int_equal(rx.stage, header_digest ? RX_IN_HDIGEST : RX_IN_BHS);
		assert_int_equal(feed(stream + head + DATA_LEN + ahead - 1, 1, 1), RX_PDU);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cut_anywhere_gives_the_same),
		cmocka_unit_test(every_flipped_byte_is_seen),
		cmocka_unit_test(too_long_a_segment_is_refused_before_its_data),
		cmocka_unit_test(data_can_be_received_in_place),
		cmocka_unit_test(next_header_can_come_with_the_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
