/* SPDX-License-Identifier: Apache-2.0 */
/* WRITE ATOMIC: all or nothing, also when the store fails half-way or the process is killed. */
#include "scsi/lu_priv.h"
#include "tests/scsi/harness.h"
#include "tests/scsi/mem_store.h"
#include "util/atomic_file.h"
#include "util/bytes.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 512, SIZE = 1 << 20, N_BLOCKS = SIZE / BLOCK, MAX_BLOCKS = 128, FUA = 0x08 };

#define UNDO_NAME "123456789abc4def8123456789abcdef.undo"

/* ---- a store that can stop half-way ---- */

static struct half_store {
	uint8_t mem[SIZE];
	int fail;	  /* the next write does half of it, and ends so */
	bool fail_always; /* and so do all that follow */
	int fail_flush;
	unsigned n_writes, n_flushes;
	uint8_t undo[ATOMIC_FILE_MAX]; /* the file as it was during the last write */
	size_t undo_len;
	void (*during)(void); /* runs while the write is under way */
} store;

static char dir[64];

static int half_open(const struct duotgt_backend_params *params, void **ret_store,
		     struct duotgt_backend_info *ret_info, char *ret_why, size_t why_len)
{
	(void)ret_why;
	(void)why_len;
	*ret_info = (struct duotgt_backend_info){
		.size = SIZE, .volatile_cache = true, .read_only = params->read_only};
	*ret_store = &store;
	return 0;
}

static void half_close(void *arg)
{
	(void)arg;
}

static int half_write(const struct duotgt_io *io)
{
	int res = store.fail;

	store.n_writes++;
	store.undo_len = 0;
	atomic_file_read(dir, UNDO_NAME, store.undo, sizeof(store.undo), &store.undo_len);
	mem_store_move(store.mem, io, res ? io->len / 2 : io->len);
	if (store.during)
		store.during();
	if (!store.fail_always)
		store.fail = 0;
	return res;
}

static void half_submit(void *arg, struct engine *engine, struct duotgt_io *io)
{
	int res = 0;

	(void)arg;
	if (io->kind == DUOTGT_IO_WRITE) {
		res = half_write(io);
	} else if (io->kind == DUOTGT_IO_READ) {
		mem_store_move(store.mem, io, io->len);
	} else {
		store.n_flushes++;
		res = store.fail_flush;
	}
	mem_store_end(engine, io, res);
}

static const struct duotgt_backend_ops half_ops = {
	.abi = DUOTGT_BACKEND_ABI,
	.size = sizeof(struct duotgt_backend_ops),
	.type = "half",
	.open = half_open,
	.submit = half_submit,
	.close = half_close,
};

/* ---- */

static struct harness h;
static uint8_t out[(MAX_BLOCKS + 1) * BLOCK], before[SIZE];

static struct scsi_lu_config config(void)
{
	struct scsi_lu_config cfg = harness_lu_config();

	cfg.backend = &half_ops;
	cfg.state_dir = dir;
	return cfg;
}

static void start_with(const struct scsi_lu_config *cfg)
{
	harness_start(&h);
	harness_map(&h, 0, cfg);
	harness_settle(&h);
}

static int start(void **state)
{
	struct scsi_lu_config cfg = config();

	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/test-atomic-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	memset(&store, 0, sizeof(store));
	for (size_t i = 0; i < SIZE; i++)
		store.mem[i] = before[i] = (uint8_t)(i * 5 + i / 253);
	memset(out, 0xa5, sizeof(out));
	start_with(&cfg);
	return 0;
}

static int stop(void **state)
{
	struct dirent *entry;
	DIR *d = opendir(dir);
	unsigned n_left = 0;

	(void)state;
	harness_stop(&h);
	while (d && (entry = readdir(d))) {
		char path[sizeof(dir) + sizeof(entry->d_name)];

		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		n_left += strstr(entry->d_name, "undo") != NULL;
		if (entry->d_name[0] != '.' || strlen(entry->d_name) > 2)
			unlink(path);
	}
	closedir(d);
	rmdir(dir);
	assert_int_equal(n_left, 0); /* nothing that would undo a later write */
	return 0;
}

