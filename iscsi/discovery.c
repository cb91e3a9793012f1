/* SPDX-License-Identifier: Apache-2.0 */
/* SendTargets: which targets there are, and where. Source: RFC 7143 appendix C. */
#include "iscsi/conn_priv.h"
#include "iscsi/text.h"
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

int targets_record(const struct iscsi_conn *conn, unsigned target, uint8_t **bytes, size_t *len)
{
	const struct iscsi_server *server = conn->server;
	struct text text = {.bytes = *bytes, .len = *len};
	const struct engine_sock *listener;
	const char *address;
	uint16_t tag;

	text_add(&text, "TargetName", server_target_name(server, target));
	for (unsigned i = 0; server_link(server, target, i, &tag, &listener, &address); i++) {
		char local[80], value[128];

		if (!address && !wildcard_address(conn, listener, local, sizeof(local)))
			continue;
		snprintf(value, sizeof(value), "%s,%u", address ? address : local, tag);
		text_add(&text, "TargetAddress", value);
	}
	*bytes = text.bytes;
	*len = text.len;
	return text.error;
}

/* See the table in appendix C. An operational session learns of its own target only. */
bool targets_select(const struct iscsi_conn *conn, const char *name, size_t len,
		    unsigned *ret_first, unsigned *ret_end)
{
	const struct iscsi_session *session = conn->session;
	bool all = len == 3 && !memcmp(name, "All", 3);
	char folded[ISCSI_NAME_MAX + 1];
	int own = session->discovery
			  ? -1
			  : server_target_index(conn->server, scsi_target_name(session->target));
	int one = -1;

	*ret_first = *ret_end = 0;
	if (all && session->discovery)
		*ret_end = server_n_targets(conn->server);
	else if (all)
		return false;
	else if (!len)
		one = own;
	else if (iscsi_name_normalize(name, len, folded) == 0)
		one = server_target_index(conn->server, folded);
	if (one >= 0 && (session->discovery || one == own)) {
		*ret_first = (unsigned)one;
		*ret_end = *ret_first + 1;
	}
	return true;
}
