/* SPDX-License-Identifier: Apache-2.0 */
/* READ, WRITE, SYNCHRONIZE CACHE, READ CAPACITY. Corners of ranges: test_corners.c. */
#include "scsi/lu_priv.h"
#include "tests/scsi/cdb_fields.h"
#include "tests/scsi/harness.h"
#include "tests/scsi/spy.h"
#include "util/bytes.h"
#include <errno.h>
#include <string.h>

enum { FUA = 0x08, DPO = 0x10 };

static void start(struct harness *h, const struct scsi_lu_config *cfg)
{
	harness_start(h);
	harness_map(h, 0, cfg);
	harness_settle(h);
}

static void start_spy(struct harness *h)
{
	struct scsi_lu_config cfg = spy_config();

	start(h, &cfg);
}

/* ---- ranges ---- */

/* The LBA and the number of blocks, where a CDB of its length has them. */
static void put_range(uint8_t *cdb, uint64_t lba, uint64_t n)
{
	static const struct {
		uint8_t cdb_len, lba_at, lba_len, n_at, n_len;
	} layouts[] = {{6, 1, 3, 4, 1},
		       {10, 2, 4, 7, 2},
		       {12, 2, 4, 6, 4},
		       {16, 2, 8, 10, 4},
		       {32, 12, 8, 28, 4}};
	unsigned i = 0;

	while (layouts[i].cdb_len != scsi_cdb_len(cdb))
		i++;
	cdb_put(cdb + layouts[i].lba_at, layouts[i].lba_len, lba);
	cdb_put(cdb + layouts[i].n_at, layouts[i].n_len, n);
}

/* A disk of 2^64 - 512 bytes: the last blocks that a store can have. Nothing is read. */
static void corners_of_the_largest_disk(void **state)
{
	static const struct {
		uint64_t lba; /* counted from the capacity on */
		uint32_t n;
		bool good;
	} ranges[] = {
		{-1, 2, false}, {0, 0, false}, {(UINT64_C(511) << 55), 1, false}, {-1, 0, true}};
	struct scsi_lu_config cfg = spy_config();
	uint64_t cap = (UINT64_C(1) << 55) - 1;
	struct harness h;

	(void)state;
	spy.info.size = cap << 9;
	start(&h, &cfg);
	for (unsigned i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		struct sent sent = {.cdb = {0x88}};

		put_range(sent.cdb, cap + ranges[i].lba, ranges[i].n);
		if (ranges[i].good)
			assert_good(harness_send(&h, &sent));
		else
			assert_check(harness_send(&h, &sent), SENSE_LBA_OUT_OF_RANGE);
	}
	assert_int_equal(spy.n[DUOTGT_IO_READ], 0);
	harness_stop(&h);
}

/* ---- data ---- */

static void fill(uint8_t *buf, size_t len, uint8_t seed)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = (uint8_t)(seed + i * 7 + i / 512);
}

/* Each WRITE is read back by each READ, in buffers cut any way, from the right place. */
static void what_is_written_is_read(void **state)
{
	static const struct scsi_op writes[] = {{.opcode = 0x0a, .cdb_len = 6, .sa = NO_SA},
						{.opcode = 0x2a, .cdb_len = 10, .sa = NO_SA},
						{.opcode = 0xaa, .cdb_len = 12, .sa = NO_SA},
						{.opcode = 0x8a, .cdb_len = 16, .sa = NO_SA},
						{.opcode = 0x7f, .cdb_len = 32, .sa = 0x0b}};
	static const struct scsi_op reads[] = {{.opcode = 0x08, .cdb_len = 6, .sa = NO_SA},
					       {.opcode = 0x28, .cdb_len = 10, .sa = NO_SA},
					       {.opcode = 0xa8, .cdb_len = 12, .sa = NO_SA},
					       {.opcode = 0x88, .cdb_len = 16, .sa = NO_SA},
					       {.opcode = 0x7f, .cdb_len = 32, .sa = 0x09}};
	uint8_t data[5 * 512];
	struct harness h;

	(void)state;
	start_spy(&h);
	for (unsigned w = 0; w < 5; w++)
		for (unsigned r = 0; r < 5; r++) {
			uint64_t lba = 100 + w * 50 + r * 10;
			struct sent write = {
				.out = data, .out_len = sizeof(data), .n_segments = 1 + r};
			struct sent read = {.expect_in = 7 * 512, .n_segments = 1 + w};
			const struct answer *a;

			fill(data, sizeof(data), (uint8_t)(w * 4 + r));
			cdb_begin(write.cdb, &writes[w]);
			cdb_begin(read.cdb, &reads[r]);
			put_range(write.cdb, lba, 5);
			put_range(read.cdb, lba - 1, 7);
			assert_good(harness_send(&h, &write));
			assert_memory_equal(spy.data + lba * 512, data, sizeof(data));
			a = harness_send(&h, &read);
			assert_good(a);
			assert_int_equal(a->len, 7 * 512);
			assert_memory_equal(a->data, spy.data + (lba - 1) * 512, 7 * 512);
		}
	harness_stop(&h);
}

