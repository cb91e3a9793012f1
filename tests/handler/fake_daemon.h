/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A daemon that serves nothing: it takes requests, keeps them, and answers. One client at a time.
 */
#include "handler/handover.h"

struct fake_daemon;

/* Listens in @folder. */
struct fake_daemon *fake_daemon_start(const char *folder);

/* As if it were killed. */
void fake_daemon_stop(struct fake_daemon *daemon);

/* The next request, which has been answered by then; waits for it. CHECKs are left out. */
struct handover_request fake_daemon_next(struct fake_daemon *daemon);

/* From now on this is the answer. */
void fake_daemon_refuse(struct fake_daemon *daemon, int error, const char *text);
