/* SPDX-License-Identifier: Apache-2.0 */
/* SendTargets: which targets there are, and where. Source: RFC 7143 appendix C. */
#include "iscsi/conn_priv.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

struct text {
	uint8_t *bytes;
	size_t len;
	int error;
};

static void text_add(struct text *text, const char *key, const char *value)
{
	size_t n = strlen(key) + 1 + strlen(value) + 1;
	uint8_t *bytes;

	if (text->error)
		return;
	bytes = realloc(text->bytes, text->len + n);
	if (!bytes) {
		text->error = -ENOMEM;
		return;
	}
	snprintf((char *)bytes + text->len, n, "%s=%s", key, value);
	text->bytes = bytes;
	text->len += n;
}

/* A wildcard portal is named by the address this connection came to, with the portal's port. */
static bool wildcard_address(const struct iscsi_conn *conn, const struct engine_sock *listener,
			     char *buf, size_t len)
{
	struct sockaddr_storage ours, theirs;
	socklen_t ours_len = sizeof(ours), theirs_len = sizeof(theirs);
	char ip[INET6_ADDRSTRLEN];

	if (getsockname(conn->sock.fd, (struct sockaddr *)&ours, &ours_len) < 0 ||
	    getsockname(listener->fd, (struct sockaddr *)&theirs, &theirs_len) < 0 ||
	    ours.ss_family != theirs.ss_family)
		return false;
	if (ours.ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&ours)->sin6_addr, ip, sizeof(ip));
		snprintf(buf, len, "[%s]:%u", ip,
			 ntohs(((struct sockaddr_in6 *)&theirs)->sin6_port));
	} else {
		inet_ntop(AF_INET, &((struct sockaddr_in *)&ours)->sin_addr, ip, sizeof(ip));
		snprintf(buf, len, "%s:%u", ip, ntohs(((struct sockaddr_in *)&theirs)->sin_port));
	}
	return true;
}

static void add_record(const struct iscsi_conn *conn, unsigned target, struct text *text)
{
	const struct iscsi_server *server = conn->server;
	const struct engine_sock *listener;
	const char *address;
	unsigned of;
	uint16_t tag;

	text_add(text, "TargetName", server_target_name(server, target));
	for (unsigned i = 0; server_link(server, i, &of, &tag, &listener, &address); i++) {
		char local[80], value[128];

		if (of != target)
			continue;
		if (!address && !wildcard_address(conn, listener, local, sizeof(local)))
			continue;
		snprintf(value, sizeof(value), "%s,%u", address ? address : local, tag);
		text_add(text, "TargetAddress", value);
	}
}

/* What a session may ask for: see the table in appendix C. Return: whether it may. */
static bool wanted(const struct iscsi_conn *conn, const char *target, const char *name, size_t len)
{
	const struct iscsi_session *session = conn->session;
	char folded[ISCSI_NAME_MAX + 1];

	if (!session->discovery && strcmp(target, scsi_target_name(session->target)))
		return false; /* an operational session learns of its own target only */
	if (!len)
		return !session->discovery;
	if (len == 3 && !memcmp(name, "All", 3))
		return session->discovery;
	return iscsi_name_normalize(name, len, folded) == 0 && !strcmp(folded, target);
}

int server_send_targets(const struct iscsi_conn *conn, const char *name, size_t name_len,
			uint8_t **bytes, size_t *len)
{
	struct text text = {.bytes = *bytes, .len = *len};

	if (!conn->session->discovery && name_len == 3 && !memcmp(name, "All", 3))
		text_add(&text, "SendTargets", "Reject");
	for (unsigned i = 0; i < server_n_targets(conn->server); i++) {
		const char *target = server_target_name(conn->server, i);

		if (wanted(conn, target, name, name_len))
			add_record(conn, i, &text);
	}
	*bytes = text.bytes;
	*len = text.len;
	return text.error;
}
