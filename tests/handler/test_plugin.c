/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plug-in as tcmu-runner would load it, in a runner that is none: what it registers, refuses,
 * opens, serves, and how it finds another server when the daemon is gone.
 */
#include "fake_daemon.h"
#include "fake_runner.h"
#include "scsi/task.h"
#include "util/bytes.h"
#include <dlfcn.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define DISK_SIZE (4u << 20)

static char folder[64];

static char *in_folder(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "%s" of the format is the folder. For the caller to free(). */
static char *in_folder(const char *format, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, format);
	assert_true(vasprintf(&text, format, args) >= 0);
	va_end(args);
	return text;
}

static void remove_file(const char *name)
{
	char *path = in_folder("%s/%s", folder, name);

	unlink(path);
	free(path);
}

/* ---- what is registered ---- */

static void a_handler_of_raw_commands(void **state)
{
	(void)state;
	assert_string_equal(fake_handler->subtype, "duotgt");
	assert_non_null(fake_handler->cfg_desc);
	assert_int_equal(fake_handler->nr_threads, 0);
	assert_non_null(fake_handler->handle_cmd);
	assert_non_null(fake_handler->reconfig);
	for (unsigned i = 0; i < sizeof(fake_handler->unused) / sizeof(void *); i++)
		assert_null(fake_handler->unused[i]);
}

/* ---- what is refused ---- */

