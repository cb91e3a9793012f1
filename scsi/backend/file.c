/* SPDX-License-Identifier: Apache-2.0 */
/*
 * I/O on a file descriptor. What the kernel leaves undone of a request is asked for again, until
 * all is done or it says why not.
 */
#include "scsi/backend/file.h"
#include "scsi/backend/backends.h"
#include "util/cleanup.h"
#include "util/engine.h"
#include "util/numa.h"
#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* In io->priv. */
struct request {
	struct engine_op op;
	struct engine *engine;
	const struct file_store *store;
	struct duotgt_io *io;
	uint64_t moved; /* bytes done */
	int first;	/* the segment that comes next */
	size_t into;	/* bytes of it that are done, and taken off its front */
};
_Static_assert(sizeof(struct request) <= sizeof(((struct duotgt_io *)0)->priv), "fits priv");

/* Direct I/O is picky; what does not suit it takes the page cache, which the kernel keeps true. */
static int pick_fd(const struct request *req, int *ret_flags)
{
	const struct file_store *store = req->store;
	const struct duotgt_io *io = req->io;
	uintptr_t mem = 0;
	uint64_t file = io->offset + req->moved;

	*ret_flags = store->fd_flags;
	if (store->direct_fd < 0)
		return store->fd;
	for (int i = req->first; i < io->n_iov; i++) {
		mem |= (uintptr_t)io->iov[i].iov_base;
		file |= io->iov[i].iov_len;
	}
	if (mem & (store->direct_mem_align - 1) || file & (store->direct_io_align - 1))
		return store->fd;
	*ret_flags = 0;
	return store->direct_fd;
}

static void queue(struct request *req)
{
	struct duotgt_io *io = req->io;
	const struct iovec *iov = io->iov + req->first;
	int n_iov = io->n_iov - req->first < IOV_MAX ? io->n_iov - req->first : IOV_MAX;
	uint64_t offset = io->offset + req->moved;
	int fd, flags;

	switch (io->kind) {
	case DUOTGT_IO_READ:
		fd = pick_fd(req, &flags);
		engine_readv(req->engine, &req->op, fd, iov, n_iov, offset, flags);
		break;
	case DUOTGT_IO_WRITE:
		fd = pick_fd(req, &flags);
		if (io->flags & DUOTGT_IO_FUA)
			flags |= ENGINE_WRITE_DSYNC;
		engine_writev(req->engine, &req->op, fd, iov, n_iov, offset, flags);
		break;
	case DUOTGT_IO_FLUSH:
		engine_flush(req->engine, &req->op, req->store->fd);
		break;
	case DUOTGT_IO_DISCARD:
		engine_discard(req->engine, &req->op, req->store->fd, io->offset, io->len);
		break;
	}
}

/* Puts back what was taken off the segment under way. */
static void restore(struct request *req)
{
	struct iovec *iov = req->io->iov + req->first;

	if (!req->into)
		return;
	iov->iov_base = (char *)iov->iov_base - req->into;
	iov->iov_len += req->into;
	req->into = 0;
}

static void advance(struct request *req, size_t n)
{
	req->moved += n;
	while (n) {
		struct iovec *iov = req->io->iov + req->first;
		size_t part = n < iov->iov_len ? n : iov->iov_len;

		iov->iov_base = (char *)iov->iov_base + part;
		iov->iov_len -= part;
		req->into += part;
		n -= part;
		if (!iov->iov_len) {
			restore(req);
			req->first++;
		}
	}
}

static bool moves_data(const struct duotgt_io *io)
{
	return io->kind == DUOTGT_IO_READ || io->kind == DUOTGT_IO_WRITE;
}

/* Whether the request is over, and how. */
static bool is_over(struct request *req, int res, int *ret_res)
{
	const struct duotgt_io *io = req->io;

	if (res == -EINTR)
		return false;
	*ret_res = res == -EDQUOT ? -ENOSPC : res;
	if (res < 0 || !moves_data(io))
		return true;
	if (res == 0) { /* the end of a file that was longer once; a write must make headway */
		*ret_res = io->kind == DUOTGT_IO_READ ? -ENODATA : -EIO;
		return true;
	}
	advance(req, (size_t)res);
	*ret_res = 0;
	return req->moved >= io->len;
}

static void request_done(struct engine_op *op, int res)
{
	struct request *req = container_of(op, struct request, op);

	if (!is_over(req, res, &res)) {
		queue(req);
		return;
	}
	restore(req);
	req->io->done(req->io, res);
}

void file_store_submit(void *arg, struct engine *engine, struct duotgt_io *io)
{
	const struct file_store *store = arg;
	struct request *req = (struct request *)io->priv;

	if (io->kind == DUOTGT_IO_DISCARD && !store->can_discard) {
		backend_done_later(engine, io, -EOPNOTSUPP);
		return;
	}
	if (io->kind != DUOTGT_IO_FLUSH && !io->len) {
		backend_done_later(engine, io, 0);
		return;
	}
	*req = (struct request){.engine = engine, .store = store, .io = io};
	req->op.done = request_done;
	queue(req);
}

void file_store_close(void *arg)
{
	struct file_store *store = arg;

	if (!store->borrowed) {
		close(store->fd);
		if (store->direct_fd >= 0)
			close(store->direct_fd);
	}
	free(store);
}

int file_store_extent(void *arg, uint64_t offset, uint64_t len, uint64_t *ret_len, bool *ret_stored)
{
	const struct file_store *store = arg;
	off_t data = lseek(store->fd, (off_t)offset, SEEK_DATA), end;

	if (data < 0 && errno != ENXIO)
		return -errno;
	*ret_stored = data == (off_t)offset;
	/* Past the last data there is one hole up to the end. */
	end = *ret_stored ? lseek(store->fd, (off_t)offset, SEEK_HOLE)
			  : (data < 0 ? (off_t)(offset + len) : data);
	if (end < 0)
		return -errno;
	*ret_len = (uint64_t)end - offset < len ? (uint64_t)end - offset : len;
	return 0;
}

int file_store_numa_node(void *arg)
{
	const struct file_store *store = arg;
	struct stat st;

	if (fstat(store->fd, &st) < 0)
		return -1;
	return numa_node_of_disk("/sys", S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev);
}

/* What the engine may count on. A descriptor that only an engine knows is of no file here. */
static int fd_flags(int fd)
{
	struct statfs fs;
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && fstatfs(fd, &fs) == 0 &&
	    (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC))
		return ENGINE_CACHED | ENGINE_IN_MEMORY;
	return ENGINE_CACHED;
}

int file_store_new(int fd, const struct duotgt_backend_info *info, struct file_store **ret_store)
{
	struct file_store *store = calloc(1, sizeof(*store));

	if (!store)
		return -ENOMEM;
	store->fd = fd;
	store->fd_flags = fd_flags(fd);
	store->direct_fd = -1;
	store->can_discard = info->can_discard;
	*ret_store = store;
	return 0;
}

int file_store_from_fd(int fd, const struct duotgt_backend_info *info, void **ret_store)
{
	struct file_store *store;
	int r = file_store_new(fd, info, &store);

	if (r < 0)
		return r;
	store->borrowed = true;
	*ret_store = store;
	return 0;
}
