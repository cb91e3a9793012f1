/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store that keeps nothing: writes are dropped, reads give zeroes. For measuring what stands
 * above it, and for nothing else.
 */
#include "scsi/backend/backends.h"
#include <errno.h>
#include <string.h>

static int null_open(const struct duotgt_backend_params *params, void **ret_store,
		     struct duotgt_backend_info *ret_info, char *ret_why, size_t why_len)
{
	static char nothing;

	if (!params->size || params->size > INT64_MAX)
		return backend_refuse(-EINVAL, ret_why, why_len, "null: needs a size");
	*ret_info = (struct duotgt_backend_info){
		.size = params->size,
		.read_only = params->read_only,
		.can_discard = true,
		.identity = "null",
	};
	*ret_store = &nothing;
	return 0;
}

static void null_submit(void *store, struct engine *engine, struct duotgt_io *io)
{
	(void)store;
	if (io->kind == DUOTGT_IO_READ)
		for (int i = 0; i < io->n_iov; i++)
			memset(io->iov[i].iov_base, 0, io->iov[i].iov_len);
	backend_done_later(engine, io, 0);
}

static void null_close(void *store)
{
	(void)store;
}

static int null_prefetch(void *store, uint64_t offset, uint64_t len, bool wait)
{
	(void)store;
	(void)offset;
	(void)len;
	(void)wait;
	return 0; /* nothing is quickly at hand */
}

const struct duotgt_backend_ops null_backend_ops = {
	.abi = DUOTGT_BACKEND_ABI,
	.size = sizeof(struct duotgt_backend_ops),
	.type = "null",
	.open = null_open,
	.submit = null_submit,
	.close = null_close,
	.prefetch = null_prefetch,
};
