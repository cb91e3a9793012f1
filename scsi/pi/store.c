/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store of blocks and one of tuples as one back end: opening and closing, what is handed
 * through, and the format of the tuple store.
 *
 * The tuple store begins with a header (magic, version, block length, protection type, size of a
 * region, CRC32C), of 4096 bytes, then as many with a bit for each region of the medium, then eight
 * bytes for each block by its LBA. They are stored inverted, so that what was never written, or
 * has been given back, reads as FFh: a block that is not checked.
 *
 * Crash consistency. A block and its tuple are two writes to two stores, which no store does as
 * one; a crash between them would leave a block that looks corrupt for ever. So a region's bit is
 * put on stable storage before the first write in it. Bits are cleared when both stores have been
 * flushed and nothing was written meanwhile. Who opens the store after a crash (the process was
 * killed, or power was lost) finds the bits of all regions where the two may differ, compares each
 * block in there with its guard, and where it does not fit makes the tuple FFh (recover.c).
 * What this costs and does not do:
 *  - of a write under way, or one that power took from a volatile cache, it cannot be told what is
 *    in the block: the new data, the old, or a mix. Protection does not tell either, until the
 *    block is written again. What was flushed, or written with FUA or WCE=0, keeps its tuples;
 *  - a block that has gone bad by itself in such a region, since it was last read and before the
 *    crash, is taken for one of these: it loses its protection, and the error goes unnoticed;
 *  - the first write to a region waits for the bit, about as long as one FUA write;
 *  - opening after a crash takes as long as reading the regions that were in use.
 * A write that fails is in doubt too: its tuples become FFh. If that fails, too, its blocks are
 * reported as corrupt until they are written again.
 */
#include "scsi/pi/store.h"
#include "scsi/lu_priv.h"
#include "util/cleanup.h"
#include "util/crc32c.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define REGION_SHIFT_MIN 22u /* 4 MiB */

enum {
	/* of the header */
	AT_MAGIC = 0,
	AT_VERSION = 8,
	AT_BLOCK_SIZE = 12,
	AT_TYPE = 16,
	AT_REGION_SHIFT = 17,
	AT_CRC = 60,
	VERSION = 1,
};

static const char magic[8] = "duotgtPI";

static struct pi_store *of(const void *store)
{
	return (struct pi_store *)store;
}

const struct duotgt_backend_ops *pi_store_ops(const struct pi_store *store)
{
	return &store->layer.ops;
}

enum pi_type pi_store_type(const struct pi_store *store)
{
	return (enum pi_type)atomic_load_explicit(&of(store)->type, memory_order_relaxed);
}

/* ---- the head of the tuple store ---- */

static int head_io(struct pi_store *store, enum duotgt_io_kind kind, uint64_t at, void *buf,
		   size_t len)
{
	struct iovec iov = {buf, len};
	struct duotgt_io io = {.kind = kind,
			       .flags = kind == DUOTGT_IO_WRITE ? DUOTGT_IO_FUA : 0,
			       .iov = &iov,
			       .n_iov = 1,
			       .offset = at,
			       .len = len};

	return scsi_store_io_now(store->side_ops, store->side, &io);
}

static uint32_t header_crc(const uint8_t *header)
{
	return crc32c(header, AT_CRC);
}

static int write_header(struct pi_store *store, enum pi_type type)
{
	uint8_t header[PI_HEADER_LEN] = {0};

	memcpy(header + AT_MAGIC, magic, sizeof(magic));
	be32_put(header + AT_VERSION, VERSION);
	be32_put(header + AT_BLOCK_SIZE, store->block_size);
	header[AT_TYPE] = (uint8_t)type;
	header[AT_REGION_SHIFT] = (uint8_t)store->region_shift;
	be32_put(header + AT_CRC, header_crc(header));
	return head_io(store, DUOTGT_IO_WRITE, 0, header, sizeof(header));
}

/* Region size for a medium of @size bytes. */
static unsigned region_shift_for(uint64_t size)
{
	unsigned shift = REGION_SHIFT_MIN;

	while (size >> shift > PI_MAX_REGIONS)
		shift++;
	return shift;
}

