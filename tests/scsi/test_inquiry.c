/* SPDX-License-Identifier: Apache-2.0 */
/* INQUIRY: standard data and each VPD page. */
#include "scsi/lu_priv.h"
#include "scsi/sbc/atomic.h"
#include "scsi/sbc/sbc.h"
#include "tests/scsi/harness.h"
#include "tests/scsi/spy.h"
#include "util/bytes.h"
#include <string.h>

#define ABSENT_LUN 5
#define IQN "iqn.2024-01.example:disk" /* the harness' target */
#define SERIAL "123456789abc4def8123456789abcdef"

static const struct answer *inquire(struct harness *h, uint32_t lun, int page, uint16_t alloc)
{
	return SEND(h, .lun = lun,
		    .cdb = {0x12, page >= 0, page >= 0 ? (uint8_t)page : 0, (uint8_t)(alloc >> 8),
			    (uint8_t)alloc},
		    .expect_in = alloc);
}

static void standard_data(void **state)
{
	struct harness h;
	const struct answer *a;

	(void)state;
	harness_start_disk(&h);
	scsi_nexus_set_version(h.nexus[0], 0x0962);
	a = inquire(&h, 0, -1, 512);
	assert_good(a);
	assert_int_equal(a->len, 96);
	assert_int_equal(a->data[0], 0x00);
	assert_int_equal(a->data[1], 0x00);
	assert_int_equal(a->data[2], 0x06);
	assert_int_equal(a->data[3], 0x32); /* NORMACA, HISUP, format 2 */
	assert_int_equal(a->data[4], 96 - 5);
	assert_int_equal(a->data[5], 0x08); /* 3PC */
	assert_int_equal(a->data[7], 0x02);
	assert_memory_equal(a->data + 8, "DUOTGT  ", 8);
	assert_memory_equal(a->data + 16, "DISK            ", 16);
	for (unsigned i = 32; i < 36; i++)
		assert_in_range(a->data[i], 0x20, 0x7e);
	assert_int_equal(a->data[32], DUOTGT_VERSION[0]);
	assert_int_equal(be16_get(a->data + 58), 0x00a0);
	assert_int_equal(be16_get(a->data + 60), 0x0962);
	assert_int_equal(be16_get(a->data + 62), 0x0460);
	assert_int_equal(be16_get(a->data + 64), 0x04c0);
	harness_stop(&h);
}

static void page_code_wants_evpd(void **state)
{
	struct harness h;

	(void)state;
	harness_start_disk(&h);
	assert_bad_field(SEND(&h, .cdb = {0x12, 0, 0x80, 0, 255}, .expect_in = 255), 2, 7);
	assert_bad_field(SEND(&h, .cdb = {0x12, 2, 0, 0, 255}, .expect_in = 255), 1, 1);
	assert_bad_field(inquire(&h, 0, 0x84, 255), 2, 7);
	assert_bad_field(inquire(&h, 0, 0xff, 255), 2, 7);
	harness_stop(&h);
}

/* A short allocation length cuts the data, and changes nothing in it. */
static void allocation_length_only_cuts(void **state)
{
	static const int pages[] = {-1, 0x00, 0x80, 0x83, 0x86, 0x87, 0x88, 0x8f, 0xb0, 0xb1, 0xb2};
	uint8_t whole[1024];
	struct harness h;

	(void)state;
	harness_start_disk(&h);
	for (unsigned i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		const struct answer *a = inquire(&h, 0, pages[i], sizeof(whole));
		size_t len = a->len;

		assert_good(a);
		memcpy(whole, a->data, len);
		assert_int_equal(pages[i] < 0 ? whole[4] + 5 : be16_get(whole + 2) + 4, len);
		for (uint16_t alloc = 0; alloc < len; alloc++) {
			a = inquire(&h, 0, pages[i], alloc);
			assert_good(a);
			assert_int_equal(a->in_len, alloc);
			if (alloc)
				assert_memory_equal(a->data, whole, alloc);
		}
	}
	harness_stop(&h);
}

