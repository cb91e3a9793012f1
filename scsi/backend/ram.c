/* SPDX-License-Identifier: Apache-2.0 */
/* A store in memory, gone with the process. */
#include "scsi/backend/backends.h"
#include "util/cleanup.h"
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

struct ram_store {
	uint8_t *mem;
	uint64_t size;
	uint64_t page;		   /* bytes */
	_Atomic(uint64_t) *stored; /* a bit per page that was written: the others are zeroes */
};

/* ---- which pages were written ---- */

static uint64_t n_words(const struct ram_store *store)
{
	return (store->size / store->page + 64) / 64;
}

static bool is_stored(const struct ram_store *store, uint64_t page)
{
	return atomic_load(&store->stored[page / 64]) >> page % 64 & 1;
}

/*
 * A write marks its pages when it is done, and a discard clears them before it begins: wherever
 * the two meet, a page that is not zero is marked.
 */
static void mark_stored(struct ram_store *store, uint64_t offset, uint64_t len)
{
	for (uint64_t page = offset / store->page; page * store->page < offset + len; page++)
		if (!is_stored(store, page))
			atomic_fetch_or(&store->stored[page / 64], UINT64_C(1) << page % 64);
}

static void clear_stored(struct ram_store *store, uint64_t first, uint64_t end)
{
	for (; first < end; first++)
		atomic_fetch_and(&store->stored[first / 64], ~(UINT64_C(1) << first % 64));
}

/* ---- */

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
	store->stored = calloc(n_words(store), sizeof(store->stored[0]));
	if (!store->stored) {
		munmap(store->mem, store->size);
		return -ENOMEM;
	}
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
	mark_stored(store, io->offset, io->len);
}

/* Whole pages go back to the system, and come again as zeroes; the edges are cleared. */
static void ram_discard(struct ram_store *store, uint64_t offset, uint64_t len)
{
	uint64_t end = offset + len;
	uint64_t first = (offset + store->page - 1) / store->page * store->page;
	uint64_t last = end / store->page * store->page;

	if (first < last)
		clear_stored(store, first / store->page, last / store->page);
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
	free(store->stored);
	free(store);
}

/* In steps, so that a long copy can be stopped. */
static int ram_copy(void *from_store, uint64_t from_offset, void *to_store, uint64_t to_offset,
		    uint64_t len, uint64_t *ret_len)
{
	enum { STEP_MAX = 4 << 20 };
	const struct ram_store *from = from_store;
	struct ram_store *to = to_store;

	if (len > STEP_MAX)
		len = STEP_MAX;
	memmove(to->mem + to_offset, from->mem + from_offset, len);
	mark_stored(to, to_offset, len);
	*ret_len = len;
	return 0;
}

/* ---- what takes memory ---- */

static int ram_extent(void *arg, uint64_t offset, uint64_t len, uint64_t *ret_len, bool *ret_stored)
{
	const struct ram_store *store = arg;
	uint64_t page = offset / store->page, end = offset + len;
	bool stored = is_stored(store, page);

	while (++page * store->page < end && is_stored(store, page) == stored)
		;
	*ret_stored = stored;
	*ret_len = page * store->page < end ? page * store->page - offset : len;
	return 0;
}

/* What the kernel could find for us without swapping, in bytes. */
static uint64_t memory_available(void)
{
	uint64_t kib = (uint64_t)sysconf(_SC_AVPHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) >> 10;
	FILE *f = fopen("/proc/meminfo", "re");
	char line[128];

	if (!f)
		return kib << 10;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %" SCNu64, &kib) == 1)
			break;
	fclose(f);
	return kib << 10;
}

static int ram_space(void *arg, uint64_t *ret_used, uint64_t *ret_free)
{
	const struct ram_store *store = arg;
	uint64_t n_pages = 0;

	for (uint64_t i = 0; i < n_words(store); i++)
		n_pages += (unsigned)__builtin_popcountll(store->stored[i]);
	*ret_used = n_pages * store->page;
	*ret_free = memory_available();
	return 0;
}

static int ram_prefetch(void *arg, uint64_t offset, uint64_t len, bool wait)
{
	(void)arg;
	(void)offset;
	(void)len;
	(void)wait;
	return 0; /* it is in memory as it is */
}

const struct duotgt_backend_ops ram_backend_ops = {
	.abi = DUOTGT_BACKEND_ABI,
	.size = sizeof(struct duotgt_backend_ops),
	.type = "ram",
	.open = ram_open,
	.submit = ram_submit,
	.close = ram_close,
	.extent = ram_extent,
	.copy = ram_copy,
	.space = ram_space,
	.prefetch = ram_prefetch,
};