int pi_store_set_type(struct pi_store *store, enum pi_type type)
{
	int r = write_header(store, type);

	if (r == 0)
		atomic_store(&store->type, type);
	return r;
}

/* ---- opening ---- */

struct opening {
	const struct scsi_lu_config *cfg;
	const struct duotgt_backend_info *info; /* of the store of blocks */
	struct pi_store *store;
	char *why;
	size_t why_len;
};

static int refuse(const struct opening *o, int r, const char *text)
{
	const char *path = o->cfg->protection.path;

	snprintf(o->why, o->why_len, "%s: %s", *path ? path : "protection", text);
	return r;
}

static int refuse_errno(const struct opening *o, int r, const char *what)
{
	char text[128];

	errno = -r;
	snprintf(text, sizeof(text), "%s: %m", what);
	return refuse(o, r, text);
}

static uint64_t side_size(uint64_t size, unsigned shift)
{
	return PI_TUPLES_AT + (size >> shift) * PI_LEN;
}

/* A store that is there already keeps its size, and is made larger if the medium is by now. */
static int open_side(const struct opening *o)
{
	const struct scsi_lu_config *cfg = o->cfg;
	struct pi_store *store = o->store;
	uint64_t size = side_size(o->info->size, store->shift), held;
	struct duotgt_backend_info info;
	struct stat st;
	struct duotgt_backend_params params = {
		.path = cfg->protection.path,
		.size = size,
		.block_size = PI_HEADER_LEN,
		.read_only = cfg->params.read_only,
		.create = !cfg->params.read_only,
		.thin = true,
	};
	int r;

	if (*params.path && stat(params.path, &st) == 0 && st.st_size)
		params.size = 0;
	r = cfg->protection.backend->open(&params, &store->side, &info, o->why, o->why_len);
	if (r < 0)
		return r;
	store->side_ops = cfg->protection.backend;
	store->side_discards = info.can_discard;
	held = info.size;
	if (held >= size)
		return 0;
	if (cfg->params.read_only || !scsi_backend_has(store->side_ops, grow))
		return refuse(o, -EINVAL, "is too small for the medium");
	r = store->side_ops->grow(store->side, size);
	return r < 0 ? refuse_errno(o, r, "cannot be made larger") : 0;
}

static bool is_zero(const uint8_t *p, size_t len)
{
	return !p[0] && !memcmp(p, p + 1, len - 1);
}

static int judge_header(const struct opening *o, const uint8_t *header)
{
	struct pi_store *store = o->store;

	if (memcmp(header + AT_MAGIC, magic, sizeof(magic)) ||
	    be32_get(header + AT_CRC) != header_crc(header))
		return refuse(o, -EBADMSG, "is not a store of protection information");
	if (be32_get(header + AT_VERSION) != VERSION || header[AT_TYPE] > PI_TYPE_3 ||
	    header[AT_REGION_SHIFT] < REGION_SHIFT_MIN || header[AT_REGION_SHIFT] >= 64)
		return refuse(o, -EBADMSG, "is of another version");
	if (be32_get(header + AT_BLOCK_SIZE) != store->block_size)
		return refuse(o, -EINVAL, "was made for blocks of another length");
	store->type = header[AT_TYPE];
	store->region_shift = header[AT_REGION_SHIFT];
	return 0;
}

/* What has no header yet gets one: the configured type is that of a new store. */
static int open_header(const struct opening *o)
{
	struct pi_store *store = o->store;
	uint8_t header[PI_HEADER_LEN];
	int r = head_io(store, DUOTGT_IO_READ, 0, header, sizeof(header));

	if (r < 0)
		return refuse_errno(o, r, "cannot be read");
	if (!is_zero(header, sizeof(header)))
		return judge_header(o, header);
	if (o->cfg->params.read_only)
		return refuse(o, -EINVAL, "has not been written yet, and cannot be now");
	store->type = o->cfg->protection.type;
	store->region_shift = region_shift_for(o->info->size);
	r = write_header(store, (enum pi_type)store->type);
	return r < 0 ? refuse_errno(o, r, "cannot be written") : 0;
}

