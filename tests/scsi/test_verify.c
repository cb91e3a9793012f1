/* SPDX-License-Identifier: Apache-2.0 */
/* VERIFY (10) (12) (16) (32): what is read, what is compared, and what is said of a difference. */
#include "tests/scsi/harness.h"
#include "tests/scsi/spy.h"
#include "util/bytes.h"
#include <errno.h>
#include <string.h>

#define PIECE (64u << 10) /* what VERIFY reads at a time */

static void start(struct harness *h, uint32_t block_size)
{
	struct scsi_lu_config cfg = spy_config();

	cfg.block_size = block_size;
	cfg.max_transfer = 256 << 10;
	for (size_t i = 0; i < SPY_SIZE; i++)
		spy.data[i] = (uint8_t)(i * 31 + i / 509);
	harness_start(h);
	harness_map(h, 0, &cfg);
	harness_settle(h);
}

static struct sent verify(uint8_t opcode, uint8_t bytchk, uint32_t lba, uint32_t n)
{
	struct sent sent = {.cdb = {opcode, (uint8_t)(bytchk << 1)}};

	switch (opcode) {
	case 0x2f:
		be32_put(sent.cdb + 2, lba);
		be16_put(sent.cdb + 7, (uint16_t)n);
		break;
	case 0xaf:
		be32_put(sent.cdb + 2, lba);
		be32_put(sent.cdb + 6, n);
		break;
	case 0x7f:
		sent.cdb[1] = 0;
		sent.cdb[7] = 0x18;
		sent.cdb[9] = 0x0a;
		sent.cdb[10] = (uint8_t)(bytchk << 1);
		be64_put(sent.cdb + 12, lba);
		be32_put(sent.cdb + 28, n);
		break;
	default:
		be64_put(sent.cdb + 2, lba);
		be32_put(sent.cdb + 10, n);
	}
	return sent;
}

static const uint8_t opcodes[] = {0x2f, 0xaf, 0x8f, 0x7f};

/* Without a byte check the blocks are read all the same: GOOD says that they can be. */
static void reads_the_whole_range(void **state)
{
	struct harness h;
	struct sent sent;

	(void)state;
	start(&h, 512);
	for (unsigned i = 0; i < 4; i++) {
		sent = verify(opcodes[i], 0, 0, SPY_SIZE / 512);
		spy.n[DUOTGT_IO_READ] = 0;
		assert_good(harness_send(&h, &sent));
		assert_int_equal(h.answer.need_out, 0);
		assert_int_equal(spy.n[DUOTGT_IO_READ], SPY_SIZE / PIECE);
		assert_int_equal(spy.offset + spy.len, SPY_SIZE);
	}
	sent = verify(0x2f, 0, 3, 1);
	assert_good(harness_send(&h, &sent));
	assert_int_equal(spy.offset, 3 * 512);
	assert_int_equal(spy.len, 512);
	harness_stop(&h);
}

static void an_unreadable_block_is_told(void **state)
{
	struct harness h;
	struct sent sent = verify(0x2f, 0, 10, 1000);
	const struct answer *a;

	(void)state;
	start(&h, 512);
	spy.fail_kind = DUOTGT_IO_READ;
	spy.fail_at = 700 * 512;
	spy.fail_res = -EIO;
	a = harness_send(&h, &sent);
	assert_check(a, SENSE_UNRECOVERED_READ_ERROR);
	assert_true(a->sense.has_info);
	/* the piece that could not be read, and none after it */
	assert_in_range(a->sense.info, 700 - PIECE / 512, 700);
	assert_int_equal(spy.offset / 512, a->sense.info);
	harness_stop(&h);
}

