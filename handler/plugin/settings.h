/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the plug-in knows of the world outside its runner: duotgt.json, which is looked at anew
 * whenever something out of it is asked for. $DUOTGT_CONFIG of the runner names another file.
 */
#include "daemon/config.h"
#include "handler/cfgstring.h"

/* Where the daemon listens, as the file has it or by default. Return: 0; -ENOMEM. */
int settings_socket(char **ret_path);

/**
 * settings_storage() - the file, and the storage in it that a string names
 * Of a string with a path: a config without storages will do, and @ret_storage is NULL.
 * Return: 0; -ENOENT: no such storage; -errno; a text in @ret_why.
 */
int settings_storage(const struct cfgstring *cfg, struct config **ret_config,
		     const struct config_storage **ret_storage, char *ret_why, size_t why_len);
