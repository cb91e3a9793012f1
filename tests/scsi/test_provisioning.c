/* SPDX-License-Identifier: Apache-2.0 */
/* Thin LUs: what takes space, what is said of it, and what happens when there is none. */
#include "scsi/backend/backends.h"
#include "scsi/lu_priv.h"
#include "scsi/sbc/sbc.h"
#include "tests/scsi/harness.h"
#include "tests/scsi/state_dir.h"
#include "util/bytes.h"
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#define MIB (UINT64_C(1) << 20)
#define SIZE (64 * MIB)

static char path[128];

/* A thin disk on a new file in @folder, or in memory. */
static struct scsi_lu *start(struct harness *h, const char *backend, const char *folder)
{
	struct scsi_lu_config cfg = harness_lu_config();
	struct scsi_lu *lu;

	snprintf(path, sizeof(path), "%s/disk", folder ? folder : "");
	cfg.backend = duotgt_backend_find(backend);
	cfg.params = (struct duotgt_backend_params){
		.path = path, .size = SIZE, .create = true, .thin = true};
	cfg.thin = true;
	harness_start(h);
	lu = harness_map(h, 0, &cfg);
	harness_settle(h);
	return lu;
}

static const struct answer *write_blocks(struct harness *h, uint32_t lba, uint16_t n)
{
	static uint8_t data[65536] = {[0 ... 65535] = 0x5a};
	struct sent sent = {.cdb = {0x2a}, .out = data, .out_len = n * 512u};

	be32_put(sent.cdb + 2, lba);
	be16_put(sent.cdb + 7, n);
	return harness_send(h, &sent);
}

static const struct answer *unmap(struct harness *h, uint32_t lba, uint32_t n)
{
	uint8_t list[24] = {0, 22, 0, 16};
	struct sent sent = {.cdb = {0x42, [8] = 24}, .out = list, .out_len = 24};

	be64_put(list + 8, lba);
	be32_put(list + 16, n);
	return harness_send(h, &sent);
}

/* ---- space ---- */

static void space_is_what_is_stored(struct scsi_lu *lu, struct harness *h)
{
	uint64_t empty, full, left, left_before;

	assert_true(sbc_space_is_known(lu));
	assert_int_equal(sbc_provisioning(lu, &empty, &left_before), 0);
	assert_true(left_before > 0);
	for (unsigned i = 0; i < 16; i++) /* a MiB */
		assert_good(write_blocks(h, 8192 + i * 128, 128));
	assert_int_equal(sbc_provisioning(lu, &full, &left), 0);
	assert_true(full >= empty + MIB && full <= empty + 2 * MIB);
	assert_good(unmap(h, 8192, 2048));
	assert_int_equal(sbc_provisioning(lu, &full, &left), 0);
	assert_true(full < empty + MIB / 2);
}

static void space_of_a_file(void **state)
{
	struct harness h;

	(void)state;
	space_is_what_is_stored(start(&h, "file", state_dir_make()), &h);
	harness_stop(&h);
	state_dir_remove();
}

static void space_in_memory(void **state)
{
	struct harness h;

	(void)state;
	space_is_what_is_stored(start(&h, "ram", NULL), &h);
	harness_stop(&h);
}

static void space_that_is_not_known(void **state)
{
	uint64_t used, left;
	struct scsi_lu *lu;
	struct harness h;

	(void)state;
	lu = start(&h, "null", NULL);
	assert_false(sbc_space_is_known(lu));
	assert_int_equal(sbc_provisioning(lu, &used, &left), -EOPNOTSUPP);
	assert_good(write_blocks(&h, 0, 1));
	harness_stop(&h);
}

/* ---- the threshold ---- */

static uint64_t told_used, told_free;
static int told_result;
static unsigned n_asked;

static int tell_space(void *store, uint64_t *ret_used, uint64_t *ret_free)
{
	(void)store;
	n_asked++;
	*ret_used = told_used;
	*ret_free = told_free;
	return told_result;
}

