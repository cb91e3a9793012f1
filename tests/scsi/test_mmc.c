/* SPDX-License-Identifier: Apache-2.0 */
/* CD-ROM and DVD-ROM: what the drive and its disc say of themselves, byte by byte. */
#include "scsi/backend/backends.h"
#include "scsi/mmc/mmc.h"
#include "tests/scsi/harness.h"
#include "tests/scsi/spy.h"
#include "util/bytes.h"
#include <string.h>

enum { CD = 0, DVD = 1, DISK = 2, CD_BLOCKS = SPY_SIZE / 2048, DVD_BLOCKS = 1 << 20 };

/* A CD on the spy, a DVD that reads as zeroes, a disk. */
static void start(struct harness *h)
{
	struct scsi_lu_config cfg = spy_config();

	harness_start(h);
	for (unsigned i = 0; i < SPY_SIZE; i++)
		spy.data[i] = (uint8_t)(i * 7 + i / 2048);
	cfg.cdrom = true;
	cfg.block_size = 2048;
	harness_map(h, CD, &cfg);
	cfg.backend = duotgt_backend_find("null");
	cfg.params.size = (uint64_t)DVD_BLOCKS * 2048;
	harness_map(h, DVD, &cfg);
	cfg = harness_lu_config();
	harness_map(h, DISK, &cfg);
	harness_settle(h);
}

static void assert_bytes(const struct answer *a, const void *expected, size_t len)
{
	assert_good(a);
	assert_int_equal(a->len, len);
	assert_memory_equal(a->data, expected, len);
}

static void inquiry_of_a_drive(void **state)
{
	struct harness h;
	const struct answer *a;

	(void)state;
	start(&h);
	a = SEND(&h, .cdb = {0x12, 0, 0, 0, 96}, .expect_in = 96);
	assert_good(a);
	assert_int_equal(a->data[0], 0x05);
	assert_int_equal(a->data[1], 0x80);
	assert_memory_equal(a->data + 16, "CD-ROM          ", 16);
	assert_int_equal(be16_get(a->data + 62), 0x04e0); /* MMC-6, after SAM-5 and SPC-4 */
	/* no page of a block device */
	a = SEND(&h, .cdb = {0x12, 1, 0, 0, 96}, .expect_in = 96);
	assert_good(a);
	assert_int_equal(a->data[0], 0x05);
	for (unsigned i = 4; i < a->len; i++)
		assert_true(a->data[i] < 0xb0);
	assert_bad_field(SEND(&h, .cdb = {0x12, 1, 0xb0, 0, 96}, .expect_in = 96), 2, 7);
	harness_stop(&h);
}

static void blocks_are_read(void **state)
{
	struct harness h;
	const struct answer *a;

	(void)state;
	start(&h);
	a = SEND(&h, .cdb = {0x25}, .expect_in = 8);
	assert_good(a);
	assert_int_equal(be32_get(a->data), CD_BLOCKS - 1);
	assert_int_equal(be32_get(a->data + 4), 2048);
	a = SEND(&h, .cdb = {0x28, 0x18, [5] = 3, [8] = 2}, .expect_in = 4096);
	assert_bytes(a, spy.data + 3 * 2048, 4096);
	a = SEND(&h, .cdb = {0xa8, 0, [4] = 1, [5] = 0xff, [9] = 1}, .expect_in = 2048);
	assert_bytes(a, spy.data + 511 * 2048, 2048);
	a = SEND(&h, .cdb = {0x28, 0, [4] = 2, [8] = 1}, .expect_in = 2048);
	assert_check(a, SENSE_LBA_OUT_OF_RANGE);
	harness_stop(&h);
}

