/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the plug-in sees of the world, without a kernel: the runner's and libtcmu's symbols, their
 * way with a device (a thread that reads the ring and calls handle_cmd), and a kernel's side of the
 * ring in plain memory. The UIO descriptor is one end of a socket pair.
 */
#include "handler/plugin/runner_abi.h"
#include <pthread.h>
#include <stdatomic.h>

#define FAKE_COMMANDS 64
#define FAKE_DATA_BYTES 65536 /* of each command's part of the data area */

/* A command as the kernel remembers it. */
struct fake_command {
	bool open, done;
	uint8_t status, sense[96];
	bool has_read_len;
	uint32_t read_len;
};

struct runner_device {
	void *private;
	char string[512], uio[16];
	uint64_t size;
	uint32_t block_size;
	int fd, kernel_fd;
	uint8_t *map;
	size_t map_len;
	uint32_t lib_tail;    /* libtcmu's place in the ring */
	uint32_t kernel_tail; /* up to which the kernel has looked at completions */
	struct fake_command commands[FAKE_COMMANDS];
	pthread_t cmdproc;
	atomic_uint handed; /* calls of handle_cmd */
	atomic_bool blocked;
	atomic_uint resets;
};

/* What the plug-in has registered; NULL before. */
extern struct tcmur_handler *fake_handler;

/* Lines of the plug-in's log since the last call, for the caller to free(). */
char *fake_log(void);

/* A device as the kernel has made it. */
struct runner_device *fake_device(const char *string, uint64_t size);
void fake_device_free(struct runner_device *dev);

/* As the runner does it. Return: what the plug-in's open returned. */
int fake_open(struct runner_device *dev);
/*
 * The runner's thread is cancelled and joined, then close runs. (In the runner it runs at the end
 * of that thread; the address sanitizer does not follow what a cancelled thread does.)
 */
void fake_close(struct runner_device *dev);

/* The buffer of command @id. */
uint8_t *fake_data(struct runner_device *dev, uint16_t id);

/* Queues a command with a buffer of @data_len bytes. */
void fake_command(struct runner_device *dev, uint16_t id, const uint8_t *cdb, size_t cdb_len,
		  uint32_t data_len);

/* Waits for its completion. */
const struct fake_command *fake_wait(struct runner_device *dev, uint16_t id);
