/* SPDX-License-Identifier: Apache-2.0 */
/* What stops a command, in which order; what becomes of errors of the store. */
#include "scsi/aca.h"
#include "tests/scsi/fake_store.h"
#include "tests/scsi/harness.h"
#include <errno.h>
#include <string.h>

#define BLOCKS (FAKE_SIZE / 512)

enum { TEST_UNIT_READY = 0x00, READ_10 = 0x28, WRITE_10 = 0x2a, SYNC_CACHE_10 = 0x35 };
enum { READ_16 = 0x88, READ_12 = 0xa8, READ_6 = 0x08, NO_SUCH_OPCODE = 0xc5, FUA = 0x08 };

static uint8_t ones[64 << 10];

/* A LU on the fake store, its attentions forgotten. */
static void start_fake(struct harness *h, void (*change)(struct scsi_lu_config *cfg))
{
	struct scsi_lu_config cfg = harness_lu_config();

	memset(ones, 0x11, sizeof(ones));
	cfg.backend = &fake_backend_ops;
	if (change)
		change(&cfg);
	harness_start(h);
	harness_map(h, 0, &cfg);
	harness_settle(h);
}

static int setup(void **state)
{
	(void)state;
	fake_reset();
	return 0;
}

static void write_through(struct scsi_lu_config *cfg)
{
	cfg->write_cache = false;
}

static void offline(struct scsi_lu_config *cfg)
{
	cfg->online = false;
}

static void write_protect(struct scsi_lu_config *cfg)
{
	cfg->params.read_only = true;
}

/* ---- the CDB ---- */

static void cdbs_are_held_against_their_rows(void **state)
{
	struct harness h;

	(void)state;
	harness_start_disk(&h);
	assert_check(SEND(&h, .cdb = {NO_SUCH_OPCODE}), SENSE_INVALID_OPCODE);
	assert_bad_field(SEND(&h, .cdb = {0x9e, 0x1f}), 1, 4);
	assert_bad_field(SEND(&h, .cdb = {TEST_UNIT_READY, 0x40}), 1, 6);
	assert_bad_field(SEND(&h, .cdb = {TEST_UNIT_READY, 0, 0, 0x81}), 3, 7);
	assert_bad_field(SEND(&h, .cdb = {TEST_UNIT_READY, 0, 0, 0, 0, 0x40}), 5, 6);
	/* what a transport pads a short CDB with is not looked at */
	assert_good(SEND(&h, .cdb = {TEST_UNIT_READY, 0, 0, 0, 0, 0, 0xff, 0xff}));
	/* the received part of a CDB is too short for it */
	assert_check(SEND(&h, .cdb = {READ_10}, .cdb_len = 9), SENSE_INVALID_FIELD_IN_CDB);
	assert_good(SEND(&h, .cdb = {READ_10}, .cdb_len = 10));
	harness_stop(&h);
}

static void a_cdb_has_the_length_of_its_group(void **state)
{
	static const struct {
		uint8_t opcode;
		unsigned len;
	} groups[] = {{0x00, 6},  {0x1f, 6},  {0x20, 10}, {0x5f, 10}, {0x60, 0}, {0x7e, 0},
		      {0x80, 16}, {0x9f, 16}, {0xa0, 12}, {0xbf, 12}, {0xc0, 0}, {0xff, 0}};
	uint8_t variable[8] = {0x7f, [7] = 24};

	(void)state;
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		assert_int_equal(scsi_cdb_len((uint8_t[8]){groups[i].opcode}), groups[i].len);
	assert_int_equal(scsi_cdb_len(variable), 32);
}

