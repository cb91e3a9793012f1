/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A crash at any request to any of the two stores: whatever of them is left, no block is reported
 * as corrupt afterwards, and what was on stable storage has its tuples still.
 */
#include "scsi/pi/intent.h"
#include "tests/scsi/pi_kit.h"
#include <stdlib.h>
#include <string.h>

enum {
	BLOCK = 512,
	UNIT = BLOCK + 8,
	N_BLOCKS = 64, /* that are written; few, so that they are written often */
	ROUNDS = 400,
	COMMANDS = 40, /* of a round, at most */
	SECTOR = 512,  /* what a loss of power leaves whole */
};

/* What is known of a block. */
struct block {
	uint8_t unit[UNIT]; /* as last acknowledged */
	bool under_way;	    /* a command that writes it has not been answered */
	bool in_doubt;	    /* written since it was last known to be on stable storage */
	bool escaped;	    /* and has no tuple */
};

static struct block blocks[N_BLOCKS], at_crash[N_BLOCKS];
static struct pi_kit_store image[PI_STORES];
static unsigned countdown, rng;
static bool crashed;

static unsigned dice(unsigned n)
{
	rng = rng * 1103515245 + 12345;
	return (rng >> 16) % n;
}

/* The stores as they are now, some time in the middle of a command. */
static void take_image(const struct pi_kit_store *store, const struct duotgt_io *io)
{
	(void)store;
	(void)io;
	if (crashed || countdown--)
		return;
	crashed = true;
	memcpy(image, pi_kit, sizeof(image));
	memcpy(at_crash, blocks, sizeof(blocks));
}

/* A killed process leaves all of the page cache behind, a loss of power any part of it. */
static void fall_back(bool power)
{
	memcpy(pi_kit, image, sizeof(image));
	for (unsigned s = 0; power && s < PI_STORES; s++)
		for (size_t at = 0; at < PI_STORE_SIZE; at += SECTOR)
			if (dice(2))
				memcpy(pi_kit[s].now + at, image[s].stable + at, SECTOR);
	for (unsigned s = 0; s < PI_STORES; s++)
		memcpy(pi_kit[s].stable, pi_kit[s].now, PI_STORE_SIZE);
	pi_kit_before = NULL;
}

static void doubt(unsigned lba, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		blocks[lba + i].in_doubt = blocks[lba + i].under_way = true;
}

static void write_blocks(struct harness *h, unsigned lba, unsigned n, bool fua)
{
	static uint8_t data[N_BLOCKS * UNIT];
	struct sent sent = {
		.cdb = {0x8a,
			(uint8_t)(0x20 | (fua ? 0x08 : 0)), [9] = (uint8_t)lba, [13] = (uint8_t)n},
		.out = data,
		.out_len = n * UNIT};

	for (unsigned i = 0; i < n; i++)
		pi_kit_unit(data + i * UNIT, BLOCK, (uint8_t)dice(256), (uint16_t)dice(0xffff),
			    lba + i);
	doubt(lba, n); /* from before it is sent */
	assert_good(harness_send(h, &sent));
	for (unsigned i = 0; i < n; i++) {
		memcpy(blocks[lba + i].unit, data + i * UNIT, UNIT);
		blocks[lba + i].under_way = false;
		blocks[lba + i].in_doubt = !fua;
		blocks[lba + i].escaped = false;
	}
}

static void unmap_blocks(struct harness *h, unsigned lba, unsigned n)
{
	uint8_t list[24] = {0, 22, 0, 16};

	be64_put(list + 8, lba);
	be32_put(list + 16, n);
	doubt(lba, n);
	assert_good(SEND(h, .cdb = {0x42, [8] = 24}, .out = list, .out_len = 24));
	for (unsigned i = 0; i < n; i++) {
		blocks[lba + i].under_way = false;
		memset(blocks[lba + i].unit, 0, BLOCK);
		blocks[lba + i].escaped = true;
	}
}

static void flush(struct harness *h)
{
	assert_good(SEND(h, .cdb = {0x35}));
	for (unsigned i = 0; i < N_BLOCKS; i++)
		blocks[i].in_doubt = false;
}

static void command(struct harness *h)
{
	unsigned lba = dice(N_BLOCKS), n = 1 + dice(N_BLOCKS - lba);

	switch (dice(6)) {
	case 0:
		flush(h);
		break;
	case 1:
		unmap_blocks(h, lba, n);
		break;
	case 2:
		write_blocks(h, lba, n, true);
		break;
	default:
		write_blocks(h, lba, n, false);
	}
}

