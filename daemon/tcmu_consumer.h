/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Our own consumer of TCMU devices: those of subtype "duotgt" are found, served, changed and let
 * go of without tcmu-runner. Others, and those that somebody else has opened, are left alone: a
 * runner may be at work beside. The control thread's.
 */
#include <stdbool.h>

struct service;
struct tcmu_consumer;

/**
 * tcmu_consumer_start() - serve what is there, and what comes
 * @root:    see tcmu_sysfs.h
 * @replies: the kernel waits for our verdict on what is made, changed or removed
 * A device that cannot be served is said in the log. Without netlink (a module that is not loaded
 * yet, no libnl) it looks at sysfs once a second. Return: 0 or -ENOMEM.
 */
int tcmu_consumer_start(struct service *service, const char *root, bool replies,
			struct tcmu_consumer **ret_consumer);

/* Takes nothing new; what is served goes on until service_kernel_end(). NULL is fine. */
void tcmu_consumer_stop(struct tcmu_consumer *consumer);

/* One look at sysfs: what is new, what has gone. For the clock, and for tests. */
void tcmu_consumer_look(struct tcmu_consumer *consumer);
