/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least that a target can do: one thread, epoll, a login that takes what is offered, reads
 * answered from one static buffer, writes received and dropped. What any real target costs is
 * told by its distance from this. Nothing here is checked more than needed to stay upright.
 *
 * usage: bench_canned [--file PATH] [--spin] [PORT [MIB]]; prints "ready URL" once it listens on
 * 127.0.0.1. With a file, reads come from it and writes go there, by one system call each and one
 * buffer for all: the least that a target with data can do. With --spin it never sleeps.
 */
#include "tests/bench/canned.h"
#include "tests/bench/wire.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define RX_LEN 262144
#define MAX_PDUS 512	     /* that wait to be sent */
#define MAX_PDUS_OF_READ 160 /* OUR_BURST in segments of SMALL_SEGMENT, and a few */
#define SMALL_SEGMENT 8192
#define MAX_WRITES 256
#define OUR_DATA_SEGMENT 262144
#define OUR_BURST 1048576u
#define OUR_FIRST_BURST 262144u
#define WINDOW 128

struct open_write {
	bool used;
	uint32_t itt, got, total, r2tsn;
	uint64_t offset;
	uint8_t lun[8];
};

struct conn {
	int fd;
	uint32_t statsn, exp_cmdsn;
	uint32_t data_segment, burst; /* most that the initiator takes; of one sequence */
	size_t have, used;	      /* of rx: received, parsed */
	uint64_t skip;		      /* bytes of a data segment still to be dropped */
	int write;		      /* whose they are, or -1 */
	bool write_final;	      /* its sequence ends with them */
	unsigned n_iov, first_iov, n_heads;
	struct iovec iov[2 * MAX_PDUS];
	uint8_t heads[MAX_PDUS][BHS_LEN];
	struct open_write writes[MAX_WRITES];
	uint8_t rx[RX_LEN];
};

static uint8_t disk_data[OUR_BURST]; /* what every read gets */
static uint64_t disk_blocks;
static int epoll_fd, file_fd = -1;

/* As many PDUs as the largest read may need are free. */
static bool room_for_answers(const struct conn *conn)
{
	return conn->n_heads + MAX_PDUS_OF_READ <= MAX_PDUS;
}

/* ---- sending ---- */

static uint8_t *pdu_new(struct conn *conn, uint8_t opcode, uint32_t itt)
{
	uint8_t *bhs = conn->heads[conn->n_heads++];

	memset(bhs, 0, BHS_LEN);
	bhs[0] = opcode;
	bhs[1] = FINAL;
	be32_put(bhs + 16, itt);
	return bhs;
}

/* @data stays where it is until it has been sent. */
static void pdu_queue(struct conn *conn, uint8_t *bhs, const void *data, uint32_t len)
{
	be24_put(bhs + 5, len);
	be32_put(bhs + 28, conn->exp_cmdsn);
	be32_put(bhs + 32, conn->exp_cmdsn + WINDOW - 1);
	conn->iov[conn->n_iov++] = (struct iovec){bhs, BHS_LEN};
	if (len)
		conn->iov[conn->n_iov++] = (struct iovec){(void *)data, padded(len)};
}

static void status_queue(struct conn *conn, uint32_t itt, uint8_t status)
{
	static const uint8_t invalid_opcode[20] = {0, 18, 0x70, 0, 0x05, 0, 0, 0, 0, 10,
						   0, 0,  0,	0, 0x20, 0, 0, 0, 0, 0};
	uint8_t *bhs = pdu_new(conn, SCSI_RESPONSE, itt);

	bhs[3] = status;
	be32_put(bhs + 24, conn->statsn++);
	pdu_queue(conn, bhs, invalid_opcode, status == GOOD ? 0 : sizeof(invalid_opcode));
}

