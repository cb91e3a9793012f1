/* SPDX-License-Identifier: Apache-2.0 */
/* COMPARE AND WRITE: what is compared, what is written, what is refused, and what the limits are.
 */
#include "scsi/lu_priv.h"
#include "tests/scsi/harness.h"
#include "tests/scsi/spy.h"
#include "util/bytes.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 512, N_BLOCKS = SPY_SIZE / BLOCK, MAX_BLOCKS = 64 };

static struct harness h;
static uint8_t out[2 * 256 * BLOCK];

static int start(void **state)
{
	struct scsi_lu_config cfg = spy_config();

	(void)state;
	harness_start(&h);
	harness_map(&h, 0, &cfg); /* 64 KiB transfers: 64 blocks in both halves */
	harness_settle(&h);
	for (size_t i = 0; i < SPY_SIZE; i++)
		spy.data[i] = (uint8_t)(i * 7 + i / 251);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	harness_stop(&h);
	return 0;
}

/* @sent bytes of data-out; a compare half equal to the store, a write half of @fill. */
static const struct answer *caw(uint64_t lba, uint8_t n, uint8_t flags, uint32_t sent,
				unsigned n_segments)
{
	struct sent s = {.cdb = {0x89, flags, [13] = n},
			 .out = out,
			 .out_len = sent,
			 .n_segments = n_segments};

	be64_put(s.cdb + 2, lba);
	return harness_send(&h, &s);
}

static void fill(uint64_t lba, uint8_t n, uint8_t byte)
{
	if (lba + n <= N_BLOCKS)
		memcpy(out, spy.data + lba * BLOCK, n * BLOCK);
	memset(out + n * BLOCK, byte, n * BLOCK);
}

static void equal_is_written(void **state)
{
	static const uint8_t counts[] = {1, 2, 3, 63, MAX_BLOCKS};
	uint8_t before[SPY_SIZE];

	(void)state;
	for (unsigned i = 0; i < sizeof(counts); i++)
		for (unsigned segments = 0; segments < 16; segments += 5) {
			uint64_t lba = i % 2 ? 5 : N_BLOCKS - counts[i];
			uint8_t n = counts[i];

			memcpy(before, spy.data, SPY_SIZE);
			fill(lba, n, (uint8_t)(0xa0 + i + segments));
			assert_good(caw(lba, n, 0, 2 * n * BLOCK, segments));
			memset(before + lba * BLOCK, 0xa0 + i + segments, n * BLOCK);
			assert_memory_equal(spy.data, before, SPY_SIZE);
		}
}

static void a_difference_is_told_and_nothing_written(void **state)
{
	static const uint32_t offsets[] = {0, 1, 511, 512, 8191, 32767};
	uint8_t before[SPY_SIZE];

	(void)state;
	memcpy(before, spy.data, SPY_SIZE);
	for (unsigned i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++)
		for (unsigned segments = 0; segments < 16; segments += 7) {
			const struct answer *a;

			fill(9, MAX_BLOCKS, 0x55);
			out[offsets[i]] ^= 0x10;
			out[32767] ^= 0x01; /* only the first one counts */
			a = caw(9, MAX_BLOCKS, 0, 2 * MAX_BLOCKS * BLOCK, segments);
			assert_check(a, SENSE_MISCOMPARE);
			assert_true(a->sense.has_info);
			assert_int_equal(a->sense.info, offsets[i]);
			assert_memory_equal(spy.data, before, SPY_SIZE);
		}
	assert_int_equal(spy.n[DUOTGT_IO_WRITE], 0);
}

static void no_blocks_is_no_error(void **state)
{
	(void)state;
	assert_good(caw(0, 0, 0, 0, 0));
	assert_int_equal(spy.n[DUOTGT_IO_READ] + spy.n[DUOTGT_IO_WRITE], 0);
}

/* Where the second half begins is a matter of how much there is. */
static void the_length_must_fit(void **state)
{
	static const uint32_t lengths[] = {0, 1, BLOCK, 4 * BLOCK - 1, 4 * BLOCK + 1, 8 * BLOCK};

	(void)state;
	fill(0, 2, 0x55);
	for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		assert_bad_field(caw(0, 2, 0, lengths[i], 0), 13, -1);
	assert_bad_field(caw(0, 0, 0, BLOCK, 0), 13, -1);
	assert_int_equal(spy.n[DUOTGT_IO_READ] + spy.n[DUOTGT_IO_WRITE], 0);
}

