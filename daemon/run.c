/* SPDX-License-Identifier: Apache-2.0 */
/* From ready to the end: the control thread's main loop and its signals. */
#include "daemon/cmd.h"
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

/* One line per LUN and portal that leads to it. */
static void print_ready(const struct config *config, const struct service *service)
{
	for (unsigned t = 0; t < config->n_targets; t++) {
		const struct config_target *target = &config->targets[t];

		for (unsigned g = 0; g < target->n_tpgs; g++)
			for (unsigned p = 0; p < target->tpgs[g].n_portals; p++)
				for (unsigned l = 0; l < target->n_luns; l++)
					printf("ready iscsi://%s/%s/%" PRIu32 "\n",
					       service_portal(service, target->tpgs[g].portals[p]),
					       target->iqn, target->luns[l].lun);
	}
	if (fflush(stdout) != 0)
		log_warning("stdout: %m");
}

static gboolean on_signal(gpointer loop)
{
	g_main_loop_quit(loop);
	return G_SOURCE_CONTINUE;
}

int run_service(const struct config *config)
{
	GMainLoop *loop = g_main_loop_new(NULL, FALSE);
	/* Before the start, so that a signal during it is kept for the loop. */
	guint term = g_unix_signal_add(SIGTERM, on_signal, loop);
	guint interrupt = g_unix_signal_add(SIGINT, on_signal, loop);
	struct service *service;
	int code;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a write past the file size limit is that command's error */
	code = service_start(config, &service);
	if (code == EXIT_OK) {
		print_ready(config, service);
		notify_manager("READY=1");
		g_main_loop_run(loop);
		notify_manager("STOPPING=1");
	}
	/* The default is back: a second signal ends the process at once. */
	g_source_remove(term);
	g_source_remove(interrupt);
	g_main_loop_unref(loop);
	if (code == EXIT_OK)
		code = service_stop(service);
	return code;
}
