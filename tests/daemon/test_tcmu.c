/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our own consumer over a tree of its own: what it finds, what it refuses, what it leaves behind.
 * The rings are files, which nothing can be said through; tests/vm has real ones.
 */
#include "daemon/service_priv.h"
#include "daemon/service_tcmu.h"
#include "daemon/tcmu_consumer.h"
#include "daemon/tcmu_sysfs.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
/* cmocka.h wants some of the above first. */
#include <cmocka.h>

#define RING_BYTES 65536

static char root[] = "/tmp/test_tcmu.XXXXXX";

static void put(const char *path, const void *bytes, size_t len)
{
	char *full = g_strconcat(root, path, NULL);
	char *folder = g_path_get_dirname(full);

	assert_int_equal(g_mkdir_with_parents(folder, 0700), 0);
	assert_true(g_file_set_contents(full, bytes, (gssize)len, NULL));
	g_free(folder);
	g_free(full);
}

static void put_text(const char *path, const char *text)
{
	put(path, text, strlen(text));
}

static char *get_text(const char *path)
{
	char *full = g_strconcat(root, path, NULL), *text = NULL;

	assert_true(g_file_get_contents(full, &text, NULL, NULL));
	g_free(full);
	return text;
}

static void assert_text(const char *path, const char *expected)
{
	char *text = get_text(path);

	assert_string_equal(text, expected);
	g_free(text);
}

static void clear_tree(void)
{
	char *command = g_strdup_printf("rm -rf %s/sys %s/dev", root, root);

	assert_int_equal(system(command), 0);
	g_free(command);
}

/* A device as the kernel shows it, with an empty ring. */
static void put_device(unsigned minor, const char *name)
{
	static uint8_t ring[RING_BYTES];
	static const uint32_t mailbox[] = {0xf << 16 | 2, 128, 8192};
	char *path = g_strdup_printf("/sys/class/uio/uio%u/name", minor);

	put_text(path, name);
	g_free(path);
	path = g_strdup_printf("/sys/class/uio/uio%u/maps/map0/size", minor);
	put_text(path, "0x10000\n");
	g_free(path);
	path = g_strdup_printf("/dev/uio%u", minor);
	memcpy(ring, mailbox, sizeof(mailbox));
	put(path, ring, sizeof(ring));
	g_free(path);
	put_text("/sys/kernel/config/target/core/user_7/disk/action/block_dev", "-");
	put_text("/sys/kernel/config/target/core/user_7/disk/action/reset_ring", "-");
	put_text("/sys/kernel/config/target/core/user_7/disk/attrib/dev_size", "1048576\n");
}

static void remove_device(unsigned minor)
{
	char *command = g_strdup_printf("rm -r %s/sys/class/uio/uio%u %s/dev/uio%u", root, minor,
					root, minor);

	assert_int_equal(system(command), 0);
	g_free(command);
}

/* ---- names ---- */

static void names_are_taken_apart(void **state)
{
	struct tcmu_found found;

	(void)state;
	assert_true(tcmu_sysfs_parse("tcm-user/7/disk/duotgt/data", &found));
	assert_string_equal(found.hba, "7");
	assert_string_equal(found.device, "disk");
	assert_string_equal(found.config, "duotgt/data");
	assert_true(tcmu_sysfs_parse("tcm-user/0/a.b/duotgt//srv/x.img?direct=on", &found));
	assert_string_equal(found.config, "duotgt//srv/x.img?direct=on");
}

static void other_names_are_not_ours(void **state)
{
	static const char *const names[] = {
		"",
		"tcm-user",
		"tcm-user/",
		"tcm-user/7",
		"tcm-user/7/disk",
		"tcm-user/7/disk/",
		"tcm-user/7/disk/rbd/x",
		"tcm-user/7/disk/duotgt",
		"tcm-user/7/disk/duotgtx/y",
		"tcm-user//disk/duotgt/x",
		"tcm-user/7//duotgt/x",
		"tcm-user/../disk/duotgt/x",
		"tcm-user/7/../duotgt/x",
		"tcm-user/7/.hidden/duotgt/x",
		"uio_pci_generic",
	};
	struct tcmu_found found;
	char longest[600];

	(void)state;
	for (unsigned i = 0; i < G_N_ELEMENTS(names); i++)
		assert_false(tcmu_sysfs_parse(names[i], &found));
	memset(longest, 'x', sizeof(longest));
	memcpy(longest, "tcm-user/7/disk/duotgt/", 23);
	longest[599] = '\0';
	assert_false(tcmu_sysfs_parse(longest, &found));
	memcpy(longest, "tcm-user/7/xxxxxxxxxxxxx", 24);
	strcpy(longest + 300, "/duotgt/x");
	assert_false(tcmu_sysfs_parse(longest, &found));
}

/* ---- the consumer ---- */

struct rig {
	struct config *config;
	struct service *service;
	struct tcmu_consumer *consumer;
};

