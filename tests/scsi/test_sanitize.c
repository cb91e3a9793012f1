/* SPDX-License-Identifier: Apache-2.0 */
/* SANITIZE: what is left afterwards, that nothing stops it, and how a LU gets out of a failure. */
#include "scsi/backend/backends.h"
#include "scsi/lu_priv.h"
#include "tests/scsi/spy.h"
#include "tests/scsi/state_dir.h"
#include "tests/scsi/wipe_kit.h"
#include "util/bytes.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
	OVERWRITE = 0x01,
	BLOCK_ERASE = 0x02,
	EXIT_FAILURE_MODE = 0x1f,
	IMMED = 0x80,
	AUSE = 0x20,
	INVERT = 0x80,
	FUA = 0x08, /* WRITE */
};

static uint8_t disk[SPY_SIZE];

static void start(struct harness *h, bool thin)
{
	struct scsi_lu_config cfg = spy_config();

	cfg.thin = thin;
	memset(spy.data, 0xdd, SPY_SIZE);
	harness_start(h);
	harness_map(h, 0, &cfg);
	harness_settle(h);
}

static const struct answer *sanitize(struct harness *h, uint8_t flags, const void *list,
				     uint16_t len)
{
	struct sent sent = {.cdb = {0x48, flags}, .out = list, .out_len = len, .n_segments = 2};

	be16_put(sent.cdb + 7, len);
	return harness_send(h, &sent);
}

/* Each pass writes all, and is stored before the next one. */
static void overwrites(void **state)
{
	uint8_t list[4 + 512] = {3, 0, 2, 0};
	struct harness h;

	(void)state;
	start(&h, false);
	for (unsigned i = 0; i < 512; i++)
		list[4 + i] = (uint8_t)(i * 5 + 1);
	assert_good(sanitize(&h, OVERWRITE, list, sizeof(list)));
	for (size_t i = 0; i < SPY_SIZE; i++)
		disk[i] = list[4 + i % 512];
	assert_memory_equal(spy.data, disk, SPY_SIZE);
	assert_int_equal(spy.n[DUOTGT_IO_WRITE], 3);
	assert_int_equal(spy.n[DUOTGT_IO_FLUSH], 3);
	/* the second pass of two is the inverse; the pattern is of three bytes, within a block */
	memcpy(list, (const uint8_t[]){INVERT | 2, 0, 0, 3}, 4);
	assert_good(sanitize(&h, OVERWRITE, list, 4 + 3));
	for (size_t i = 0; i < SPY_SIZE; i++)
		disk[i] = (uint8_t)~list[4 + i % 512 % 3];
	assert_memory_equal(spy.data, disk, SPY_SIZE);
	memcpy(list, (const uint8_t[]){INVERT | 31, 0, 0, 1}, 4);
	assert_good(sanitize(&h, OVERWRITE, list, 4 + 1));
	memset(disk, list[4], SPY_SIZE);
	assert_memory_equal(spy.data, disk, SPY_SIZE);
	harness_stop(&h);
}

/* Over what is stored, for good, before its space is given back. */
static void erases(void **state)
{
	struct harness h;

	(void)state;
	start(&h, true);
	assert_good(sanitize(&h, BLOCK_ERASE, NULL, 0));
	memset(disk, 0, SPY_SIZE);
	assert_memory_equal(spy.data, disk, SPY_SIZE);
	assert_int_equal(spy.n[DUOTGT_IO_WRITE], 1);
	assert_int_equal(spy.n[DUOTGT_IO_DISCARD], 1);
	harness_stop(&h);
	/* a LU that keeps its space has nothing to erase blocks to */
	start(&h, false);
	assert_bad_field(sanitize(&h, BLOCK_ERASE, NULL, 0), 1, 4);
	harness_stop(&h);
}

/* Not before its time: a bound that holds on a slow machine, too. */
static void no_faster_than_allowed(void **state)
{
	enum { RATE = 4 << 20 };
	static const uint8_t list[5] = {2, 0, 0, 1, 7};
	struct scsi_lu_config cfg = spy_config();
	struct harness h;
	uint64_t begun;

	(void)state;
	cfg.background_rate = RATE;
	harness_start(&h);
	harness_map(&h, 0, &cfg);
	harness_settle(&h);
	begun = engine_now(h.engine);
	assert_good(sanitize(&h, OVERWRITE, list, sizeof(list)));
	assert_int_equal(spy.n[DUOTGT_IO_WRITE], 2);
	assert_true(engine_now(h.engine) - begun >= UINT64_C(1000000000) * 2 * SPY_SIZE / RATE);
	memset(disk, 7, SPY_SIZE);
	assert_memory_equal(spy.data, disk, SPY_SIZE);
	harness_stop(&h);
}

