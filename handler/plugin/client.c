/* SPDX-License-Identifier: Apache-2.0 */
#include "handler/plugin/client.h"
#include "handler/plugin/settings.h"
#include "util/cleanup.h"
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

/* An answer takes as long as the slowest command under way, but not for ever. */
#define PATIENCE_S 60

int client_connect(char *ret_why, size_t why_len)
{
	const struct timeval patience = {.tv_sec = PATIENCE_S};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	scoped(free) char *path = NULL;
	scoped(close) int sock = -1;
	int r = settings_socket(&path);

	if (r == 0 && strlen(path) >= sizeof(address.sun_path))
		r = -ENAMETOOLONG;
	if (r < 0) {
		snprintf(ret_why, why_len, "the daemon's socket: %s", strerror(-r));
		return r;
	}
	strcpy(address.sun_path, path);
	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (sock < 0 ||
	    setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
	    connect(sock, (struct sockaddr *)&address, sizeof(address)) < 0) {
		r = -errno;
		snprintf(ret_why, why_len, "%s: %s", path, strerror(-r));
		return r == -ECONNREFUSED ? -ENOENT : r; /* left behind by one that was killed */
	}
	return steal_fd(&sock);
}

/* Requests are answered in their order, one at a time. */
static int take_answer(int sock, struct handover_answer *ret_answer)
{
	uint8_t packet[HANDOVER_PACKET_MAX];
	int fd, len;

	do
		len = handover_receive(sock, packet, &fd);
	while (len == -EINTR);
	if (fd >= 0)
		close(fd); /* none is expected */
	if (len <= 0 || handover_get_answer(packet, (size_t)len, ret_answer) < 0)
		return -ENOTCONN;
	return 0;
}

int client_ask(int sock, const struct handover_request *request, int pass, char *ret_why,
	       size_t why_len)
{
	uint8_t packet[HANDOVER_PACKET_MAX];
	struct bytes_out out = bytes_out(packet, sizeof(packet));
	struct handover_answer answer;
	int r;

	handover_put_request(&out, request);
	if (handover_send(sock, &out, pass) < 0 || take_answer(sock, &answer) < 0) {
		snprintf(ret_why, why_len, "the daemon does not answer");
		return -ENOTCONN;
	}
	r = -answer.error;
	if (r < 0)
		snprintf(ret_why, why_len, "%s", *answer.text ? answer.text : strerror(-r));
	return r == -ENOTCONN ? -EIO : r;
}
