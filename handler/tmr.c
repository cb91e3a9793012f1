/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Task management that LIO tells of (attrib/tmr_notification). What it aborts among its own
 * commands it sees to itself: it waits until we have answered them, and tells nobody what we have
 * said. But tcm_loop (Linux 6.1) gives each of them back as GOOD, so each has to be done. A reset
 * is for the LU as a whole: for its state, and for who uses it by other ways. The entry itself gets
 * no answer. Source: SAM-5 r21, task management functions.
 */
#include "handler/device_priv.h"
#include "handler/uapi.h"
#include <stdlib.h>

enum { RESETS_MAX = 16 };

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

static bool is_lios(const struct scsi_tmf *tmf, const struct scsi_task *task)
{
	return task->nexus == tmf->nexus;
}

/* Aborts what comes by other ways, and puts the LU back. */
static void reset_lu(struct tcmu_device *device)
{
	struct tcmu_reset *reset =
		count_resets(device) < RESETS_MAX ? calloc(1, sizeof(*reset)) : NULL;

	if (!reset)
		return;
	reset->device = device;
	reset->tmf.function = TMF_LU_RESET;
	reset->tmf.nexus = device->nexus;
	reset->tmf.lun = scsi_lun_encode(0);
	reset->tmf.spares = is_lios;
	reset->tmf.done = reset_done;
	list_push_back(&device->resets, &reset->node);
	scsi_tmf_start(&reset->tmf);
}

void tcmu_tmr(struct tcmu_device *device, const struct tcmu_entry *entry)
{
	switch (entry->tmr_type) {
	case TMR_LUN_RESET:
	case TMR_TARGET_WARM_RESET:
	case TMR_TARGET_COLD_RESET:
		reset_lu(device);
		break;
	default: /* aborts, which are LIO's; CLEAR ACA: there is none, see SCSI_FOREIGN_TASKS */
		break;
	}
}
