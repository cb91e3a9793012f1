/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File operations that the page cache can serve, on the spot. Several small ones go down in one
 * io_submit(2): unlike io_uring, it does cached reads and writes before it returns, also where the
 * file system knows no RWF_NOWAIT (tmpfs; ext4 when writing). Where a system call costs as much
 * as the copying of a block, that halves their price.
 */
#include "util/engine_priv.h"
#include <assert.h>
#include <errno.h>
#include <linux/aio_abi.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	BATCH = 32,		  /* operations of one io_submit() */
	BATCH_LEN_MAX = 32 << 10, /* of an operation: beyond, copying outweighs the system call */
	RING_MAGIC = 0xa10a10a1,
};

#define SLOW_NS (2 * UINT64_C(1000000))
#define SPELL_MIN_NS (100 * UINT64_C(1000000))
#define SPELL_MAX_NS (5 * UINT64_C(1000000000))

/* Where the kernel puts results, in user space: struct aio_ring of its fs/aio.c. */
struct ring {
	uint32_t id, nr, head, tail, magic, compat, incompat, header_len;
	struct io_event events[];
};

struct engine_batch {
	aio_context_t context;
	struct ring *ring;
	unsigned n;
	bool may_wait; /* one of them went without RWF_NOWAIT */
	struct iocb iocbs[BATCH];
	struct iocb *ptrs[BATCH];
	struct engine_op *ops[BATCH];
};

/* How an operation may be done here, if at all. */
enum way { NOT_HERE, WITH_NOWAIT, PLAIN };

/* ---- judging ---- */

/* A descriptor's bit, once its file system refused RWF_NOWAIT for a write. No one tells when the
 * number is reused; then another file is written without asking, for as long as that is quick. */
static bool refuses_nowait(const struct engine *engine, int fd)
{
	return engine->no_nowait[fd % ENGINE_FDS / 64] >> fd % 64 & 1;
}

static void note_refusal(struct engine *engine, int fd)
{
	engine->no_nowait[fd % ENGINE_FDS / 64] |= UINT64_C(1) << fd % 64;
}

/*
 * ext4, among others, has no RWF_NOWAIT for buffered writes. Sent to another thread, a single
 * write takes some five times as long as it does here; but here, it stalls all connections of
 * the reactor when the kernel throttles writers or must read the rest of a page first. So it is
 * done here until one was slow, and elsewhere for a spell after that: a short one, since it may
 * have been chance, but twice as long each time that it is not over soon.
 */
static enum way way_of(const struct engine *engine, const struct engine_op *op)
{
	int flags = op->file.flags;

	if (op->file.fd < 0 || !(flags & (ENGINE_CACHED | ENGINE_IN_MEMORY)))
		return NOT_HERE;
	if (flags & ENGINE_IN_MEMORY)
		return PLAIN;
	if (flags & ENGINE_WRITE_DSYNC) /* RWF_NOWAIT does not keep it from waiting */
		return NOT_HERE;
	if (op->kind == OP_READV || !refuses_nowait(engine, op->file.fd))
		return WITH_NOWAIT;
	return engine->now_ns < engine->slow_until_ns ? NOT_HERE : PLAIN;
}

static int rw_flags(const struct engine_op *op, enum way way)
{
	int flags = way == WITH_NOWAIT ? RWF_NOWAIT : 0;

	return op->file.flags & ENGINE_WRITE_DSYNC ? flags | RWF_DSYNC : flags;
}

static void note_time(struct engine *engine, uint64_t start_ns)
{
	uint64_t end_ns = engine->ops->clock(engine), spell_ns = 2 * engine->slow_spell_ns;

	if (end_ns - start_ns <= SLOW_NS)
		return;
	if (end_ns > engine->slow_until_ns + spell_ns || spell_ns < SPELL_MIN_NS)
		spell_ns = SPELL_MIN_NS;
	engine->slow_spell_ns = spell_ns < SPELL_MAX_NS ? spell_ns : SPELL_MAX_NS;
	engine->slow_until_ns = end_ns + engine->slow_spell_ns;
}