static void page_list_is_sorted_and_true(void **state)
{
	static const uint8_t expected[] = {0x00, 0x00, 0x00, 10,   0x00, 0x80, 0x83,
					   0x86, 0x87, 0x88, 0x8f, 0xb0, 0xb1, 0xb2};
	struct harness h;
	const struct answer *a;

	(void)state;
	harness_start_disk(&h);
	a = inquire(&h, 0, 0x00, 255);
	assert_good(a);
	assert_int_equal(a->len, sizeof(expected));
	assert_memory_equal(a->data, expected, sizeof(expected));
	for (int page = 0; page < 256; page++) {
		a = inquire(&h, 0, page, 255);
		if (memchr(expected + 4, page, 10)) {
			assert_good(a);
			assert_int_equal(a->data[1], page);
		} else {
			assert_check(a, SENSE_INVALID_FIELD_IN_CDB);
		}
	}
	harness_stop(&h);
}

static void serial_is_the_uuid(void **state)
{
	struct harness h;
	const struct answer *a;

	(void)state;
	harness_start_disk(&h);
	a = inquire(&h, 0, 0x80, 255);
	assert_good(a);
	assert_int_equal(a->len, 4 + 32);
	assert_memory_equal(a->data + 4, SERIAL, 32);
	harness_stop(&h);
}

/* Finds the designator with these first two bytes. Return: its length byte; NULL when absent. */
static const uint8_t *designator(const struct answer *a, uint8_t b0, uint8_t b1)
{
	const uint8_t *found = NULL;
	size_t at = 4;

	while (at < a->len) {
		assert_true(at + 4 <= a->len && at + 4 + a->data[at + 3] <= a->len);
		if (a->data[at] == b0 && a->data[at + 1] == b1)
			found = a->data + at + 3;
		at += 4u + a->data[at + 3];
	}
	assert_int_equal(at, a->len);
	return found;
}

static void assert_designator(const struct answer *a, uint8_t b0, uint8_t b1, const void *value,
			      size_t len)
{
	const uint8_t *found = designator(a, b0, b1);

	assert_non_null(found);
	assert_int_equal(found[0], len);
	assert_memory_equal(found + 1, value, len);
}

/* 24 characters with ",t,0x0001" are 33: three NULs; 24 alone are a multiple of four: four. */
static const char port_name[36] = IQN ",t,0x0001";
static const char device_name[28] = IQN;

static void identification(void **state)
{
	static const uint8_t port[4] = {0, 0, 0, 1};
	/* 123456789abc4def ^ 8123456789abcdef, shifted */
	static const uint8_t naa[8] = {0x39, 0x31, 0x71, 0x31, 0xf1, 0x31, 0x78, 0x00};
	struct scsi_lu_config cfg = harness_lu_config();
	struct harness h;
	const struct answer *a;
	uint8_t uuid[18] = {0x10, 0};

	(void)state;
	memcpy(uuid + 2, cfg.uuid, 16);
	harness_start_disk(&h);
	a = inquire(&h, 0, 0x83, 1024);
	assert_good(a);
	assert_designator(a, 0x01, 0x03, naa, 8);
	assert_designator(a, 0x01, 0x0a, uuid, 18);
	assert_designator(a, 0x02, 0x01, "DUOTGT  " SERIAL, 40);
	assert_designator(a, 0x51, 0x94, port, 4);
	assert_designator(a, 0x53, 0x98, port_name, sizeof(port_name));
	assert_designator(a, 0x53, 0xa8, device_name, sizeof(device_name));
	harness_stop(&h);
}

static void limits_of_a_thick_disk(void **state)
{
	struct harness h;
	const struct answer *a;

	(void)state;
	harness_start_disk(&h);
	a = inquire(&h, 0, 0xb0, 255);
	assert_good(a);
	assert_int_equal(a->len, 64);
	assert_int_equal(be32_get(a->data + 8), (64 << 10) / 512);
	assert_int_equal(be32_get(a->data + 12), (64 << 10) / 512);
	assert_int_equal(a->data[4], 1); /* WSNZ */
	assert_int_equal(a->data[5], sbc_caw_max_blocks(h.lus[0]));
	for (unsigned i = 16; i < 36; i++) /* no UNMAP */
		assert_int_equal(a->data[i], 0);
	assert_int_equal(be64_get(a->data + 36), SBC_WRITE_SAME_MAX_BLOCKS);
	assert_int_equal(be32_get(a->data + 44), sbc_atomic_max_blocks(h.lus[0]));
	for (unsigned i = 48; i < 64; i++)
		assert_int_equal(a->data[i], 0);
	a = inquire(&h, 0, 0xb2, 255);
	assert_good(a);
	assert_int_equal(a->len, 8);
	assert_int_equal(be32_get(a->data + 4), 0);
	a = inquire(&h, 0, 0xb1, 255);
	assert_good(a);
	assert_int_equal(a->len, 64);
	assert_int_equal(be16_get(a->data + 4), 1);
	harness_stop(&h);
}

