/* SPDX-License-Identifier: Apache-2.0 */
/* Capacity that changes while initiators are there, and what is said of physical blocks. */
#include "scsi/backend/backends.h"
#include "tests/scsi/harness.h"
#include "util/bytes.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB (1u << 20)

static char path[] = "/tmp/test_resize-XXXXXX";

static int make_file(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

/* A file of 1 MiB at LUN 0; @size: of it that much is served, 0: all. */
static void start(struct harness *h, uint64_t size, bool thin)
{
	struct scsi_lu_config cfg = harness_lu_config();

	assert_int_equal(truncate(path, MIB), 0);
	cfg.backend = duotgt_backend_find("file");
	cfg.params = (struct duotgt_backend_params){.path = path, .size = size, .thin = thin};
	harness_start(h);
	harness_map(h, 0, &cfg);
	harness_settle(h);
}

static uint64_t capacity(struct harness *h)
{
	const struct answer *a = SEND(h, .cdb = {0x9e, 0x10, [13] = 32}, .expect_in = 32);

	assert_good(a);
	return be64_get(a->data) + 1;
}

static int resize(struct harness *h, uint64_t size, unsigned flags)
{
	char why[256] = "";
	int r = scsi_lu_resize(h->lus[0], size, flags, why, sizeof(why));

	assert_int_equal(r < 0, *why != '\0');
	return r;
}

/* Both initiators are told, once. */
static void assert_told(struct harness *h)
{
	for (unsigned nexus = 0; nexus < HARNESS_NEXUSES; nexus++) {
		assert_check(SEND(h, .nexus = nexus, .cdb = {0x00}), SENSE_CAPACITY_CHANGED);
		assert_good(SEND(h, .nexus = nexus, .cdb = {0x00}));
	}
}

static void assert_not_told(struct harness *h)
{
	for (unsigned nexus = 0; nexus < HARNESS_NEXUSES; nexus++)
		assert_good(SEND(h, .nexus = nexus, .cdb = {0x00}));
}

static const struct answer *read_block(struct harness *h, uint32_t lba)
{
	struct sent sent = {.cdb = {0x28, [8] = 1}, .expect_in = 512};

	be32_put(sent.cdb + 2, lba);
	return harness_send(h, &sent);
}

static void a_file_that_has_grown(void **state)
{
	struct harness h;

	(void)state;
	start(&h, 0, false);
	assert_int_equal(capacity(&h), MIB / 512);
	assert_int_equal(resize(&h, 0, 0), 0);
	assert_not_told(&h);
	assert_check(read_block(&h, MIB / 512), SENSE_LBA_OUT_OF_RANGE);
	assert_int_equal(truncate(path, 2 * MIB + 511), 0); /* a part of a block is none */
	assert_int_equal(resize(&h, 0, 0), 1);
	assert_told(&h);
	assert_int_equal(capacity(&h), 2 * MIB / 512);
	assert_good(read_block(&h, MIB / 512));
	assert_good(read_block(&h, 2 * MIB / 512 - 1));
	assert_check(read_block(&h, 2 * MIB / 512), SENSE_LBA_OUT_OF_RANGE);
	harness_stop(&h);
}

static void it_shrinks_only_when_asked(void **state)
{
	struct harness h;

	(void)state;
	start(&h, 0, false);
	assert_int_equal(truncate(path, MIB / 2), 0);
	assert_int_equal(resize(&h, 0, 0), -EINVAL);
	assert_int_equal(capacity(&h), MIB / 512);
	assert_not_told(&h);
	/* what is no longer there is an error, not zeroes */
	assert_check(read_block(&h, MIB / 512 - 1), SENSE_UNRECOVERED_READ_ERROR);
	assert_int_equal(resize(&h, 0, SCSI_LU_SHRINK), 1);
	assert_told(&h);
	assert_int_equal(capacity(&h), MIB / 2 / 512);
	assert_int_equal(truncate(path, 100), 0);
	assert_int_equal(resize(&h, 0, SCSI_LU_SHRINK), -EINVAL); /* no block would be left */
	assert_int_equal(capacity(&h), MIB / 2 / 512);
	harness_stop(&h);
}

static void another_size_of_the_same_file(void **state)
{
	struct harness h;

	(void)state;
	start(&h, MIB / 2, false);
	assert_int_equal(capacity(&h), MIB / 2 / 512);
	assert_int_equal(resize(&h, MIB, 0), 1);
	assert_told(&h);
	assert_int_equal(resize(&h, 2 * MIB, 0), -EINVAL); /* the file is smaller */
	assert_int_equal(resize(&h, MIB / 4, 0), -EINVAL);
	assert_int_equal(capacity(&h), MIB / 512);
	assert_not_told(&h);
	assert_int_equal(resize(&h, MIB / 4, SCSI_LU_SHRINK), 1);
	assert_told(&h);
	assert_int_equal(capacity(&h), MIB / 4 / 512);
	harness_stop(&h);
}

static uint64_t file_blocks(void)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 4 * MIB);
	return (uint64_t)st.st_blocks * 512;
}

