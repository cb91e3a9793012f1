/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A config brought to life: portals, reactors, LUs, targets, and last the server that accepts.
 * Whatever fails undoes all of it.
 */
#include "daemon/listen.h"
#include "daemon/service_priv.h"
#include "daemon/service_tcmu.h"
#include "daemon/state_dir.h"
#include "daemon/tcmu_consumer.h"
#include "util/log.h"
#include "util/numa.h"
#include "util/reactor.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>

#define TRANSFER_MAX (4u << 20) /* bytes of one command, unless the pool is small */
#define TRANSFER_POOL_SHARE 4	/* one command takes no more than this part of a pool */
#define TRANSFER_ALIGN 4096u	/* the largest block length */
/* Of memory.limit: half is for buffers, an eighth each for what is listed here and for the rest. */
#define MEMORY_BUFFERS 2
#define MEMORY_PART 8
#define TASKS_MAX 65536
#define CONNECTIONS_MAX 65536
#define TASK_BYTES 4096	      /* a command under way */
#define CONNECTION_BYTES 8192 /* logged in and idle */

/* A portal from bind to the server that takes its socket over. */
struct service_portal {
	int fd; /* -1: the server has it */
	bool wildcard;
	struct listen_name name;
};

int service_exit_code(int error)
{
	switch (error) {
	case -ENOENT:
	case -ENOTDIR:
	case -ENXIO:
	case -ENODEV:
	case -EADDRNOTAVAIL:
		return EXIT_NOT_FOUND;
	case -EBUSY:
	case -EAGAIN:
	case -EEXIST:
	case -ETXTBSY:
	case -EADDRINUSE:
		return EXIT_IN_USE;
	case -EACCES:
	case -EPERM:
	case -EROFS:
		return EXIT_PERMISSION;
	case -EINVAL:
		return EXIT_CONFIG;
	default:
		return EXIT_FAILED;
	}
}

int service_out_of_memory(void)
{
	log_error("out of memory");
	return EXIT_FAILED;
}

