/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a disk is attached, by sysfs: a block device's directory lies below that of the bus it is
 * on, where a file numa_node has the number. A device made of others (device mapper, md) names
 * them in slaves/. Source: the kernel's Documentation/ABI/testing/sysfs-bus-pci, sysfs-block.
 */
#include "util/numa.h"
#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

enum { LAYERS_MAX = 8 }; /* of devices made of others */

static int node_of_dir(char *dir, size_t root_len, int layer);

/* Return: the number in a directory's file numa_node; -1: none, or the kernel does not know. */
static int node_in(const char *dir)
{
	char path[PATH_MAX];
	int node = -1;
	FILE *file;

	if (snprintf(path, sizeof(path), "%s/numa_node", dir) >= (int)sizeof(path))
		return -1;
	file = fopen(path, "re");
	if (!file)
		return -1;
	if (fscanf(file, "%d", &node) != 1)
		node = -1;
	fclose(file);
	return node;
}

/* Return: the node that all parts of a device are on; -1: there are none, or on several. */
static int node_of_parts(const char *dir, size_t root_len, int layer)
{
	char path[PATH_MAX], part[PATH_MAX];
	int node = -1;
	bool first = true;
	struct dirent *entry;
	DIR *parts;

	if (snprintf(path, sizeof(path), "%s/slaves", dir) >= (int)sizeof(path))
		return -1;
	parts = opendir(path);
	if (!parts)
		return -1;
	while ((entry = readdir(parts))) {
		int here;

		if (entry->d_name[0] == '.' || snprintf(path, sizeof(path), "%s/slaves/%s", dir,
							entry->d_name) >= (int)sizeof(path))
			continue;
		here = realpath(path, part) ? node_of_dir(part, root_len, layer + 1) : -1;
		node = first || here == node ? here : -1;
		first = false;
		if (node < 0)
			break;
	}
	closedir(parts);
	return node;
}

/* @dir is cut short on the way up to the root of sysfs. */
static int node_of_dir(char *dir, size_t root_len, int layer)
{
	int node = -1;

	if (layer > LAYERS_MAX)
		return -1;
	while (node < 0 && strlen(dir) > root_len) {
		node = node_in(dir);
		if (node < 0)
			node = node_of_parts(dir, root_len, layer);
		*strrchr(dir, '/') = '\0';
	}
	return node;
}

int numa_node_of_disk(const char *sys, dev_t dev)
{
	char path[PATH_MAX], root[PATH_MAX], dir[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/dev/block/%u:%u", sys, major(dev), minor(dev)) >=
	    (int)sizeof(path))
		return -1;
	if (!realpath(sys, root) || !realpath(path, dir) || strncmp(dir, root, strlen(root)) != 0)
		return -1;
	return node_of_dir(dir, strlen(root), 0);
}
