/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies between files without their data passing through here. Where the file system can let two
 * files share their blocks, a copy of any size takes a moment and no space.
 */
#include "scsi/backend/file.h"
#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP_MAX (UINT64_C(4) << 20) /* of what is really copied, so that it can be stopped */

struct copy {
	int from, to;
	uint64_t from_at, to_at, len;
};

/* Where blocks begin; file systems share whole ones. */
static uint64_t unit_of(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || st.st_blksize < 512 || (st.st_blksize & (st.st_blksize - 1)))
		return 4096;
	return (uint64_t)st.st_blksize;
}

/* Only as far as blocks begin at the same places on both sides. */
static int share(const struct copy *copy, uint64_t unit, uint64_t *ret_len)
{
	struct file_clone_range range = {
		.src_fd = copy->from,
		.src_offset = copy->from_at,
		.src_length = copy->len / unit * unit,
		.dest_offset = copy->to_at,
	};

	if (!range.src_length || copy->from_at % unit || copy->to_at % unit)
		return -EINVAL;
	if (ioctl(copy->to, FICLONERANGE, &range) < 0)
		return -errno;
	*ret_len = range.src_length;
	return 0;
}

/* How much to copy before sharing can begin, at most @len. */
static uint64_t before_unit(const struct copy *copy, uint64_t unit, uint64_t len)
{
	uint64_t head = (unit - copy->from_at % unit) % unit;

	if (!head || copy->from_at % unit != copy->to_at % unit)
		return len;
	return head < len ? head : len;
}

static int copy_range(const struct copy *copy, uint64_t len, uint64_t *ret_len)
{
	off_t from = (off_t)copy->from_at, to = (off_t)copy->to_at;
	ssize_t n;

	do {
		n = copy_file_range(copy->from, &from, copy->to, &to, len, 0);
	} while (n < 0 && errno == EINTR);
	if (n > 0) {
		*ret_len = (uint64_t)n;
		return 0;
	}
	if (n ==
	    0) /* past the end of the source, or of a kind that has no contents to the kernel */
		return -EOPNOTSUPP;
	switch (errno) {
	case EDQUOT:
		return -ENOSPC;
	case EINVAL: /* what this file system, or this pair of files, does not do */
	case ENOSYS:
	case EBADF:
		return -EOPNOTSUPP;
	default:
		return -errno;
	}
}

int file_store_copy(void *from_store, uint64_t from_offset, void *to_store, uint64_t to_offset,
		    uint64_t len, uint64_t *ret_len)
{
	const struct file_store *from = from_store, *to = to_store;
	struct copy copy = {from->fd, to->fd, from_offset, to_offset, len};
	uint64_t unit;

	if (from->borrowed || to->borrowed) /* the kernel need not know their descriptors */
		return -EOPNOTSUPP;
	unit = unit_of(to->fd);
	if (share(&copy, unit, ret_len) == 0)
		return 0;
	len = before_unit(&copy, unit, len < STEP_MAX ? len : STEP_MAX);
	return copy_range(&copy, len, ret_len);
}
