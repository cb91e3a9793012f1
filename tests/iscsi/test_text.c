/* SPDX-License-Identifier: Apache-2.0 */
/* Text: pairs, numbers and names, sound ones and all others. */
#include "iscsi/params.h"
#include "iscsi/text.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka.h wants the three above first. */
#include <cmocka.h>

#define TEXT(s) s, sizeof(s) - 1

/* All of a text on the heap and to the byte, so that a sanitizer sees a read past its end. */
static int read_all(const char *text, size_t len, char *ret_seen, size_t cap)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct bytes_in in;
	struct iscsi_pair pair;
	size_t at = 0;
	int r;

	assert_non_null(copy);
	memcpy(copy, text, len);
	in = bytes_in(copy, len);
	ret_seen[0] = '\0';
	while ((r = iscsi_text_next(&in, &pair)) > 0)
		at += (size_t)snprintf(ret_seen + at, cap - at, "[%.*s|%.*s]", (int)pair.key_len,
				       pair.key, (int)pair.value_len, pair.value);
	free(copy);
	return r;
}

static void pairs_are_read(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		int r;
		const char *seen;
	} rows[] = {
		{TEXT(""), 0, ""},
		{TEXT("A=1\0"), 0, "[A|1]"},
		{TEXT("A=1\0Bc=\0"), 0, "[A|1][Bc|]"},
		{TEXT("A==b=c\0"), 0, "[A|=b=c]"},
		{TEXT("iSCSIProtocolLevel=1\0"), 0, "[iSCSIProtocolLevel|1]"},
		{TEXT("X-com.example.a-b_c+d@e=1\0"), 0, "[X-com.example.a-b_c+d@e|1]"},
		{TEXT("X#NodeArchitecture=a,b\0"), 0, "[X#NodeArchitecture|a,b]"},
		{TEXT("A=\xff\n\0"), 0, "[A|\xff\n]"}, /* a value is whatever its key allows */
		{TEXT("A=1"), -EPROTO, ""},
		{TEXT("A=1\0B=2"), -EPROTO, "[A|1]"},
		{TEXT("A\0"), -EPROTO, ""},
		{TEXT("\0"), -EPROTO, ""},
		{TEXT("A=1\0\0"), -EPROTO, "[A|1]"},
		{TEXT("=1\0"), -EPROTO, ""},
		{TEXT("1A=1\0"), -EPROTO, ""},
		{TEXT("-A=1\0"), -EPROTO, ""},
		{TEXT("A B=1\0"), -EPROTO, ""},
		{TEXT("A#B=1\0"), -EPROTO, ""},
		{TEXT("XA#B=1\0"), -EPROTO, ""},
		{TEXT("A\xc3\xa4=1\0"), -EPROTO, ""},
		{TEXT("A\0=1\0"), -EPROTO, ""},
	};
	char seen[256];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(read_all(rows[i].text, rows[i].len, seen, sizeof(seen)),
				 rows[i].r);
		assert_string_equal(seen, rows[i].seen);
	}
}

static void keys_have_63_bytes_at_most(void **state)
{
	char text[80], seen[160];

	(void)state;
	for (size_t len = 1; len <= 70; len++) {
		memset(text, 'K', len);
		memcpy(text + len, "=v", 3);
		assert_int_equal(read_all(text, len + 3, seen, sizeof(seen)),
				 len <= ISCSI_KEY_MAX ? 0 : -EPROTO);
	}
}

/* A text that is cut is complete only between its pairs. */
static void every_cut_is_noticed(void **state)
{
	static const char text[] = "InitiatorName=iqn.a\0SessionType=Normal\0X-a=1";
	char seen[160];

	(void)state;
	for (size_t len = 0; len <= sizeof(text); len++) {
		bool whole = len == 0 || text[len - 1] == '\0';

		assert_int_equal(read_all(text, len, seen, sizeof(seen)), whole ? 0 : -EPROTO);
	}
}

static void pairs_are_written_whole_or_not(void **state)
{
	uint8_t buf[16];

	(void)state;
	for (size_t cap = 0; cap <= sizeof(buf); cap++) {
		struct bytes_out out = bytes_out(buf, cap);

		memset(buf, 0xee, sizeof(buf));
		iscsi_text_put(&out, "Key", "value"); /* 10 bytes */
		assert_int_equal(out.full, cap < 10);
		assert_int_equal(out.len, cap < 10 ? 0 : 10);
		assert_memory_equal(buf, cap < 10 ? "\xee\xee\xee\xee" : "Key=value", 4);
		assert_int_equal(buf[10], 0xee);
	}
}