static void limits_of_a_thin_disk(void **state)
{
	struct scsi_lu_config cfg = spy_config();
	struct harness h;
	const struct answer *a;

	(void)state;
	cfg.thin = true;
	cfg.max_transfer = 4 << 20;
	spy.info.discard_granularity = 4096;
	spy.info.physical_block = 4096;
	spy.info.rotational = true;
	harness_start(&h);
	harness_map(&h, 0, &cfg);
	a = inquire(&h, 0, 0xb0, 255);
	assert_good(a);
	assert_int_equal(be16_get(a->data + 6), 8);
	assert_int_equal(be32_get(a->data + 8), 8192);
	assert_int_equal(be32_get(a->data + 12), 2048);
	assert_int_equal(be32_get(a->data + 20), 1 << 20);
	assert_int_equal(be32_get(a->data + 24), 256);
	assert_int_equal(be32_get(a->data + 28), 8);
	assert_int_equal(be32_get(a->data + 32), 0x80000000);
	a = inquire(&h, 0, 0xb2, 255);
	assert_int_equal(be32_get(a->data + 4), 0x00e40200);
	a = inquire(&h, 0, 0xb1, 255);
	assert_int_equal(be16_get(a->data + 4), 0);
	harness_stop(&h);
}

/* No LU there: qualifier 3, type 1Fh, and of the pages only what is the target's. */
static void absent_lun(void **state)
{
	static const uint8_t pages[] = {0x7f, 0x00, 0x00, 3, 0x00, 0x83, 0x88};
	struct harness h;
	const struct answer *a;

	(void)state;
	harness_start_disk(&h);
	a = inquire(&h, ABSENT_LUN, -1, 96);
	assert_good(a);
	assert_int_equal(a->len, 96);
	assert_int_equal(a->data[0], 0x7f);
	a = inquire(&h, ABSENT_LUN, 0x00, 255);
	assert_good(a);
	assert_int_equal(a->len, sizeof(pages));
	assert_memory_equal(a->data, pages, sizeof(pages));
	a = inquire(&h, ABSENT_LUN, 0x83, 255);
	assert_good(a);
	assert_int_equal(a->data[0], 0x7f);
	assert_null(designator(a, 0x01, 0x03));
	assert_designator(a, 0x53, 0x98, port_name, sizeof(port_name));
	assert_bad_field(inquire(&h, ABSENT_LUN, 0x80, 255), 2, 7);
	a = inquire(&h, ABSENT_LUN, -1, 0);
	assert_good(a);
	assert_int_equal(a->in_len, 0);
	harness_stop(&h);
}

/* Names of the greatest length that iSCSI allows, and beyond: no designator overflows. */
static void long_target_names(void **state)
{
	static const size_t lengths[] = {1, 220, 223, 251, 400};

	(void)state;
	for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct scsi_lu_config cfg = harness_lu_config();
		struct scsi_target *target;
		char name[401];
		struct harness h;
		const struct answer *a;

		memset(name, 'x', lengths[i]);
		name[lengths[i]] = '\0';
		harness_start(&h);
		assert_int_equal(scsi_target_new(name, &target), 0);
		scsi_target_unref(h.target);
		h.target = target;
		harness_map(&h, 0, &cfg);
		a = inquire(&h, 0, 0x83, 2048);
		assert_good(a);
		assert_non_null(designator(a, 0x53, 0x98));
		assert_int_equal(designator(a, 0x53, 0xa8)[0] % 4, 0);
		harness_stop(&h);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(standard_data),
		cmocka_unit_test(page_code_wants_evpd),
		cmocka_unit_test(allocation_length_only_cuts),
		cmocka_unit_test(page_list_is_sorted_and_true),
		cmocka_unit_test(serial_is_the_uuid),
		cmocka_unit_test(identification),
		cmocka_unit_test(limits_of_a_thick_disk),
		cmocka_unit_test(limits_of_a_thin_disk),
		cmocka_unit_test(absent_lun),
		cmocka_unit_test(long_target_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