/* A RAM disk with a volatile cache, and what it is asked for. */
static const struct duotgt_backend_ops *ram;
static unsigned n_written, n_discarded;

static int open_volatile(const struct duotgt_backend_params *params, void **ret_store,
			 struct duotgt_backend_info *ret_info, char *ret_why, size_t why_len)
{
	int r = ram->open(params, ret_store, ret_info, ret_why, why_len);

	if (r == 0)
		ret_info->volatile_cache = true;
	return r;
}

/* Erased for good first, then given back. */
static void submit_noted(void *store, struct engine *engine, struct duotgt_io *io)
{
	if (io->kind == DUOTGT_IO_WRITE) {
		assert_int_equal(io->flags, DUOTGT_IO_FUA);
		assert_int_equal(n_written, n_discarded);
		n_written += io->len;
	} else if (io->kind == DUOTGT_IO_DISCARD) {
		n_discarded += io->len;
		assert_int_equal(n_written, n_discarded);
	}
	ram->submit(store, engine, io);
}

/* What takes no space is not written, so that a large thin LU needs none for it. */
static void erases_what_is_stored(void **state)
{
	static uint8_t data[4096] = {[0 ... 4095] = 7}, buf[1 << 20];
	static struct duotgt_backend_ops ops;
	struct scsi_lu_config cfg = harness_lu_config();
	struct sent write = {.cdb = {0x2a, FUA, 0, 0, 0, 0, 0, 0, 8}, .out = data, .out_len = 4096};
	struct harness h;

	(void)state;
	ram = cfg.backend;
	ops = *ram;
	ops.open = open_volatile;
	ops.submit = submit_noted;
	cfg.backend = &ops;
	cfg.thin = cfg.params.thin = true;
	harness_start(&h);
	harness_map(&h, 0, &cfg);
	harness_settle(&h);
	for (unsigned i = 0; i < 3; i++) {
		n_written = n_discarded = 0;
		write.cdb[4] = (uint8_t)(1 + 2 * i);
		assert_good(harness_send(&h, &write));
	}
	n_written = n_discarded = 0;
	assert_good(sanitize(&h, BLOCK_ERASE, NULL, 0));
	assert_int_equal(n_discarded, 3 * 4096);
	wipe_read_all(&h, buf, sizeof(buf));
	for (size_t i = 0; i < sizeof(buf); i++)
		assert_int_equal(buf[i], 0);
	/* GET LBA STATUS: one extent, deallocated */
	assert_good(SEND(&h, .cdb = {0x9e, 0x12, [13] = 64}, .expect_in = 64));
	assert_int_equal(be32_get(h.answer.data), 4 + 16);
	assert_int_equal(be32_get(h.answer.data + 16), 2048);
	assert_int_equal(h.answer.data[20], 1);
	harness_stop(&h);
}

static void refused(void **state)
{
	static uint8_t list[4 + 513];
	struct harness h;

	(void)state;
	start(&h, true);
	for (uint8_t sa = 0; sa < 0x20; sa++)
		if (sa != OVERWRITE && sa != BLOCK_ERASE && sa != EXIT_FAILURE_MODE)
			assert_bad_field(sanitize(&h, sa, NULL, 0), 1, 4);
	for (uint16_t len = 0; len < 5; len++)
		assert_bad_field(sanitize(&h, OVERWRITE, list, len), 7, -1);
	assert_bad_field(sanitize(&h, OVERWRITE, list, 517), 7, -1);
	assert_check(sanitize(&h, BLOCK_ERASE, list, 8), SENSE_INVALID_FIELD_IN_CDB);
	assert_check(sanitize(&h, EXIT_FAILURE_MODE, list, 8), SENSE_INVALID_FIELD_IN_CDB);
	assert_bad_field(sanitize(&h, 0x40 | BLOCK_ERASE, NULL, 0), 1, 6); /* ZNR */
	/* count 0, TEST, reserved, pattern of 0, of more than there is */
	static const uint8_t bad[][4] = {{0, 0, 0, 1}, {0x21, 0, 0, 1}, {0x41, 0, 0, 1},
					 {1, 1, 0, 1}, {1, 0, 0, 0},	{1, 0, 0, 9}};
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memcpy(list, bad[i], 4);
		assert_check(sanitize(&h, OVERWRITE, list, 12), SENSE_INVALID_FIELD_IN_PARAMETERS);
	}
	list[3] = 8;
	list[0] = 1;
	assert_check(SEND(&h, .cdb = {0x48, OVERWRITE, 0, 0, 0, 0, 0, 0, 12}, .out = list,
			  .out_len = 11),
		     SENSE_PARAMETER_LIST_LENGTH);
	assert_int_equal(spy.n[DUOTGT_IO_DISCARD] + spy.n[DUOTGT_IO_WRITE], 0);
	harness_stop(&h);
}

