/* SPDX-License-Identifier: Apache-2.0 */
/* REPORT and SET IDENTIFYING INFORMATION. */
#include "scsi/lu_priv.h"
#include "tests/scsi/harness.h"
#include "tests/scsi/state_dir.h"
#include "util/bytes.h"
#include <string.h>

enum { BINARY = 0x00, TEXT = 0x02, SUPPORTED = 0x7f };

static struct harness h;

static const char street[] = "Stra\xc3\x9f\x65"; /* "Straße" */

static void start(const char *state_dir)
{
	struct scsi_lu_config cfg = harness_lu_config();

	cfg.state_dir = state_dir;
	harness_start(&h);
	harness_map(&h, 0, &cfg);
	harness_settle(&h);
}

static const struct answer *report(uint8_t type, uint16_t alloc)
{
	return SEND(&h,
		    .cdb = {0xa3, 0x05, 0, 0, 0, 0, 0, 0, (uint8_t)(alloc >> 8), (uint8_t)alloc,
			    (uint8_t)(type << 1)},
		    .expect_in = alloc);
}

static const struct answer *set(uint8_t type, const void *bytes, uint16_t len)
{
	return SEND(&h,
		    .cdb = {0xa4, 0x06, 0, 0, 0, 0, 0, 0, (uint8_t)(len >> 8), (uint8_t)len,
			    (uint8_t)(type << 1)},
		    .out = bytes, .out_len = len, .n_segments = 2);
}

static void assert_ident(uint8_t type, const void *bytes, uint16_t len)
{
	const struct answer *a = report(type, 512);

	assert_good(a);
	assert_int_equal(a->len, 4 + len);
	assert_int_equal(be32_get(a->data), len);
	if (len)
		assert_memory_equal(a->data + 4, bytes, len);
}

static void only_where_it_can_be_kept(void **state)
{
	(void)state;
	start(NULL);
	assert_check(set(BINARY, "x", 1), SENSE_INVALID_FIELD_IN_CDB);
	assert_check(report(BINARY, 64), SENSE_INVALID_FIELD_IN_CDB);
	harness_stop(&h);
}

static void types(void **state)
{
	static const uint8_t expected[] = {0, 0, 0, 8, 0, 0, 0, 64, 4, 0, 1, 0};
	const struct answer *a;

	(void)state;
	start(state_dir_make());
	a = report(SUPPORTED, 64);
	assert_good(a);
	assert_int_equal(a->len, sizeof(expected));
	assert_memory_equal(a->data, expected, sizeof(expected));
	assert_bad_field(report(0x01, 64), 10, 7);
	assert_bad_field(set(0x01, "x", 1), 10, 7);
	assert_bad_field(set(SUPPORTED, "x", 1), 10, 7);
	harness_stop(&h);
	state_dir_remove();
}

static void set_and_kept(void **state)
{
	const char *dir = state_dir_make();
	uint8_t most[64];

	(void)state;
	memset(most, 0xa5, sizeof(most));
	start(dir);
	assert_ident(BINARY, NULL, 0);
	assert_good(set(BINARY, most, sizeof(most)));
	assert_ident(BINARY, most, sizeof(most));
	assert_ident(TEXT, NULL, 0);
	assert_good(set(TEXT, street, sizeof(street)));
	assert_check(SEND(&h, .nexus = 1, .cdb = {0x00}), SENSE_IDENTIFIER_CHANGED);
	assert_good(SEND(&h, .nexus = 0, .cdb = {0x00}));
	harness_stop(&h);

	start(dir); /* the next process */
	assert_ident(BINARY, most, sizeof(most));
	assert_ident(TEXT, street, sizeof(street));
	assert_good(set(BINARY, NULL, 0)); /* forgotten */
	assert_ident(BINARY, NULL, 0);
	assert_ident(TEXT, street, sizeof(street));
	harness_stop(&h);
	state_dir_remove();
}

static void allocation_length_only_cuts(void **state)
{
	(void)state;
	start(state_dir_make());
	assert_good(set(BINARY, "abcd", 4));
	for (uint16_t alloc = 0; alloc < 8; alloc++) {
		const struct answer *a = report(BINARY, alloc);

		assert_good(a);
		assert_int_equal(a->in_len, alloc);
		if (alloc)
			assert_memory_equal(a->data, "\0\0\0\4abcd", alloc);
	}
	harness_stop(&h);
	state_dir_remove();
}

static void lengths(void **state)
{
	uint8_t bytes[300] = {0};

	(void)state;
	start(state_dir_make());
	assert_bad_field(set(BINARY, bytes, 65), 6, -1);
	assert_bad_field(set(TEXT, bytes, 257), 6, -1);
	memset(bytes, 'x', 255);
	assert_good(set(TEXT, bytes, 256));
	/* less came than was said */
	assert_check(
		SEND(&h, .cdb = {0xa4, 0x06, 0, 0, 0, 0, 0, 0, 0, 8}, .out = bytes, .out_len = 7),
		SENSE_PARAMETER_LIST_LENGTH);
	harness_stop(&h);
	state_dir_remove();
}

/* UTF-8, ended by the only NUL. The offset is of the first byte that is wrong. */
static void text_is_utf8(void **state)
{
	static const struct {
		const char *bytes;
		uint16_t len, bad_at;
	} bad[] = {
		{"abc", 3, 2},			/* no NUL */
		{"a\0c", 4, 1},			/* one too early */
		{"a\x80", 3, 1},		/* goes on without a start */
		{"\xc0\x81", 3, 0},		/* too long a form */
		{"\xe0\x80\x81", 4, 0},		/* likewise */
		{"x\xed\xa0\x80", 5, 1},	/* a surrogate */
		{"\xf4\x90\x80\x80", 5, 0},	/* past the last character */
		{"\xf8\x80\x80\x80\x80", 6, 0}, /* no such start */
		{"ab\xe2\x82", 5, 2},		/* cut by the NUL */
	};
	static const char good[] = "\xe2\x82\xac \xf0\x9f\x98\x80 \xc2\xa9";

	(void)state;
	start(state_dir_make());
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct answer *a = set(TEXT, bad[i].bytes, bad[i].len);

		assert_check(a, SENSE_INVALID_FIELD_IN_PARAMETERS);
		assert_int_equal(a->sense.field, bad[i].bad_at);
		assert_ident(TEXT, NULL, 0);
		assert_good(set(BINARY, bad[i].bytes, bad[i].len)); /* which may be anything */
	}
	assert_good(set(TEXT, good, sizeof(good)));
	assert_ident(TEXT, good, sizeof(good));
	harness_stop(&h);
	state_dir_remove();
}

static void saving_fails(void **state)
{
	(void)state;
	start(state_dir_make());
	state_dir_remove();
	assert_check(set(BINARY, "x", 1), SENSE_INTERNAL_TARGET_FAILURE);
	assert_ident(BINARY, NULL, 0);
	assert_good(SEND(&h, .nexus = 1, .cdb = {0x00}));
	harness_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_where_it_can_be_kept),
		cmocka_unit_test(types),
		cmocka_unit_test(set_and_kept),
		cmocka_unit_test(allocation_length_only_cuts),
		cmocka_unit_test(lengths),
		cmocka_unit_test(text_is_utf8),
		cmocka_unit_test(saving_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
