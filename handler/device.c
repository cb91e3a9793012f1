/* SPDX-License-Identifier: Apache-2.0 */
/* A TCMU device from start to stop: reads the ring when there is news, tells the kernel of answers.
 */
#include "handler/device_priv.h"
#include "util/log.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* Entries in one go: then others have their turn of the loop. */
enum { ENTRIES_PER_TURN = TCMU_RING_OPEN_MAX };

/* ---- the way to the kernel ---- */

/* Runs the kernel's side of the completions, in this thread. */
static void tell_kernel(struct tcmu_device *device)
{
	static const uint32_t zero;
	ssize_t n = write(device->fd, &zero, sizeof(zero));

	device->completed = false;
	/* EIO: the kernel has let go of the device, nobody waits. */
	if (n < 0 && errno != EIO && !device->unheard) {
		device->unheard = true;
		log_error("%s: the kernel cannot be told of completions: %m", device->name);
	}
}

static bool may_read(const struct tcmu_device *device)
{
	return !device->driven || device->until >= 0;
}

static void resume(struct tcmu_device *device)
{
	if (device->resuming || device->stopping || device->broken || !may_read(device) ||
	    !tcmu_ring_has_more(&device->ring))
		return;
	device->resuming = true;
	engine_post(device->engine, &device->resume);
}

void tcmu_device_completed(struct tcmu_device *device)
{
	device->completed = true;
	engine_defer(device->engine, &device->tell);
}

/* ---- the way from the kernel ---- */

void tcmu_device_break(struct tcmu_device *device)
{
	if (!device->broken)
		log_error("%s: the ring is corrupt, it is served no longer: %s", device->name,
			  device->ring.why);
	device->broken = true;
}

bool tcmu_device_faulty(struct tcmu_device *device)
{
	if (!tcmu_fault_happened(device->fault))
		return false;
	device->ring.why = "it names a page that is not there";
	tcmu_device_break(device);
	return true;
}

static void serve(struct tcmu_device *device)
{
	uint32_t tail = device->ring.tail;
	struct tcmu_entry entry;
	unsigned n;
	int r = 1;

	for (n = 0;
	     n < ENTRIES_PER_TURN && !device->broken && !device->stopping && may_read(device);
	     n++) {
		r = tcmu_ring_next(&device->ring, &entry);
		if (r <= 0)
			break;
		if (entry.id == device->until && !entry.is_tmr)
			device->until = -1;
		if (entry.is_tmr)
			tcmu_tmr(device, &entry);
		else
			tcmu_task_start(device, &entry);
	}
	if (r < 0)
		tcmu_device_break(device);
	if (n == ENTRIES_PER_TURN)
		resume(device);
	/* Padding alone was given back: the kernel counts it as free once it hears of it. */
	if (device->ring.tail != tail && !device->completed)
		tcmu_device_completed(device);
}

/*
 * The end of a turn: all answers of it leave together, and there is room for commands that had
 * none. Who got an answer has often sent the next command before write(2) has returned: that is
 * begun at once, without the system calls of a turn of the loop; not again and again where answers
 * come at once too, for others have their turn as well.
 */
static void device_tell(struct engine_defer *defer)
{
	struct tcmu_device *device = container_of(defer, struct tcmu_device, tell);

	tell_kernel(device);
	if (device->answered_at_once) {
		device->answered_at_once = false;
		resume(device);
	} else {
		serve(device);
		device->answered_at_once = device->completed;
	}
	tcmu_device_less_busy(device);
}

static void device_ready(struct engine_watch *watch)
{
	serve(container_of(watch, struct tcmu_device, watch));
}

static void device_resume(struct engine_post *post)
{
	struct tcmu_device *device = container_of(post, struct tcmu_device, resume);

	device->resuming = false;
	serve(device);
	tcmu_device_less_busy(device);
}

static void device_kick(struct engine_post *post)
{
	struct tcmu_device *device = container_of(post, struct tcmu_device, kick);

	atomic_store(&device->kicked, false);
	device->until = atomic_load(&device->told_until); /* it only goes forward */
	serve(device);
	tcmu_device_less_busy(device);
}

void tcmu_device_read_until(struct tcmu_device *device, uint16_t id)
{
	atomic_store(&device->told_until, id);
	if (!atomic_exchange(&device->kicked, true))
		engine_post(device->engine, &device->kick);
}

/* ---- the end ---- */

