/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The iSCSI front end as the daemon sees it: portals, portal groups and targets over reactors.
 * Also how simulation runs a whole target in one thread.
 */
#include "iscsi/chap_secrets.h"
#include "iscsi/params.h"
#include "scsi/lu.h"
#include "util/reactor.h"
#include <sys/socket.h>

struct iscsi_server;

struct iscsi_server_config {
	struct reactor *reactors; /* live for longer than the server */
	unsigned n_reactors;
	unsigned queue_depth;	   /* commands of one session: MaxCmdSN window; 0: 128 */
	uint32_t max_transfer;	   /* bytes of one task's data */
	uint32_t login_timeout_ms; /* 0: 15,000 */
	uint32_t nop_interval_ms;  /* of silence before a NOP-In, at most; 0: 60,000 */
	uint32_t nop_timeout_ms;   /* for its answer; 0: 15,000 */
	uint32_t stop_timeout_ms;  /* how long iscsi_server_stop() waits for logouts; 0: 3,000 */
	unsigned max_connections;  /* in all; 0: 65,536 */
	unsigned max_tasks;	   /* under way in all, more wait; 0: 65,536 */
	/* For data that comes when there are no buffers; an eighth of it is for input that is not
	 * looked at yet. 0: 128 MiB */
	uint64_t park_bytes;
};

int iscsi_server_new(const struct iscsi_server_config *cfg, struct iscsi_server **ret_server);

/* A target with its limits, to be mapped to portals by groups. The server takes a reference. */
int iscsi_server_add_target(struct iscsi_server *server, struct scsi_target *target,
			    const struct iscsi_limits *limits);

/*
 * By which secrets the initiators of a target prove who they are; NULL: they need not. Takes a
 * reference. Any thread, also while it serves: it holds for logins that come after it.
 */
void iscsi_server_set_chap(struct iscsi_server *server, const char *target,
			   struct iscsi_chap_secrets *secrets);

/*
 * A portal: a listening, non-blocking socket, taken over on success. @address is what
 * TargetAddress says, NULL: the address each connection came to (a wildcard portal).
 * Return: index of the portal, or -errno.
 */
int iscsi_server_add_portal(struct iscsi_server *server, int listen_fd, const char *address);

/* Makes @target reachable through @portal in the group @tag. */
int iscsi_server_link(struct iscsi_server *server, const char *target, uint16_t tag,
		      unsigned portal);

/* Accepts from now on. Nothing may be added after it. */
int iscsi_server_start(struct iscsi_server *server);

/*
 * Stops accepting, sends every session the async message that asks for logout, waits for the
 * stop timeout at most, ends what is left. @stopped runs on reactor 0 when no connection is left.
 * Any thread; once.
 */
void iscsi_server_stop(struct iscsi_server *server, void (*stopped)(void *arg), void *arg);

/* After @stopped has run, or before start. NULL is fine. */
void iscsi_server_free(struct iscsi_server *server);