/* Whatever 00h to FFh a byte holds, a command gets an answer that stands. */
static void every_cdb_has_an_answer(void **state)
{
	static const uint8_t fillings[] = {0x00, 0x01, 0x08, 0x7f, 0xff};
	struct harness h;

	(void)state;
	harness_start_disk(&h);
	for (unsigned opcode = 0; opcode < 256; opcode++)
		for (unsigned sa = 0; sa < 32; sa++)
			for (unsigned f = 0; f < sizeof(fillings); f++) {
				struct sent sent = {.expect_in = 300, .out = ones, .out_len = 300};
				const struct answer *a;

				memset(sent.cdb, fillings[f], sizeof(sent.cdb));
				sent.cdb[0] = (uint8_t)opcode;
				sent.cdb[1] = (uint8_t)sa;
				a = harness_send(&h, &sent);
				scsi_aca_clear(scsi_nexus_itl(h.nexus[0], 0)); /* of NACA */
				if (!scsi_op_find(h.lus[0], sent.cdb))
					assert_int_equal(a->status, STATUS_CHECK_CONDITION);
				assert_true(a->status == STATUS_GOOD ||
					    (a->status == STATUS_CHECK_CONDITION &&
					     a->sense.key == KEY_ILLEGAL_REQUEST) ||
					    a->sense.key == KEY_MISCOMPARE ||
					    a->sense.key == KEY_NOT_READY);
			}
	harness_stop(&h);
}

/* ---- ranges ---- */

static void assert_out_of_range(const struct answer *a, uint64_t lba)
{
	assert_check(a, SENSE_LBA_OUT_OF_RANGE);
	assert_true(a->sense.has_info);
	assert_int_equal(a->sense.info, lba);
}

static const struct answer *read16(struct harness *h, uint64_t lba, uint32_t n)
{
	struct sent sent = {.cdb = {READ_16}, .expect_in = 64 << 10};

	be64_put(sent.cdb + 2, lba);
	be32_put(sent.cdb + 10, n);
	return harness_send(h, &sent);
}

static void ranges_do_not_leave_the_medium(void **state)
{
	struct harness h;

	(void)state;
	start_fake(&h, NULL);
	assert_good(read16(&h, BLOCKS - 1, 1));
	assert_int_equal(fake.offset, FAKE_SIZE - 512);
	assert_out_of_range(read16(&h, BLOCKS, 0), BLOCKS);
	assert_out_of_range(read16(&h, BLOCKS - 1, 2), BLOCKS);
	assert_out_of_range(read16(&h, UINT64_MAX, 1), UINT64_MAX);
	assert_out_of_range(read16(&h, UINT64_MAX - 1, 2), UINT64_MAX - 1);
	assert_out_of_range(read16(&h, 1, UINT32_MAX), BLOCKS);
	/* 2^55 blocks of 512 would be byte 0 again, were the bytes counted first */
	assert_out_of_range(read16(&h, 1ull << 55, 1), 1ull << 55);
	assert_int_equal(fake.n_ios, 1);
	assert_out_of_range(SEND(&h, .cdb = {READ_10, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 1}),
			    0xffffffff);
	assert_out_of_range(SEND(&h, .cdb = {READ_12, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1}),
			    0xffffffff);
	assert_out_of_range(SEND(&h, .cdb = {READ_6, 0x1f, 0xff, 0xff, 1}), 0x1fffff);
	harness_stop(&h);
}

static void a_transfer_is_limited(void **state)
{
	struct harness h;
	const struct answer *a;

	(void)state;
	start_fake(&h, NULL);
	assert_good(read16(&h, 0, 128));
	a = read16(&h, 0, 129);
	assert_bad_field(a, 10, -1);
	assert_int_equal(a->need_in, 0);
	assert_bad_field(SEND(&h, .cdb = {READ_10, [7] = 0, 129}), 7, -1);
	assert_bad_field(SEND(&h, .cdb = {READ_12, [9] = 129}), 6, -1);
	assert_bad_field(SEND(&h, .cdb = {READ_6, 0, 0, 0, 0}), 4, -1); /* 0 is 256 */
	harness_stop(&h);
}

static void no_blocks_touch_no_store(void **state)
{
	struct harness h;

	(void)state;
	start_fake(&h, NULL);
	assert_good(read16(&h, 5, 0));
	assert_good(SEND(&h, .cdb = {WRITE_10, FUA}));
	assert_int_equal(fake.n_ios, 0);
	harness_stop(&h);
}

/* ---- order of checks ---- */