/*
 * Takes note of a result. Return: whether it stands; else the operation has to go another way: it
 * would wait, or the error is real, where the blocking call has the last word.
 */
static bool stands(struct engine *engine, const struct engine_op *op, int64_t res)
{
	if (res == -EOPNOTSUPP && op->kind == OP_WRITEV)
		note_refusal(engine, op->file.fd);
	return res >= 0;
}

/* ---- one ---- */

static ssize_t one_call(const struct engine_op *op, int flags)
{
	off_t offset = (off_t)op->file.offset;

	if (op->kind == OP_READV)
		return preadv2(op->file.fd, op->file.iov, op->file.n_iov, offset, flags);
	return pwritev2(op->file.fd, op->file.iov, op->file.n_iov, offset, flags);
}

static bool try_one(struct engine *engine, struct engine_op *op)
{
	enum way way = way_of(engine, op);
	uint64_t start_ns = 0;
	ssize_t n;

	if (way == NOT_HERE)
		return false;
	if (way == PLAIN && !(op->file.flags & ENGINE_IN_MEMORY))
		start_ns = engine->ops->clock(engine);
	n = one_call(op, rw_flags(op, way));
	if (start_ns)
		note_time(engine, start_ns);
	if (!stands(engine, op, n < 0 ? -errno : n))
		/* Once more, if it is only that RWF_NOWAIT was refused. */
		return way == WITH_NOWAIT && op->kind == OP_WRITEV && n < 0 &&
		       errno == EOPNOTSUPP && try_one(engine, op);
	engine_complete(op, (int)n); /* less than 2 GiB */
	return true;
}

/* ---- several ---- */

static struct engine_batch *batch_new(void)
{
	struct engine_batch *batch = calloc(1, sizeof(*batch));

	if (!batch)
		return NULL;
	if (syscall(SYS_io_setup, BATCH, &batch->context) < 0) {
		free(batch); /* not allowed here, or too many in use: one by one, then */
		return NULL;
	}
	batch->ring = (struct ring *)batch->context;
	if (batch->ring->magic != RING_MAGIC || batch->ring->incompat) {
		engine_batch_free(batch);
		return NULL;
	}
	return batch;
}

void engine_batch_free(struct engine_batch *batch)
{
	if (!batch)
		return;
	syscall(SYS_io_destroy, batch->context);
	free(batch);
}

static bool fits_batch(const struct engine_op *op)
{
	return op->file.n_iov == 1 && op->file.iov->iov_len <= BATCH_LEN_MAX;
}

static void batch_add(struct engine_batch *batch, struct engine_op *op, enum way way)
{
	struct iocb *iocb = &batch->iocbs[batch->n];

	*iocb = (struct iocb){
		.aio_data = batch->n,
		.aio_lio_opcode = op->kind == OP_READV ? IOCB_CMD_PREAD : IOCB_CMD_PWRITE,
		.aio_rw_flags = rw_flags(op, way),
		.aio_fildes = (uint32_t)op->file.fd,
		.aio_buf = (uintptr_t)op->file.iov->iov_base,
		.aio_nbytes = op->file.iov->iov_len,
		.aio_offset = (int64_t)op->file.offset,
	};
	batch->may_wait |= way == PLAIN && !(op->file.flags & ENGINE_IN_MEMORY);
	batch->ptrs[batch->n] = iocb;
	batch->ops[batch->n++] = op;
}

/* Takes what can go down together from the front of @ops; what cannot at all goes to @rest. */
static void batch_fill(struct engine *engine, struct list *ops, struct list *rest)
{
	struct engine_batch *batch = engine->batch;

	batch->n = 0;
	batch->may_wait = false;
	while (batch->n < BATCH && !list_empty(ops)) {
		struct engine_op *op = list_first(ops, struct engine_op, node);
		enum way way = way_of(engine, op);

		if (way != NOT_HERE && !fits_batch(op))
			return;
		list_del(&op->node);
		if (way == NOT_HERE)
			list_push_back(rest, &op->node);
		else
			batch_add(batch, op, way);
	}
}

