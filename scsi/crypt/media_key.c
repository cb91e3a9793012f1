/* SPDX-License-Identifier: Apache-2.0 */
#include "scsi/crypt/media_key.h"
#include "util/atomic_file.h"
#include "util/bytes.h"
#include "util/gcrypt.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

enum {
	/* what is wrapped: the key, the block length, zeroes */
	PLAIN_LEN = CRYPT_KEY_LEN + 8,
	WRAPPED_LEN = PLAIN_LEN + 8, /* RFC 3394 2.2.1: with the check value */

	/* the file: version, zeroes, what was wrapped */
	VERSION = 1,
	HEADER_LEN = 8,
	FILE_LEN = HEADER_LEN + WRAPPED_LEN,
};

int crypt_media_key_make(struct crypt_media_key *ret_key)
{
	struct crypt_media_key key;
	size_t got = 0;

	while (got < sizeof(key.bytes)) {
		ssize_t n = getrandom(key.bytes + got, sizeof(key.bytes) - got, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		got += (size_t)n;
	}
	*ret_key = key;
	explicit_bzero(&key, sizeof(key));
	return 0;
}

/* ---- wrapping ---- */

static int open_wrap(const uint8_t key[CRYPT_FILE_KEY_LEN], gcry_cipher_hd_t *ret_cipher)
{
	gcry_error_t error;

	gcrypt_init();
	error = gcry_cipher_open(ret_cipher, GCRY_CIPHER_AES256, GCRY_CIPHER_MODE_AESWRAP, 0);
	if (error)
		return gcrypt_errno(error);
	error = gcry_cipher_setkey(*ret_cipher, key, CRYPT_FILE_KEY_LEN);
	if (error)
		gcry_cipher_close(*ret_cipher);
	return gcrypt_errno(error);
}

static int wrap(const struct crypt_key_place *place, const struct crypt_media_key *key,
		uint8_t ret_wrapped[WRAPPED_LEN])
{
	uint8_t plain[PLAIN_LEN] = {0};
	gcry_cipher_hd_t cipher;
	gcry_error_t error;
	int r = open_wrap(place->wrapping, &cipher);

	if (r < 0)
		return r;
	memcpy(plain, key->bytes, CRYPT_KEY_LEN);
	be32_put(plain + CRYPT_KEY_LEN, place->block_size);
	error = gcry_cipher_encrypt(cipher, ret_wrapped, WRAPPED_LEN, plain, sizeof(plain));
	explicit_bzero(plain, sizeof(plain));
	gcry_cipher_close(cipher);
	return gcrypt_errno(error);
}

static int unwrap(const struct crypt_key_place *place, const uint8_t wrapped[WRAPPED_LEN],
		  struct crypt_media_key *ret_key)
{
	uint8_t plain[PLAIN_LEN];
	gcry_cipher_hd_t cipher;
	gcry_error_t error;
	int r = open_wrap(place->wrapping, &cipher);

	if (r < 0)
		return r;
	error = gcry_cipher_decrypt(cipher, plain, sizeof(plain), wrapped, WRAPPED_LEN);
	gcry_cipher_close(cipher);
	if (gcry_err_code(error) == GPG_ERR_CHECKSUM)
		r = -EKEYREJECTED;
	else if (error)
		r = gcrypt_errno(error);
	else if (be32_get(plain + CRYPT_KEY_LEN) != place->block_size)
		r = -EINVAL;
	else
		memcpy(ret_key->bytes, plain, CRYPT_KEY_LEN);
	explicit_bzero(plain, sizeof(plain));
	return r;
}

/* ---- the old one ---- */

static int overwrite(int dir_fd, const char *name, off_t len)
{
	static const uint8_t zeroes[512];
	scoped(close) int fd = openat(dir_fd, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	for (off_t at = 0; at < len;) {
		size_t left = (size_t)(len - at);
		ssize_t n = pwrite(fd, zeroes, left < sizeof(zeroes) ? left : sizeof(zeroes), at);

		if (n < 0 && errno != EINTR)
			return -errno;
		at += n < 0 ? 0 : n;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

/* Unless it is still the one, because no new one came to take its place. */
static int forget_old(const struct crypt_key_place *place)
{
	scoped(close) int dir_fd = open(place->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat now, old;
	int r;

	if (dir_fd < 0)
		return -errno;
	if (fstatat(dir_fd, place->old_name, &old, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstatat(dir_fd, place->name, &now, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (now.st_dev != old.st_dev || now.st_ino != old.st_ino) {
		r = overwrite(dir_fd, place->old_name, old.st_size);
		if (r < 0)
			return r;
	}
	if (unlinkat(dir_fd, place->old_name, 0) < 0)
		return -errno;
	return fsync(dir_fd) < 0 ? -errno : 0;
}

/* Its second name, so that it can be overwritten when the first is the new one's. */
static int keep_old(const struct crypt_key_place *place)
{
	scoped(close) int dir_fd = open(place->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir_fd < 0)
		return -errno;
	if (linkat(dir_fd, place->name, dir_fd, place->old_name, 0) < 0)
		return errno == ENOENT ? 0 : -errno;
	return fsync(dir_fd) < 0 ? -errno : 0;
}

/* ---- the file ---- */

int crypt_media_key_load(const struct crypt_key_place *place, struct crypt_media_key *ret_key)
{
	uint8_t file[FILE_LEN];
	size_t len;
	int r = atomic_file_read(place->dir, place->name, file, sizeof(file), &len);

	if (r == -EFBIG || (r == 0 && (len != FILE_LEN || be32_get(file) != VERSION)))
		r = -EBADMSG;
	if (r == 0)
		r = unwrap(place, file + HEADER_LEN, ret_key);
	/* A key that nobody can use is no reason to overwrite another. */
	return r == 0 ? forget_old(place) : r;
}

int crypt_media_key_store(const struct crypt_key_place *place, const struct crypt_media_key *key)
{
	uint8_t file[FILE_LEN] = {0};
	int r;

	be32_put(file, VERSION);
	r = wrap(place, key, file + HEADER_LEN);
	if (r == 0)
		r = forget_old(place); /* of an attempt that failed */
	if (r == 0)
		r = keep_old(place);
	if (r == 0)
		r = atomic_file_write(place->dir, place->name, file, sizeof(file));
	return r == 0 ? forget_old(place) : r;
}