/* Each of both kinds has its commands, and none of the other's. */
static void commands_by_device(void **state)
{
	static const uint8_t of_disks[] = {0x08, 0x0a, 0x2a, 0x35, 0x88, 0x8a, 0x91, 0x9e, 0xaa};
	static const uint8_t of_drives[] = {0x43, 0x46, 0x4a, 0x51, 0x52, 0xad, 0xbd};
	struct harness h;

	(void)state;
	start(&h);
	for (unsigned i = 0; i < sizeof(of_disks); i++) {
		uint8_t sa = of_disks[i] == 0x9e ? 0x10 : 0;

		assert_check(SEND(&h, .cdb = {of_disks[i], sa}), SENSE_INVALID_OPCODE);
		SEND(&h, .lun = DISK, .cdb = {of_disks[i], sa});
		assert_int_not_equal(h.answer.code, SENSE_INVALID_OPCODE);
	}
	for (unsigned i = 0; i < sizeof(of_drives); i++) {
		assert_check(SEND(&h, .lun = DISK, .cdb = {of_drives[i]}), SENSE_INVALID_OPCODE);
		SEND(&h, .cdb = {of_drives[i]});
		assert_int_not_equal(h.answer.code, SENSE_INVALID_OPCODE);
		/* and nobody is at LUN 9 to answer */
		assert_check(SEND(&h, .lun = 9, .cdb = {of_drives[i]}), SENSE_LU_NOT_SUPPORTED);
	}
	/* REPORT SUPPORTED OPERATION CODES agrees: READ TOC here, not there; SYNCHRONIZE CACHE */
	assert_int_equal(SEND(&h, .cdb = {0xa3, 0x0c, 1, 0x43, [9] = 64}, .expect_in = 64)->data[1],
			 3);
	assert_int_equal(
		SEND(&h, .lun = DISK, .cdb = {0xa3, 0x0c, 1, 0x43, [9] = 64}, .expect_in = 64)
			->data[1],
		1);
	assert_int_equal(SEND(&h, .cdb = {0xa3, 0x0c, 1, 0x35, [9] = 64}, .expect_in = 64)->data[1],
			 1);
	harness_stop(&h);
}

static void toc(void **state)
{
	static const uint8_t lba[] = {0, 18, 1, 1,    0,    0x14, 1, 0, 0, 0,
				      0, 0,  0, 0x14, 0xaa, 0,	  0, 0, 2, 0};
	/* 512 blocks and 150 of pregap: 8 s and 62 frames */
	static const uint8_t msf[] = {0, 18, 1, 1,    0,    0x14, 1, 0, 0, 0,
				      2, 0,  0, 0x14, 0xaa, 0,	  0, 0, 8, 62};
	static const uint8_t lead_out[] = {0, 10, 1, 1, 0, 0x14, 0xaa, 0, 0, 0, 2, 0};
	static const uint8_t sessions[] = {0, 10, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0};
	static const uint8_t full[] = {0, 46,	1, 1,			       /* head */
				       1, 0x14, 0, 0xa0, 0, 0, 0, 0, 1, 0, 0,  /* first */
				       1, 0x14, 0, 0xa1, 0, 0, 0, 0, 1, 0, 0,  /* last */
				       1, 0x14, 0, 0xa2, 0, 0, 0, 0, 0, 8, 62, /* lead-out */
				       1, 0x14, 0, 1,	 0, 0, 0, 0, 0, 2, 0}; /* track 1 */
	struct harness h;

	(void)state;
	start(&h);
	assert_bytes(SEND(&h, .cdb = {0x43, [8] = 100}, .expect_in = 100), lba, sizeof(lba));
	assert_bytes(SEND(&h, .cdb = {0x43, [6] = 1, [8] = 100}, .expect_in = 100), lba,
		     sizeof(lba));
	assert_bytes(SEND(&h, .cdb = {0x43, 2, [8] = 100}, .expect_in = 100), msf, sizeof(msf));
	assert_bytes(SEND(&h, .cdb = {0x43, [6] = 0xaa, [8] = 100}, .expect_in = 100), lead_out,
		     sizeof(lead_out));
	assert_bytes(SEND(&h, .cdb = {0x43, 0, 1, [8] = 100}, .expect_in = 100), sessions,
		     sizeof(sessions));
	assert_bytes(SEND(&h, .cdb = {0x43, 2, 2, [8] = 100}, .expect_in = 100), full,
		     sizeof(full));
	assert_bytes(SEND(&h, .cdb = {0x43, [8] = 12}, .expect_in = 100), lba, 12);
	assert_bad_field(SEND(&h, .cdb = {0x43, [6] = 2, [8] = 100}, .expect_in = 100), 6, 7);
	for (uint8_t format = 3; format < 16; format++)
		assert_bad_field(SEND(&h, .cdb = {0x43, 0, format, [8] = 9}, .expect_in = 9), 2, 3);
	harness_stop(&h);
}

