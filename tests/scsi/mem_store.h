/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the stores of tests do alike: data between a request and memory, and its end by a post. */
#include "duotgt/backend.h"
#include "util/engine.h"
#include <string.h>

/* The first @len bytes of a request, against @mem, where the store's first byte is. */
static inline void mem_store_move(uint8_t *mem, const struct duotgt_io *io, uint64_t len)
{
	uint8_t *at = mem + io->offset;

	if (io->kind == DUOTGT_IO_DISCARD)
		memset(at, 0, len);
	for (int i = 0; i < io->n_iov && len; i++) {
		size_t n = io->iov[i].iov_len < len ? io->iov[i].iov_len : len;

		if (io->kind == DUOTGT_IO_READ)
			memcpy(io->iov[i].iov_base, at, n);
		else if (io->kind == DUOTGT_IO_WRITE)
			memcpy(at, io->iov[i].iov_base, n);
		at += n;
		len -= n;
	}
}

/* Lives in duotgt_io.priv. */
struct mem_store_end {
	struct engine_post post;
	struct duotgt_io *io;
	int res;
};

static inline void mem_store_ended(struct engine_post *post)
{
	struct mem_store_end *end = container_of(post, struct mem_store_end, post);

	end->io->done(end->io, end->res);
}

/* A request ends with @res on @engine's next turn. */
static inline void mem_store_end(struct engine *engine, struct duotgt_io *io, int res)
{
	struct mem_store_end *end = (struct mem_store_end *)io->priv;

	_Static_assert(sizeof(*end) <= sizeof(io->priv), "fits priv");
	*end = (struct mem_store_end){.post.run = mem_store_ended, .io = io, .res = res};
	engine_post(engine, &end->post);
}
