/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command of the ring: its task, its buffer in the ring's pages, its answer.
 *
 * The kernel does not say in which direction the data goes; the device server does, once it knows
 * the command. What it has not filled of a buffer for data-in is cleared: the pages held somebody
 * else's data before.
 */
#include "handler/device_priv.h"
#include "handler/uapi.h"
#include <errno.h>
#include <stdlib.h>

enum { KEEP_TASKS = 64 };

static void task_done(struct scsi_task *scsi);
static void task_aborted(struct scsi_task *scsi);

static const struct scsi_transport tcmu_transport = {
	.done = task_done,
	.aborted = task_aborted,
};

/* ---- tasks ---- */

static struct tcmu_task *task_new(struct tcmu_device *device, const struct tcmu_entry *entry)
{
	struct list *node = list_pop_front(&device->spare);
	struct tcmu_task *task =
		node ? list_entry(node, struct tcmu_task, node) : malloc(sizeof(*task));

	if (!task)
		return NULL;
	device->n_spare -= node != NULL;
	memset(task, 0, offsetof(struct tcmu_task, own_iov));
	task->device = device;
	task->id = entry->id;
	task->iov = task->own_iov;
	task->scsi.transport = &tcmu_transport;
	task->scsi.nexus = device->nexus;
	task->scsi.tag = entry->id;
	task->scsi.attr = ATTR_SIMPLE; /* the ring does not say */
	task->scsi.cdb_len = entry->cdb_len;
	_Static_assert(sizeof(entry->cdb) == sizeof(task->scsi.cdb), "a CDB is a CDB");
	memcpy(task->scsi.cdb, entry->cdb, sizeof(entry->cdb));
	list_push_back(&device->tasks, &task->node);
	return task;
}

static void task_free(struct tcmu_task *task)
{
	struct tcmu_device *device = task->device;

	if (task->iov != task->own_iov)
		free(task->iov);
	list_del(&task->node);
	if (device->n_spare < KEEP_TASKS) {
		device->n_spare++;
		list_push_front(&device->spare, &task->node);
	} else {
		free(task);
	}
}

void tcmu_tasks_free(struct tcmu_device *device)
{
	struct list *node;

	while ((node = list_pop_front(&device->spare)))
		free(list_entry(node, struct tcmu_task, node));
}

/* ---- the buffer ---- */

/* Copies the list of segments. Return: 0; -ENOMEM; -EPROTO: the ring is corrupt. */
static int take_buffer(struct tcmu_task *task, const struct tcmu_entry *entry)
{
	unsigned n = entry->n_iov < TCMU_RING_IOV_MAX ? entry->n_iov : TCMU_RING_IOV_MAX;
	int r;

	if (n > TCMU_TASK_IOV)
		task->iov = malloc(n * sizeof(*task->iov));
	if (!task->iov) {
		task->iov = task->own_iov;
		return -ENOMEM;
	}
	for (; task->n_iov < n; task->n_iov++) {
		r = tcmu_ring_iov(&task->device->ring, entry, task->n_iov, &task->iov[task->n_iov]);
		if (r < 0)
			return r;
		task->len += task->iov[task->n_iov].iov_len;
	}
	return 0;
}

/* What is not lent, nor could be: a second buffer, segments beyond the limit. */
static int clear_rest(struct tcmu_device *device, const struct tcmu_entry *entry, bool is_write)
{
	bool all_lent = entry->n_iov <= TCMU_RING_IOV_MAX;
	uint32_t first = is_write || all_lent ? entry->n_iov : TCMU_RING_IOV_MAX;
	struct iovec iov;

	for (uint32_t i = first; i < entry->n_iov + entry->n_iov_bidi; i++) {
		int r = tcmu_ring_iov(&device->ring, entry, i, &iov);

		if (r < 0)
			return r;
		memset(iov.iov_base, 0, iov.iov_len);
	}
	return 0;
}

/* What the device server gets to see is no more than what the command would move. */
static void lend(struct tcmu_task *task)
{
	struct scsi_task *scsi = &task->scsi;
	uint64_t left = scsi->need_out ? scsi->need_out : scsi->need_in;
	unsigned n = 0;

	for (; n < task->n_iov && left; n++) {
		size_t len = task->iov[n].iov_len;

		if (len > left) {
			task->trimmed = len - left;
			task->iov[n].iov_len = left;
		}
		left -= task->iov[n].iov_len;
	}
	scsi->iov = task->iov;
	scsi->n_iov = (int)n;
}

