/* SPDX-License-Identifier: Apache-2.0 */
/* See scsi_rig.h. */
#include "tests/fuzz/scsi_rig.h"
#include "tests/scsi/mem_store.h"
#include <stdlib.h>

#define GUARD 0xa5 /* past the end of each piece of a buffer */

struct engine *rig_engine;
uint8_t rig_stores[RIG_STORES][RIG_STORE_SIZE];
static uint64_t sizes[RIG_STORES];

void require(bool what)
{
	if (!what)
		abort();
}

/* ---- the stores ---- */

static int rig_open(const struct duotgt_backend_params *params, void **ret_store,
		    struct duotgt_backend_info *ret_info, char *ret_why, size_t why_len)
{
	unsigned store = (unsigned)(params->path[0] - '0');

	(void)ret_why;
	(void)why_len;
	require(store < RIG_STORES && params->size <= RIG_STORE_SIZE);
	*ret_info = (struct duotgt_backend_info){.size = params->size,
						 .read_only = params->read_only,
						 .volatile_cache = true,
						 .can_discard = true,
						 .physical_block = 4096};
	sizes[store] = params->size;
	*ret_store = rig_stores[store];
	return 0;
}

static void rig_submit(void *store, struct engine *engine, struct duotgt_io *io)
{
	uint64_t size = sizes[(uint8_t(*)[RIG_STORE_SIZE])store - rig_stores], sum = 0;

	require(io->kind == DUOTGT_IO_FLUSH ||
		(io->len && io->offset < size && io->len <= size - io->offset));
	for (int i = 0; i < io->n_iov; i++)
		sum += io->iov[i].iov_len;
	require(sum == io->len || io->kind == DUOTGT_IO_DISCARD);
	mem_store_move(store, io, io->len);
	mem_store_end(engine, io, 0);
}

static void rig_close(void *store)
{
	(void)store;
}

const struct duotgt_backend_ops rig_ops = {.abi = DUOTGT_BACKEND_ABI,
					   .size = sizeof(struct duotgt_backend_ops),
					   .type = "mem",
					   .open = rig_open,
					   .submit = rig_submit,
					   .close = rig_close};

/* ---- one command ---- */

static bool done;

static void task_done(struct scsi_task *task)
{
	(void)task;
	require(!done);
	done = true;
}

static void task_aborted(struct scsi_task *task)
{
	(void)task;
	abort();
}

const struct scsi_transport rig_transport = {.done = task_done, .aborted = task_aborted};

static void piece_new(struct iovec *piece, size_t len, const uint8_t *out)
{
	uint8_t *buf = malloc(len + 1);

	require(buf);
	if (out)
		memcpy(buf, out, len);
	buf[len] = GUARD;
	*piece = (struct iovec){buf, len};
}

/* It is as it was lent, and nothing was written past it. */
static void piece_end(const struct iovec *piece, size_t len, uint8_t *in)
{
	require(piece->iov_len == len && ((uint8_t *)piece->iov_base)[len] == GUARD);
	if (in)
		memcpy(in, piece->iov_base, len);
	free(piece->iov_base);
}

const uint8_t *rig_run(struct scsi_task *task, const uint8_t *out)
{
	static uint8_t in[RIG_IN_MAX];
	size_t n_in = task->need_in < task->expect_in ? task->need_in : task->expect_in;
	size_t n_out = task->need_out < task->expect_out ? task->need_out : task->expect_out;
	size_t first = (n_in + n_out) / 3, second = n_in + n_out - first;
	struct iovec iov[2];

	require(!n_in || !n_out);
	require(n_in <= RIG_IN_MAX);
	piece_new(&iov[0], first, n_out ? out : NULL);
	piece_new(&iov[1], second, n_out ? out + first : NULL);
	task->iov = iov;
	task->n_iov = n_in + n_out ? 2 : 0;
	done = false;
	if (scsi_task_run(task) == SCSI_PENDING)
		while (!done)
			require(engine_turn(rig_engine, true) >= 0);
	require(!task->pending);
	piece_end(&iov[0], first, n_in ? in : NULL);
	piece_end(&iov[1], second, n_in ? in + first : NULL);
	return in;
}
