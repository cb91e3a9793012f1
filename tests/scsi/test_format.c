/* SPDX-License-Identifier: Apache-2.0 */
/* FORMAT UNIT: what it writes, what its list may say, and what others hear meanwhile. */
#include "scsi/backend/backends.h"
#include "scsi/lu_priv.h"
#include "tests/scsi/spy.h"
#include "tests/scsi/wipe_kit.h"
#include "util/bytes.h"
#include <errno.h>
#include <string.h>

enum {
	/* CDB, byte 1 */
	LONGLIST = 0x20,
	FMTDATA = 0x10,
	/* list, byte 1 */
	FOV = 0x80,
	IP = 0x08,
	IMMED = 0x02,
};

static uint8_t disk[SPY_SIZE];

static void start(struct harness *h, bool thin, uint32_t block_size)
{
	struct scsi_lu_config cfg = spy_config();

	cfg.thin = thin;
	cfg.block_size = block_size;
	memset(spy.data, 0xdd, SPY_SIZE);
	harness_start(h);
	harness_map(h, 0, &cfg);
	harness_settle(h);
}

static const struct answer *format(struct harness *h, uint8_t flags, const void *list, uint32_t len)
{
	return SEND(h, .cdb = {0x04, flags}, .out = list, .out_len = len, .n_segments = 2);
}

static void all_is_zero(void **state)
{
	static const uint8_t short_list[4], long_list[8];
	struct harness h;

	(void)state;
	for (unsigned thin = 0; thin < 2; thin++) {
		start(&h, thin, 512);
		for (unsigned i = 0; i < 3; i++) {
			memset(spy.data, 0xdd, SPY_SIZE);
			if (i == 0)
				assert_good(format(&h, 0, NULL, 0));
			else if (i == 1)
				assert_good(format(&h, FMTDATA, short_list, 4));
			else
				assert_good(format(&h, FMTDATA | LONGLIST, long_list, 8));
			memset(disk, 0, SPY_SIZE);
			assert_memory_equal(spy.data, disk, SPY_SIZE);
		}
		assert_int_equal(!spy.n[DUOTGT_IO_WRITE], thin);
		assert_int_equal(!spy.n[DUOTGT_IO_DISCARD], !thin);
		assert_int_equal(spy.n[DUOTGT_IO_FLUSH], 3);
		assert_good(SEND(&h, .cdb = {0x00}));
		harness_stop(&h);
	}
}

/* The pattern begins anew in each block. */
static void a_pattern_of_the_initiators(void **state)
{
	static const uint8_t list[4 + 4 + 5] = {0, FOV | IP, 0, 0, 0, 1, 0, 5, 9, 8, 7, 6, 5};
	static const uint8_t long_list[8 + 4 + 1] = {0, FOV | IP, [9] = 1, [11] = 1, [12] = 0xa5};
	static const uint8_t preset[4 + 4] = {0, FOV | IP};
	struct harness h;

	(void)state;
	for (unsigned thin = 0; thin < 2; thin++) {
		start(&h, thin, 2048);
		assert_good(format(&h, FMTDATA, list, sizeof(list)));
		for (size_t i = 0; i < SPY_SIZE; i++)
			disk[i] = list[8 + i % 2048 % 5];
		assert_memory_equal(spy.data, disk, SPY_SIZE);
		assert_good(format(&h, FMTDATA | LONGLIST, long_list, sizeof(long_list)));
		memset(disk, 0xa5, SPY_SIZE);
		assert_memory_equal(spy.data, disk, SPY_SIZE);
		assert_good(format(&h, FMTDATA, preset, sizeof(preset)));
		memset(disk, 0, SPY_SIZE);
		assert_memory_equal(spy.data, disk, SPY_SIZE);
		harness_stop(&h);
	}
}

static void assert_bad_param(const struct answer *a, unsigned byte)
{
	assert_check(a, SENSE_INVALID_FIELD_IN_PARAMETERS);
	assert_int_equal(a->sense.field, byte);
}