static void data_in_queue(struct conn *conn, uint32_t itt, const uint8_t *data, uint32_t len,
			  uint32_t wanted)
{
	uint32_t offset = 0, in_burst = 0, datasn = 0, n;

	do {
		uint8_t *bhs = pdu_new(conn, DATA_IN, itt);

		n = len - offset;
		if (n > conn->data_segment)
			n = conn->data_segment;
		if (n > conn->burst - in_burst)
			n = conn->burst - in_burst;
		in_burst += n;
		bhs[1] = 0;
		if (in_burst == conn->burst || offset + n == len) {
			bhs[1] = FINAL;
			in_burst = 0;
		}
		if (offset + n == len) {
			bhs[1] |= DATA_IN_STATUS | (wanted > len ? 0x02 : 0);
			be32_put(bhs + 24, conn->statsn++);
			be32_put(bhs + 44, wanted - len);
		}
		be32_put(bhs + 20, NO_TAG);
		be32_put(bhs + 36, datasn++);
		be32_put(bhs + 40, offset);
		pdu_queue(conn, bhs, data + offset, n);
		offset += n;
	} while (offset < len);
}

/* True when all is sent, and there is room for new answers. */
static bool flush(struct conn *conn)
{
	while (conn->first_iov < conn->n_iov) {
		struct msghdr msg = {.msg_iov = conn->iov + conn->first_iov,
				     .msg_iovlen = conn->n_iov - conn->first_iov};
		ssize_t n = sendmsg(conn->fd, &msg, MSG_NOSIGNAL);

		if (n < 0)
			return false;
		for (; n > 0; conn->first_iov++) {
			struct iovec *iov = &conn->iov[conn->first_iov];

			if ((size_t)n < iov->iov_len) {
				iov->iov_base = (uint8_t *)iov->iov_base + n;
				iov->iov_len -= (size_t)n;
				break;
			}
			n -= (ssize_t)iov->iov_len;
		}
	}
	conn->n_iov = conn->first_iov = conn->n_heads = 0;
	return true;
}

/* ---- writes ---- */

static void write_go_on(struct conn *conn, unsigned index)
{
	struct open_write *write = &conn->writes[index];
	uint32_t left = write->total - write->got;
	uint8_t *bhs;

	if (left == 0) {
		write->used = false;
		if (file_fd >= 0 && pwrite(file_fd, disk_data, write->total,
					   (off_t)write->offset) != (ssize_t)write->total)
			exit(1);
		status_queue(conn, write->itt, GOOD);
		return;
	}
	bhs = pdu_new(conn, R2T, write->itt);
	memcpy(bhs + 8, write->lun, 8);
	be32_put(bhs + 20, index);
	be32_put(bhs + 24, conn->statsn);
	be32_put(bhs + 36, write->r2tsn++);
	be32_put(bhs + 40, write->got);
	be32_put(bhs + 44, left < conn->burst ? left : conn->burst);
	pdu_queue(conn, bhs, NULL, 0);
}

/* The data segment that follows belongs to a write; what is due comes after its last byte. */
static void write_data(struct conn *conn, unsigned index, const uint8_t *bhs)
{
	conn->writes[index].got += pdu_data_len(bhs);
	conn->write = (int)index;
	conn->write_final = bhs[1] & FINAL;
}

static void write_data_over(struct conn *conn)
{
	if (conn->write >= 0 && conn->write_final)
		write_go_on(conn, (unsigned)conn->write);
	conn->write = -1;
}

static bool write_begin(struct conn *conn, const uint8_t *bhs, const struct canned_wish *wish)
{
	for (unsigned i = 0; i < MAX_WRITES; i++) {
		struct open_write *write = &conn->writes[i];

		if (write->used)
			continue;
		*write = (struct open_write){.used = true,
					     .itt = be32_get(bhs + 16),
					     .total = (uint32_t)wish->len,
					     .offset = wish->offset};
		memcpy(write->lun, bhs + 8, 8);
		write_data(conn, i, bhs);
		return true;
	}
	return false;
}

