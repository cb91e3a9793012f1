/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of tuples, whatever changes the blocks; and of what the stores cannot do. */
#include "scsi/backend/backends.h"
#include "scsi/pi/pi.h"
#include "tests/scsi/pi_kit.h"
#include "tests/scsi/wipe_kit.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 512, UNIT = BLOCK + 8, N_BLOCKS = PI_SIZE / BLOCK };

static uint8_t buf[N_BLOCKS * UNIT];
static const uint8_t escape[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static void start_disk(struct harness *h)
{
	struct scsi_lu_config cfg = pi_kit_config(1, BLOCK);

	cfg.max_transfer = 2 * PI_SIZE;
	harness_start(h);
	harness_map(h, 0, &cfg);
	harness_settle(h);
}

static int start(void **state)
{
	static struct harness h;

	pi_kit_reset();
	start_disk(&h);
	*state = &h;
	return 0;
}

static int stop(void **state)
{
	harness_stop(*state);
	return 0;
}

/* READ (16) of blocks with their tuples (@protect 1 to 4), or without (0). */
static const struct answer *read_units(struct harness *h, unsigned protect, uint32_t lba,
				       uint16_t n, uint32_t expect)
{
	struct sent sent = {.cdb = {0x88, (uint8_t)(protect << 5)}, .expect_in = expect};

	be64_put(sent.cdb + 2, lba);
	be32_put(sent.cdb + 10, n);
	return harness_send(h, &sent);
}

/* WRITE (16) of @n blocks from buf. */
static const struct answer *write_units(struct harness *h, unsigned protect, uint8_t flags,
					uint32_t lba, uint16_t n)
{
	struct sent sent = {.cdb = {0x8a, (uint8_t)(protect << 5 | flags)},
			    .out = buf,
			    .out_len = n * (protect ? UNIT : BLOCK),
			    .n_segments = 3};

	be64_put(sent.cdb + 2, lba);
	be32_put(sent.cdb + 10, n);
	return harness_send(h, &sent);
}

static void fill(uint32_t lba, unsigned n, uint8_t pattern, uint16_t app)
{
	for (unsigned i = 0; i < n; i++)
		pi_kit_unit(buf + (size_t)i * UNIT, BLOCK, (uint8_t)(pattern + i), app, lba + i);
}

static void assert_escapes(uint32_t lba, unsigned n)
{
	uint8_t tuple[8];

	for (unsigned i = 0; i < n; i++) {
		pi_kit_tuple(lba + i, tuple);
		assert_memory_equal(tuple, escape, 8);
	}
}

static void assert_tuples(const uint8_t *units, uint32_t lba, unsigned n)
{
	uint8_t tuple[8];

	for (unsigned i = 0; i < n; i++) {
		pi_kit_tuple(lba + i, tuple);
		assert_memory_equal(tuple, units + (size_t)i * UNIT + BLOCK, 8);
	}
}

/* What was never written is not checked, and says so. */
static void fresh_blocks(void **state)
{
	const struct answer *a = read_units(*state, 1, 7, 3, 3 * UNIT);

	assert_good(a);
	assert_int_equal(a->len, 3 * UNIT);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(a->data[i * UNIT] == 0 &&
			    !memcmp(a->data + i * UNIT, a->data + i * UNIT + 1, BLOCK - 1));
		assert_memory_equal(a->data + i * UNIT + BLOCK, escape, 8);
	}
}

/* The whole medium in one command, so that it goes in more than one chunk. */
static void large_transfers(void **state)
{
	struct harness *h = *state;
	const struct answer *a;

	fill(0, N_BLOCKS, 3, 0xbeef);
	assert_good(write_units(h, 1, 0, 0, N_BLOCKS));
	assert_tuples(buf, 0, N_BLOCKS);
	a = read_units(h, 1, 0, N_BLOCKS, sizeof(buf));
	assert_good(a);
	assert_int_equal(a->len, sizeof(buf));
	assert_memory_equal(a->data, buf, sizeof(buf));
	/* A bit that has turned, far behind: in the data, then in the tuple's reference tag. */
	pi_kit[PI_DATA].now[1500 * BLOCK + 17] ^= 0x80;
	for (unsigned protect = 0; protect < 5; protect++) {
		a = read_units(h, protect, 0, N_BLOCKS, sizeof(buf));
		if (protect == 2 || protect == 3) {
			assert_good(a);
			continue;
		}
		assert_check(a, SENSE_GUARD_CHECK);
		assert_true(a->sense.has_info);
		assert_int_equal(a->sense.info, 1500);
	}
	assert_good(read_units(h, 1, 0, 1500, sizeof(buf)));
	assert_good(read_units(h, 1, 1501, N_BLOCKS - 1501, sizeof(buf)));
}