void tcmu_device_free(struct tcmu_device *device)
{
	if (!device)
		return;
	assert(list_empty(&device->tasks) && list_empty(&device->resets) && !device->watched);
	tcmu_tasks_free(device);
	scsi_nexus_free(device->nexus);
	scsi_target_unref(device->target);
	tcmu_fault_unwatch(device->fault);
	free(device->name);
	free(device);
}

void tcmu_device_less_busy(struct tcmu_device *device)
{
	void (*stopped)(void *arg);
	void *arg;

	if (!device->stopping || device->watched || device->completed || device->resuming ||
	    device->kicked || !list_empty(&device->tasks) || !list_empty(&device->resets))
		return;
	stopped = device->stopped;
	arg = device->stopped_arg;
	tcmu_device_free(device);
	stopped(arg);
}

static void device_gone(struct engine_watch *watch)
{
	struct tcmu_device *device = container_of(watch, struct tcmu_device, watch);

	device->watched = false;
	tcmu_device_less_busy(device);
}

static struct tcmu_task *next_to_abort(struct tcmu_device *device)
{
	list_for_each (task, &device->tasks, struct tcmu_task, node)
		if (!task->scsi.aborted)
			return task;
	return NULL;
}

static void device_stop(struct engine_post *post)
{
	struct tcmu_device *device = container_of(post, struct tcmu_device, stop);
	struct tcmu_task *task;

	device->stopping = true;
	device->aborting = device->stop_aborts;
	if (device->watched)
		engine_unwatch(device->engine, &device->watch);
	while (device->aborting && (task = next_to_abort(device)))
		tcmu_task_abort(task);
	tcmu_device_less_busy(device);
}

void tcmu_device_stop(struct tcmu_device *device, bool abort, void (*stopped)(void *arg), void *arg)
{
	device->stop_aborts = abort;
	device->stopped = stopped;
	device->stopped_arg = arg;
	engine_post(device->engine, &device->stop);
}

/* ---- the start ---- */

static void device_start(struct engine_post *post)
{
	struct tcmu_device *device = container_of(post, struct tcmu_device, start);
	int r = device->driven ? 0 : engine_watch(device->engine, &device->watch, device->fd);

	if (r < 0) {
		log_error("%s: its descriptor cannot be watched: %s", device->name, strerror(-r));
		device->broken = true;
		return;
	}
	device->watched = !device->driven;
	serve(device); /* what was there before */
}

void tcmu_device_start(struct tcmu_device *device)
{
	engine_post(device->engine, &device->start);
}

static int make_nexus(struct tcmu_device *device, const struct tcmu_device_config *cfg)
{
	unsigned foreign = SCSI_FOREIGN_PORT | SCSI_FOREIGN_RESETS | SCSI_FOREIGN_TASKS |
			   (cfg->own_reservations ? 0 : SCSI_FOREIGN_RESERVATIONS);
	int r = scsi_target_new(cfg->name, &device->target);

	if (r == 0)
		r = scsi_target_map(device->target, 0, cfg->lu);
	/* A target without known ports has no target port groups. */
	if (r == 0 && cfg->own_alua)
		r = scsi_target_add_port(device->target, 1);
	if (r == 0)
		r = scsi_nexus_new(device->target, "kernel", 1, device->engine, &device->nexus);
	if (r == 0)
		scsi_nexus_set_foreign(device->nexus, foreign);
	return r;
}

int tcmu_device_new(const struct tcmu_device_config *cfg, struct tcmu_device **ret_device)
{
	scoped(tcmu_device_free) struct tcmu_device *device = calloc(1, sizeof(*device));
	int r;

	if (!device)
		return -ENOMEM;
	list_init(&device->tasks);
	list_init(&device->spare);
	list_init(&device->resets);
	list_init(&device->tell.node);
	device->tell.run = device_tell;
	device->watch.ready = device_ready;
	device->watch.gone = device_gone;
	device->start.run = device_start;
	device->stop.run = device_stop;
	device->resume.run = device_resume;
	device->kick.run = device_kick;
	device->driven = cfg->driven;
	device->until = -1;
	device->fd = cfg->fd;
	device->engine = cfg->engine;
	device->name = strdup(cfg->name);
	if (!device->name)
		return -ENOMEM;
	r = tcmu_fault_watch(cfg->map, cfg->map_len, &device->fault);
	if (r < 0)
		return r;
	r = tcmu_ring_init(&device->ring, cfg->map, cfg->map_len);
	if (r < 0) {
		log_error("%s: cannot be served: %s", cfg->name, device->ring.why);
		return r;
	}
	r = make_nexus(device, cfg);
	if (r < 0)
		return r;
	*ret_device = steal(device);
	return 0;
}