static void limits_hold(void **state)
{
	static const uint64_t beyond[] = {N_BLOCKS,	    1ull << 31, 1ull << 32,
					  (1ull << 63) - 1, 1ull << 63, UINT64_MAX};
	const struct answer *a;

	(void)state;
	fill(0, MAX_BLOCKS + 1, 0x55);
	assert_bad_field(caw(0, MAX_BLOCKS + 1, 0, 2 * (MAX_BLOCKS + 1) * BLOCK, 0), 13, -1);
	assert_bad_field(caw(0, 255, 0, 2 * 255 * BLOCK, 0), 13, -1);
	a = SEND(&h, .cdb = {0x12, 1, 0xb0, 0, 64}, .expect_in = 64);
	assert_good(a);
	assert_int_equal(a->data[5], MAX_BLOCKS);
	for (unsigned i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++) {
		a = caw(beyond[i], 1, 0, 2 * BLOCK, 0);
		assert_check(a, SENSE_LBA_OUT_OF_RANGE);
		assert_int_equal(a->sense.info, beyond[i]);
	}
	a = caw(N_BLOCKS - 1, 2, 0, 4 * BLOCK, 0);
	assert_check(a, SENSE_LBA_OUT_OF_RANGE);
	assert_int_equal(a->sense.info, N_BLOCKS);
	assert_int_equal(spy.n[DUOTGT_IO_READ] + spy.n[DUOTGT_IO_WRITE], 0);
}

static void flags_are_honoured_or_refused(void **state)
{
	(void)state;
	fill(0, 1, 0x01);
	assert_good(caw(0, 1, 0, 2 * BLOCK, 0));
	assert_int_equal(spy.flags, 0);
	fill(0, 1, 0x02);
	assert_good(caw(0, 1, 0x08, 2 * BLOCK, 0));
	assert_int_equal(spy.flags, DUOTGT_IO_FUA);
	fill(0, 1, 0x03);
	assert_good(caw(0, 1, 0x10, 2 * BLOCK, 0)); /* DPO */
	assert_int_equal(spy.flags, 0);
	assert_bad_field(caw(0, 1, 0x20, 2 * BLOCK, 0), 1, 5); /* WRPROTECT */
	assert_bad_field(caw(0, 1, 0x80, 2 * BLOCK, 0), 1, 7);
	assert_bad_field(caw(0, 1, 0x02, 2 * BLOCK, 0), 1, 1);
}

static void a_failing_store_is_told(void **state)
{
	const struct answer *a;

	(void)state;
	spy.fail_res = -EIO;
	spy.fail_at = 7 * BLOCK;
	spy.fail_kind = DUOTGT_IO_READ;
	fill(7, 1, 0x55);
	a = caw(7, 1, 0, 2 * BLOCK, 0);
	assert_check(a, SENSE_UNRECOVERED_READ_ERROR);
	assert_int_equal(spy.n[DUOTGT_IO_WRITE], 0);
	spy.fail_kind = DUOTGT_IO_WRITE;
	a = caw(7, 1, 0, 2 * BLOCK, 0);
	assert_check(a, SENSE_WRITE_ERROR);
	assert_int_equal(a->sense.info, 7);
}

/* Blocks of 4 KiB: the range is read in several pieces. */
static void pieces_make_no_difference(void **state)
{
	struct scsi_lu_config cfg = spy_config();
	const struct answer *a;
	uint32_t n = 40, size = 4096;
	uint8_t *data = malloc(2 * n * size);

	(void)state;
	cfg.block_size = size;
	cfg.max_transfer = 1 << 20;
	harness_start(&h);
	harness_map(&h, 0, &cfg);
	harness_settle(&h);
	for (size_t i = 0; i < SPY_SIZE; i++)
		spy.data[i] = (uint8_t)(i * 11 + i / 4096);
	a = SEND(&h, .cdb = {0x12, 1, 0xb0, 0, 64}, .expect_in = 64);
	assert_int_equal(a->data[5], 128);
	memcpy(data, spy.data + 3 * size, n * size);
	memset(data + n * size, 0x77, n * size);
	data[n * size - 1] ^= 1;
	a = SEND(&h, .cdb = {0x89, [9] = 3, [13] = (uint8_t)n}, .out = data,
		 .out_len = 2 * n * size, .n_segments = 3);
	assert_check(a, SENSE_MISCOMPARE);
	assert_int_equal(a->sense.info, n * size - 1);
	data[n * size - 1] ^= 1;
	assert_good(SEND(&h, .cdb = {0x89, [9] = 3, [13] = (uint8_t)n}, .out = data,
			 .out_len = 2 * n * size, .n_segments = 3));
	for (size_t i = 0; i < n * size; i++)
		assert_int_equal(spy.data[3 * size + i], 0x77);
	assert_int_equal(spy.data[3 * size - 1], (uint8_t)((3 * size - 1) * 11 + 2));
	free(data);
	harness_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(equal_is_written, start, stop),
		cmocka_unit_test_setup_teardown(a_difference_is_told_and_nothing_written, start,
						stop),
		cmocka_unit_test_setup_teardown(no_blocks_is_no_error, start, stop),
		cmocka_unit_test_setup_teardown(the_length_must_fit, start, stop),
		cmocka_unit_test_setup_teardown(limits_hold, start, stop),
		cmocka_unit_test_setup_teardown(flags_are_honoured_or_refused, start, stop),
		cmocka_unit_test_setup_teardown(a_failing_store_is_told, start, stop),
		cmocka_unit_test(pieces_make_no_difference),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
