/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/handover_server.h"
#include "daemon/run_dir.h"
#include "daemon/service_priv.h"
#include "daemon/service_tcmu.h"
#include "handler/handover.h"
#include "util/log.h"
#include <errno.h>
#include <glib-unix.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define CLIENTS_MAX 4096 /* as many as there may be TCMU devices, and more */

struct handover_server {
	struct service *service;
	struct run_dir dir;
	guint listener;
	struct list clients;
	unsigned n_clients;
};

/* A connection, and the device that came by it. */
struct client {
	struct list node;
	struct handover_server *server;
	int sock; /* -1: it has ended, and the device is on its way out */
	guint source;
	struct service_kernel *kernel; /* NULL: none, or it is on its way out */
	bool busy;		       /* it has a device, maybe on its way out */
	bool started, release_asked, check_waits;
	struct handover_request check; /* that waits */
	char device[HANDOVER_DEVICE_MAX + 1];
};

/* ---- answers ---- */

static void answer(struct client *client, int error, const char *text)
{
	uint8_t packet[HANDOVER_PACKET_MAX];
	struct bytes_out out = bytes_out(packet, sizeof(packet));
	struct handover_answer what = {.error = -error};

	if (error < 0)
		g_strlcpy(what.text, *text ? text : g_strerror(-error), sizeof(what.text));
	handover_put_answer(&out, &what);
	client->release_asked = false;
	/* Nobody sends a second request before the first one's answer: there is always room. */
	if (client->sock >= 0 && handover_send(client->sock, &out, -1) < 0)
		log_warning("%s: the runner does not take an answer", client->device);
}

static void hang_up(struct client *client)
{
	if (client->sock < 0)
		return;
	g_source_remove(client->source);
	close(client->sock);
	client->sock = -1;
}

static void client_free(struct client *client)
{
	hang_up(client);
	list_del(&client->node);
	client->server->n_clients--;
	free(client);
}

/* ---- the end of a device ---- */

/*
 * The runner is gone, or breaks the rules. The next runner starts with an empty ring, and cannot
 * open the device while we have it: so nothing is waited for but what cannot be called back.
 */
static void client_lost(struct client *client)
{
	hang_up(client);
	if (!client->busy) {
		client_free(client);
	} else if (client->kernel) { /* else it is being stopped already */
		log_warning("%s: tcmu-runner has let go of it without a word", client->device);
		service_kernel_stop(steal(client->kernel), true);
	}
}

static bool any_lost(const struct handover_server *server)
{
	list_for_each (client, &server->clients, struct client, node)
		if (client->sock < 0)
			return true;
	return false;
}

/* Those whose runner has died, but @self, before their sockets' turn in the main loop comes. */
static void find_lost(struct handover_server *server, const struct client *self)
{
	list_for_each (client, &server->clients, struct client, node) {
		struct pollfd poll_fd = {.fd = client->sock, .events = POLLRDHUP};

		if (client != self && client->sock >= 0 && poll(&poll_fd, 1, 0) == 1)
			client_lost(client);
	}
}

static void check(struct client *client)
{
	char why[HANDOVER_TEXT_MAX + 1] = "";
	int r = service_kernel_check(client->server->service, client->check.config_string,
				     client->check.block_size, why, sizeof(why));

	client->check_waits = false;
	answer(client, r, why);
}

/* Nothing of the device is left, its descriptor closed. */
static void on_stopped(void *arg)
{
	struct client *client = arg;
	struct handover_server *server = client->server;

	client->busy = client->started = false;
	client->kernel = NULL;
	if (client->sock < 0)
		client_free(client);
	else if (client->release_asked)
		answer(client, 0, "");
	else /* the service ends: the runner learns of it by the connection */
		client_lost(client);
	if (any_lost(server))
		return;
	list_for_each (other, &server->clients, struct client, node)
		if (other->check_waits)
			check(other);
}

/* ---- requests ---- */

static void begin_check(struct client *client, const struct handover_request *request)
{
	client->check = *request;
	client->check_waits = true;
	find_lost(client->server, client);
	if (!any_lost(client->server))
		check(client);
}

static int serve(struct client *client, const struct handover_request *request, int fd, char *why,
		 size_t why_len)
{
	const struct service_kernel_config cfg = {
		.config = request->config_string,
		.name = request->device,
		.fd = fd,
		.map_len = request->map_len,
		.paths = true,
		.size = request->size,
		.block_size = request->block_size,
		.held = true,
		.stopped = on_stopped,
		.arg = client,
	};
	int r;

	if (fd < 0)
		return -EBADF;
	r = service_kernel_start(client->server->service, &cfg, &client->kernel, why, why_len);
	if (r < 0)
		return r;
	client->busy = true;
	g_strlcpy(client->device, request->device, sizeof(client->device));
	return 0;
}

