/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper of a device: starts its server once the ring is ours, watches the daemon, and finds
 * the next server when the daemon is gone. Meanwhile the kernel holds commands back, and those
 * that were under way it gives out again: initiators see a pause.
 */
#include "handler/plugin/plugin.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <time.h>

#define RETRY_MS 250

/* Sleeps until something is asked of the keeper, or the daemon's end of @sock (-1: none) closes. */
static void sleep_ms(struct plugin_device *device, int sock, int ms)
{
	struct pollfd fds[] = {
		{.fd = device->wake, .events = POLLIN},
		{.fd = sock, .events = POLLRDHUP}, /* answers are for those who asked */
	};

	if (poll(fds, 2, ms) > 0 && fds[0].revents)
		eventfd_read(device->wake, &(eventfd_t){0});
}

static bool has_hung_up(int sock)
{
	struct pollfd fd = {.fd = sock, .events = POLLRDHUP};

	return poll(&fd, 1, 0) != 0;
}

static time_t now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* ---- without a server ---- */

static void hold_commands(struct plugin_device *device)
{
	int r = tcmu_cfgfs_dev_exec_action(device->runner, "block_dev", 1);

	if (r == 0)
		r = tcmu_cfgfs_dev_exec_action(device->runner, "reset_ring", 1);
	if (r < 0)
		plugin_log(err, device, "%s: commands cannot be held back: %s\n", device->uio,
			   strerror(-r));
	device->blocked = true;
}

static void let_commands_go(struct plugin_device *device)
{
	int r;

	if (!device->blocked)
		return;
	device->blocked = false;
	r = tcmu_cfgfs_dev_exec_action(device->runner, "block_dev", 0);
	if (r < 0)
		plugin_log(err, device, "%s: commands are still held back: %s\n", device->uio,
			   strerror(-r));
}

/* Until somebody serves it, or it is no longer wanted. The ring stands still and is empty. */
static void find_server(struct plugin_device *device)
{
	const time_t deadline = now_s() + device->cfg.wait_s;
	char said[HANDOVER_TEXT_MAX + 1] = "", why[HANDOVER_TEXT_MAX + 1];

	while (!device->closing) {
		bool here = device->cfg.server == CFGSTRING_ANY && now_s() >= deadline;
		int r = server_attach(device, here, why, sizeof(why));

		if (r == 0)
			return;
		if (strcmp(said, why) != 0)
			plugin_log(warn, device, "%s: I/O waits: %s\n", device->uio, why);
		strcpy(said, why);
		sleep_ms(device, -1, RETRY_MS);
	}
}

static void start(struct plugin_device *device)
{
	char why[HANDOVER_TEXT_MAX + 1];
	int r = server_start(device, why, sizeof(why));

	if (r < 0) {
		plugin_log(warn, device, "%s: %s\n", device->uio, why);
		server_detach(device);
		return;
	}
	plugin_log(info, device, "%s: %s is served by %s\n", device->uio, device->string,
		   device->sock >= 0 ? "the daemon" : "this process");
	let_commands_go(device);
}

/* ---- the thread ---- */

static void look_after(struct plugin_device *device)
{
	if (device->sock < 0 && !device->local) {
		if (!device->blocked)
			hold_commands(device);
		find_server(device);
	} else if (!device->started) {
		start(device);
	} else if (device->sock < 0 || !has_hung_up(device->sock)) {
		sleep_ms(device, device->sock, -1);
	} else {
		plugin_log(warn, device, "%s: the daemon is gone\n", device->uio);
		server_detach(device);
	}
}

/* Until the ring is ours its kernel's and libtcmu's alone, whatever becomes of a server. */
static void *keeper_main(void *arg)
{
	struct plugin_device *device = arg;

	while (!device->taken && !device->closing)
		sleep_ms(device, -1, -1);
	while (!device->closing)
		look_after(device);
	return NULL;
}

int keeper_start(struct plugin_device *device)
{
	sigset_t all, before;
	char name[16];
	int r;

	device->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (device->wake < 0)
		return -errno;
	/* Signals are the runner's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&device->keeper, NULL, keeper_main, device);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r) {
		close(device->wake);
		return -r;
	}
	snprintf(name, sizeof(name), "duotgt-%.7s", device->uio);
	pthread_setname_np(device->keeper, name);
	return 0;
}

void keeper_take(struct plugin_device *device)
{
	device->taken = true;
	eventfd_write(device->wake, 1);
}

void keeper_stop(struct plugin_device *device)
{
	device->closing = true;
	eventfd_write(device->wake, 1);
	pthread_join(device->keeper, NULL);
	close(device->wake);
	/* The next runner, or the removal, starts with what the kernel has kept. */
	let_commands_go(device);
}
