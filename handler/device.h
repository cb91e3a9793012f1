/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A TCMU device: the commands of one ring, answered by one logical unit.
 *
 * The ring comes from the kernel's target_core_user, as a UIO descriptor and its mapping, whoever
 * opened it. Each entry becomes a task of the device server on a nexus of the device's own; its
 * data stays in the ring's pages. All of it happens on the thread of one engine:
 *
 *	tcmu_device_new()    looks at the mailbox and makes all that is needed; touches nothing
 *	tcmu_device_start()  from here on the ring is the device's alone
 *	tcmu_device_stop()   lets what is under way end, then tells
 *
 * A ring that makes no sense is said in the log, and nothing more is read from it: its commands
 * stay unanswered until the kernel's time-out, as it would be with a program that has died.
 */
#include "util/cleanup.h"
#include "util/engine.h"
#include <stdbool.h>
#include <stddef.h>

struct scsi_lu;
struct tcmu_device;

struct tcmu_device_config {
	const char *name;   /* for messages, as in "uio0 (duotgt/data)" */
	int fd;		    /* of the UIO device; lent until it has stopped */
	void *map;	    /* all of its first mapping, the mailbox at its start; lent likewise */
	size_t map_len;	    /* bytes */
	struct scsi_lu *lu; /* the device takes a reference */
	struct engine *engine; /* on whose thread it is served; outlives the device */
	/*
	 * Who does what the fabric could do as well. LIO answers PERSISTENT RESERVE IN and OUT,
	 * RESERVE and RELEASE itself (unless pgr_support is 0), and the ring names no initiator: so
	 * the core offers neither reservations nor target port groups here, unless told to.
	 */
	bool own_reservations, own_alua;
	/*
	 * Somebody else reads the ring as well, ahead of the device, and says how far it may
	 * follow: a completion takes the place of an entry, which must not be read after that.
	 */
	bool driven;
};

/**
 * tcmu_device_new() - a device that serves nothing yet
 * Any thread. Strings and the config itself are not needed afterwards.
 * Return: 0; -EPROTO: the mailbox is not one that can be served, which is logged; -ENOMEM.
 */
int tcmu_device_new(const struct tcmu_device_config *cfg, struct tcmu_device **ret_device);

/*
 * Serves the ring from the mailbox's cmd_tail on: all that is there is taken as not begun. Any
 * thread; once.
 */
void tcmu_device_start(struct tcmu_device *device);

/* Of one that is driven: serves the ring up to command @id, which is in it. Any thread. */
void tcmu_device_read_until(struct tcmu_device *device, uint16_t id);

/**
 * tcmu_device_stop() - no new commands; those under way end and are answered
 * @abort:   do not wait for them to do their work: abort them (BUSY tells the kernel to try again)
 * @stopped: runs once on the engine's thread, from the loop; the device is gone by then, and
 *           descriptor and mapping are its caller's again
 * Any thread; once; also before tcmu_device_start(). What the ring holds beyond is left in it.
 */
void tcmu_device_stop(struct tcmu_device *device, bool abort, void (*stopped)(void *arg),
		      void *arg);

/* One that was never started. NULL is fine. */
void tcmu_device_free(struct tcmu_device *device);
DEFINE_SCOPED(struct tcmu_device *, tcmu_device_free)
