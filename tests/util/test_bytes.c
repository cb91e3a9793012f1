/* SPDX-License-Identifier: Apache-2.0 */
#include "util/bytes.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* after the above: cmocka.h relies on them */
#include <cmocka.h>

static void network_order(void **state)
{
	uint8_t b[8];

	(void)state;
	be16_put(b, 0x8182);
	assert_memory_equal(b, "\x81\x82", 2);
	assert_int_equal(be16_get(b), 0x8182);
	be24_put(b, 0x818283);
	assert_memory_equal(b, "\x81\x82\x83", 3);
	assert_int_equal(be24_get(b), 0x818283);
	be32_put(b, 0x81828384);
	assert_memory_equal(b, "\x81\x82\x83\x84", 4);
	assert_int_equal(be32_get(b), 0x81828384);
	be64_put(b, 0x8182838485868788);
	assert_memory_equal(b, "\x81\x82\x83\x84\x85\x86\x87\x88", 8);
	assert_true(be64_get(b) == 0x8182838485868788);
	le32_put(b, 0x81828384);
	assert_memory_equal(b, "\x84\x83\x82\x81", 4);
	assert_int_equal(le32_get(b), 0x81828384);
}

/* From the heap, without a byte to spare, so that the sanitizer sees a step too far. */
static uint8_t *heap(size_t len)
{
	uint8_t *p = malloc(len);

	assert_non_null(p);
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(i + 1);
	return p;
}

static void reads_to_the_last_byte(void **state)
{
	uint8_t *p = heap(18);
	struct bytes_in in = bytes_in(p, 18);

	(void)state;
	assert_int_equal(in_u8(&in), 1);
	assert_int_equal(in_be16(&in), 0x0203);
	assert_int_equal(in_be24(&in), 0x040506);
	assert_int_equal(in_be32(&in), 0x0708090a);
	assert_true(in_be64(&in) == 0x0b0c0d0e0f101112);
	assert_int_equal(in.left, 0);
	assert_false(in.bad);
	assert_non_null(in_bytes(&in, 0));
	free(p);
}

static void stays_bad_once_bad(void **state)
{
	uint8_t *p = heap(3);
	struct bytes_in in = bytes_in(p, 3);

	(void)state;
	assert_int_equal(in_be32(&in), 0);
	assert_true(in.bad);
	assert_int_equal(in_u8(&in), 0); /* though three bytes are left */
	assert_false(in_skip(&in, 1));
	assert_null(in_bytes(&in, SIZE_MAX));
	assert_int_equal(in.left, 3);
	free(p);
}

static void writes_to_the_last_byte(void **state)
{
	uint8_t *p = heap(26);
	struct bytes_out out = bytes_out(p, 26);

	(void)state;
	out_u8(&out, 0x91);
	out_be16(&out, 0x9293);
	out_be24(&out, 0x949596);
	out_be32(&out, 0x9798999a);
	out_be64(&out, 0x9b9c9d9e9fa0a1a2);
	out_bytes(&out, "xy", 2);
	out_zero(&out, 2);
	out_padded(&out, "ab", 4);
	assert_false(out.full);
	assert_int_equal(out.len, 26);
	assert_memory_equal(p,
			    "\x91\x92\x93\x94\x95\x96\x97\x98\x99\x9a\x9b\x9c\x9d\x9e\x9f\xa0\xa1"
			    "\xa2xy\0\0ab  ",
			    26);
	free(p);
}

static void drops_whole_what_does_not_fit(void **state)
{
	uint8_t *p = heap(5);
	struct bytes_out out = bytes_out(p, 5);

	(void)state;
	out_padded(&out, "longer", 3);
	assert_memory_equal(p, "lon\4\5", 5);
	out_be32(&out, 0xffffffff);
	assert_true(out.full);
	assert_int_equal(out.len, 3);
	assert_memory_equal(p, "lon\4\5", 5);
	out_u8(&out, 0); /* though there is room: what follows a gap is no answer */
	assert_int_equal(out.len, 3);
	assert_null(out_room(&out, SIZE_MAX));
	free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(network_order),
		cmocka_unit_test(reads_to_the_last_byte),
		cmocka_unit_test(stays_bad_once_bad),
		cmocka_unit_test(writes_to_the_last_byte),
		cmocka_unit_test(drops_whole_what_does_not_fit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
