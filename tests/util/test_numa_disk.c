/* SPDX-License-Identifier: Apache-2.0 */
/* Where disks are attached, by a sysfs made up for it. */
#include "util/numa.h"
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
/* after the above: cmocka.h relies on them */
#include <cmocka.h>

static char sys[PATH_MAX];

/* A folder below the root, with all that lead to it. */
static void folder(const char *name)
{
	char path[2 * PATH_MAX];

	snprintf(path, sizeof(path), "%s/", sys);
	for (const char *p = name; *p; p++) {
		size_t len = strlen(path);

		path[len] = *p;
		path[len + 1] = '\0';
		if (p[1] == '/' || !p[1])
			mkdir(path, 0700);
	}
}

static void put(const char *name, const char *text)
{
	char path[2 * PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", sys, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void link_to(const char *name, const char *to)
{
	char path[2 * PATH_MAX], target[2 * PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", sys, name);
	snprintf(target, sizeof(target), "%s/%s", sys, to);
	assert_int_equal(symlink(target, path), 0);
}

static int node(unsigned minor)
{
	return numa_node_of_disk(sys, makedev(8, minor));
}

static int set_up(void **state)
{
	(void)state;
	snprintf(sys, sizeof(sys), "%s/duotgt-sys-XXXXXX", P_tmpdir);
	assert_non_null(mkdtemp(sys));
	folder("dev/block");
	/* two disks, one with a partition, on buses of two nodes; one whose bus does not say */
	folder("devices/pci0/0000:00:01.0/virtio0/block/vda/vda1");
	folder("devices/pci1/0000:80:01.0/nvme/nvme0/nvme0n1");
	folder("devices/pci0/0000:00:02.0/virtio1/block/vdb");
	put("devices/pci0/0000:00:01.0/numa_node", "0\n");
	put("devices/pci1/0000:80:01.0/numa_node", "1\n");
	put("devices/pci0/0000:00:02.0/numa_node", "-1\n");
	link_to("dev/block/8:0", "devices/pci0/0000:00:01.0/virtio0/block/vda");
	link_to("dev/block/8:1", "devices/pci0/0000:00:01.0/virtio0/block/vda/vda1");
	link_to("dev/block/8:16", "devices/pci1/0000:80:01.0/nvme/nvme0/nvme0n1");
	link_to("dev/block/8:32", "devices/pci0/0000:00:02.0/virtio1/block/vdb");
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int tear_down(void **state)
{
	(void)state;
	return nftw(sys, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void a_disk_is_where_its_bus_is(void **state)
{
	(void)state;
	assert_int_equal(node(0), 0);
	assert_int_equal(node(1), 0);
	assert_int_equal(node(16), 1);
}

static void what_is_not_known_is_said(void **state)
{
	(void)state;
	assert_int_equal(node(32), -1); /* the bus does not say */
	assert_int_equal(node(99), -1); /* no such device */
	assert_int_equal(numa_node_of_disk("/nonexistent", makedev(8, 0)), -1);
	put("devices/pci0/0000:00:02.0/numa_node", "many\n");
	assert_int_equal(node(32), -1);
}

static void a_device_of_parts_is_where_all_of_them_are(void **state)
{
	(void)state;
	folder("devices/virtual/block/dm-0/slaves");
	folder("devices/virtual/block/dm-1/slaves");
	folder("devices/virtual/block/dm-2/slaves");
	link_to("dev/block/8:100", "devices/virtual/block/dm-0");
	link_to("dev/block/8:101", "devices/virtual/block/dm-1");
	link_to("dev/block/8:102", "devices/virtual/block/dm-2");
	link_to("devices/virtual/block/dm-0/slaves/nvme0n1",
		"devices/pci1/0000:80:01.0/nvme/nvme0/nvme0n1");
	assert_int_equal(node(100), 1);
	/* made of the one above, and then of a disk on another node as well */
	link_to("devices/virtual/block/dm-1/slaves/dm-0", "devices/virtual/block/dm-0");
	assert_int_equal(node(101), 1);
	link_to("devices/virtual/block/dm-1/slaves/vda",
		"devices/pci0/0000:00:01.0/virtio0/block/vda");
	assert_int_equal(node(101), -1);
	assert_int_equal(node(102), -1); /* of nothing yet */
	/* no sysfs has this, and it must not be for ever */
	link_to("devices/virtual/block/dm-2/slaves/dm-2", "devices/virtual/block/dm-2");
	assert_int_equal(node(102), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_disk_is_where_its_bus_is, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_not_known_is_said, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_device_of_parts_is_where_all_of_them_are, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
