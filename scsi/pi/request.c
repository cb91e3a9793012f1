/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to a store with protection information. A request is done in chunks, whose blocks and
 * tuples go to their stores side by side. User data is read and written in place, in the segments
 * that the request brings: tuples between the blocks are left out by how the segments are cut. What
 * a request takes of memory depends on its chunk, not on its length.
 */
#include "scsi/pi/store.h"
#include <errno.h>
#include <stdlib.h>

#define CHUNK_BLOCKS 1024u
#define ZEROES_LEN 4096u

struct pi_request {
	struct pi_store *store;
	struct engine *engine;
	struct duotgt_io *io;
	struct pi_args args;
	struct pi_range range; /* held until the end */
	struct pi_mark mark;
	bool marked;
	uint64_t lba, n_blocks; /* all of it */
	uint64_t done;		/* blocks */
	uint32_t n;		/* blocks of the chunk under way */
	struct walk at;		/* where it begins in the segments of io */
	uint32_t head;		/* bytes of its first block that come before */
	unsigned n_left;	/* of its two requests */
	int res;
	struct pi_fault fault;
	uint64_t since;		      /* of a flush: pi_intent_flush_begins() */
	uint64_t clear_at, clear_end; /* LBAs whose tuples become escapes */
	struct engine_defer defer;
	struct duotgt_io data, side; /* first of each chunk, then of what comes after */
	struct iovec side_iov;
	uint32_t max_chunk;
	uint8_t *rest;	 /* for what the segments lack of the first and the last block */
	uint8_t *tuples; /* of a chunk */
	int n_iov;
	struct iovec iov[]; /* user data of a chunk */
};

static bool with_tuples(const struct pi_request *req)
{
	return req->args.mode == PI_WITH_TUPLES;
}

/* ---- the end ---- */

static void end(struct pi_request *req)
{
	struct duotgt_io *io = req->io;
	struct pi_fault fault = req->fault;
	int res = req->res;

	if (req->marked)
		pi_intent_end(&req->store->intent);
	if (req->range.has)
		pi_range_give_back(&req->store->ranges, &req->range);
	free(req);
	if (res == -EILSEQ)
		memcpy(io->priv, &fault, sizeof(fault));
	io->done(io, res);
}

static void end_deferred(struct engine_defer *defer)
{
	end(container_of(defer, struct pi_request, defer));
}

/* For an end inside submit(). */
static void end_later(struct pi_request *req, int res)
{
	req->res = res;
	list_init(&req->defer.node);
	req->defer.run = end_deferred;
	engine_defer(req->engine, &req->defer);
}

/* ---- tuples become escapes ---- */

static void clear_next(struct pi_request *req);

static void cleared(struct duotgt_io *io, int res)
{
	struct pi_request *req = container_of(io, struct pi_request, side);

	if (res < 0) {
		/* What the request has failed with before is what matters. */
		req->res = req->res < 0 ? req->res : res;
		end(req);
		return;
	}
	clear_next(req);
}

static void clear_next(struct pi_request *req)
{
	static uint8_t zeroes[ZEROES_LEN]; /* never written */
	struct pi_store *store = req->store;
	uint64_t n = req->clear_end - req->clear_at;

	if (!n) {
		end(req);
		return;
	}
	if (!store->side_discards && n > ZEROES_LEN / PI_LEN)
		n = ZEROES_LEN / PI_LEN;
	req->side_iov = (struct iovec){zeroes, n * PI_LEN};
	req->side = (struct duotgt_io){
		.done = cleared,
		.kind = store->side_discards ? DUOTGT_IO_DISCARD : DUOTGT_IO_WRITE,
		.iov = store->side_discards ? NULL : &req->side_iov,
		.n_iov = !store->side_discards,
		.offset = pi_tuple_at(req->clear_at),
		.len = n * PI_LEN,
	};
	req->clear_at += n;
	store->side_ops->submit(store->side, req->engine, &req->side);
}

static void clear_tuples(struct pi_request *req, uint64_t lba, uint64_t n_blocks)
{
	req->clear_at = lba;
	req->clear_end = lba + n_blocks;
	clear_next(req);
}

/* ---- a chunk ---- */

static void add_data(struct pi_request *req, void *data, size_t len)
{
	struct iovec *last = req->iov + req->n_iov - 1;

	if (req->n_iov && (uint8_t *)last->iov_base + last->iov_len == data)
		last->iov_len += len;
	else
		req->iov[req->n_iov++] = (struct iovec){data, len};
}

