/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The data-out of a task: a walk through it, and how much there is. */
#include "scsi/task.h"
#include "util/walk.h"

static inline struct walk sbc_walk(const struct scsi_task *task)
{
	return walk_of(task->iov, task->n_iov);
}

/* Bytes of data-out that have come, which may be fewer than the command wants. */
static inline uint64_t sbc_received(const struct scsi_task *task)
{
	uint64_t sum = 0;

	for (int i = 0; i < task->n_iov; i++)
		sum += task->iov[i].iov_len;
	return sum;
}
