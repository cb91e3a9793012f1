/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/listen.h"
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* The numeric address; -EADDRNOTAVAIL for an interface that is not there. */
static int resolve(const struct config_portal *portal, struct sockaddr_storage *ret_address,
		   socklen_t *ret_len)
{
	const struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
		.ai_socktype = SOCK_STREAM,
	};
	struct addrinfo *found;
	char port[8];

	snprintf(port, sizeof(port), "%u", (unsigned)portal->port);
	if (getaddrinfo(portal->host, port, &hints, &found) != 0)
		return -EADDRNOTAVAIL;
	memcpy(ret_address, found->ai_addr, found->ai_addrlen);
	*ret_len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

static int name_of(int fd, struct listen_name *ret_name)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);
	char host[64], port[8];

	if (getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		return -errno;
	if (getnameinfo((struct sockaddr *)&address, len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return -EAFNOSUPPORT;
	snprintf(ret_name->text, sizeof(ret_name->text),
		 address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
	return 0;
}

static bool is_wildcard(const struct sockaddr_storage *address)
{
	if (address->ss_family == AF_INET6)
		return IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)address)->sin6_addr);
	return ((const struct sockaddr_in *)address)->sin_addr.s_addr == INADDR_ANY;
}

int listen_open(const struct config_portal *portal, struct listen_name *ret_name,
		bool *ret_wildcard)
{
	struct sockaddr_storage address;
	scoped(close) int fd = -1;
	const int on = 1;
	socklen_t len;
	int r;

	r = resolve(portal, &address, &len);
	if (r < 0)
		return r;
	fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* Connections of a server that has just ended do not keep the port. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return -errno;
	/* [::] is not to listen on 0.0.0.0 as well: only what was named. */
	if (address.ss_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&address, len) < 0 || listen(fd, SOMAXCONN) < 0)
		return -errno;
	r = name_of(fd, ret_name);
	if (r < 0)
		return r;
	*ret_wildcard = is_wildcard(&address);
	return steal_fd(&fd);
}
