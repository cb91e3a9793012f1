/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Ranges of blocks that requests hold while they work on them: a block and its tuple are two
 * pieces of two stores, and who reads must not find one of them older than the other. Readers share
 * a range, a writer has it alone; who comes first goes first.
 */
#include "util/engine.h"
#include <pthread.h>

struct pi_ranges {
	pthread_mutex_t lock;
	struct list all; /* struct pi_range.node, in the order they came */
	unsigned n_waiting;
};

struct pi_range {
	/* set before pi_range_take() */
	uint64_t first, end; /* blocks */
	bool alone;
	struct engine *engine;
	/* On the thread of the engine, from the loop, when it had to wait. */
	void (*taken)(struct pi_range *range);

	struct list node;
	struct engine_post post;
	bool has;
};

void pi_ranges_init(struct pi_ranges *ranges);
void pi_ranges_fini(struct pi_ranges *ranges); /* none is held */

/* Return: true: it is held; false: range->taken() follows. */
bool pi_range_take(struct pi_ranges *ranges, struct pi_range *range);
void pi_range_give_back(struct pi_ranges *ranges, struct pi_range *range);
