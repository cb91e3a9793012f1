/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions that count up together: each reads a block, and by COMPARE AND WRITE makes it one more.
 * A block is its counter, over and over, so that a torn one shows. At the end each counter must be
 * what all sessions together have added. An initiator of its own, so that nothing but this file and
 * the C library stands between the test and the wire.
 *
 *	caw_load IQN SESSIONS BLOCKS COUNT HOST:PORT|/dev/NAME...
 *
 * Sessions take the portals in turn; one that is a device node is a way through the kernel. Each
 * counter, at LUN 0 from LBA 0 on, ends at COUNT, which is a multiple of SESSIONS. Prints one
 * line; exit status 0 when all is exact. Source: RFC 7143.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <scsi/sg.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BHS = 48, BLOCK = 512, TEXT_MAX = 1024, DATA_MAX = 8192 };
enum { LOGIN = 0x03, COMMAND = 0x01, IMMEDIATE = 0x40, FINAL = 0x80 };
enum { NOP_IN = 0x20, SCSI_RESPONSE = 0x21, LOGIN_RESPONSE = 0x23, DATA_IN = 0x25 };
enum { READ_DATA = 0x40, WRITE_DATA = 0x20, SIMPLE = 0x01, HAS_STATUS = 0x01 };
enum { GOOD = 0x00, CHECK_CONDITION = 0x02, MISCOMPARE = 0x0e, UNIT_ATTENTION = 0x06 };

struct session {
	pthread_t thread;
	int fd;
	bool passes_through; /* fd is of a device, not of a connection */
	unsigned index, seed;
	uint32_t itt, cmdsn, expstatsn;
	uint8_t sense_key; /* of the last CHECK CONDITION */
	uint64_t n_good, n_lost;
};

static const char *iqn;
static unsigned n_sessions, n_blocks, n_portals;
static uint64_t count;
static char **portals;

__attribute__((format(printf, 1, 2), noreturn)) static void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "caw_load: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	exit(1);
}

/* ---- bytes ---- */

static void put(uint8_t *at, unsigned n_bytes, uint64_t value)
{
	while (n_bytes--) {
		at[n_bytes] = (uint8_t)value;
		value >>= 8;
	}
}

static uint64_t get(const uint8_t *at, unsigned n_bytes)
{
	uint64_t value = 0;

	while (n_bytes--)
		value = value << 8 | *at++;
	return value;
}

