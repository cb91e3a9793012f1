/* SPDX-License-Identifier: Apache-2.0 */
#include "handler/plugin/local.h"
#include "daemon/service.h"
#include "handler/plugin/settings.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

struct local {
	struct config *file; /* in which the storage is described */
	struct config
		*config; /* of the service: it has a thread, and nothing to serve but the device */
	struct service *service;
	struct service_kernel *kernel;
};

static int start_service(struct local *local, char *ret_why, size_t why_len)
{
	struct config *config = calloc(1, sizeof(*config));

	local->config = config;
	if (!config) {
		snprintf(ret_why, why_len, "out of memory");
		return -ENOMEM;
	}
	config->engine = local->file->engine;
	config->state_dir = steal(local->file->state_dir);
	config->default_state_dir = local->file->default_state_dir;
	config->n_reactors = 1;
	config->embedded = true;
	if (service_start(config, &local->service) != EXIT_OK) {
		snprintf(ret_why, why_len, "it cannot be served here (the log says why)");
		return -EIO;
	}
	return 0;
}

int local_open(const struct cfgstring *cfg, const struct service_kernel_config *device,
	       struct local **ret_local, char *ret_why, size_t why_len)
{
	struct local *local = calloc(1, sizeof(*local));
	struct service_kernel_config mine = *device;
	int r;

	if (!local) {
		snprintf(ret_why, why_len, "out of memory");
		return -ENOMEM;
	}
	r = settings_storage(cfg, &local->file, &mine.storage, ret_why, why_len);
	if (r == 0)
		r = start_service(local, ret_why, why_len);
	if (r == 0) {
		/* the service closes the one that it has been given */
		mine.fd = fcntl(device->fd, F_DUPFD_CLOEXEC, 0);
		r = mine.fd < 0 ? -errno : 0;
	}
	if (r == 0) {
		r = service_kernel_start(local->service, &mine, &local->kernel, ret_why, why_len);
		if (r < 0)
			close(mine.fd);
	}
	if (r < 0) {
		local_close(local);
		return r;
	}
	*ret_local = local;
	return 0;
}

struct service_kernel *local_kernel(struct local *local)
{
	return local->kernel;
}

void local_close(struct local *local)
{
	if (!local)
		return;
	service_stop(local->service);
	config_free(local->config);
	config_free(local->file);
	free(local);
}
