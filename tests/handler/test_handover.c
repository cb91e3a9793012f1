/* SPDX-License-Identifier: Apache-2.0 */
/* Packets of the hand-over: what goes in comes out, what is not sound does not, no fd is lost. */
#include "handler/handover.h"
#include "util/cleanup.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>

static uint8_t packet[HANDOVER_PACKET_MAX];

static struct bytes_out written(const struct handover_request *request)
{
	struct bytes_out out = bytes_out(packet, sizeof(packet));

	handover_put_request(&out, request);
	assert_false(out.full);
	return out;
}

static int reading(const struct handover_request *request)
{
	struct bytes_out out = written(request);
	struct handover_request back;

	return handover_get_request(packet, out.len, &back);
}

static const struct handover_request serve = {
	.kind = HANDOVER_SERVE,
	.size = 1ull << 40,
	.block_size = 4096,
	.map_len = (1ull << 30) + 8,
	.config_string = "duotgt/data",
	.device = "uio12",
};

static void a_request_arrives(void **state)
{
	struct bytes_out out = written(&serve);
	struct handover_request back;

	(void)state;
	assert_int_equal(handover_get_request(packet, out.len, &back), 0);
	assert_int_equal(back.kind, HANDOVER_SERVE);
	assert_int_equal(back.size, 1ull << 40);
	assert_int_equal(back.block_size, 4096);
	assert_int_equal(back.map_len, (1ull << 30) + 8);
	assert_string_equal(back.config_string, "duotgt/data");
	assert_string_equal(back.device, "uio12");
	assert_false(back.on);
}

static void every_kind_has_its_fields(void **state)
{
	struct handover_request bad = serve;

	(void)state;
	assert_int_equal(reading(&(struct handover_request){HANDOVER_START}), 0);
	assert_int_equal(reading(&(struct handover_request){HANDOVER_RELEASE}), 0);
	assert_int_equal(reading(&(struct handover_request){HANDOVER_CACHE, .on = true}), 0);
	assert_int_equal(reading(&(struct handover_request){HANDOVER_CACHE}), 0);
	assert_int_equal(reading(&(struct handover_request){HANDOVER_RESIZE, .size = 512}), 0);
	assert_int_equal(reading(&(struct handover_request){HANDOVER_CHECK, .config_string = "x"}),
			 0);

	assert_int_equal(reading(&(struct handover_request){HANDOVER_CHECK}), -EPROTO);
	assert_int_equal(reading(&(struct handover_request){HANDOVER_START, .size = 1}), -EPROTO);
	assert_int_equal(reading(&(struct handover_request){HANDOVER_START, .on = true}), -EPROTO);
	assert_int_equal(reading(&(struct handover_request){0}), -EPROTO);
	assert_int_equal(reading(&(struct handover_request){(enum handover_kind)7}), -EPROTO);
	bad.map_len = 0;
	assert_int_equal(reading(&bad), -EPROTO);
	bad = serve;
	bad.device[0] = '\0';
	assert_int_equal(reading(&bad), -EPROTO);
}

/* The longest of everything fits; a byte less, a byte more, another version do not. */
static void bounds(void **state)
{
	struct handover_request longest = serve, back;
	struct bytes_out out;

	(void)state;
	memset(longest.config_string, 'x', HANDOVER_STRING_MAX);
	memset(longest.device, 'y', HANDOVER_DEVICE_MAX);
	out = written(&longest);
	assert_int_equal(handover_get_request(packet, out.len, &back), 0);
	assert_int_equal(strlen(back.config_string), HANDOVER_STRING_MAX);
	assert_int_equal(strlen(back.device), HANDOVER_DEVICE_MAX);
	assert_int_equal(handover_get_request(packet, out.len + 1, &back), -EPROTO);
	for (size_t len = 0; len < out.len; len++)
		assert_int_equal(handover_get_request(packet, len, &back), -EPROTO);
	packet[0]++;
	assert_int_equal(handover_get_request(packet, out.len, &back), -EPROTONOSUPPORT);
}

