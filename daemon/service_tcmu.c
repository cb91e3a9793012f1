/* SPDX-License-Identifier: Apache-2.0 */
/* See service_tcmu.h. A device lives on a reactor; what it has ended with comes back by a pipe. */
#include "daemon/service_tcmu.h"
#include "daemon/service_priv.h"
#include "handler/cfgstring.h"
#include "handler/device.h"
#include "util/log.h"
#include "util/reactor.h"
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct service_kernel {
	struct list node; /* in service->kernels */
	struct service *service;
	struct service_kernel_config cfg;
	char *name; /* "uio0 (duotgt/data)" */
	void *map;
	struct reactor *reactor;
	struct service_lu own; /* of a path, else lu is NULL */
	struct scsi_lu *lu;    /* as above, or of a storage */
	struct tcmu_device *device;
	bool stopping;
};

static int refuse(int error, char *ret_why, size_t why_len, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static int refuse(int error, char *ret_why, size_t why_len, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(ret_why, why_len, format, args);
	va_end(args);
	return error;
}

/* ---- the LU ---- */

static struct service_lu *find_storage(struct service *service, const char *name)
{
	for (unsigned i = 0; i < service->n_lus; i++) {
		struct service_lu *lu = &service->lus[i];
		char id[24];

		snprintf(id, sizeof(id), "%" PRIu64, lu->device_id);
		if (strcmp(id, name) == 0 || (*lu->name && strcmp(lu->name, name) == 0))
			return lu;
	}
	return NULL;
}

bool service_kernel_has(const struct service *service, const struct scsi_lu *lu)
{
	list_for_each (kernel, (struct list *)&service->kernels, struct service_kernel, node)
		if (kernel->lu == lu)
			return true;
	return false;
}

static int check_block_size(uint32_t asked, const struct scsi_lu *lu, char *ret_why, size_t why_len)
{
	if (!asked || asked == scsi_lu_block_size(lu))
		return 0;
	return refuse(-EINVAL, ret_why, why_len,
		      "found a block length (hw_block_size) of %" PRIu32 ", expected %" PRIu32
		      ", that of the storage",
		      asked, scsi_lu_block_size(lu));
}

/* A storage that may have one more front end, and fits the device. */
static int find_free(struct service *service, const char *name, uint32_t block_size,
		     const struct service_lu **ret_lu, char *ret_why, size_t why_len)
{
	const struct service_lu *lu = find_storage(service, name);

	if (!lu)
		return refuse(-ENOENT, ret_why, why_len, "%s is no storage of the configuration",
			      name);
	if (!lu->both_front_ends && lu->n_luns)
		return refuse(-EBUSY, ret_why, why_len,
			      "storage %s is an iSCSI LUN already (\"bothFrontEnds\" would allow "
			      "both, without reservations)",
			      name);
	if (!lu->both_front_ends && service_kernel_has(service, lu->lu))
		return refuse(-EBUSY, ret_why, why_len,
			      "storage %s is served to the kernel already", name);
	*ret_lu = lu;
	return check_block_size(block_size, lu->lu, ret_why, why_len);
}

static int use_storage(struct service_kernel *kernel, const char *name, char *ret_why,
		       size_t why_len)
{
	const struct service_lu *lu;
	int r = find_free(kernel->service, name, kernel->cfg.block_size, &lu, ret_why, why_len);

	if (r == 0)
		kernel->lu = lu->lu;
	return r;
}

static int open_own(struct service_kernel *kernel, const struct config_storage *storage,
		    char *ret_why, size_t why_len)
{
	const struct service *service = kernel->service;
	GHashTable *uuids = service_uuids_new(service->lus, service->n_lus);
	int r = service_try_lu(service, storage, uuids, &kernel->own, ret_why, why_len);

	g_hash_table_unref(uuids);
	if (r < 0)
		return r;
	kernel->lu = kernel->own.lu;
	return check_block_size(kernel->cfg.block_size, kernel->lu, ret_why, why_len);
}

/* A file that no storage names: as `duotgt serve` would open it. */
static int open_path(struct service_kernel *kernel, const struct cfgstring *string, char *ret_why,
		     size_t why_len)
{
	const struct service_kernel_config *cfg = &kernel->cfg;
	char type[] = "file\0block", path[CFGSTRING_MAX + 1];
	struct config_storage storage = {
		.path = path,
		.type = type,
		.size = cfg->size,
		.block_size = cfg->block_size ? cfg->block_size : 512,
		.create = cfg->size && !string->read_only,
		.read_only = string->read_only,
		.direct = string->direct,
		.thin = true,
		.online = true,
		.write_cache = true,
		.numa_node = -1,
	};
	struct stat st;

	if (!cfg->paths)
		return refuse(-EPERM, ret_why, why_len,
			      "%s is no storage, and paths are not allowed here (\"paths\")",
			      string->path);
	strcpy(path, string->path);
	if (stat(path, &st) == 0 && S_ISBLK(st.st_mode))
		storage.type = type + sizeof("file");
	return open_own(kernel, &storage, ret_why, why_len);
}

int service_kernel_check_path(const char *path, char *ret_why, size_t why_len)
{
	struct stat st;
	char *folder;
	bool there;

	if (stat(path, &st) == 0) {
		if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))
			return 0;
		return refuse(-EINVAL, ret_why, why_len, "%s: is neither a file nor a block device",
			      path);
	}
	if (errno != ENOENT)
		return refuse(-errno, ret_why, why_len, "%s: %m", path);
	folder = g_path_get_dirname(path);
	there = stat(folder, &st) == 0 && S_ISDIR(st.st_mode);
	g_free(folder);
	return there ? 0
		     : refuse(-ENOENT, ret_why, why_len, "%s: neither it nor its folder exists",
			      path);
}