static void begin(struct rig *rig)
{
	static const char text[] = "{\"storages\": ["
				   "{\"deviceID\": 1, \"name\": \"data\", \"path\": \"ram:1M\"},"
				   "{\"deviceID\": 2, \"name\": \"lun\", \"path\": \"ram:1M\"},"
				   "{\"deviceID\": 3, \"name\": \"both\", \"path\": \"ram:1M\", "
				   "\"bothFrontEnds\": true}],"
				   "\"iscsiportals\": [{\"id\": 1, \"portal\": \"127.0.0.1:0\"}],"
				   "\"iscsitargets\": {\"iqn.2026-11.org.example:a\": "
				   "{\"tpgts\": {\"1\": [1]}, \"luns\": {\"0\": 2, \"1\": 3}}},"
				   "\"performance\": {\"engine\": \"epoll\", \"reactors\": 1}}";
	struct config_error why;

	clear_tree();
	*rig = (struct rig){0};
	if (config_parse(text, strlen(text), &rig->config, &why) < 0)
		fail_msg("%s", why.text);
	rig->config->default_state_dir = false;
	assert_int_equal(service_start(rig->config, &rig->service), EXIT_OK);
}

static void consume(struct rig *rig)
{
	assert_int_equal(tcmu_consumer_start(rig->service, root, false, &rig->consumer), 0);
}

static void end(struct rig *rig)
{
	tcmu_consumer_stop(rig->consumer);
	assert_int_equal(service_stop(rig->service), EXIT_OK);
	config_free(rig->config);
}

static unsigned count_served(const struct rig *rig)
{
	unsigned n = 0;

	for (unsigned i = 0; i < rig->service->n_lus; i++)
		n += service_kernel_has(rig->service, rig->service->lus[i].lu);
	return n;
}

static bool has(const struct rig *rig, unsigned storage)
{
	return service_kernel_has(rig->service, rig->service->lus[storage].lu);
}

/* Turns the main loop until @n devices are left. */
static void wait_for(const struct rig *rig, unsigned n)
{
	while (count_served(rig) != n)
		g_main_context_iteration(NULL, TRUE);
}

static void a_device_is_served_after_its_ring_was_reset(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	put_device(4, "tcm-user/7/disk/duotgt/data");
	consume(&rig);
	assert_true(has(&rig, 0));
	assert_text("/sys/kernel/config/target/core/user_7/disk/action/reset_ring", "1");
	assert_text("/sys/kernel/config/target/core/user_7/disk/action/block_dev", "0");
	end(&rig);
}

static void a_device_that_goes_is_let_go(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	consume(&rig);
	tcmu_consumer_look(rig.consumer);
	assert_int_equal(count_served(&rig), 0);
	put_device(4, "tcm-user/7/disk/duotgt/1"); /* by its number */
	tcmu_consumer_look(rig.consumer);
	tcmu_consumer_look(rig.consumer);
	assert_true(has(&rig, 0));
	remove_device(4);
	tcmu_consumer_look(rig.consumer);
	wait_for(&rig, 0);
	put_device(4, "tcm-user/7/disk/duotgt/data");
	tcmu_consumer_look(rig.consumer);
	assert_int_equal(count_served(&rig), 1);
	end(&rig);
}

static void others_are_left_alone(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	put_device(1, "tcm-user/7/disk/rbd/data");
	put_device(2, "tcm-user/7/disk/duotgt/nothing"); /* said, and that is all */
	put_device(3, "tcm-user/7/disk/duotgt//etc/passwd");
	put_device(5, "tcm-user/7/disk/duotgt/data?mode=odd");
	put_text("/sys/class/uio/uiox/name", "tcm-user/7/disk/duotgt/data");
	put_text("/sys/class/uio/uio9x/name", "tcm-user/7/disk/duotgt/data");
	consume(&rig);
	tcmu_consumer_look(rig.consumer);
	assert_int_equal(count_served(&rig), 0);
	end(&rig);
}

/* LIO would tell its fabrics of blocks that the disk does not have. */
static void another_block_length_is_refused(void **state)
{
	static const char attribute[] =
		"/sys/kernel/config/target/core/user_7/disk/attrib/hw_block_size";
	struct rig rig;

	(void)state;
	begin(&rig);
	put_device(4, "tcm-user/7/disk/duotgt/data");
	put_text(attribute, "4096\n");
	consume(&rig);
	assert_false(has(&rig, 0));
	remove_device(4);
	tcmu_consumer_look(rig.consumer);
	put_device(4, "tcm-user/7/disk/duotgt/data");
	put_text(attribute, "512\n");
	tcmu_consumer_look(rig.consumer);
	assert_true(has(&rig, 0));
	end(&rig);
}

/* One front end at a time, unless the storage says otherwise. */
static void luns_of_iscsi_are_taken(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	put_device(1, "tcm-user/7/disk/duotgt/lun");
	put_device(2, "tcm-user/7/disk/duotgt/both");
	put_device(3, "tcm-user/7/disk/duotgt/data");
	put_device(4, "tcm-user/7/disk/duotgt/1"); /* the same again */
	consume(&rig);
	assert_false(has(&rig, 1));
	assert_true(has(&rig, 2));
	assert_true(has(&rig, 0));
	end(&rig);
}