static bool take_data_out(struct conn *conn, const uint8_t *bhs)
{
	uint32_t ttt = be32_get(bhs + 20);

	for (unsigned i = 0; ttt == NO_TAG && i < MAX_WRITES; i++)
		if (conn->writes[i].used && conn->writes[i].itt == be32_get(bhs + 16))
			ttt = i;
	if (ttt >= MAX_WRITES || !conn->writes[ttt].used)
		return false;
	write_data(conn, ttt, bhs);
	return true;
}

/* ---- commands ---- */

static bool take_command(struct conn *conn, const uint8_t *bhs)
{
	static uint8_t answers[MAX_PDUS][CANNED_ANSWER_MAX]; /* stay until sent */
	static unsigned next_answer;
	uint32_t itt = be32_get(bhs + 16), wanted = be32_get(bhs + 20);
	struct canned_wish wish;

	canned_look(bhs + 32, disk_blocks, &wish);
	switch (wish.what) {
	case CANNED_READ:
		if (wish.len == 0)
			status_queue(conn, itt, GOOD);
		else if (wish.len > sizeof(disk_data) || wish.len > wanted ||
			 conn->data_segment < SMALL_SEGMENT || conn->burst < 8 * SMALL_SEGMENT)
			return false;
		else if (file_fd >= 0 && pread(file_fd, disk_data, wish.len, (off_t)wish.offset) !=
						 (ssize_t)wish.len)
			return false;
		else
			data_in_queue(conn, itt, disk_data, (uint32_t)wish.len, wanted);
		return true;
	case CANNED_WRITE:
		if (wish.len == 0)
			status_queue(conn, itt, GOOD);
		if (wish.len > sizeof(disk_data))
			return false;
		return wish.len == 0 || write_begin(conn, bhs, &wish);
	case CANNED_ANSWER:
		next_answer = (next_answer + 1) % MAX_PDUS;
		memcpy(answers[next_answer], wish.answer, wish.answer_len);
		data_in_queue(conn, itt, answers[next_answer], (uint32_t)wish.answer_len, wanted);
		return true;
	default:
		status_queue(conn, itt, wish.what == CANNED_NOTHING ? GOOD : CHECK_CONDITION);
		return true;
	}
}

/* ---- login and text ---- */

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* What is said to one key; an empty answer says nothing. */
static void key_answer(struct conn *conn, const char *key, const char *value, char *ret, size_t cap)
{
	static const char *const fixed[][2] = {
		{"AuthMethod", "None"},
		{"HeaderDigest", "None"},
		{"DataDigest", "None"},
		{"MaxConnections", "1"},
		{"ErrorRecoveryLevel", "0"},
		{"DataPDUInOrder", "Yes"},
		{"DataSequenceInOrder", "Yes"},
		{"DefaultTime2Retain", "0"},
		{"IFMarker", "No"},
		{"OFMarker", "No"},
		{"InitiatorName", ""},
		{"InitiatorAlias", ""},
		{"SessionType", ""},
		{"TargetName", ""},
	};
	static const char *const as_offered[] = {"InitialR2T", "ImmediateData", "DefaultTime2Wait"};
	uint32_t n = (uint32_t)strtoul(value, NULL, 0);

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		if (strcmp(key, fixed[i][0]) == 0) {
			snprintf(ret, cap, "%s", fixed[i][1]);
			return;
		}
	for (size_t i = 0; i < sizeof(as_offered) / sizeof(as_offered[0]); i++)
		if (strcmp(key, as_offered[i]) == 0) {
			snprintf(ret, cap, "%s", value);
			return;
		}
	if (strcmp(key, "MaxRecvDataSegmentLength") == 0) {
		conn->data_segment = n;
		snprintf(ret, cap, "%u", OUR_DATA_SEGMENT);
	} else if (strcmp(key, "MaxBurstLength") == 0) {
		conn->burst = smaller(n, OUR_BURST);
		snprintf(ret, cap, "%u", conn->burst);
	} else if (strcmp(key, "FirstBurstLength") == 0) {
		snprintf(ret, cap, "%u", smaller(n, OUR_FIRST_BURST));
	} else if (strcmp(key, "MaxOutstandingR2T") == 0) {
		snprintf(ret, cap, "1");
	} else {
		snprintf(ret, cap, "NotUnderstood");
	}
}