static void check_block(struct harness *h, unsigned lba, bool power)
{
	const struct block *was = &at_crash[lba];
	const struct answer *a =
		SEND(h, .cdb = {0x88, 0x20, [9] = (uint8_t)lba, [13] = 1}, .expect_in = UNIT);
	static const uint8_t escape[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

	assert_good(a); /* whatever it is: never a false alarm */
	if (was->under_way || (power && was->in_doubt))
		return;
	assert_memory_equal(a->data, was->unit, BLOCK);
	assert_memory_equal(a->data + BLOCK, was->escaped ? escape : was->unit + BLOCK, 8);
}

static void start(struct harness *h)
{
	struct scsi_lu_config cfg = pi_kit_config(1, BLOCK);

	harness_start(h);
	harness_map(h, 0, &cfg);
	harness_settle(h);
}

static void round_of(bool power)
{
	struct harness h;

	pi_kit_reset();
	memset(blocks, 0, sizeof(blocks));
	for (unsigned i = 0; i < N_BLOCKS; i++)
		blocks[i].escaped = true;
	crashed = false;
	countdown = dice(60);
	start(&h);
	pi_kit_before = take_image;
	for (unsigned i = 0; i < COMMANDS && !crashed; i++)
		command(&h);
	pi_kit_before = NULL;
	harness_stop(&h);
	if (!crashed)
		return;
	fall_back(power);
	start(&h);
	for (unsigned lba = 0; lba < N_BLOCKS; lba++)
		check_block(&h, lba, power);
	/* And after that an error is an error again. */
	write_blocks(&h, 3, 1, true);
	pi_kit[PI_DATA].now[3 * BLOCK] ^= 4;
	assert_check(SEND(&h, .cdb = {0x28, [5] = 3, [8] = 1}, .expect_in = BLOCK),
		     SENSE_GUARD_CHECK);
	harness_stop(&h);
}

static void killed(void **state)
{
	(void)state;
	for (rng = 1; rng < ROUNDS; rng++) {
		unsigned seed = rng;

		round_of(false);
		rng = seed;
	}
}

static void power_lost(void **state)
{
	(void)state;
	for (rng = 1000; rng < 1000 + ROUNDS; rng++) {
		unsigned seed = rng;

		round_of(true);
		rng = seed;
	}
}

/* The bit comes before the block: on stable storage when the first byte of either is written. */
static void needs_bit(const struct pi_kit_store *store, const struct duotgt_io *io)
{
	static const uint8_t none[4096];

	if (store == &pi_kit[PI_DATA] && io->kind != DUOTGT_IO_FLUSH)
		assert_memory_not_equal(pi_kit[PI_TUPLES].stable + 4096, none, 4096);
}

static void bits_come_first(void **state)
{
	struct harness h;

	(void)state;
	pi_kit_reset();
	start(&h);
	pi_kit_before = needs_bit;
	write_blocks(&h, 0, 8, false);
	unmap_blocks(&h, 3, 2);
	harness_stop(&h);
	pi_kit_reset();
	start(&h);
	pi_kit_before = needs_bit;
	unmap_blocks(&h, 3, 2);
	harness_stop(&h);
}

/* ---- bits of many regions ---- */

struct marker {
	struct pi_mark mark;
	bool done;
	int res;
};

static void marker_done(struct pi_mark *mark, int res)
{
	struct marker *marker = container_of(mark, struct marker, mark);

	marker->done = true;
	marker->res = res;
}

static bool is_stable(unsigned region)
{
	return pi_kit[PI_TUPLES].stable[4096 + region / 8] >> region % 8 & 1;
}

/* Regions of 4096 bytes, marked @n at a time; all who wait share the writes. */
static void many_regions(void **state)
{
	struct scsi_lu_config cfg = pi_kit_config(1, BLOCK);
	struct marker markers[200] = {0};
	struct duotgt_backend_info info;
	struct pi_intent intent;
	struct engine *engine;
	uint64_t since;
	void *store;

	(void)state;
	pi_kit_reset();
	assert_int_equal(engine_new(ENGINE_EPOLL, NULL, &engine), 0);
	cfg.params.path = "tuples";
	assert_int_equal(cfg.backend->open(&cfg.params, &store, &info, NULL, 0), 0);
	pi_intent_init(&intent, cfg.backend, store, 4096, 12);
	for (unsigned i = 0; i < 200; i++) {
		markers[i].mark = (struct pi_mark){.offset = i * 4096 * 3,
						   .len = 4097,
						   .engine = engine,
						   .marked = marker_done};
		assert_false(pi_intent_begin(&intent, &markers[i].mark));
	}
	while (!markers[199].done)
		assert_true(engine_turn(engine, true) >= 0);
	assert_int_equal(pi_kit[PI_TUPLES].n[DUOTGT_IO_WRITE], 2);
	for (unsigned i = 0; i < 200; i++) {
		assert_true(markers[i].done && markers[i].res == 0);
		assert_true(is_stable(i * 3) && is_stable(i * 3 + 1) && !is_stable(i * 3 + 2));
	}
	/* What is marked goes on at once; a flush beside a write clears nothing, one alone does. */
	assert_true(pi_intent_begin(&intent, &markers[0].mark));
	since = pi_intent_flush_begins(&intent);
	for (unsigned i = 0; i <= 200; i++)
		pi_intent_end(&intent);
	assert_true(pi_intent_flushed(&intent, since, &markers[0].mark));
	since = pi_intent_flush_begins(&intent);
	markers[0].done = false;
	assert_false(pi_intent_flushed(&intent, since, &markers[0].mark));
	while (!markers[0].done)
		assert_true(engine_turn(engine, true) >= 0);
	for (unsigned i = 0; i < 600; i++)
		assert_false(is_stable(i));
	pi_intent_fini(&intent);
	engine_free(engine);
}

/* After a clean end there is nothing to go through, and nothing is: errors stay errors. */
static void clean_end(void **state)
{
	struct harness h;

	(void)state;
	pi_kit_reset();
	start(&h);
	write_blocks(&h, 0, 8, false);
	harness_stop(&h);
	pi_kit[PI_DATA].now[5 * BLOCK + 1] ^= 1;
	pi_kit[PI_DATA].n[DUOTGT_IO_READ] = 0;
	start(&h);
	assert_int_equal(pi_kit[PI_DATA].n[DUOTGT_IO_READ], 0);
	assert_check(SEND(&h, .cdb = {0x28, [5] = 5, [8] = 1}, .expect_in = BLOCK),
		     SENSE_GUARD_CHECK);
	harness_stop(&h);
}

/* A store that has lost writes is gone through at the next start, clean end or not. */
static void lost_writes(void **state)
{
	struct harness h;

	(void)state;
	pi_kit_reset();
	start(&h);
	write_blocks(&h, 0, 8, false);
	pi_kit[PI_DATA].fail_kind = DUOTGT_IO_FLUSH;
	pi_kit[PI_DATA].fail = -5;
	assert_check(SEND(&h, .cdb = {0x35}), SENSE_WRITE_ERROR);
	pi_kit[PI_DATA].fail = 0;
	harness_stop(&h);
	memset(pi_kit[PI_DATA].now, 0, 8 * BLOCK); /* what the kernel dropped */
	start(&h);
	assert_good(SEND(&h, .cdb = {0x88, 0x20, [13] = 8}, .expect_in = 8 * UNIT));
	harness_stop(&h);
}

/* Read only, it cannot be mended. */
static void read_only(void **state)
{
	struct scsi_lu_config cfg = pi_kit_config(1, BLOCK);
	struct scsi_lu *lu;
	struct harness h;
	char why[256];

	(void)state;
	pi_kit_reset();
	start(&h);
	write_blocks(&h, 0, 8, false);
	memcpy(image, pi_kit, sizeof(image));
	harness_stop(&h);
	cfg.params.read_only = true;
	assert_int_equal(scsi_lu_new(&cfg, &lu, why, sizeof(why)), 0);
	scsi_lu_unref(lu);
	fall_back(false);
	assert_true(scsi_lu_new(&cfg, &lu, why, sizeof(why)) < 0);
	assert_non_null(strstr(why, "tuples: was not closed as it should be"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bits_come_first), cmocka_unit_test(many_regions),
		cmocka_unit_test(killed),	   cmocka_unit_test(power_lost),
		cmocka_unit_test(clean_end),	   cmocka_unit_test(lost_writes),
		cmocka_unit_test(read_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
