/* SPDX-License-Identifier: Apache-2.0 */
/* Logical units: opening, what tasks see of them, the last flush, closing. */
#include "scsi/crypt/crypt.h"
#include "scsi/lu_priv.h"
#include "scsi/pi/pi.h"
#include "scsi/pr/pr.h"
#include "scsi/sbc/atomic.h"
#include "scsi/sbc/background.h"
#include "scsi/spc/state.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

enum {
	BLOCK_SIZE_MIN = 512,
	BLOCK_SIZE_MAX = 4096,
	CDROM_BLOCK = 2048,
	PHYSICAL_EXPONENT_MAX = 14, /* LOWEST ALIGNED LOGICAL BLOCK ADDRESS has 14 bits */
};

static int lu_refuse(const struct scsi_lu_config *cfg, const char *what, char *ret_why,
		     size_t why_len)
{
	snprintf(ret_why, why_len, "%s: %s", cfg->name, what);
	return -EINVAL;
}

static int check_alignment(const struct scsi_lu_config *cfg, char *ret_why, size_t why_len)
{
	uint32_t physical = cfg->physical_block ? cfg->physical_block : cfg->block_size;

	if (physical < cfg->block_size || (physical & (physical - 1)) ||
	    physical > cfg->block_size << PHYSICAL_EXPONENT_MAX)
		return lu_refuse(cfg, "a physical block is 2^0 to 2^14 logical ones", ret_why,
				 why_len);
	if (cfg->lowest_aligned >= physical / cfg->block_size)
		return lu_refuse(cfg, "the lowest aligned LBA lies in the first physical block",
				 ret_why, why_len);
	return 0;
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
	if (cfg->cdrom && size != CDROM_BLOCK)
		return lu_refuse(cfg, "the block size of a CD-ROM is 2048 bytes", ret_why, why_len);
	if (cfg->encryption.key_file && cfg->protection.backend)
		return lu_refuse(cfg,
				 "encryption does not go together with protection information, "
				 "whose tuples would tell of the blocks",
				 ret_why, why_len);
	if (cfg->encryption.key_file && !cfg->state_dir)
		return lu_refuse(cfg,
				 "encryption needs a state directory to keep its key in "
				 "(\"stateDir\", --state-dir)",
				 ret_why, why_len);
	return check_alignment(cfg, ret_why, why_len);
}

/* From here on it is the LU's store, and the one below its own. */
static int open_protection(struct scsi_lu *lu, const struct scsi_lu_config *cfg, char *ret_why,
			   size_t why_len)
{
	int r = pi_store_open(cfg, lu->store, &lu->info, &lu->pi, ret_why, why_len);

	if (r < 0)
		return r;
	lu->store = lu->pi;
	lu->backend = pi_store_ops(lu->pi);
	return 0;
}

/* Likewise: the store below is the layer's. */
static int open_encryption(struct scsi_lu *lu, const struct scsi_lu_config *cfg, char *ret_why,
			   size_t why_len)
{
	struct spc_file_name name = spc_file_name(lu, "key"), old = spc_file_name(lu, "key.old");
	struct crypt_key_files files = {lu->state_dir, name.text, old.text};
	int r = crypt_store_open(cfg, &files, lu->store, &lu->info, &lu->crypt, ret_why, why_len);

	if (r < 0)
		return r;
	lu->store = lu->crypt;
	lu->backend = crypt_store_ops(lu->crypt);
	return 0;
}

/* A transfer with protection information takes no more of the transport than one without. */
static uint32_t max_transfer(const struct scsi_lu *lu, const struct scsi_lu_config *cfg)
{
	uint32_t n_blocks = cfg->max_transfer / (cfg->block_size + PI_LEN);

	return lu->pi && n_blocks ? n_blocks * cfg->block_size : cfg->max_transfer;
}