/* A value in the heap and to the byte. */
static int read_binary(const char *value, size_t cap, uint8_t *ret_bytes, size_t *ret_len)
{
	size_t len = strlen(value);
	struct iscsi_pair pair = {.value_len = len};
	char *copy = malloc(len ? len : 1);
	uint8_t *bytes = malloc(cap ? cap : 1);
	int r;

	assert_non_null(copy);
	assert_non_null(bytes);
	memcpy(copy, value, len);
	pair.value = copy;
	r = iscsi_pair_binary(&pair, bytes, cap, ret_len);
	if (r == 0)
		memcpy(ret_bytes, bytes, *ret_len);
	free(bytes);
	free(copy);
	return r;
}

static void binary_values_are_read(void **state)
{
	static const struct {
		const char *value;
		size_t len; /* 0: it is none */
		const char *bytes;
	} rows[] = {
		{"0x00", 1, "\0"},
		{"0xfF", 1, "\xff"},
		{"0X0123456789abcdefABCDEF", 11, "\x01\x23\x45\x67\x89\xab\xcd\xef\xab\xcd\xef"},
		{"0x1", 1, "\x01"}, /* odd: a zero in front */
		{"0xabc", 2, "\x0a\xbc"},
		{"0x00a", 2, "\0\x0a"},
		/* RFC 4648 10 */
		{"0bZg==", 1, "f"},
		{"0bZm8=", 2, "fo"},
		{"0BZm9v", 3, "foo"},
		{"0bZm9vYg==", 4, "foob"},
		{"0bZm9vYmE=", 5, "fooba"},
		{"0bZm9vYmFy", 6, "foobar"},
		{"0b+/+/", 3, "\xfb\xff\xbf"},
		{"0bAAAA", 3, "\0\0\0"},
		{"", 0, NULL},
		{"0", 0, NULL},
		{"0x", 0, NULL},
		{"0b", 0, NULL},
		{"1x00", 0, NULL},
		{"00", 0, NULL},
		{"17", 0, NULL},
		{"ff", 0, NULL},
		{"0xg0", 0, NULL},
		{"0x0g", 0, NULL},
		{"0xg", 0, NULL},
		{"0x 0", 0, NULL},
		{"0x0x00", 0, NULL},
		{"0bZ", 0, NULL},
		{"0bZg", 0, NULL},
		{"0bZg=", 0, NULL},
		{"0bZg===", 0, NULL},
		{"0bZ===", 0, NULL},
		{"0b====", 0, NULL},
		{"0bZh==", 0, NULL}, /* bits that are left over */
		{"0bZm9=", 0, NULL},
		{"0bZg==Zg==", 0, NULL},
		{"0bZ=8v", 0, NULL},
		{"0bZm9v====", 0, NULL},
		{"0bZm-_", 0, NULL},
		{"0bZm9\n", 0, NULL},
		{"0b\xffm9v", 0, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t cap = 0; cap <= 12; cap++) {
			bool good = rows[i].len > 0 && rows[i].len <= cap;
			uint8_t bytes[12];
			size_t len = 99;

			assert_int_equal(read_binary(rows[i].value, cap, bytes, &len),
					 good ? 0 : -EPROTO);
			assert_int_equal(len, good ? rows[i].len : 99);
			if (good)
				assert_memory_equal(bytes, rows[i].bytes, len);
		}
}

static void binary_values_are_written(void **state)
{
	(void)state;
	for (size_t cap = 0; cap <= 16; cap++) {
		char buf[16];
		struct bytes_out out = bytes_out(buf, cap);

		memset(buf, 0xee, sizeof(buf));
		iscsi_text_put_binary(&out, "Key", (const uint8_t *)"\x01\xaf\0", 3);
		assert_int_equal(out.full, cap < 13);
		assert_int_equal(out.len, cap < 13 ? 0 : 13);
		assert_memory_equal(buf, cap < 13 ? "\xee\xee\xee\xee" : "Key=0x01af00", 4);
		assert_string_equal(cap < 13 ? "Key=0x01af00" : buf, "Key=0x01af00");
		assert_int_equal((uint8_t)buf[13], 0xee);
	}
}

static void numbers_are_read(void **state)
{
	static const struct {
		const char *value;
		int r;
		uint32_t n;
	} rows[] = {
		{"0", 0, 0},
		{"1", 0, 1},
		{"8192", 0, 8192},
		{"4294967295", 0, UINT32_MAX},
		{"4294967296", -EPROTO, 0},
		{"18446744073709551617", -EPROTO, 0},
		{"0x0", 0, 0},
		{"0xff", 0, 255},
		{"0XfF", 0, 255},
		{"0xffffffff", 0, UINT32_MAX},
		{"0x100000000", -EPROTO, 0},
		{"0x0000000000000000000001", 0, 1},
		{"", -EPROTO, 0},
		{"0x", -EPROTO, 0},
		{"00", -EPROTO, 0},
		{"01", -EPROTO, 0},
		{"-1", -EPROTO, 0},
		{"+1", -EPROTO, 0},
		{" 1", -EPROTO, 0},
		{"1 ", -EPROTO, 0},
		{"12a", -EPROTO, 0},
		{"0xfg", -EPROTO, 0},
		{"0b1", -EPROTO, 0},
		{"1~2", -EPROTO, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct iscsi_pair pair = {.value = rows[i].value,
					  .value_len = strlen(rows[i].value)};
		uint32_t n = 12345;

		assert_int_equal(iscsi_pair_number(&pair, &n), rows[i].r);
		assert_int_equal(n, rows[i].r == 0 ? rows[i].n : 12345);
	}
}

static void names_are_folded_and_checked(void **state)
{
	static const struct {
		const char *name, *folded; /* NULL: refused */
	} rows[] = {
		{"iqn.2016-09.com.example:disk-1", "iqn.2016-09.com.example:disk-1"},
		{"IQN.2016-09.COM.Example:DISK", "iqn.2016-09.com.example:disk"},
		{"iqn.2016-09.com.example:my_host", "iqn.2016-09.com.example:my_host"},
		{"iqn.x", "iqn.x"},
		{"iqn.2016-09.de.stra\xc3\x9f"
		 "e",
		 "iqn.2016-09.de.stra\xc3\x9f"
		 "e"},
		{"iqn.\xf0\x9f\x92\xbe", "iqn.\xf0\x9f\x92\xbe"},
		{"eui.02004567A425678D", "eui.02004567a425678d"},
		{"naa.52004567BA64678D", "naa.52004567ba64678d"},
		{"naa.62004567BA64678D0123456789ABCDEF", "naa.62004567ba64678d0123456789abcdef"},
		{"", NULL},
		{"iqn.", NULL},
		{"iqn", NULL},
		{"iqnx", NULL},
		{"disk1", NULL},
		{"foo.bar", NULL},
		{"iqn.a b", NULL},
		{"iqn.a,b", NULL},
		{"iqn.a/b", NULL},
		{"iqn.a\nb", NULL},
		{"iqn.a\x7f", NULL},
		{"iqn.a\"b", NULL},
		{"iqn.\xc3", NULL},		/* cut short */
		{"iqn.\xc3(", NULL},		/* no continuation */
		{"iqn.\x80", NULL},		/* a continuation alone */
		{"iqn.\xc0\xaf", NULL},		/* too long a form of '/' */
		{"iqn.\xe0\x80\xaf", NULL},	/* the same */
		{"iqn.\xed\xa0\x80", NULL},	/* a surrogate */
		{"iqn.\xf4\x90\x80\x80", NULL}, /* past the last character */
		{"iqn.\xfc\x80\x80\x80", NULL}, /* a first byte that is none */
		{"iqn.\xc2\x85", NULL},		/* a control character */
		{"eui.02004567A425678", NULL},
		{"eui.02004567A425678D0", NULL},
		{"eui.02004567A425678G", NULL},
		{"naa.52004567BA64678", NULL},
		{"naa.52004567BA64678D0", NULL},
		{"naa.62004567BA64678D0123456789ABCDEX", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char folded[ISCSI_NAME_MAX + 1] = "untouched";
		int r = iscsi_name_normalize(rows[i].name, strlen(rows[i].name), folded);

		assert_int_equal(r, rows[i].folded ? 0 : -EINVAL);
		assert_string_equal(folded, rows[i].folded ? rows[i].folded : "untouched");
	}
}

static void names_have_223_bytes_at_most(void **state)
{
	char name[300] = "iqn.", folded[ISCSI_NAME_MAX + 1];

	(void)state;
	memset(name + 4, 'a', sizeof(name) - 4);
	assert_int_equal(iscsi_name_normalize(name, 222, folded), 0);
	assert_int_equal(iscsi_name_normalize(name, 223, folded), 0);
	assert_int_equal(strlen(folded), 223);
	assert_int_equal(iscsi_name_normalize(name, 224, folded), -EINVAL);
	assert_int_equal(iscsi_name_normalize("iqn.a\0b", 7, folded), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs_are_read),
		cmocka_unit_test(keys_have_63_bytes_at_most),
		cmocka_unit_test(every_cut_is_noticed),
		cmocka_unit_test(pairs_are_written_whole_or_not),
		cmocka_unit_test(binary_values_are_read),
		cmocka_unit_test(binary_values_are_written),
		cmocka_unit_test(numbers_are_read),
		cmocka_unit_test(names_are_folded_and_checked),
		cmocka_unit_test(names_have_223_bytes_at_most),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
