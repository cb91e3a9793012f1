/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/tcmu_consumer.h"
#include "daemon/service_tcmu.h"
#include "daemon/tcmu_netlink.h"
#include "daemon/tcmu_sysfs.h"
#include "util/cleanup.h"
#include "util/list.h"
#include "util/log.h"
#include <errno.h>
#include <glib-unix.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LOOK_EVERY_S 1

/* A device that is served, or was refused: that is said once, not at every look. */
struct device {
	struct list node;
	struct tcmu_consumer *consumer; /* NULL: it is gone, and the device soon */
	struct tcmu_found found;
	struct service_kernel *kernel; /* NULL: refused, or stopped */
	bool seen;		       /* at the present look */
	bool waits;		       /* the kernel does, for our verdicts on it */
	bool removed;		       /* the kernel has told that it goes */
	uint32_t device_id;
};

struct tcmu_consumer {
	struct service *service;
	char *root;
	bool replies;
	struct tcmu_netlink *netlink; /* NULL: there is none, or not yet */
	guint netlink_source, look_source;
	struct list devices;
};

static struct device *find_device(struct tcmu_consumer *consumer, unsigned minor)
{
	list_for_each (device, &consumer->devices, struct device, node)
		if (device->found.minor == minor)
			return device;
	return NULL;
}

static void forget(struct device *device)
{
	list_del(&device->node);
	g_free(device);
}

/* ---- one device ---- */

static void on_stopped(void *arg)
{
	struct device *device = arg;
	struct tcmu_consumer *consumer = device->consumer;

	if (consumer && device->removed && device->waits)
		tcmu_netlink_reply(consumer->netlink, TCMU_REMOVED, device->device_id, 0);
	forget(device);
}

/*
 * After a crash the ring does not tell which commands are open: the kernel ends them with BUSY and
 * hands them out anew.
 */
static void reset_ring(struct tcmu_consumer *consumer, const struct tcmu_found *found)
{
	int r = tcmu_sysfs_act(consumer->root, found, "block_dev", true);

	if (r == 0)
		r = tcmu_sysfs_act(consumer->root, found, "reset_ring", true);
	if (r < 0)
		log_warning("uio%u (%s): its ring is not reset: %s", found->minor, found->config,
			    g_strerror(-r));
}

static void check_size(struct tcmu_consumer *consumer, const struct device *device)
{
	uint64_t told, is = service_kernel_size(device->kernel);

	if (tcmu_sysfs_number(consumer->root, &device->found, "dev_size", &told) == 0 && told != is)
		log_warning("uio%u (%s): its dev_size is %" PRIu64 ", but its storage has %" PRIu64
			    " bytes, which is what initiators are told",
			    device->found.minor, device->found.config, told, is);
}

/* In bytes; 0: the kernel does not say, or nothing that could be one. */
static uint32_t block_size(const struct tcmu_consumer *consumer, const struct tcmu_found *found)
{
	uint64_t told;

	if (tcmu_sysfs_number(consumer->root, found, "hw_block_size", &told) < 0 ||
	    told > UINT32_MAX)
		return 0;
	return (uint32_t)told;
}

/* @found_late: it was there before we were. Return: 0; -errno, which has been said. */
static int serve(struct tcmu_consumer *consumer, const struct tcmu_found *found, bool found_late)
{
	struct device *device = g_new0(struct device, 1);
	char why[512] = "", name[32];
	struct service_kernel_config cfg = {
		.config = device->found.config,
		.name = name,
		.map_len = found->map_len,
		.block_size = block_size(consumer, found),
		.stopped = on_stopped,
		.arg = device,
	};
	int r;

	*device = (struct device){
		.consumer = consumer,
		.found = *found,
		.seen = true,
		.waits = tcmu_sysfs_waits(consumer->root, found),
	};
	list_push_back(&consumer->devices, &device->node);
	snprintf(name, sizeof(name), "uio%u", found->minor);
	cfg.paths = service_kernel_paths(consumer->service);
	cfg.fd = tcmu_sysfs_open(consumer->root, found);
	if (cfg.fd < 0) {
		log_error("%s (%s): cannot be served: %s", name, found->config,
			  cfg.fd == -EBUSY ? "another program has opened it" : g_strerror(-cfg.fd));
		return cfg.fd;
	}
	if (found_late)
		reset_ring(consumer, found);
	r = service_kernel_start(consumer->service, &cfg, &device->kernel, why, sizeof(why));
	if (found_late)
		tcmu_sysfs_act(consumer->root, found, "block_dev", false);
	if (r < 0) {
		close(cfg.fd);
		log_error("%s (%s): cannot be served: %s", name, found->config,
			  *why ? why : g_strerror(-r));
		return r;
	}
	check_size(consumer, device);
	return 0;
}

static void let_go(struct device *device)
{
	if (device->kernel)
		service_kernel_stop(steal(device->kernel), false);
	else if (!device->removed)
		forget(device); /* one that was refused */
}

/* ---- what the kernel tells ---- */

static int added(struct tcmu_consumer *consumer, const struct tcmu_news *news)
{
	struct tcmu_found found;
	struct device *old = find_device(consumer, news->minor);
	int r = tcmu_sysfs_look(consumer->root, news->minor, &found);

	if (r < 0)
		return r;
	if (old && !old->kernel && !old->removed)
		forget(old);
	else if (old)
		return 0; /* the look at the start was faster */
	return serve(consumer, &found, false);
}

