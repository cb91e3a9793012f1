/* SPDX-License-Identifier: Apache-2.0 */
/* MODE SENSE (6) and (10). */
#include "tests/scsi/harness.h"
#include "tests/scsi/spy.h"
#include "util/bytes.h"
#include <string.h>

enum { CURRENT = 0x00, CHANGEABLE = 0x40, DEFAULT = 0x80, SAVED = 0xc0, DBD = 0x08, LLBAA = 0x10 };

static const struct answer *sense6(struct harness *h, uint8_t flags, uint8_t page, uint8_t subpage)
{
	return SEND(h, .cdb = {0x1a, flags, page, subpage, 255}, .expect_in = 255);
}

static const struct answer *sense10(struct harness *h, uint8_t flags, uint8_t page, uint8_t subpage)
{
	return SEND(h, .cdb = {0x5a, flags, page, subpage, 0, 0, 0, 2, 0}, .expect_in = 512);
}

static const uint8_t all_pages[] = {
	0x01, 0x0a, 0, 0,    0, 0, 0, 0, 0, 0, 0, 0,			     /* recovery */
	0x02, 0x0e, 0, 0,    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,	     /* disconnect */
	0x08, 0x12, 4, 0,    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* caching: WCE */
	0x0a, 0x0a, 2, 0x10, 0, 0, 0, 0, 0, 0, 0, 0,			     /* control */
	0x1a, 0x26, 0, 0,    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* power condition */
	0,    0,    0, 0,    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0x1c, 0x0a, 8, 0,    0, 0, 0, 0, 0, 0, 0, 0, /* exceptions */
};

/* 0A/01: TCMOS, SCSIP, IALUAE; 96 bytes of sense data */
static const uint8_t control_extension[0x20] = {0x4a, 0x01, 0, 0x1c, 0x07, 0, 96};

static void short_form(void **state)
{
	static const uint8_t head[12] = {
		11 + sizeof(all_pages), 0, 0x10, 8, 0, 0, 8, 0, 0, 0, 2, 0};
	struct harness h;
	const struct answer *a;

	(void)state;
	harness_start_disk(&h);
	a = sense6(&h, 0, 0x3f, 0);
	assert_good(a);
	assert_int_equal(a->len, 12 + sizeof(all_pages));
	assert_memory_equal(a->data, head, 12);
	assert_memory_equal(a->data + 12, all_pages, sizeof(all_pages));
	a = sense6(&h, DBD, DEFAULT | 0x3f, 0);
	assert_good(a);
	assert_int_equal(a->len, 4 + sizeof(all_pages));
	assert_int_equal(a->data[0], 3 + sizeof(all_pages));
	assert_int_equal(a->data[3], 0);
	assert_memory_equal(a->data + 4, all_pages, sizeof(all_pages));
	harness_stop(&h);
}

static void long_form(void **state)
{
	static const uint8_t head[8] = {0, 6 + 8 + sizeof(all_pages), 0, 0x10, 0, 0, 0, 8};
	static const uint8_t head_long[24] = {0, 6 + 16 + sizeof(all_pages),
					      0, 0x10,
					      1, 0,
					      0, 16,
					      0, 0,
					      0, 0,
					      0, 0,
					      8, 0,
					      0, 0,
					      0, 0,
					      0, 0,
					      2, 0};
	struct harness h;
	const struct answer *a;

	(void)state;
	harness_start_disk(&h);
	a = sense10(&h, 0, 0x3f, 0);
	assert_good(a);
	assert_int_equal(a->len, 16 + sizeof(all_pages));
	assert_memory_equal(a->data, head, 8);
	assert_memory_equal(a->data + 16, all_pages, sizeof(all_pages));
	a = sense10(&h, LLBAA, 0x3f, 0);
	assert_good(a);
	assert_int_equal(a->len, 24 + sizeof(all_pages));
	assert_memory_equal(a->data, head_long, 24);
	assert_memory_equal(a->data + 24, all_pages, sizeof(all_pages));
	/* without a block descriptor there is none to be long */
	a = sense10(&h, DBD | LLBAA, 0x3f, 0);
	assert_good(a);
	assert_int_equal(a->len, 8 + sizeof(all_pages));
	assert_int_equal(be32_get(a->data + 4), 0);
	harness_stop(&h);
}

static void one_page_each(void **state)
{
	struct harness h;
	size_t at = 0;

	(void)state;
	harness_start_disk(&h);
	while (at < sizeof(all_pages)) {
		const uint8_t *page = all_pages + at;
		size_t len = 2u + page[1];
		const struct answer *a = sense6(&h, DBD, page[0], 0);

		assert_good(a);
		assert_int_equal(a->len, 4 + len);
		assert_memory_equal(a->data + 4, page, len);
		a = sense10(&h, DBD, page[0], 0xff); /* with its subpages */
		assert_good(a);
		assert_memory_equal(a->data + 8, page, len);
		at += len;
	}
	harness_stop(&h);
}

