/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/tcmu_sysfs.h"
#include "handler/cfgstring.h"
#include "util/cleanup.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UIO_CLASS "/sys/class/uio"
#define CORE "/sys/kernel/config/target/core"

static void dir_close(DIR *dir)
{
	if (dir)
		closedir(dir);
}
DEFINE_SCOPED(DIR *, dir_close)

/* A part up to the next '/'. Return: what follows it; NULL when there is no '/', or no room. */
static const char *take_part(const char *from, char *to, size_t room)
{
	const char *end = strchr(from, '/');

	if (!end || end == from || (size_t)(end - from) >= room)
		return NULL;
	memcpy(to, from, (size_t)(end - from));
	to[end - from] = '\0';
	return end + 1;
}

bool tcmu_sysfs_parse(const char *name, struct tcmu_found *ret_found)
{
	const char *at = name;

	*ret_found = (struct tcmu_found){0};
	if (!g_str_has_prefix(at, "tcm-user/"))
		return false;
	at = take_part(at + strlen("tcm-user/"), ret_found->hba, sizeof(ret_found->hba));
	at = at ? take_part(at, ret_found->device, sizeof(ret_found->device)) : NULL;
	/* Never a way out of their folders. */
	if (!at || ret_found->hba[strspn(ret_found->hba, "0123456789")] ||
	    ret_found->device[0] == '.' || !g_str_has_prefix(at, CFGSTRING_SUBTYPE "/"))
		return false;
	return g_strlcpy(ret_found->config, at, sizeof(ret_found->config)) <
	       sizeof(ret_found->config);
}

/* The first line of a file. */
static int read_line(const char *path, char *line, size_t room)
{
	scoped(close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, line, room - 1);

	if (n < 0)
		return -errno;
	line[n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return 0;
}

static int read_number(const char *path, uint64_t *ret_number)
{
	char line[64], *end;
	int r = read_line(path, line, sizeof(line));

	if (r < 0)
		return r;
	errno = 0;
	*ret_number = strtoull(line, &end, 0);
	return errno || end == line || *end ? -EBADMSG : 0;
}

int tcmu_sysfs_look(const char *root, unsigned minor, struct tcmu_found *ret_found)
{
	char path[PATH_MAX], name[512];
	uint64_t len = 0;
	int r;

	snprintf(path, sizeof(path), "%s" UIO_CLASS "/uio%u/name", root, minor);
	r = read_line(path, name, sizeof(name));
	if (r < 0)
		return r;
	if (!tcmu_sysfs_parse(name, ret_found))
		return -ENODEV;
	snprintf(path, sizeof(path), "%s" UIO_CLASS "/uio%u/maps/map0/size", root, minor);
	r = read_number(path, &len);
	if (r < 0)
		return r;
	ret_found->minor = minor;
	ret_found->map_len = len;
	return 0;
}

void tcmu_sysfs_scan(const char *root, void (*found)(const struct tcmu_found *found, void *arg),
		     void *arg)
{
	char path[PATH_MAX];
	struct dirent *entry;
	struct tcmu_found one;

	snprintf(path, sizeof(path), "%s" UIO_CLASS, root);
	scoped(dir_close) DIR *dir = opendir(path);

	while (dir && (entry = readdir(dir))) {
		unsigned minor;
		char rest;

		if (sscanf(entry->d_name, "uio%u%c", &minor, &rest) == 1 &&
		    tcmu_sysfs_look(root, minor, &one) == 0)
			found(&one, arg);
	}
}

/* The node appears when devtmpfs or udev has made it, which may be a moment after the event. */
int tcmu_sysfs_open(const char *root, const struct tcmu_found *found)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/dev/uio%u", root, found->minor);
	for (unsigned tries = 0; tries < 20; tries++) {
		fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
		if (fd >= 0 || errno != ENOENT)
			break;
		g_usleep(10000);
	}
	return fd < 0 ? -errno : fd;
}

static void core_path(char *path, size_t room, const char *root, const struct tcmu_found *found,
		      const char *what)
{
	snprintf(path, room, "%s" CORE "/user_%s/%s/%s", root, found->hba, found->device, what);
}

int tcmu_sysfs_act(const char *root, const struct tcmu_found *found, const char *name, bool on)
{
	char path[PATH_MAX], action[64];

	snprintf(action, sizeof(action), "action/%s", name);
	core_path(path, sizeof(path), root, found, action);
	scoped(close) int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, on ? "1" : "0", 1) != 1)
		return -errno;
	return 0;
}

int tcmu_sysfs_number(const char *root, const struct tcmu_found *found, const char *name,
		      uint64_t *ret_number)
{
	char path[PATH_MAX], attribute[64];

	snprintf(attribute, sizeof(attribute), "attrib/%s", name);
	core_path(path, sizeof(path), root, found, attribute);
	return read_number(path, ret_number);
}

bool tcmu_sysfs_waits(const char *root, const struct tcmu_found *found)
{
	char path[PATH_MAX], line[32];

	core_path(path, sizeof(path), root, found, "attrib/nl_reply_supported");
	return read_line(path, line, sizeof(line)) < 0 || line[0] != '-';
}
