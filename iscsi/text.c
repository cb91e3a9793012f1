/* SPDX-License-Identifier: Apache-2.0 */
#include "iscsi/text.h"
#include "iscsi/params.h"
#include <errno.h>

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(uint8_t c)
{
	return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

/* 0 to 15, or -1 */
static int hex_digit(uint8_t c)
{
	if (is_digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/*
 * A standard-label, RFC 7143 6.1, with the two liberties that the RFCs take themselves: a small
 * first letter (iSCSIProtocolLevel) and a '#' behind the X (X#NodeArchitecture).
 */
static bool key_is_sound(const char *key, size_t len)
{
	if (len == 0 || len > ISCSI_KEY_MAX || !is_letter((uint8_t)key[0]))
		return false;
	for (size_t i = 1; i < len; i++) {
		char c = key[i];

		if (is_letter((uint8_t)c) || is_digit((uint8_t)c))
			continue;
		if (c == '#' && i == 1 && key[0] == 'X')
			continue;
		if (c == '\0' || !strchr(".-+@_", c))
			return false;
	}
	return true;
}

int iscsi_text_next(struct bytes_in *in, struct iscsi_pair *ret_pair)
{
	const char *start = (const char *)in->p, *end, *equals;

	if (in->left == 0)
		return 0;
	end = memchr(start, '\0', in->left);
	if (!end)
		return -EPROTO;
	equals = memchr(start, '=', (size_t)(end - start));
	if (!equals || !key_is_sound(start, (size_t)(equals - start)))
		return -EPROTO;
	in_skip(in, (size_t)(end + 1 - start));
	*ret_pair = (struct iscsi_pair){
		.key = start,
		.key_len = (size_t)(equals - start),
		.value = equals + 1,
		.value_len = (size_t)(end - (equals + 1)),
	};
	return 1;
}

void iscsi_text_put(struct bytes_out *out, const char *key, const char *value)
{
	size_t key_len = strlen(key), value_len = strlen(value);
	/* In one piece: half a pair is worse than none. */
	uint8_t *p = out_room(out, key_len + 1 + value_len + 1);

	if (!p)
		return;
	memcpy(p, key, key_len);
	p[key_len] = '=';
	memcpy(p + key_len + 1, value, value_len + 1);
}

void iscsi_text_put_binary(struct bytes_out *out, const char *key, const uint8_t *bytes, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	size_t key_len = strlen(key);
	uint8_t *p = out_room(out, key_len + 3 + 2 * len + 1);

	if (!p)
		return;
	memcpy(p, key, key_len);
	memcpy(p + key_len, "=0x", 3);
	p += key_len + 3;
	for (size_t i = 0; i < len; i++) {
		*p++ = (uint8_t)digits[bytes[i] >> 4];
		*p++ = (uint8_t)digits[bytes[i] & 15];
	}
	*p = '\0';
}

bool iscsi_pair_is(const struct iscsi_pair *pair, const char *key)
{
	return strlen(key) == pair->key_len && memcmp(pair->key, key, pair->key_len) == 0;
}

bool iscsi_pair_value_is(const struct iscsi_pair *pair, const char *value)
{
	return strlen(value) == pair->value_len && memcmp(pair->value, value, pair->value_len) == 0;
}

/* RFC 7143 6.1: a decimal-constant has no leading zero, a hex-constant may. */
int iscsi_pair_number(const struct iscsi_pair *pair, uint32_t *ret_number)
{
	const uint8_t *p = (const uint8_t *)pair->value, *end = p + pair->value_len;
	unsigned base = 10;
	uint64_t n = 0;

	if (pair->value_len > 2 && p[0] == '0' && (p[1] | 0x20) == 'x') {
		base = 16;
		p += 2;
	} else if (pair->value_len == 0 || (pair->value_len > 1 && p[0] == '0')) {
		return -EPROTO;
	}
	for (; p < end; p++) {
		int digit = base == 16 || is_digit(*p) ? hex_digit(*p) : -1;

		if (digit < 0)
			return -EPROTO;
		n = n * base + (unsigned)digit;
		if (n > UINT32_MAX)
			return -EPROTO;
	}
	*ret_number = (uint32_t)n;
	return 0;
}

/* An odd number of digits has a zero in front: the length in bytes is (n + 1) / 2. */
static int hex_binary(const uint8_t *p, size_t n, uint8_t *ret_bytes, size_t cap, size_t *ret_len)
{
	size_t len = n / 2 + n % 2, odd = n % 2;

	if (n == 0 || len > cap)
		return -EPROTO;
	for (size_t i = 0; i < len; i++) {
		int high = i == 0 && odd ? 0 : hex_digit(p[2 * i - odd]);
		int low = hex_digit(p[2 * i + 1 - odd]);

		if (high < 0 || low < 0)
			return -EPROTO;
		ret_bytes[i] = (uint8_t)(high << 4 | low);
	}
	*ret_len = len;
	return 0;
}

/* 0 to 63, or -1 */
static int base64_digit(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (is_digit(c))
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/*
 * Groups of four digits for three bytes; of the last, one or two may be padding. The bits that
 * padding leaves over are zeroes, so that a value has one encoding.
 */
static int base64_binary(const uint8_t *p, size_t n, uint8_t *ret_bytes, size_t cap,
			 size_t *ret_len)
{
	size_t pad = 0, len;

	if (n == 0 || n % 4)
		return -EPROTO;
	while (pad < 2 && p[n - 1 - pad] == '=')
		pad++;
	len = n / 4 * 3 - pad;
	if (len > cap)
		return -EPROTO;
	for (size_t i = 0; i < n; i += 4) {
		size_t digits = i + 4 == n ? 4 - pad : 4;
		uint32_t group = 0;

		for (size_t j = 0; j < 4; j++) {
			int digit = j < digits ? base64_digit(p[i + j]) : 0;

			if (digit < 0)
				return -EPROTO;
			group = group << 6 | (uint32_t)digit;
		}
		if (digits < 4 && group & (digits == 3 ? 0xff : 0xffff))
			return -EPROTO;
		for (size_t j = 0; j < digits - 1; j++)
			*ret_bytes++ = (uint8_t)(group >> (16 - 8 * j));
	}
	*ret_len = len;
	return 0;
}

int iscsi_pair_binary(const struct iscsi_pair *pair, uint8_t *ret_bytes, size_t cap,
		      size_t *ret_len)
{
	const uint8_t *p = (const uint8_t *)pair->value;

	if (pair->value_len < 2 || p[0] != '0')
		return -EPROTO;
	if ((p[1] | 0x20) == 'x')
		return hex_binary(p + 2, pair->value_len - 2, ret_bytes, cap, ret_len);
	if ((p[1] | 0x20) == 'b')
		return base64_binary(p + 2, pair->value_len - 2, ret_bytes, cap, ret_len);
	return -EPROTO;
}

/*
 * Bytes of the UTF-8 character at @p, whose first byte is not ASCII; 0 when it is malformed,
 * too long a form, a surrogate, past U+10FFFF, or one of the control characters up to U+009F.
 */
static size_t utf8_len(const uint8_t *p, size_t left)
{
	size_t len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	static const uint32_t least[] = {[2] = 0xa0, [3] = 0x800, [4] = 0x10000};
	uint32_t c;

	if (p[0] < 0xc2 || p[0] > 0xf4 || left < len)
		return 0;
	c = p[0] & (0xffu >> (len + 1));
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	return len;
}

/*
 * Folds and checks the alphabet of RFC 3722: letters, digits, '-', '.', ':' and what is beyond
 * ASCII (taken as it stands, in whatever case). '_' is not in it, but hosts are named so, and a
 * name is only ever compared.
 */
static bool name_fold(const char *name, size_t len, char *ret_name)
{
	for (size_t i = 0; i < len;) {
		uint8_t c = (uint8_t)name[i];
		size_t n = 1;

		if (c >= 0x80)
			n = utf8_len((const uint8_t *)name + i, len - i);
		else if (!is_letter(c) && !is_digit(c) && (c == '\0' || !strchr("-.:_", c)))
			n = 0;
		if (n == 0)
			return false;
		memcpy(ret_name + i, name + i, n);
		if (is_letter(c))
			ret_name[i] = (char)(c | 0x20);
		i += n;
	}
	ret_name[len] = '\0';
	return true;
}

static bool all_hex(const char *s)
{
	for (; *s; s++)
		if (hex_digit((uint8_t)*s) < 0)
			return false;
	return true;
}

/*
 * RFC 7143 4.2.7.3: iqn. and a name; eui. and 16 hexadecimal digits; naa. and 16 or 32. The date
 * inside an iqn. name is not looked at: too many are made up by hand.
 */
static bool name_has_form(const char *name, size_t len)
{
	if (len <= 4)
		return false;
	if (memcmp(name, "iqn.", 4) == 0)
		return true;
	if (memcmp(name, "eui.", 4) == 0)
		return len == 4 + 16 && all_hex(name + 4);
	if (memcmp(name, "naa.", 4) == 0)
		return (len == 4 + 16 || len == 4 + 32) && all_hex(name + 4);
	return false;
}

int iscsi_name_normalize(const char *name, size_t len, char *ret_name)
{
	char folded[ISCSI_NAME_MAX + 1];

	if (len > ISCSI_NAME_MAX || !name_fold(name, len, folded) || !name_has_form(folded, len))
		return -EINVAL;
	memcpy(ret_name, folded, len + 1);
	return 0;
}