/* ---- meanwhile ---- */

static const uint8_t zeroes[5] = {2, 0, 0, 1, 0};

static void start_large(struct harness *h)
{
	struct scsi_lu_config cfg = harness_lu_config();

	cfg.backend = duotgt_backend_find("null");
	cfg.params.size = 512 << 20;
	harness_start(h);
	harness_map(h, 0, &cfg);
	harness_settle(h);
}

static void in_the_background(void **state)
{
	uint16_t progress;
	struct harness h;

	(void)state;
	start_large(&h);
	assert_good(sanitize(&h, OVERWRITE | IMMED, zeroes, 5));
	progress = wipe_progress(&h, SENSE_SANITIZE_IN_PROGRESS);
	wipe_turn(&h, 50);
	assert_true(wipe_progress(&h, SENSE_SANITIZE_IN_PROGRESS) > progress);
	assert_check(SEND(&h, .cdb = {0x28}), SENSE_SANITIZE_IN_PROGRESS);
	assert_check(SEND(&h, .cdb = {0x1b, 0, 0, 0, 1}), SENSE_SANITIZE_IN_PROGRESS);
	assert_check(SEND(&h, .cdb = {0x04}), SENSE_SANITIZE_IN_PROGRESS);
	assert_check(sanitize(&h, OVERWRITE, zeroes, 5), SENSE_SANITIZE_IN_PROGRESS);
	assert_good(SEND(&h, .cdb = {0x12, 0, 0, 0, 96}, .expect_in = 96));
	assert_non_null(h.lus[0]->job);
	wipe_wait(&h, h.lus[0]);
	assert_good(SEND(&h, .cdb = {0x00}));
	harness_stop(&h);
}

/* ABORT TASK, resets, and the loss of the nexus: it goes on, and its command is gone. */
static void nothing_stops_it(void **state)
{
	static const enum scsi_tmf_function functions[] = {TMF_ABORT_TASK, TMF_ABORT_TASK_SET,
							   TMF_LU_RESET, TMF_TARGET_RESET};
	struct harness h;

	(void)state;
	for (unsigned i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		struct started started;
		uint16_t progress;

		start_large(&h);
		wipe_start(&h, &started,
			   &(struct sent){
				   .cdb = {0x48, OVERWRITE, [8] = 5}, .out = zeroes, .out_len = 5});
		assert_false(started.done);
		wipe_turn(&h, 5);
		assert_int_equal(wipe_manage(&h, i < 2 ? 0 : 1, functions[i], started.task.tag),
				 TMF_COMPLETE);
		assert_true(started.done && started.aborted);
		wipe_end(&h, &started);
		scsi_nexus_free(h.nexus[0]);
		h.nexus[0] = NULL;
		harness_settle(&h);
		progress = wipe_progress(&h, SENSE_SANITIZE_IN_PROGRESS);
		wipe_turn(&h, 20);
		assert_true(wipe_progress(&h, SENSE_SANITIZE_IN_PROGRESS) > progress);
		wipe_wait(&h, h.lus[0]);
		assert_good(SEND(&h, .nexus = 1, .cdb = {0x00}));
		harness_stop(&h);
	}
}

/* ---- failures ---- */