static void an_attention_comes_before_all_but_three(void **state)
{
	struct harness h;
	struct scsi_itl *itl;

	(void)state;
	start_fake(&h, offline);
	itl = scsi_nexus_itl(h.nexus[0], 0);
	scsi_lu_attention(h.lus[0], UA_MODE_CHANGED, NULL);
	scsi_lu_attention(h.lus[0], UA_BUS_RESET, h.nexus[1]);

	assert_good(SEND(&h, .cdb = {0x12, 0, 0, 0, 96}, .expect_in = 96));
	assert_good(SEND(&h, .cdb = {0xa0, [9] = 96}, .expect_in = 96));
	assert_int_equal(itl->attentions, 1 << UA_MODE_CHANGED | 1 << UA_BUS_RESET);
	/* the lowest first, each once; an opcode that nobody knows waits as well */
	assert_check(SEND(&h, .cdb = {NO_SUCH_OPCODE}), SENSE_SCSI_BUS_RESET);
	assert_check(SEND(&h, .cdb = {TEST_UNIT_READY}), SENSE_MODE_PARAMETERS_CHANGED);
	assert_check(SEND(&h, .cdb = {NO_SUCH_OPCODE}), SENSE_INVALID_OPCODE);
	/* the CDB is judged before the readiness of the LU */
	assert_bad_field(SEND(&h, .cdb = {TEST_UNIT_READY, 1}), 1, 0);
	assert_check(SEND(&h, .cdb = {TEST_UNIT_READY}), SENSE_NOT_READY_OFFLINE);
	/* the other nexus: spared from the one, and with its own copy of the other */
	assert_check(SEND(&h, .nexus = 1, .cdb = {TEST_UNIT_READY}), SENSE_MODE_PARAMETERS_CHANGED);
	assert_check(SEND(&h, .nexus = 1, .cdb = {TEST_UNIT_READY}), SENSE_NOT_READY_OFFLINE);
	harness_stop(&h);
}

static void request_sense_takes_the_attention(void **state)
{
	struct harness h;
	const struct answer *a;

	(void)state;
	start_fake(&h, NULL);
	scsi_lu_attention(h.lus[0], UA_LU_RESET, NULL);
	a = SEND(&h, .cdb = {0x03, 0, 0, 0, 252}, .expect_in = 252);
	assert_good(a);
	assert_int_equal(a->len, 18);
	assert_int_equal(a->data[2], KEY_UNIT_ATTENTION);
	assert_int_equal(a->data[12], 0x29);
	assert_int_equal(a->data[13], 0x03);
	assert_good(SEND(&h, .cdb = {TEST_UNIT_READY}));
	harness_stop(&h);
}

static void a_lu_offline_moves_nothing(void **state)
{
	struct harness h;

	(void)state;
	start_fake(&h, offline);
	assert_check(read16(&h, 0, 1), SENSE_NOT_READY_OFFLINE);
	assert_check(SEND(&h, .cdb = {WRITE_10, [8] = 1}, .out = ones, .out_len = 512),
		     SENSE_NOT_READY_OFFLINE);
	assert_int_equal(fake.n_ios, 0);
	harness_stop(&h);
}

static void a_protected_lu_is_not_written(void **state)
{
	struct harness h;
	const struct answer *a;

	(void)state;
	start_fake(&h, write_protect);
	a = SEND(&h, .cdb = {WRITE_10, [8] = 1}, .out = ones, .out_len = 512);
	assert_check(a, SENSE_WRITE_PROTECTED);
	assert_int_equal(a->need_out, 0);
	/* before the range is looked at */
	assert_check(SEND(&h, .cdb = {WRITE_10, 0, 0xff}), SENSE_WRITE_PROTECTED);
	assert_int_equal(fake.n_ios, 0);
	assert_good(read16(&h, 0, 1));
	harness_stop(&h);
}

/* ---- data ---- */