static void a_storage_of_the_kernels_becomes_no_lun(void **state)
{
	struct config_target *target;
	struct rig rig;

	(void)state;
	begin(&rig);
	put_device(3, "tcm-user/7/disk/duotgt/data");
	consume(&rig);
	assert_true(has(&rig, 0));
	/* LUN 0 of the target becomes storage 1, as a changed file would say. */
	target = &rig.config->targets[0];
	assert_int_equal(target->luns[0].storage, 1);
	target->luns[0].storage = 0;
	assert_int_equal(service_reload(rig.service, rig.config, rig.config), EXIT_CONFIG);
	target->luns[0].storage = 1;
	assert_int_equal(service_reload(rig.service, rig.config, rig.config), EXIT_OK);
	assert_true(has(&rig, 0));
	end(&rig);
}

static void set_true(void *arg)
{
	*(bool *)arg = true;
}

/* What the kernel asks to be otherwise, and what is said to that. */
static void changes_are_judged(void **state)
{
	struct service_kernel_config cfg = {.config = "duotgt/data",
					    .name = "uio4",
					    .map_len = RING_BYTES,
					    .stopped = set_true};
	struct service_kernel *kernel;
	struct tcmu_found found;
	bool stopped = false;
	char why[256];
	struct rig rig;

	(void)state;
	begin(&rig);
	put_device(4, "tcm-user/7/disk/duotgt/data");
	assert_int_equal(tcmu_sysfs_look(root, 4, &found), 0);
	cfg.fd = tcmu_sysfs_open(root, &found);
	cfg.arg = &stopped;
	assert_true(cfg.fd >= 0);
	assert_int_equal(service_kernel_start(rig.service, &cfg, &kernel, why, sizeof(why)), 0);
	assert_int_equal(service_kernel_size(kernel), 1 << 20);
	assert_int_equal(service_kernel_resize(kernel, 1000, why, sizeof(why)), -EINVAL);
	assert_int_equal(service_kernel_resize(kernel, 0, why, sizeof(why)), -EINVAL);
	assert_int_equal(service_kernel_resize(kernel, 512 << 10, why, sizeof(why)), 0);
	assert_int_equal(service_kernel_size(kernel), 512 << 10);
	assert_true(service_kernel_resize(kernel, 1ull << 60, why, sizeof(why)) < 0);
	assert_int_equal(service_kernel_size(kernel), 512 << 10);
	assert_int_equal(service_kernel_set_write_cache(kernel, false), 0);
	assert_int_equal(service_kernel_set_config(kernel, "duotgt/1", why, sizeof(why)), 0);
	assert_int_equal(service_kernel_set_config(kernel, "duotgt/both", why, sizeof(why)),
			 -EBUSY);
	assert_int_equal(service_kernel_set_config(kernel, "rbd/x", why, sizeof(why)), -EINVAL);
	service_kernel_stop(kernel, false);
	while (!stopped)
		g_main_context_iteration(NULL, TRUE);
	end(&rig);
}

static void some_devices_wait_for_nobody(void **state)
{
	static const char attribute[] =
		"/sys/kernel/config/target/core/user_7/disk/attrib/nl_reply_supported";
	struct tcmu_found found;

	(void)state;
	clear_tree();
	assert_true(tcmu_sysfs_parse("tcm-user/7/disk/duotgt/data", &found));
	assert_true(tcmu_sysfs_waits(root, &found));
	put_text(attribute, "0\n");
	assert_true(tcmu_sysfs_waits(root, &found));
	put_text(attribute, "-1\n");
	assert_false(tcmu_sysfs_waits(root, &found));
}

static void a_ring_that_makes_no_sense_is_refused(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	put_device(3, "tcm-user/7/disk/duotgt/data");
	put_text("/dev/uio3", "no ring");
	consume(&rig);
	assert_false(has(&rig, 0));
	end(&rig);
}

static int make_root(void **state)
{
	(void)state;
	return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
	(void)state;
	clear_tree();
	return rmdir(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_taken_apart),
		cmocka_unit_test(other_names_are_not_ours),
		cmocka_unit_test(a_device_is_served_after_its_ring_was_reset),
		cmocka_unit_test(a_device_that_goes_is_let_go),
		cmocka_unit_test(others_are_left_alone),
		cmocka_unit_test(another_block_length_is_refused),
		cmocka_unit_test(luns_of_iscsi_are_taken),
		cmocka_unit_test(a_storage_of_the_kernels_becomes_no_lun),
		cmocka_unit_test(changes_are_judged),
		cmocka_unit_test(some_devices_wait_for_nobody),
		cmocka_unit_test(a_ring_that_makes_no_sense_is_refused),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, make_root, remove_root);
}
