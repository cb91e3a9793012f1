/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * TCMU devices of a running service: a UIO descriptor and a configuration string come in, from our
 * own consumer (tcmu_consumer.h) or handed over by a plug-in of tcmu-runner, and the kernel's
 * initiators get a LU of this process. The control thread's, all of it.
 *
 * A LU has one front end at a time: who comes second is refused, unless its storage says
 * "bothFrontEnds".
 */
#include "daemon/service.h"
#include <stddef.h>

struct scsi_lu;
struct service_kernel; /* one TCMU device that is served */

struct service_kernel_config {
	const char *config; /* all of the configuration string, "duotgt/..." */
	const char *name;   /* for messages, as "uio0" */
	int fd;		    /* of the UIO device, non-blocking; taken over on success */
	size_t map_len;	    /* bytes of its first mapping */
	bool paths;	    /* the string may name a file by its path */
	void *map;	    /* that mapping, lent until stopped(); NULL: made here */
	/* As the kernel has them, 0: not known. With a size a file that is missing is made. */
	uint64_t size;
	uint32_t block_size;
	/* What the string names, to be opened for this device; NULL: look for it in the service. */
	const struct config_storage *storage;
	bool held;   /* nothing is read from the ring before service_kernel_go() */
	bool driven; /* somebody else reads the ring too: service_kernel_read_until() */
	/* Runs once nothing of the device is used any more, the descriptor closed. */
	void (*stopped)(void *arg);
	void *arg;
};

/**
 * service_kernel_start() - serve a device from where its ring stands
 * May block: a path that no storage has is opened.
 * Return: 0; -errno with a text for the operator: -ENOENT no such storage, -EBUSY it is in use,
 * -EINVAL the string, -EPROTO the ring.
 */
int service_kernel_start(struct service *service, const struct service_kernel_config *cfg,
			 struct service_kernel **ret_kernel, char *ret_why, size_t why_len);

void service_kernel_go(struct service_kernel *kernel);

/* Any thread; see tcmu_device_read_until(). */
void service_kernel_read_until(struct service_kernel *kernel, uint16_t id);

/* Whether a string could be served, as far as that is known before. Return: 0; -errno with a text.
 */
int service_kernel_check(struct service *service, const char *config, uint32_t block_size,
			 char *ret_why, size_t why_len);

/* There is a file or block device at @path, or a folder where one can be made. Likewise. */
int service_kernel_check_path(const char *path, char *ret_why, size_t why_len);

/* No new commands. Those under way end first, or are aborted; then stopped() is called. Once. */
void service_kernel_stop(struct service_kernel *kernel, bool abort);

/* The device's own view of things changed. Return: 0; -errno with a text. */
int service_kernel_resize(struct service_kernel *kernel, uint64_t size, char *ret_why,
			  size_t why_len);
int service_kernel_set_write_cache(struct service_kernel *kernel, bool on);
/* Another configuration string: 0 when it still leads to the same LU. */
int service_kernel_set_config(struct service_kernel *kernel, const char *config, char *ret_why,
			      size_t why_len);

/* "paths" of the configuration. */
bool service_kernel_paths(const struct service *service);

/* The size in bytes of what it serves. */
uint64_t service_kernel_size(const struct service_kernel *kernel);

/* Whether the kernel is being served @lu. For service_reload(). */
bool service_kernel_has(const struct service *service, const struct scsi_lu *lu);

/* Waits until one that was stopped is gone. For who must not return to the main loop before. */
void service_kernel_wait(struct service *service);

/* At the end of the service: stops all, and waits for it. */
void service_kernel_end(struct service *service);