static void only_whole_blocks_are_written(void **state)
{
	struct harness h;
	const struct answer *a;

	(void)state;
	start_fake(&h, NULL);
	/* 3 blocks announced, 2 and a part of the third sent */
	a = SEND(&h, .cdb = {WRITE_10, [8] = 3}, .out = ones, .out_len = 1300, .n_segments = 3);
	assert_check(a, SENSE_INVALID_FIELD_IN_IU);
	assert_int_equal(a->out_len, 1536);
	/* less than one */
	a = SEND(&h, .cdb = {WRITE_10, [8] = 1}, .out = ones, .out_len = 511);
	assert_check(a, SENSE_INVALID_FIELD_IN_IU);
	assert_int_equal(fake.n_ios, 0);
	a = SEND(&h, .cdb = {WRITE_10, [8] = 3}, .out = ones, .out_len = 1024, .n_segments = 3);
	assert_good(a);
	assert_int_equal(a->need_out, 1536);
	assert_int_equal(a->out_len, 1536);
	assert_int_equal(fake.len, 1024);
	assert_memory_equal(fake.mem, ones, 1024);
	assert_int_equal(fake.mem[1024], 0);
	harness_stop(&h);
}

static void a_read_fills_what_the_initiator_takes(void **state)
{
	struct harness h;
	const struct answer *a;

	(void)state;
	start_fake(&h, NULL);
	memset(fake.mem, 0x77, 1024);
	a = SEND(&h, .cdb = {READ_10, [8] = 2}, .expect_in = 700, .n_segments = 2);
	assert_good(a);
	assert_int_equal(a->in_len, 1024);
	assert_int_equal(a->len, 700);
	assert_memory_equal(a->data, fake.mem, 700);
	a = SEND(&h, .cdb = {READ_10, [8] = 2}, .expect_in = 0);
	assert_good(a);
	assert_int_equal(a->in_len, 1024);
	a = SEND(&h, .cdb = {READ_10, [8] = 1}, .expect_in = 4096);
	assert_int_equal(a->in_len, 512);
	harness_stop(&h);
}

/* Begins a write of a block from segments that hold more: the store must not see the rest. */
static void the_buffer_comes_back_whole(void **state)
{
	static const struct scsi_transport none;
	struct scsi_task task = {.transport = &none, .cdb = {WRITE_10, [8] = 2}, .cdb_len = 10};
	struct iovec iov[2] = {{ones, 600}, {ones + 600, 300}};
	struct harness h;

	(void)state;
	start_fake(&h, NULL);
	atomic_store(&h.lus[0]->flush_failed, true);
	task.nexus = h.nexus[0];
	assert_int_equal(scsi_task_begin(&task), SCSI_READY);
	task.iov = iov;
	task.n_iov = 2;
	assert_int_equal(scsi_task_run(&task), SCSI_DONE);
	assert_int_equal(iov[0].iov_len + iov[1].iov_len, 900);
	scsi_task_end(&task);
	harness_stop(&h);
}

/* ---- errors of the store ---- */

static const struct answer *outcome(struct harness *h, uint8_t opcode, uint8_t flags, int res)
{
	fake.fail = res;
	fake.fail_kind = opcode == READ_10	   ? DUOTGT_IO_READ
			 : opcode == SYNC_CACHE_10 ? DUOTGT_IO_FLUSH
						   : DUOTGT_IO_WRITE;
	return SEND(h, .cdb = {opcode, flags, 0, 0, 0, 7, 0, 0, 1}, .expect_in = 512, .out = ones,
		    .out_len = 512);
}

static void assert_medium_error(const struct answer *a, enum scsi_sense_code code)
{
	assert_check(a, code);
	assert_true(a->sense.has_info);
	assert_int_equal(a->sense.info, 7);
	assert_true(a->was_pending);
}