/* A byte that differs is found wherever it is, in data cut anywhere, and its offset told. */
static void compares_each_byte(void **state)
{
	static uint8_t data[300 * 512];
	static const uint32_t at[] = {
		0, 1, 511, 512, PIECE - 1, PIECE, 2 * PIECE + 77, 300 * 512 - 1};
	struct harness h;

	(void)state;
	start(&h, 512);
	memcpy(data, spy.data + 20 * 512, sizeof(data));
	for (unsigned i = 0; i < 4; i++)
		for (unsigned segments = 1; segments <= 7; segments += 3) {
			struct sent sent = verify(opcodes[i], 1, 20, 300);

			sent.out = data;
			sent.out_len = sizeof(data);
			sent.n_segments = segments;
			assert_good(harness_send(&h, &sent));
			assert_int_equal(h.answer.need_out, sizeof(data));
			for (unsigned j = 0; j < sizeof(at) / sizeof(at[0]); j++) {
				data[at[j]] ^= 0x10;
				assert_check(harness_send(&h, &sent), SENSE_MISCOMPARE);
				assert_true(h.answer.sense.has_info);
				assert_int_equal(h.answer.sense.info, at[j]);
				data[at[j]] ^= 0x10;
			}
		}
	harness_stop(&h);
}

/* BYTCHK 11b: one block of data stands for each of the range. */
static void compares_each_block_with_one(void **state)
{
	uint8_t block[4096];
	struct harness h;
	struct sent sent = verify(0x8f, 3, 2, 40);

	(void)state;
	start(&h, 4096);
	for (unsigned i = 0; i < sizeof(block); i++)
		block[i] = (uint8_t)(i % 251);
	for (unsigned i = 0; i < 40; i++)
		memcpy(spy.data + (2 + i) * 4096, block, 4096);
	sent.out = block;
	sent.out_len = sizeof(block);
	sent.n_segments = 3;
	assert_good(harness_send(&h, &sent));
	assert_int_equal(h.answer.need_out, 4096);
	spy.data[(2 + 39) * 4096 + 100] ^= 1;
	assert_check(harness_send(&h, &sent), SENSE_MISCOMPARE);
	assert_int_equal(h.answer.sense.info, 39 * 4096 + 100);
	spy.data[2 * 4096 + 4095] ^= 1;
	assert_check(harness_send(&h, &sent), SENSE_MISCOMPARE);
	assert_int_equal(h.answer.sense.info, 4095);
	harness_stop(&h);
}

static void nothing_to_verify(void **state)
{
	struct harness h;

	(void)state;
	start(&h, 512);
	for (unsigned i = 0; i < 4; i++)
		for (uint8_t bytchk = 0; bytchk < 4; bytchk++) {
			struct sent sent = verify(opcodes[i], bytchk, 5, 0);

			if (bytchk == 2) {
				assert_bad_field(harness_send(&h, &sent), i == 3 ? 10 : 1, 2);
				continue;
			}
			assert_good(harness_send(&h, &sent));
			assert_int_equal(h.answer.need_out, 0);
		}
	assert_int_equal(spy.n[DUOTGT_IO_READ], 0);
	harness_stop(&h);
}

/* Data-out that ends early leaves blocks unverified: that is not GOOD. */
static void too_little_data(void **state)
{
	struct harness h;
	struct sent sent = verify(0x2f, 1, 0, 4);

	(void)state;
	start(&h, 512);
	sent.out = spy.data;
	sent.out_len = 3 * 512;
	assert_check(harness_send(&h, &sent), SENSE_PARAMETER_LIST_LENGTH);
	sent = verify(0x2f, 3, 0, 4);
	sent.out = spy.data;
	sent.out_len = 100;
	assert_check(harness_send(&h, &sent), SENSE_PARAMETER_LIST_LENGTH);
	sent.out_len = 0;
	assert_check(harness_send(&h, &sent), SENSE_PARAMETER_LIST_LENGTH);
	assert_int_equal(spy.n[DUOTGT_IO_READ], 0);
	harness_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_the_whole_range),
		cmocka_unit_test(an_unreadable_block_is_told),
		cmocka_unit_test(compares_each_byte),
		cmocka_unit_test(compares_each_block_with_one),
		cmocka_unit_test(nothing_to_verify),
		cmocka_unit_test(too_little_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
