/* SPDX-License-Identifier: Apache-2.0 */
/* WRITE SAME (10) (16) (32): what is written, what is given back instead, and what is refused. */
#include "scsi/sbc/sbc.h"
#include "tests/scsi/harness.h"
#include "tests/scsi/spy.h"
#include "util/bytes.h"
#include <errno.h>
#include <string.h>

#define CAP (SPY_SIZE / 512)

enum { UNMAP = 0x08, ANCHOR = 0x10, NDOB = 0x01 };

static uint8_t block[4096];

static void start(struct harness *h, bool thin, bool write_cache)
{
	struct scsi_lu_config cfg = spy_config();

	cfg.thin = thin;
	cfg.write_cache = write_cache;
	memset(spy.data, 0xdd, SPY_SIZE);
	memset(block, 0, sizeof(block));
	harness_start(h);
	harness_map(h, 0, &cfg);
	harness_settle(h);
}

/* @flags as in byte 1 of the shorter forms; one block of data unless NDOB is set */
static struct sent write_same(unsigned cdb_len, uint8_t flags, uint64_t lba, uint32_t n)
{
	struct sent sent = {.out = block, .out_len = flags & NDOB ? 0 : 512, .n_segments = 3};

	switch (cdb_len) {
	case 10:
		sent.cdb[0] = 0x41;
		sent.cdb[1] = flags;
		be32_put(sent.cdb + 2, (uint32_t)lba);
		be16_put(sent.cdb + 7, (uint16_t)n);
		break;
	case 16:
		sent.cdb[0] = 0x93;
		sent.cdb[1] = flags;
		be64_put(sent.cdb + 2, lba);
		be32_put(sent.cdb + 10, n);
		break;
	default:
		sent.cdb[0] = 0x7f;
		sent.cdb[7] = 0x18;
		sent.cdb[9] = 0x0d;
		sent.cdb[10] = flags;
		be64_put(sent.cdb + 12, lba);
		be32_put(sent.cdb + 28, n);
	}
	return sent;
}

static const unsigned forms[] = {10, 16, 32};

static const struct answer *same(struct harness *h, unsigned form, uint8_t flags, uint64_t lba,
				 uint32_t n)
{
	struct sent sent = write_same(form, flags, lba, n);

	return harness_send(h, &sent);
}

/* Blocks from @lba on hold @want, the one before and the one after what was there. */
static void assert_range(uint64_t lba, uint64_t n, const uint8_t *want)
{
	for (uint64_t i = lba; i < lba + n; i++)
		assert_memory_equal(spy.data + i * 512, want, 512);
	if (lba)
		assert_int_equal(spy.data[lba * 512 - 1], 0xdd);
	if (lba + n < CAP)
		assert_int_equal(spy.data[(lba + n) * 512], 0xdd);
}

static void fills_the_range(void **state)
{
	/* the last but one in more than one piece, the last all there is */
	static const struct {
		uint64_t lba;
		uint32_t n;
	} ranges[] = {{0, 1},	  {CAP - 1, 1},	 {3, 511}, {7, 512},
		      {100, 513}, {5, CAP - 10}, {0, CAP}};
	struct harness h;

	(void)state;
	start(&h, false, true);
	for (unsigned f = 0; f < 3; f++)
		for (unsigned r = 0; r < sizeof(ranges) / sizeof(ranges[0]); r++) {
			memset(spy.data, 0xdd, SPY_SIZE);
			for (unsigned i = 0; i < 512; i++)
				block[i] = (uint8_t)(i * 3 + f + r);
			assert_good(same(&h, forms[f], 0, ranges[r].lba, ranges[r].n));
			assert_int_equal(h.answer.need_out, 512);
			assert_range(ranges[r].lba, ranges[r].n, block);
		}
	assert_int_equal(spy.n[DUOTGT_IO_DISCARD] + spy.n[DUOTGT_IO_FLUSH], 0);
	harness_stop(&h);
}

static void zeroes_are_given_back(void **state)
{
	static const uint8_t zero[512];
	struct harness h;

	(void)state;
	start(&h, true, true);
	for (unsigned f = 0; f < 3; f++) {
		memset(spy.data, 0xdd, SPY_SIZE);
		assert_good(same(&h, forms[f], UNMAP, 20, 900));
		assert_range(20, 900, zero);
		assert_int_equal(spy.n[DUOTGT_IO_DISCARD], f + 1);
	}
	assert_int_equal(spy.n[DUOTGT_IO_WRITE], 0);
	harness_stop(&h);
}

/* What does not read back as zeroes may not become a hole; without UNMAP nothing does. */
static void data_is_written_in_spite_of_unmap(void **state)
{
	static const uint8_t zero[512];
	struct harness h;

	(void)state;
	start(&h, true, true);
	for (unsigned f = 0; f < 3; f++) {
		memset(spy.data, 0xdd, SPY_SIZE);
		memset(block, 0, 512);
		block[511] = 1;
		assert_good(same(&h, forms[f], UNMAP, 20, 9));
		assert_range(20, 9, block);
		block[511] = 0;
		block[0] = 1;
		assert_good(same(&h, forms[f], UNMAP, 20, 9));
		assert_range(20, 9, block);
		block[0] = 0;
		assert_good(same(&h, forms[f], 0, 20, 9));
		assert_range(20, 9, zero);
	}
	assert_int_equal(spy.n[DUOTGT_IO_DISCARD], 0);
	harness_stop(&h);
}