/* A RAM disk that tells of space what the test says. */
static struct scsi_lu *start_telling(struct harness *h)
{
	static struct duotgt_backend_ops ops;
	struct scsi_lu_config cfg = harness_lu_config();
	struct scsi_lu *lu;

	ops = *duotgt_backend_find("ram");
	ops.space = tell_space;
	cfg.backend = &ops;
	cfg.params.size = SIZE;
	cfg.thin = true;
	told_used = 0;
	told_result = 0;
	n_asked = 0;
	harness_start(h);
	lu = harness_map(h, 0, &cfg);
	harness_settle(h);
	return lu;
}

/* The next write looks, whatever the time. */
static const struct answer *write_and_look(struct harness *h, struct scsi_lu *lu, uint64_t left)
{
	unsigned n = n_asked;

	told_free = left;
	lu->space_check_ns = 0;
	write_blocks(h, 0, 1);
	assert_int_equal(n_asked, n + 1);
	return &h->answer;
}

static void initiators_are_told_once(void **state)
{
	uint64_t low = SIZE / 10 - 2 * MIB;
	struct scsi_lu *lu;
	struct harness h;

	(void)state;
	lu = start_telling(&h);
	assert_good(write_and_look(&h, lu, SIZE));
	assert_good(write_and_look(&h, lu, SIZE / 10));
	assert_good(SEND(&h, .cdb = {0x00}));
	assert_good(write_and_look(&h, lu, low)); /* itself it is done */
	for (unsigned i = 0; i < 2; i++) {
		assert_check(SEND(&h, .nexus = i, .cdb = {0x00}), SENSE_SPACE_THRESHOLD);
		assert_int_equal(h.answer.code, 0x063807);
		assert_good(SEND(&h, .nexus = i, .cdb = {0x00}));
	}
	assert_good(write_and_look(&h, lu, low));
	assert_good(SEND(&h, .cdb = {0x00}));
	/* there was more for a while */
	assert_good(write_and_look(&h, lu, SIZE));
	assert_good(write_and_look(&h, lu, low));
	assert_check(SEND(&h, .cdb = {0x00}), SENSE_SPACE_THRESHOLD);
	harness_stop(&h);
}

/* No more is needed than there is; or nobody knows. */
static void no_reason_to_tell(void **state)
{
	struct scsi_lu *lu;
	struct harness h;

	(void)state;
	lu = start_telling(&h);
	told_used = SIZE - MIB;
	assert_good(write_and_look(&h, lu, MIB));
	told_used = SIZE + MIB; /* with what the file system adds */
	assert_good(write_and_look(&h, lu, 0));
	told_used = 0;
	told_result = -EIO;
	assert_good(write_and_look(&h, lu, 0));
	assert_good(SEND(&h, .cdb = {0x00}));
	assert_good(SEND(&h, .nexus = 1, .cdb = {0x00}));
	harness_stop(&h);
}

/* Page 1C/02 sets another threshold, or none; LBPERE of page 01 none either. */
static void mode_pages_set_it(void **state)
{
	uint8_t list[8 + 0x18] = {[8] = 0x5c, 0x02, 0, 0x14, [24] = 0x80, 0x01};
	static const uint8_t quiet[8 + 12] = {[8] = 0x01, 0x0a};
	const uint64_t unit = (UINT64_C(1) << SBC_THRESHOLD_EXPONENT) * 512;
	struct scsi_lu *lu;
	struct harness h;

	(void)state;
	lu = start_telling(&h);
	list[31] = 3; /* units */
	assert_good(SEND(&h, .cdb = {0x55, 0x10, [8] = sizeof(list)}, .out = list,
			 .out_len = sizeof(list)));
	harness_settle(&h);
	assert_good(write_and_look(&h, lu, 3 * unit));
	assert_good(SEND(&h, .cdb = {0x00}));
	assert_good(write_and_look(&h, lu, 3 * unit - 1));
	assert_check(SEND(&h, .cdb = {0x00}), SENSE_SPACE_THRESHOLD);
	assert_good(write_and_look(&h, lu, SIZE));
	list[24] = 0; /* not ENABLED */
	assert_good(SEND(&h, .cdb = {0x55, 0x10, [8] = sizeof(list)}, .out = list,
			 .out_len = sizeof(list)));
	harness_settle(&h);
	assert_good(write_and_look(&h, lu, 0));
	assert_good(SEND(&h, .cdb = {0x00}));
	list[24] = 0x80;
	assert_good(SEND(&h, .cdb = {0x55, 0x10, [8] = sizeof(list)}, .out = list,
			 .out_len = sizeof(list)));
	assert_good(SEND(&h, .cdb = {0x55, 0x10, [8] = sizeof(quiet)}, .out = quiet,
			 .out_len = sizeof(quiet)));
	harness_settle(&h);
	assert_good(write_and_look(&h, lu, 0));
	assert_good(SEND(&h, .cdb = {0x00}));
	harness_stop(&h);
}