/* The segments of the user data of the next @len bytes, and what they lack. */
static void cut_data(struct pi_request *req, struct walk *walk, size_t len)
{
	uint8_t *data;
	size_t n;

	if (req->head && !req->n_iov) {
		add_data(req, req->rest, req->head);
		len -= req->head;
	}
	while (len && (n = walk_next(walk, len, &data))) {
		add_data(req, data, n);
		len -= n;
	}
	if (len)
		add_data(req, req->rest + req->store->block_size, len);
}

static void cut_chunk(struct pi_request *req)
{
	uint64_t left = req->n_blocks - req->done;
	struct walk walk = req->at;

	req->n = left < req->max_chunk ? (uint32_t)left : req->max_chunk;
	req->n_iov = 0;
	if (!with_tuples(req)) {
		cut_data(req, &walk, (size_t)req->n << req->store->shift);
		return;
	}
	for (uint32_t i = 0; i < req->n; i++) {
		cut_data(req, &walk, req->store->block_size);
		walk_skip(&walk, PI_LEN);
	}
}

static void next_chunk(struct pi_request *req);

static void pass_chunk(struct pi_request *req)
{
	size_t unit = req->store->block_size + (with_tuples(req) ? PI_LEN : 0);

	walk_skip(&req->at, req->n * unit - req->head);
	req->head = 0;
	req->done += req->n;
	next_chunk(req);
}

/* Return: whether all blocks of the chunk are as expected. */
static bool check_chunk(struct pi_request *req)
{
	const struct pi_expect *expect = &req->args.check;
	struct walk walk = walk_of(req->iov, req->n_iov);

	for (uint32_t i = 0; expect->fields && i < req->n; i++) {
		bool guard = expect->fields & PI_GUARD;
		uint16_t crc = guard ? pi_walk_crc(&walk, req->store->block_size) : 0;
		uint8_t wrong = pi_wrong_field(expect, (uint32_t)req->done + i,
					       pi_tuple_get(req->tuples + i * PI_LEN), crc);

		if (!wrong)
			continue;
		req->fault = (struct pi_fault){.lba = req->lba + req->done + i, .field = wrong};
		return false;
	}
	return true;
}

static void chunk_read(struct pi_request *req)
{
	struct walk walk = req->at;

	pi_invert(req->tuples, req->n * PI_LEN);
	if (!check_chunk(req)) {
		req->res = -EILSEQ;
		end(req);
		return;
	}
	for (uint32_t i = 0; with_tuples(req) && i < req->n; i++) {
		walk_skip(&walk, req->store->block_size);
		walk_put(&walk, req->tuples + i * PI_LEN, PI_LEN);
	}
	pass_chunk(req);
}

/* The tuple of each block of the chunk, as it is stored. */
static void make_tuples(struct pi_request *req)
{
	struct walk data = walk_of(req->iov, req->n_iov), all = req->at;
	uint32_t block_size = req->store->block_size;

	for (uint32_t i = 0; i < req->n; i++) {
		struct pi_tuple tuple = req->args.tuple;
		uint8_t *at = req->tuples + i * PI_LEN;

		if (with_tuples(req)) {
			walk_skip(&all, block_size);
			walk_get(&all, at, PI_LEN);
			continue;
		}
		if (req->args.mode == PI_MAKE)
			tuple.guard = pi_walk_crc(&data, block_size);
		if (!req->args.ref_stays)
			tuple.ref += (uint32_t)req->done + i;
		pi_tuple_put(at, tuple);
	}
	pi_invert(req->tuples, req->n * PI_LEN);
}

/* As for a flush that fails: the kernel may have dropped dirty pages. */
static bool loses_writes(const struct duotgt_io *io, int res)
{
	return io->kind == DUOTGT_IO_WRITE && (io->flags & DUOTGT_IO_FUA) && res != -ENOSPC &&
	       res != -ENOMEM && res != -EAGAIN;
}

/* With one of the two half done, nobody can say whether a block fits its tuple. */
static void chunk_done(struct pi_request *req)
{
	if (req->res < 0 && loses_writes(req->io, req->res))
		atomic_store(&req->store->stale, true);
	if (req->io->kind == DUOTGT_IO_WRITE && req->res < 0)
		clear_tuples(req, req->lba + req->done, req->n);
	else if (req->res < 0)
		end(req);
	else if (req->io->kind == DUOTGT_IO_READ)
		chunk_read(req);
	else
		pass_chunk(req);
}

static void half_done(struct pi_request *req, int res)
{
	if (res < 0 && req->res >= 0)
		req->res = res;
	if (!--req->n_left)
		chunk_done(req);
}

static void data_done(struct duotgt_io *io, int res)
{
	half_done(container_of(io, struct pi_request, data), res);
}

static void side_done(struct duotgt_io *io, int res)
{
	half_done(container_of(io, struct pi_request, side), res);
}

