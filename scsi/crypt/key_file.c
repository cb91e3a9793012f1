/* SPDX-License-Identifier: Apache-2.0 */
#include "scsi/crypt/key_file.h"
#include "util/secret_file.h"
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum {
	HEX_LEN = 2 * CRYPT_FILE_KEY_LEN,
	READ_MAX = HEX_LEN + 2, /* a line end, and a byte that is too much */
};

static int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool from_hex(const uint8_t *text, uint8_t *ret_key)
{
	for (unsigned i = 0; i < CRYPT_FILE_KEY_LEN; i++) {
		int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		ret_key[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* Return: whether @len bytes are a key. */
static bool decode(const uint8_t *buf, size_t len, uint8_t *ret_key)
{
	if (len == CRYPT_FILE_KEY_LEN) {
		memcpy(ret_key, buf, len);
		return true;
	}
	if (len == HEX_LEN + 1 && buf[HEX_LEN] == '\n')
		len--;
	return len == HEX_LEN && from_hex(buf, ret_key);
}

int crypt_key_file_read(const char *path, uint8_t ret_key[CRYPT_FILE_KEY_LEN], char *ret_why,
			size_t why_len)
{
	uint8_t buf[READ_MAX], key[CRYPT_FILE_KEY_LEN];
	ssize_t n = secret_file_read("key file", path, buf, sizeof(buf), ret_why, why_len);
	bool good;

	if (n < 0)
		return (int)n;
	good = decode(buf, (size_t)n, key);
	if (good)
		memcpy(ret_key, key, sizeof(key));
	explicit_bzero(buf, sizeof(buf));
	explicit_bzero(key, sizeof(key));
	if (good)
		return 0;
	snprintf(ret_why, why_len,
		 "key file %s: expected 32 bytes, or 64 hexadecimal digits (openssl rand -hex 32 "
		 "makes them)",
		 path);
	return -EINVAL;
}
