/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The directory for sockets, and the one socket in it that TCMU devices are handed over by. */
#include "daemon/config.h"

struct run_dir {
	int lock; /* a descriptor that keeps other daemons out; -1: there is no directory */
	int sock; /* listens */
	char *socket_path;
};

/**
 * run_dir_open() - which directory it is, made with mode 0700 when it is missing, and its socket
 * One that was asked for ("runDir") has to be usable and not another daemon's. The default one,
 * $RUNTIME_DIRECTORY as systemd sets it or else /run/duotgt, is done without, with a line in the
 * log. The socket has mode 0600.
 * Return: 0; -EBUSY: another daemon has it; -errno; either has been said.
 */
int run_dir_open(const struct config *config, struct run_dir *ret_dir);

/* Removes the socket. */
void run_dir_close(struct run_dir *dir);
