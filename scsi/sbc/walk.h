/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A walk through the data-out of a task, run by run of what lies together. */
#include "scsi/task.h"

struct sbc_walk {
	const struct iovec *iov, *end;
	size_t at; /* in *iov */
};

static inline struct sbc_walk sbc_walk(const struct scsi_task *task)
{
	return (struct sbc_walk){.iov = task->iov, .end = task->iov + task->n_iov};
}

/* The next bytes, up to @max. Return: how many lie at *ret_data; 0 at the end. */
static inline size_t sbc_walk_next(struct sbc_walk *walk, size_t max, const uint8_t **ret_data)
{
	size_t n;

	while (walk->iov < walk->end && walk->at == walk->iov->iov_len) {
		walk->iov++;
		walk->at = 0;
	}
	if (walk->iov == walk->end)
		return 0;
	n = walk->iov->iov_len - walk->at;
	n = n < max ? n : max;
	*ret_data = (const uint8_t *)walk->iov->iov_base + walk->at;
	walk->at += n;
	return n;
}

/* Bytes of data-out that have come, which may be fewer than the command wants. */
static inline uint64_t sbc_received(const struct scsi_task *task)
{
	uint64_t sum = 0;

	for (int i = 0; i < task->n_iov; i++)
		sum += task->iov[i].iov_len;
	return sum;
}
