/* SPDX-License-Identifier: Apache-2.0 */
/* The space a file takes and may take, and its way into the page cache. */
#include "scsi/backend/file.h"
#include "util/cleanup.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define PREFETCH_MAX (64u << 20) /* of a cache that others use, too */
#define PREFETCH_PIECE (1u << 20)

enum { STAT_UNIT = 512 }; /* of st_blocks, whatever the file system */

int file_store_space(void *arg, uint64_t *ret_used, uint64_t *ret_free)
{
	const struct file_store *store = arg;
	struct statvfs fs;
	struct stat st;

	if (fstat(store->fd, &st) < 0 || fstatvfs(store->fd, &fs) < 0)
		return -errno;
	*ret_used = (uint64_t)st.st_blocks * STAT_UNIT;
	*ret_free = (uint64_t)fs.f_bavail * fs.f_frsize;
	return 0;
}

/* Reading is the one way to know that it has come, and that it could be read. */
static int read_through(int fd, uint64_t offset, uint64_t len)
{
	scoped(free) char *buf = malloc(PREFETCH_PIECE);

	if (!buf)
		return -ENOSPC;
	while (len) {
		size_t piece = len < PREFETCH_PIECE ? len : PREFETCH_PIECE;
		ssize_t n = pread(fd, buf, piece, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENODATA;
		offset += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

int file_store_prefetch(void *arg, uint64_t offset, uint64_t len, bool wait)
{
	const struct file_store *store = arg;
	uint64_t fits = len < PREFETCH_MAX ? len : PREFETCH_MAX;
	int r;

	if (store->direct_fd >= 0)
		return -EOPNOTSUPP;
	r = -posix_fadvise(store->fd, (off_t)offset, (off_t)fits, POSIX_FADV_WILLNEED);
	if (r == 0 && wait)
		r = read_through(store->fd, offset, fits);
	return r == 0 && fits < len ? -ENOSPC : r;
}