static uint32_t text_answer(struct conn *conn, const char *text, size_t len, char *ret, size_t cap)
{
	const char *end = text + len;
	size_t out = 0;

	while (text < end) {
		size_t n = strnlen(text, (size_t)(end - text));
		char pair[512], value[256] = "";
		char *equals;

		snprintf(pair, sizeof(pair), "%.*s", (int)n, text);
		text += n + 1;
		equals = strchr(pair, '=');
		if (!equals)
			continue;
		*equals = '\0';
		key_answer(conn, pair, equals + 1, value, sizeof(value));
		if (value[0] && out + strlen(pair) + strlen(value) + 2 <= cap)
			out += (size_t)sprintf(ret + out, "%s=%s", pair, value) + 1;
	}
	return (uint32_t)out;
}

static void take_login(struct conn *conn, const uint8_t *bhs, const uint8_t *text)
{
	static char answer[4096];
	uint32_t len = text_answer(conn, (const char *)text, pdu_data_len(bhs), answer,
				   sizeof(answer) - 32);
	uint8_t *rsp = pdu_new(conn, LOGIN_RESPONSE, be32_get(bhs + 16));

	conn->exp_cmdsn = be32_get(bhs + 24);
	if (conn->statsn == 0) {
		conn->statsn = be32_get(bhs + 28);
		len += (uint32_t)sprintf(answer + len, "TargetPortalGroupTag=1") + 1;
	}
	rsp[1] = bhs[1] & (TRANSIT | 0x0f);
	memcpy(rsp + 8, bhs + 8, 6);
	be16_put(rsp + 14, 1);
	be32_put(rsp + 24, conn->statsn++);
	memset(answer + len, 0, 4);
	pdu_queue(conn, rsp, answer, len);
	flush(conn); /* before the answer's buffer is used again */
}

/* NOP-Out, task management, text and logout: an empty answer, for nothing is ever under way. */
static void take_simple(struct conn *conn, const uint8_t *bhs)
{
	uint8_t opcode = pdu_opcode(bhs) | 0x20;
	uint8_t *rsp;

	if (opcode == NOP_IN && be32_get(bhs + 16) == NO_TAG)
		return;
	rsp = pdu_new(conn, opcode, be32_get(bhs + 16));
	if (opcode == NOP_IN || opcode == TEXT_RESPONSE)
		be32_put(rsp + 20, NO_TAG);
	be32_put(rsp + 24, conn->statsn++);
	pdu_queue(conn, rsp, NULL, 0);
}

/* ---- receiving ---- */

/* One request whose header is complete. False: the connection is of no more use. */
static bool take_pdu(struct conn *conn, const uint8_t *bhs)
{
	uint8_t opcode = pdu_opcode(bhs);

	if (opcode == LOGIN_REQUEST) {
		take_login(conn, bhs, bhs + BHS_LEN);
		return true;
	}
	if (!(bhs[0] & IMMEDIATE) && opcode != DATA_OUT)
		conn->exp_cmdsn++;
	switch (opcode) {
	case SCSI_COMMAND:
		return take_command(conn, bhs);
	case DATA_OUT:
		return take_data_out(conn, bhs);
	case NOP_OUT:
	case TMF_REQUEST:
	case TEXT_REQUEST:
	case LOGOUT_REQUEST:
		take_simple(conn, bhs);
		return true;
	default:
		return false;
	}
}

static void drop(struct conn *conn)
{
	uint64_t n = conn->have - conn->used;

	if (n > conn->skip)
		n = conn->skip;
	conn->used += n;
	conn->skip -= n;
}

