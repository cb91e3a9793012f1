/* SPDX-License-Identifier: Apache-2.0 */
/* Who serves a device: the daemon over its socket, or a service in this process. */
#include "handler/plugin/client.h"
#include "handler/plugin/local.h"
#include "handler/plugin/plugin.h"
#include "handler/plugin/settings.h"
#include "util/cleanup.h"
#include <errno.h>
#include <stdio.h>

/* ---- the daemon ---- */

static int ask_serve(const struct plugin_device *device, int sock, char *ret_why, size_t why_len)
{
	struct handover_request request = {
		.kind = HANDOVER_SERVE,
		.size = device->size,
		.block_size = device->block_size,
		.map_len = device->map_len,
	};

	strcpy(request.config_string, device->string);
	strcpy(request.device, device->uio);
	return client_ask(sock, &request, device->fd, ret_why, why_len);
}

static int attach_daemon(struct plugin_device *device, char *ret_why, size_t why_len)
{
	scoped(close) int sock = client_connect(ret_why, why_len);
	const struct handover_request cache = {.kind = HANDOVER_CACHE,
					       .on = device->write_cache == 1};
	int r = sock < 0 ? sock : ask_serve(device, sock, ret_why, why_len);

	if (r == 0 && device->write_cache >= 0)
		r = client_ask(sock, &cache, -1, ret_why, why_len);
	if (r < 0)
		return r;
	device->sock = steal_fd(&sock);
	return 0;
}

/* ---- this process ---- */

static int set_cache(struct local *local, bool on, char *ret_why, size_t why_len)
{
	int r = service_kernel_set_write_cache(local_kernel(local), on);

	if (r < 0)
		snprintf(ret_why, why_len, "the write cache: %s", strerror(-r));
	return r;
}

static int attach_local(struct plugin_device *device, char *ret_why, size_t why_len)
{
	const struct service_kernel_config cfg = {
		.config = device->string,
		.name = device->uio,
		.fd = device->fd,
		.map = device->map,
		.map_len = device->map_len,
		.paths = true,
		.size = device->size,
		.block_size = device->block_size,
		.held = true,
		.driven = device->cfg.mode == CFGSTRING_RAW,
	};
	struct local *local;
	int r = local_open(&device->cfg, &cfg, &local, ret_why, why_len);

	if (r < 0)
		return r;
	if (device->write_cache >= 0)
		r = set_cache(local, device->write_cache, ret_why, why_len);
	if (r < 0)
		local_close(local);
	else
		device->local = local;
	return r;
}

/* ---- either ---- */

int server_attach(struct plugin_device *device, bool here, char *ret_why, size_t why_len)
{
	int r = -ENOENT;

	pthread_mutex_lock(&device->lock);
	device->started = false;
	if (device->cfg.server != CFGSTRING_PROCESS)
		r = attach_daemon(device, ret_why, why_len);
	if (r == -ENOENT && here)
		r = attach_local(device, ret_why, why_len);
	pthread_mutex_unlock(&device->lock);
	return r;
}

int server_start(struct plugin_device *device, char *ret_why, size_t why_len)
{
	int r = 0;

	pthread_mutex_lock(&device->lock);
	if (device->sock >= 0)
		r = client_ask(device->sock, &(struct handover_request){.kind = HANDOVER_START}, -1,
			       ret_why, why_len);
	else
		service_kernel_go(local_kernel(device->local));
	device->started = r == 0;
	pthread_mutex_unlock(&device->lock);
	return r;
}

/* Without the lock: a service here stays until close. */
void server_read_until(struct plugin_device *device, uint16_t id)
{
	service_kernel_read_until(local_kernel(device->local), id);
}

void server_detach(struct plugin_device *device)
{
	const struct handover_request release = {.kind = HANDOVER_RELEASE};
	char why[HANDOVER_TEXT_MAX + 1];

	pthread_mutex_lock(&device->lock);
	if (device->sock >= 0) {
		/* When it does not answer it is gone, and serves nothing any more. */
		client_ask(device->sock, &release, -1, why, sizeof(why));
		close(device->sock);
	}
	local_close(device->local);
	device->sock = -1;
	device->local = NULL;
	pthread_mutex_unlock(&device->lock);
}

/* ---- changes ---- */

static int change_local(struct local *local, const struct handover_request *request, char *ret_why,
			size_t why_len)
{
	return request->kind == HANDOVER_CACHE
		       ? set_cache(local, request->on, ret_why, why_len)
		       : service_kernel_resize(local_kernel(local), request->size, ret_why,
					       why_len);
}

/* Asks who serves it, and notes for the next one what has been agreed on. */
static int change(struct plugin_device *device, const struct handover_request *request,
		  char *ret_why, size_t why_len)
{
	int r = -EAGAIN;

	pthread_mutex_lock(&device->lock);
	snprintf(ret_why, why_len, "nobody serves it just now");
	if (device->sock >= 0)
		r = client_ask(device->sock, request, -1, ret_why, why_len);
	else if (device->local)
		r = change_local(device->local, request, ret_why, why_len);
	if (r == 0 && request->kind == HANDOVER_CACHE)
		device->write_cache = request->on;
	else if (r == 0)
		device->size = request->size;
	pthread_mutex_unlock(&device->lock);
	return r;
}

int server_resize(struct plugin_device *device, uint64_t size, char *ret_why, size_t why_len)
{
	const struct handover_request request = {.kind = HANDOVER_RESIZE, .size = size};

	return change(device, &request, ret_why, why_len);
}

int server_set_write_cache(struct plugin_device *device, bool on, char *ret_why, size_t why_len)
{
	const struct handover_request request = {.kind = HANDOVER_CACHE, .on = on};

	return change(device, &request, ret_why, why_len);
}

/* ---- before there is a device ---- */

static int check_here(const struct cfgstring *cfg, char *ret_why, size_t why_len)
{
	scoped(config_free) struct config *config = NULL;
	const struct config_storage *storage;

	if (*cfg->path)
		return service_kernel_check_path(cfg->path, ret_why, why_len);
	return settings_storage(cfg, &config, &storage, ret_why, why_len);
}

int server_check(const char *string, const struct cfgstring *cfg, char *ret_why, size_t why_len)
{
	struct handover_request request = {.kind = HANDOVER_CHECK};
	scoped(close) int sock = -1;

	strcpy(request.config_string, string);
	if (cfg->server != CFGSTRING_PROCESS)
		sock = client_connect(ret_why, why_len);
	if (sock >= 0)
		return client_ask(sock, &request, -1, ret_why, why_len);
	/* A daemon that is to come will judge for itself. */
	return cfg->server == CFGSTRING_DAEMON ? 0 : check_here(cfg, ret_why, why_len);
}
