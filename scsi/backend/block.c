/* SPDX-License-Identifier: Apache-2.0 */
/* Block devices: opened for ourselves alone; their I/O is a file's. */
#include "scsi/backend/backends.h"
#include "scsi/backend/file.h"
#include "util/cleanup.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

struct disk {
	struct stat st;
	uint64_t size;	   /* bytes */
	int sector;	   /* logical block of the device, bytes */
	unsigned physical; /* bytes */
	int read_only;
};

static int why_not_open(const char *path, int r, char *ret_why, size_t why_len)
{
	if (r == -EBUSY)
		return backend_refuse(r, ret_why, why_len,
				      "%s: is in use (mounted, or held by another program)", path);
	return backend_refuse(r, ret_why, why_len, "%s: cannot be opened: %s", path, strerror(-r));
}

static int open_disk(const struct duotgt_backend_params *params, int *ret_fd, struct disk *ret_disk,
		     char *ret_why, size_t why_len)
{
	/* O_EXCL on a block device: nobody else mounts it or opens it this way. Readers share. */
	int flags = params->read_only ? O_RDONLY | O_CLOEXEC : O_RDWR | O_EXCL | O_CLOEXEC;
	const char *path = params->path;
	scoped(close) int fd = -1;

	if (stat(path, &ret_disk->st) < 0)
		return why_not_open(path, -errno, ret_why, why_len);
	if (!S_ISBLK(ret_disk->st.st_mode))
		return backend_refuse(-ENOTBLK, ret_why, why_len, "%s: is not a block device",
				      path);
	fd = open(path, flags | O_NOCTTY);
	if (fd < 0 || fstat(fd, &ret_disk->st) < 0)
		return why_not_open(path, -errno, ret_why, why_len);
	if (ioctl(fd, BLKGETSIZE64, &ret_disk->size) < 0 ||
	    ioctl(fd, BLKSSZGET, &ret_disk->sector) < 0 ||
	    ioctl(fd, BLKPBSZGET, &ret_disk->physical) < 0 ||
	    ioctl(fd, BLKROGET, &ret_disk->read_only) < 0)
		return backend_refuse(-errno, ret_why, why_len, "%s: is not a disk: %s", path,
				      strerror(errno));
	*ret_fd = steal_fd(&fd);
	return 0;
}

static int judge(const struct duotgt_backend_params *params, const struct disk *disk, char *ret_why,
		 size_t why_len)
{
	if (disk->read_only && !params->read_only)
		return backend_refuse(-EROFS, ret_why, why_len, "%s: is a read-only device",
				      params->path);
	if (disk->size < params->size)
		return backend_refuse(-EINVAL, ret_why, why_len,
				      "%s: has %" PRIu64 " bytes, fewer than the %" PRIu64
				      " asked for",
				      params->path, disk->size, params->size);
	return 0;
}

/* The device's world wide name, where it has one. */
static void read_identity(dev_t dev, char *ret_identity, size_t len)
{
	char path[96];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/device/wwid", major(dev), minor(dev));
	f = fopen(path, "re");
	if (!f)
		return;
	if (fgets(ret_identity, (int)len, f))
		ret_identity[strcspn(ret_identity, "\n")] = '\0';
	fclose(f);
}

/*
 * Only where the device clears a range by itself: punching a hole in a device does that or fails,
 * it never falls back to writing zeroes.
 */
static bool can_discard(const struct duotgt_backend_params *params, const struct disk *disk)
{
	return !params->read_only && params->block_size % (unsigned)disk->sector == 0 &&
	       backend_queue_limit(disk->st.st_rdev, "write_zeroes_max_bytes", 0) > 0;
}

static int block_open(const struct duotgt_backend_params *params, void **ret_store,
		      struct duotgt_backend_info *ret_info, char *ret_why, size_t why_len)
{
	struct duotgt_backend_info info = {.volatile_cache = true};
	struct file_store *store;
	scoped(close) int fd = -1;
	struct disk disk;
	int r;

	r = open_disk(params, &fd, &disk, ret_why, why_len);
	if (r == 0)
		r = judge(params, &disk, ret_why, why_len);
	if (r < 0)
		return r;
	info.size = params->size ? params->size : disk.size;
	info.read_only = params->read_only;
	info.can_discard = can_discard(params, &disk);
	info.rotational = backend_queue_limit(disk.st.st_rdev, "rotational", 0) != 0;
	info.physical_block = disk.physical;
	info.discard_granularity =
		(uint32_t)backend_queue_limit(disk.st.st_rdev, "discard_granularity", 0);
	read_identity(disk.st.st_rdev, info.identity, sizeof(info.identity));
	r = file_store_new(fd, &info, &store);
	if (r < 0)
		return r;
	steal_fd(&fd);
	if (params->direct)
		r = file_store_set_direct(store, params, (uint32_t)disk.sector, ret_why, why_len);
	if (r < 0) {
		file_store_close(store);
		return r;
	}
	*ret_store = store;
	*ret_info = info;
	return 0;
}

static int block_size_now(void *arg, uint64_t *ret_size)
{
	const struct file_store *store = arg;

	return ioctl(store->fd, BLKGETSIZE64, ret_size) < 0 ? -errno : 0;
}

const struct duotgt_backend_ops block_backend_ops = {
	.abi = DUOTGT_BACKEND_ABI,
	.size = sizeof(struct duotgt_backend_ops),
	.type = "block",
	.open = block_open,
	.submit = file_store_submit,
	.close = file_store_close,
	.prefetch = file_store_prefetch,
	.numa_node = file_store_numa_node,
	.size_now = block_size_now,
};