/* Of a refused write nothing is done, also not of the blocks before the bad one. */
static void refused_writes(void **state)
{
	struct harness *h = *state;
	const struct answer *a;

	fill(0, N_BLOCKS, 9, 1);
	assert_good(write_units(h, 1, 0, 0, N_BLOCKS));
	fill(0, N_BLOCKS, 77, 2);
	buf[1900 * UNIT + BLOCK] ^= 1;
	a = write_units(h, 1, 0, 0, N_BLOCKS);
	assert_check(a, SENSE_GUARD_CHECK);
	assert_int_equal(a->sense.info, 1900);
	fill(0, N_BLOCKS, 9, 1);
	assert_tuples(buf, 0, N_BLOCKS);
	a = read_units(h, 1, 0, N_BLOCKS, sizeof(buf));
	assert_good(a);
	assert_memory_equal(a->data, buf, sizeof(buf));
}

/* An initiator that takes, or sends, less than its CDB says; in the middle of block and tuple. */
static void short_buffers(void **state)
{
	static const uint32_t lens[] = {1, 511, 512, 515, 519, 520, 521, 1032, 1039};
	struct harness *h = *state;
	const struct answer *a;

	fill(20, 2, 5, 6);
	assert_good(write_units(h, 1, 0, 20, 2));
	for (unsigned i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		a = read_units(h, 1, 20, 2, lens[i]);
		assert_good(a);
		assert_int_equal(a->in_len, 2 * UNIT);
		assert_int_equal(a->len, lens[i]);
		assert_memory_equal(a->data, buf, lens[i]);
		a = read_units(h, 0, 20, 2, lens[i]);
		assert_good(a);
		assert_memory_equal(a->data, buf, lens[i] < BLOCK ? lens[i] : BLOCK);
	}
	fill(30, 2, 50, 7);
	a = SEND(h, .cdb = {0x8a, 0x20, [9] = 30, [13] = 2}, .out = buf, .out_len = UNIT);
	assert_good(a); /* the blocks that have come */
	assert_int_equal(a->out_len, 2 * UNIT);
	assert_tuples(buf, 30, 1);
	assert_escapes(31, 1);
}

/* ---- blocks that are given back ---- */

static void unmap(struct harness *h, uint32_t lba, uint32_t n)
{
	uint8_t list[24] = {0, 22, 0, 16};

	be64_put(list + 8, lba);
	be32_put(list + 16, n);
	assert_good(SEND(h, .cdb = {0x42, [8] = 24}, .out = list, .out_len = 24));
}

static void unmapped_blocks(void **state)
{
	struct harness *h = *state;
	const struct answer *a;

	for (unsigned i = 0; i < 2; i++) {
		fill(0, N_BLOCKS, 1, 2);
		assert_good(write_units(h, 1, 0, 0, N_BLOCKS));
		unmap(h, 10, 1000);
		assert_tuples(buf, 0, 10);
		assert_escapes(10, 1000);
		assert_tuples(buf + 1010 * UNIT, 1010, N_BLOCKS - 1010);
		a = read_units(h, 1, 10, 1, UNIT);
		assert_good(a);
		assert_memory_equal(a->data + BLOCK, escape, 8);
		assert_int_equal(pi_kit[PI_TUPLES].n[DUOTGT_IO_DISCARD], 1);
		/* Once more, with a store of tuples that can only be written. */
		if (i)
			continue;
		harness_stop(h);
		pi_kit[PI_TUPLES].can_discard = false;
		start_disk(h);
	}
}

static void write_same(void **state)
{
	struct harness *h = *state;
	uint8_t unit[UNIT] = {0};

	fill(100, 8, 1, 2);
	assert_good(write_units(h, 1, 0, 100, 8));
	/* NDOB: zeroes that are not checked. */
	assert_good(SEND(h, .cdb = {0x93, 0x01, [9] = 100, [13] = 2}));
	assert_escapes(100, 2);
	assert_tuples(buf + 2 * UNIT, 102, 6);
	/* UNMAP with a block that an unmapped one would not read like: it is written. */
	be16_put(unit + BLOCK + 2, 0x55);
	be32_put(unit + BLOCK + 4, 102);
	assert_good(
		SEND(h, .cdb = {0x93, 0x28, [9] = 102, [13] = 1}, .out = unit, .out_len = UNIT));
	assert_tuples(unit, 102, 1);
	/* With one that it would, and no check that would refuse it: given back. */
	memset(unit + BLOCK, 0xff, 8);
	pi_kit[PI_DATA].n[DUOTGT_IO_DISCARD] = 0;
	assert_good(
		SEND(h, .cdb = {0x93, 0x68, [9] = 103, [13] = 1}, .out = unit, .out_len = UNIT));
	assert_int_equal(pi_kit[PI_DATA].n[DUOTGT_IO_DISCARD], 1);
	assert_escapes(103, 1);
}

