/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside of the plug-in: a device of the runner's, and who serves it. */
#include "handler/cfgstring.h"
#include "handler/handover.h"
#include "handler/plugin/runner_abi.h"
#include <pthread.h>
#include <stdatomic.h>

struct local;

struct plugin_device {
	struct runner_device *runner;
	struct cfgstring cfg;
	char string[CFGSTRING_MAX + 1];
	char uio[HANDOVER_DEVICE_MAX + 1];
	int fd; /* of the UIO device; the runner's, as is its mapping */
	void *map;
	size_t map_len;
	uint32_t block_size;

	/* Who serves it: the daemon, or else a service here, or for a while nobody. */
	pthread_mutex_t lock;
	int sock; /* to the daemon; -1: none */
	struct local *local;
	bool started; /* by that server */
	bool blocked; /* the kernel holds commands back, because we said so */
	uint64_t size;
	int write_cache; /* as the kernel last said; -1: never */

	pthread_t keeper;
	int wake; /* eventfd: taken or closing is new */
	atomic_bool taken, closing;
};

#define plugin_log(level, device, ...)                                                             \
	tcmu_##level##_message((device) ? (device)->runner : NULL, __func__, __LINE__, __VA_ARGS__)

/* ---- server.c: the calls below hold no lock ---- */

/**
 * server_attach() - the daemon, or a service here, is ready to serve the device
 * @here: the runner's process may do it when there is no daemon
 * Return: 0; -ENOENT: there is no daemon, and @here is false; -errno; a text in @ret_why.
 */
int server_attach(struct plugin_device *device, bool here, char *ret_why, size_t why_len);

/* From here on the ring is the server's. Return: 0 or -errno with a text. */
int server_start(struct plugin_device *device, char *ret_why, size_t why_len);

/* With mode=raw: libtcmu has read command @id, so the ring may be read up to it. */
void server_read_until(struct plugin_device *device, uint16_t id);

/* Lets all that has begun end. No effect when nobody serves it. */
void server_detach(struct plugin_device *device);

int server_resize(struct plugin_device *device, uint64_t size, char *ret_why, size_t why_len);
int server_set_write_cache(struct plugin_device *device, bool on, char *ret_why, size_t why_len);

/* What a string names can be served. Return: 0, or -errno with a text. */
int server_check(const char *string, const struct cfgstring *cfg, char *ret_why, size_t why_len);

/* ---- keeper.c: a thread that sees to it that somebody serves the device ---- */

int keeper_start(struct plugin_device *device);
void keeper_stop(struct plugin_device *device);
void keeper_take(struct plugin_device *device); /* the ring is ours from now on */