/* An initiator that takes or brings less than its CDB says moves that much and no more. */
static void less_than_the_cdb_says(void **state)
{
	static const uint8_t ones[2048] = {[0 ... 2047] = 1};
	struct harness h;
	const struct answer *a;

	(void)state;
	start_spy(&h);
	a = SEND(&h, .cdb = {0x28, 0, 0, 0, 0, 0, 0, 0, 4}, .expect_in = 700);
	assert_good(a);
	assert_int_equal(a->in_len, 2048);
	assert_int_equal(a->len, 700);
	a = SEND(&h, .cdb = {0x2a, 0, 0, 0, 0, 0, 0, 0, 4}, .out = ones, .out_len = 1024);
	assert_good(a);
	assert_int_equal(a->out_len, 2048);
	assert_int_equal(spy.data[1023], 1);
	assert_int_equal(spy.data[1024], 0);
	/* but no part of a block */
	a = SEND(&h, .cdb = {0x2a, 0, 0, 0, 0, 4, 0, 0, 4}, .out = ones, .out_len = 1224);
	assert_check(a, SENSE_INVALID_FIELD_IN_IU);
	assert_int_equal(a->out_len, 2048);
	assert_int_equal(a->need_out, 0);
	assert_int_equal(spy.data[4 * 512], 0);
	harness_stop(&h);
}

static void fua_reaches_the_medium(void **state)
{
	static const uint8_t block[512] = {1};
	struct harness h;

	(void)state;
	start_spy(&h);
	assert_good(
		SEND(&h, .cdb = {0x2a, DPO, 0, 0, 0, 0, 0, 0, 1}, .out = block, .out_len = 512));
	assert_int_equal(spy.flags, 0);
	assert_good(
		SEND(&h, .cdb = {0x2a, FUA, 0, 0, 0, 0, 0, 0, 1}, .out = block, .out_len = 512));
	assert_int_equal(spy.flags, DUOTGT_IO_FUA);
	assert_good(SEND(&h, .cdb = {0x28, DPO, 0, 0, 0, 0, 0, 0, 1}, .expect_in = 512));
	assert_int_equal(spy.n[DUOTGT_IO_FLUSH], 0);
	assert_good(SEND(&h, .cdb = {0x28, FUA, 0, 0, 0, 0, 0, 0, 1}, .expect_in = 512));
	assert_int_equal(spy.n[DUOTGT_IO_FLUSH], 1);
	assert_int_equal(spy.n[DUOTGT_IO_READ], 2);
	assert_int_equal(h.answer.data[0], 1);
	harness_stop(&h);
}

