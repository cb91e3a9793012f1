/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets, all numbers in network order:
 *	request	version(1) kind(1) size(8) block_size(4) map_len(8) on(1)
 *		length(2) config string, length(2) device
 *	answer	version(1) 0x80(1) errno(4) length(2) text
 * A field that its kind has no use for is 0 or empty. A later version may put more at the end of
 * its packets only under a higher version number.
 */
#include "handler/handover.h"
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define ANSWER 0x80
#define FDS_MAX 4 /* room for more than the one that is expected, so that none leaks unseen */

static void put_text(struct bytes_out *out, const char *text)
{
	size_t len = strlen(text);

	out_be16(out, (uint16_t)len);
	out_bytes(out, text, len);
}

/* A text without a NUL of up to @max bytes. */
static void get_text(struct bytes_in *in, char *text, size_t max)
{
	size_t len = in_be16(in);
	const uint8_t *bytes = len <= max ? in_bytes(in, len) : NULL;

	if (!bytes || memchr(bytes, '\0', len)) {
		in->bad = true;
		return;
	}
	memcpy(text, bytes, len);
	text[len] = '\0';
}

void handover_put_request(struct bytes_out *out, const struct handover_request *request)
{
	out_u8(out, HANDOVER_VERSION);
	out_u8(out, (uint8_t)request->kind);
	out_be64(out, request->size);
	out_be32(out, request->block_size);
	out_be64(out, request->map_len);
	out_u8(out, request->on);
	put_text(out, request->config_string);
	put_text(out, request->device);
}

void handover_put_answer(struct bytes_out *out, const struct handover_answer *answer)
{
	out_u8(out, HANDOVER_VERSION);
	out_u8(out, ANSWER);
	out_be32(out, (uint32_t)answer->error);
	put_text(out, answer->text);
}

/* The end of a packet. */
static int get_end(const struct bytes_in *in)
{
	return in->bad || in->left ? -EPROTO : 0;
}

/* Which fields a kind has: what it has no use for is empty, what it needs is there. */
static bool is_sound(const struct handover_request *request)
{
	bool names = request->kind == HANDOVER_CHECK || request->kind == HANDOVER_SERVE;
	bool serve = request->kind == HANDOVER_SERVE;

	if (request->kind < HANDOVER_CHECK || request->kind > HANDOVER_RELEASE)
		return false;
	return names == (*request->config_string != '\0') && serve == (*request->device != '\0') &&
	       serve == (request->map_len != 0) && (names || !request->block_size) &&
	       (names || request->kind == HANDOVER_RESIZE || !request->size) &&
	       (request->kind == HANDOVER_CACHE || !request->on);
}

int handover_get_request(const uint8_t *packet, size_t len, struct handover_request *ret_request)
{
	struct bytes_in in = bytes_in(packet, len);
	struct handover_request request = {0};
	uint8_t version = in_u8(&in), on;

	if (!in.bad && version != HANDOVER_VERSION)
		return -EPROTONOSUPPORT;
	request.kind = (enum handover_kind)in_u8(&in);
	request.size = in_be64(&in);
	request.block_size = in_be32(&in);
	request.map_len = in_be64(&in);
	on = in_u8(&in);
	request.on = on == 1;
	get_text(&in, request.config_string, HANDOVER_STRING_MAX);
	get_text(&in, request.device, HANDOVER_DEVICE_MAX);
	if (get_end(&in) < 0 || on > 1 || !is_sound(&request))
		return -EPROTO;
	*ret_request = request;
	return 0;
}

int handover_get_answer(const uint8_t *packet, size_t len, struct handover_answer *ret_answer)
{
	struct bytes_in in = bytes_in(packet, len);
	struct handover_answer answer = {0};
	uint8_t version = in_u8(&in), kind;
	uint32_t error;

	if (!in.bad && version != HANDOVER_VERSION)
		return -EPROTONOSUPPORT;
	kind = in_u8(&in);
	error = in_be32(&in);
	get_text(&in, answer.text, HANDOVER_TEXT_MAX);
	if (get_end(&in) < 0 || kind != ANSWER || error > 4095) /* MAX_ERRNO of the kernel */
		return -EPROTO;
	answer.error = (int)error;
	*ret_answer = answer;
	return 0;
}

/* ---- the socket ---- */

int handover_send(int sock, const struct bytes_out *packet, int pass)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov = {packet->buf, packet->len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (packet->full)
		return -EMSGSIZE;
	if (pass >= 0) {
		msg.msg_control = control.room;
		msg.msg_controllen = sizeof(control.room);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &pass, sizeof(int));
	}
	return sendmsg(sock, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* The first descriptor of a message; more than one are closed. Return: how many there were. */
static int take_fds(struct msghdr *msg, int *ret_fd)
{
	int n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t len = c->cmsg_len - CMSG_LEN(0);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = 0; at + sizeof(int) <= len; at += sizeof(int)) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + at, sizeof(int));
			if (n++ == 0)
				*ret_fd = fd;
			else
				close(fd);
		}
	}
	return n;
}

int handover_receive(int sock, uint8_t *buf, int *ret_fd)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = {buf, HANDOVER_PACKET_MAX};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.room,
			     .msg_controllen = sizeof(control.room)};
	ssize_t len = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);

	*ret_fd = -1;
	if (len < 0)
		return -errno;
	if (take_fds(&msg, ret_fd) > 1 || msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		if (*ret_fd >= 0)
			close(*ret_fd);
		*ret_fd = -1;
		return -EPROTO;
	}
	return (int)len;
}
