/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A whole target in the simulated world: portal, sessions, device server, file back end. */
#include "engine_sim.h"
#include "util/pool.h"

struct target;

#define TARGET_NAME "iqn.2025-01.org.duotgt:sim"
#define TARGET_REACTORS_MAX 3

struct target_config {
	unsigned n_reactors;
	size_t n_buffers; /* large ones, 64 KiB each */
	uint64_t park_bytes;
	unsigned max_tasks;
	unsigned queue_depth;
	uint32_t max_transfer, block_size;
	uint64_t size; /* bytes of the LU */
	bool write_cache;
	uint32_t nop_interval_ms;
	uint32_t max_recv_data_segment, max_burst, first_burst;
	uint16_t max_outstanding_r2t;
	bool initial_r2t, immediate_data;
};

/* Serves @disk. What goes wrong ends the test. */
struct target *target_start(struct sim *sim, struct sim_disk *disk,
			    const struct target_config *cfg);

int target_portal(const struct target *target); /* for sim_connect() */

/* Ends it and frees all of it, which takes virtual time. Return: as sim_run_until(). */
int target_stop(struct target *target);