static const struct answer *atomic(uint64_t lba, uint16_t n, uint8_t flags, uint32_t sent)
{
	struct sent s = {.cdb = {0x9c, flags}, .out = out, .out_len = sent, .n_segments = 3};

	be64_put(s.cdb + 2, lba);
	be16_put(s.cdb + 12, n);
	return harness_send(&h, &s);
}

static void assert_old(void)
{
	assert_memory_equal(store.mem, before, SIZE);
}

static void all_is_written(void **state)
{
	static const uint16_t counts[] = {0, 1, 2, 63, MAX_BLOCKS};

	(void)state;
	for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		uint64_t lba = i % 2 ? 7 : N_BLOCKS - MAX_BLOCKS;

		store.n_flushes = 0;
		assert_good(atomic(lba, counts[i], 0, counts[i] * BLOCK));
		memset(before + lba * BLOCK, 0xa5, counts[i] * BLOCK);
		assert_old();
		/* before the answer: else a loss of power might leave half of it, and no undo */
		assert_int_equal(store.n_flushes, counts[i] > 1);
	}
}

static void limits_are_reported_and_hold(void **state)
{
	const struct answer *a;

	(void)state;
	a = SEND(&h, .cdb = {0x12, 1, 0xb0, 0, 64}, .expect_in = 64);
	assert_good(a);
	assert_int_equal(be32_get(a->data + 44), MAX_BLOCKS);
	for (unsigned i = 48; i < 64; i++)
		assert_int_equal(a->data[i], 0);
	assert_bad_field(atomic(0, MAX_BLOCKS + 1, 0, sizeof(out)), 12, -1);
	assert_check(atomic(N_BLOCKS, 1, 0, BLOCK), SENSE_LBA_OUT_OF_RANGE);
	assert_check(atomic(N_BLOCKS - 1, 2, 0, 2 * BLOCK), SENSE_LBA_OUT_OF_RANGE);
	assert_check(atomic(1ull << 63, 2, 0, 2 * BLOCK), SENSE_LBA_OUT_OF_RANGE);
	assert_check(atomic(UINT64_MAX, 2, 0, 2 * BLOCK), SENSE_LBA_OUT_OF_RANGE);
	assert_check(atomic(0, 4, 0, 4 * BLOCK - 1), SENSE_INVALID_FIELD_IN_IU);
	assert_bad_field(atomic(0, 4, 0, 3 * BLOCK), 12, -1);
	assert_bad_field(atomic(0, 1, 0x20, BLOCK), 1, 5); /* WRPROTECT */
	assert_bad_field(SEND(&h, .cdb = {0x9c, [11] = 1, [13] = 1}, .out = out, .out_len = BLOCK),
			 11, 0); /* ATOMIC BOUNDARY */
	assert_int_equal(store.n_writes, 0);
}

/* Large transfers: what one undo file holds is the limit. */
static void the_undo_bounds_the_length(void **state)
{
	struct scsi_lu_config cfg = config();
	const struct answer *a;

	(void)state;
	harness_stop(&h);
	cfg.max_transfer = 4 << 20;
	start_with(&cfg);
	a = SEND(&h, .cdb = {0x12, 1, 0xb0, 0, 64}, .expect_in = 64);
	assert_int_equal(be32_get(a->data + 44), ATOMIC_FILE_MAX / BLOCK - 1);
	assert_bad_field(atomic(0, ATOMIC_FILE_MAX / BLOCK, 0, sizeof(out)), 12, -1);
}