static bool parse(struct conn *conn)
{
	while (room_for_answers(conn)) {
		const uint8_t *bhs = conn->rx + conn->used;
		size_t left, whole = BHS_LEN;

		drop(conn);
		if (conn->skip)
			break;
		write_data_over(conn);
		bhs = conn->rx + conn->used;
		left = conn->have - conn->used;
		if (left >= BHS_LEN && pdu_opcode(bhs) == LOGIN_REQUEST)
			whole += padded(pdu_data_len(bhs));
		if (left < whole)
			break;
		if (!take_pdu(conn, bhs))
			return false;
		conn->used += whole;
		conn->skip = pdu_ahs_len(bhs) + BHS_LEN + padded(pdu_data_len(bhs)) - whole;
	}
	memmove(conn->rx, conn->rx + conn->used, conn->have - conn->used);
	conn->have -= conn->used;
	conn->used = 0;
	return true;
}

static bool conn_run(struct conn *conn, uint32_t events)
{
	bool was_waiting = conn->n_iov > 0, sent;
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
	ssize_t n;

	if (events & EPOLLIN && !was_waiting && conn->have < RX_LEN) {
		n = recv(conn->fd, conn->rx + conn->have, RX_LEN - conn->have, 0);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			return false;
		conn->have += n > 0 ? (size_t)n : 0;
	}
	do {
		sent = flush(conn);
		if (!sent)
			break;
		if (!parse(conn))
			return false;
	} while (conn->n_iov > 0);
	if (!sent && errno != EAGAIN)
		return false;
	if (sent != !was_waiting) {
		event.events = sent ? EPOLLIN : EPOLLOUT;
		epoll_ctl(epoll_fd, EPOLL_CTL_MOD, conn->fd, &event);
	}
	return true;
}

static void conn_new(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
	struct conn *conn = fd < 0 ? NULL : calloc(1, sizeof(*conn));
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};

	if (!conn)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	conn->fd = fd;
	conn->write = -1;
	conn->data_segment = 8192;
	conn->burst = 262144;
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static int listen_on(uint16_t port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_port = htons(port),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, len) < 0 || listen(fd, 4096) < 0 ||
	    getsockname(fd, (struct sockaddr *)&addr, &len) < 0) {
		perror("bench_canned");
		exit(1);
	}
	printf("ready iscsi://127.0.0.1:%u/iqn.2026-01.org.example:disk/0\n", ntohs(addr.sin_port));
	fflush(stdout);
	return fd;
}

static void at_signal(int number)
{
	(void)number;
	_exit(0);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"file", required_argument, NULL, 'f'}, {"spin", no_argument, NULL, 's'}, {0}};
	struct epoll_event events[64], event = {.events = EPOLLIN};
	int timeout_ms = -1, option, listener;

	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (option == 'f')
			file_fd = open(optarg, O_RDWR | O_CLOEXEC);
		if (option == '?' || (option == 'f' && file_fd < 0)) {
			fprintf(stderr, "bench_canned: wrong usage, or no such file\n");
			return 2;
		}
		timeout_ms = option == 's' ? 0 : timeout_ms;
	}
	argv += optind;
	argc -= optind;
	listener = listen_on((uint16_t)(argc > 0 ? atoi(argv[0]) : 0));
	disk_blocks = (argc > 1 ? strtoull(argv[1], NULL, 10) : 1024) * (1048576 / CANNED_BLOCK);
	signal(SIGTERM, at_signal);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
	memset(disk_data, 0x5a, sizeof(disk_data)); /* pages of its own, not the zero page */
	for (;;) {
		int n = epoll_wait(epoll_fd, events, 64, timeout_ms);

		for (int i = 0; i < n; i++) {
			struct conn *conn = events[i].data.ptr;

			if (!conn) {
				conn_new(listener);
			} else if (!conn_run(conn, events[i].events)) {
				close(conn->fd);
				free(conn);
			}
		}
	}
}