static void send_chunk(struct pi_request *req)
{
	struct pi_store *store = req->store;
	uint64_t lba = req->lba + req->done;

	req->data = (struct duotgt_io){
		.done = data_done,
		.kind = req->io->kind,
		.flags = req->io->flags & ~PI_IO_ARGS,
		.iov = req->iov,
		.n_iov = req->n_iov,
		.offset = lba << store->shift,
		.len = (uint64_t)req->n << store->shift,
	};
	req->side_iov = (struct iovec){req->tuples, req->n * PI_LEN};
	req->side = (struct duotgt_io){
		.done = side_done,
		.kind = req->io->kind,
		.flags = req->data.flags,
		.iov = &req->side_iov,
		.n_iov = 1,
		.offset = pi_tuple_at(lba),
		.len = req->n * PI_LEN,
	};
	req->n_left = 2;
	store->layer.below->submit(store->layer.store, req->engine, &req->data);
	store->side_ops->submit(store->side, req->engine, &req->side);
}

static void next_chunk(struct pi_request *req)
{
	if (req->done == req->n_blocks) {
		end(req);
		return;
	}
	cut_chunk(req);
	if (req->io->kind == DUOTGT_IO_WRITE)
		make_tuples(req);
	send_chunk(req);
}

/* ---- without tuples; flush ---- */

static void unchecked_done(struct duotgt_io *io, int res)
{
	struct pi_request *req = container_of(io, struct pi_request, data);

	if (res < 0 && loses_writes(req->io, res))
		atomic_store(&req->store->stale, true);
	req->res = res;
	clear_tuples(req, req->lba, req->n_blocks);
}

/* Discards, and writes whose blocks are not to be checked afterwards. */
static void send_unchecked(struct pi_request *req)
{
	struct pi_store *store = req->store;
	const struct duotgt_io *io = req->io;

	req->data = (struct duotgt_io){
		.done = unchecked_done,
		.kind = io->kind,
		.flags = io->flags & ~PI_IO_ARGS,
		.iov = io->iov,
		.n_iov = io->n_iov,
		.offset = io->offset,
		.len = io->len,
	};
	store->layer.below->submit(store->layer.store, req->engine, &req->data);
}

static void bits_cleared(struct pi_mark *mark, int res)
{
	(void)res; /* at worst they are still set */
	end(container_of(mark, struct pi_request, mark));
}

static void flushed(struct pi_request *req, int res)
{
	if (res < 0)
		req->res = res;
	if (--req->n_left)
		return;
	if (req->res < 0)
		atomic_store(&req->store->stale, true);
	req->mark.engine = req->engine;
	req->mark.marked = bits_cleared;
	if (atomic_load(&req->store->stale) ||
	    pi_intent_flushed(&req->store->intent, req->since, &req->mark))
		end(req);
}

static void data_flushed(struct duotgt_io *io, int res)
{
	flushed(container_of(io, struct pi_request, data), res);
}

static void side_flushed(struct duotgt_io *io, int res)
{
	flushed(container_of(io, struct pi_request, side), res);
}

static void flush(struct pi_request *req)
{
	struct pi_store *store = req->store;

	req->since = pi_intent_flush_begins(&store->intent);
	req->data = (struct duotgt_io){.done = data_flushed, .kind = DUOTGT_IO_FLUSH};
	req->side = (struct duotgt_io){.done = side_flushed, .kind = DUOTGT_IO_FLUSH};
	req->n_left = 2;
	store->layer.below->submit(store->layer.store, req->engine, &req->data);
	store->side_ops->submit(store->side, req->engine, &req->side);
}

/* ---- the start ---- */

static void start_work(struct pi_request *req)
{
	if (req->io->kind == DUOTGT_IO_DISCARD || req->args.mode == PI_ESCAPE)
		send_unchecked(req);
	else
		next_chunk(req);
}

static void marked(struct pi_mark *mark, int res)
{
	struct pi_request *req = container_of(mark, struct pi_request, mark);

	req->res = res;
	if (res < 0)
		end(req);
	else
		start_work(req);
}

/* It has its range. */
static void start(struct pi_request *req)
{
	if (req->io->kind != DUOTGT_IO_READ) {
		req->mark.engine = req->engine;
		req->mark.marked = marked;
		req->mark.offset = req->lba << req->store->shift;
		req->mark.len = req->n_blocks << req->store->shift;
		req->marked = true;
		if (!pi_intent_begin(&req->store->intent, &req->mark))
			return;
	}
	start_work(req);
}

static void range_taken(struct pi_range *range)
{
	start(container_of(range, struct pi_request, range));
}