/* Blocks smaller than the physical ones: in whole ones of these. */
static void physical_blocks_are_whole(void **state)
{
	struct scsi_lu_config cfg = config();
	const struct answer *a;

	(void)state;
	harness_stop(&h);
	cfg.physical_block = 4096;
	start_with(&cfg);
	a = SEND(&h, .cdb = {0x12, 1, 0xb0, 0, 64}, .expect_in = 64);
	assert_int_equal(be32_get(a->data + 44) % (4096 / BLOCK), 0);
	assert_int_equal(be32_get(a->data + 48), 4096 / BLOCK);
	assert_int_equal(be32_get(a->data + 52), 4096 / BLOCK);
	assert_good(atomic(4096 / BLOCK, 4096 / BLOCK, 0, 4096));
	assert_good(atomic(4096 / BLOCK, 0, 0, 0));
	assert_bad_field(atomic(1, 4096 / BLOCK, 0, 4096), 2, -1);
	assert_bad_field(atomic(0, 1, 0, BLOCK), 12, -1);
	harness_stop(&h);
	/* it cannot be told of them that they begin elsewhere than at 0 */
	cfg.lowest_aligned = 3;
	start_with(&cfg);
	a = SEND(&h, .cdb = {0x12, 1, 0xb0, 0, 64}, .expect_in = 64);
	assert_int_equal(be32_get(a->data + 48) | be32_get(a->data + 52), 0);
	assert_good(atomic(1, 1, 0, BLOCK));
}

static void without_a_place_it_is_not_offered(void **state)
{
	struct scsi_lu_config cfg = config();
	const struct answer *a;

	(void)state;
	harness_stop(&h);
	cfg.state_dir = NULL;
	start_with(&cfg);
	assert_check(atomic(0, 1, 0, BLOCK), SENSE_INVALID_OPCODE);
	a = SEND(&h, .cdb = {0x12, 1, 0xb0, 0, 64}, .expect_in = 64);
	assert_int_equal(be32_get(a->data + 44), 0);
}

static void a_write_that_fails_is_taken_back(void **state)
{
	const struct answer *a;

	(void)state;
	store.fail = -EIO;
	a = atomic(20, 8, 0, 8 * BLOCK);
	assert_check(a, SENSE_WRITE_ERROR);
	assert_int_equal(a->sense.info, 20);
	assert_int_equal(store.n_writes, 2);
	assert_old();
	store.fail = -ENOSPC;
	assert_check(atomic(20, 8, 0, 8 * BLOCK), SENSE_SPACE_ALLOCATION_FAILED);
	assert_old();
	assert_good(atomic(20, 8, 0, 8 * BLOCK));
	/* Half of it stays when the store takes nothing any more; it is not said to be GOOD. */
	store.fail = -EIO;
	store.fail_always = true;
	assert_check(atomic(40, 8, 0, 8 * BLOCK), SENSE_WRITE_ERROR);
}

static void a_flush_that_fails_is_told(void **state)
{
	(void)state;
	store.fail_flush = -EIO;
	assert_check(atomic(20, 8, 0, 8 * BLOCK), SENSE_WRITE_ERROR);
	assert_true(h.lus[0]->flush_failed);
	store.n_writes = 0;
	assert_check(atomic(20, 8, 0, 8 * BLOCK), SENSE_WRITE_ERROR);
	assert_int_equal(store.n_writes, 0);
}

/* ---- a process that is killed ---- */

static void what_a_kill_left_is_put_back(void **state)
{
	struct scsi_lu_config cfg = config();

	(void)state;
	assert_good(atomic(100, 50, FUA, 50 * BLOCK));
	assert_true(store.undo_len > 50 * BLOCK);
	memset(store.mem + 100 * BLOCK + 20 * BLOCK, 0xcc, 30 * BLOCK); /* as far as it had got */
	harness_stop(&h);
	assert_int_equal(atomic_file_write(dir, UNDO_NAME, store.undo, store.undo_len), 0);
	store.n_flushes = 0;
	start_with(&cfg);
	assert_old();
	assert_true(store.n_flushes > 0);
}