static void no_data_is_zeroes(void **state)
{
	static const uint8_t zero[512];
	struct harness h;

	(void)state;
	start(&h, true, true);
	memset(block, 0xff, sizeof(block)); /* not to be looked at */
	for (unsigned f = 1; f < 3; f++) {
		memset(spy.data, 0xdd, SPY_SIZE);
		assert_good(same(&h, forms[f], NDOB, 20, 700));
		assert_int_equal(h.answer.need_out, 0);
		assert_range(20, 700, zero);
		assert_int_equal(spy.n[DUOTGT_IO_DISCARD], f - 1);
		assert_good(same(&h, forms[f], NDOB | UNMAP, 20, 700));
		assert_range(20, 700, zero);
		assert_int_equal(spy.n[DUOTGT_IO_DISCARD], f);
	}
	assert_bad_field(same(&h, 10, NDOB, 20, 700), 1, 0);
	harness_stop(&h);
}

static void refused(void **state)
{
	static const unsigned flags_at[] = {1, 1, 10}, length_at[] = {7, 10, 28};
	struct harness h;

	(void)state;
	start(&h, false, true);
	for (unsigned f = 0; f < 3; f++) {
		assert_bad_field(same(&h, forms[f], UNMAP, 0, 1), flags_at[f], 3);
		assert_bad_field(same(&h, forms[f], ANCHOR, 0, 1), flags_at[f], 4);
		assert_bad_field(same(&h, forms[f], 0, 0, 0), length_at[f], -1);
	}
	assert_int_equal(spy.n[DUOTGT_IO_WRITE], 0);
	harness_stop(&h);
}

/* The 32-byte form has tags to expect, which mean nothing without protection information. */
static void tags_are_refused(void **state)
{
	struct sent sent = write_same(32, 0, 0, 1);
	struct harness h;

	(void)state;
	start(&h, false, true);
	for (unsigned at = 20; at < 28; at++) {
		sent.cdb[at] = 1;
		assert_bad_field(harness_send(&h, &sent), at, 0);
		sent.cdb[at] = 0;
	}
	sent.cdb[7] = 0x10;
	assert_bad_field(harness_send(&h, &sent), 7, -1);
	harness_stop(&h);
}

/* As much as page B0 promises, and not a block more. */
static void limit(void **state)
{
	struct scsi_lu_config cfg = spy_config();
	struct sent inquiry = {.cdb = {0x12, 1, 0xb0, 0, 64}, .expect_in = 64};
	struct harness h;
	uint64_t most;

	(void)state;
	spy.info.size = UINT64_C(1) << 40;
	spy.fail_kind = DUOTGT_IO_WRITE; /* there is no memory for it */
	spy.fail_res = -EIO;
	harness_start(&h);
	harness_map(&h, 0, &cfg);
	harness_settle(&h);
	assert_good(harness_send(&h, &inquiry));
	assert_int_equal(h.answer.data[4] & 1, 1); /* WSNZ */
	most = be64_get(h.answer.data + 36);
	assert_int_equal(most, SBC_WRITE_SAME_MAX_BLOCKS);
	assert_bad_field(same(&h, 16, 0, 0, (uint32_t)most + 1), 10, -1);
	assert_bad_field(same(&h, 32, 0, 0, (uint32_t)most + 1), 28, -1);
	assert_int_equal(spy.n[DUOTGT_IO_WRITE], 0);
	assert_check(same(&h, 16, 0, 0, (uint32_t)most), SENSE_WRITE_ERROR);
	harness_stop(&h);
}

