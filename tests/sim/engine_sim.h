/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A world in one thread: engines, a network and disks on a virtual clock, all moved by one seeded
 * generator. The same seed gives the same run, to the byte. What runs in it sees util/engine.h
 * and nothing else; sockets and disks are numbers that no system call knows.
 */
#include "util/engine.h"
#include <stddef.h>
#include <stdint.h>

struct sim;
struct sim_disk;

struct sim *sim_new(uint64_t seed);
void sim_free(struct sim *sim); /* its engines are freed; NULL is fine */
uint64_t sim_seed(const struct sim *sim);

/* An engine of this world; freed by engine_free(). */
int sim_engine_new(struct sim *sim, struct engine **ret_engine);

/* ---- time and chance ---- */

uint64_t sim_now(const struct sim *sim); /* nanoseconds */
uint64_t sim_random(struct sim *sim);
uint64_t sim_below(struct sim *sim, uint64_t limit);		    /* 0 <= n < limit; 0 for 0 */
uint64_t sim_between(struct sim *sim, uint64_t low, uint64_t high); /* low <= n <= high */
bool sim_chance(struct sim *sim, unsigned permille);

/* One step: an event, or one turn of one engine. Return: false when nothing will ever happen. */
bool sim_step(struct sim *sim);

/**
 * sim_run_until() - step until @cond
 * Return: 0; -EDEADLK when nothing is left that could happen, -ETIMEDOUT after @limit_ns of
 * virtual time; both are said on stderr with the seed.
 */
int sim_run_until(struct sim *sim, bool (*cond)(void *arg), void *arg, uint64_t limit_ns);

/* ---- network ---- */

struct sim_net_config {
	unsigned cut_permille;	 /* a segment arrives in pieces */
	unsigned short_permille; /* a send or receive moves less than it could */
	uint64_t latency_ns;	 /* typical; single segments take up to 20 times as long */
	size_t buffer_bytes;	 /* of one direction of one connection */
};

void sim_net_configure(struct sim *sim, const struct sim_net_config *cfg);

/* A listening socket, for engine_sock_open() and engine_accept(). Never fails. */
int sim_listen(struct sim *sim);

/* A connected socket; its other end is accepted later, or it is reset. Never fails. */
int sim_connect(struct sim *sim, int listen_fd);

/* Breaks a connection, at once, on both sides; what is under way is lost. */
void sim_reset(struct sim *sim, int fd);

/* Does so to all connections of a listener: its machine is gone. New ones are refused as well. */
void sim_reset_all(struct sim *sim, int listen_fd);

/* ---- bells ---- */

/* A descriptor for engine_watch(), of one watch at a time. Never fails. */
int sim_bell_new(struct sim *sim);

/* It has become readable anew; its watch hears of it some time later. */
void sim_bell_ring(struct sim *sim, int fd);

/* ---- disks ---- */

#define SIM_SECTOR 512 /* bytes that a crash leaves whole */

struct sim_disk_config {
	uint64_t size; /* bytes, a multiple of SIM_SECTOR */
	/* how often it misbehaves, of 1,000 operations */
	unsigned short_permille, read_error_permille, write_error_permille, flush_error_permille;
	unsigned full_permille;	 /* -ENOSPC from a write */
	unsigned again_permille; /* -EAGAIN from anything */
	unsigned slow_permille;	 /* takes milliseconds, not microseconds */
	/* A liar, to see that tests find out: */
	bool forgets_flush, forgets_dsync;
};

/* All zeroes. Freed with the world. */
struct sim_disk *sim_disk_new(struct sim *sim, const struct sim_disk_config *cfg);

/* A descriptor for the engines' file operations; dead (-EIO) after the next crash. */
int sim_disk_open(struct sim_disk *disk);

/*
 * Power is cut. Each sector becomes what is on stable storage or any later state that it went
 * through; writes under way count, sector by sector.
 */
void sim_disk_crash(struct sim_disk *disk);

/* Sectors that a crash might set back now. */
size_t sim_disk_dirty(const struct sim_disk *disk);

/* What a read would see, for oracles. */
const uint8_t *sim_disk_view(const struct sim_disk *disk);

/* No more misbehaviour from here on. */
void sim_disk_calm(struct sim_disk *disk);