/* Each connection and each LU takes a descriptor: as many as the administrator allows. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_warning("limit of open files: %m");
}

static const char *portal_hint(int error)
{
	switch (error) {
	case -EADDRINUSE:
		return " (another server listens there; port 0 takes a free one)";
	case -EADDRNOTAVAIL:
		return " (no interface of this host has it)";
	case -EACCES:
		return " (ports below 1024 are for root)";
	default:
		return "";
	}
}

static int open_portals(struct service *service, const struct config *config)
{
	service->portals = calloc(config->n_portals, sizeof(*service->portals));
	if (!service->portals)
		return service_out_of_memory();
	for (unsigned i = 0; i < config->n_portals; i++) {
		const struct config_portal *asked = &config->portals[i];
		struct service_portal *portal = &service->portals[i];
		bool v6 = strchr(asked->host, ':') != NULL;

		portal->fd = listen_open(asked, &portal->name, &portal->wildcard);
		if (portal->fd < 0) {
			log_error("portal %s%s%s:%u: %s%s", v6 ? "[" : "", asked->host,
				  v6 ? "]" : "", (unsigned)asked->port, g_strerror(-portal->fd),
				  portal_hint(portal->fd));
			return service_exit_code(portal->fd);
		}
		service->n_portals++;
	}
	return EXIT_OK;
}

uint32_t service_max_transfer(const struct config *config)
{
	uint64_t size = config->pool_buffer_size ? config->pool_buffer_size : POOL_LARGE_DEFAULT;
	uint64_t n = config->pool_buffers ? config->pool_buffers : POOL_N_DEFAULT;
	uint64_t n_pools = config->numa ? (uint64_t)numa_node_count() : 1;

	if (config->memory_limit)
		n = MIN(n, config->memory_limit / MEMORY_BUFFERS / n_pools / size);
	return (uint32_t)MIN(size * n / TRANSFER_POOL_SHARE, TRANSFER_MAX) & ~(TRANSFER_ALIGN - 1);
}

static int start_reactors(struct service *service, const struct config *config)
{
	const struct reactors_config cfg = {
		.engine = config->engine,
		.engine_config = {.queue_depth = config->queue_depth,
				  .busy_poll_us = config->busy_poll_us},
		.pool = {.large_size = config->pool_buffer_size, .n_large = config->pool_buffers},
		.pools_limit = config->memory_limit / MEMORY_BUFFERS,
		.n = config->n_reactors,
		.numa = config->numa,
		.unpinned = config->embedded,
	};
	int r = reactors_start(&cfg, &service->reactors);

	if (r < 0) {
		bool ring = config->engine == ENGINE_URING && (r == -ENOSYS || r == -EPERM);

		log_error(
			"reactors: %s%s", g_strerror(-r),
			ring ? " (this kernel or container offers no io_uring: take auto or epoll)"
			     : "");
		return ring ? EXIT_FAILED : service_exit_code(r);
	}
	service->max_transfer = service_max_transfer(config);
	return EXIT_OK;
}

static int open_lus(struct service *service, const struct config *config)
{
	GHashTable *uuids;
	int code = EXIT_OK;

	service->lus = calloc(config->n_storages, sizeof(*service->lus));
	if (!service->lus)
		return service_out_of_memory();
	uuids = service_uuids_new(service->lus, 0);
	for (unsigned i = 0; code == EXIT_OK && i < config->n_storages; i++) {
		code = service_open_lu(service, &config->storages[i], uuids, &service->lus[i]);
		service->n_lus += code == EXIT_OK;
	}
	g_hash_table_unref(uuids);
	if (code == EXIT_OK)
		service_count_luns(config, service->lus);
	return code;
}

void service_count_luns(const struct config *config, struct service_lu *lus)
{
	for (unsigned i = 0; i < config->n_storages; i++)
		lus[i].n_luns = 0;
	for (unsigned t = 0; t < config->n_targets; t++)
		for (unsigned l = 0; l < config->targets[t].n_luns; l++)
			lus[config->targets[t].luns[l].storage].n_luns++;
}

static int set_alua(struct scsi_target *target, const struct config_alua *alua)
{
	const struct scsi_alua_config cfg = {
		.groups = alua ? alua->groups : NULL,
		.n_groups = alua ? alua->n_groups : 0,
		.implicit = alua && alua->implicit,
		.explicit_too = alua && alua->explicit_too,
		.referrals = alua && alua->referrals,
		.hook = alua ? alua->hook : NULL,
	};

	return alua ? scsi_target_set_alua(target, &cfg) : 0;
}

static int make_target(struct service *service, const struct config_target *asked)
{
	struct scsi_target *target;
	int r = scsi_target_new(asked->iqn, &target);

	if (r < 0)
		return r;
	service->targets[service->n_targets++] = target;
	for (unsigned i = 0; r == 0 && i < asked->n_luns; i++)
		r = scsi_target_map(target, asked->luns[i].lun,
				    service->lus[asked->luns[i].storage].lu);
	if (r == 0)
		r = set_alua(target, asked->alua);
	if (r == 0)
		r = scsi_target_set_addresses(target, asked->addresses);
	if (r == 0)
		r = iscsi_server_add_target(service->server, target, &asked->limits);
	for (unsigned g = 0; g < asked->n_tpgs; g++)
		for (unsigned p = 0; r == 0 && p < asked->tpgs[g].n_portals; p++)
			r = iscsi_server_link(service->server, asked->iqn, asked->tpgs[g].tag,
					      asked->tpgs[g].portals[p]);
	return r;
}

/* The server counts portals as we do, from 0 in this order. */
static int give_portals(struct service *service)
{
	for (unsigned i = 0; i < service->n_portals; i++) {
		struct service_portal *portal = &service->portals[i];
		int r = iscsi_server_add_portal(service->server, portal->fd,
						portal->wildcard ? NULL : portal->name.text);

		if (r < 0)
			return r;
		portal->fd = -1;
	}
	return 0;
}

static int start_server(struct service *service, const struct config *config,
			struct iscsi_chap_secrets *const *chap)
{
	uint64_t part = config->memory_limit / MEMORY_PART;
	const struct iscsi_server_config cfg = {
		.reactors = service->reactors->all,
		.n_reactors = service->reactors->n,
		.max_transfer = service->max_transfer,
		.park_bytes = part,
		.max_tasks = (unsigned)MIN(part / TASK_BYTES, TASKS_MAX),
		.max_connections = (unsigned)MIN(part / CONNECTION_BYTES, CONNECTIONS_MAX),
	};
	int r;

	service->targets = calloc(config->n_targets, sizeof(*service->targets));
	if (!service->targets)
		return service_out_of_memory();
	r = iscsi_server_new(&cfg, &service->server);
	if (r == 0)
		r = give_portals(service);
	for (unsigned i = 0; r == 0 && i < config->n_targets; i++) {
		r = make_target(service, &config->targets[i]);
		if (r == 0)
			iscsi_server_set_chap(service->server, config->targets[i].iqn, chap[i]);
	}
	if (r == 0)
		r = iscsi_server_start(service->server);
	if (r < 0) {
		log_error("iSCSI server: %s", g_strerror(-r));
		return service_exit_code(r);
	}
	service->started = true;
	return EXIT_OK;
}

