/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the harnesses of SCSI commands do alike: stores in memory, and one command from its run to
 * its end, in a buffer as long as it may be and no longer.
 */
#include "scsi/lu.h"
#include "scsi/task.h"

enum { RIG_STORES = 8, RIG_STORE_SIZE = 96 << 10, RIG_IN_MAX = 128 << 10 };

/* Not assert(), which a release build leaves out. */
void require(bool what);

extern struct engine *rig_engine; /* made by the test */

extern uint8_t rig_stores[RIG_STORES][RIG_STORE_SIZE];

/* Of a store: params.path is its number, one digit; params.size its size. */
extern const struct duotgt_backend_ops rig_ops;

/* For struct scsi_task. */
extern const struct scsi_transport rig_transport;

/*
 * Between scsi_task_begin(), which has said SCSI_READY, and scsi_task_end(). @out holds what the
 * initiator brings. Return: what came in, task->in_len bytes or as many as were asked for, until
 * the next call.
 */
const uint8_t *rig_run(struct scsi_task *task, const uint8_t *out);
