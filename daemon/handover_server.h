/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * TCMU devices that tcmu-runner's plug-in hands over to the daemon, by the protocol of
 * handler/handover.h. Only root and the daemon's own user may. All of it on the control thread.
 */
#include "daemon/config.h"
#include "daemon/service.h"

struct handover_server;

/**
 * handover_server_start() - listen in the run directory
 * @ret_server: NULL when there is no such directory, which run_dir.h allows
 * Return: EXIT_OK; else the exit code that fits, and it has been said.
 */
int handover_server_start(struct service *service, const struct config *config,
			  struct handover_server **ret_server);

/* Ends what has begun, answers it, gives all devices back. NULL is fine. */
void handover_server_stop(struct handover_server *server);