/* ---- stable storage ---- */

static void assert_stable(uint32_t lba, unsigned n)
{
	size_t at = 8192 + lba * 8;

	assert_memory_equal(pi_kit[PI_DATA].stable + lba * BLOCK, pi_kit[PI_DATA].now + lba * BLOCK,
			    n * BLOCK);
	assert_memory_equal(pi_kit[PI_TUPLES].stable + at, pi_kit[PI_TUPLES].now + at, n * 8);
}

static void both_are_stable(void **state)
{
	struct harness *h = *state;

	fill(40, 4, 1, 2);
	assert_good(write_units(h, 1, 0x08, 40, 4)); /* FUA */
	assert_tuples(buf, 40, 4);
	assert_stable(40, 4);
	fill(50, 4, 1, 2);
	assert_good(write_units(h, 1, 0, 50, 4));
	assert_good(SEND(h, .cdb = {0x35})); /* SYNCHRONIZE CACHE */
	assert_stable(50, 4);
}

static void both_without_a_cache(void **state)
{
	struct scsi_lu_config cfg = pi_kit_config(3, BLOCK);
	struct harness h;

	(void)state;
	pi_kit_reset();
	cfg.write_cache = false;
	harness_start(&h);
	harness_map(&h, 0, &cfg);
	harness_settle(&h);
	fill(60, 4, 1, 2);
	assert_good(write_units(&h, 1, 0, 60, 4));
	assert_stable(60, 4);
	unmap(&h, 61, 2);
	assert_escapes(61, 2);
	assert_stable(60, 4);
	harness_stop(&h);
}

/* ---- stores that fail ---- */

/* A write of which one half may be done leaves nothing behind that would look corrupt. */
static void failing_writes(void **state)
{
	static const struct {
		unsigned store;
		int fail;
		enum scsi_sense_code code;
	} cases[] = {
		{PI_TUPLES, -ENOSPC, SENSE_SPACE_ALLOCATION_FAILED},
		{PI_TUPLES, -EIO, SENSE_WRITE_ERROR},
		{PI_DATA, -ENOSPC, SENSE_SPACE_ALLOCATION_FAILED},
		{PI_DATA, -EIO, SENSE_WRITE_ERROR},
	};
	struct harness *h = *state;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pi_kit_store *store = &pi_kit[cases[i].store];

		fill(70, 4, (uint8_t)(i + 1), 2);
		assert_good(write_units(h, 1, 0, 70, 4));
		fill(70, 4, (uint8_t)(i + 100), 3);
		store->fail_kind = DUOTGT_IO_WRITE;
		store->fail = cases[i].fail;
		assert_check(write_units(h, 1, 0, 70, 4), cases[i].code);
		store->fail = 0;
		assert_escapes(70, 4);
		assert_good(read_units(h, 1, 70, 4, 4 * UNIT));
	}
	pi_kit[PI_TUPLES].fail_kind = DUOTGT_IO_READ;
	pi_kit[PI_TUPLES].fail = -EIO;
	assert_check(read_units(h, 0, 70, 4, 4 * BLOCK), SENSE_UNRECOVERED_READ_ERROR);
	pi_kit[PI_TUPLES].fail = 0;
}

/* A flush that fails below the tuples is as bad as one below the blocks (and for good). */
static void failing_flush(void **state)
{
	struct harness *h = *state;

	fill(70, 4, 1, 2);
	assert_good(write_units(h, 1, 0, 70, 4));
	pi_kit[PI_TUPLES].fail_kind = DUOTGT_IO_FLUSH;
	pi_kit[PI_TUPLES].fail = -EIO;
	assert_check(SEND(h, .cdb = {0x35}), SENSE_WRITE_ERROR);
	pi_kit[PI_TUPLES].fail = 0;
	assert_check(SEND(h, .cdb = {0x35}), SENSE_WRITE_ERROR);
	assert_good(read_units(h, 1, 70, 4, 4 * UNIT));
}

/* ---- what copies between different block lengths do ---- */

static int raw(struct harness *h, enum duotgt_io_kind kind, uint64_t offset, void *data, size_t len)
{
	struct iovec iov = {data, len};
	struct duotgt_io io = {.kind = kind, .iov = &iov, .n_iov = 1, .offset = offset, .len = len};

	return scsi_lu_io_now(h->lus[0], &io);
}