static void few_writes_look(void **state)
{
	struct scsi_lu *lu;
	struct harness h;

	(void)state;
	lu = start_telling(&h);
	write_and_look(&h, lu, SIZE);
	assert_true(lu->space_check_ns > engine_now(h.engine));
	lu->space_check_ns = UINT64_MAX;
	write_blocks(&h, 0, 1);
	assert_int_equal(n_asked, 1);
	harness_stop(&h);
}

/* ---- GET LBA STATUS ---- */

struct extent {
	uint32_t lba, n;
	uint8_t status; /* 0: mapped, 1: deallocated */
};

static void assert_extents(struct harness *h, uint32_t lba, const struct extent *want, unsigned n)
{
	struct sent sent = {.cdb = {0x9e, 0x12, [12] = 4}, .expect_in = 1024};

	be64_put(sent.cdb + 2, lba);
	assert_good(harness_send(h, &sent));
	assert_int_equal(be32_get(h->answer.data), 4 + 16 * n);
	assert_int_equal(h->answer.len, 8 + 16 * n);
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *extent = h->answer.data + 8 + 16 * i;

		assert_int_equal(be64_get(extent), want[i].lba);
		assert_int_equal(be32_get(extent + 8), want[i].n);
		assert_int_equal(extent[12], want[i].status);
	}
}

/* File systems and memory keep 4 KiB at a time: 8 blocks. */
static void status_of_holes(struct harness *h)
{
	static const struct extent empty[] = {{0, 131072, 1}};
	static const struct extent two[] = {
		{0, 64, 1}, {64, 16, 0}, {80, 920, 1}, {1000, 8, 0}, {1008, 130064, 1}};
	static const struct extent from_70[] = {
		{70, 10, 0}, {80, 920, 1}, {1000, 8, 0}, {1008, 130064, 1}};
	static const struct extent one[] = {{0, 72, 1}, {72, 8, 0}, {80, 130992, 1}};

	assert_extents(h, 0, empty, 1);
	assert_good(write_blocks(h, 64, 16));
	assert_good(write_blocks(h, 1003, 1)); /* the rest of its 8 is stored with it */
	assert_extents(h, 0, two, 5);
	assert_extents(h, 70, from_70, 4);
	assert_good(unmap(h, 1000, 8));
	assert_good(unmap(h, 64, 11)); /* of which 8 can be given back */
	assert_extents(h, 0, one, 3);
}

static void status_of_a_file(void **state)
{
	struct harness h;

	(void)state;
	start(&h, "file", state_dir_make());
	if (h.lus[0]->info.discard_granularity == 4096)
		status_of_holes(&h);
	else
		print_message("SKIPPED: files take their space in units of another size here\n");
	harness_stop(&h);
	state_dir_remove();
}

static void status_of_memory(void **state)
{
	struct harness h;

	(void)state;
	start(&h, "ram", NULL);
	status_of_holes(&h);
	harness_stop(&h);
}

/* Bytes up to here are stored, and those from here on are a hole; in turns. */
static const uint64_t turns[] = {6144, 10240, 16384, 32768, SIZE};