/* Zeroes from byte @from on. */
static void clear_tail(struct tcmu_task *task, uint64_t from)
{
	if (task->trimmed)
		task->iov[task->scsi.n_iov - 1].iov_len += task->trimmed;
	for (unsigned i = 0; i < task->n_iov; i++) {
		size_t len = task->iov[i].iov_len;

		if (from < len) {
			memset((uint8_t *)task->iov[i].iov_base + from, 0, len - from);
			from = 0;
		} else {
			from -= len;
		}
	}
}

/* ---- the answer ---- */

/*
 * The kernel copies a buffer for data-in to the initiator whatever the status is, unless it is
 * CHECK CONDITION; and as much as the initiator has asked for, unless told that it is less.
 */
static void answer(struct tcmu_task *task)
{
	struct scsi_task *scsi = &task->scsi;
	struct tcmu_device *device = task->device;
	uint64_t in_len = scsi->in_len < task->len ? scsi->in_len : task->len;
	struct tcmu_result result = {.id = task->id};
	uint8_t sense[SCSI_SENSE_MAX];

	if (scsi->status != STATUS_CHECK_CONDITION && !scsi->need_out && in_len < task->len) {
		clear_tail(task, in_len);
		result.has_in_len = in_len > 0;
		result.in_len = (uint32_t)(in_len < UINT32_MAX ? in_len : UINT32_MAX);
	}
	/* Whose page it was is not known: none of those under way is called good. */
	if (tcmu_device_faulty(device) && scsi->status == STATUS_GOOD)
		scsi_check(scsi, SENSE_INTERNAL_TARGET_FAILURE);
	result.status = (uint8_t)scsi->status;
	if (scsi->status == STATUS_CHECK_CONDITION) {
		result.has_in_len = false;
		result.sense = sense;
		result.sense_len =
			scsi_sense_build(&scsi->sense, scsi_task_descriptor_sense(scsi), sense);
	}
	if (device->aborting && scsi->aborted)
		result.status = STATUS_BUSY; /* it was not the initiator who wanted that */
	scsi_task_end(scsi);
	tcmu_ring_complete(&device->ring, &result);
	task_free(task);
	tcmu_device_completed(device);
}

static void task_done(struct scsi_task *scsi)
{
	answer(container_of(scsi, struct tcmu_task, scsi));
}

/* LIO waits for each command that it has given us, aborted or not. */
static void task_aborted(struct scsi_task *scsi)
{
	if (!scsi->pending)
		answer(container_of(scsi, struct tcmu_task, scsi));
}

void tcmu_task_abort(struct tcmu_task *task)
{
	scsi_task_abort(&task->scsi, false);
}

/* ---- the start ---- */

static void refuse(struct tcmu_device *device, uint16_t id)
{
	const struct tcmu_result busy = {.id = id, .status = STATUS_BUSY};

	tcmu_ring_complete(&device->ring, &busy);
	tcmu_device_completed(device);
}

static void run(struct tcmu_task *task, const struct tcmu_entry *entry)
{
	struct scsi_task *scsi = &task->scsi;
	enum scsi_step step;

	scsi->expect_in = scsi->expect_out =
		(uint32_t)(task->len < UINT32_MAX ? task->len : UINT32_MAX);
	step = scsi_task_begin(scsi);
	if (clear_rest(task->device, entry, scsi->need_out) < 0)
		tcmu_device_break(task->device);
	if (step == SCSI_READY) {
		lend(task);
		step = scsi_task_run(scsi);
	}
	if (step == SCSI_DONE)
		answer(task);
}

void tcmu_task_start(struct tcmu_device *device, const struct tcmu_entry *entry)
{
	struct tcmu_task *task = task_new(device, entry);
	int r = task ? take_buffer(task, entry) : -ENOMEM;

	if (r == 0) {
		run(task, entry);
		return;
	}
	if (task)
		task_free(task);
	if (r == -ENOMEM)
		refuse(device, entry->id);
	else
		tcmu_device_break(device);
}