static void parts_of_blocks(void **state)
{
	struct harness *h = *state;
	uint8_t part[1000], back[3000];

	fill(200, 8, 1, 2);
	assert_good(write_units(h, 1, 0, 200, 8));
	assert_int_equal(raw(h, DUOTGT_IO_READ, 200 * BLOCK + 100, back, sizeof(back)), 0);
	assert_memory_equal(back, pi_kit[PI_DATA].now + 200 * BLOCK + 100, sizeof(back));
	memset(part, 0x33, sizeof(part));
	assert_int_equal(raw(h, DUOTGT_IO_WRITE, 202 * BLOCK + 100, part, sizeof(part)), 0);
	assert_memory_equal(pi_kit[PI_DATA].now + 202 * BLOCK + 100, part, sizeof(part));
	assert_memory_equal(pi_kit[PI_DATA].now + 202 * BLOCK, buf + 2 * UNIT, 100);
	assert_tuples(buf, 200, 2);
	assert_escapes(202, 3);
	assert_tuples(buf + 5 * UNIT, 205, 3);
	/* An error in the part of a block that is not asked for counts as well. */
	pi_kit[PI_DATA].now[206 * BLOCK] ^= 1;
	assert_int_equal(raw(h, DUOTGT_IO_READ, 206 * BLOCK + 8, back, 16), -EILSEQ);
	assert_int_equal(raw(h, DUOTGT_IO_READ, 205 * BLOCK + 8, back, 504), 0);
}

/* ---- many at the same blocks ---- */

/* A read that comes when a write has done its tuples, and not its blocks, waits for these. */
static void half_a_write(void **state)
{
	struct sent write = {
		.cdb = {0x8a, 0x20, [9] = 12, [13] = 4}, .out = buf, .out_len = 4 * UNIT};
	struct sent read = {.cdb = {0x8f, 0x20, [9] = 15, [13] = 1}}; /* VERIFY (16) */
	struct sent beside = {.cdb = {0x8f, 0x20, [9] = 16, [13] = 1}};
	struct started writing, reading, reading_beside;
	struct harness *h = *state;

	fill(12, 5, 1, 2);
	assert_good(write_units(h, 1, 0, 12, 5));
	fill(12, 5, 99, 3);
	pi_kit[PI_DATA].hold_writes = true;
	wipe_start(h, &writing, &write);
	wipe_start(h, &reading, &read);
	wipe_start(h, &reading_beside, &beside);
	wipe_turn(h, 20);
	assert_non_null(pi_kit[PI_DATA].held);
	assert_true(reading_beside.done && !reading.done && !writing.done);
	pi_kit_release(&pi_kit[PI_DATA]);
	wipe_end(h, &writing);
	wipe_end(h, &reading);
	wipe_end(h, &reading_beside);
	assert_int_equal(writing.task.status, STATUS_GOOD);
	assert_int_equal(reading.task.status, STATUS_GOOD);
	assert_int_equal(reading_beside.task.status, STATUS_GOOD);
}

static struct scsi_lu *shared;
static atomic_uint n_bad;

static void *fight(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	uint8_t data[4 * BLOCK];

	for (unsigned i = 0; i < 300; i++) {
		struct iovec iov = {data, sizeof(data)};
		struct duotgt_io io = {.kind = (i ^ seed) & 1 ? DUOTGT_IO_READ : DUOTGT_IO_WRITE,
				       .iov = &iov,
				       .n_iov = 1,
				       .offset = (i * 7 + seed) % 5 * BLOCK,
				       .len = sizeof(data)};

		memset(data, (int)(i * 31 + seed * 17), sizeof(data));
		if (scsi_lu_io_now(shared, &io) < 0)
			atomic_fetch_add(&n_bad, 1);
	}
	return NULL;
}

static void side_by_side(void **state)
{
	struct scsi_lu_config cfg = pi_kit_config(1, BLOCK);
	pthread_t threads[4];
	char why[128];

	(void)state;
	cfg.backend = cfg.protection.backend = duotgt_backend_find("ram");
	cfg.params.path = cfg.protection.path = "";
	assert_int_equal(scsi_lu_new(&cfg, &shared, why, sizeof(why)), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, fight, (void *)(uintptr_t)i), 0);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(n_bad, 0);
	scsi_lu_unref(shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(fresh_blocks, start, stop),
		cmocka_unit_test_setup_teardown(large_transfers, start, stop),
		cmocka_unit_test_setup_teardown(refused_writes, start, stop),
		cmocka_unit_test_setup_teardown(short_buffers, start, stop),
		cmocka_unit_test_setup_teardown(unmapped_blocks, start, stop),
		cmocka_unit_test_setup_teardown(write_same, start, stop),
		cmocka_unit_test_setup_teardown(both_are_stable, start, stop),
		cmocka_unit_test(both_without_a_cache),
		cmocka_unit_test_setup_teardown(failing_writes, start, stop),
		cmocka_unit_test_setup_teardown(failing_flush, start, stop),
		cmocka_unit_test_setup_teardown(parts_of_blocks, start, stop),
		cmocka_unit_test_setup_teardown(half_a_write, start, stop),
		cmocka_unit_test(side_by_side),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
