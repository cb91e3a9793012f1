/* SPDX-License-Identifier: Apache-2.0 */
#include "util/bytes.h"
#include "util/crc32c.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* after the above: cmocka.h relies on them */
#include <cmocka.h>

/* RFC 7143, A.4: bytes of the CRC as they are sent */
static void rfc_examples(void **state)
{
	static const uint8_t read10[48] = {
		0x01, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00,
		0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x18, 0x28, 0x00, 0x00, 0x00,
		0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00};
	uint8_t buf[32], sent[4];

	(void)state;
	memset(buf, 0, 32);
	le32_put(sent, crc32c(buf, 32));
	assert_memory_equal(sent, "\xaa\x36\x91\x8a", 4);
	memset(buf, 0xff, 32);
	le32_put(sent, crc32c(buf, 32));
	assert_memory_equal(sent, "\x43\xab\xa8\x62", 4);
	for (int i = 0; i < 32; i++)
		buf[i] = (uint8_t)i;
	le32_put(sent, crc32c(buf, 32));
	assert_memory_equal(sent, "\x4e\x79\xdd\x46", 4);
	for (int i = 0; i < 32; i++)
		buf[i] = (uint8_t)(31 - i);
	le32_put(sent, crc32c(buf, 32));
	assert_memory_equal(sent, "\x5c\xdb\x3f\x11", 4);
	le32_put(sent, crc32c(read10, 48));
	assert_memory_equal(sent, "\x56\x3a\x96\xd9", 4);
}

/* Bit by bit, from the polynomial of RFC 7143 13.1 reversed. */
static uint32_t by_definition(const uint8_t *p, size_t len)
{
	uint32_t crc = 0xffffffff;

	while (len--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

/* All lengths around the change of method, at odd addresses. */
static void every_length(void **state)
{
	uint8_t buf[1100];

	(void)state;
	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)(i * 167 + i / 251);
	for (size_t len = 0; len < 1090; len++)
		assert_int_equal(crc32c(buf + len % 8, len), by_definition(buf + len % 8, len));
}

static void any_split(void **state)
{
	static uint8_t buf[9000];
	uint32_t whole;

	(void)state;
	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)(i * 31 + i / 256);
	whole = crc32c(buf, sizeof(buf));
	for (size_t at = 0; at <= sizeof(buf); at += 1 + at / 16) {
		uint32_t crc = crc32c_update(CRC32C_SEED, buf, at);

		crc = crc32c_update(crc, buf + at, sizeof(buf) - at);
		assert_int_equal(crc32c_end(crc), whole);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc_examples),
		cmocka_unit_test(every_length),
		cmocka_unit_test(any_split),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
