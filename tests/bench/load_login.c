/* SPDX-License-Identifier: Apache-2.0 */
/* One login request with all keys, straight to the full feature phase. */
#include "tests/bench/load.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

void session_connect(struct session *s)
{
	const struct options *opt = s->worker->opt;
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(opt->port)};
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = s};
	int on = 1;

	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0 || inet_pton(AF_INET, opt->host, &addr.sin_addr) != 1) {
		session_fail(s, "no socket, or no IPv4 address");
		return;
	}
	setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(s->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 && errno != EINPROGRESS) {
		session_fail(s, "cannot connect");
		return;
	}
	s->state = CONNECTING;
	s->waits_to_send = true;
	epoll_ctl(s->worker->epoll_fd, EPOLL_CTL_ADD, s->fd, &event);
}

static const char *yes_no(bool yes)
{
	return yes ? "Yes" : "No";
}

static void iqn_make(const struct session *s, char *iqn, size_t cap)
{
	const struct options *opt = s->worker->opt;
	const char *place = opt->n_targets ? strstr(opt->iqn, "{}") : NULL;

	if (place)
		snprintf(iqn, cap, "%.*s%u%s", (int)(place - opt->iqn), opt->iqn,
			 s->index % opt->n_targets, place + 2);
	else
		snprintf(iqn, cap, "%s", opt->iqn);
}

static size_t login_text(const struct session *s, char *text, size_t cap)
{
	const struct options *opt = s->worker->opt;
	char iqn[300];
	size_t len;

	iqn_make(s, iqn, sizeof(iqn));
	len = (size_t)snprintf(
		text, cap,
		"InitiatorName=%s;SessionType=Normal;TargetName=%s;HeaderDigest=%s;DataDigest=%s;"
		"MaxRecvDataSegmentLength=262144;MaxBurstLength=1048576;FirstBurstLength=262144;"
		"InitialR2T=%s;ImmediateData=%s;MaxOutstandingR2T=1;MaxConnections=1;"
		"DefaultTime2Wait=0;DefaultTime2Retain=0;ErrorRecoveryLevel=0;"
		"DataPDUInOrder=Yes;DataSequenceInOrder=Yes;",
		opt->initiator, iqn, opt->header_digest ? "CRC32C" : "None",
		opt->data_digest ? "CRC32C" : "None", yes_no(opt->initial_r2t),
		yes_no(opt->immediate_data));
	for (size_t i = 0; i < len; i++)
		if (text[i] == ';')
			text[i] = '\0';
	return len;
}

static void login_send(struct session *s)
{
	char *text = malloc(2048);
	size_t len = text ? login_text(s, text, 2048) : 0;
	struct tx_pdu *pdu = session_tx(s, LOGIN_REQUEST | IMMEDIATE, 0);

	s->state = LOGGING_IN;
	s->text = (uint8_t *)text; /* until the answer is here */
	pdu->head[1] = TRANSIT | 1 << 2 | 3;
	pdu->head[8] = 0x80; /* ISID: random, and the session's number */
	be24_put(pdu->head + 9, (uint32_t)getpid());
	be16_put(pdu->head + 12, (uint16_t)s->index);
	be32_put(pdu->head + 24, s->cmdsn);
	session_tx_data(s, pdu, s->text, (uint32_t)len);
}

void session_connected(struct session *s)
{
	socklen_t len = sizeof(int);
	int error = 0;

	getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	errno = error;
	if (error)
		session_fail(s, "cannot connect");
	else
		login_send(s);
}

static void take_key(struct session *s, const char *key, const char *value)
{
	uint32_t n = (uint32_t)strtoul(value, NULL, 0);
	bool yes = strcmp(value, "Yes") == 0, crc = strcmp(value, "CRC32C") == 0;

	if (strcmp(key, "MaxRecvDataSegmentLength") == 0)
		s->data_segment = n;
	else if (strcmp(key, "MaxBurstLength") == 0)
		s->burst = n;
	else if (strcmp(key, "FirstBurstLength") == 0)
		s->first_burst = n;
	else if (strcmp(key, "InitialR2T") == 0)
		s->initial_r2t = yes;
	else if (strcmp(key, "ImmediateData") == 0)
		s->immediate_data = yes;
	else if (strcmp(key, "HeaderDigest") == 0)
		s->header_digest = crc;
	else if (strcmp(key, "DataDigest") == 0)
		s->data_digest = crc;
}

/* The answer is in head and text. Digests begin with the next PDU. */
void session_take_login(struct session *s)
{
	const struct options *opt = s->worker->opt;
	const char *text = (const char *)s->text, *end = text + s->text_len;
	char pair[400];

	if (be16_get(s->head + 36) != 0) {
		snprintf(pair, sizeof(pair), "login refused with %04x", be16_get(s->head + 36));
		session_fail(s, pair);
		return;
	}
	for (; text < end; text += strnlen(text, (size_t)(end - text)) + 1) {
		char *equals;

		snprintf(pair, sizeof(pair), "%.*s", (int)(end - text), text);
		equals = strchr(pair, '=');
		if (!equals)
			continue;
		*equals = '\0';
		take_key(s, pair, equals + 1);
	}
	if ((s->head[1] & 0x83) != 0x83) {
		session_fail(s, "the target wants a longer login");
		return;
	}
	if (s->header_digest != opt->header_digest || s->data_digest != opt->data_digest) {
		session_fail(s, "the target does not agree to the digests");
		return;
	}
	work_logged_in(s);
}
