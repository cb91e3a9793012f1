/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handler that tcmu-runner loads: its one entry point and its callouts.
 *
 * libtcmu reads the ring until the first command. With that one its thread is parked in
 * handle_cmd for good, and the ring is ours, from the kernel's cmd_tail on. With mode=raw its
 * thread goes on reading: we read the same entries behind it, and never further, for a completion
 * takes the place of an entry that libtcmu might read yet.
 */
#include "handler/plugin/plugin.h"
#include "util/log.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

__attribute__((visibility("default"))) int handler_init(void);

/* ---- judging a configuration string ---- */

static bool check_config(const char *string, char **reason)
{
	char why[HANDOVER_TEXT_MAX + 1] = "";
	struct cfgstring cfg;
	int r = cfgstring_parse(string, &cfg, why, sizeof(why));

	if (r == 0)
		r = server_check(string, &cfg, why, sizeof(why));
	if (r < 0)
		*reason = strdup(why);
	return r == 0;
}

/* ---- opening and closing ---- */

static bool is_raw(const struct plugin_device *device)
{
	return device->cfg.mode == CFGSTRING_RAW;
}

static void device_free(struct plugin_device *device)
{
	pthread_mutex_destroy(&device->lock);
	free(device);
}

static int device_new(struct runner_device *runner, struct plugin_device **ret_device, char *why,
		      size_t why_len)
{
	struct plugin_device *device = calloc(1, sizeof(*device));
	const char *string = tcmu_dev_get_cfgstring(runner);
	char *uio;
	off_t offset;
	int r;

	if (!device)
		return -ENOMEM;
	pthread_mutex_init(&device->lock, NULL);
	device->runner = runner;
	device->sock = -1;
	device->write_cache = -1;
	device->fd = tcmu_dev_get_fd(runner);
	device->block_size = tcmu_dev_get_block_size(runner);
	device->size = tcmu_dev_get_num_lbas(runner) * device->block_size;
	snprintf(device->uio, sizeof(device->uio), "%s", tcmu_dev_get_uio_name(runner));
	/* The runner lets pass what is another handler's, when ours begins like it. */
	r = cfgstring_parse(string, &device->cfg, why, why_len);
	uio = r == 0 ? tcmu_dev_get_memory_info(runner, &device->map, &device->map_len, &offset)
		     : NULL;
	if (r == 0 && !uio) {
		snprintf(why, why_len, "libtcmu does not know the size of its ring");
		r = -EIO;
	}
	free(uio);
	if (r < 0) {
		device_free(device);
		return r;
	}
	strcpy(device->string, string);
	*ret_device = device;
	return 0;
}

/* A server is looked for at once, so that what is wrong is the answer to whoever made the device.
 */
static int attach_first(struct plugin_device *device, char *why, size_t why_len)
{
	int r = server_attach(device, device->cfg.server != CFGSTRING_DAEMON, why, why_len);

	if (r != -ENOENT || device->cfg.server != CFGSTRING_DAEMON)
		return r;
	plugin_log(warn, device, "%s: waits for the daemon: %s\n", device->uio, why);
	return 0;
}

static int device_open(struct runner_device *runner, bool reopen)
{
	struct plugin_device *device = NULL;
	char why[HANDOVER_TEXT_MAX + 1] = "";
	int r = device_new(runner, &device, why, sizeof(why));

	(void)reopen; /* nothing is left from before */
	if (r == 0)
		r = attach_first(device, why, sizeof(why));
	if (r == 0) {
		r = is_raw(device) ? server_start(device, why, sizeof(why)) : keeper_start(device);
		if (r < 0)
			server_detach(device);
	}
	if (r < 0) {
		tcmu_err_message(runner, __func__, __LINE__, "%s: %s\n",
				 tcmu_dev_get_cfgstring(runner), *why ? why : strerror(-r));
		if (device)
			device_free(device);
		return r;
	}
	tcmur_dev_set_private(runner, device);
	return 0;
}

static void device_close(struct runner_device *runner)
{
	struct plugin_device *device = tcmur_dev_get_private(runner);

	if (!is_raw(device))
		keeper_stop(device);
	server_detach(device);
	device_free(device);
}

/* ---- changes ---- */

static int device_reconfig(struct runner_device *runner, struct tcmulib_cfg_info *cfg)
{
	struct plugin_device *device = tcmur_dev_get_private(runner);
	char why[HANDOVER_TEXT_MAX + 1] = "";
	int r;

	switch (cfg->type) {
	case RUNNER_CFG_SIZE:
		r = server_resize(device, cfg->data.dev_size, why, sizeof(why));
		break;
	case RUNNER_CFG_WRITE_CACHE:
		r = server_set_write_cache(device, cfg->data.write_cache, why, sizeof(why));
		break;
	default:
		/* "targetctl restore" writes the one that it has found. */
		r = strcmp(cfg->data.dev_cfgstring, device->string) == 0 ? 0 : -EOPNOTSUPP;
		snprintf(why, sizeof(why), "what is behind it cannot change (make a new device)");
	}
	if (r < 0)
		plugin_log(err, device, "%s: %s\n", device->uio, why);
	return r;
}

/* ---- commands ---- */

/* The runner cancels this thread, at the first point where that is possible. */
static int device_command(struct runner_device *runner, struct tcmur_cmd *cmd)
{
	struct plugin_device *device = tcmur_dev_get_private(runner);
	uint16_t id = cmd->lib_cmd->cmd_id;
	int before;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	free(cmd->lib_cmd); /* the server reads it anew from the ring */
	if (is_raw(device))
		server_read_until(device, id);
	else
		keeper_take(device);
	pthread_setcancelstate(before, NULL);
	while (!is_raw(device))
		pause();
	return RUNNER_ASYNC_HANDLED;
}

/* ---- the entry point ---- */

static void write_log(enum log_level level, const char *text)
{
	switch (level) {
	case LOG_LEVEL_ERROR:
		plugin_log(err, (struct plugin_device *)NULL, "duotgt: %s\n", text);
		break;
	case LOG_LEVEL_WARNING:
		plugin_log(warn, (struct plugin_device *)NULL, "duotgt: %s\n", text);
		break;
	case LOG_LEVEL_INFO:
		plugin_log(info, (struct plugin_device *)NULL, "duotgt: %s\n", text);
		break;
	default:
		plugin_log(dbg, (struct plugin_device *)NULL, "duotgt: %s\n", text);
	}
}

static struct tcmur_handler handler = {
	.name = "duotgt",
	.subtype = CFGSTRING_SUBTYPE,
	.cfg_desc = "A disk of duotgt: STORAGE, a name or deviceID of /etc/duotgt/duotgt.json; or "
		    "/ABSOLUTE/PATH of a file or block device. Behind it, after a '?' and with '&' "
		    "between them: serve=any|daemon|process, wait=SECONDS, mode=takeover|raw, and "
		    "for a path direct=on|off, readonly=on|off. See duotgt(8).",
	.check_config = check_config,
	.reconfig = device_reconfig,
	.open = device_open,
	.close = device_close,
	.handle_cmd = device_command,
};

int handler_init(void)
{
	log_set_writer(write_log);
	return tcmur_register_handler(&handler);
}
