/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that is slow: each request waits so many microseconds before it goes to the file. For
 * seeing what a slow disk does to initiators, and to the LUNs beside it. Copies between two of
 * them are done by reading and writing, so that they are slow as well.
 */
#include "scsi/backend/backends.h"
#include "util/cleanup.h"
#include "util/engine.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define DELAY_MAX_US 60000000

struct delay {
	void *file;
	uint64_t ns;
};

/* In io->priv until the request goes on, from when on that is the file's. */
struct waiting {
	struct engine_timer timer;
	struct engine *engine;
	struct delay *delay;
	struct duotgt_io *io;
};
_Static_assert(sizeof(struct waiting) <= sizeof(((struct duotgt_io *)0)->priv), "fits priv");

/* "MICROSECONDS:PATH" */
static bool path_split(const char *path, uint64_t *ret_us, const char **ret_path)
{
	char *end;

	if (*path < '0' || *path > '9')
		return false;
	errno = 0;
	*ret_us = strtoull(path, &end, 10);
	*ret_path = end + 1;
	return !errno && *end == ':' && end[1] && *ret_us <= DELAY_MAX_US;
}

static int delay_open(const struct duotgt_backend_params *params, void **ret_store,
		      struct duotgt_backend_info *ret_info, char *ret_why, size_t why_len)
{
	scoped(free) struct delay *delay = calloc(1, sizeof(*delay));
	struct duotgt_backend_params inner = *params;
	uint64_t us;
	int r;

	if (!delay)
		return -ENOMEM;
	if (!path_split(params->path, &us, &inner.path))
		return backend_refuse(-EINVAL, ret_why, why_len,
				      "delay:%s: expected MICROSECONDS:PATH, %d at most",
				      params->path, DELAY_MAX_US);
	r = file_backend_ops.open(&inner, &delay->file, ret_info, ret_why, why_len);
	if (r < 0)
		return r;
	delay->ns = us * 1000;
	*ret_store = steal(delay);
	return 0;
}

static void waited(struct engine_timer *timer)
{
	struct waiting waiting = *container_of(timer, struct waiting, timer);

	file_backend_ops.submit(waiting.delay->file, waiting.engine, waiting.io);
}

static void delay_submit(void *store, struct engine *engine, struct duotgt_io *io)
{
	struct waiting *waiting = (struct waiting *)io->priv;
	struct delay *delay = store;

	*waiting =
		(struct waiting){.timer.fire = waited, .engine = engine, .delay = delay, .io = io};
	engine_timer_set(engine, &waiting->timer, engine_now(engine) + delay->ns);
}

static void delay_close(void *store)
{
	struct delay *delay = store;

	file_backend_ops.close(delay->file);
	free(delay);
}

static int delay_extent(void *store, uint64_t offset, uint64_t len, uint64_t *ret_len,
			bool *ret_stored)
{
	struct delay *delay = store;

	return file_backend_ops.extent(delay->file, offset, len, ret_len, ret_stored);
}

static int delay_space(void *store, uint64_t *ret_used, uint64_t *ret_free)
{
	struct delay *delay = store;

	return file_backend_ops.space(delay->file, ret_used, ret_free);
}

static int delay_size_now(void *store, uint64_t *ret_size)
{
	struct delay *delay = store;

	return file_backend_ops.size_now(delay->file, ret_size);
}

static int delay_grow(void *store, uint64_t size)
{
	struct delay *delay = store;

	return file_backend_ops.grow(delay->file, size);
}

const struct duotgt_backend_ops delay_backend_ops = {
	.abi = DUOTGT_BACKEND_ABI,
	.size = sizeof(struct duotgt_backend_ops),
	.type = "delay",
	.open = delay_open,
	.submit = delay_submit,
	.close = delay_close,
	.extent = delay_extent,
	.space = delay_space,
	.size_now = delay_size_now,
	.grow = delay_grow,
};
