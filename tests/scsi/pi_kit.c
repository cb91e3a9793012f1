/* SPDX-License-Identifier: Apache-2.0 */
/* See pi_kit.h. */
#include "tests/scsi/pi_kit.h"
#include "tests/scsi/mem_store.h"
#include <string.h>

#define TUPLES_AT 8192 /* as scsi/pi/store.c says: a header, and bits, come first */

struct pi_kit_store pi_kit[PI_STORES];
void (*pi_kit_before)(const struct pi_kit_store *store, const struct duotgt_io *io);

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

unsigned pi_kit_requests(void)
{
	unsigned n = 0;

	for (unsigned store = 0; store < PI_STORES; store++)
		for (unsigned kind = 0; kind < 4; kind++)
			n += pi_kit[store].n[kind];
	return n;
}

static void kit_close(void *store)
{
	(void)store;
}

static void move(struct pi_kit_store *store, const struct duotgt_io *io)
{
	assert_true(io->offset + io->len <= PI_STORE_SIZE);
	if (io->kind == DUOTGT_IO_FLUSH)
		memcpy(store->stable, store->now, sizeof(store->now));
	mem_store_move(store->now, io, io->len);
	if (io->kind == DUOTGT_IO_WRITE && (io->flags & DUOTGT_IO_FUA))
		memcpy(store->stable + io->offset, store->now + io->offset, io->len);
}

static void complete(struct pi_kit_store *store, struct engine *engine, struct duotgt_io *io)
{
	int res = io->kind == store->fail_kind ? store->fail : 0;

	if (res == 0)
		move(store, io);
	mem_store_end(engine, io, res);
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

struct scsi_lu_config pi_kit_config_of(const struct pi_kit_kind *kind)
{
	struct scsi_lu_config cfg;

	pi_kit_reset();
	cfg = pi_kit_config(kind->type, kind->block_size);
	cfg.cdrom = kind->cdrom;
	if (!kind->type)
		cfg.protection = (struct scsi_protection_config){0};
	return cfg;
}

int pi_kit_run_kinds(void (*test)(void **state))
{
	static const struct pi_kit_kind kinds[] = {
		{"plain, 512", 0, 512, false},	{"plain, 4096", 0, 4096, false},
		{"type 1, 512", 1, 512, false}, {"type 2, 4096", 2, 4096, false},
		{"type 3, 512", 3, 512, false}, {"CD-ROM", 0, 2048, true},
	};
	struct CMUnitTest tests[sizeof(kinds) / sizeof(kinds[0])] = {0};

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		tests[i].name = kinds[i].name;
		tests[i].test_func = test;
		tests[i].initial_state = (void *)&kinds[i];
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
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
