/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Listening sockets. */
#include "daemon/config.h"

/* "255.255.255.255:65535" or "[v6%interface]:65535" */
struct listen_name {
	char text[80];
};

/**
 * listen_open() - a non-blocking socket that listens on exactly this address
 * @ret_name:     the address as bound, with the port that 0 became
 * @ret_wildcard: it listens on all addresses of its family
 * Return: the socket, or -errno.
 */
int listen_open(const struct config_portal *portal, struct listen_name *ret_name,
		bool *ret_wildcard);
