/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Task management that LIO tells of (attrib/tmr_notification). It decides what is aborted and
 * names it; a reset is for the LU as a whole. The entry itself gets no answer: LIO goes on when
 * the commands have been completed. Source: SAM-5 r21, task management functions.
 */
#include "handler/device_priv.h"
#include "handler/uapi.h"
#include <stdlib.h>

enum { N_IDS = 0x10000, RESETS_MAX = 16 };

struct tcmu_reset {
	struct scsi_tmf tmf;
	struct tcmu_device *device;
	struct list node;
};

static void reset_done(struct scsi_tmf *tmf)
{
	struct tcmu_reset *reset = container_of(tmf, struct tcmu_reset, tmf);
	struct tcmu_device *device = reset->device;

	list_del(&reset->node);
	free(reset);
	tcmu_device_less_busy(device);
}

static unsigned count_resets(struct tcmu_device *device)
{
	unsigned n = 0;

	list_for_each (reset, &device->resets, struct tcmu_reset, node)
		n += reset != NULL;
	return n;
}

/* Aborts what it finds, of other front ends as well, and puts the LU back. */
static void reset_lu(struct tcmu_device *device)
{
	struct tcmu_reset *reset =
		count_resets(device) < RESETS_MAX ? calloc(1, sizeof(*reset)) : NULL;

	if (!reset)
		return; /* then the commands that LIO has named are aborted, and no more */
	reset->device = device;
	reset->tmf.function = TMF_LU_RESET;
	reset->tmf.nexus = device->nexus;
	reset->tmf.lun = scsi_lun_encode(0);
	reset->tmf.done = reset_done;
	list_push_back(&device->resets, &reset->node);
	scsi_tmf_start(&reset->tmf);
}

static struct tcmu_task *next_named(struct tcmu_device *device, const uint8_t *named)
{
	list_for_each (task, &device->tasks, struct tcmu_task, node)
		if (!task->scsi.aborted && named[task->id / 8] & 1 << task->id % 8)
			return task;
	return NULL;
}

static void abort_named(struct tcmu_device *device, const struct tcmu_entry *entry)
{
	uint8_t named[N_IDS / 8] = {0};
	struct tcmu_task *task;

	for (uint32_t i = 0; i < entry->n_ids; i++) {
		uint16_t id = tcmu_ring_tmr_id(&device->ring, entry, i);

		named[id / 8] |= (uint8_t)(1 << id % 8);
	}
	while ((task = next_named(device, named)))
		tcmu_task_abort(task);
}

void tcmu_tmr(struct tcmu_device *device, const struct tcmu_entry *entry)
{
	switch (entry->tmr_type) {
	case TMR_CLEAR_ACA: /* there is none: see SCSI_FOREIGN_TASKS */
		return;
	case TMR_LUN_RESET:
	case TMR_TARGET_WARM_RESET:
	case TMR_TARGET_COLD_RESET:
		reset_lu(device);
		break;
	default: /* what is aborted, and why, is for LIO to know */
		break;
	}
	abort_named(device, entry);
}