static int open_store(struct scsi_lu *lu, const struct scsi_lu_config *cfg, char *ret_why,
		      size_t why_len)
{
	struct duotgt_backend_params params = cfg->params;
	int r;

	params.block_size = cfg->block_size;
	params.read_only |= cfg->cdrom;
	r = cfg->backend->open(&params, &lu->store, &lu->info, ret_why, why_len);
	if (r < 0)
		return r;
	lu->backend = cfg->backend; /* from here on unref closes the store */
	if (cfg->physical_block)
		lu->info.physical_block = cfg->physical_block;
	if (lu->info.size < cfg->block_size)
		return lu_refuse(cfg, "smaller than one block", ret_why, why_len);
	lu->numa_node = cfg->numa_node;
	if (cfg->numa_node == SCSI_NODE_DISK)
		lu->numa_node = scsi_backend_has(lu->backend, numa_node)
					? lu->backend->numa_node(lu->store)
					: SCSI_NODE_ANY;
	if (cfg->encryption.key_file)
		return open_encryption(lu, cfg, ret_why, why_len);
	return cfg->protection.backend ? open_protection(lu, cfg, ret_why, why_len) : 0;
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
		.max_transfer = max_transfer(lu, cfg),
		.read_only = cfg->params.read_only || cfg->cdrom || lu->info.read_only,
		.write_cache = cfg->write_cache,
		.thin = cfg->thin && !cfg->cdrom && (lu->info.can_discard || lu->info.read_only),
		.online = cfg->online,
		.removable = cfg->removable || cfg->cdrom,
		.write_same_to_end = cfg->write_same_to_end,
		.device_type = cfg->cdrom ? DEVICE_CDROM : DEVICE_DISK,
		.lowest_aligned = cfg->lowest_aligned,
		.protection = lu->pi ? (uint8_t)pi_store_type(lu->pi) : PI_NONE,
	};
	scsi_op_judge_devices(view);
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
	pthread_cond_init(&lu->job_ended, NULL);
	pthread_mutex_init(&lu->pr_lock, NULL);
	scsi_gate_init(&lu->gate);
	scsi_stable_init(&lu->stable);
	list_init(&lu->itls);
	memcpy(lu->uuid, cfg->uuid, sizeof(lu->uuid));
	lu->no_reservations = cfg->no_reservations;
	lu->background_rate = cfg->background_rate;
	lu->name = strdup(cfg->name);
	lu->state_dir = cfg->state_dir ? strdup(cfg->state_dir) : NULL;
	if (!lu->name || (cfg->state_dir && !lu->state_dir))
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
	r = sbc_atomic_recover(lu, ret_why, why_len);
	if (r < 0)
		return r;
	r = spc_state_new(lu, ret_why, why_len);
	if (r < 0)
		return r;
	sbc_wipe_recall(lu);
	r = lu->no_reservations ? 0 : scsi_pr_load(lu, ret_why, why_len);
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
	pthread_cond_destroy(&lu->job_ended);
	pthread_mutex_destroy(&lu->lock);
	free(lu->data_buffer);
	pthread_mutex_destroy(&lu->pr_lock);
	scsi_pr_free(lu);
	spc_state_free(lu);
	scsi_gate_fini(&lu->gate);
	scsi_stable_fini(&lu->stable);
	free((void *)scsi_lu_view(lu));
	free(lu->name);
	free(lu->state_dir);
	free(lu);
}

const char *scsi_lu_name(const struct scsi_lu *lu)
{
	return lu->name;
}

/* For threads that no snapshot is kept for: a copy. */
static struct scsi_lu_view view_now(const struct scsi_lu *lu)
{
	pthread_mutex_t *lock = (pthread_mutex_t *)&lu->lock;
	struct scsi_lu_view view;

	pthread_mutex_lock(lock);
	view = *scsi_lu_view(lu);
	pthread_mutex_unlock(lock);
	return view;
}

uint64_t scsi_lu_blocks(const struct scsi_lu *lu)
{
	return view_now(lu).n_blocks;
}

uint32_t scsi_lu_block_size(const struct scsi_lu *lu)
{
	return view_now(lu).block_size;
}

bool scsi_lu_read_only(const struct scsi_lu *lu)
{
	return view_now(lu).read_only;
}

bool scsi_lu_in_use(const struct scsi_lu *lu)
{
	return atomic_load_explicit(&lu->refs, memory_order_acquire) > 1;
}

/* ---- changes ---- */

static void edit_online(struct scsi_lu_view *view, void *arg)
{
	view->online = *(const bool *)arg;
}

int scsi_lu_set_online(struct scsi_lu *lu, bool online)
{
	return scsi_lu_change(lu, edit_online, &online);
}

static void edit_write_cache(struct scsi_lu_view *view, void *arg)
{
	view->write_cache = *(const bool *)arg;
}

int scsi_lu_set_write_cache(struct scsi_lu *lu, bool on)
{
	bool was;
	int r;

	pthread_mutex_lock(&lu->spc->lock);
	was = scsi_lu_look(lu).write_cache;
	r = was == on ? 0 : scsi_lu_change(lu, edit_write_cache, &on);
	if (r == 0 && was != on)
		scsi_lu_attention(lu, UA_MODE_CHANGED, NULL);
	pthread_mutex_unlock(&lu->spc->lock);
	if (r < 0 || on || was == on || scsi_lu_read_only(lu) || !lu->info.volatile_cache)
		return r;
	return scsi_lu_io_now(lu, &(struct duotgt_io){.kind = DUOTGT_IO_FLUSH});
}

