/* SPDX-License-Identifier: Apache-2.0 */
/* Direct I/O: a second descriptor that goes around the page cache, and what it asks for. */
#include "scsi/backend/backends.h"
#include "scsi/backend/file.h"
#include "util/cleanup.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum { SAFE_ALIGN = 4096 }; /* where the kernel does not tell */

/* Return: 0; -EOPNOTSUPP when the kernel says that there is no direct I/O on this file. */
static int ask_alignment(int fd, uint32_t sector, uint32_t *ret_mem, uint32_t *ret_io)
{
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) == 0 &&
	    stx.stx_mask & STATX_DIOALIGN) {
		if (!stx.stx_dio_offset_align || !stx.stx_dio_mem_align)
			return -EOPNOTSUPP;
		*ret_mem = stx.stx_dio_mem_align;
		*ret_io = stx.stx_dio_offset_align;
		return 0;
	}
	*ret_mem = SAFE_ALIGN;
	*ret_io = sector ? sector : SAFE_ALIGN;
	return 0;
}

static bool same_file(int a, int b)
{
	struct stat st_a, st_b;

	return fstat(a, &st_a) == 0 && fstat(b, &st_b) == 0 && st_a.st_dev == st_b.st_dev &&
	       st_a.st_ino == st_b.st_ino;
}

int file_store_set_direct(struct file_store *store, const struct duotgt_backend_params *params,
			  uint32_t sector, char *ret_why, size_t why_len)
{
	int flags = (params->read_only ? O_RDONLY : O_RDWR) | O_DIRECT | O_CLOEXEC;
	scoped(close) int fd = open(params->path, flags);
	int r = fd < 0 ? -errno : 0;

	if (r == 0 && !same_file(fd, store->fd))
		return backend_refuse(-EBUSY, ret_why, why_len,
				      "%s: was replaced while it was opened", params->path);
	if (r == 0)
		r = ask_alignment(fd, sector, &store->direct_mem_align, &store->direct_io_align);
	if (r == -EINVAL || r == -EOPNOTSUPP)
		return backend_refuse(r, ret_why, why_len,
				      "%s: direct I/O is not supported on this file", params->path);
	if (r < 0)
		return backend_refuse(r, ret_why, why_len,
				      "%s: cannot be opened for direct I/O: %s", params->path,
				      strerror(-r));
	if (params->block_size % store->direct_io_align)
		return backend_refuse(-EINVAL, ret_why, why_len,
				      "%s: direct I/O needs blocks of %u bytes here, not %u",
				      params->path, store->direct_io_align, params->block_size);
	store->direct_fd = steal_fd(&fd);
	return 0;
}