/* As commands without a protect field ask for. */
static struct pi_args usual_args(enum pi_type type, uint64_t lba)
{
	struct pi_args args = {.mode = PI_MAKE};

	args.check.fields = PI_GUARD | (type == PI_TYPE_1 ? PI_REF : 0);
	args.check.escape = (uint8_t)type;
	args.check.ref = (uint32_t)lba;
	args.tuple.ref = (uint32_t)lba;
	return args;
}

static struct pi_request *request_new(struct pi_store *store, const struct duotgt_io *io,
				      const struct pi_args *args)
{
	uint64_t unit = store->block_size + (args->mode == PI_WITH_TUPLES ? PI_LEN : 0);
	uint32_t head = (uint32_t)(io->offset & (store->block_size - 1));
	uint64_t n_blocks = (head + io->len + unit - 1) / unit;
	uint32_t chunk = n_blocks < CHUNK_BLOCKS ? (uint32_t)n_blocks : CHUNK_BLOCKS;
	/* A segment more for each block whose tuple is left out, and two for the rest. */
	size_t n_iov = chunk + (size_t)io->n_iov + 2;
	bool moves = io->kind == DUOTGT_IO_READ || io->kind == DUOTGT_IO_WRITE;
	struct pi_request *req;

	if (!moves)
		n_iov = chunk = 0;
	req = malloc(sizeof(*req) + n_iov * sizeof(req->iov[0]) + chunk * PI_LEN +
		     (moves ? 2 * store->block_size : 0));
	if (!req)
		return NULL;
	*req = (struct pi_request){.store = store, .args = *args, .n_blocks = n_blocks};
	req->lba = io->offset >> store->shift;
	req->at = walk_of(io->iov, io->n_iov);
	req->head = head;
	req->max_chunk = chunk;
	req->tuples = (uint8_t *)(req->iov + n_iov);
	req->rest = req->tuples + chunk * PI_LEN;
	/*
	 * A write of a part of a block, as copies between different block lengths have them, would
	 * have to vouch for the other part: such blocks are not checked any more.
	 */
	if (io->kind == DUOTGT_IO_WRITE && (head || (head + io->len) % unit))
		req->args.mode = PI_ESCAPE;
	return req;
}

static void begin(struct pi_request *req)
{
	if (req->io->kind == DUOTGT_IO_FLUSH) {
		flush(req);
		return;
	}
	if (!req->n_blocks) {
		end_later(req, 0);
		return;
	}
	/* All tuples before the first block: what is refused leaves the medium as it was. */
	if (req->io->kind == DUOTGT_IO_WRITE && with_tuples(req) &&
	    !pi_check_blocks(req->at, req->lba, req->n_blocks, req->store->block_size,
			     &req->args.check, &req->fault)) {
		end_later(req, -EILSEQ);
		return;
	}
	req->range.first = req->lba;
	req->range.end = req->lba + req->n_blocks;
	req->range.alone = req->io->kind != DUOTGT_IO_READ;
	req->range.engine = req->engine;
	req->range.taken = range_taken;
	if (pi_range_take(&req->store->ranges, &req->range))
		start(req);
}

static void refused(struct engine_defer *defer)
{
	struct duotgt_io *io = *(struct duotgt_io **)(defer + 1);

	io->done(io, -EAGAIN);
}

/* Without a request to keep it in: memory is short, or the type has changed under the command. */
static void refuse_later(struct engine *engine, struct duotgt_io *io)
{
	struct engine_defer *defer = (struct engine_defer *)io->priv;

	_Static_assert(sizeof(*defer) + sizeof(io) <= sizeof(io->priv), "fits priv");
	list_init(&defer->node);
	defer->run = refused;
	*(struct duotgt_io **)(defer + 1) = io;
	engine_defer(engine, defer);
}

void pi_store_submit(void *arg, struct engine *engine, struct duotgt_io *io)
{
	struct pi_store *store = arg;
	enum pi_type type = pi_store_type(store);
	struct pi_args args = usual_args(type, io->offset >> store->shift);
	struct pi_request *req;

	if (io->flags & PI_IO_ARGS)
		memcpy(&args, io->priv, sizeof(args));
	if (!type && (args.mode == PI_WITH_TUPLES || args.mode == PI_SAME)) {
		refuse_later(engine, io);
		return;
	}
	if (!type && io->kind != DUOTGT_IO_FLUSH && args.mode != PI_ESCAPE) {
		io->flags &= ~PI_IO_ARGS;
		store->layer.below->submit(store->layer.store, engine, io);
		return;
	}
	req = request_new(store, io, &args);
	if (!req) {
		refuse_later(engine, io);
		return;
	}
	req->engine = engine;
	req->io = io;
	begin(req);
}