/* READ (6) and WRITE (6) have a part of the LBA where the others have FUA. */
static void six_byte_cdbs_have_no_fua(void **state)
{
	static const uint8_t block[512] = {1};
	struct scsi_lu_config cfg = spy_config();
	struct harness h;

	(void)state;
	spy.info.size = 1 << 30;
	spy.fail_kind = DUOTGT_IO_WRITE; /* there is no memory so far out */
	spy.fail_at = (uint64_t)FUA << 16 << 9;
	spy.fail_res = -EIO;
	start(&h, &cfg);
	assert_check(SEND(&h, .cdb = {0x0a, FUA, 0, 0, 1}, .out = block, .out_len = 512),
		     SENSE_WRITE_ERROR);
	assert_int_equal(spy.flags, 0);
	spy.fail_kind = DUOTGT_IO_READ;
	assert_check(SEND(&h, .cdb = {0x08, FUA, 0, 0, 1}, .expect_in = 512),
		     SENSE_UNRECOVERED_READ_ERROR);
	assert_int_equal(spy.n[DUOTGT_IO_FLUSH], 0);
	harness_stop(&h);
}

static void write_through_without_wce(void **state)
{
	static const uint8_t block[512] = {1};
	struct scsi_lu_config cfg = spy_config();
	struct harness h;

	(void)state;
	cfg.write_cache = false;
	start(&h, &cfg);
	assert_good(SEND(&h, .cdb = {0x2a, 0, 0, 0, 0, 0, 0, 0, 1}, .out = block, .out_len = 512));
	assert_int_equal(spy.flags, DUOTGT_IO_FUA);
	assert_good(SEND(&h, .cdb = {0x28, FUA, 0, 0, 0, 0, 0, 0, 1}, .expect_in = 512));
	assert_int_equal(spy.n[DUOTGT_IO_FLUSH], 0); /* there is nothing to flush */
	harness_stop(&h);
}

static void errors_name_their_block(void **state)
{
	static const uint8_t blocks[1024];
	struct harness h;
	const struct answer *a;

	(void)state;
	start_spy(&h);
	spy.fail_kind = DUOTGT_IO_READ;
	spy.fail_at = 1000 * 512;
	spy.fail_res = -EIO;
	a = SEND(&h, .cdb = {0x28, 0, 0, 0, 3, 0xe8, 0, 0, 2}, .expect_in = 1024);
	assert_check(a, SENSE_UNRECOVERED_READ_ERROR);
	assert_true(a->sense.has_info && a->sense.info == 1000);
	spy.fail_kind = DUOTGT_IO_WRITE;
	a = SEND(&h, .cdb = {0x2a, 0, 0, 0, 3, 0xe8, 0, 0, 2}, .out = blocks, .out_len = 1024);
	assert_check(a, SENSE_WRITE_ERROR);
	assert_true(a->sense.has_info && a->sense.info == 1000);
	harness_stop(&h);
}

/* ---- SYNCHRONIZE CACHE ---- */

static void sync_flushes(void **state)
{
	struct harness h;

	(void)state;
	start_spy(&h);
	assert_good(SEND(&h, .cdb = {0x35}));
	assert_int_equal(spy.n[DUOTGT_IO_FLUSH], 1);
	assert_good(SEND(&h, .cdb = {0x91}));
	assert_int_equal(spy.n[DUOTGT_IO_FLUSH], 2);
	/* with IMMED too: an answer is not given for what is not done */
	assert_good(SEND(&h, .cdb = {0x35, 0x02}));
	assert_int_equal(spy.n[DUOTGT_IO_FLUSH], 3);
	/* more than one transfer may hold is no matter here */
	assert_good(SEND(&h, .cdb = {0x35, 0, 0, 0, 0, 0, 0, 8, 0}));
	assert_int_equal(spy.n[DUOTGT_IO_FLUSH], 4);
	assert_check(SEND(&h, .cdb = {0x35, 0, 0, 0, 0, 1, 0, 8, 0}), SENSE_LBA_OUT_OF_RANGE);
	spy.fail_kind = DUOTGT_IO_FLUSH;
	spy.fail_res = -EIO;
	assert_check(SEND(&h, .cdb = {0x35}), SENSE_WRITE_ERROR);
	spy.fail_res = 0; /* once failed, for ever: what was lost does not come back */
	assert_check(SEND(&h, .cdb = {0x91}), SENSE_WRITE_ERROR);
	harness_stop(&h);
}