static void what_cannot_be_put_back_is_refused(void **state)
{
	static uint8_t file[8 + 2 * BLOCK];
	static const uint64_t offsets[] = {SIZE - BLOCK, SIZE, 1ull << 63, UINT64_MAX};
	struct scsi_lu_config cfg = config();
	struct scsi_lu *lu;
	char why[256];

	(void)state;
	for (unsigned i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		be64_put(file, offsets[i]);
		assert_int_equal(atomic_file_write(dir, UNDO_NAME, file, sizeof(file)), 0);
		assert_int_equal(scsi_lu_new(&cfg, &lu, why, sizeof(why)), -EBADMSG);
		assert_non_null(strstr(why, UNDO_NAME));
	}
	assert_int_equal(atomic_file_write(dir, UNDO_NAME, file, 7), 0);
	assert_int_equal(scsi_lu_new(&cfg, &lu, why, sizeof(why)), -EBADMSG);
	be64_put(file, 0);
	assert_int_equal(atomic_file_write(dir, UNDO_NAME, file, sizeof(file)), 0);
	cfg.params.read_only = true;
	assert_int_equal(scsi_lu_new(&cfg, &lu, why, sizeof(why)), -EROFS);
	assert_old();
	atomic_file_remove(dir, UNDO_NAME);
}

/* ---- an abort in the middle ---- */

static struct scsi_tmf tmf;
static bool tmf_is_done, task_is_done;

static void tmf_done(struct scsi_tmf *done)
{
	assert_true(task_is_done);
	assert_ptr_equal(done, &tmf);
	tmf_is_done = true;
}

static void task_done(struct scsi_task *task)
{
	assert_true(task->aborted);
	task_is_done = true;
	scsi_task_end(task);
}

static void task_aborted(struct scsi_task *task)
{
	assert_true(task->pending);
}

static void start_abort(void)
{
	tmf = (struct scsi_tmf){.function = TMF_ABORT_TASK,
				.nexus = h.nexus[0],
				.lun = scsi_lun_encode(0),
				.tag = 77,
				.done = tmf_done};
	scsi_tmf_start(&tmf);
}

static void an_abort_leaves_no_undo_behind(void **state)
{
	static const struct scsi_transport transport = {.done = task_done, .aborted = task_aborted};
	struct iovec iov = {out, 8 * BLOCK};
	struct scsi_task task = {.transport = &transport,
				 .nexus = h.nexus[0],
				 .tag = 77,
				 .cdb = {0x9c, [13] = 8},
				 .cdb_len = 16,
				 .expect_out = 8 * BLOCK};

	(void)state;
	tmf_is_done = task_is_done = false;
	store.during = start_abort;
	assert_int_equal(scsi_task_begin(&task), SCSI_READY);
	task.iov = &iov;
	task.n_iov = 1;
	assert_int_equal(scsi_task_run(&task), SCSI_PENDING);
	harness_wait(&h, &tmf_is_done);
	assert_int_equal(tmf.response, TMF_COMPLETE);
	memset(before, 0xa5, 8 * BLOCK); /* all of it; and stop() looks for the file */
	assert_old();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_is_written, start, stop),
		cmocka_unit_test_setup_teardown(limits_are_reported_and_hold, start, stop),
		cmocka_unit_test_setup_teardown(the_undo_bounds_the_length, start, stop),
		cmocka_unit_test_setup_teardown(physical_blocks_are_whole, start, stop),
		cmocka_unit_test_setup_teardown(without_a_place_it_is_not_offered, start, stop),
		cmocka_unit_test_setup_teardown(a_write_that_fails_is_taken_back, start, stop),
		cmocka_unit_test_setup_teardown(a_flush_that_fails_is_told, start, stop),
		cmocka_unit_test_setup_teardown(what_a_kill_left_is_put_back, start, stop),
		cmocka_unit_test_setup_teardown(what_cannot_be_put_back_is_refused, start, stop),
		cmocka_unit_test_setup_teardown(an_abort_leaves_no_undo_behind, start, stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
