/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Disks with protection information for tests: two stores in memory, one of blocks and one of
 * tuples, that tests look into, spoil, and lose power of.
 */
#include "scsi/lu_priv.h"
#include "tests/scsi/harness.h"
#include "util/bytes.h"

enum { PI_DATA, PI_TUPLES, PI_STORES };
#define PI_SIZE (1u << 20)		      /* of the medium */
#define PI_STORE_SIZE (PI_SIZE + (64u << 10)) /* of either store, at most */

struct pi_kit_store {
	uint8_t now[PI_STORE_SIZE];    /* what is read */
	uint8_t stable[PI_STORE_SIZE]; /* what a loss of power would leave for certain */
	bool can_discard;
	int fail; /* what requests of fail_kind end with; 0: they are done */
	enum duotgt_io_kind fail_kind;
	bool hold_writes; /* until pi_kit_release() */
	struct duotgt_io *held;
	struct engine *held_by;
	unsigned n[4]; /* requests, by enum duotgt_io_kind */
};

extern struct pi_kit_store pi_kit[PI_STORES];

/* The two are as they were made: zeroes. */
void pi_kit_reset(void);

/* How many requests both have had. */
unsigned pi_kit_requests(void);

/* The one write that is held is done now. */
void pi_kit_release(struct pi_kit_store *store);

/* Runs before each request that changes a store. NULL: nothing. */
extern void (*pi_kit_before)(const struct pi_kit_store *store, const struct duotgt_io *io);

/* A LU on them, as the harness has them otherwise. */
struct scsi_lu_config pi_kit_config(unsigned type, uint32_t block_size);

/* What a LU on them can be: for tests of what is alike on all. */
struct pi_kit_kind {
	const char *name;
	unsigned type; /* of protection information; 0: none */
	uint32_t block_size;
	bool cdrom;
};

/* pi_kit_config(), of a kind; the two stores are as they were made. */
struct scsi_lu_config pi_kit_config_of(const struct pi_kit_kind *kind);

/* For main(): runs @test once for each kind, which is its state. */
int pi_kit_run_kinds(void (*test)(void **state));

/* A started harness with that at LUN 0, no attentions left. */
void pi_kit_start(struct harness *h, unsigned type, uint32_t block_size);

/* The tuple of a block as it is stored, made readable. */
void pi_kit_tuple(uint64_t lba, uint8_t *ret_tuple);
void pi_kit_set_tuple(uint64_t lba, const uint8_t *tuple);

/* Another way to the CRC than the program's, bit by bit. */
uint16_t pi_kit_crc(const uint8_t *data, size_t len);

/* @block_size bytes of data after the pattern, and their tuple. */
void pi_kit_unit(uint8_t *unit, uint32_t block_size, uint8_t pattern, uint16_t app, uint32_t ref);
