/* SPDX-License-Identifier: Apache-2.0 */
/* Logical units: opening, what tasks see of them, the last flush, closing. */
#include "scsi/lu_priv.h"
#include <errno.h>
#include <stdio.h>

enum { BLOCK_SIZE_MIN = 512, BLOCK_SIZE_MAX = 4096 };

static int lu_refuse(const struct scsi_lu_config *cfg, const char *what, char *ret_why,
		     size_t why_len)
{
	snprintf(ret_why, why_len, "%s: %s", cfg->name, what);
	return -EINVAL;
}

static int check_config(const struct scsi_lu_config *cfg, char *ret_why, size_t why_len)
{
	uint32_t size = cfg->block_size;

	if (size < BLOCK_SIZE_MIN || size > BLOCK_SIZE_MAX || (size & (size - 1)))
		return lu_refuse(cfg, "the block size must be 512, 1024, 2048 or 4096 bytes",
				 ret_why, why_len);
	if (!cfg->max_transfer || cfg->max_transfer % size)
		return lu_refuse(cfg, "the maximum transfer must be a multiple of the block size",
				 ret_why, why_len);
	return 0;
}

static int open_store(struct scsi_lu *lu, const struct scsi_lu_config *cfg, char *ret_why,
		      size_t why_len)
{
	struct duotgt_backend_params params = cfg->params;
	int r;

	params.block_size = cfg->block_size;
	r = cfg->backend->open(&params, &lu->store, &lu->info, ret_why, why_len);
	if (r < 0)
		return r;
	lu->backend = cfg->backend; /* from here on unref closes the store */
	if (lu->info.size < cfg->block_size)
		return lu_refuse(cfg, "smaller than one block", ret_why, why_len);
	return 0;
}

static int publish_view(struct scsi_lu *lu, const struct scsi_lu_config *cfg)
{
	struct scsi_lu_view *view = malloc(sizeof(*view));
	unsigned shift = (unsigned)__builtin_ctz(cfg->block_size);

	if (!view)
		return -ENOMEM;
	*view = (struct scsi_lu_view){
		.n_blocks = lu->info.size >> shift,
		.block_size = cfg->block_size,
		.block_shift = shift,
		.max_transfer = cfg->max_transfer,
		.read_only = cfg->params.read_only || lu->info.read_only,
		.write_cache = cfg->write_cache,
		.thin = cfg->thin && lu->info.can_discard,
		.online = cfg->online,
	};
	atomic_store_explicit(&lu->view, view, memory_order_release);
	return 0;
}

int scsi_lu_new(const struct scsi_lu_config *cfg, struct scsi_lu **ret_lu, char *ret_why,
		size_t why_len)
{
	scoped(scsi_lu_unref) struct scsi_lu *lu = calloc(1, sizeof(*lu));
	int r;

	if (!lu)
		return -ENOMEM;
	lu->refs = 1;
	pthread_mutex_init(&lu->lock, NULL);
	list_init(&lu->itls);
	memcpy(lu->uuid, cfg->uuid, sizeof(lu->uuid));
	lu->numa_node = cfg->numa_node;
	lu->name = strdup(cfg->name);
	if (!lu->name)
		return -ENOMEM;
	r = check_config(cfg, ret_why, why_len);
	if (r < 0)
		return r;
	r = open_store(lu, cfg, ret_why, why_len);
	if (r < 0)
		return r;
	r = publish_view(lu, cfg);
	if (r < 0)
		return r;
	*ret_lu = steal(lu);
	return 0;
}

struct scsi_lu *scsi_lu_ref(struct scsi_lu *lu)
{
	atomic_fetch_add_explicit(&lu->refs, 1, memory_order_relaxed);
	return lu;
}

void scsi_lu_unref(struct scsi_lu *lu)
{
	if (!lu || atomic_fetch_sub_explicit(&lu->refs, 1, memory_order_acq_rel) > 1)
		return;
	if (lu->backend)
		lu->backend->close(lu->store);
	pthread_mutex_destroy(&lu->lock);
	free((void *)scsi_lu_view(lu));
	free(lu->name);
	free(lu);
}

const char *scsi_lu_name(const struct scsi_lu *lu)
{
	return lu->name;
}

uint64_t scsi_lu_blocks(const struct scsi_lu *lu)
{
	return scsi_lu_view(lu)->n_blocks;
}

uint32_t scsi_lu_block_size(const struct scsi_lu *lu)
{
	return scsi_lu_view(lu)->block_size;
}

bool scsi_lu_read_only(const struct scsi_lu *lu)
{
	return scsi_lu_view(lu)->read_only;
}

/* ---- the last flush ---- */

struct last_flush {
	struct duotgt_io io;
	bool done;
	int res;
};

static void last_flush_done(struct duotgt_io *io, int res)
{
	struct last_flush *flush = container_of(io, struct last_flush, io);

	flush->done = true;
	flush->res = res;
}

int scsi_lu_flush_now(struct scsi_lu *lu)
{
	scoped(free) struct last_flush *flush = calloc(1, sizeof(*flush));
	struct engine *engine;
	int r;

	if (!flush)
		return -ENOMEM;
	if (scsi_lu_view(lu)->read_only)
		return 0;
	if (atomic_load(&lu->flush_failed))
		return -EIO;
	/* An engine of its own: the reactors may be gone. */
	r = engine_new(ENGINE_EPOLL, NULL, &engine);
	if (r < 0)
		return r;
	flush->io.done = last_flush_done;
	flush->io.kind = DUOTGT_IO_FLUSH;
	lu->backend->submit(lu->store, engine, &flush->io);
	while (!flush->done && r >= 0)
		r = engine_turn(engine, true);
	if (!flush->done) {
		steal(flush); /* still under way in a loop that does not turn: left to it */
		return r;
	}
	engine_free(engine);
	if (flush->res < 0)
		atomic_store(&lu->flush_failed, true);
	return flush->res;
}
