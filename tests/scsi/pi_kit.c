/* SPDX-License-Identifier: Apache-2.0 */
/* See pi_kit.h. */
#include "tests/scsi/pi_kit.h"
#include <string.h>

#define TUPLES_AT 8192 /* as scsi/pi/store.c says: a header, and bits, come first */

struct pi_kit_store pi_kit[PI_STORES];
void (*pi_kit_before)(const struct pi_kit_store *store, const struct duotgt_io *io);

struct kit_request {
	struct engine_post post;
	struct duotgt_io *io;
	int res;
};

static int kit_open(const struct duotgt_backend_params *params, void **ret_store,
		    struct duotgt_backend_info *ret_info, char *ret_why, size_t why_len)
{
	struct pi_kit_store *store = &pi_kit[strcmp(params->path, "tuples") == 0];

	(void)ret_why;
	(void)why_len;
	assert_true(params->size <= PI_STORE_SIZE);
	*ret_info = (struct duotgt_backend_info){
		.size = params->size,
		.volatile_cache = true,
		.can_discard = store->can_discard,
		.read_only = params->read_only,
	};
	*ret_store = store;
	return 0;
}

static void kit_close(void *store)
{
	(void)store;
}

static void move(struct pi_kit_store *store, const struct duotgt_io *io)
{
	uint8_t *at = store->now + io->offset;

	assert_true(io->offset + io->len <= PI_STORE_SIZE);
	if (io->kind == DUOTGT_IO_FLUSH)
		memcpy(store->stable, store->now, sizeof(store->now));
	if (io->kind == DUOTGT_IO_DISCARD)
		memset(at, 0, io->len);
	for (int i = 0; i < io->n_iov; at += io->iov[i++].iov_len) {
		if (io->kind == DUOTGT_IO_READ)
			memcpy(io->iov[i].iov_base, at, io->iov[i].iov_len);
		else if (io->kind == DUOTGT_IO_WRITE)
			memcpy(at, io->iov[i].iov_base, io->iov[i].iov_len);
	}
	if (io->kind == DUOTGT_IO_WRITE && (io->flags & DUOTGT_IO_FUA))
		memcpy(store->stable + io->offset, store->now + io->offset, io->len);
}

static void kit_done(struct engine_post *post)
{
	struct kit_request *request = container_of(post, struct kit_request, post);

	request->io->done(request->io, request->res);
}

static void complete(struct pi_kit_store *store, struct engine *engine, struct duotgt_io *io)
{
	struct kit_request *request = (struct kit_request *)io->priv;

	request->io = io;
	request->res = io->kind == store->fail_kind ? store->fail : 0;
	if (request->res == 0)
		move(store, io);
	request->post.run = kit_done;
	engine_post(engine, &request->post);
}

void pi_kit_release(struct pi_kit_store *store)
{
	assert_non_null(store->held);
	complete(store, store->held_by, store->held);
	store->held = NULL;
}

static void kit_submit(void *arg, struct engine *engine, struct duotgt_io *io)
{
	struct pi_kit_store *store = arg;

	assert_false(io->flags & ~DUOTGT_IO_FUA);
	if (pi_kit_before && io->kind != DUOTGT_IO_READ)
		pi_kit_before(store, io);
	store->n[io->kind]++;
	if (!store->hold_writes || io->kind != DUOTGT_IO_WRITE) {
		complete(store, engine, io);
		return;
	}
	assert_null(store->held);
	store->held = io;
	store->held_by = engine;
}

static const struct duotgt_backend_ops kit_ops = {
	.abi = DUOTGT_BACKEND_ABI,
	.size = sizeof(struct duotgt_backend_ops),
	.type = "kit",
	.open = kit_open,
	.submit = kit_submit,
	.close = kit_close,
};

void pi_kit_reset(void)
{
	memset(pi_kit, 0, sizeof(pi_kit));
	pi_kit[PI_DATA].can_discard = pi_kit[PI_TUPLES].can_discard = true;
	pi_kit_before = NULL;
}

struct scsi_lu_config pi_kit_config(unsigned type, uint32_t block_size)
{
	struct scsi_lu_config cfg = harness_lu_config();

	cfg.backend = &kit_ops;
	cfg.params.path = "data";
	cfg.params.size = PI_SIZE;
	cfg.block_size = block_size;
	cfg.max_transfer = 512 << 10;
	cfg.thin = true;
	cfg.protection = (struct scsi_protection_config){
		.backend = &kit_ops, .path = "tuples", .type = type};
	return cfg;
}

void pi_kit_start(struct harness *h, unsigned type, uint32_t block_size)
{
	struct scsi_lu_config cfg = pi_kit_config(type, block_size);

	harness_start(h);
	harness_map(h, 0, &cfg);
	harness_settle(h);
}

void pi_kit_tuple(uint64_t lba, uint8_t *ret_tuple)
{
	for (unsigned i = 0; i < 8; i++)
		ret_tuple[i] = (uint8_t)~pi_kit[PI_TUPLES].now[TUPLES_AT + lba * 8 + i];
}

void pi_kit_set_tuple(uint64_t lba, const uint8_t *tuple)
{
	for (unsigned i = 0; i < 8; i++)
		pi_kit[PI_TUPLES].now[TUPLES_AT + lba * 8 + i] = (uint8_t)~tuple[i];
}

uint16_t pi_kit_crc(const uint8_t *data, size_t len)
{
	unsigned crc = 0;

	for (size_t i = 0; i < len; i++) {
		crc ^= (unsigned)data[i] << 8;
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc & 0x8000 ? crc << 1 ^ 0x8bb7 : crc << 1;
		crc &= 0xffff;
	}
	return (uint16_t)crc;
}

void pi_kit_unit(uint8_t *unit, uint32_t block_size, uint8_t pattern, uint16_t app, uint32_t ref)
{
	for (uint32_t i = 0; i < block_size; i++)
		unit[i] = (uint8_t)(pattern + i * 7 + i / 256);
	be16_put(unit + block_size, pi_kit_crc(unit, block_size));
	be16_put(unit + block_size + 2, app);
	be32_put(unit + block_size + 4, ref);
}