static int recover(const struct opening *o)
{
	struct pi_store *store = o->store;
	uint8_t bits[PI_BITS_LEN];
	int r = head_io(store, DUOTGT_IO_READ, PI_BITS_AT, bits, sizeof(bits));

	if (r < 0)
		return refuse_errno(o, r, "cannot be read");
	if (is_zero(bits, sizeof(bits)))
		return 0;
	if (o->cfg->params.read_only)
		return refuse(o, -EROFS,
			      "was not closed as it should be, and cannot be mended on "
			      "a read-only storage");
	r = pi_recover(store, bits, o->info->size);
	memset(bits, 0, sizeof(bits));
	if (r == 0)
		r = head_io(store, DUOTGT_IO_WRITE, PI_BITS_AT, bits, sizeof(bits));
	return r < 0 ? refuse_errno(o, r, "was not closed as it should be, and cannot be mended")
		     : 0;
}

/* ---- changes of size ---- */

/* Tuples first: no block is without room for its own. */
static int grow_side(struct pi_store *store, uint64_t size)
{
	uint64_t wanted = side_size(size, store->shift), held = 0;
	int r;

	if (!scsi_backend_has(store->side_ops, grow) ||
	    !scsi_backend_has(store->side_ops, size_now))
		return 0; /* as large as it was made, as is the store of blocks */
	r = store->side_ops->size_now(store->side, &held);
	return r < 0 || held >= wanted ? r : store->side_ops->grow(store->side, wanted);
}

static int store_size_now(void *store, uint64_t *ret_size)
{
	int r = of(store)->layer.below->size_now(of(store)->layer.store, ret_size);

	return r < 0 ? r : grow_side(store, *ret_size);
}

static int store_grow(void *store, uint64_t size)
{
	int r = grow_side(store, size);

	return r < 0 ? r : of(store)->layer.below->grow(of(store)->layer.store, size);
}

/* ---- closing ---- */

/* When all is flushed, nobody has to look for blocks that do not fit. */
static void close_bits(struct pi_store *store)
{
	static const uint8_t none[PI_BITS_LEN];
	const struct duotgt_io flush = {.kind = DUOTGT_IO_FLUSH};

	if (!store->intent.n_set || atomic_load(&store->stale))
		return;
	if (scsi_store_io_now(store->layer.below, store->layer.store, &flush) == 0 &&
	    scsi_store_io_now(store->side_ops, store->side, &flush) == 0)
		head_io(store, DUOTGT_IO_WRITE, PI_BITS_AT, (void *)none, sizeof(none));
}

/* Without the store of blocks, which may be the caller's still. */
static void free_side(struct pi_store *store)
{
	if (store->side_ops)
		store->side_ops->close(store->side);
	free(store);
}

static void store_close(void *arg)
{
	struct pi_store *store = arg;

	close_bits(store);
	store->layer.below->close(store->layer.store);
	pi_intent_fini(&store->intent);
	pi_ranges_fini(&store->ranges);
	free_side(store);
}

/* Tuples go along with a change of size. */
static void set_ops(struct pi_store *store, const struct duotgt_backend_ops *data_ops, void *data)
{
	struct duotgt_backend_ops *ops = &store->layer.ops;

	backend_layer_init(&store->layer, data_ops, data, pi_store_submit, store_close);
	ops->size_now = ops->size_now ? store_size_now : NULL;
	ops->grow = ops->grow ? store_grow : NULL;
}

int pi_store_open(const struct scsi_lu_config *cfg, void *data,
		  const struct duotgt_backend_info *info, struct pi_store **ret_store,
		  char *ret_why, size_t why_len)
{
	struct pi_store *store = calloc(1, sizeof(*store));
	struct opening o = {cfg, info, store, ret_why, why_len};
	int r;

	if (!store)
		return -ENOMEM;
	store->block_size = cfg->block_size;
	store->shift = (unsigned)__builtin_ctz(cfg->block_size);
	set_ops(store, cfg->backend, data);
	r = open_side(&o);
	if (r == 0)
		r = open_header(&o);
	if (r == 0)
		r = recover(&o);
	if (r < 0) {
		free_side(store);
		return r;
	}
	pi_ranges_init(&store->ranges);
	pi_intent_init(&store->intent, store->side_ops, store->side, PI_BITS_AT,
		       store->region_shift);
	*ret_store = store;
	return 0;
}