static void texts_are_judged(void **state)
{
	struct bytes_out out = written(&serve);
	struct handover_request back;

	(void)state;
	packet[25] = '\0'; /* the first byte of the configuration string */
	assert_int_equal(handover_get_request(packet, out.len, &back), -EPROTO);
	out = written(&serve);
	be16_put(packet + 23, HANDOVER_STRING_MAX + 1);
	assert_int_equal(handover_get_request(packet, sizeof(packet), &back), -EPROTO);
}

static void an_answer_arrives(void **state)
{
	struct handover_answer answer = {EBUSY, "it is in use"}, back;
	struct bytes_out out = bytes_out(packet, sizeof(packet));

	(void)state;
	handover_put_answer(&out, &answer);
	assert_int_equal(handover_get_answer(packet, out.len, &back), 0);
	assert_int_equal(back.error, EBUSY);
	assert_string_equal(back.text, "it is in use");
	assert_int_equal(handover_get_answer(packet, out.len - 1, &back), -EPROTO);
	be32_put(packet + 2, 4096);
	assert_int_equal(handover_get_answer(packet, out.len, &back), -EPROTO);
	be32_put(packet + 2, 0x80000000);
	assert_int_equal(handover_get_answer(packet, out.len, &back), -EPROTO);
}

static ino_t inode(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

static void a_descriptor_arrives(void **state)
{
	struct bytes_out out = written(&serve);
	uint8_t buf[HANDOVER_PACKET_MAX];
	int pair[2], file, got;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	assert_true(file >= 0);
	assert_int_equal(handover_send(pair[0], &out, file), 0);
	assert_int_equal(handover_receive(pair[1], buf, &got), out.len);
	assert_memory_equal(buf, packet, out.len);
	assert_int_equal(inode(got), inode(file));
	assert_true(fcntl(got, F_GETFD) & FD_CLOEXEC);
	close(got);
	assert_int_equal(handover_send(pair[0], &out, -1), 0);
	assert_int_equal(handover_receive(pair[1], buf, &got), out.len);
	assert_int_equal(got, -1);
	close(pair[0]);
	assert_int_equal(handover_receive(pair[1], buf, &got), 0);
	close(pair[1]);
	close(file);
}

static void send_fds(int sock, const int *fds, size_t n, size_t len)
{
	char room[CMSG_SPACE(16 * sizeof(int))] = {0};
	uint8_t bytes[2 * HANDOVER_PACKET_MAX] = {0};
	struct iovec iov = {bytes, len};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = room,
			     .msg_controllen = CMSG_SPACE(n * sizeof(int))};
	struct cmsghdr *header = CMSG_FIRSTHDR(&msg);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(header), fds, n * sizeof(int));
	assert_int_equal(sendmsg(sock, &msg, 0), len);
}

/* However many descriptors a stranger sends, none stays open. */
static void descriptors_too_many(void **state)
{
	uint8_t buf[HANDOVER_PACKET_MAX];
	int pair[2], fds[16], got, free_before, free_after;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	for (int i = 0; i < 16; i++)
		fds[i] = pair[0];
	free_before = dup(0);
	close(free_before);
	send_fds(pair[0], fds, 2, 16);
	assert_int_equal(handover_receive(pair[1], buf, &got), -EPROTO);
	send_fds(pair[0], fds, 16, 16);
	assert_int_equal(handover_receive(pair[1], buf, &got), -EPROTO);
	send_fds(pair[0], fds, 1, HANDOVER_PACKET_MAX + 1);
	assert_int_equal(handover_receive(pair[1], buf, &got), -EPROTO);
	assert_int_equal(got, -1);
	free_after = dup(0);
	close(free_after);
	assert_int_equal(free_after, free_before);
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_arrives),
		cmocka_unit_test(every_kind_has_its_fields),
		cmocka_unit_test(bounds),
		cmocka_unit_test(texts_are_judged),
		cmocka_unit_test(an_answer_arrives),
		cmocka_unit_test(a_descriptor_arrives),
		cmocka_unit_test(descriptors_too_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