static void each_error_has_its_sense(void **state)
{
	struct harness h;

	(void)state;
	start_fake(&h, NULL);
	assert_medium_error(outcome(&h, READ_10, 0, -EIO), SENSE_UNRECOVERED_READ_ERROR);
	assert_medium_error(outcome(&h, READ_10, 0, -ENODATA), SENSE_UNRECOVERED_READ_ERROR);
	assert_medium_error(outcome(&h, READ_10, 0, -EINVAL), SENSE_UNRECOVERED_READ_ERROR);
	assert_medium_error(outcome(&h, WRITE_10, 0, -EIO), SENSE_WRITE_ERROR);
	assert_check(outcome(&h, WRITE_10, 0, -ENOSPC), SENSE_SPACE_ALLOCATION_FAILED);
	assert_check(outcome(&h, WRITE_10, FUA, -ENOSPC), SENSE_SPACE_ALLOCATION_FAILED);
	assert_int_equal(outcome(&h, READ_10, 0, -ENOMEM)->status, STATUS_BUSY);
	assert_int_equal(outcome(&h, WRITE_10, 0, -EAGAIN)->status, STATUS_BUSY);
	assert_int_equal(outcome(&h, WRITE_10, FUA, -EAGAIN)->status, STATUS_BUSY);
	/* none of these was the failure of a flush */
	assert_false(h.lus[0]->flush_failed);
	assert_good(outcome(&h, WRITE_10, 0, 0));
	harness_stop(&h);
}

static void assert_stays_failed(struct harness *h)
{
	unsigned n = fake.n_ios;

	assert_check(outcome(h, WRITE_10, 0, 0), SENSE_WRITE_ERROR);
	assert_check(outcome(h, SYNC_CACHE_10, 0, 0), SENSE_WRITE_ERROR);
	assert_check(SEND(h, .cdb = {WRITE_10}), SENSE_WRITE_ERROR); /* of no blocks */
	assert_int_equal(scsi_lu_flush_now(h->lus[0], NULL), -EIO);
	assert_int_equal(fake.n_ios, n);
	assert_good(outcome(h, READ_10, 0, 0));
}

static void a_failed_flush_is_not_forgotten(void **state)
{
	struct harness h;

	(void)state;
	start_fake(&h, NULL);
	assert_good(outcome(&h, SYNC_CACHE_10, 0, 0));
	assert_check(outcome(&h, SYNC_CACHE_10, 0, -EIO), SENSE_WRITE_ERROR);
	assert_stays_failed(&h);
	harness_stop(&h);
	/* opened anew it starts afresh */
	start_fake(&h, NULL);
	assert_good(outcome(&h, WRITE_10, 0, 0));
	assert_check(outcome(&h, SYNC_CACHE_10, 0, -ENOSPC), SENSE_WRITE_ERROR);
	assert_stays_failed(&h);
	harness_stop(&h);
}

static void a_failed_fua_write_is_a_failed_flush(void **state)
{
	struct harness h;

	(void)state;
	start_fake(&h, NULL);
	assert_medium_error(outcome(&h, WRITE_10, FUA, -EIO), SENSE_WRITE_ERROR);
	assert_stays_failed(&h);
	harness_stop(&h);
}

static void the_last_flush_may_fail(void **state)
{
	struct harness h;

	(void)state;
	start_fake(&h, NULL);
	assert_int_equal(scsi_lu_flush_now(h.lus[0], NULL), 0);
	assert_int_equal(fake.kind, DUOTGT_IO_FLUSH);
	fake.fail = -EIO;
	fake.fail_kind = DUOTGT_IO_FLUSH;
	assert_int_equal(scsi_lu_flush_now(h.lus[0], NULL), -EIO);
	assert_stays_failed(&h);
	harness_stop(&h);
}

static void last_flushes_share_an_engine(void **state)
{
	struct engine *engine = NULL, *first;
	struct harness h;

	(void)state;
	start_fake(&h, NULL);
	assert_int_equal(scsi_lu_flush_now(h.lus[0], &engine), 0);
	assert_non_null(engine);
	first = engine;
	fake.fail = -EIO;
	fake.fail_kind = DUOTGT_IO_FLUSH;
	assert_int_equal(scsi_lu_flush_now(h.lus[0], &engine), -EIO);
	assert_ptr_equal(engine, first);
	harness_stop(&h);
	/* the failure of one is none of the next */
	fake_reset();
	start_fake(&h, NULL);
	assert_int_equal(scsi_lu_flush_now(h.lus[0], &engine), 0);
	assert_ptr_equal(engine, first);
	harness_stop(&h);
	engine_free(engine);
}

