/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to an encrypted store. What is read is decrypted where it lies. What is written stays as
 * it is, since it is the initiator's still, and is encrypted in a buffer of its own, piece by
 * piece, so that a request takes no more than a piece of memory, whatever its length.
 *
 * A request need not begin or end with a block. Each unit of the cipher stands for itself, so a
 * part of a block is encrypted at its place in one, and written alone; what is read is first filled
 * up to whole blocks. Neither needs the rest of a block to stay as it is, so there is nothing to
 * lock. Writes and discards are of 512 bytes, or of many such, whatever the blocks: a copy between
 * LUs can have those of the other.
 */
#include "scsi/backend/backends.h"
#include "scsi/crypt/store.h"
#include "util/walk.h"
#include <assert.h>
#include <errno.h>

#define PIECE_MAX (128u << 10) /* of any block size a multiple */
#define PIECE_ALIGN 4096u      /* so that it can go around the page cache */
#define BLOCK_MAX 4096u

struct crypt_request {
	struct crypt_store *store;
	struct engine *engine;
	struct duotgt_io *io;
	struct duotgt_io below;
	uint32_t head; /* bytes of the first block that come before */
	/* of a write */
	struct walk at; /* what comes next of it */
	uint64_t done;	/* bytes of it */
	uint8_t *piece; /* piece_len bytes */
	uint32_t piece_len;
	struct iovec iov; /* of the piece under way */
	/* of a read that is not of whole blocks */
	struct iovec *filled; /* segments for whole blocks; the two rests follow */
};

static void end(struct crypt_request *req, int res)
{
	struct duotgt_io *io = req->io;

	free(req->piece);
	free(req->filled);
	free(req);
	io->done(io, res);
}

static uint32_t in_block(const struct crypt_store *store, uint64_t offset)
{
	return (uint32_t)offset & (store->block_size - 1);
}

/* ---- read ---- */

/* A block in more than one segment. */
static int decrypt_scattered(struct crypt_store *store, uint64_t lba, struct walk *walk)
{
	uint8_t block[BLOCK_MAX];
	struct walk back = *walk;
	int r;

	walk_get(walk, block, store->block_size);
	r = crypt_xts_decrypt(store->xts, lba, store->block_size, block, store->block_size);
	if (r == 0)
		walk_put(&back, block, store->block_size);
	return r;
}

/* Runs of whole blocks where they lie. @segments are of whole blocks together. */
static int decrypt(struct crypt_store *store, uint64_t lba, struct walk walk)
{
	struct walk start = walk;
	uint8_t *data;
	size_t n;
	int r = 0;

	while (r == 0 && (n = walk_next(&walk, SIZE_MAX, &data))) {
		size_t whole = n - in_block(store, n);

		if (whole)
			r = crypt_xts_decrypt(store->xts, lba, store->block_size, data, whole);
		lba += whole >> store->shift;
		walk_skip(&start, whole);
		if (r == 0 && whole < n)
			r = decrypt_scattered(store, lba++, &start);
		walk = start;
	}
	return r;
}

static void has_read(struct duotgt_io *below, int res)
{
	struct crypt_request *req = container_of(below, struct crypt_request, below);
	struct crypt_store *store = req->store;

	if (res == 0)
		res = decrypt(store, below->offset >> store->shift,
			      walk_of(below->iov, below->n_iov));
	end(req, res);
}

/* Segments for the rest of the first and of the last block, around those of the request. */
static bool fill_up(struct crypt_request *req, uint32_t tail)
{
	const struct duotgt_io *io = req->io;
	size_t n_iov = (size_t)io->n_iov + 2;
	struct iovec *iov = malloc(n_iov * sizeof(*iov) + 2 * (size_t)req->store->block_size);
	uint8_t *rest = (uint8_t *)(iov + n_iov);
	int n = 0;

	if (!iov)
		return false;
	if (req->head)
		iov[n++] = (struct iovec){rest, req->head};
	memcpy(iov + n, io->iov, (size_t)io->n_iov * sizeof(*iov));
	n += io->n_iov;
	if (tail)
		iov[n++] = (struct iovec){rest + req->store->block_size, tail};
	req->filled = iov;
	req->below.iov = iov;
	req->below.n_iov = n;
	req->below.offset -= req->head;
	req->below.len += req->head + tail;
	return true;
}

