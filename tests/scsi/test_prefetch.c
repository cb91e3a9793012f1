/* SPDX-License-Identifier: Apache-2.0 */
/* PRE-FETCH (10) (16): CONDITION MET where all of it is at hand afterwards, GOOD where not. */
#include "scsi/backend/backends.h"
#include "tests/scsi/harness.h"
#include "tests/scsi/spy.h"
#include "tests/scsi/state_dir.h"
#include "util/bytes.h"
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define SIZE (UINT64_C(80) << 20)
#define FITS (UINT64_C(64) << 20)

static void start(struct harness *h, const char *backend, const char *folder, bool direct)
{
	struct scsi_lu_config cfg = harness_lu_config();
	static char path[128];

	snprintf(path, sizeof(path), "%s/disk", folder ? folder : "");
	cfg.backend = duotgt_backend_find(backend);
	cfg.params = (struct duotgt_backend_params){
		.path = path, .size = SIZE, .create = true, .thin = true, .direct = direct};
	cfg.block_size = 4096;
	harness_start(h);
	harness_map(h, 0, &cfg);
	harness_settle(h);
}

static enum scsi_status prefetch(struct harness *h, unsigned form, bool immed, uint32_t lba,
				 uint32_t n)
{
	struct sent sent = {.cdb = {form == 10 ? 0x34 : 0x90, immed ? 0x02 : 0}};

	if (form == 10) {
		be32_put(sent.cdb + 2, lba);
		be16_put(sent.cdb + 7, (uint16_t)n);
	} else {
		be64_put(sent.cdb + 2, lba);
		be32_put(sent.cdb + 10, n);
	}
	harness_send(h, &sent);
	assert_int_equal(h->answer.need_in + h->answer.need_out, 0);
	return h->answer.status;
}

static const unsigned forms[] = {10, 16};

static void in_memory_all_is_at_hand(void **state)
{
	struct harness h;

	(void)state;
	start(&h, "ram", NULL, false);
	for (unsigned f = 0; f < 2; f++)
		for (unsigned immed = 0; immed < 2; immed++) {
			assert_int_equal(prefetch(&h, forms[f], immed, 0, 1), STATUS_CONDITION_MET);
			assert_int_equal(prefetch(&h, forms[f], immed, 5, 0), STATUS_CONDITION_MET);
			assert_int_equal(prefetch(&h, forms[f], immed, SIZE / 4096 - 1, 1),
					 STATUS_CONDITION_MET);
		}
	harness_stop(&h);
}

/* As much as fits, and then the truth about the rest. */
static void a_file_goes_through_the_page_cache(void **state)
{
	struct harness h;

	(void)state;
	start(&h, "file", state_dir_make(), false);
	for (unsigned f = 0; f < 2; f++)
		for (unsigned immed = 0; immed < 2; immed++) {
			assert_int_equal(prefetch(&h, forms[f], immed, 7, 100),
					 STATUS_CONDITION_MET);
			assert_int_equal(prefetch(&h, forms[f], immed, 0, FITS / 4096),
					 STATUS_CONDITION_MET);
			assert_int_equal(prefetch(&h, forms[f], immed, 0, FITS / 4096 + 1),
					 STATUS_GOOD);
			/* 0 blocks are all from there on */
			assert_int_equal(prefetch(&h, forms[f], immed, 0, 0), STATUS_GOOD);
			assert_int_equal(prefetch(&h, forms[f], immed, (SIZE - FITS) / 4096, 0),
					 STATUS_CONDITION_MET);
		}
	harness_stop(&h);
	state_dir_remove();
}

/* What is not there is not called at hand: the file was cut short under us. */
static void an_unreadable_block_is_told(void **state)
{
	const char *folder = state_dir_make();
	char path[128];
	struct harness h;

	(void)state;
	snprintf(path, sizeof(path), "%s/disk", folder);
	start(&h, "file", folder, false);
	assert_int_equal(truncate(path, 1 << 20), 0);
	prefetch(&h, 10, false, 200, 200);
	assert_check(&h.answer, SENSE_UNRECOVERED_READ_ERROR);
	harness_stop(&h);
	state_dir_remove();
}

static void without_a_cache(void **state)
{
	struct scsi_lu_config cfg = spy_config();
	struct harness h;

	(void)state;
	harness_start(&h);
	harness_map(&h, 0, &cfg);
	harness_settle(&h);
	assert_int_equal(prefetch(&h, 10, false, 0, 10), STATUS_GOOD);
	assert_int_equal(spy.n[DUOTGT_IO_READ], 0);
	harness_stop(&h);
}

static void around_the_cache(void **state)
{
	const char *folder = state_dir_make();
	struct duotgt_backend_params params = {
		.size = SIZE, .create = true, .direct = true, .thin = true, .block_size = 4096};
	const struct duotgt_backend_ops *ops = duotgt_backend_find("file");
	struct duotgt_backend_info info;
	char path[128], why[256];
	struct harness h;
	void *store;

	(void)state;
	snprintf(path, sizeof(path), "%s/disk", folder);
	params.path = path;
	if (ops->open(&params, &store, &info, why, sizeof(why)) < 0) {
		print_message("SKIPPED: %s\n", why);
		state_dir_remove();
		return;
	}
	ops->close(store);
	start(&h, "file", folder, true);
	assert_int_equal(prefetch(&h, 10, false, 0, 10), STATUS_GOOD);
	harness_stop(&h);
	state_dir_remove();
}

static void group_numbers_are_fine(void **state)
{
	struct harness h;

	(void)state;
	start(&h, "ram", NULL, false);
	assert_int_equal(SEND(&h, .cdb = {0x34, 0, 0, 0, 0, 0, 3, 0, 1})->status,
			 STATUS_CONDITION_MET);
	assert_int_equal(SEND(&h, .cdb = {0x90, 0, [13] = 1, [14] = 3})->status,
			 STATUS_CONDITION_MET);
	assert_bad_field(SEND(&h, .cdb = {0x34, 1}), 1, 0);
	harness_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_memory_all_is_at_hand),
		cmocka_unit_test(a_file_goes_through_the_page_cache),
		cmocka_unit_test(an_unreadable_block_is_told),
		cmocka_unit_test(without_a_cache),
		cmocka_unit_test(around_the_cache),
		cmocka_unit_test(group_numbers_are_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