static void a_failure_stays(void **state)
{
	struct harness h;

	(void)state;
	start(&h, false);
	spy.fail_kind = DUOTGT_IO_WRITE;
	spy.fail_res = -EIO;
	assert_good(sanitize(&h, EXIT_FAILURE_MODE, NULL, 0)); /* of none */
	assert_check(sanitize(&h, OVERWRITE, zeroes, 5), SENSE_SANITIZE_FAILED);
	spy.fail_res = 0;
	assert_check(SEND(&h, .cdb = {0x00}), SENSE_SANITIZE_FAILED);
	assert_check(SEND(&h, .nexus = 1, .cdb = {0x28}), SENSE_SANITIZE_FAILED);
	assert_check(SEND(&h, .cdb = {0x04}), SENSE_SANITIZE_FAILED);
	/* without AUSE there is no way but another SANITIZE */
	assert_bad_field(sanitize(&h, EXIT_FAILURE_MODE, NULL, 0), 1, 4);
	assert_good(sanitize(&h, OVERWRITE, zeroes, 5));
	assert_good(SEND(&h, .cdb = {0x00}));
	harness_stop(&h);
}

static void a_failure_that_may_be_left(void **state)
{
	struct harness h;

	(void)state;
	start(&h, true);
	spy.fail_kind = DUOTGT_IO_DISCARD;
	spy.fail_res = -EIO;
	assert_good(sanitize(&h, BLOCK_ERASE | AUSE | IMMED, NULL, 0));
	wipe_wait(&h, h.lus[0]);
	assert_check(SEND(&h, .cdb = {0x28}), SENSE_SANITIZE_FAILED);
	assert_good(sanitize(&h, EXIT_FAILURE_MODE, NULL, 0));
	assert_good(SEND(&h, .cdb = {0x28}));
	harness_stop(&h);
}

/* ---- what outlives the process ---- */

static void start_with_state(struct harness *h)
{
	struct scsi_lu_config cfg = spy_config();

	cfg.thin = true;
	cfg.state_dir = state_dir_make();
	harness_start(h);
	harness_map(h, 0, &cfg);
	harness_settle(h);
}

static void restart(struct harness *h)
{
	struct scsi_lu_config cfg = spy_config();
	char folder[64];

	snprintf(folder, sizeof(folder), "%s", h->lus[0]->state_dir);
	cfg.thin = true;
	cfg.state_dir = folder;
	harness_stop(h);
	harness_start(h);
	harness_map(h, 0, &cfg);
	harness_settle(h);
}

static void a_failure_outlives_the_process(void **state)
{
	struct harness h;

	(void)state;
	start_with_state(&h);
	assert_good(sanitize(&h, OVERWRITE, zeroes, 5));
	assert_int_equal(state_dir_files(), 0);
	restart(&h);
	assert_good(SEND(&h, .cdb = {0x00}));

	spy.fail_kind = DUOTGT_IO_WRITE;
	spy.fail_res = -EIO;
	assert_check(sanitize(&h, OVERWRITE, zeroes, 5), SENSE_SANITIZE_FAILED);
	restart(&h);
	assert_check(SEND(&h, .cdb = {0x00}), SENSE_SANITIZE_FAILED);
	assert_bad_field(sanitize(&h, EXIT_FAILURE_MODE, NULL, 0), 1, 4);
	assert_good(sanitize(&h, OVERWRITE, zeroes, 5));
	assert_int_equal(state_dir_files(), 0);

	spy.fail_kind = DUOTGT_IO_WRITE;
	spy.fail_res = -EIO;
	assert_check(sanitize(&h, OVERWRITE | AUSE, zeroes, 5), SENSE_SANITIZE_FAILED);
	restart(&h);
	assert_check(SEND(&h, .cdb = {0x00}), SENSE_SANITIZE_FAILED);
	assert_good(sanitize(&h, EXIT_FAILURE_MODE, NULL, 0));
	assert_int_equal(state_dir_files(), 0);
	restart(&h);
	assert_good(SEND(&h, .cdb = {0x00}));

	/* FORMAT UNIT, likewise */
	spy.fail_kind = DUOTGT_IO_DISCARD;
	spy.fail_res = -EIO;
	assert_check(SEND(&h, .cdb = {0x04}), SENSE_FORMAT_FAILED);
	restart(&h);
	assert_check(SEND(&h, .cdb = {0x00}), SENSE_FORMAT_CORRUPTED);
	assert_good(SEND(&h, .cdb = {0x04}));
	assert_good(SEND(&h, .cdb = {0x00}));
	harness_stop(&h);
	state_dir_remove();
}