/* The results of the @n that were accepted. */
static void batch_collect(struct engine_batch *batch, unsigned n)
{
	struct ring *ring = batch->ring;
	uint32_t head = ring->head, tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
	struct io_event event;

	for (; n && head != tail; n--) {
		const struct io_event *done = &ring->events[head];

		batch->ops[done->data]->res = (int)done->res;
		head = head + 1 < ring->nr ? head + 1 : 0;
	}
	__atomic_store_n(&ring->head, head, __ATOMIC_RELEASE);
	/* A file system that goes on in the background after all: it has taken its time then. */
	while (n) {
		long got = syscall(SYS_io_getevents, batch->context, 1L, 1L, &event, NULL);

		assert(got == 1 || (got < 0 && errno == EINTR));
		if (got == 1) {
			batch->ops[event.data]->res = (int)event.res;
			n--;
		}
	}
}

/* Return: how many were accepted, all of which have a result; or why the first was not. */
static int batch_submit(struct engine *engine)
{
	struct engine_batch *batch = engine->batch;
	uint64_t start_ns = batch->may_wait ? engine->ops->clock(engine) : 0;
	long n = syscall(SYS_io_submit, batch->context, (long)batch->n, batch->ptrs);

	if (n < 0)
		return -errno;
	batch_collect(batch, (unsigned)n);
	if (start_ns)
		note_time(engine, start_ns);
	return (int)n;
}

/* The first one was refused before it began. */
static void refused(struct engine *engine, int why, struct list *ops, struct list *rest)
{
	struct engine_op *op = list_first(ops, struct engine_op, node);

	/* Not even the file system was asked: it has no RWF_NOWAIT for anything. */
	if (why == -EOPNOTSUPP && op->kind == OP_WRITEV && !refuses_nowait(engine, op->file.fd)) {
		note_refusal(engine, op->file.fd);
		return;
	}
	list_del(&op->node);
	list_push_back(rest, &op->node);
}

/* Return: how many are complete. */
static int try_batch(struct engine *engine, struct list *ops, struct list *rest)
{
	struct engine_batch *batch = engine->batch;
	int n_accepted, n_done = 0;

	batch_fill(engine, ops, rest);
	if (!batch->n)
		return 0;
	n_accepted = batch_submit(engine);
	/* What comes after one that was refused has not been looked at. */
	for (int i = (int)batch->n; --i >= 0 && i >= n_accepted;)
		list_push_front(ops, &batch->ops[i]->node);
	if (n_accepted < 0)
		refused(engine, n_accepted, ops, rest);
	for (int i = 0; i < n_accepted; i++) {
		struct engine_op *op = batch->ops[i];

		if (stands(engine, op, op->res)) {
			engine_complete(op, op->res);
			n_done++;
		} else {
			list_push_back(rest, &op->node);
		}
	}
	return n_done;
}

/* Made at first use: most engines of one flush never need it, and its end takes long. */
static bool batch_ready(struct engine *engine)
{
	if (!engine->batch && engine->may_batch) {
		engine->batch = batch_new();
		engine->may_batch = engine->batch;
	}
	return engine->batch;
}

int engine_files_try(struct engine *engine, struct list *ops)
{
	struct list rest = LIST_INIT(rest);
	int n_done = 0;

	while (!list_empty(ops)) {
		struct engine_op *op = list_first(ops, struct engine_op, node);

		if (fits_batch(op) && op->node.next != ops && batch_ready(engine)) {
			n_done += try_batch(engine, ops, &rest);
			continue;
		}
		list_del(&op->node);
		if (try_one(engine, op))
			n_done++;
		else
			list_push_back(&rest, &op->node);
	}
	list_splice_back(ops, &rest);
	return n_done;
}