static int start_read(struct crypt_request *req)
{
	const struct duotgt_io *io = req->io;
	uint32_t last = in_block(req->store, io->offset + io->len);
	uint32_t tail = last ? req->store->block_size - last : 0;

	req->below = (struct duotgt_io){
		.done = has_read,
		.kind = DUOTGT_IO_READ,
		.flags = io->flags,
		.iov = io->iov,
		.n_iov = io->n_iov,
		.offset = io->offset,
		.len = io->len,
	};
	if ((req->head || tail) && !fill_up(req, tail))
		return -ENOMEM;
	req->store->layer.below->submit(req->store->layer.store, req->engine, &req->below);
	return 0;
}

/* ---- write ---- */

static int next_piece(struct crypt_request *req);

static void has_written(struct duotgt_io *below, int res)
{
	struct crypt_request *req = container_of(below, struct crypt_request, below);

	req->done += below->len;
	if (res == 0 && req->done < req->io->len)
		res = next_piece(req);
	if (res < 0 || req->done == req->io->len)
		end(req, res);
}

/* Takes the next piece into the buffer, at its place in its blocks. Return: how much it is. */
static uint32_t fill_piece(struct crypt_request *req, uint32_t head)
{
	uint64_t left = req->io->len - req->done;
	uint32_t n = left < req->piece_len - head ? (uint32_t)left : req->piece_len - head;
	uint32_t last = in_block(req->store, head + n);

	memset(req->piece, 0, head); /* is encrypted, but not written: anything would do */
	if (last)
		memset(req->piece + head + n, 0, req->store->block_size - last);
	walk_get(&req->at, req->piece + head, n);
	return n;
}

/* Return: 0: it is under way; -errno. */
static int next_piece(struct crypt_request *req)
{
	struct crypt_store *store = req->store;
	uint64_t offset = req->io->offset + req->done;
	uint32_t head = req->done ? 0 : req->head;
	uint32_t n = fill_piece(req, head);
	uint32_t whole = (head + n + store->block_size - 1) & ~(store->block_size - 1);
	int r = crypt_xts_encrypt(store->xts, offset >> store->shift, store->block_size, req->piece,
				  whole);

	if (r < 0)
		return r;
	req->iov = (struct iovec){req->piece + head, n};
	req->below = (struct duotgt_io){
		.done = has_written,
		.kind = DUOTGT_IO_WRITE,
		.flags = req->io->flags,
		.iov = &req->iov,
		.n_iov = 1,
		.offset = offset,
		.len = n,
	};
	store->layer.below->submit(store->layer.store, req->engine, &req->below);
	return 0;
}

static int start_write(struct crypt_request *req)
{
	const struct duotgt_io *io = req->io;
	uint64_t len = io->len + req->head + req->store->block_size - 1;

	if ((io->offset | io->len) % CRYPT_UNIT)
		return -EINVAL; /* which no command asks for */
	len &= ~(uint64_t)(req->store->block_size - 1);
	req->piece_len = len < PIECE_MAX ? (uint32_t)len : PIECE_MAX;
	req->piece =
		aligned_alloc(PIECE_ALIGN, (req->piece_len + PIECE_ALIGN - 1) & ~(PIECE_ALIGN - 1));
	if (!req->piece)
		return -ENOMEM;
	req->at = walk_of(io->iov, io->n_iov);
	return next_piece(req);
}

/* ---- the start ---- */

static int start(struct crypt_store *store, struct engine *engine, struct duotgt_io *io)
{
	struct crypt_request *req;
	int r;

	if (!store->xts)
		return -EIO;
	if (!io->len)
		return 1;
	req = calloc(1, sizeof(*req));
	if (!req)
		return -ENOMEM;
	req->store = store;
	req->engine = engine;
	req->io = io;
	req->head = in_block(store, io->offset);
	r = io->kind == DUOTGT_IO_READ ? start_read(req) : start_write(req);
	if (r < 0) {
		free(req->piece);
		free(req);
	}
	return r;
}

/* A hole is a hole in the clear as well: nothing but data is the layer's business. */
void crypt_store_submit(void *arg, struct engine *engine, struct duotgt_io *io)
{
	struct crypt_store *store = arg;
	bool moves = io->kind == DUOTGT_IO_READ || io->kind == DUOTGT_IO_WRITE;
	int r;

	if (!moves || (io->flags & CRYPT_IO_RAW)) {
		io->flags &= ~CRYPT_IO_RAW;
		store->layer.below->submit(store->layer.store, engine, io);
		return;
	}
	r = start(store, engine, io);
	if (r)
		backend_done_later(engine, io, r < 0 ? r : 0);
}
