/* SPDX-License-Identifier: Apache-2.0 */
/* See spy.h. */
#include "tests/scsi/spy.h"
#include "tests/scsi/harness.h"
#include "util/list.h"
#include <errno.h>
#include <string.h>

struct spy spy;

/* Lives in duotgt_io.priv. */
struct spy_request {
	struct engine_post post;
	struct duotgt_io *io;
	int res;
};

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

static void spy_move(const struct duotgt_io *io)
{
	uint8_t *at = spy.data + io->offset;

	assert_true(io->offset + io->len <= SPY_SIZE);
	if (io->kind == DUOTGT_IO_DISCARD)
		memset(at, 0, io->len);
	for (int i = 0; i < io->n_iov; at += io->iov[i++].iov_len) {
		if (io->kind == DUOTGT_IO_READ)
			memcpy(io->iov[i].iov_base, at, io->iov[i].iov_len);
		else if (io->kind == DUOTGT_IO_WRITE)
			memcpy(at, io->iov[i].iov_base, io->iov[i].iov_len);
	}
}

static void spy_corrupt(const struct duotgt_io *io)
{
	if (spy.corrupts && io->kind == DUOTGT_IO_WRITE && spy.corrupt_at >= io->offset &&
	    spy.corrupt_at - io->offset < io->len)
		spy.data[spy.corrupt_at] ^= 0xff;
}

static void spy_done(struct engine_post *post)
{
	struct spy_request *request = container_of(post, struct spy_request, post);

	request->io->done(request->io, request->res);
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
	struct spy_request *request = (struct spy_request *)io->priv;

	(void)store;
	_Static_assert(sizeof(*request) <= sizeof(io->priv), "a request fits");
	request->io = io;
	request->res = spy_fails(io) ? spy.fail_res : 0;
	request->post.run = spy_done;
	spy.n[io->kind]++;
	spy.offset = io->offset;
	spy.len = io->len;
	spy.flags = io->flags;
	if (!request->res && io->kind != DUOTGT_IO_FLUSH)
		spy_move(io);
	spy_corrupt(io);
	engine_post(engine, &request->post);
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