/* The plug-in's reason, for the caller to free(); NULL: it is fine. */
static char *reason_against(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *reason_against(const char *format, ...)
{
	char *string = NULL, *reason = NULL;
	va_list args;
	bool fine;

	va_start(args, format);
	assert_true(vasprintf(&string, format, args) >= 0);
	va_end(args);
	fine = fake_handler->check_config(string, &reason);
	assert_int_equal(fine, reason == NULL);
	free(string);
	return reason;
}

static void says(char *reason, const char *expected)
{
	if (!reason || !strstr(reason, expected))
		fail_msg("\"%s\" does not say \"%s\"", reason ? reason : "(nothing)", expected);
	free(reason);
}

static void strings_are_judged(void **state)
{
	(void)state;
	says(reason_against("duotgt/"), "expected a storage");
	says(reason_against("duo/x"), "begins with duotgt/");
	says(reason_against("duotgt/a;tcmur_cmd_time_out=3"), "option of tcmu-runner");
	says(reason_against("duotgt//no/such/folder/disk"), "neither it nor its folder exists");
	says(reason_against("duotgt//dev/null"), "neither a file nor a block device");
	says(reason_against("duotgt/absent"), "no storage has the name or deviceID absent");
	assert_null(reason_against("duotgt/%s", "data"));
	assert_null(reason_against("duotgt/%d", 7));
	assert_null(reason_against("duotgt/%s/new.img", folder));
	assert_null(reason_against("duotgt/anything?serve=%s", "daemon"));
}

static void without_a_configuration(void **state)
{
	char *before = strdup(getenv("DUOTGT_CONFIG")), *absent = in_folder("%s/absent", folder);

	(void)state;
	setenv("DUOTGT_CONFIG", absent, 1);
	says(reason_against("duotgt/data"), "absent: No such file");
	assert_null(reason_against("duotgt/%s/new.img", folder));
	setenv("DUOTGT_CONFIG", before, 1);
	free(before);
	free(absent);
}

static void what_cannot_be_opened(void **state)
{
	char *string = in_folder("duotgt/%s", folder);
	struct runner_device *dev = fake_device(string, DISK_SIZE);

	(void)state;
	free(fake_log());
	assert_true(fake_handler->open(dev, false) < 0);
	says(fake_log(), folder);
	fake_device_free(dev);
	free(string);

	/* The runner takes it for ours, since ours begins like it. */
	dev = fake_device("duot/data", DISK_SIZE);
	assert_int_equal(fake_handler->open(dev, false), -EINVAL);
	says(fake_log(), "begins with duotgt/");
	fake_device_free(dev);
}

/* ---- serving in this process ---- */

static struct runner_device *opened(const char *name, const char *options)
{
	char *string = in_folder("duotgt/%s/%s%s", folder, name, options);
	struct runner_device *dev = fake_device(string, DISK_SIZE);

	free(string);
	if (fake_open(dev) < 0)
		fail_msg("open: %s", fake_log());
	return dev;
}

static void closed(struct runner_device *dev)
{
	fake_close(dev);
	fake_device_free(dev);
}

static const struct fake_command *run(struct runner_device *dev, uint16_t id, const uint8_t *cdb,
				      size_t cdb_len, uint32_t data_len)
{
	fake_command(dev, id, cdb, cdb_len, data_len);
	return fake_wait(dev, id);
}

/* Until the device has nothing to report. */
static void clear_attentions(struct runner_device *dev)
{
	const uint8_t test_unit_ready[6] = {0x00};

	while (run(dev, 0, test_unit_ready, 6, 0)->status == STATUS_CHECK_CONDITION)
		;
	assert_int_equal(dev->commands[0].status, STATUS_GOOD);
}

static void rw10(struct runner_device *dev, uint16_t id, uint8_t opcode, uint32_t lba, uint16_t n)
{
	uint8_t cdb[10] = {opcode};

	be32_put(cdb + 2, lba);
	be16_put(cdb + 7, n);
	assert_int_equal(run(dev, id, cdb, 10, n * 512u)->status, STATUS_GOOD);
}

static uint64_t capacity(struct runner_device *dev)
{
	const uint8_t read_capacity[10] = {0x25};

	assert_int_equal(run(dev, 1, read_capacity, 10, 8)->status, STATUS_GOOD);
	return ((uint64_t)be32_get(fake_data(dev, 1)) + 1) * 512;
}

static void write_and_read(struct runner_device *dev)
{
	clear_attentions(dev);
	assert_int_equal(capacity(dev), DISK_SIZE);
	memset(fake_data(dev, 2), 0xa5, 4096);
	rw10(dev, 2, 0x2a, 8, 8);
	memset(fake_data(dev, 3), 0, 8192);
	rw10(dev, 3, 0x28, 8, 16);
	assert_memory_equal(fake_data(dev, 3), fake_data(dev, 2), 4096);
	assert_int_equal(fake_data(dev, 3)[4096], 0);
}

static void in_this_process(void **state)
{
	struct runner_device *dev =
		opened(*state ? "raw.img" : "taken.img", *state ? *state : "?serve=process");
	const uint8_t inquiry[6] = {0x12, 0, 0, 0, 255};
	const struct fake_command *command;

	write_and_read(dev);
	memset(fake_data(dev, 4), 0xff, 512);
	command = run(dev, 4, inquiry, 6, 255);
	assert_int_equal(command->status, STATUS_GOOD);
	assert_true(command->has_read_len && command->read_len < 255 && command->read_len >= 36);
	assert_int_equal(fake_data(dev, 4)[254], 0); /* cleared behind the answer */
	/* after the first one, libtcmu hands over none that is taken over */
	assert_true(*state ? dev->handed > 2 : dev->handed == 1);
	closed(dev);
	remove_file(*state ? "raw.img" : "taken.img");
}

/* libtcmu drops what it cannot tell the length of; we do not. */
static void vendor_opcodes_are_answered(void **state)
{
	struct runner_device *dev = opened("vendor.img", "?serve=process");
	const uint8_t vendor[10] = {0xc1}, test_unit_ready[6] = {0x00};
	const struct fake_command *command;

	(void)state;
	fake_command(dev, 1, vendor, 10, 0); /* nobody hears of it, until the next one comes */
	clear_attentions(dev);
	command = fake_wait(dev, 1);
	assert_int_equal(command->status, STATUS_CHECK_CONDITION);
	command = run(dev, 2, vendor, 10, 0);
	assert_int_equal(command->status, STATUS_CHECK_CONDITION);
	assert_int_equal(command->sense[2] & 0x0f, 5);
	assert_int_equal(command->sense[12], 0x20);
	assert_int_equal(run(dev, 3, test_unit_ready, 6, 0)->status, STATUS_GOOD);
	closed(dev);
	remove_file("vendor.img");
}

static void closed_before_the_first_command(void **state)
{
	(void)state;
	closed(opened("idle.img", "?serve=process"));
	closed(opened("idle.img", "?mode=raw"));
	remove_file("idle.img");
}

static int reconfig(struct runner_device *dev, int type, uint64_t value)
{
	struct tcmulib_cfg_info info = {.type = type};

	if (type == RUNNER_CFG_SIZE)
		info.data.dev_size = value;
	else
		info.data.write_cache = value;
	return fake_handler->reconfig(dev, &info);
}

static int reconfig_string(struct runner_device *dev, char *string)
{
	struct tcmulib_cfg_info info = {.type = RUNNER_CFG_STRING, .data.dev_cfgstring = string};

	return fake_handler->reconfig(dev, &info);
}

static void sizes_change(void **state)
{
	struct runner_device *dev = opened("size.img", *state);
	const uint8_t test_unit_ready[6] = {0x00};
	const struct fake_command *command;

	clear_attentions(dev);
	assert_int_equal(reconfig(dev, RUNNER_CFG_SIZE, 2 * DISK_SIZE), 0);
	command = run(dev, 0, test_unit_ready, 6, 0);
	assert_int_equal(command->status, STATUS_CHECK_CONDITION);
	assert_int_equal(command->sense[12] << 8 | command->sense[13], 0x2a09);
	clear_attentions(dev);
	assert_int_equal(capacity(dev), 2 * DISK_SIZE);
	assert_int_equal(reconfig_string(dev, "duotgt//other.img"), -EOPNOTSUPP);
	assert_int_equal(reconfig_string(dev, dev->string), 0); /* no change */
	closed(dev);
	remove_file("size.img");
}

static bool write_cache(struct runner_device *dev)
{
	const uint8_t mode_sense[6] = {0x1a, 0x08, 0x08, 0, 255};

	assert_int_equal(run(dev, 5, mode_sense, 6, 255)->status, STATUS_GOOD);
	return fake_data(dev, 5)[4 + 2] & 0x04;
}

static void the_write_cache_changes(void **state)
{
	struct runner_device *dev = opened("cache.img", "?serve=process");

	(void)state;
	clear_attentions(dev);
	assert_int_equal(reconfig(dev, RUNNER_CFG_WRITE_CACHE, 0), 0);
	clear_attentions(dev);
	assert_false(write_cache(dev));
	assert_int_equal(reconfig(dev, RUNNER_CFG_WRITE_CACHE, 1), 0);
	clear_attentions(dev);
	assert_true(write_cache(dev));
	closed(dev);
	remove_file("cache.img");
}

/* ---- the daemon ---- */

static void handed_over(void **state)
{
	const uint8_t test_unit_ready[6] = {0x00};
	struct fake_daemon *daemon = fake_daemon_start(folder);
	struct runner_device *dev = opened("disk.img", "?serve=daemon");
	struct handover_request request;

	(void)state;
	request = fake_daemon_next(daemon);
	assert_int_equal(request.kind, HANDOVER_SERVE);
	assert_int_equal(request.size, DISK_SIZE);
	assert_int_equal(request.block_size, 512);
	assert_int_equal(request.map_len, dev->map_len);
	assert_string_equal(request.device, "uio7");
	assert_string_equal(request.config_string, dev->string);
	fake_command(dev, 0, test_unit_ready, 6, 0);
	assert_int_equal(fake_daemon_next(daemon).kind, HANDOVER_START);
	assert_int_equal(reconfig(dev, RUNNER_CFG_SIZE, 2 * DISK_SIZE), 0);
	request = fake_daemon_next(daemon);
	assert_int_equal(request.kind, HANDOVER_RESIZE);
	assert_int_equal(request.size, 2 * DISK_SIZE);
	assert_int_equal(reconfig(dev, RUNNER_CFG_WRITE_CACHE, 1), 0);
	request = fake_daemon_next(daemon);
	assert_int_equal(request.kind, HANDOVER_CACHE);
	assert_true(request.on);
	closed(dev);
	assert_int_equal(fake_daemon_next(daemon).kind, HANDOVER_RELEASE);
	fake_daemon_stop(daemon);
}

/* The daemon refuses: so does open, with the daemon's words. */
static void refused_by_the_daemon(void **state)
{
	struct fake_daemon *daemon = fake_daemon_start(folder);
	struct runner_device *dev = fake_device("duotgt/data", DISK_SIZE);

	(void)state;
	free(fake_log());
	fake_daemon_refuse(daemon, EBUSY, "it is exported already");
	assert_int_equal(fake_handler->open(dev, false), -EBUSY);
	says(fake_log(), "it is exported already");
	says(reason_against("duotgt/data"), "it is exported already");
	fake_device_free(dev);
	fake_daemon_stop(daemon);
}

/* It dies: commands are held back and given out again, and the next daemon gets the device. */
static void the_next_daemon(void **state)
{
	const uint8_t test_unit_ready[6] = {0x00};
	struct fake_daemon *daemon = fake_daemon_start(folder);
	struct runner_device *dev = opened("disk.img", "");
	struct handover_request request;

	(void)state;
	fake_daemon_next(daemon);
	assert_int_equal(reconfig(dev, RUNNER_CFG_SIZE, 2 * DISK_SIZE), 0);
	fake_daemon_next(daemon);
	assert_int_equal(reconfig(dev, RUNNER_CFG_WRITE_CACHE, 0), 0);
	fake_daemon_next(daemon);
	fake_command(dev, 0, test_unit_ready, 6, 0);
	assert_int_equal(fake_daemon_next(daemon).kind, HANDOVER_START);
	fake_daemon_stop(daemon);
	while (!dev->resets)
		usleep(1000);
	assert_true(dev->blocked);
	assert_int_equal(reconfig(dev, RUNNER_CFG_SIZE, DISK_SIZE), -EAGAIN);

	daemon = fake_daemon_start(folder);
	request = fake_daemon_next(daemon);
	assert_int_equal(request.kind, HANDOVER_SERVE);
	assert_int_equal(request.size, 2 * DISK_SIZE); /* as it was last */
	request = fake_daemon_next(daemon);
	assert_int_equal(request.kind, HANDOVER_CACHE);
	assert_false(request.on);
	assert_int_equal(fake_daemon_next(daemon).kind, HANDOVER_START);
	while (dev->blocked)
		usleep(1000);
	assert_int_equal(dev->resets, 1);
	closed(dev);
	assert_int_equal(fake_daemon_next(daemon).kind, HANDOVER_RELEASE);
	fake_daemon_stop(daemon);
}

/* No next daemon comes: this process goes on. */
static void without_a_next_daemon(void **state)
{
	const uint8_t test_unit_ready[6] = {0x00};
	struct fake_daemon *daemon = fake_daemon_start(folder);
	struct runner_device *dev = opened("alone.img", "?wait=0");

	(void)state;
	fake_daemon_next(daemon);
	fake_command(dev, 0, test_unit_ready, 6, 0);
	assert_int_equal(fake_daemon_next(daemon).kind, HANDOVER_START);
	fake_daemon_stop(daemon);
	while (!dev->resets || dev->blocked)
		usleep(1000);
	write_and_read(dev);
	closed(dev);
	remove_file("alone.img");
}

/* Nobody is there who may serve it; closing does not wait for one. */
static void closed_while_it_waits(void **state)
{
	const uint8_t test_unit_ready[6] = {0x00};
	struct runner_device *dev = opened("disk.img", "?serve=daemon");

	(void)state;
	fake_command(dev, 0, test_unit_ready, 6, 0);
	while (!dev->resets)
		usleep(1000);
	assert_true(dev->blocked);
	fake_close(dev);
	assert_false(dev->blocked);
	fake_device_free(dev);
}

/* ---- the whole ---- */

static int set_up(void **state)
{
	const char *plugin = getenv("PLUGIN");
	int (*handler_init)(void);
	char *path;
	FILE *file;
	void *so;

	(void)state;
	strcpy(folder, "/tmp/duotgt-plugin-XXXXXX");
	assert_non_null(mkdtemp(folder));
	path = in_folder("%s/duotgt.json", folder);
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file,
		"{\"storages\": [{\"deviceID\": 7, \"name\": \"data\", \"path\": \"%s/data.img\"}],"
		"\"iscsiportals\": [{\"id\": 0, \"portal\": \"127.0.0.1:0\"}], \"iscsitargets\": "
		"{\"iqn.2026-11.org.example:a\": {\"tpgts\": {\"1\": [0]}, \"luns\": {\"0\": 7}}}, "
		"\"stateDir\": \"%s\", \"runDir\": \"%s\"}\n",
		folder, folder, folder);
	fclose(file);
	setenv("DUOTGT_CONFIG", path, 1);
	free(path);
	assert_non_null(plugin);
	so = dlopen(plugin, RTLD_NOW | RTLD_LOCAL); /* as the runner does */
	if (!so)
		fail_msg("%s", dlerror());
	*(void **)&handler_init = dlsym(so, "handler_init");
	assert_non_null(handler_init);
	return handler_init();
}

static int tear_down(void **state)
{
	char *command = in_folder("rm -rf '%s'", folder);

	(void)state;
	assert_int_equal(system(command), 0);
	free(command);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_handler_of_raw_commands),
		cmocka_unit_test(strings_are_judged),
		cmocka_unit_test(without_a_configuration),
		cmocka_unit_test(what_cannot_be_opened),
		cmocka_unit_test(in_this_process),
		cmocka_unit_test_prestate(in_this_process, (void *)"?mode=raw"),
		cmocka_unit_test(vendor_opcodes_are_answered),
		cmocka_unit_test(closed_before_the_first_command),
		cmocka_unit_test_prestate(sizes_change, (void *)"?serve=process"),
		cmocka_unit_test_prestate(sizes_change, (void *)"?mode=raw"),
		cmocka_unit_test(the_write_cache_changes),
		cmocka_unit_test(handed_over),
		cmocka_unit_test(refused_by_the_daemon),
		cmocka_unit_test(the_next_daemon),
		cmocka_unit_test(without_a_next_daemon),
		cmocka_unit_test(closed_while_it_waits),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