/* What needs a device that is not on its way out already. Return: errno; or 1: answered later. */
static int act(struct client *client, const struct handover_request *request, char *why,
	       size_t why_len)
{
	switch (request->kind) {
	case HANDOVER_START:
		if (client->started)
			return -EALREADY;
		service_kernel_go(client->kernel);
		client->started = true;
		log_info("%s: served for tcmu-runner", client->device);
		return 0;
	case HANDOVER_RESIZE:
		return service_kernel_resize(client->kernel, request->size, why, why_len);
	case HANDOVER_CACHE:
		return service_kernel_set_write_cache(client->kernel, request->on);
	default:
		client->release_asked = true;
		service_kernel_stop(steal(client->kernel), false);
		return 1;
	}
}

/* @fd is taken over when this returns true. */
static bool handle(struct client *client, const struct handover_request *request, int fd)
{
	char why[HANDOVER_TEXT_MAX + 1] = "";
	bool serves = request->kind == HANDOVER_SERVE;
	int r;

	if (request->kind == HANDOVER_CHECK) {
		begin_check(client, request);
		return false;
	}
	if (serves == client->busy)
		r = serves ? -EBUSY : -ENODEV;
	else if (serves)
		r = serve(client, request, fd, why, sizeof(why));
	else
		r = act(client, request, why, sizeof(why));
	if (r <= 0)
		answer(client, r, why);
	return serves && r == 0;
}

static gboolean on_packet(gint sock, GIOCondition condition, gpointer arg)
{
	struct client *client = arg;
	uint8_t packet[HANDOVER_PACKET_MAX];
	struct handover_request request;
	int fd, r, len = handover_receive(sock, packet, &fd);

	(void)condition;
	if (len == -EAGAIN || len == -EINTR)
		return G_SOURCE_CONTINUE;
	r = len <= 0 ? -EPIPE : handover_get_request(packet, (size_t)len, &request);
	if (r == 0 && (client->release_asked || client->check_waits))
		r = -EPROTO; /* its last request has no answer yet */
	if (r == 0) {
		if (!handle(client, &request, fd) && fd >= 0)
			close(fd);
		return G_SOURCE_CONTINUE;
	}
	if (fd >= 0)
		close(fd);
	if (r == -EPROTONOSUPPORT)
		answer(client, r, "the daemon speaks another version of the hand-over protocol");
	client_lost(client); /* removes the source: the id is not used again */
	return G_SOURCE_CONTINUE;
}

/* ---- connections ---- */

static bool may_connect(int sock)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	       (peer.uid == 0 || peer.uid == geteuid());
}

static gboolean on_connection(gint listener, GIOCondition condition, gpointer arg)
{
	struct handover_server *server = arg;
	scoped(close) int sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *client;

	(void)condition;
	if (sock < 0)
		return G_SOURCE_CONTINUE;
	if (!may_connect(sock)) {
		log_warning("%s: a stranger is refused", server->dir.socket_path);
		return G_SOURCE_CONTINUE;
	}
	client = server->n_clients < CLIENTS_MAX ? calloc(1, sizeof(*client)) : NULL;
	if (!client) {
		log_warning("%s: no room for one more device", server->dir.socket_path);
		return G_SOURCE_CONTINUE;
	}
	client->server = server;
	client->sock = steal_fd(&sock);
	strcpy(client->device, "device");
	client->source =
		g_unix_fd_add(client->sock, G_IO_IN | G_IO_HUP | G_IO_ERR, on_packet, client);
	list_push_back(&server->clients, &client->node);
	server->n_clients++;
	return G_SOURCE_CONTINUE;
}

/* ---- the whole ---- */

int handover_server_start(struct service *service, const struct config *config,
			  struct handover_server **ret_server)
{
	struct handover_server *server = g_new0(struct handover_server, 1);
	int r = run_dir_open(config, &server->dir);

	*ret_server = NULL;
	if (r < 0 || server->dir.lock < 0) {
		free(server);
		return r < 0 ? service_exit_code(r) : EXIT_OK;
	}
	server->service = service;
	list_init(&server->clients);
	server->listener = g_unix_fd_add(server->dir.sock, G_IO_IN, on_connection, server);
	*ret_server = server;
	return EXIT_OK;
}

void handover_server_stop(struct handover_server *server)
{
	if (!server)
		return;
	g_source_remove(server->listener);
	list_for_each (client, &server->clients, struct client, node) {
		if (client->kernel)
			service_kernel_stop(steal(client->kernel), false);
		else if (!client->busy)
			client_free(client);
	}
	while (!list_empty(&server->clients))
		service_kernel_wait(server->service);
	run_dir_close(&server->dir);
	free(server);
}