/* What minutes cannot say is said with the largest. */
static void toc_of_a_large_disc(void **state)
{
	struct scsi_lu_config cfg = harness_lu_config();
	struct harness h;
	const struct answer *a;

	(void)state;
	harness_start(&h);
	cfg.cdrom = true;
	cfg.block_size = 2048;
	cfg.backend = duotgt_backend_find("null");
	cfg.params.size = (uint64_t)5 << 30;
	harness_map(&h, 0, &cfg);
	harness_settle(&h);
	a = SEND(&h, .cdb = {0x43, 2, [6] = 0xaa, [8] = 100}, .expect_in = 100);
	assert_good(a);
	assert_int_equal(be32_get(a->data + 8), 0x00ff3b4a);
	a = SEND(&h, .cdb = {0x43, 0, [6] = 0xaa, [8] = 100}, .expect_in = 100);
	assert_int_equal(be32_get(a->data + 8), 5 << 19);
	harness_stop(&h);
}

static void disc_and_track(void **state)
{
	static const uint8_t track[36] = {0, 34, 1, 1, 0, 4, 1, [26] = 2};
	uint8_t disc[34] = {0, 32, 0x0e, 1, 1, 1, 1, 0x20, 0};
	struct harness h;

	(void)state;
	start(&h);
	memset(disc + 16, 0xff, 8);
	assert_bytes(SEND(&h, .cdb = {0x51, [8] = 100}, .expect_in = 100), disc, sizeof(disc));
	disc[8] = 0xff; /* no type of CD */
	assert_bytes(SEND(&h, .lun = DVD, .cdb = {0x51, [8] = 100}, .expect_in = 100), disc,
		     sizeof(disc));
	assert_bad_field(SEND(&h, .cdb = {0x51, 1, [8] = 100}, .expect_in = 100), 1, 2);
	/* by LBA, by track, by session */
	assert_bytes(SEND(&h, .cdb = {0x52, 0, 0, 0, 1, 0xff, [8] = 100}, .expect_in = 100), track,
		     sizeof(track));
	assert_bytes(SEND(&h, .cdb = {0x52, 1, 0, 0, 0, 1, [8] = 100}, .expect_in = 100), track,
		     sizeof(track));
	assert_bytes(SEND(&h, .cdb = {0x52, 2, 0, 0, 0, 1, [8] = 100}, .expect_in = 100), track,
		     sizeof(track));
	assert_bad_field(SEND(&h, .cdb = {0x52, 0, 0, 0, 2, 0, [8] = 100}, .expect_in = 100), 2, 7);
	assert_bad_field(SEND(&h, .cdb = {0x52, 1, 0, 0, 0, 2, [8] = 100}, .expect_in = 100), 2, 7);
	assert_bad_field(SEND(&h, .cdb = {0x52, 2, 0, 0, 0, 0, [8] = 100}, .expect_in = 100), 2, 7);
	assert_bad_field(SEND(&h, .cdb = {0x52, 3, [8] = 100}, .expect_in = 100), 1, 1);
	harness_stop(&h);
}

