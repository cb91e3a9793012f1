/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a flat file: making it, locking it, learning what it can do. */
#include "scsi/backend/backends.h"
#include "scsi/backend/file.h"
#include "util/cleanup.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

enum { NEW_FILE_MODE = 0600 }; /* a disk holds what its owner alone may read */

/* One opening, from its parameters to the store. */
struct opening {
	const struct duotgt_backend_params *params;
	char *why;
	size_t why_len;
	int fd;
	bool made; /* the file is new: removed if something goes wrong */
	struct stat st;
};

/* Gives @r back, with "path: text" for the operator. */
__attribute__((format(printf, 3, 4))) static int refuse(const struct opening *o, int r,
							const char *format, ...)
{
	char text[160];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return backend_refuse(r, o->why, o->why_len, "%s: %s", o->params->path, text);
}

/* ---- the descriptor ---- */

static int check_kind(const struct opening *o, mode_t mode)
{
	if (S_ISREG(mode))
		return 0;
	if (S_ISDIR(mode))
		return refuse(o, -EISDIR, "is a directory");
	if (S_ISBLK(mode))
		return refuse(o, -EINVAL, "is a block device (block:%s serves it)",
			      o->params->path);
	return refuse(o, -EINVAL, "is not a regular file");
}

static int why_not_open(const struct opening *o, int r)
{
	switch (r) {
	case -ENOENT:
		return refuse(o, r, "does not exist");
	case -EROFS:
		return refuse(o, r, "is on a read-only file system");
	default:
		return refuse(o, r, "cannot be opened%s: %s",
			      o->params->read_only ? "" : " for writing", strerror(-r));
	}
}

