/* SPDX-License-Identifier: Apache-2.0 */
/* A store in memory, gone with the process. */
#include "scsi/backend/backends.h"
#include "util/cleanup.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

struct ram_store {
	uint8_t *mem;
	uint64_t size;
	uint64_t page; /* bytes */
};

static int ram_open(const struct duotgt_backend_params *params, void **ret_store,
		    struct duotgt_backend_info *ret_info, char *ret_why, size_t why_len)
{
	scoped(free) struct ram_store *store = calloc(1, sizeof(*store));
	/* Thin: as much as is asked for, and trouble when it is all used. */
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | (params->thin ? MAP_NORESERVE : 0);

	if (!store)
		return -ENOMEM;
	if (!params->size || params->size > INT64_MAX)
		return backend_refuse(-EINVAL, ret_why, why_len, "ram: needs a size");
	store->size = params->size;
	store->page = (uint64_t)sysconf(_SC_PAGESIZE);
	store->mem = mmap(NULL, store->size, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (store->mem == MAP_FAILED)
		return backend_refuse(-errno, ret_why, why_len,
				      "ram: there is no memory for %" PRIu64 " bytes", store->size);
	*ret_info = (struct duotgt_backend_info){
		.size = store->size,
		.read_only = params->read_only,
		.can_discard = true,
		.discard_granularity = (uint32_t)store->page,
		.identity = "ram",
	};
	*ret_store = steal(store);
	return 0;
}

static void ram_read(const struct ram_store *store, const struct duotgt_io *io)
{
	const uint8_t *from = store->mem + io->offset;

	for (int i = 0; i < io->n_iov; from += io->iov[i++].iov_len)
		memcpy(io->iov[i].iov_base, from, io->iov[i].iov_len);
}

static void ram_write(struct ram_store *store, const struct duotgt_io *io)
{
	uint8_t *to = store->mem + io->offset;

	for (int i = 0; i < io->n_iov; to += io->iov[i++].iov_len)
		memcpy(to, io->iov[i].iov_base, io->iov[i].iov_len);
}

/* Whole pages go back to the system, and come again as zeroes; the edges are cleared. */
static void ram_discard(struct ram_store *store, uint64_t offset, uint64_t len)
{
	uint64_t end = offset + len;
	uint64_t first = (offset + store->page - 1) / store->page * store->page;
	uint64_t last = end / store->page * store->page;

	if (first >= last || madvise(store->mem + first, last - first, MADV_DONTNEED) < 0) {
		memset(store->mem + offset, 0, len);
		return;
	}
	memset(store->mem + offset, 0, first - offset);
	memset(store->mem + last, 0, end - last);
}

static void ram_submit(void *arg, struct engine *engine, struct duotgt_io *io)
{
	struct ram_store *store = arg;
	int res = 0;

	if (io->offset > store->size || io->len > store->size - io->offset)
		res = -ENODATA;
	else if (io->kind == DUOTGT_IO_READ)
		ram_read(store, io);
	else if (io->kind == DUOTGT_IO_WRITE)
		ram_write(store, io);
	else if (io->kind == DUOTGT_IO_DISCARD)
		ram_discard(store, io->offset, io->len);
	backend_done_later(engine, io, res);
}

static void ram_close(void *arg)
{
	struct ram_store *store = arg;

	munmap(store->mem, store->size);
	free(store);
}

const struct duotgt_backend_ops ram_backend_ops = {
	.abi = DUOTGT_BACKEND_ABI,
	.size = sizeof(struct duotgt_backend_ops),
	.type = "ram",
	.open = ram_open,
	.submit = ram_submit,
	.close = ram_close,
};
