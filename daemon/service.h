/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The running service: a config brought to life and ended again. All or nothing at the start.
 */
#include "daemon/config.h"

struct service;

/* Exit codes of the program, DESIGN 9. */
enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_NOT_FOUND = 3,
	EXIT_IN_USE = 4,
	EXIT_PERMISSION = 5,
	EXIT_NOT_RUNNING = 6,
	EXIT_CONFIG = 7,
};

/**
 * service_start() - open all storages, bind all portals, then accept
 * What fails is said in one log line. @config is not needed afterwards.
 * Return: EXIT_OK; else the exit code that fits, and nothing is left open.
 */
int service_start(const struct config *config, struct service **ret_service);

/*
 * Stops accepting, tells initiators, ends or aborts what runs, flushes, closes. NULL is fine.
 * Return: EXIT_OK; EXIT_FAILED when a LU could not be flushed, which is logged.
 */
int service_stop(struct service *service);

/**
 * service_reload() - serve what another configuration says, while it runs
 * @now:  what it serves
 * @next: storages and LUNs may have come and gone, a storage's deviceSize and online differ, and
 *        nothing else; takes the place of @now when it succeeds, with the sizes that hold
 * All or nothing, but for a LU that cannot be resized: it keeps its size. All of it is logged.
 * Return: EXIT_OK; else the exit code that fits.
 */
int service_reload(struct service *service, struct config *now, struct config *next);

/* Serves as much of stores whose size nobody wrote down as they have by now. */
void service_resize(struct service *service, struct config *config);

/* Logs how the buffers are used, pool by pool. */
void service_report(struct service *service);

/* Bytes that one command moves at most, with the buffers that a config asks for. */
uint32_t service_max_transfer(const struct config *config);

/* Bound address of a portal as "1.2.3.4:3260" or "[::1]:3260" (after port 0 was resolved). */
const char *service_portal(const struct service *service, unsigned portal);

/* "io_uring" or "epoll" */
const char *service_engine(const struct service *service);
