/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole targets under simulation: initiators that overlap, break off and come back, disks that
 * fail, crashes of the target; an oracle judges every read.
 *
 *	test_sim			200 seeds, then lying disks, which must be found out
 *	test_sim --seed N [--verbose]	one seed again
 *	test_sim --seeds N		seeds 1 to N
 *	test_sim --lie flush|dsync	with a disk that forgets its promises
 */
#include "initiator.h"
#include "target.h"
#include "util/log.h"
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECOND 1000000000ull
#define INITIATORS_MAX 3

enum lie { LIE_NONE, LIE_FLUSH, LIE_DSYNC };

struct options {
	enum lie lie;
	bool verbose;
};

struct run {
	struct world world;
	struct target_config target_config;
	struct sim_disk *disk;
	struct target *target;
	struct initiator initiators[INITIATORS_MAX];
	unsigned n_initiators, n_crashes;
	unsigned stop_below; /* commands left at which the next crash comes */
};

/* ---- verdicts ---- */

static uint64_t seed_now;

void world_fail(struct world *world, const char *format, ...)
{
	va_list args;

	if (world->verdict[0])
		return;
	va_start(args, format);
	vsnprintf(world->verdict, sizeof(world->verdict), format, args);
	va_end(args);
	world_say(world, "FAILED: %s", world->verdict);
}

void world_say(const struct world *world, const char *format, ...)
{
	va_list args;

	if (!world->verbose)
		return;
	va_start(args, format);
	fprintf(stderr, "%10" PRIu64 " us  ", sim_now(world->sim) / 1000);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
}

/* An assertion or a sanitizer ends the process: the seed must not be lost. */
static void say_seed(void)
{
	char text[96];
	int n = snprintf(text, sizeof(text), "replay with: test_sim --seed %" PRIu64 " --verbose\n",
			 seed_now);

	if (write(STDERR_FILENO, text, (size_t)n) < 0)
		return;
}