static int tell_extent(void *store, uint64_t offset, uint64_t len, uint64_t *ret_len,
		       bool *ret_stored)
{
	unsigned i = 0;

	(void)store;
	while (offset >= turns[i])
		i++;
	*ret_stored = i % 2 == 0;
	*ret_len = turns[i] - offset < len ? turns[i] - offset : len;
	return 0;
}

/* A block that is stored in part is mapped, though a hole begins or ends in it. */
static void status_of_blocks_in_parts(void **state)
{
	static const struct extent want[] = {{0, 4, 0}, {4, 4, 1}, {8, SIZE / 4096 - 8, 0}};
	static struct duotgt_backend_ops ops;
	struct scsi_lu_config cfg = harness_lu_config();
	struct harness h;

	(void)state;
	ops = *duotgt_backend_find("ram");
	ops.extent = tell_extent;
	cfg.backend = &ops;
	cfg.params.size = SIZE;
	cfg.thin = true;
	cfg.block_size = 4096;
	harness_start(&h);
	harness_map(&h, 0, &cfg);
	harness_settle(&h);
	assert_extents(&h, 0, want, 3);
	harness_stop(&h);
}

/* ---- no space ---- */

/* Return: whether there is a small file system there now, for this process alone. */
static bool mount_small(const char *folder)
{
	if (unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	    mount("none", folder, "tmpfs", 0, "size=1m") == 0)
		return true;
	print_message("SKIPPED: no tmpfs can be mounted: %s\n", strerror(errno));
	return false;
}

/* Return: how many writes of 64 KiB were done before there was no space. */
static unsigned fill_up(struct harness *h)
{
	const struct answer *a;
	unsigned i = 0;

	do {
		a = write_blocks(h, i * 128, 128);
	} while (a->status == STATUS_GOOD && ++i < 1000);
	assert_check(a, SENSE_SPACE_ALLOCATION_FAILED);
	return i;
}

/* What is full is not broken: it heals as soon as there is space, and what was stored is there. */
static void space_returns(void **state)
{
	const char *folder = state_dir_make();
	struct scsi_lu *lu;
	struct harness h;

	(void)state;
	if (!mount_small(folder)) {
		state_dir_remove();
		return;
	}
	lu = start(&h, "file", folder);
	/* a MiB for a disk of 64: that is told at once */
	assert_good(write_blocks(&h, 0, 1));
	assert_check(SEND(&h, .cdb = {0x00}), SENSE_SPACE_THRESHOLD);
	lu->space_check_ns = UINT64_MAX;
	assert_in_range(fill_up(&h), 10, 16);
	assert_check(write_blocks(&h, 100000, 128), SENSE_SPACE_ALLOCATION_FAILED);
	assert_good(SEND(&h, .cdb = {0x35}));
	assert_good(unmap(&h, 0, 256));
	assert_good(write_blocks(&h, 100000, 128));
	assert_good(SEND(&h, .cdb = {0x28, 0, 0, 0, 1, 0, 0, 0, 128}, .expect_in = 65536));
	for (size_t i = 0; i < 65536; i++)
		assert_int_equal(h.answer.data[i], 0x5a);
	/* WRITE SAME of zeroes gives space back where it is full, too */
	fill_up(&h);
	assert_good(SEND(&h, .cdb = {0x93, 0x09, [12] = 4}));
	assert_good(write_blocks(&h, 90000, 128));
	harness_stop(&h);
	assert_int_equal(umount(folder), 0);
	state_dir_remove();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(space_of_a_file),
		cmocka_unit_test(space_in_memory),
		cmocka_unit_test(space_that_is_not_known),
		cmocka_unit_test(initiators_are_told_once),
		cmocka_unit_test(no_reason_to_tell),
		cmocka_unit_test(mode_pages_set_it),
		cmocka_unit_test(few_writes_look),
		cmocka_unit_test(status_of_a_file),
		cmocka_unit_test(status_of_memory),
		cmocka_unit_test(status_of_blocks_in_parts),
		cmocka_unit_test(space_returns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