/* The new part takes its space at once, or when it is written; what was there is left alone. */
static void the_file_can_be_made_larger(void **state)
{
	struct harness h;

	(void)state;
	for (unsigned thin = 0; thin < 2; thin++) {
		assert_int_equal(truncate(path, 0), 0);
		start(&h, MIB, thin);
		assert_int_equal(resize(&h, 4 * MIB, SCSI_LU_GROW_STORE), 1);
		assert_told(&h);
		assert_int_equal(capacity(&h), 4 * MIB / 512);
		if (thin)
			assert_true(file_blocks() < MIB);
		else
			assert_true(file_blocks() >= 3 * MIB && file_blocks() < 4 * MIB);
		assert_good(read_block(&h, 4 * MIB / 512 - 1));
		for (unsigned i = 0; i < 512; i++)
			assert_int_equal(h.answer.data[i], 0);
		harness_stop(&h);
		assert_int_equal(truncate(path, 0), 0);
	}
}

static void memory_does_not_grow(void **state)
{
	struct harness h;

	(void)state;
	harness_start_disk(&h);
	assert_int_equal(resize(&h, 2 * MIB, SCSI_LU_GROW_STORE), -EINVAL);
	assert_int_equal(resize(&h, MIB / 2, SCSI_LU_GROW_STORE | SCSI_LU_SHRINK), 1);
	assert_int_equal(resize(&h, MIB, 0), 1);
	assert_int_equal(resize(&h, 0, 0), 0);
	harness_stop(&h);
}

static void online_can_be_changed(void **state)
{
	struct harness h;

	(void)state;
	harness_start_disk(&h);
	assert_int_equal(scsi_lu_set_online(h.lus[0], false), 0);
	assert_check(SEND(&h, .cdb = {0x00}), SENSE_NOT_READY_OFFLINE);
	assert_int_equal(scsi_lu_set_online(h.lus[0], true), 0);
	assert_good(SEND(&h, .cdb = {0x00}));
	harness_stop(&h);
}

/* ---- physical blocks ---- */

static int try_config(const struct scsi_lu_config *cfg)
{
	struct scsi_lu *lu = NULL;
	char why[256];
	int r = scsi_lu_new(cfg, &lu, why, sizeof(why));

	scsi_lu_unref(lu);
	return r;
}

static void physical_blocks_and_alignment(void **state)
{
	static const struct {
		uint32_t block, physical;
		uint16_t lowest;
		int exponent; /* negative: the errno */
	} cases[] = {
		{512, 512, 0, 0},
		{512, 4096, 0, 3},
		{512, 4096, 7, 3},
		{512, 4096, 8, -EINVAL},
		{4096, 4096, 0, 0},
		{4096, 16384, 3, 2},
		{4096, 512, 0, -EINVAL},
		{512, 3000, 0, -EINVAL},
		{512, 512, 1, -EINVAL},
		{512, 512 << 14, 16383, 14},
		{512, 512 << 15, 0, -EINVAL},
		{1024, 2048, 1, 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct scsi_lu_config cfg = harness_lu_config();
		struct harness h;
		const struct answer *a;

		cfg.block_size = cases[i].block;
		cfg.physical_block = cases[i].physical;
		cfg.lowest_aligned = cases[i].lowest;
		if (cases[i].exponent < 0) {
			assert_int_equal(try_config(&cfg), cases[i].exponent);
			continue;
		}
		harness_start(&h);
		harness_map(&h, 0, &cfg);
		harness_settle(&h);
		a = SEND(&h, .cdb = {0x9e, 0x10, [13] = 32}, .expect_in = 32);
		assert_good(a);
		assert_int_equal(be32_get(a->data + 8), cases[i].block);
		assert_int_equal(a->data[13] & 0xf, cases[i].exponent);
		assert_int_equal(be16_get(a->data + 14) & 0x3fff, cases[i].lowest);
		harness_stop(&h);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_that_has_grown),
		cmocka_unit_test(it_shrinks_only_when_asked),
		cmocka_unit_test(another_size_of_the_same_file),
		cmocka_unit_test(the_file_can_be_made_larger),
		cmocka_unit_test(memory_does_not_grow),
		cmocka_unit_test(online_can_be_changed),
		cmocka_unit_test(physical_blocks_and_alignment),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
