/* SPDX-License-Identifier: Apache-2.0 */
#include "scsi/crypt/key_file.h"
#include "util/cleanup.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
	HEX_LEN = 2 * CRYPT_FILE_KEY_LEN,
	READ_MAX = HEX_LEN + 2, /* a line end, and a byte that is too much */
	FOR_OTHERS = 077,	/* of a mode */
};

__attribute__((format(printf, 4, 5))) static int refuse(int r, char *ret_why, size_t why_len,
							const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(ret_why, why_len, format, args);
	va_end(args);
	return r;
}

/* Who can read it reads all disks, and who can write it makes them unreadable. */
static int judge(const char *path, int fd, char *ret_why, size_t why_len)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return refuse(-errno, ret_why, why_len, "key file %s: %m", path);
	if (!S_ISREG(st.st_mode))
		return refuse(-EINVAL, ret_why, why_len, "key file %s: is not a regular file",
			      path);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return refuse(-EPERM, ret_why, why_len,
			      "key file %s: belongs to user %u, expected root or user %u", path,
			      st.st_uid, geteuid());
	if (st.st_mode & FOR_OTHERS)
		return refuse(-EPERM, ret_why, why_len,
			      "key file %s: its mode %04o gives it to others, expected 0600 or "
			      "0400 (chmod 600 would do)",
			      path, st.st_mode & 07777);
	return 0;
}

/* Return: how much there was; -errno. */
static ssize_t read_all(int fd, uint8_t *buf, size_t len)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = read(fd, buf + got, len - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

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
	scoped(close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	uint8_t buf[READ_MAX], key[CRYPT_FILE_KEY_LEN];
	bool good = false;
	ssize_t n;
	int r;

	if (fd < 0)
		return refuse(-errno, ret_why, why_len, "key file %s: %m", path);
	r = judge(path, fd, ret_why, why_len);
	if (r < 0)
		return r;
	n = read_all(fd, buf, sizeof(buf));
	if (n >= 0)
		good = decode(buf, (size_t)n, key);
	if (good)
		memcpy(ret_key, key, sizeof(key));
	explicit_bzero(buf, sizeof(buf));
	explicit_bzero(key, sizeof(key));
	if (good)
		return 0;
	if (n < 0) {
		errno = (int)-n;
		return refuse((int)n, ret_why, why_len, "key file %s: %m", path);
	}
	return refuse(-EINVAL, ret_why, why_len,
		      "key file %s: expected 32 bytes, or 64 hexadecimal digits (openssl rand "
		      "-hex 32 makes them)",
		      path);
}
