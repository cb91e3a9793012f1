/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the initiators of one run share: the world, the oracle, where the target is, the verdict. */
#include "engine_sim.h"
#include "oracle.h"

/* What has happened, to see that the runs are worth something. */
struct world_counts {
	uint64_t commands, sectors_checked, flushes, fua_writes, r2ts, unsolicited, data_ins;
	uint64_t logins, digest_logins, losses, aborts, resets, pings, failures, crashes;
	uint64_t acas, aca_commands;
};

struct world {
	struct sim *sim;
	struct oracle *oracle;
	int portal; /* -1: the target is down */
	uint32_t block_size;
	uint64_t n_blocks;
	uint32_t max_transfer; /* bytes */
	bool faults;	       /* the disk may fail: errors are no surprise */
	bool quiet;	       /* no disconnects and aborts any more */
	bool verbose;
	uint64_t flush_failed; /* the oracle's time when one was answered so; 0: none */
	unsigned resets_sent;  /* LOGICAL UNIT RESETs, of all initiators */
	unsigned n_resetting;  /* of which that many may still come */
	unsigned n_acas;       /* initiators for which an ACA may be in force */
	uint64_t aca_ended_ns; /* when there was one less, last */
	char verdict[512];     /* empty: all is well */
	struct world_counts counts;
};

/* Notes the first thing that is wrong; the run ends soon after. */
void world_fail(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A line for --verbose. */
void world_say(const struct world *world, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
