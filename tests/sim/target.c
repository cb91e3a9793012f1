/* SPDX-License-Identifier: Apache-2.0 */
#include "target.h"
#include "iscsi/server.h"
#include "scsi/backend/backends.h"
#include "scsi/backend/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct target {
	struct sim *sim;
	struct reactor reactors[TARGET_REACTORS_MAX];
	unsigned n_reactors;
	struct pool *pool;
	struct scsi_lu *lu;
	struct scsi_target *scsi;
	struct iscsi_server *server;
	int portal;
	bool stopped;
};

static void must(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "target: %s: %s\n", what, strerror(-r));
	abort();
}

/* ---- the back end: the real one for files, over a descriptor of the world ---- */

/* params->path is the descriptor's number. */
static int store_open(const struct duotgt_backend_params *params, void **ret_store,
		      struct duotgt_backend_info *ret_info, char *ret_why, size_t why_len)
{
	(void)ret_why;
	(void)why_len;
	*ret_info = (struct duotgt_backend_info){
		.size = params->size, .volatile_cache = true, .can_discard = true};
	return file_store_from_fd(atoi(params->path), ret_info, ret_store);
}

static const struct duotgt_backend_ops sim_backend = {
	.abi = DUOTGT_BACKEND_ABI,
	.size = sizeof(sim_backend),
	.type = "sim",
	.open = store_open,
	.submit = file_store_submit,
	.close = file_store_close,
};

static void make_lu(struct target *target, struct sim_disk *disk, const struct target_config *cfg)
{
	struct scsi_lu_config lu = {.name = "disk",
				    .backend = &sim_backend,
				    .params.size = cfg->size,
				    .uuid = {1, 2, 3, 4, 5, 6, 0x47, 8, 0x89},
				    .block_size = cfg->block_size,
				    .max_transfer = cfg->max_transfer,
				    .write_cache = cfg->write_cache,
				    .online = true,
				    .numa_node = -1};
	char path[16], why[256] = "";

	snprintf(path, sizeof(path), "%d", sim_disk_open(disk));
	lu.params.path = path;
	must(scsi_lu_new(&lu, &target->lu, why, sizeof(why)), why);
	must(scsi_target_new(TARGET_NAME, &target->scsi), "target");
	must(scsi_target_map(target->scsi, 0, target->lu), "map");
}

static void make_reactors(struct target *target, const struct target_config *cfg)
{
	const struct pool_config pool = {
		.large_size = 64 << 10, .n_large = cfg->n_buffers, .node = -1};

	must(pool_new(&pool, &target->pool), "pool");
	target->n_reactors = cfg->n_reactors;
	for (unsigned i = 0; i < cfg->n_reactors; i++) {
		struct reactor *reactor = &target->reactors[i];

		reactor->index = i;
		reactor->cpu = -1;
		must(sim_engine_new(target->sim, &reactor->engine), "engine");
		must(pool_cache_new(target->pool, reactor->engine, &reactor->bufs), "cache");
	}
}

static void make_server(struct target *target, const struct target_config *cfg)
{
	const struct iscsi_server_config server = {
		.reactors = target->reactors,
		.n_reactors = target->n_reactors,
		.queue_depth = cfg->queue_depth,
		.max_transfer = cfg->max_transfer,
		.park_bytes = cfg->park_bytes,
		.max_tasks = cfg->max_tasks,
		.nop_interval_ms = cfg->nop_interval_ms,
		.stop_timeout_ms = 500,
	};
	struct iscsi_limits limits = iscsi_default_limits;

	limits.values.max_recv_data_segment = cfg->max_recv_data_segment;
	limits.values.max_burst = cfg->max_burst;
	limits.values.first_burst = cfg->first_burst;
	limits.values.max_outstanding_r2t = cfg->max_outstanding_r2t;
	limits.values.initial_r2t = cfg->initial_r2t;
	limits.values.immediate_data = cfg->immediate_data;
	limits.header_digest = limits.data_digest = DIGEST_NONE | DIGEST_CRC32C;
	must(iscsi_server_new(&server, &target->server), "server");
	must(iscsi_server_add_target(target->server, target->scsi, &limits), "add target");
	target->portal = sim_listen(target->sim);
	must(iscsi_server_add_portal(target->server, target->portal, "192.0.2.1:3260"), "portal");
	must(iscsi_server_link(target->server, TARGET_NAME, 1, 0), "link");
	must(iscsi_server_start(target->server), "start");
}

struct target *target_start(struct sim *sim, struct sim_disk *disk, const struct target_config *cfg)
{
	struct target *target = calloc(1, sizeof(*target));

	if (!target)
		abort();
	target->sim = sim;
	make_reactors(target, cfg);
	make_lu(target, disk, cfg);
	make_server(target, cfg);
	return target;
}

int target_portal(const struct target *target)
{
	return target->portal;
}

static void stopped(void *arg)
{
	((struct target *)arg)->stopped = true;
}

static bool is_stopped(void *arg)
{
	return ((struct target *)arg)->stopped;
}

int target_stop(struct target *target)
{
	int r;

	iscsi_server_stop(target->server, stopped, target);
	r = sim_run_until(target->sim, is_stopped, target, 60 * 1000000000ull);
	if (r < 0)
		return r; /* a finding: what hangs is left as it is */
	iscsi_server_free(target->server);
	scsi_target_unref(target->scsi);
	scsi_lu_unref(target->lu);
	for (unsigned i = 0; i < target->n_reactors; i++) {
		engine_turn(target->reactors[i].engine, false); /* posts that say no more */
		pool_cache_free(target->reactors[i].bufs);
		engine_free(target->reactors[i].engine);
	}
	if (pool_in_use(target->pool)) {
		fprintf(stderr, "%zu bytes of buffers were never given back\n",
			pool_in_use(target->pool));
		abort();
	}
	pool_free(target->pool);
	free(target);
	return 0;
}
