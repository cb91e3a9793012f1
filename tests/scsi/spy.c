/* SPDX-License-Identifier: Apache-2.0 */
/* See spy.h. */
#include "tests/scsi/spy.h"
#include "tests/scsi/harness.h"
#include "tests/scsi/mem_store.h"
#include "util/list.h"
#include <errno.h>
#include <string.h>

struct spy spy;

static int spy_open(const struct duotgt_backend_params *params, void **ret_store,
		    struct duotgt_backend_info *ret_info, char *ret_why, size_t why_len)
{
	(void)ret_why;
	(void)why_len;
	*ret_info = spy.info;
	if (!ret_info->size)
		ret_info->size = SPY_SIZE;
	ret_info->read_only = params->read_only;
	*ret_store = &spy;
	return 0;
}

static void spy_close(void *store)
{
	(void)store;
}

static void spy_corrupt(const struct duotgt_io *io)
{
	if (spy.corrupts && io->kind == DUOTGT_IO_WRITE && spy.corrupt_at >= io->offset &&
	    spy.corrupt_at - io->offset < io->len)
		spy.data[spy.corrupt_at] ^= 0xff;
}

static bool spy_fails(const struct duotgt_io *io)
{
	if (spy.fail_res >= 0 || io->kind != spy.fail_kind)
		return false;
	return io->kind == DUOTGT_IO_FLUSH ||
	       (spy.fail_at >= io->offset && spy.fail_at - io->offset < io->len);
}

static void spy_submit(void *store, struct engine *engine, struct duotgt_io *io)
{
	int res = spy_fails(io) ? spy.fail_res : 0;

	(void)store;
	spy.n[io->kind]++;
	spy.offset = io->offset;
	spy.len = io->len;
	spy.flags = io->flags;
	if (!res && io->kind != DUOTGT_IO_FLUSH) {
		assert_true(io->offset + io->len <= SPY_SIZE);
		mem_store_move(spy.data, io, io->len);
	}
	spy_corrupt(io);
	mem_store_end(engine, io, res);
}

static const struct duotgt_backend_ops spy_ops = {
	.abi = DUOTGT_BACKEND_ABI,
	.size = sizeof(struct duotgt_backend_ops),
	.type = "spy",
	.open = spy_open,
	.submit = spy_submit,
	.close = spy_close,
};

struct scsi_lu_config spy_config(void)
{
	struct scsi_lu_config cfg = harness_lu_config();

	memset(&spy, 0, sizeof(spy));
	spy.info.volatile_cache = true;
	spy.info.can_discard = true;
	cfg.backend = &spy_ops;
	return cfg;
}
