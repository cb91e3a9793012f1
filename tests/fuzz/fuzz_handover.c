/* SPDX-License-Identifier: Apache-2.0 */
/* Any packet is a sound request or answer, which written again is the same packet; or refused. */
#include "handler/handover.h"
#include <errno.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(bool what)
{
	if (!what)
		abort();
}

static void same(const struct bytes_out *again, const uint8_t *data, size_t len)
{
	require(!again->full && again->len == len && memcmp(again->buf, data, len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t packet[HANDOVER_PACKET_MAX];
	struct handover_request request;
	struct handover_answer answer;
	struct bytes_out again = bytes_out(packet, sizeof(packet));
	int r;

	if (len > HANDOVER_PACKET_MAX)
		return 0;
	r = handover_get_request(data, len, &request);
	require(r == 0 || r == -EPROTO || r == -EPROTONOSUPPORT);
	if (r == 0) {
		handover_put_request(&again, &request);
		same(&again, data, len);
	}
	again = bytes_out(packet, sizeof(packet));
	r = handover_get_answer(data, len, &answer);
	require(r == 0 || r == -EPROTO || r == -EPROTONOSUPPORT);
	if (r == 0) {
		handover_put_answer(&again, &answer);
		same(&again, data, len);
	}
	return 0;
}
