/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a disk may say. Each write has a number, and every sector of it carries that number with
 * the sector's own; so a read tells which write each sector comes from, and whether it is whole.
 * The oracle keeps, for each sector, the writes that it could hold: now, and after a crash.
 *
 * Time is counted in events: each call below is one later than the one before.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ORACLE_SECTOR 512

struct oracle;

/* @stable_writes: every acknowledged write survives a crash (WCE=0). */
struct oracle *oracle_new(size_t n_sectors, bool stable_writes);
void oracle_free(struct oracle *oracle);

/* The bytes of sectors of write @id; 0: of a disk never written. */
void oracle_fill(uint32_t id, uint64_t sector, size_t n, void *bytes);

/* A point in time, for the calls that ask when something began. */
uint64_t oracle_now(struct oracle *oracle);

/* A write may reach the disk from now on. Return: its number. */
uint32_t oracle_write_begin(struct oracle *oracle, uint64_t sector, size_t n);

enum oracle_outcome {
	WRITE_DONE,    /* acknowledged: it is there */
	WRITE_DURABLE, /* acknowledged with FUA */
	WRITE_PERHAPS, /* failed or aborted: each sector may be there, but none comes later */
	WRITE_NEVER,   /* refused: it is not there */
};

void oracle_write_end(struct oracle *oracle, uint32_t id, uint64_t sector, size_t n,
		      enum oracle_outcome outcome);

/* A flush of a range, begun at @begun, was acknowledged. */
void oracle_flushed(struct oracle *oracle, uint64_t begun, uint64_t sector, size_t n);

/* All writes still under way have ended, as WRITE_PERHAPS; the disk has lost what it may lose. */
void oracle_crash(struct oracle *oracle);

/**
 * oracle_check() - judge what a read, begun at @begun, has just brought
 * Return: true, and the oracle has learnt from it; or false, and @ret_why (256 bytes).
 */
bool oracle_check(struct oracle *oracle, uint64_t begun, uint64_t sector, size_t n,
		  const void *bytes, char *ret_why);
