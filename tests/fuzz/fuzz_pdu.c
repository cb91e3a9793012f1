/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Framing: any stream of bytes, cut up in two different ways, gives the same PDUs with the same
 * data in the same places. Byte 0 chooses the digests, byte 1 seeds the cuts, the rest is the
 * stream.
 */
#include "iscsi/rx.h"
#include "util/crc32c.h"
#include <stdio.h>
#include <stdlib.h>

#define MAX_DATA 3000
#define PIECE 700 /* of the destination: data crosses from one to the next */

struct run {
	struct iscsi_rx rx;
	uint8_t room[MAX_DATA + 1];
	struct iovec iov[MAX_DATA / PIECE + 1];
	int n_iov;
	uint32_t sum; /* over all events and data: what the two runs must agree on */
	bool over;
	uint32_t cuts;
};

static void note(struct run *run, const void *p, size_t len)
{
	run->sum = crc32c_update(run->sum, p, len);
}

static void run_init(struct run *run, uint8_t flags, uint32_t cuts)
{
	memset(run, 0, sizeof(*run));
	iscsi_rx_init(&run->rx);
	run->rx.header_digest = flags & 1;
	run->rx.data_digest = flags & 2;
	run->rx.max_data = MAX_DATA;
	run->cuts = cuts;
	run->room[MAX_DATA] = 0xa5;
	for (size_t off = 0; off < MAX_DATA; off += PIECE) {
		run->iov[run->n_iov].iov_base = run->room + off;
		run->iov[run->n_iov++].iov_len = MAX_DATA - off < PIECE ? MAX_DATA - off : PIECE;
	}
}

static void at_header(struct run *run)
{
	struct iscsi_rx *rx = &run->rx;

	if (rx->data_len > MAX_DATA || rx->ahs_len > ISCSI_AHS_MAX)
		abort();
	note(run, rx->bhs.b, ISCSI_BHS_LEN);
	note(run, rx->ahs, rx->ahs_len);
	memset(run->room, 0, MAX_DATA);
	if (rx->bhs.b[1] & 1)
		iscsi_rx_drop(rx);
	else
		iscsi_rx_dest(rx, run->iov, run->n_iov,
			      rx->bhs.b[2] % (MAX_DATA - rx->data_len + 1));
}

static void feed(struct run *run, const uint8_t *p, size_t len)
{
	while (!run->over) {
		enum iscsi_rx_event event = iscsi_rx_step(&run->rx, &p, &len);

		if (event == RX_MORE)
			break;
		note(run, &event, sizeof(event));
		if (event == RX_HEADER)
			at_header(run);
		else if (event == RX_PDU || event == RX_BAD_DATA_DIGEST)
			note(run, run->room, MAX_DATA);
		else
			run->over = true;
	}
	if (run->room[MAX_DATA] != 0xa5 || (!run->over && len))
		abort();
}

/* As a socket does it: what has a destination goes there, without feed(). */
static size_t receive_direct(struct run *run, const uint8_t *p, size_t len)
{
	struct iovec iov[MAX_DATA / PIECE + 1];
	int n = iscsi_rx_iov(&run->rx, iov, MAX_DATA / PIECE + 1);
	size_t done = 0;

	for (int i = 0; i < n && done < len; i++) {
		size_t here = iov[i].iov_len < len - done ? iov[i].iov_len : len - done;

		memcpy(iov[i].iov_base, p + done, here);
		done += here;
	}
	iscsi_rx_received(&run->rx, done);
	feed(run, p + done, 0);
	return done;
}

static void play(struct run *run, const uint8_t *p, size_t len)
{
	while (len && !run->over) {
		size_t n;

		run->cuts = run->cuts * 1664525u + 1013904223u;
		n = 1 + (run->cuts >> 16) % 97;
		if (n > len)
			n = len;
		if (iscsi_rx_wanted(&run->rx) && run->cuts >> 31)
			n = receive_direct(run, p, n);
		else
			feed(run, p, n);
		p += n;
		len -= n;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct run whole, cut;

	if (size < 2)
		return 0;
	run_init(&whole, data[0], 0);
	feed(&whole, data + 2, size - 2);
	run_init(&cut, data[0], data[1]);
	play(&cut, data + 2, size - 2);
	if (whole.sum != cut.sum || whole.over != cut.over)
		abort();
	return 0;
}
