/* SPDX-License-Identifier: Apache-2.0 */
/*
 * After an end that was not clean: in the regions where something may have been written, a block
 * whose guard does not fit gets a tuple that says not to check it. Where a crash came between the
 * two writes of a block, the guard would be a false alarm for ever.
 */
#include "scsi/lu_priv.h"
#include "scsi/pi/store.h"
#include "util/cleanup.h"
#include <errno.h>

enum { PIECE_BLOCKS = 512 };

struct recovery {
	struct pi_store *store;
	bool changed;
	uint8_t tuples[PIECE_BLOCKS * PI_LEN];
	uint8_t data[]; /* PIECE_BLOCKS blocks */
};

static int tuples_io(struct recovery *rec, enum duotgt_io_kind kind, uint64_t lba, uint64_t n)
{
	struct iovec iov = {rec->tuples, n * PI_LEN};
	struct duotgt_io io = {.kind = kind,
			       .iov = &iov,
			       .n_iov = 1,
			       .offset = pi_tuple_at(lba),
			       .len = iov.iov_len};

	return scsi_store_io_now(rec->store->side_ops, rec->store->side, &io);
}

static int read_data(struct recovery *rec, uint64_t lba, uint64_t n)
{
	const struct pi_store *store = rec->store;
	struct iovec iov = {rec->data, n << store->shift};
	struct duotgt_io io = {.kind = DUOTGT_IO_READ,
			       .iov = &iov,
			       .n_iov = 1,
			       .offset = lba << store->shift,
			       .len = iov.iov_len};

	return scsi_store_io_now(store->layer.below, store->layer.store, &io);
}

/* Return: whether a tuple was changed. They are inverted: an escape is 0. */
static bool mend(struct recovery *rec, uint64_t n)
{
	static const uint8_t escape[PI_LEN];
	uint32_t block_size = rec->store->block_size;
	bool changed = false;

	for (uint64_t i = 0; i < n; i++) {
		uint8_t *at = rec->tuples + i * PI_LEN;
		uint16_t crc;

		if (!memcmp(at, escape, PI_LEN))
			continue;
		crc = pi_crc(0, rec->data + i * block_size, block_size);
		if (be16_get(at) == (uint16_t)~crc)
			continue;
		memset(at, 0, PI_LEN);
		changed = true;
	}
	return changed;
}

static int recover_piece(struct recovery *rec, uint64_t lba, uint64_t n)
{
	int r = tuples_io(rec, DUOTGT_IO_READ, lba, n);

	if (r == 0)
		r = read_data(rec, lba, n);
	if (r < 0 || !mend(rec, n))
		return r;
	rec->changed = true;
	return tuples_io(rec, DUOTGT_IO_WRITE, lba, n);
}

static int recover_range(struct recovery *rec, uint64_t lba, uint64_t end)
{
	int r = 0;

	while (lba < end && r == 0) {
		uint64_t n = end - lba < PIECE_BLOCKS ? end - lba : PIECE_BLOCKS;

		r = recover_piece(rec, lba, n);
		lba += n;
	}
	return r;
}

int pi_recover(struct pi_store *store, const uint8_t *bits, uint64_t size)
{
	scoped(free) struct recovery *rec =
		malloc(sizeof(*rec) + ((size_t)PIECE_BLOCKS << store->shift));
	uint64_t n_blocks = size >> store->shift, region = UINT64_C(1)
							   << (store->region_shift - store->shift);
	struct duotgt_io flush = {.kind = DUOTGT_IO_FLUSH};
	int r = 0;

	if (!rec)
		return -ENOMEM;
	rec->store = store;
	rec->changed = false;
	for (uint64_t i = 0; i < PI_MAX_REGIONS && i * region < n_blocks && r == 0; i++) {
		uint64_t end = i + 1 < PI_MAX_REGIONS ? (i + 1) * region : n_blocks;

		if (bits[i / 8] >> i % 8 & 1)
			r = recover_range(rec, i * region, end < n_blocks ? end : n_blocks);
	}
	if (r == 0 && rec->changed)
		r = scsi_store_io_now(store->side_ops, store->side, &flush);
	return r;
}
