/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Who a LU is when the operator did not say: the same after a restart, unlike any other. */
#include "daemon/config.h"

/**
 * identity_make() - a UUID for a storage
 * For a file or device it follows from the host and the path, so that it is kept; the store need
 * not exist yet. Memory loses its content with the process, so each start is another disk: the
 * UUID is random.
 * @twin: 0; else sets apart the storages of one config that share a store
 * Return: 0 or -errno.
 */
int identity_make(const struct config_storage *storage, uint64_t twin, uint8_t ret_uuid[16]);