static int open_existing(struct opening *o)
{
	/* O_NONBLOCK: should the file turn into a FIFO just now, opening it does not hang. */
	int flags = (o->params->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	int r;

	if (stat(o->params->path, &o->st) < 0)
		return -errno;
	r = check_kind(o, o->st.st_mode);
	if (r < 0)
		return r;
	o->fd = open(o->params->path, flags);
	if (o->fd < 0 || fstat(o->fd, &o->st) < 0)
		return why_not_open(o, -errno);
	r = check_kind(o, o->st.st_mode);
	if (r < 0)
		return r;
	return fcntl(o->fd, F_SETFL, flags & ~O_NONBLOCK) < 0 ? why_not_open(o, -errno) : 0;
}

static int open_or_make(struct opening *o)
{
	int r = open_existing(o);

	if (r != -ENOENT || !o->params->create || o->params->read_only)
		return r == -ENOENT ? why_not_open(o, r) : r;
	if (!o->params->size)
		return refuse(o, r, "does not exist, and no size is given to make it");
	o->fd = open(o->params->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, NEW_FILE_MODE);
	if (o->fd < 0)
		return refuse(o, -errno, "cannot be made: %s", strerror(errno));
	o->made = true;
	return fstat(o->fd, &o->st) < 0 ? why_not_open(o, -errno) : 0;
}

/*
 * A lock on the open file description, so that two openings conflict even in one process; on the
 * whole file, so that it conflicts with the byte locks of QEMU as well.
 */
static int lock(const struct opening *o)
{
	struct flock wanted = {.l_type = o->params->read_only ? F_RDLCK : F_WRLCK,
			       .l_whence = SEEK_SET};
	struct flock other = wanted;
	int r;

	if (fcntl(o->fd, F_OFD_SETLK, &wanted) == 0)
		return 0;
	r = -errno;
	if (r != -EAGAIN && r != -EACCES)
		return refuse(o, r, "cannot be locked: %s", strerror(-r));
	if (fcntl(o->fd, F_OFD_GETLK, &other) == 0 && other.l_type != F_UNLCK && other.l_pid > 0)
		return refuse(o, -EBUSY, "is in use by another process (pid %d)", (int)other.l_pid);
	return refuse(o, -EBUSY, "is in use by another process");
}

/* ---- size ---- */

static int sync_folder(const char *path)
{
	scoped(free) char *copy = strdup(path);
	scoped(close) int fd = -1;

	if (!copy)
		return -ENOMEM;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* Gives a new file its size, for good. */
static int make_size(struct opening *o)
{
	off_t size = (off_t)o->params->size;
	int r;

	if (o->params->thin)
		r = ftruncate(o->fd, size) < 0 ? -errno : 0;
	else
		r = -posix_fallocate(o->fd, 0, size);
	if (r == 0 && (fsync(o->fd) < 0 || fstat(o->fd, &o->st) < 0))
		r = -errno;
	if (r == 0)
		r = sync_folder(o->params->path);
	if (r < 0)
		return refuse(o, r, "cannot be made %" PRIu64 " bytes long: %s", o->params->size,
			      strerror(-r));
	return 0;
}

static int settle_size(struct opening *o)
{
	/* A file without a byte is one whose making was cut short. */
	bool is_new = o->made || (o->params->create && !o->params->read_only && !o->st.st_size);
	uint64_t size = o->params->size;

	if (size > INT64_MAX)
		return refuse(o, -EFBIG, "no file is %" PRIu64 " bytes long", size);
	if (size && is_new)
		return make_size(o);
	if ((uint64_t)o->st.st_size < size)
		return refuse(o, -EINVAL,
			      "has %" PRIu64 " bytes, fewer than the %" PRIu64 " asked for",
			      (uint64_t)o->st.st_size, size);
	return 0;
}

/* ---- what it can do ---- */

/* Tried past the end, where there is nothing to lose. */
static bool can_punch_holes(const struct opening *o)
{
	return !o->params->read_only && fallocate(o->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
						  o->st.st_size, o->st.st_blksize) == 0;
}

static void fill_info(const struct opening *o, struct duotgt_backend_info *info)
{
	uint32_t unit = o->st.st_blksize < 4096 ? (uint32_t)o->st.st_blksize : 4096;
	struct statfs fs;

	*info = (struct duotgt_backend_info){
		.size = o->params->size ? o->params->size : (uint64_t)o->st.st_size,
		.read_only = o->params->read_only,
		.volatile_cache = true,
		.can_discard = can_punch_holes(o),
		.rotational = backend_queue_limit(o->st.st_dev, "rotational", 0) != 0,
		.physical_block = unit,
		.discard_granularity = unit,
	};
	/* The file system's own number holds across reboots; the device's may not. */
	if (fstatfs(o->fd, &fs) == 0)
		snprintf(info->identity, sizeof(info->identity), "%08x%08x-%" PRIu64,
			 (unsigned)fs.f_fsid.__val[0], (unsigned)fs.f_fsid.__val[1],
			 (uint64_t)o->st.st_ino);
}

static int open_steps(struct opening *o, struct duotgt_backend_info *info,
		      struct file_store **ret_store)
{
	int r = open_or_make(o);

	if (r < 0)
		return r;
	r = lock(o);
	if (r < 0)
		return r;
	r = settle_size(o);
	if (r < 0)
		return r;
	fill_info(o, info);
	r = file_store_new(o->fd, info, ret_store);
	if (r < 0)
		return r;
	o->fd = -1;
	(*ret_store)->thin = o->params->thin;
	if (!o->params->direct)
		return 0;
	r = file_store_set_direct(*ret_store, o->params, 0, o->why, o->why_len);
	if (r < 0)
		file_store_close(*ret_store);
	return r;
}

static int file_open(const struct duotgt_backend_params *params, void **ret_store,
		     struct duotgt_backend_info *ret_info, char *ret_why, size_t why_len)
{
	struct opening o = {.params = params, .why = ret_why, .why_len = why_len, .fd = -1};
	struct duotgt_backend_info info;
	struct file_store *store;
	int r;

	r = *params->path ? open_steps(&o, &info, &store)
			  : backend_refuse(-EINVAL, ret_why, why_len, "file: needs a path");
	if (r < 0) {
		if (o.made)
			unlink(params->path);
		close_at_exit(&o.fd);
		return r;
	}
	*ret_store = store;
	*ret_info = info;
	return 0;
}

/* ---- a size that changes ---- */

static int file_size_now(void *arg, uint64_t *ret_size)
{
	const struct file_store *store = arg;
	struct stat st;

	if (fstat(store->fd, &st) < 0)
		return -errno;
	*ret_size = (uint64_t)st.st_size;
	return 0;
}

static int file_grow(void *arg, uint64_t size)
{
	const struct file_store *store = arg;
	struct stat st;
	int r;

	if (size > INT64_MAX)
		return -EFBIG;
	if (fstat(store->fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size >= size)
		return 0;
	if (store->thin)
		r = ftruncate(store->fd, (off_t)size) < 0 ? -errno : 0;
	else
		r = -posix_fallocate(store->fd, st.st_size, (off_t)size - st.st_size);
	if (r == 0 && fsync(store->fd) < 0)
		r = -errno;
	if (r < 0 && ftruncate(store->fd, st.st_size) < 0)
		return r; /* longer than it was, which does no harm */
	return r;
}

const struct duotgt_backend_ops file_backend_ops = {
	.abi = DUOTGT_BACKEND_ABI,
	.size = sizeof(struct duotgt_backend_ops),
	.type = "file",
	.open = file_open,
	.submit = file_store_submit,
	.extent = file_store_extent,
	.copy = file_store_copy,
	.space = file_store_space,
	.prefetch = file_store_prefetch,
	.numa_node = file_store_numa_node,
	.size_now = file_size_now,
	.grow = file_grow,
	.close = file_store_close,
};