static void read_only(void **state)
{
	static const uint8_t block[512];
	struct scsi_lu_config cfg = spy_config();
	unsigned n_rows = 0;
	struct harness h;

	(void)state;
	cfg.params.read_only = true;
	start(&h, &cfg);
	for (unsigned op_i = 0; scsi_op_at(op_i); op_i++) {
		const struct scsi_op *op = scsi_op_at(op_i);
		struct sent sent = {.out = block, .out_len = 512};

		if (op->access != ACCESS_WRITE || !scsi_op_offered(op, h.lus[0]))
			continue;
		cdb_begin(sent.cdb, op);
		assert_check(harness_send(&h, &sent), SENSE_WRITE_PROTECTED);
		n_rows++;
	}
	assert_true(n_rows >= 16);
	assert_good(SEND(&h, .cdb = {0x28, FUA, 0, 0, 0, 0, 0, 0, 1}, .expect_in = 512));
	assert_good(SEND(&h, .cdb = {0x35}));
	assert_int_equal(spy.n[DUOTGT_IO_WRITE] + spy.n[DUOTGT_IO_FLUSH], 0);
	harness_stop(&h);
}

/* ---- READ CAPACITY ---- */

static void capacity(void **state)
{
	static const uint8_t ten[8] = {0, 0, 7, 0xff, 0, 0, 2, 0};
	static const uint8_t sixteen[32] = {0, 0, 0, 0, 0, 0, 7, 0xff, 0, 0, 2, 0, 0, 3, 0xc0};
	struct scsi_lu_config cfg = spy_config();
	struct harness h;
	const struct answer *a;

	(void)state;
	cfg.thin = true;
	spy.info.physical_block = 4096;
	start(&h, &cfg);
	a = SEND(&h, .cdb = {0x25}, .expect_in = 100);
	assert_good(a);
	assert_int_equal(a->len, 8);
	assert_memory_equal(a->data, ten, 8);
	a = SEND(&h, .cdb = {0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 64}, .expect_in = 64);
	assert_good(a);
	assert_int_equal(a->len, 32);
	assert_memory_equal(a->data, sixteen, 32);
	a = SEND(&h, .cdb = {0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9}, .expect_in = 64);
	assert_good(a);
	assert_int_equal(a->in_len, 9);
	/* PMI and an LBA, obsolete */
	assert_bad_field(SEND(&h, .cdb = {0x25, 0, 0, 0, 0, 0, 0, 0, 1}, .expect_in = 8), 8, 0);
	assert_bad_field(SEND(&h, .cdb = {0x25, 0, 0, 0, 0, 1}, .expect_in = 8), 5, 0);
	harness_stop(&h);
}

static void capacity_of_a_large_disk(void **state)
{
	struct scsi_lu_config cfg = spy_config();
	struct harness h;
	const struct answer *a;

	(void)state;
	cfg.block_size = 4096;
	spy.info.size = (UINT64_C(1) << 45) + 7 * 4096;
	start(&h, &cfg);
	a = SEND(&h, .cdb = {0x25}, .expect_in = 8);
	assert_good(a);
	assert_int_equal(be32_get(a->data), UINT32_MAX);
	assert_int_equal(be32_get(a->data + 4), 4096);
	a = SEND(&h, .cdb = {0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32}, .expect_in = 32);
	assert_true(be64_get(a->data) == (UINT64_C(1) << 33) + 6);
	assert_int_equal(a->data[13], 0);
	assert_int_equal(a->data[14], 0);
	harness_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(corners_of_the_largest_disk),
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(less_than_the_cdb_says),
		cmocka_unit_test(fua_reaches_the_medium),
		cmocka_unit_test(six_byte_cdbs_have_no_fua),
		cmocka_unit_test(write_through_without_wce),
		cmocka_unit_test(errors_name_their_block),
		cmocka_unit_test(sync_flushes),
		cmocka_unit_test(read_only),
		cmocka_unit_test(capacity),
		cmocka_unit_test(capacity_of_a_large_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