int service_kernel_check(struct service *service, const char *config, uint32_t block_size,
			 char *ret_why, size_t why_len)
{
	struct cfgstring string;
	const struct service_lu *lu;
	int r = cfgstring_parse(config, &string, ret_why, why_len);

	if (r < 0)
		return r;
	if (*string.path)
		return service_kernel_check_path(string.path, ret_why, why_len);
	return find_free(service, string.storage, block_size, &lu, ret_why, why_len);
}

static int find_lu(struct service_kernel *kernel, char *ret_why, size_t why_len)
{
	struct cfgstring string;
	int r = cfgstring_parse(kernel->cfg.config, &string, ret_why, why_len);

	if (r < 0)
		return r;
	if (kernel->cfg.storage)
		return open_own(kernel, kernel->cfg.storage, ret_why, why_len);
	return *string.path ? open_path(kernel, &string, ret_why, why_len)
			    : use_storage(kernel, string.storage, ret_why, why_len);
}

/* ---- the end ---- */

static void kernel_free(struct service_kernel *kernel)
{
	if (!kernel)
		return;
	tcmu_device_free(kernel->device);
	if (kernel->map)
		munmap(kernel->map, kernel->cfg.map_len);
	if (kernel->own.lu)
		service_close_lu(kernel->own.lu, NULL);
	list_del(&kernel->node);
	free(kernel->name);
	free(kernel);
}
DEFINE_SCOPED(struct service_kernel *, kernel_free)

/* On its reactor: all that is left is the control thread's. */
static void on_stopped(void *arg)
{
	struct service_kernel *kernel = arg;
	ssize_t n;

	do {
		n = write(kernel->service->kernel_pipe[1], &kernel, sizeof(kernel));
	} while (n < 0 && errno == EINTR);
}

/* Takes one that has stopped out of the pipe. Return: whether there was one. */
static bool take_stopped(struct service *service)
{
	struct service_kernel *kernel;
	void (*stopped)(void *arg);
	void *arg;

	if (read(service->kernel_pipe[0], &kernel, sizeof(kernel)) != sizeof(kernel))
		return false;
	stopped = kernel->cfg.stopped;
	arg = kernel->cfg.arg;
	log_info("%s: served no longer", kernel->name);
	atomic_fetch_sub(&kernel->reactor->n_conns, 1);
	close(kernel->cfg.fd);
	kernel_free(kernel);
	if (stopped)
		stopped(arg);
	return true;
}

static gboolean on_pipe(gint fd, GIOCondition condition, gpointer arg)
{
	(void)fd;
	(void)condition;
	take_stopped(arg);
	return G_SOURCE_CONTINUE;
}

void service_kernel_stop(struct service_kernel *kernel, bool abort)
{
	if (kernel->stopping)
		return;
	kernel->stopping = true;
	tcmu_device_stop(steal(kernel->device), abort, on_stopped, kernel);
}

void service_kernel_wait(struct service *service)
{
	take_stopped(service);
}

void service_kernel_end(struct service *service)
{
	list_for_each (kernel, &service->kernels, struct service_kernel, node)
		service_kernel_stop(kernel, false);
	while (!list_empty(&service->kernels))
		take_stopped(service);
	if (!service->kernel_piped)
		return;
	if (service->kernel_source)
		g_source_remove(service->kernel_source);
	close(service->kernel_pipe[0]);
	close(service->kernel_pipe[1]);
}

/* ---- the start ---- */

static int make_pipe(struct service *service)
{
	if (service->kernel_piped)
		return 0;
	if (pipe2(service->kernel_pipe, O_CLOEXEC) < 0)
		return -errno;
	service->kernel_piped = true;
	if (service->embedded) /* the main loop is somebody else's: service_kernel_end() alone */
		return 0;
	service->kernel_source = g_unix_fd_add(service->kernel_pipe[0], G_IO_IN, on_pipe, service);
	return 0;
}