/* Noted before the first block is touched, so that it is there whenever the power goes. */
static void noted_from_the_start(void **state)
{
	struct started started;
	struct harness h;

	(void)state;
	start_with_state(&h);
	memset(spy.data, 0xdd, SPY_SIZE);
	wipe_start(&h, &started, &(struct sent){.cdb = {0x48, BLOCK_ERASE}});
	while (!spy.n[DUOTGT_IO_WRITE])
		wipe_turn(&h, 1);
	assert_int_equal(state_dir_files(), 1);
	wipe_end(&h, &started);
	assert_int_equal(started.task.status, STATUS_GOOD);
	assert_int_equal(state_dir_files(), 0);
	harness_stop(&h);
	state_dir_remove();
}

/* What cannot be noted is not begun; what cannot be read is taken for the worst. */
static void notes_that_go_wrong(void **state)
{
	struct harness h;

	(void)state;
	start_with_state(&h);
	spy.fail_kind = DUOTGT_IO_WRITE;
	spy.fail_res = -EIO;
	assert_check(sanitize(&h, OVERWRITE | AUSE, zeroes, 5), SENSE_SANITIZE_FAILED);
	state_dir_spoil();
	restart(&h);
	assert_check(SEND(&h, .cdb = {0x00}), SENSE_SANITIZE_FAILED);
	assert_bad_field(sanitize(&h, EXIT_FAILURE_MODE, NULL, 0), 1, 4);
	assert_good(sanitize(&h, OVERWRITE, zeroes, 5));
	state_dir_remove();
	memset(spy.n, 0, sizeof(spy.n));
	assert_check(sanitize(&h, OVERWRITE, zeroes, 5), SENSE_INTERNAL_TARGET_FAILURE);
	wipe_wait(&h, h.lus[0]);
	assert_int_equal(spy.n[DUOTGT_IO_WRITE], 0);
	assert_good(SEND(&h, .cdb = {0x00}));
	/* nor does one that was not begun loosen what an older one left */
	atomic_store(&h.lus[0]->barred, SENSE_SANITIZE_FAILED);
	atomic_store(&h.lus[0]->job_exit_allowed, false);
	assert_check(sanitize(&h, OVERWRITE | AUSE, zeroes, 5), SENSE_INTERNAL_TARGET_FAILURE);
	wipe_wait(&h, h.lus[0]);
	assert_bad_field(sanitize(&h, EXIT_FAILURE_MODE, NULL, 0), 1, 4);
	harness_stop(&h);
}

/* ---- the end of service ---- */

static atomic_bool ended;

static void *turn_loop(void *arg)
{
	struct harness *h = arg;

	while (!ended)
		engine_turn(h->engine, false);
	return NULL;
}

static void ends_with_the_service(void **state)
{
	pthread_t thread;
	struct harness h;

	(void)state;
	start_large(&h);
	h.lus[0]->background_rate = 64 << 20; /* it is not done before it can be stopped */
	assert_good(sanitize(&h, OVERWRITE | IMMED, zeroes, 5));
	ended = false;
	assert_int_equal(pthread_create(&thread, NULL, turn_loop, &h), 0);
	scsi_lu_stop_work(h.lus[0]);
	assert_null(h.lus[0]->job);
	ended = true;
	pthread_join(thread, NULL);
	assert_check(SEND(&h, .cdb = {0x00}), SENSE_SANITIZE_FAILED);
	harness_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(overwrites),
		cmocka_unit_test(no_faster_than_allowed),
		cmocka_unit_test(erases),
		cmocka_unit_test(erases_what_is_stored),
		cmocka_unit_test(refused),
		cmocka_unit_test(in_the_background),
		cmocka_unit_test(nothing_stops_it),
		cmocka_unit_test(a_failure_stays),
		cmocka_unit_test(a_failure_that_may_be_left),
		cmocka_unit_test(a_failure_outlives_the_process),
		cmocka_unit_test(noted_from_the_start),
		cmocka_unit_test(notes_that_go_wrong),
		cmocka_unit_test(ends_with_the_service),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
