/* SPDX-License-Identifier: Apache-2.0 */
/* WRITE AND VERIFY in all lengths: written to the medium, read back, and compared when asked. */
#include "tests/scsi/harness.h"
#include "tests/scsi/spy.h"
#include "util/bytes.h"
#include <errno.h>
#include <string.h>

#define MAX_BLOCKS 128 /* 64 KiB */

static uint8_t data[MAX_BLOCKS * 512];

static void start(struct harness *h)
{
	struct scsi_lu_config cfg = spy_config();

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 13 + i / 512);
	harness_start(h);
	harness_map(h, 0, &cfg);
	harness_settle(h);
}

static const unsigned forms[] = {10, 12, 16, 32};

static struct sent write_verify(unsigned form, bool compare, uint64_t lba, uint32_t n)
{
	struct sent sent = {.out = data, .out_len = n * 512, .n_segments = 3};
	uint8_t *cdb = sent.cdb;

	switch (form) {
	case 10:
		cdb[0] = 0x2e;
		be32_put(cdb + 2, (uint32_t)lba);
		be16_put(cdb + 7, (uint16_t)n);
		break;
	case 12:
		cdb[0] = 0xae;
		be32_put(cdb + 2, (uint32_t)lba);
		be32_put(cdb + 6, n);
		break;
	case 16:
		cdb[0] = 0x8e;
		be64_put(cdb + 2, lba);
		be32_put(cdb + 10, n);
		break;
	default:
		cdb[0] = 0x7f;
		cdb[7] = 0x18;
		cdb[9] = 0x0c;
		be64_put(cdb + 12, lba);
		be32_put(cdb + 28, n);
	}
	cdb[form == 32 ? 10 : 1] = compare ? 0x02 : 0;
	return sent;
}

static void writes_through_and_reads_back(void **state)
{
	struct harness h;

	(void)state;
	start(&h);
	for (unsigned f = 0; f < 4; f++)
		for (unsigned compare = 0; compare < 2; compare++) {
			uint64_t lba = 100 + f * 200;
			struct sent sent = write_verify(forms[f], compare, lba, 100);

			memset(spy.data, 0, SPY_SIZE);
			memset(spy.n, 0, sizeof(spy.n));
			assert_good(harness_send(&h, &sent));
			assert_int_equal(h.answer.need_out, 100 * 512);
			assert_memory_equal(spy.data + lba * 512, data, 100 * 512);
			assert_int_equal(spy.data[lba * 512 - 1] | spy.data[(lba + 100) * 512], 0);
			assert_int_equal(spy.n[DUOTGT_IO_WRITE], 1);
			assert_int_equal(spy.n[DUOTGT_IO_READ], 1);
			assert_int_equal(spy.offset, lba * 512); /* of the read */
			assert_int_equal(spy.len, 100 * 512);
		}
	harness_stop(&h);
}

/* The write cache is on, and yet the blocks are asked to be on the medium. */
static void not_from_a_volatile_cache(void **state)
{
	struct sent sent = write_verify(10, false, 0, 1);
	struct harness h;

	(void)state;
	start(&h);
	spy.fail_kind = DUOTGT_IO_READ; /* so that the write is the last one noted */
	spy.fail_res = -EIO;
	assert_check(harness_send(&h, &sent), SENSE_UNRECOVERED_READ_ERROR);
	assert_int_equal(h.answer.sense.info, 0);
	spy.fail_kind = DUOTGT_IO_WRITE;
	assert_check(harness_send(&h, &sent), SENSE_WRITE_ERROR);
	assert_int_equal(spy.flags, DUOTGT_IO_FUA);
	harness_stop(&h);
}

static void finds_what_the_medium_got_wrong(void **state)
{
	static const uint32_t at[] = {0, 511, 512, 40000, MAX_BLOCKS * 512 - 1};
	struct harness h;

	(void)state;
	start(&h);
	spy.corrupts = true;
	for (unsigned f = 0; f < 4; f++)
		for (unsigned i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
			struct sent sent = write_verify(forms[f], true, 50, MAX_BLOCKS);

			spy.corrupt_at = 50 * 512 + at[i];
			assert_check(harness_send(&h, &sent), SENSE_MISCOMPARE);
			assert_true(h.answer.sense.has_info);
			assert_int_equal(h.answer.sense.info, at[i]);
			/* not asked to compare, it cannot know */
			sent = write_verify(forms[f], false, 50, MAX_BLOCKS);
			assert_good(harness_send(&h, &sent));
		}
	harness_stop(&h);
}

static void less_data_than_the_cdb_says(void **state)
{
	struct harness h;

	(void)state;
	start(&h);
	for (unsigned f = 0; f < 4; f++) {
		struct sent sent = write_verify(forms[f], true, 8, 4);

		memset(spy.data, 0, SPY_SIZE);
		sent.out_len = 1024;
		assert_good(harness_send(&h, &sent));
		assert_int_equal(h.answer.out_len, 2048);
		assert_memory_equal(spy.data + 8 * 512, data, 1024);
		assert_int_equal(spy.data[10 * 512 + 1], 0);
		assert_int_equal(spy.len, 1024);
		sent.out_len = 1200; /* two blocks and a bit */
		assert_check(harness_send(&h, &sent), SENSE_INVALID_FIELD_IN_IU);
		assert_int_equal(h.answer.out_len, 2048);
		sent.out_len = 0;
		assert_good(harness_send(&h, &sent));
	}
	harness_stop(&h);
}

static void reserved_bits(void **state)
{
	static const uint8_t bits[] = {0x04, 0x06, 0x08, 0x20}; /* BYTCHK 10b, 11b, …, WRPROTECT */
	static const int highest[] = {2, 2, 3, 5};
	struct harness h;

	(void)state;
	start(&h);
	for (unsigned f = 0; f < 4; f++)
		for (unsigned i = 0; i < sizeof(bits); i++) {
			struct sent sent = write_verify(forms[f], false, 0, 1);
			unsigned at = forms[f] == 32 ? 10 : 1;

			sent.cdb[at] = bits[i];
			assert_bad_field(harness_send(&h, &sent), at, highest[i]);
		}
	assert_int_equal(spy.n[DUOTGT_IO_WRITE], 0);
	harness_stop(&h);
}

static void nothing_to_write(void **state)
{
	struct harness h;

	(void)state;
	start(&h);
	for (unsigned f = 0; f < 4; f++) {
		struct sent sent = write_verify(forms[f], true, 5, 0);

		assert_good(harness_send(&h, &sent));
	}
	assert_int_equal(spy.n[DUOTGT_IO_WRITE] + spy.n[DUOTGT_IO_READ], 0);
	harness_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_through_and_reads_back),
		cmocka_unit_test(not_from_a_volatile_cache),
		cmocka_unit_test(finds_what_the_medium_got_wrong),
		cmocka_unit_test(less_data_than_the_cdb_says),
		cmocka_unit_test(reserved_bits),
		cmocka_unit_test(nothing_to_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
