/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A device served in the runner's own process, by a service and a thread of its own. */
#include "daemon/service_tcmu.h"
#include "handler/cfgstring.h"

struct local;

/**
 * local_open() - open what the string names
 * @device: its descriptor stays the caller's
 * Return: 0; -errno with a text in @ret_why.
 */
int local_open(const struct cfgstring *cfg, const struct service_kernel_config *device,
	       struct local **ret_local, char *ret_why, size_t why_len);

struct service_kernel *local_kernel(struct local *local);

/* Waits until all that has begun has ended. NULL is fine. */
void local_close(struct local *local);