/* What the store holds, made more when that is asked for. */
static int store_size(struct scsi_lu *lu, uint64_t size, unsigned flags, uint64_t *ret_size,
		      char *ret_why, size_t why_len)
{
	int r = 0;

	*ret_size = lu->info.size;
	if (scsi_backend_has(lu->backend, size_now))
		r = lu->backend->size_now(lu->store, ret_size);
	if (r == 0 && *ret_size < size && (flags & SCSI_LU_GROW_STORE) &&
	    scsi_backend_has(lu->backend, grow)) {
		r = lu->backend->grow(lu->store, size);
		*ret_size = r == 0 ? size : *ret_size;
	}
	if (r < 0) {
		snprintf(ret_why, why_len, "%s: its size cannot be %s: %s", lu->name,
			 *ret_size < size ? "changed" : "read", strerror(-r));
		return r;
	}
	if (*ret_size >= size)
		return 0;
	snprintf(ret_why, why_len,
		 "%s: has %" PRIu64 " bytes, fewer than the %" PRIu64 " asked for", lu->name,
		 *ret_size, size);
	return -EINVAL;
}

static void edit_blocks(struct scsi_lu_view *view, void *arg)
{
	view->n_blocks = *(const uint64_t *)arg;
}

int scsi_lu_resize(struct scsi_lu *lu, uint64_t size, unsigned flags, char *ret_why, size_t why_len)
{
	uint64_t held, n_blocks, before = scsi_lu_blocks(lu);
	int r = store_size(lu, size, flags, &held, ret_why, why_len);

	if (r < 0)
		return r;
	n_blocks = (size ? size : held) / scsi_lu_block_size(lu);
	if (n_blocks == before)
		return 0;
	if (!n_blocks || (n_blocks < before && !(flags & SCSI_LU_SHRINK))) {
		snprintf(ret_why, why_len,
			 "%s: would shrink from %" PRIu64 " to %" PRIu64 " blocks", lu->name,
			 before, n_blocks);
		return -EINVAL;
	}
	r = scsi_lu_change(lu, edit_blocks, &n_blocks);
	if (r < 0)
		return r;
	scsi_lu_attention(lu, UA_CAPACITY_CHANGED, NULL);
	return 1;
}

/* ---- requests without a task ---- */

struct request_now {
	struct duotgt_io io;
	bool done;
	int res;
};

static void request_done(struct duotgt_io *io, int res)
{
	struct request_now *request = container_of(io, struct request_now, io);

	request->done = true;
	request->res = res;
}

/* By *@engine, which is made when there is none, and left to the caller. */
static int store_io_by(struct engine **engine, const struct duotgt_backend_ops *backend,
		       void *store, const struct duotgt_io *io)
{
	scoped(free) struct request_now *request = calloc(1, sizeof(*request));
	int r = 0;

	if (!request)
		return -ENOMEM;
	/* None of the reactors': they may be gone, or not be there yet. */
	if (!*engine)
		r = engine_new(ENGINE_EPOLL, NULL, engine);
	if (r < 0)
		return r;
	request->io = *io;
	request->io.done = request_done;
	backend->submit(store, *engine, &request->io);
	while (!request->done && r >= 0)
		r = engine_turn(*engine, true);
	if (!request->done) {
		/* Still under way in a loop that does not turn: left to it. */
		steal(request);
		*engine = NULL;
		return r;
	}
	return request->res;
}

int scsi_store_io_now(const struct duotgt_backend_ops *backend, void *store,
		      const struct duotgt_io *io)
{
	struct engine *engine = NULL;
	int r = store_io_by(&engine, backend, store, io);

	engine_free(engine);
	return r;
}

int scsi_lu_io_now(struct scsi_lu *lu, const struct duotgt_io *io)
{
	return scsi_store_io_now(lu->backend, lu->store, io);
}

int scsi_lu_flush_now(struct scsi_lu *lu, struct engine **engine)
{
	struct engine *own = NULL;
	int r;

	scsi_lu_stop_work(lu);
	if (scsi_lu_read_only(lu))
		return 0;
	if (atomic_load(&lu->flush_failed))
		return -EIO;
	r = store_io_by(engine ? engine : &own, lu->backend, lu->store,
			&(struct duotgt_io){.kind = DUOTGT_IO_FLUSH});
	engine_free(own);
	if (r < 0)
		atomic_store(&lu->flush_failed, true);
	return r;
}
