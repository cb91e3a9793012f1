/* SPDX-License-Identifier: Apache-2.0 */
/* From ready to the end: the control thread's main loop and its signals. */
#include "daemon/cmd.h"
#include "daemon/handover_server.h"
#include "util/log.h"
#include <glib-unix.h>
#include <inttypes.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

void notify_manager(const char *state)
{
	const char *path = g_getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t len = path ? strlen(path) : 0;
	scoped(close) int fd = -1;

	/* '@' opens an abstract name, which has no NUL at its end */
	if (!len || len >= sizeof(address.sun_path) || (*path != '/' && *path != '@'))
		return;
	memcpy(address.sun_path, path, len);
	if (*path == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		log_warning("NOTIFY_SOCKET %s: %m", path);
}

struct run {
	struct config *config;
	const char *path;
	struct service *service;
	struct handover_server *handover;
	GMainLoop *loop;
};

/* One line per LUN and portal that leads to it; one for the kernel. */
static void print_ready(const struct run *run)
{
	const struct config *config = run->config;

	for (unsigned t = 0; t < config->n_targets; t++) {
		const struct config_target *target = &config->targets[t];

		for (unsigned g = 0; g < target->n_tpgs; g++)
			for (unsigned p = 0; p < target->tpgs[g].n_portals; p++)
				for (unsigned l = 0; l < target->n_luns; l++)
					printf("ready iscsi://%s/%s/%" PRIu32 "\n",
					       service_portal(run->service,
							      target->tpgs[g].portals[p]),
					       target->iqn, target->luns[l].lun);
	}
	if (config->tcmu.enabled)
		puts("ready tcmu");
	if (fflush(stdout) != 0)
		log_warning("stdout: %m");
}

static gboolean on_end(gpointer arg)
{
	struct run *run = arg;

	g_main_loop_quit(run->loop);
	return G_SOURCE_CONTINUE;
}

static void reload(struct run *run)
{
	scoped(config_free) struct config *next = NULL;
	struct config_error why;
	struct config *old = run->config;
	int r = config_load(run->path, &next, &why);

	if (r < 0) {
		char *text = load_error_text(run->path, r, &why);

		log_error("%s; nothing has changed", text);
		g_free(text);
		return;
	}
	if (service_reload(run->service, old, next) != EXIT_OK)
		return;
	run->config = steal(next);
	config_free(old);
}

static gboolean on_reload(gpointer arg)
{
	struct run *run = arg;

	notify_manager("RELOADING=1");
	if (run->path)
		reload(run);
	else
		service_resize(run->service, run->config);
	notify_manager("READY=1");
	return G_SOURCE_CONTINUE;
}

static gboolean on_report(gpointer arg)
{
	struct run *run = arg;

	service_report(run->service);
	return G_SOURCE_CONTINUE;
}

static void serve(struct run *run)
{
	print_ready(run);
	notify_manager("READY=1");
	g_main_loop_run(run->loop);
	notify_manager("STOPPING=1");
}

int run_service(struct config *config, const char *path)
{
	struct run run = {.config = config, .path = path, .loop = g_main_loop_new(NULL, FALSE)};
	/* Before the start, so that a signal during it is kept for the loop. */
	guint term = g_unix_signal_add(SIGTERM, on_end, &run);
	guint interrupt = g_unix_signal_add(SIGINT, on_end, &run);
	guint hangup = g_unix_signal_add(SIGHUP, on_reload, &run);
	guint report = g_unix_signal_add(SIGUSR1, on_report, &run);
	int code, stopped;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a write past the file size limit is that command's error */
	code = service_start(config, &run.service);
	if (code == EXIT_OK && path)
		code = handover_server_start(run.service, config, &run.handover);
	if (code == EXIT_OK)
		serve(&run);
	/* The default is back: a second signal ends the process at once. */
	g_source_remove(term);
	g_source_remove(interrupt);
	g_source_remove(hangup);
	g_source_remove(report);
	signal(SIGHUP, SIG_IGN); /* but for these two, which end nothing */
	signal(SIGUSR1, SIG_IGN);
	g_main_loop_unref(run.loop);
	handover_server_stop(run.handover);
	stopped = service_stop(run.service);
	if (code == EXIT_OK)
		code = stopped;
	config_free(run.config);
	return code;
}