static void on_abort(int signal_number)
{
	say_seed();
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

/* ---- a run ---- */

static void choose_world(struct run *run, struct sim *sim)
{
	const struct sim_net_config net = {
		.cut_permille = (unsigned)sim_below(sim, 600),
		.short_permille = (unsigned)sim_below(sim, 300),
		.latency_ns = sim_between(sim, 5, 200) * 1000,
		.buffer_bytes = sim_between(sim, 1, 64) * 1024,
	};
	struct world *world = &run->world;

	sim_net_configure(sim, &net);
	world->block_size = sim_chance(sim, 700) ? 512 : 4096;
	world->n_blocks = sim_between(sim, 4, 64) * 8192 / world->block_size;
	world->max_transfer = (uint32_t)sim_between(sim, 1, 16) * 8192;
	world->faults = sim_chance(sim, 400);
	run->n_initiators = (unsigned)sim_between(sim, 1, INITIATORS_MAX);
	run->n_crashes = (unsigned)sim_below(sim, 4);
}

static void choose_disk(struct run *run, const struct options *options)
{
	struct world *world = &run->world;
	struct sim *sim = world->sim;
	struct sim_disk_config cfg = {
		.size = world->n_blocks * world->block_size,
		.short_permille = (unsigned)sim_below(sim, 200),
		.slow_permille = (unsigned)sim_below(sim, 30),
		.forgets_flush = options->lie == LIE_FLUSH,
		.forgets_dsync = options->lie == LIE_DSYNC,
	};

	if (world->faults) {
		cfg.read_error_permille = (unsigned)sim_below(sim, 20);
		cfg.write_error_permille = (unsigned)sim_below(sim, 20);
		cfg.flush_error_permille = sim_chance(sim, 300) ? 30 : 0;
		cfg.full_permille = (unsigned)sim_below(sim, 10);
		cfg.again_permille = (unsigned)sim_below(sim, 10);
	}
	run->disk = sim_disk_new(sim, &cfg);
}

static void choose_target(struct run *run)
{
	static const uint32_t segments[] = {512, 4096, 8192, 65536, 262144};
	struct world *world = &run->world;
	struct sim *sim = world->sim;
	uint32_t first = (uint32_t)sim_between(sim, 1, 16) * 4096;

	bool tight = sim_chance(sim, 400);

	run->target_config = (struct target_config){
		.n_reactors = (unsigned)sim_between(sim, 1, TARGET_REACTORS_MAX),
		/* Some have hardly more than one command needs. */
		.n_buffers = tight ? 6 : 256,
		.park_bytes = tight ? sim_between(sim, 1, 16) * first : 0,
		.max_tasks = tight ? (unsigned)sim_between(sim, 1, 40) : 0,
		.queue_depth = (unsigned)sim_between(sim, 1, 32),
		.max_transfer = world->max_transfer,
		.block_size = world->block_size,
		.size = world->n_blocks * world->block_size,
		.write_cache = sim_chance(sim, 800),
		.nop_interval_ms = (uint32_t)sim_between(sim, 50, 15000),
		.max_recv_data_segment = segments[sim_below(sim, 5)],
		.max_burst = first * (uint32_t)sim_between(sim, 1, 4),
		.first_burst = first,
		.max_outstanding_r2t = (uint16_t)sim_between(sim, 1, 16),
		.initial_r2t = sim_chance(sim, 300),
		.immediate_data = sim_chance(sim, 800),
	};
}

static unsigned commands_left(const struct run *run)
{
	unsigned n = 0;

	for (unsigned i = 0; i < run->n_initiators; i++)
		n += run->initiators[i].budget;
	return n;
}

static bool all_idle(const struct run *run)
{
	for (unsigned i = 0; i < run->n_initiators; i++)
		if (!player_idle(&run->initiators[i]))
			return false;
	return true;
}

static bool played(void *arg)
{
	const struct run *run = arg;

	return run->world.verdict[0] || commands_left(run) <= run->stop_below;
}

static bool settled(void *arg)
{
	const struct run *run = arg;

	return run->world.verdict[0] || all_idle(run);
}

static bool all_down(void *arg)
{
	const struct run *run = arg;

	for (unsigned i = 0; i < run->n_initiators; i++)
		if (run->initiators[i].phase != INI_DOWN)
			return false;
	return true;
}

static void until(struct run *run, bool (*cond)(void *arg))
{
	if (!run->world.verdict[0] && sim_run_until(run->world.sim, cond, run, 600 * SECOND) < 0)
		world_fail(&run->world, "the run hangs");
}

static void start_target(struct run *run)
{
	run->target = target_start(run->world.sim, run->disk, &run->target_config);
	run->world.portal = target_portal(run->target);
}

static bool end_target(struct run *run)
{
	run->world.portal = -1;
	if (target_stop(run->target) == 0)
		return true;
	world_fail(&run->world, "the target does not stop");
	return false;
}

/*
 * The target's machine loses power. What was the target lives on for a while, cut off from network
 * and disk, only to free its memory.
 */
static bool crash(struct run *run)
{
	world_say(&run->world, "crash");
	run->world.counts.crashes++;
	sim_reset_all(run->world.sim, run->world.portal);
	sim_disk_crash(run->disk);
	oracle_crash(run->world.oracle);
	run->world.flush_failed = 0;
	return end_target(run);
}

static void crash_and_restart(struct run *run)
{
	if (!run->world.verdict[0] && crash(run))
		start_target(run);
}

static void play(struct run *run)
{
	struct sim *sim = run->world.sim;

	for (unsigned i = 0; i < run->n_initiators; i++) {
		run->initiators[i].budget = (unsigned)sim_between(sim, 20, 400);
		run->initiators[i].depth = (unsigned)sim_between(sim, 1, 24);
	}
	for (unsigned i = 0; i < run->n_crashes; i++) {
		run->stop_below = (unsigned)sim_below(sim, commands_left(run) + 1);
		until(run, played);
		crash_and_restart(run);
	}
	run->stop_below = 0;
	until(run, played);
	run->world.quiet = true;
	sim_disk_calm(run->disk);
	until(run, settled);
}

/* All that is there is read back; then all that was promised to last, after a last crash. */
static void read_back(struct run *run)
{
	player_scan(&run->initiators[0], true);
	until(run, settled);
	crash_and_restart(run);
	player_scan(&run->initiators[0], false);
	until(run, settled);
}

static void finish(struct run *run)
{
	/* A session is asked to log out; one that has no commands left does. */
	if (!end_target(run) || sim_run_until(run->world.sim, all_down, run, 60 * SECOND) < 0) {
		/* What hangs cannot be freed; the verdict stands. */
		world_fail(&run->world, "the end hangs");
		return;
	}
	for (unsigned i = 0; i < run->n_initiators; i++)
		initiator_fini(&run->initiators[i]);
	sim_free(run->world.sim);
	oracle_free(run->world.oracle);
}

static void counts_add(struct world_counts *sum, const struct world_counts *counts)
{
	const uint64_t *from = (const uint64_t *)counts;
	uint64_t *to = (uint64_t *)sum;

	for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += from[i];
}

/* Return: whether all was well; else @ret_verdict (512 bytes). */
static bool run_seed(uint64_t seed, const struct options *options, struct world_counts *counts,
		     char *ret_verdict)
{
	struct run *run = calloc(1, sizeof(*run));
	struct world *world = &run->world;
	bool well;

	seed_now = seed;
	world->sim = sim_new(seed);
	world->verbose = options->verbose;
	choose_world(run, world->sim);
	choose_disk(run, options);
	choose_target(run);
	world->oracle = oracle_new(world->n_blocks * (world->block_size / ORACLE_SECTOR),
				   !run->target_config.write_cache);
	start_target(run);
	for (unsigned i = 0; i < run->n_initiators; i++)
		initiator_init(&run->initiators[i], world, i);
	play(run);
	read_back(run);
	finish(run);
	counts_add(counts, &world->counts);
	well = !world->verdict[0];
	memcpy(ret_verdict, world->verdict, sizeof(world->verdict));
	free(run);
	return well;
}

/* ---- all of them ---- */

static int run_seeds(uint64_t first, uint64_t n, const struct options *options)
{
	struct world_counts counts = {0};
	char verdict[512];
	int n_failed = 0;

	for (uint64_t seed = first; seed < first + n; seed++) {
		if (run_seed(seed, options, &counts, verdict))
			continue;
		fprintf(stderr, "seed %" PRIu64 " FAILED: %s\n", seed, verdict);
		say_seed();
		n_failed++;
	}
	printf("%" PRIu64 " seeds, %d failed: %" PRIu64 " commands, %" PRIu64
	       " sectors checked, %" PRIu64 " flushes, %" PRIu64 " FUA writes, %" PRIu64
	       " R2Ts, %" PRIu64 " unsolicited bursts, %" PRIu64 " Data-Ins,\n%" PRIu64
	       " logins (%" PRIu64 " with digests), %" PRIu64 " lost connections, %" PRIu64
	       " aborts, %" PRIu64 " resets, %" PRIu64 " pings, %" PRIu64 " failures, %" PRIu64
	       " crashes, %" PRIu64 " ACAs, %" PRIu64 " commands in them\n",
	       n, n_failed, counts.commands, counts.sectors_checked, counts.flushes,
	       counts.fua_writes, counts.r2ts, counts.unsolicited, counts.data_ins, counts.logins,
	       counts.digest_logins, counts.losses, counts.aborts, counts.resets, counts.pings,
	       counts.failures, counts.crashes, counts.acas, counts.aca_commands);
	for (size_t i = 0; n >= 100 && i < sizeof(counts) / sizeof(uint64_t); i++)
		if (!((const uint64_t *)&counts)[i]) {
			fprintf(stderr, "count %zu is 0: these runs do not test what they should\n",
				i);
			n_failed++;
		}
	return n_failed;
}

/* A disk that breaks its promise: the oracle must notice within some seeds. */
static int must_find(enum lie lie, const char *name)
{
	const struct options options = {.lie = lie};
	struct world_counts counts = {0};
	char verdict[512];

	for (uint64_t seed = 1; seed <= 40; seed++) {
		if (run_seed(seed, &options, &counts, verdict))
			continue;
		printf("a disk that forgets %s is found out by seed %" PRIu64 ": %s\n", name, seed,
		       verdict);
		return 0;
	}
	fprintf(stderr, "a disk that forgets %s is not found out: the oracle is blind\n", name);
	return 1;
}

static int usage(void)
{
	fputs("usage: test_sim [--seed N | --seeds N] [--lie flush|dsync] [--verbose]\n", stderr);
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {{"seed", required_argument, NULL, 's'},
					      {"seeds", required_argument, NULL, 'n'},
					      {"lie", required_argument, NULL, 'l'},
					      {"verbose", no_argument, NULL, 'v'},
					      {0}};
	struct options options = {0};
	uint64_t first = 1, n = 0;
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 's')
			first = strtoull(optarg, NULL, 0), n = 1;
		else if (c == 'n')
			n = strtoull(optarg, NULL, 0);
		else if (c == 'l')
			options.lie = !strcmp(optarg, "dsync") ? LIE_DSYNC : LIE_FLUSH;
		else if (c == 'v')
			options.verbose = true;
		else
			return usage();
	}
	signal(SIGABRT, on_abort);
	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(say_seed);
	log_set_level(options.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
	if (n)
		return run_seeds(first, n, &options) ? 1 : 0;
	return run_seeds(1, 200, &options) + must_find(LIE_FLUSH, "flushes") +
			       must_find(LIE_DSYNC, "synchronous writes")
		       ? 1
		       : 0;
}