/* A subpage has a header of four bytes, and its place is behind its page. */
static void subpages(void **state)
{
	const size_t before = 12 + 16 + 20 + 12; /* 01, 02, 08, 0A */
	struct harness h;
	const struct answer *a;

	(void)state;
	harness_start_disk(&h);
	a = sense6(&h, DBD, 0x0a, 0x01);
	assert_good(a);
	assert_int_equal(a->len, 4 + sizeof(control_extension));
	assert_memory_equal(a->data + 4, control_extension, sizeof(control_extension));
	a = sense6(&h, DBD, 0x3f, 0xff);
	assert_good(a);
	assert_int_equal(a->len, 4 + sizeof(all_pages) + sizeof(control_extension));
	assert_memory_equal(a->data + 4, all_pages, before);
	assert_memory_equal(a->data + 4 + before, control_extension, sizeof(control_extension));
	assert_memory_equal(a->data + 4 + before + sizeof(control_extension), all_pages + before,
			    sizeof(all_pages) - before);
	a = sense6(&h, DBD, 0x0a, 0xff);
	assert_good(a);
	assert_int_equal(a->len, 4 + 12 + sizeof(control_extension));
	harness_stop(&h);
}

static void what_is_changeable(void **state)
{
	struct harness h;
	const struct answer *a;
	size_t at = 4;

	(void)state;
	harness_start_disk(&h);
	a = sense6(&h, DBD, CHANGEABLE | 0x3f, 0);
	assert_good(a);
	assert_int_equal(a->len, 4 + sizeof(all_pages));
	while (at < a->len) {
		uint8_t expected[64] = {0};

		if (a->data[at] == 0x08)
			expected[0] = 0x04; /* WCE */
		if (a->data[at] == 0x0a)
			memcpy(expected, (const uint8_t[]){0x24, 0x06, 0x08, 0x40}, 4);
		assert_int_equal(a->data[at], all_pages[at - 4]);
		assert_int_equal(a->data[at + 1], all_pages[at - 3]);
		assert_memory_equal(a->data + at + 2, expected, a->data[at + 1]);
		at += 2u + a->data[at + 1];
	}
	harness_stop(&h);
}

static void what_is_refused(void **state)
{
	struct harness h;

	(void)state;
	harness_start_disk(&h);
	assert_check(sense6(&h, 0, SAVED | 0x3f, 0), SENSE_SAVING_NOT_SUPPORTED);
	assert_check(sense10(&h, 0, SAVED | 0x08, 0), SENSE_SAVING_NOT_SUPPORTED);
	assert_bad_field(sense6(&h, 0, 0x03, 0), 2, 5);
	assert_bad_field(sense10(&h, 0, 0x00, 0xff), 2, 5);
	assert_bad_field(sense10(&h, 0, 0x18, 0), 2, 5);
	assert_bad_field(sense6(&h, 0, 0x0a, 0x02), 3, 7);
	assert_bad_field(sense6(&h, 0, 0x1c, 0x02), 3, 7); /* the disk is not thin */
	assert_bad_field(sense10(&h, 0, 0x3f, 0x01), 3, 7);
	assert_bad_field(sense10(&h, 0, 0x3f, 0xfe), 3, 7);
	assert_bad_field(sense6(&h, LLBAA, 0x3f, 0), 1, 4);
	harness_stop(&h);
}

static void flags_follow_the_lu(void **state)
{
	struct scsi_lu_config cfg = harness_lu_config();
	struct harness h;
	const struct answer *a;

	(void)state;
	cfg.params.read_only = true;
	cfg.write_cache = false;
	harness_start(&h);
	harness_map(&h, 0, &cfg);
	harness_settle(&h);
	a = sense6(&h, DBD, 0x08, 0);
	assert_good(a);
	assert_int_equal(a->data[2], 0x90);
	assert_int_equal(a->data[4 + 2], 0);
	a = sense10(&h, DBD, 0x08, 0);
	assert_int_equal(a->data[3], 0x90);
	harness_stop(&h);
}

/* More blocks than four bytes count. */
static void large_lu(void **state)
{
	struct scsi_lu_config cfg = spy_config();
	struct harness h;
	const struct answer *a;

	(void)state;
	spy.info.size = UINT64_C(1) << 42; /* no command here touches the blocks */
	cfg.block_size = 512;
	harness_start(&h);
	harness_map(&h, 0, &cfg);
	harness_settle(&h);
	a = sense6(&h, 0, 0x08, 0);
	assert_good(a);
	assert_int_equal(be32_get(a->data + 4), UINT32_MAX);
	assert_int_equal(be32_get(a->data + 8), 512);
	a = sense10(&h, LLBAA, 0x08, 0);
	assert_good(a);
	assert_true(be64_get(a->data + 8) == UINT64_C(1) << 33);
	assert_int_equal(be32_get(a->data + 20), 512);
	harness_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_form),
		cmocka_unit_test(long_form),
		cmocka_unit_test(one_page_each),
		cmocka_unit_test(what_is_changeable),
		cmocka_unit_test(subpages),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(flags_follow_the_lu),
		cmocka_unit_test(large_lu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