static int open_state_dir(struct service *service, const struct config *config)
{
	int r = state_dir_open(config, &service->state_dir);

	return r < 0 ? service_exit_code(r) : EXIT_OK;
}

static int start_consumer(struct service *service)
{
	int r = tcmu_consumer_start(service, "", service->tcmu.replies, &service->consumer);

	return r < 0 ? service_exit_code(r) : EXIT_OK;
}

int service_start(const struct config *config, struct service **ret_service)
{
	struct service *service = calloc(1, sizeof(*service));
	struct iscsi_chap_secrets **chap = NULL;
	int code;

	if (!service)
		return service_out_of_memory();
	sem_init(&service->stopped, 0, 0);
	list_init(&service->leaving);
	list_init(&service->kernels);
	service->tcmu = config->tcmu;
	service->embedded = config->embedded;
	raise_descriptor_limit();
	/* A taken port is found before a missing file is made. */
	code = open_portals(service, config);
	if (code == EXIT_OK)
		code = service_read_chap(config, &chap);
	if (code == EXIT_OK)
		code = open_state_dir(service, config);
	if (code == EXIT_OK)
		code = start_reactors(service, config);
	if (code == EXIT_OK)
		code = open_lus(service, config);
	if (code == EXIT_OK)
		code = start_server(service, config, chap);
	service_drop_chap(config, chap);
	if (code == EXIT_OK && config->tcmu.enabled)
		code = start_consumer(service);
	if (code != EXIT_OK) {
		service_stop(service);
		return code;
	}
	log_info("duotgt %s: LUs %u, targets %u, portals %u, reactors %u on %s", DUOTGT_VERSION,
		 service->n_lus, service->n_targets, service->n_portals, service->reactors->n,
		 service_engine(service));
	*ret_service = service;
	return EXIT_OK;
}

/* Runs on a reactor. */
static void on_server_stopped(void *arg)
{
	struct service *service = arg;

	sem_post(&service->stopped);
}

static void stop_server(struct service *service)
{
	if (service->started) {
		iscsi_server_stop(service->server, on_server_stopped, service);
		while (sem_wait(&service->stopped) < 0)
			; /* a signal handler ran */
	}
	iscsi_server_free(service->server);
}

/* No task is left. */
static int close_lus(struct service *service)
{
	struct engine *engine = NULL; /* for all of them */
	int code = service_close_leaving(service, &engine);

	for (unsigned i = 0; i < service->n_lus; i++)
		if (service_close_lu(service->lus[i].lu, &engine) != EXIT_OK)
			code = EXIT_FAILED;
	engine_free(engine);
	return code;
}

int service_stop(struct service *service)
{
	int code;

	if (!service)
		return EXIT_OK;
	tcmu_consumer_stop(service->consumer);
	service_kernel_end(service);
	stop_server(service);
	for (unsigned i = 0; i < service->n_targets; i++)
		scsi_target_unref(service->targets[i]);
	code = close_lus(service);
	reactors_stop(service->reactors);
	for (unsigned i = 0; i < service->n_portals; i++)
		if (service->portals[i].fd >= 0)
			close(service->portals[i].fd);
	sem_destroy(&service->stopped);
	free(service->portals);
	free(service->targets);
	free(service->state_dir);
	free(service->lus);
	free(service);
	return code;
}

const char *service_portal(const struct service *service, unsigned portal)
{
	return service->portals[portal].name.text;
}

const char *service_engine(const struct service *service)
{
	return engine_name(service->reactors->all[0].engine);
}

static void report_pool(const struct reactors_pool_use *use)
{
	if (use->node < 0)
		log_info("buffers: %zu of %zu KiB in use; handed out: %" PRIu64, use->in_use / 1024,
			 use->limit / 1024, use->n_local);
	else
		log_info("buffers: node %d: %zu of %zu KiB in use; handed out: %" PRIu64
			 " local, %" PRIu64 " remote",
			 use->node, use->in_use / 1024, use->limit / 1024, use->n_local,
			 use->n_remote);
}

void service_report(struct service *service)
{
	for (int i = 0; i < service->reactors->n_pools; i++) {
		struct reactors_pool_use use = reactors_pool_use(service->reactors, i);

		report_pool(&use);
	}
}
