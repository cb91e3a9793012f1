/* SPDX-License-Identifier: Apache-2.0 */
/* See fake_store.h. */
#include "tests/scsi/fake_store.h"
#include "tests/scsi/mem_store.h"
#include <string.h>

struct fake_store fake = {.lock = PTHREAD_MUTEX_INITIALIZER, .held = LIST_INIT(fake.held)};

/* In io->priv. */
struct held {
	struct list node;
	struct engine *engine;
	struct duotgt_io *io;
};

void fake_reset(void)
{
	fake.volatile_cache = fake.can_discard = true;
	fake.read_only = false;
	fake.fail = 0;
	fake.hold = false;
	fake.n_ios = fake.n_held = 0;
	memset(fake.mem, 0, sizeof(fake.mem));
}

static int fake_open(const struct duotgt_backend_params *params, void **ret_store,
		     struct duotgt_backend_info *ret_info, char *ret_why, size_t why_len)
{
	(void)params;
	(void)ret_why;
	(void)why_len;
	*ret_info = (struct duotgt_backend_info){
		.size = FAKE_SIZE,
		.read_only = fake.read_only,
		.volatile_cache = fake.volatile_cache,
		.can_discard = fake.can_discard,
	};
	*ret_store = &fake;
	return 0;
}

/* With fake.lock. */
static void release_with(struct held *held, int res)
{
	struct engine *engine = held->engine;
	struct duotgt_io *io = held->io;

	if (res == 0)
		mem_store_move(fake.mem, io, io->len);
	mem_store_end(engine, io, res); /* where held was */
}

static void release(struct held *held)
{
	release_with(held, held->io->kind == fake.fail_kind ? fake.fail : 0);
}

static void release_one(struct list *node, int res)
{
	pthread_mutex_lock(&fake.lock);
	list_del(node);
	fake.n_held--;
	release_with(list_entry(node, struct held, node), res);
	pthread_mutex_unlock(&fake.lock);
}

void fake_release_last(int res)
{
	release_one(fake.held.prev, res);
}

void fake_release_first(int res)
{
	release_one(fake.held.next, res);
}

static void fake_submit(void *store, struct engine *engine, struct duotgt_io *io)
{
	struct held *held = (struct held *)io->priv;

	(void)store;
	pthread_mutex_lock(&fake.lock);
	fake.n_ios++;
	fake.kind = io->kind;
	fake.flags = io->flags;
	fake.offset = io->offset;
	fake.len = io->len;
	*held = (struct held){.engine = engine, .io = io};
	if (fake.hold) {
		list_push_back(&fake.held, &held->node);
		fake.n_held++;
	} else {
		release(held);
	}
	pthread_mutex_unlock(&fake.lock);
}

void fake_release(void)
{
	struct list *node;

	pthread_mutex_lock(&fake.lock);
	fake.n_held = 0;
	while ((node = list_pop_front(&fake.held)))
		release(list_entry(node, struct held, node));
	pthread_mutex_unlock(&fake.lock);
}

static void fake_close(void *store)
{
	(void)store;
}

const struct duotgt_backend_ops fake_backend_ops = {
	.abi = DUOTGT_BACKEND_ABI,
	.size = sizeof(struct duotgt_backend_ops),
	.type = "fake",
	.open = fake_open,
	.submit = fake_submit,
	.close = fake_close,
};