static void disc_structures(void **state)
{
	static const uint8_t list[] = {0,    14,   0, 0, 0x00, 0x40, 8, 4,
				       0x01, 0x40, 0, 8, 0x04, 0x40, 8, 4};
	static const uint8_t copyright[] = {0, 6, 0, 0, 0, 0, 0, 0};
	struct harness h;
	const struct answer *a;

	(void)state;
	start(&h);
	for (uint32_t lun = CD; lun <= DVD; lun++)
		assert_bytes(SEND(&h, .lun = lun, .cdb = {0xad, [7] = 0xff, [9] = 200},
				  .expect_in = 200),
			     list, sizeof(list));
	a = SEND(&h, .lun = DVD, .cdb = {0xad, [8] = 0xff, [9] = 0xff}, .expect_in = 0xffff);
	assert_good(a);
	assert_int_equal(a->len, 4 + 2048);
	assert_int_equal(be16_get(a->data), 2 + 2048);
	assert_int_equal(be32_get(a->data + 4), 0x010f0100);
	assert_int_equal(be32_get(a->data + 8), 0x030000);
	assert_int_equal(be32_get(a->data + 12), 0x030000 + DVD_BLOCKS - 1);
	for (unsigned i = 16; i < a->len; i++)
		assert_int_equal(a->data[i], 0);
	assert_bytes(SEND(&h, .lun = DVD, .cdb = {0xad, [7] = 1, [9] = 200}, .expect_in = 200),
		     copyright, sizeof(copyright));
	assert_int_equal(
		SEND(&h, .lun = DVD, .cdb = {0xad, [7] = 4, [8] = 9}, .expect_in = 9 << 8)->len,
		4 + 2048);
	assert_bad_field(SEND(&h, .lun = DVD, .cdb = {0xad, [7] = 2, [9] = 9}, .expect_in = 9), 7,
			 7);
	assert_bad_field(SEND(&h, .lun = DVD, .cdb = {0xad, [6] = 1, [9] = 9}, .expect_in = 9), 6,
			 7);
	assert_bad_field(SEND(&h, .lun = DVD, .cdb = {0xad, 1, [9] = 9}, .expect_in = 9), 1, 3);
	assert_check(SEND(&h, .cdb = {0xad, [9] = 9}, .expect_in = 9), SENSE_INCOMPATIBLE_MEDIUM);
	harness_stop(&h);
}

/* ---- the drive ---- */

static const struct answer *configuration(struct harness *h, uint32_t lun, uint8_t rt,
					  uint16_t from)
{
	return SEND(h, .lun = lun,
		    .cdb = {0x46, rt, (uint8_t)(from >> 8), (uint8_t)from, [8] = 250},
		    .expect_in = 250);
}

/* Flags of a feature in an answer, or -1. */
static int feature(const struct answer *a, uint16_t code)
{
	assert_good(a);
	assert_int_equal(be32_get(a->data), a->len - 4);
	for (size_t i = 8; i < a->len; i += 4u + a->data[i + 3])
		if (be16_get(a->data + i) == code)
			return a->data[i + 2] & 3;
	return -1;
}

static void configuration_follows_the_disc(void **state)
{
	static const uint8_t profiles[] = {0, 0, 0, 16, 0, 0, 0, 8,    0,    0,
					   3, 8, 0, 16, 0, 0, 0, 0x08, 0x01, 0};
	struct harness h;
	const struct answer *a;

	(void)state;
	start(&h);
	assert_bytes(configuration(&h, CD, 2, 0), profiles, sizeof(profiles));
	a = configuration(&h, CD, 0, 0);
	assert_int_equal(be16_get(a->data + 6), 0x0008);
	assert_int_equal(feature(a, 0x0001), 3);
	assert_int_equal(feature(a, 0x0010), 1);
	assert_int_equal(feature(a, 0x001f), 0);
	a = configuration(&h, DVD, 0, 0);
	assert_int_equal(be16_get(a->data + 6), 0x0010);
	assert_int_equal(feature(a, 0x001f), 1);
	assert_int_equal(feature(configuration(&h, CD, 1, 0), 0x001f), -1);
	assert_int_equal(feature(configuration(&h, CD, 0, 4), 0x0003), -1);
	assert_int_equal(feature(configuration(&h, CD, 0, 4), 0x0010), 1);
	assert_int_equal(configuration(&h, CD, 2, 0x1234)->len, 8);
	assert_bad_field(configuration(&h, CD, 3, 0), 1, 1);
	assert_good(SEND(&h, .cdb = {0x1b, 0, 0, 0, 2}));
	a = configuration(&h, CD, 0, 0);
	assert_int_equal(be16_get(a->data + 6), 0);
	assert_int_equal(feature(a, 0x0003), 3);
	assert_int_equal(feature(a, 0x0010), 0);
	harness_stop(&h);
}

static void assert_event(struct harness *h, unsigned nexus, uint8_t event, uint8_t status)
{
	const uint8_t expected[] = {0, 6, 4, 0x10, event, status, 0, 0};

	assert_bytes(
		SEND(h, .nexus = nexus, .cdb = {0x4a, 1, 0, 0, 0x10, 0, 0, 0, 64}, .expect_in = 64),
		expected, sizeof(expected));
}