/* ---- FUA ---- */

static uint32_t flags_of_write(bool volatile_cache, bool write_cache, uint8_t fua)
{
	struct harness h;

	fake_reset();
	fake.volatile_cache = volatile_cache;
	start_fake(&h, write_cache ? NULL : write_through);
	assert_good(outcome(&h, WRITE_10, fua, 0));
	assert_int_equal(fake.kind, DUOTGT_IO_WRITE);
	harness_stop(&h);
	return fake.flags;
}

static void fua_is_asked_for_where_it_means_something(void **state)
{
	(void)state;
	assert_int_equal(flags_of_write(true, true, 0), 0);
	assert_int_equal(flags_of_write(true, true, FUA), DUOTGT_IO_FUA);
	assert_int_equal(flags_of_write(true, false, 0), DUOTGT_IO_FUA);
	assert_int_equal(flags_of_write(false, true, FUA), 0);
	assert_int_equal(flags_of_write(false, false, 0), 0);
}

/* ---- LUs that cannot be ---- */

static void bad_configurations_are_refused(void **state)
{
	static const struct {
		uint32_t block_size, max_transfer;
		uint64_t size;
	} bad[] = {{0, 4096, 4096},    {256, 4096, 4096},  {513, 4096, 4096},
		   {8192, 8192, 8192}, {512, 0, 4096},	   {4096, 6144, 4096},
		   {4096, 4096, 4095}, {1536, 6144, 6144}, {512, 4096, 0}};
	struct scsi_lu_config cfg = harness_lu_config();
	struct scsi_lu *lu;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char why[128] = "";

		cfg.block_size = bad[i].block_size;
		cfg.max_transfer = bad[i].max_transfer;
		cfg.params.size = bad[i].size;
		assert_int_equal(scsi_lu_new(&cfg, &lu, why, sizeof(why)), -EINVAL);
		assert_true(strlen(why) > 10);
	}
	cfg.block_size = cfg.max_transfer = 4096;
	cfg.params.size = 3 * 4096 + 4095;
	assert_int_equal(scsi_lu_new(&cfg, &lu, NULL, 0), 0);
	assert_int_equal(scsi_lu_blocks(lu), 3);
	assert_int_equal(scsi_lu_block_size(lu), 4096);
	assert_string_equal(scsi_lu_name(lu), "disk");
	scsi_lu_unref(lu);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(cdbs_are_held_against_their_rows, setup),
		cmocka_unit_test_setup(a_cdb_has_the_length_of_its_group, setup),
		cmocka_unit_test_setup(every_cdb_has_an_answer, setup),
		cmocka_unit_test_setup(ranges_do_not_leave_the_medium, setup),
		cmocka_unit_test_setup(a_transfer_is_limited, setup),
		cmocka_unit_test_setup(no_blocks_touch_no_store, setup),
		cmocka_unit_test_setup(an_attention_comes_before_all_but_three, setup),
		cmocka_unit_test_setup(request_sense_takes_the_attention, setup),
		cmocka_unit_test_setup(a_lu_offline_moves_nothing, setup),
		cmocka_unit_test_setup(a_protected_lu_is_not_written, setup),
		cmocka_unit_test_setup(only_whole_blocks_are_written, setup),
		cmocka_unit_test_setup(a_read_fills_what_the_initiator_takes, setup),
		cmocka_unit_test_setup(the_buffer_comes_back_whole, setup),
		cmocka_unit_test_setup(each_error_has_its_sense, setup),
		cmocka_unit_test_setup(a_failed_flush_is_not_forgotten, setup),
		cmocka_unit_test_setup(a_failed_fua_write_is_a_failed_flush, setup),
		cmocka_unit_test_setup(the_last_flush_may_fail, setup),
		cmocka_unit_test_setup(last_flushes_share_an_engine, setup),
		cmocka_unit_test_setup(fua_is_asked_for_where_it_means_something, setup),
		cmocka_unit_test_setup(bad_configurations_are_refused, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
