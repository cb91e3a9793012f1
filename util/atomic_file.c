/* SPDX-License-Identifier: Apache-2.0 */
#include "util/atomic_file.h"
#include "util/bytes.h"
#include "util/cleanup.h"
#include "util/crc32c.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum {
	HEADER_LEN = 16, /* magic, length and CRC32C of the payload */
	MODE = 0600,
	NAME_MAX_LEN = 200,
};

static const uint8_t magic[8] = "duotgt\0\1";

static int open_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static bool name_is_good(const char *name)
{
	size_t len = strlen(name);

	return len && len < NAME_MAX_LEN && name[0] != '.' && !strchr(name, '/');
}

static int write_all(int fd, const uint8_t *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

ssize_t file_read_all(int fd, void *ret_data, size_t len)
{
	uint8_t *data = ret_data;
	size_t got = 0;

	while (got < len) {
		ssize_t n = read(fd, data + got, len - got);

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

static int write_new(int dir_fd, const char *temporary, const void *data, size_t len)
{
	scoped(close) int fd = openat(dir_fd, temporary,
				      O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, MODE);
	uint8_t header[HEADER_LEN];
	int r;

	if (fd < 0)
		return -errno;
	memcpy(header, magic, sizeof(magic));
	be32_put(header + 8, (uint32_t)len);
	be32_put(header + 12, crc32c(data, len));
	if (fchmod(fd, MODE) < 0) /* one that a crash left may be of any mode */
		return -errno;
	r = write_all(fd, header, sizeof(header));
	if (r == 0)
		r = write_all(fd, data, len);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r;
}

int atomic_file_write(const char *dir, const char *name, const void *data, size_t len)
{
	scoped(close) int dir_fd = -1;
	char temporary[NAME_MAX_LEN + 8];
	int r;

	if (!name_is_good(name) || len > ATOMIC_FILE_MAX)
		return -EINVAL;
	dir_fd = open_dir(dir);
	if (dir_fd < 0)
		return dir_fd;
	/* Always the same, so that crashes leave one behind at most. */
	snprintf(temporary, sizeof(temporary), ".%s.new", name);
	r = write_new(dir_fd, temporary, data, len);
	if (r == 0 && renameat(dir_fd, temporary, dir_fd, name) < 0)
		r = -errno;
	if (r < 0) {
		unlinkat(dir_fd, temporary, 0);
		return r;
	}
	return fsync(dir_fd) < 0 ? -errno : 0;
}

int atomic_file_read(const char *dir, const char *name, void *buf, size_t cap, size_t *ret_len)
{
	scoped(close) int dir_fd = -1, fd = -1;
	uint8_t header[HEADER_LEN];
	struct stat st;
	uint32_t len;
	ssize_t n;

	if (!name_is_good(name))
		return -EINVAL;
	dir_fd = open_dir(dir);
	if (dir_fd < 0)
		return dir_fd;
	fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = file_read_all(fd, header, sizeof(header));
	if (n < 0)
		return (int)n;
	if (n < HEADER_LEN || memcmp(header, magic, sizeof(magic)) != 0)
		return -EBADMSG;
	len = be32_get(header + 8);
	if (fstat(fd, &st) < 0)
		return -errno;
	if (len > ATOMIC_FILE_MAX || st.st_size != HEADER_LEN + (off_t)len)
		return -EBADMSG;
	if (len > cap)
		return -EFBIG;
	n = file_read_all(fd, buf, len);
	if (n < 0)
		return (int)n;
	if ((size_t)n < len || crc32c(buf, len) != be32_get(header + 12))
		return -EBADMSG;
	*ret_len = len;
	return 0;
}

bool atomic_file_exists(const char *dir, const char *name)
{
	scoped(close) int dir_fd = open_dir(dir);
	struct stat st;

	return dir_fd < 0 || fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ||
	       errno != ENOENT;
}

int atomic_file_remove(const char *dir, const char *name)
{
	scoped(close) int dir_fd = -1;

	if (!name_is_good(name))
		return -EINVAL;
	dir_fd = open_dir(dir);
	if (dir_fd < 0)
		return dir_fd;
	if (unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
		return -errno;
	return fsync(dir_fd) < 0 ? -errno : 0;
}