static void events_are_told_once_to_each(void **state)
{
	static const uint8_t none[] = {0, 2, 0x80, 0x10};
	struct harness h;

	(void)state;
	start(&h);
	assert_event(&h, 0, 0, 2);
	assert_good(SEND(&h, .cdb = {0x1b, 0, 0, 0, 2}));
	/* an answer without the event does not use it up */
	SEND(&h, .cdb = {0x4a, 1, 0, 0, 0x10, 0, 0, 0, 4}, .expect_in = 4);
	assert_event(&h, 0, 3, 1);
	assert_event(&h, 0, 0, 1);
	assert_event(&h, 1, 3, 1);
	assert_good(SEND(&h, .cdb = {0x1b, 0, 0, 0, 3}));
	/* before the unit attention, which stays */
	assert_event(&h, 1, 2, 2);
	assert_event(&h, 1, 0, 2);
	assert_check(SEND(&h, .nexus = 1, .cdb = {0x00}), SENSE_MEDIUM_MAY_HAVE_CHANGED);
	assert_event(&h, 0, 2, 2);
	assert_bytes(SEND(&h, .cdb = {0x4a, 1, 0, 0, 0x4e, 0, 0, 0, 64}, .expect_in = 64), none,
		     sizeof(none));
	assert_bad_field(SEND(&h, .cdb = {0x4a, 0, 0, 0, 0x10, 0, 0, 0, 64}, .expect_in = 64), 1,
			 0);
	harness_stop(&h);
}

static void mechanism(void **state)
{
	uint8_t expected[8] = {0};
	struct harness h;

	(void)state;
	start(&h);
	assert_bytes(SEND(&h, .cdb = {0xbd, [9] = 64}, .expect_in = 64), expected, 8);
	assert_good(SEND(&h, .cdb = {0x1b, 0, 0, 0, 2}));
	expected[1] = 0x10;
	assert_bytes(SEND(&h, .cdb = {0xbd, [9] = 64}, .expect_in = 64), expected, 8);
	harness_stop(&h);
}

static void capabilities_page(void **state)
{
	struct harness h;
	const struct answer *a;

	(void)state;
	start(&h);
	for (unsigned locked = 0; locked < 2; locked++) {
		assert_good(SEND(&h, .cdb = {0x1e, 0, 0, 0, (uint8_t)locked}));
		a = SEND(&h, .cdb = {0x5a, 8, 0x2a, [8] = 200}, .expect_in = 200);
		assert_good(a);
		assert_int_equal(a->data[8], 0x2a);
		assert_int_equal(a->data[9], 0x18);
		assert_int_equal(a->data[10], 0x08);
		assert_int_equal(a->data[14], 0x29 | locked << 1);
		assert_int_equal(a->len, 8 + 2 + 0x18);
	}
	assert_bad_field(SEND(&h, .lun = DISK, .cdb = {0x5a, 8, 0x2a, [8] = 200}, .expect_in = 200),
			 2, 5);
	harness_stop(&h);
}

static void without_a_disc(void **state)
{
	static const uint8_t need_one[] = {0x00, 0x25, 0x28, 0x43, 0x51, 0x52, 0xa8, 0xad};
	static const uint8_t need_none[] = {0x12, 0x46, 0xbd, 0x5a, 0x1e};
	struct harness h;

	(void)state;
	start(&h);
	assert_good(SEND(&h, .cdb = {0x1b, 0, 0, 0, 2}));
	for (unsigned i = 0; i < sizeof(need_one); i++)
		assert_check(SEND(&h, .cdb = {need_one[i]}), SENSE_MEDIUM_NOT_PRESENT);
	for (unsigned i = 0; i < sizeof(need_none); i++)
		assert_good(SEND(&h, .cdb = {need_none[i], 0, need_none[i] == 0x5a ? 0x2a : 0}));
	harness_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(inquiry_of_a_drive),
		cmocka_unit_test(blocks_are_read),
		cmocka_unit_test(commands_by_device),
		cmocka_unit_test(toc),
		cmocka_unit_test(toc_of_a_large_disc),
		cmocka_unit_test(disc_and_track),
		cmocka_unit_test(disc_structures),
		cmocka_unit_test(configuration_follows_the_disc),
		cmocka_unit_test(events_are_told_once_to_each),
		cmocka_unit_test(mechanism),
		cmocka_unit_test(capabilities_page),
		cmocka_unit_test(without_a_disc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
