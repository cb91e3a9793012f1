/* SPDX-License-Identifier: Apache-2.0 */
/* ORWRITE (16) and (32): bits are set, none is cleared. */
#include "scsi/lu_priv.h"
#include "tests/scsi/harness.h"
#include "tests/scsi/spy.h"
#include "util/bytes.h"
#include <errno.h>
#include <string.h>

enum { BLOCK = 512, N_BLOCKS = SPY_SIZE / BLOCK, MAX_BLOCKS = 128, FUA = 0x08 };

static struct harness h;
static uint8_t out[(MAX_BLOCKS + 1) * BLOCK];

static int start(void **state)
{
	struct scsi_lu_config cfg = spy_config();

	(void)state;
	harness_start(&h);
	harness_map(&h, 0, &cfg);
	harness_settle(&h);
	for (size_t i = 0; i < SPY_SIZE; i++)
		spy.data[i] = (uint8_t)(i * 3 + i / 250);
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(1 << i % 7);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	harness_stop(&h);
	return 0;
}

static const struct answer *orwrite(bool is32, uint64_t lba, uint32_t n, uint8_t flags,
				    uint32_t sent, unsigned n_segments)
{
	struct sent s = {
		.cdb = {0x8b, flags}, .out = out, .out_len = sent, .n_segments = n_segments};

	if (is32)
		memcpy(s.cdb, (uint8_t[]){0x7f, 0, 0, 0, 0, 0, 0, 0x18, 0, 0x0e, flags, 0}, 12);
	be64_put(s.cdb + (is32 ? 12 : 2), lba);
	be32_put(s.cdb + (is32 ? 28 : 10), n);
	return harness_send(&h, &s);
}

static void check_written(const uint8_t *before, uint64_t lba, uint32_t n)
{
	for (uint64_t i = 0; i < SPY_SIZE; i++) {
		bool inside = i >= lba * BLOCK && i < (lba + n) * BLOCK;
		uint8_t want = inside ? before[i] | out[i - lba * BLOCK] : before[i];

		if (spy.data[i] != want)
			fail_msg("byte %zu is %02x, not %02x", (size_t)i, spy.data[i], want);
	}
}

static void bits_are_set(void **state)
{
	static const uint32_t counts[] = {1, 2, 127, MAX_BLOCKS};
	uint8_t before[SPY_SIZE];

	(void)state;
	for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		for (unsigned segments = 0; segments < 16; segments += 5) {
			uint64_t lba = i % 2 ? 11 + segments : N_BLOCKS - counts[i];
			uint32_t n = counts[i];

			memcpy(before, spy.data, SPY_SIZE);
			assert_good(orwrite(segments % 2, lba, n, 0, n * BLOCK, segments));
			check_written(before, lba, n);
		}
}

static void what_is_not_sent_is_left_alone(void **state)
{
	uint8_t before[SPY_SIZE];

	(void)state;
	memcpy(before, spy.data, SPY_SIZE);
	assert_good(orwrite(false, 4, 8, 0, 3 * BLOCK, 4));
	check_written(before, 4, 3);
	assert_good(orwrite(false, 4, 8, 0, 0, 0));
	assert_good(orwrite(false, 4, 0, 0, 0, 0));
	check_written(before, 4, 3);
}

static void limits_hold(void **state)
{
	static const uint64_t beyond[] = {N_BLOCKS,	    1ull << 31, 1ull << 32,
					  (1ull << 63) - 1, 1ull << 63, UINT64_MAX};

	(void)state;
	for (unsigned is32 = 0; is32 < 2; is32++) {
		assert_bad_field(orwrite(is32, 0, MAX_BLOCKS + 1, 0, sizeof(out), 0),
				 is32 ? 28 : 10, -1);
		for (unsigned i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++)
			assert_check(orwrite(is32, beyond[i], 1, 0, BLOCK, 0),
				     SENSE_LBA_OUT_OF_RANGE);
		assert_check(orwrite(is32, N_BLOCKS - 1, 2, 0, 2 * BLOCK, 0),
			     SENSE_LBA_OUT_OF_RANGE);
	}
	assert_int_equal(spy.n[DUOTGT_IO_READ] + spy.n[DUOTGT_IO_WRITE], 0);
}

static void flags_are_honoured_or_refused(void **state)
{
	(void)state;
	for (unsigned is32 = 0; is32 < 2; is32++) {
		assert_good(orwrite(is32, 0, 1, 0, BLOCK, 0));
		assert_int_equal(spy.flags, 0);
		assert_good(orwrite(is32, 0, 1, FUA, BLOCK, 0));
		assert_int_equal(spy.flags, DUOTGT_IO_FUA);
		assert_bad_field(orwrite(is32, 0, 1, 0x20, BLOCK, 0), is32 ? 10 : 1, 5);
	}
}

/* There is no generation but 0, and no operation but the one that sets bits. */
static void the_long_form_sets_and_no_more(void **state)
{
	struct sent s = {
		.cdb = {0x7f, [7] = 0x18, [9] = 0x0e, [31] = 1}, .out = out, .out_len = BLOCK};

	(void)state;
	assert_good(harness_send(&h, &s));
	s.cdb[23] = 1;
	assert_check(harness_send(&h, &s), SENSE_ORWRITE_GENERATION);
	s.cdb[23] = 0;
	s.cdb[27] = 1;
	assert_bad_field(harness_send(&h, &s), 27, 0);
	s.cdb[27] = 0;
	s.cdb[2] = 1; /* BMOP */
	assert_bad_field(harness_send(&h, &s), 2, 0);
}

static void a_failing_store_is_told(void **state)
{
	const struct answer *a;

	(void)state;
	spy.fail_res = -EIO;
	spy.fail_at = 7 * BLOCK;
	spy.fail_kind = DUOTGT_IO_READ;
	assert_check(orwrite(false, 7, 1, 0, BLOCK, 0), SENSE_UNRECOVERED_READ_ERROR);
	assert_int_equal(spy.n[DUOTGT_IO_WRITE], 0);
	spy.fail_kind = DUOTGT_IO_WRITE;
	a = orwrite(false, 7, 1, 0, BLOCK, 0);
	assert_check(a, SENSE_WRITE_ERROR);
	assert_int_equal(a->sense.info, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(bits_are_set, start, stop),
		cmocka_unit_test_setup_teardown(what_is_not_sent_is_left_alone, start, stop),
		cmocka_unit_test_setup_teardown(limits_hold, start, stop),
		cmocka_unit_test_setup_teardown(flags_are_honoured_or_refused, start, stop),
		cmocka_unit_test_setup_teardown(the_long_form_sets_and_no_more, start, stop),
		cmocka_unit_test_setup_teardown(a_failing_store_is_told, start, stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