/* With WSNZ 0: 0 blocks are all that there are from the LBA on, as far as page B0 allows. */
static void to_the_end(void **state)
{
	static const uint64_t lbas[] = {0, 1, CAP - 513, CAP - 1};
	static const uint8_t zeroes[512];
	struct scsi_lu_config cfg = spy_config();
	struct harness h;

	(void)state;
	cfg.thin = cfg.write_same_to_end = true;
	harness_start(&h);
	harness_map(&h, 0, &cfg);
	harness_settle(&h);
	assert_int_equal(SEND(&h, .cdb = {0x12, 1, 0xb0, 0, 64}, .expect_in = 64)->data[4] & 1, 0);
	for (unsigned f = 0; f < 3; f++) {
		for (unsigned i = 0; i < sizeof(lbas) / sizeof(lbas[0]); i++) {
			memset(spy.data, 0xdd, SPY_SIZE);
			memset(block, 0x21 + (int)i, sizeof(block));
			assert_good(same(&h, forms[f], 0, lbas[i], 0));
			assert_range(lbas[i], CAP - lbas[i], block);
			memset(block, 0, sizeof(block));
			assert_good(same(&h, forms[f], UNMAP, lbas[i], 0));
			assert_range(lbas[i], CAP - lbas[i], zeroes);
		}
		assert_check(same(&h, forms[f], 0, CAP, 0), SENSE_LBA_OUT_OF_RANGE);
	}
	harness_stop(&h);
	/* one block more than it may be, and then no more than that */
	cfg = spy_config();
	cfg.write_same_to_end = true;
	spy.info.size = (SBC_WRITE_SAME_MAX_BLOCKS + 1) * UINT64_C(512);
	spy.fail_kind = DUOTGT_IO_WRITE;
	spy.fail_at = spy.info.size - 1;
	spy.fail_res = -EIO;
	harness_start(&h);
	harness_map(&h, 0, &cfg);
	harness_settle(&h);
	assert_bad_field(same(&h, 10, 0, 0, 0), 7, -1);
	assert_bad_field(same(&h, 16, 0, 0, 0), 10, -1);
	assert_bad_field(same(&h, 32, 0, 0, 0), 28, -1);
	assert_int_equal(spy.n[DUOTGT_IO_WRITE], 0);
	assert_check(same(&h, 16, 0, SBC_WRITE_SAME_MAX_BLOCKS, 0), SENSE_WRITE_ERROR);
	assert_int_equal(spy.offset, SBC_WRITE_SAME_MAX_BLOCKS * UINT64_C(512));
	harness_stop(&h);
}

/* Half a block cannot be repeated, and two are a misunderstanding. */
static void data_of_another_length(void **state)
{
	static const uint32_t lengths[] = {0, 1, 256, 511, 513, 1024};
	struct harness h;

	(void)state;
	start(&h, true, true);
	for (unsigned f = 0; f < 3; f++)
		for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
			struct sent sent = write_same(forms[f], i & 1 ? UNMAP : 0, 0, 1);

			sent.out_len = lengths[i];
			assert_check(harness_send(&h, &sent), SENSE_INVALID_FIELD_IN_IU);
		}
	assert_int_equal(spy.n[DUOTGT_IO_WRITE] + spy.n[DUOTGT_IO_DISCARD], 0);
	harness_stop(&h);
}

static void errors_name_their_piece(void **state)
{
	struct harness h;

	(void)state;
	start(&h, false, true);
	spy.fail_kind = DUOTGT_IO_WRITE;
	spy.fail_at = 1000 * 512;
	spy.fail_res = -EIO;
	assert_check(same(&h, 16, 0, 0, CAP), SENSE_WRITE_ERROR);
	assert_true(h.answer.sense.has_info);
	assert_int_equal(h.answer.sense.info, 512); /* in the second piece of 256 KiB */
	assert_int_equal(spy.n[DUOTGT_IO_WRITE], 2);
	spy.fail_res = -ENOSPC;
	assert_check(same(&h, 16, 0, 0, CAP), SENSE_SPACE_ALLOCATION_FAILED);
	spy.fail_res = -ENOMEM;
	assert_int_equal(same(&h, 16, 0, 0, CAP)->status, STATUS_BUSY);
	harness_stop(&h);
}

/* Without a write cache GOOD is for good: one flush, after all pieces. */
static void flushed_without_wce(void **state)
{
	struct harness h;

	(void)state;
	start(&h, true, false);
	assert_good(same(&h, 16, 0, 0, CAP));
	assert_int_equal(spy.n[DUOTGT_IO_FLUSH], 1);
	assert_good(same(&h, 16, UNMAP, 0, CAP));
	assert_int_equal(spy.n[DUOTGT_IO_FLUSH], 2);
	spy.fail_kind = DUOTGT_IO_FLUSH;
	spy.fail_res = -EIO;
	assert_check(same(&h, 16, 0, 0, 1), SENSE_WRITE_ERROR);
	harness_stop(&h);
}

static void other_block_sizes(void **state)
{
	struct scsi_lu_config cfg = spy_config();
	struct sent sent = write_same(16, 0, 3, 200);
	struct harness h;

	(void)state;
	cfg.block_size = 4096;
	harness_start(&h);
	harness_map(&h, 0, &cfg);
	harness_settle(&h);
	for (unsigned i = 0; i < sizeof(block); i++)
		block[i] = (uint8_t)(i % 253);
	sent.out_len = 4096;
	assert_good(harness_send(&h, &sent));
	assert_int_equal(h.answer.need_out, 4096);
	for (unsigned i = 3; i < 203; i++)
		assert_memory_equal(spy.data + i * 4096, block, 4096);
	assert_int_equal(spy.data[203 * 4096 + 1], 0);
	assert_int_equal(spy.data[3 * 4096 - 1], 0);
	harness_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fills_the_range),
		cmocka_unit_test(zeroes_are_given_back),
		cmocka_unit_test(data_is_written_in_spite_of_unmap),
		cmocka_unit_test(no_data_is_zeroes),
		cmocka_unit_test(refused),
		cmocka_unit_test(tags_are_refused),
		cmocka_unit_test(limit),
		cmocka_unit_test(to_the_end),
		cmocka_unit_test(data_of_another_length),
		cmocka_unit_test(errors_name_their_piece),
		cmocka_unit_test(flushed_without_wce),
		cmocka_unit_test(other_block_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
