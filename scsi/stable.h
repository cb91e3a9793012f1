/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * No GOOD from a flush while another one of the LU may still find out that pages were lost.
 *
 * Of flushes, and writes with FUA, that are under way together, the kernel tells only one that
 * dirty pages were dropped. So one that succeeds is told only when all that began before its end
 * have ended, too: if one of them has failed, lu->flush_failed says so by then. Where only one is
 * under way at a time, nobody waits.
 */
#include "util/engine.h"
#include "util/list.h"
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* One of a LU's requests of this kind; lent from begin on until end, or settled(). */
struct scsi_stable_op {
	/* set before the end */
	struct engine *engine; /* whose thread ends it */
	void (*settled)(struct scsi_stable_op *op);

	/* own */
	struct list node;
	uint64_t number; /* in the order of their begin; then, of the last one to wait for */
	struct engine_post post;
};

struct scsi_stable {
	pthread_mutex_t lock;
	uint64_t n_begun;
	struct list under_way; /* by ascending number */
	struct list waiting;   /* likewise: succeeded, not yet told */
};

void scsi_stable_init(struct scsi_stable *stable);
void scsi_stable_fini(struct scsi_stable *stable); /* nothing is under way, nobody waits */

/* The request is about to be sent. */
void scsi_stable_begin(struct scsi_stable *stable, struct scsi_stable_op *op);

/**
 * scsi_stable_end() - the request has ended; a failure has been noted in lu->flush_failed
 * @failed: there is nothing to wait for
 * Return: true: it can be told; false: op->settled() follows on op->engine, from the loop.
 */
bool scsi_stable_end(struct scsi_stable *stable, struct scsi_stable_op *op, bool failed);
