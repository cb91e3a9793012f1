/* SPDX-License-Identifier: Apache-2.0 */
#include "util/secret_file.h"
#include "util/atomic_file.h"
#include "util/cleanup.h"
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define FOR_OTHERS 077 /* of a mode */

static int failed(int error, const char *what, const char *path, char *ret_why, size_t why_len)
{
	errno = -error;
	snprintf(ret_why, why_len, "%s %s: %m", what, path);
	return error;
}

/* Who can read it knows the secret, and who can write it chooses it. */
static int judge(const char *what, const char *path, int fd, char *ret_why, size_t why_len)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return failed(-errno, what, path, ret_why, why_len);
	if (!S_ISREG(st.st_mode)) {
		snprintf(ret_why, why_len, "%s %s: is not a regular file", what, path);
		return -EINVAL;
	}
	if (st.st_uid != geteuid() && st.st_uid != 0) {
		snprintf(ret_why, why_len, "%s %s: belongs to user %u, expected root or user %u",
			 what, path, st.st_uid, geteuid());
		return -EPERM;
	}
	if (st.st_mode & FOR_OTHERS) {
		snprintf(ret_why, why_len,
			 "%s %s: its mode %04o gives it to others, expected 0600 or 0400 (chmod "
			 "600 would do)",
			 what, path, st.st_mode & 07777);
		return -EPERM;
	}
	return 0;
}

ssize_t secret_file_read(const char *what, const char *path, void *ret_buf, size_t len,
			 char *ret_why, size_t why_len)
{
	/* A FIFO must not make us wait, nor a terminal become ours. */
	scoped(close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	ssize_t n;
	int r;

	if (fd < 0)
		return failed(-errno, what, path, ret_why, why_len);
	r = judge(what, path, fd, ret_why, why_len);
	if (r < 0)
		return r;
	n = file_read_all(fd, ret_buf, len);
	if (n < 0) {
		explicit_bzero(ret_buf, len);
		return failed((int)n, what, path, ret_why, why_len);
	}
	return n;
}