static void lists_that_are_refused(void **state)
{
	static const struct {
		uint8_t flags;
		uint8_t list[16];
		uint8_t len;
		unsigned byte; /* 99: the list's length is wrong */
	} bad[] = {
		{FMTDATA, {1}, 4, 0},			  /* PROTECTION FIELD USAGE */
		{FMTDATA, {0, 0x20}, 4, 1},		  /* DCRT without FOV */
		{FMTDATA, {0, IP}, 8, 1},		  /* IP without FOV */
		{FMTDATA, {0, 1}, 4, 1},		  /* vendor specific */
		{FMTDATA, {0, 0, 0, 8}, 12, 2},		  /* a defect list */
		{FMTDATA | LONGLIST, {0, 0, 1}, 8, 2},	  /* reserved */
		{FMTDATA | LONGLIST, {0, 0, 0, 3}, 8, 3}, /* exponent */
		{FMTDATA | LONGLIST, {0, 0, 0, 0, 0, 0, 0, 8}, 16, 4},
		{FMTDATA, {0}, 3, 99},
		{FMTDATA | LONGLIST, {0}, 7, 99},
		{FMTDATA, {0, FOV | IP, 0, 0}, 7, 99},
		{FMTDATA, {0, FOV | IP, 0, 0, 0x40}, 8, 4},	    /* IP MODIFIER */
		{FMTDATA, {0, FOV | IP, 0, 0, 0x20}, 8, 4},	    /* SI */
		{FMTDATA, {0, FOV | IP, 0, 0, 0, 2}, 8, 5},	    /* pattern type */
		{FMTDATA, {0, FOV | IP, 0, 0, 0, 0, 0, 1}, 9, 6},   /* the default has no pattern */
		{FMTDATA, {0, FOV | IP, 0, 0, 0, 1, 0, 0}, 8, 6},   /* a repeated one has one */
		{FMTDATA, {0, FOV | IP, 0, 0, 0, 1, 2, 1}, 16, 6},  /* longer than a block */
		{FMTDATA, {0, FOV | IP, 0, 0, 0, 1, 0, 9}, 16, 99}, /* longer than the list */
	};
	struct harness h;

	(void)state;
	start(&h, true, 512);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct answer *a = format(&h, bad[i].flags, bad[i].list, bad[i].len);

		if (bad[i].byte == 99)
			assert_check(a, SENSE_PARAMETER_LIST_LENGTH);
		else
			assert_bad_param(a, bad[i].byte);
	}
	/* FMTPINFO; and what describes a list that there is none of */
	assert_bad_field(format(&h, 0x80, NULL, 0), 1, 7);
	assert_bad_field(format(&h, 0x40, NULL, 0), 1, 6);
	assert_bad_field(format(&h, 0x08, NULL, 0), 1, 3);
	assert_bad_field(format(&h, LONGLIST, NULL, 0), 1, 5);
	assert_int_equal(spy.n[DUOTGT_IO_DISCARD] + spy.n[DUOTGT_IO_WRITE], 0);
	harness_stop(&h);
}

/* ---- meanwhile ---- */

/* Large enough for many steps, and kept nowhere. */
static void start_large(struct harness *h)
{
	struct scsi_lu_config cfg = harness_lu_config();

	cfg.backend = duotgt_backend_find("null");
	cfg.params.size = 256 << 20;
	harness_start(h);
	harness_map(h, 0, &cfg);
	harness_settle(h);
}

static const uint8_t immed_list[4] = {0, IMMED};

static void others_hear_how_far_it_is(void **state)
{
	static const uint8_t barred[] = {0x00, 0x28, 0x2a, 0x25, 0x1b, 0x04},
			     allowed[] = {0x12, 0x1a, 0xa0};
	struct scsi_lu *lu;
	uint16_t progress;
	struct harness h;

	(void)state;
	start_large(&h);
	lu = h.lus[0];
	assert_good(format(&h, FMTDATA, immed_list, 4));
	assert_non_null(lu->job);
	progress = wipe_progress(&h, SENSE_FORMAT_IN_PROGRESS);
	wipe_turn(&h, 100);
	assert_true(wipe_progress(&h, SENSE_FORMAT_IN_PROGRESS) > progress);
	for (unsigned i = 0; i < sizeof(barred); i++) {
		assert_check(SEND(&h, .cdb = {barred[i]}), SENSE_FORMAT_IN_PROGRESS);
		assert_true(h.answer.sense.has_progress);
	}
	for (unsigned i = 0; i < sizeof(allowed); i++)
		assert_good(SEND(&h, .cdb = {allowed[i], 0, allowed[i] == 0x1a ? 0x3f : 0},
				 .expect_in = 64));
	assert_non_null(lu->job);
	wipe_wait(&h, lu);
	assert_good(SEND(&h, .cdb = {0x00}));
	assert_good(SEND(&h, .cdb = {0x03, 0, 0, 0, 18}, .expect_in = 18));
	assert_int_equal(h.answer.data[2] | h.answer.data[15], 0);
	harness_stop(&h);
}

/* The nexus that began it goes, and its memory with it. */
static void outlives_its_nexus(void **state)
{
	struct harness h;

	(void)state;
	start_large(&h);
	assert_good(format(&h, FMTDATA, immed_list, 4));
	scsi_nexus_free(h.nexus[0]);
	h.nexus[0] = NULL;
	wipe_turn(&h, 20);
	wipe_progress(&h, SENSE_FORMAT_IN_PROGRESS);
	wipe_wait(&h, h.lus[0]);
	assert_good(SEND(&h, .nexus = 1, .cdb = {0x00}));
	harness_stop(&h);
}