static int reconfigure(struct tcmu_consumer *consumer, const struct tcmu_news *news)
{
	struct device *device = find_device(consumer, news->minor);
	char why[512] = "";
	int r = 0;

	if (!device || !device->kernel)
		return -ENODEV;
	if (news->has_size)
		r = service_kernel_resize(device->kernel, news->size, why, sizeof(why));
	else if (news->has_write_cache)
		r = service_kernel_set_write_cache(device->kernel, news->write_cache);
	else if (news->config)
		r = service_kernel_set_config(device->kernel, news->config, why, sizeof(why));
	if (r < 0)
		log_error("uio%u (%s): cannot be changed: %s", device->found.minor,
			  device->found.config, *why ? why : g_strerror(-r));
	return r;
}

/* The reply follows when nothing of the device is in use any more. */
static void removed(struct tcmu_consumer *consumer, const struct tcmu_news *news)
{
	struct device *device = find_device(consumer, news->minor);

	if (device && device->kernel) {
		device->removed = true;
		device->device_id = news->device_id;
		let_go(device);
		return;
	}
	if (!device || device->waits)
		tcmu_netlink_reply(consumer->netlink, TCMU_REMOVED, news->device_id, 0);
	if (device && !device->removed)
		forget(device);
}

static void answer(struct tcmu_consumer *consumer, const struct tcmu_news *news, int verdict)
{
	const struct device *device = find_device(consumer, news->minor);

	if (!device || device->waits)
		tcmu_netlink_reply(consumer->netlink, news->kind, news->device_id, verdict);
}

static void heard(const struct tcmu_news *news, void *arg)
{
	struct tcmu_consumer *consumer = arg;
	struct tcmu_found found;

	if (!tcmu_sysfs_parse(news->name, &found))
		return; /* somebody else's, and so is the answer */
	switch (news->kind) {
	case TCMU_ADDED:
		answer(consumer, news, added(consumer, news));
		break;
	case TCMU_RECONFIGURED:
		answer(consumer, news, reconfigure(consumer, news));
		break;
	case TCMU_REMOVED:
		removed(consumer, news);
		break;
	}
}

static gboolean on_netlink(gint fd, GIOCondition condition, gpointer arg)
{
	struct tcmu_consumer *consumer = arg;

	(void)fd;
	(void)condition;
	tcmu_netlink_receive(consumer->netlink);
	return G_SOURCE_CONTINUE;
}

/* ---- looking for oneself ---- */

static void on_found(const struct tcmu_found *found, void *arg)
{
	struct tcmu_consumer *consumer = arg;
	struct device *device = find_device(consumer, found->minor);

	/* Another one may have got the number. */
	if (device && !device->kernel && strcmp(device->found.config, found->config) != 0) {
		forget(device);
		device = NULL;
	}
	if (device)
		device->seen = true;
	else
		serve(consumer, found, true);
}

void tcmu_consumer_look(struct tcmu_consumer *consumer)
{
	list_for_each (device, &consumer->devices, struct device, node)
		device->seen = false;
	tcmu_sysfs_scan(consumer->root, on_found, consumer);
	list_for_each (device, &consumer->devices, struct device, node)
		if (!device->seen)
			let_go(device);
}

static bool listen_to_kernel(struct tcmu_consumer *consumer)
{
	int r = tcmu_netlink_open(consumer->replies, heard, consumer, &consumer->netlink);

	if (r == 0)
		consumer->netlink_source = g_unix_fd_add(tcmu_netlink_fd(consumer->netlink),
							 G_IO_IN, on_netlink, consumer);
	else if (r != -ENOENT && r != -EOPNOTSUPP && !consumer->look_source)
		log_warning("tcmu: no events from the kernel: %s", g_strerror(-r));
	return r == 0;
}

/* The module may be loaded at any time; then its events take over. */
static gboolean on_look(gpointer arg)
{
	struct tcmu_consumer *consumer = arg;
	bool listening = listen_to_kernel(consumer);

	tcmu_consumer_look(consumer);
	if (!listening)
		return G_SOURCE_CONTINUE;
	consumer->look_source = 0;
	return G_SOURCE_REMOVE;
}

/* ---- from start to end ---- */

int tcmu_consumer_start(struct service *service, const char *root, bool replies,
			struct tcmu_consumer **ret_consumer)
{
	struct tcmu_consumer *consumer = calloc(1, sizeof(*consumer));

	if (!consumer)
		return -ENOMEM;
	consumer->service = service;
	consumer->root = g_strdup(root);
	consumer->replies = replies;
	list_init(&consumer->devices);
	/* First listen, then look: so nothing is missed in between. */
	if (!listen_to_kernel(consumer))
		consumer->look_source = g_timeout_add_seconds(LOOK_EVERY_S, on_look, consumer);
	tcmu_consumer_look(consumer);
	*ret_consumer = consumer;
	return 0;
}

void tcmu_consumer_stop(struct tcmu_consumer *consumer)
{
	if (!consumer)
		return;
	if (consumer->netlink_source)
		g_source_remove(consumer->netlink_source);
	if (consumer->look_source)
		g_source_remove(consumer->look_source);
	list_for_each (device, &consumer->devices, struct device, node) {
		device->consumer = NULL;
		if (device->kernel || device->removed)
			list_del(&device->node); /* on_stopped() has the last of it */
		else
			forget(device);
	}
	tcmu_netlink_close(consumer->netlink);
	g_free(consumer->root);
	free(consumer);
}
