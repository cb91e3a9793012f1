/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The directory for state that outlives the process: reservations with APTPL, saved mode pages. */
#include "daemon/config.h"

/**
 * state_dir_open() - which directory it is, made with mode 0700 when it is missing
 * @ret_dir: absolute, for the caller to free(); NULL: there is none, so such state is not offered
 * One that was asked for has to be usable. The default one of the daemon, $STATE_DIRECTORY as
 * systemd sets it or else /var/lib/duotgt, is done without, with a line in the log.
 * Return: 0; -errno, which has been said.
 */
int state_dir_open(const struct config *config, char **ret_dir);