/* Aborted, it leaves a medium that is neither this nor that, until it is formatted again. */
static void aborted_half_way(void **state)
{
	struct started started;
	struct harness h;

	(void)state;
	start_large(&h);
	wipe_start(&h, &started, &(struct sent){.cdb = {0x04}});
	assert_false(started.done);
	wipe_turn(&h, 20);
	wipe_progress(&h, SENSE_FORMAT_IN_PROGRESS);
	assert_int_equal(wipe_manage(&h, 0, TMF_ABORT_TASK, started.task.tag), TMF_COMPLETE);
	assert_true(started.aborted);
	wipe_end(&h, &started);
	assert_null(h.lus[0]->job);
	assert_check(SEND(&h, .cdb = {0x00}), SENSE_FORMAT_CORRUPTED);
	assert_false(h.answer.sense.has_progress);
	assert_check(SEND(&h, .cdb = {0x28}), SENSE_FORMAT_CORRUPTED);
	assert_good(SEND(&h, .cdb = {0x03, 0, 0, 0, 18}, .expect_in = 18));
	assert_int_equal(h.answer.data[2], KEY_MEDIUM_ERROR);
	assert_good(format(&h, 0, NULL, 0));
	assert_good(SEND(&h, .cdb = {0x00}));
	harness_stop(&h);
}

static void failures(void **state)
{
	struct harness h;

	(void)state;
	start(&h, false, 512);
	spy.fail_kind = DUOTGT_IO_WRITE;
	spy.fail_res = -ENOSPC;
	assert_check(format(&h, 0, NULL, 0), SENSE_FORMAT_FAILED);
	assert_check(SEND(&h, .cdb = {0x00}), SENSE_FORMAT_CORRUPTED);
	spy.fail_res = 0;
	assert_good(format(&h, 0, NULL, 0));
	/* a flush that fails is the end of it: DESIGN 6.3 */
	spy.fail_kind = DUOTGT_IO_FLUSH;
	spy.fail_res = -EIO;
	assert_check(format(&h, 0, NULL, 0), SENSE_FORMAT_FAILED);
	spy.fail_res = 0;
	assert_check(format(&h, 0, NULL, 0), SENSE_FORMAT_FAILED);
	harness_stop(&h);
}

/* A WRITE that waits for its data while the other initiator formats. */
static void late_writes_are_too_late(void **state)
{
	static uint8_t ones[512] = {[0 ... 511] = 1};
	struct scsi_task task = {.lun = 0, .cdb = {0x2a, 0, 0, 0, 0, 0, 0, 0, 1}, .cdb_len = 10};
	struct iovec iov = {ones, 512};
	struct harness h;

	(void)state;
	start(&h, false, 512);
	task.nexus = h.nexus[0];
	task.expect_out = 512;
	assert_int_equal(scsi_task_begin(&task), SCSI_READY);
	assert_good(SEND(&h, .nexus = 1, .cdb = {0x04, FMTDATA}, .out = immed_list, .out_len = 4));
	task.iov = &iov;
	task.n_iov = 1;
	assert_int_equal(scsi_task_run(&task), SCSI_DONE);
	assert_int_equal(task.status, STATUS_CHECK_CONDITION);
	assert_int_equal(task.sense.ascq, 4);
	scsi_task_end(&task);
	wipe_wait(&h, h.lus[0]);
	assert_int_equal(spy.data[0], 0);
	harness_stop(&h);
}

/* A command that has waited for its turn is told, too; it does not wait for the end. */
static void nobody_waits_for_the_end(void **state)
{
	struct scsi_task task = {.lun = 0, .cdb = {0x28}, .cdb_len = 10};
	struct started started;
	struct harness h;

	(void)state;
	start_large(&h);
	task.nexus = h.nexus[1];
	assert_int_equal(scsi_task_begin(&task), SCSI_READY);
	wipe_start(&h, &started, &(struct sent){.cdb = {0x04}});
	wipe_turn(&h, 5);
	assert_false(started.done);
	assert_int_equal(scsi_task_run(&task), SCSI_DONE);
	assert_int_equal(task.sense.key, KEY_NOT_READY);
	scsi_task_end(&task);
	wipe_end(&h, &started);
	assert_int_equal(started.task.status, STATUS_GOOD);
	harness_stop(&h);
}

static void read_only(void **state)
{
	struct scsi_lu_config cfg = spy_config();
	struct harness h;

	(void)state;
	cfg.params.read_only = true;
	harness_start(&h);
	harness_map(&h, 0, &cfg);
	harness_settle(&h);
	assert_check(format(&h, 0, NULL, 0), SENSE_WRITE_PROTECTED);
	harness_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_is_zero),
		cmocka_unit_test(a_pattern_of_the_initiators),
		cmocka_unit_test(lists_that_are_refused),
		cmocka_unit_test(others_hear_how_far_it_is),
		cmocka_unit_test(outlives_its_nexus),
		cmocka_unit_test(aborted_half_way),
		cmocka_unit_test(failures),
		cmocka_unit_test(late_writes_are_too_late),
		cmocka_unit_test(nobody_waits_for_the_end),
		cmocka_unit_test(read_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
