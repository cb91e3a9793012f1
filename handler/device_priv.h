/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside of a TCMU device: device.c serves the ring, task.c its commands, tmr.c the resets. */
#include "handler/device.h"
#include "handler/fault.h"
#include "handler/ring.h"
#include "scsi/lu.h"
#include "scsi/task.h"
#include "scsi/tmf.h"
#include <stdatomic.h>

struct tcmu_device {
	char *name;
	int fd;
	struct engine *engine;
	struct scsi_target *target; /* of its own, with the LU as LUN 0 */
	struct scsi_nexus *nexus;
	struct tcmu_ring ring;
	struct tcmu_fault *fault;
	struct engine_watch watch;
	struct engine_defer tell; /* the kernel, once per turn */
	struct engine_post start, stop, resume, kick;
	struct list tasks;  /* struct tcmu_task.node: under way */
	struct list spare;  /* others, to be used again */
	struct list resets; /* struct tcmu_reset.node: under way */
	unsigned n_spare;
	bool watched;	       /* until gone has run */
	bool completed;	       /* something that the kernel has not been told of */
	bool answered_at_once; /* what came while the kernel was told: tell is to run again */
	bool resuming;	       /* resume is posted */
	bool broken;	       /* nothing is read from the ring any more */
	bool unheard;	       /* that the kernel could not be told was said */
	bool stopping, aborting;
	bool driven;
	int until;	       /* of one that is driven: the last command to read; -1: none */
	atomic_int told_until; /* as above, by the other thread */
	atomic_bool kicked;    /* kick is posted */
	/* of the thread that stops it, until stop is posted */
	bool stop_aborts;
	void (*stopped)(void *arg);
	void *stopped_arg;
};

enum { TCMU_TASK_IOV = 32 }; /* what a task holds without memory of its own; then malloc() */

struct tcmu_task {
	struct scsi_task scsi;
	struct tcmu_device *device;
	struct list node;
	uint16_t id;
	struct iovec *iov; /* in the ring's pages: all that the kernel has given it */
	unsigned n_iov;
	uint64_t len;	/* bytes of it */
	size_t trimmed; /* taken off the last segment that is lent */
	struct iovec own_iov[TCMU_TASK_IOV];
};

/* ---- device.c ---- */

/* A command has been completed in the ring. */
void tcmu_device_completed(struct tcmu_device *device);

/* A task or a reset has ended, maybe the last one. */
void tcmu_device_less_busy(struct tcmu_device *device);

/* The ring makes no sense: nothing more is read from it. */
void tcmu_device_break(struct tcmu_device *device);

/* Whether a page that the ring names was missing; then it makes no sense either. */
bool tcmu_device_faulty(struct tcmu_device *device);

/* ---- task.c ---- */

/* Runs a command that the ring has just given. */
void tcmu_task_start(struct tcmu_device *device, const struct tcmu_entry *entry);
void tcmu_task_abort(struct tcmu_task *task);
void tcmu_tasks_free(struct tcmu_device *device); /* those that are spare */

/* ---- tmr.c ---- */

/* LIO has begun a task management function, and waits for the commands that it aborts. */
void tcmu_tmr(struct tcmu_device *device, const struct tcmu_entry *entry);