static int make_device(struct service_kernel *kernel)
{
	const struct service *service = kernel->service;
	const struct tcmu_device_config cfg = {
		.name = kernel->name,
		.fd = kernel->cfg.fd,
		.map = kernel->cfg.map ? kernel->cfg.map : kernel->map,
		.map_len = kernel->cfg.map_len,
		.lu = kernel->lu,
		.engine = kernel->reactor->engine,
		.own_reservations = service->tcmu.own_reservations,
		.own_alua = service->tcmu.own_alua,
		.driven = kernel->cfg.driven,
	};

	return tcmu_device_new(&cfg, &kernel->device);
}

static int map_ring(struct service_kernel *kernel)
{
	void *map;

	if (kernel->cfg.map)
		return 0;
	map = mmap(NULL, kernel->cfg.map_len, PROT_READ | PROT_WRITE, MAP_SHARED, kernel->cfg.fd,
		   0);

	if (map == MAP_FAILED)
		return -errno;
	kernel->map = map;
	return 0;
}

int service_kernel_start(struct service *service, const struct service_kernel_config *cfg,
			 struct service_kernel **ret_kernel, char *ret_why, size_t why_len)
{
	scoped(kernel_free) struct service_kernel *kernel = calloc(1, sizeof(*kernel));
	int r = kernel ? make_pipe(service) : -ENOMEM;

	if (r < 0)
		return refuse(r, ret_why, why_len, "%s", g_strerror(-r));
	list_init(&kernel->node);
	kernel->service = service;
	kernel->cfg = *cfg;
	kernel->name = g_strdup_printf("%s (%s)", cfg->name, cfg->config);
	kernel->reactor = reactor_least_busy(service->reactors->all, service->reactors->n);
	r = find_lu(kernel, ret_why, why_len);
	if (r < 0)
		return r;
	r = map_ring(kernel);
	if (r < 0)
		return refuse(r, ret_why, why_len, "its ring cannot be mapped: %s", g_strerror(-r));
	r = make_device(kernel);
	if (r < 0)
		return refuse(r, ret_why, why_len, "its ring cannot be served: %s", g_strerror(-r));
	if (cfg->size && cfg->size != service_kernel_size(kernel))
		log_warning("%s: its dev_size is %" PRIu64 "; initiators see the %" PRIu64
			    " bytes that the storage has",
			    kernel->name, cfg->size, service_kernel_size(kernel));
	kernel->cfg.config = kernel->cfg.name = NULL; /* the caller's */
	kernel->cfg.storage = NULL;
	atomic_fetch_add(&kernel->reactor->n_conns, 1);
	list_push_back(&service->kernels, &kernel->node);
	if (!cfg->held)
		service_kernel_go(kernel);
	log_info("%s: %s is served to the kernel, %" PRIu64 " blocks of %" PRIu32 " bytes",
		 kernel->name, scsi_lu_name(kernel->lu), scsi_lu_blocks(kernel->lu),
		 scsi_lu_block_size(kernel->lu));
	*ret_kernel = steal(kernel);
	return 0;
}

void service_kernel_go(struct service_kernel *kernel)
{
	tcmu_device_start(kernel->device);
}

void service_kernel_read_until(struct service_kernel *kernel, uint16_t id)
{
	tcmu_device_read_until(kernel->device, id);
}

/* ---- changes ---- */

bool service_kernel_paths(const struct service *service)
{
	return service->tcmu.paths;
}

uint64_t service_kernel_size(const struct service_kernel *kernel)
{
	return scsi_lu_blocks(kernel->lu) * scsi_lu_block_size(kernel->lu);
}

int service_kernel_resize(struct service_kernel *kernel, uint64_t size, char *ret_why,
			  size_t why_len)
{
	uint32_t block_size = scsi_lu_block_size(kernel->lu);
	int r;

	if (!size || size % block_size)
		return refuse(-EINVAL, ret_why, why_len,
			      "%" PRIu64 " bytes are no multiple of its blocks of %" PRIu32
			      " bytes",
			      size, block_size);
	r = scsi_lu_resize(kernel->lu, size, SCSI_LU_GROW_STORE | SCSI_LU_SHRINK, ret_why, why_len);

	if (r > 0)
		log_info("%s: resized to %" PRIu64 " blocks", kernel->name,
			 scsi_lu_blocks(kernel->lu));
	return r < 0 ? r : 0;
}

int service_kernel_set_write_cache(struct service_kernel *kernel, bool on)
{
	int r = scsi_lu_set_write_cache(kernel->lu, on);

	if (r == 0)
		log_info("%s: write cache %s", kernel->name, on ? "on" : "off");
	return r;
}

int service_kernel_set_config(struct service_kernel *kernel, const char *config, char *ret_why,
			      size_t why_len)
{
	struct service *service = kernel->service;
	const struct service_lu *lu = NULL;
	struct cfgstring string;
	int r = cfgstring_parse(config, &string, ret_why, why_len);

	if (r < 0)
		return r;
	if (*string.storage)
		lu = find_storage(service, string.storage);
	if (lu && lu->lu == kernel->lu)
		return 0;
	return refuse(-EBUSY, ret_why, why_len,
		      "%s: what is behind it cannot change while it is served", config);
}