static void send_all(const struct session *s, const uint8_t *data, size_t len)
{
	while (len) {
		ssize_t n = send(s->fd, data, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			die("session %u: send: %s", s->index, strerror(errno));
		data += n;
		len -= (size_t)n;
	}
}

static void recv_all(const struct session *s, uint8_t *data, size_t len)
{
	while (len) {
		ssize_t n = recv(s->fd, data, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			die("session %u: recv: %s", s->index, n ? strerror(errno) : "closed");
		data += n;
		len -= (size_t)n;
	}
}

/* ---- PDUs ---- */

/* @pdu: a header, and room for @len bytes of data behind it, which are there, and for padding */
static void send_pdu(struct session *s, uint8_t *pdu, size_t len)
{
	size_t padded = (len + 3) & ~(size_t)3;

	put(pdu + 5, 3, len);
	put(pdu + 28, 4, s->expstatsn);
	memset(pdu + BHS + len, 0, padded - len);
	send_all(s, pdu, BHS + padded);
}

/* Return: bytes of data, which lie at @data. */
static size_t recv_pdu(struct session *s, uint8_t *bhs, uint8_t *data)
{
	size_t len;

	recv_all(s, bhs, BHS);
	len = (size_t)get(bhs + 5, 3);
	if (len > DATA_MAX)
		die("session %u: %zu bytes in a PDU", s->index, len);
	recv_all(s, data, (len + 3) & ~(size_t)3);
	return len;
}

static void answer_ping(struct session *s, const uint8_t *ping)
{
	uint8_t pdu[BHS] = {IMMEDIATE, FINAL};

	if (get(ping + 20, 4) == UINT32_MAX)
		return;
	memcpy(pdu + 8, ping + 8, 8);
	put(pdu + 16, 4, UINT32_MAX);
	memcpy(pdu + 20, ping + 20, 4);
	put(pdu + 24, 4, s->cmdsn);
	send_pdu(s, pdu, 0);
}

/* ---- a session ---- */

static int connect_to(const char *portal)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
	char host[256];
	const char *port = strrchr(portal, ':');
	int fd, one = 1;

	if (!port || (size_t)(port - portal) >= sizeof(host))
		die("%s is not HOST:PORT", portal);
	snprintf(host, sizeof(host), "%.*s", (int)(port - portal), portal);
	if (getaddrinfo(host, port + 1, &hints, &found))
		die("%s: no such address", portal);
	fd = socket(found->ai_family, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) < 0)
		die("%s: %s", portal, strerror(errno));
	freeaddrinfo(found);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static size_t add_key(uint8_t *text, size_t len, const char *key, const char *value)
{
	int n = snprintf((char *)text + len, TEXT_MAX - len, "%s=%s", key, value);

	if (n < 0 || (size_t)n >= TEXT_MAX - len)
		die("the login text is too long");
	return len + (size_t)n + 1;
}

static void login(struct session *s)
{
	uint8_t pdu[BHS + TEXT_MAX] = {IMMEDIATE | LOGIN,
				       0x87}; /* T, operational to full feature */
	uint8_t bhs[BHS], data[DATA_MAX];
	char name[128];
	size_t len = 0;

	snprintf(name, sizeof(name), "iqn.2026-01.org.example:counter-%u", s->index);
	len = add_key(pdu + BHS, len, "InitiatorName", name);
	len = add_key(pdu + BHS, len, "TargetName", iqn);
	len = add_key(pdu + BHS, len, "SessionType", "Normal");
	len = add_key(pdu + BHS, len, "ImmediateData", "Yes");
	len = add_key(pdu + BHS, len, "InitialR2T", "Yes");
	len = add_key(pdu + BHS, len, "HeaderDigest", "None");
	len = add_key(pdu + BHS, len, "DataDigest", "None");
	put(pdu + 8, 6, 0x80caff000000 + s->index); /* ISID, of the random kind */
	put(pdu + 16, 4, s->itt++);
	put(pdu + 24, 4, s->cmdsn);
	send_pdu(s, pdu, len);
	recv_pdu(s, bhs, data);
	if (bhs[0] != LOGIN_RESPONSE || get(bhs + 36, 2) || bhs[1] != 0x87)
		die("session %u: login: status %04x, flags %02x", s->index,
		    (unsigned)get(bhs + 36, 2), bhs[1]);
	s->expstatsn = (uint32_t)get(bhs + 24, 4) + 1;
}

static uint8_t pass_through(struct session *s, const uint8_t *cdb, const uint8_t *out,
			    size_t out_len, uint8_t *in)
{
	uint8_t copy[2 * BLOCK], bytes[16], sense[96] = {0};
	struct sg_io_hdr io = {
		.interface_id = 'S',
		.dxfer_direction = in	     ? SG_DXFER_FROM_DEV
				   : out_len ? SG_DXFER_TO_DEV
					     : SG_DXFER_NONE,
		.dxferp = in ? in : copy,
		.dxfer_len = in ? BLOCK : (unsigned)out_len,
		.cmdp = bytes,
		.cmd_len = sizeof(bytes),
		.sbp = sense,
		.mx_sb_len = sizeof(sense),
		.timeout = 60000,
	};

	memcpy(bytes, cdb, sizeof(bytes));
	if (out_len)
		memcpy(copy, out, out_len);
	if (ioctl(s->fd, SG_IO, &io) < 0)
		die("session %u: SG_IO: %s", s->index, strerror(errno));
	if (io.host_status)
		die("session %u: the host adapter says %04x", s->index, io.host_status);
	if (in && io.status == GOOD && io.resid)
		die("session %u: %d bytes are missing", s->index, io.resid);
	s->sense_key = io.status == CHECK_CONDITION ? sense[2] & 0x0f : 0;
	return io.status;
}

/* One command, alone on its session; a read's block comes to @in. Return: its status. */
static uint8_t command(struct session *s, const uint8_t *cdb, const uint8_t *out, size_t out_len,
		       uint8_t *in)
{
	uint8_t pdu[BHS + 2 * BLOCK] = {COMMAND, FINAL | SIMPLE}, bhs[BHS], data[DATA_MAX];
	uint32_t itt = s->itt++;

	if (s->passes_through)
		return pass_through(s, cdb, out, out_len, in);
	pdu[1] |= in ? READ_DATA : out_len ? WRITE_DATA : 0;
	put(pdu + 16, 4, itt);
	put(pdu + 20, 4, in ? BLOCK : out_len);
	put(pdu + 24, 4, s->cmdsn++);
	memcpy(pdu + 32, cdb, 16);
	if (out_len)
		memcpy(pdu + BHS, out, out_len);
	send_pdu(s, pdu, out_len);
	for (;;) {
		size_t len = recv_pdu(s, bhs, data);

		if (bhs[0] == NOP_IN) {
			answer_ping(s, bhs);
			continue;
		}
		if (get(bhs + 16, 4) != itt || (bhs[0] != SCSI_RESPONSE && bhs[0] != DATA_IN))
			die("session %u: an unexpected PDU %02x", s->index, bhs[0]);
		if (bhs[0] == DATA_IN) {
			if (!in || len != BLOCK)
				die("session %u: %zu bytes of data-in", s->index, len);
			memcpy(in, data, BLOCK);
			if (!(bhs[1] & HAS_STATUS))
				continue;
		}
		s->expstatsn = (uint32_t)get(bhs + 24, 4) + 1;
		s->sense_key = bhs[3] == CHECK_CONDITION && len > 4 ? data[4] & 0x0f : 0;
		return bhs[3];
	}
}

static void begin(struct session *s, const char *portal)
{
	static const uint8_t test_unit_ready[16];

	s->passes_through = *portal == '/';
	s->fd = s->passes_through ? open(portal, O_RDWR | O_CLOEXEC) : connect_to(portal);
	if (s->fd < 0)
		die("%s: %s", portal, strerror(errno));
	if (!s->passes_through)
		login(s);
	for (int i = 0; i < 10; i++) {
		if (command(s, test_unit_ready, NULL, 0, NULL) == GOOD)
			return;
		if (s->sense_key != UNIT_ATTENTION)
			break;
	}
	die("session %u: the LU is not ready", s->index);
}

static uint64_t read_counter(struct session *s, unsigned block)
{
	uint8_t cdb[16] = {0x88, [9] = (uint8_t)block, [13] = 1}, data[BLOCK];

	if (command(s, cdb, NULL, 0, data) != GOOD)
		die("session %u: READ failed", s->index);
	for (unsigned i = 8; i < BLOCK; i += 8)
		if (memcmp(data, data + i, 8))
			die("session %u: block %u is torn at byte %u", s->index, block, i);
	return get(data, 8);
}

/* Return: whether it was still @value, and is one more now. */
static bool count_up(struct session *s, unsigned block, uint64_t value)
{
	uint8_t cdb[16] = {0x89, [9] = (uint8_t)block, [13] = 1}, data[2 * BLOCK];
	uint8_t status;

	for (unsigned i = 0; i < BLOCK; i += 8) {
		put(data + i, 8, value);
		put(data + BLOCK + i, 8, value + 1);
	}
	status = command(s, cdb, data, sizeof(data), NULL);
	if (status != GOOD && (status != CHECK_CONDITION || s->sense_key != MISCOMPARE))
		die("session %u: COMPARE AND WRITE: status %02x, sense key %x", s->index, status,
		    s->sense_key);
	return status == GOOD;
}

static void *session_main(void *arg)
{
	struct session *s = arg;
	uint64_t left[256], all = count / n_sessions * n_blocks;

	begin(s, portals[s->index % n_portals]);
	for (unsigned i = 0; i < n_blocks; i++)
		left[i] = count / n_sessions;
	while (all) {
		unsigned block = (unsigned)rand_r(&s->seed) % n_blocks;

		if (!left[block])
			continue;
		if (!count_up(s, block, read_counter(s, block))) {
			s->n_lost++;
			continue;
		}
		s->n_good++;
		left[block]--;
		all--;
	}
	return NULL;
}

static void take_arguments(int argc, char **argv)
{
	if (argc < 6)
		die("usage: caw_load IQN SESSIONS BLOCKS COUNT HOST:PORT|/dev/NAME...");
	iqn = argv[1];
	n_sessions = (unsigned)strtoul(argv[2], NULL, 10);
	n_blocks = (unsigned)strtoul(argv[3], NULL, 10);
	count = strtoull(argv[4], NULL, 10);
	portals = argv + 5;
	n_portals = (unsigned)argc - 5;
	if (!n_sessions || n_sessions > 256 || !n_blocks || n_blocks > 256 || count % n_sessions)
		die("the numbers do not fit");
}

int main(int argc, char **argv)
{
	static struct session sessions[257];
	struct session *judge = &sessions[256];
	uint64_t n_good = 0, n_lost = 0;

	take_arguments(argc, argv);
	for (unsigned i = 0; i < n_sessions; i++) {
		sessions[i].index = sessions[i].seed = i;
		if (pthread_create(&sessions[i].thread, NULL, session_main, &sessions[i]))
			die("no thread");
	}
	for (unsigned i = 0; i < n_sessions; i++) {
		pthread_join(sessions[i].thread, NULL);
		n_good += sessions[i].n_good;
		n_lost += sessions[i].n_lost;
	}
	judge->index = n_sessions;
	begin(judge, portals[0]);
	for (unsigned i = 0; i < n_blocks; i++) {
		uint64_t value = read_counter(judge, i);

		if (value != count)
			die("counter %u is %llu, not %llu", i, (unsigned long long)value,
			    (unsigned long long)count);
	}
	printf("%llu counted, %llu lost to others\n", (unsigned long long)n_good,
	       (unsigned long long)n_lost);
	for (unsigned i = 0; i < n_sessions; i++)
		close(sessions[i].fd);
	close(judge->fd);
	return 0;
}
