/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/run_dir.h"
#include "handler/handover.h"
#include "util/log.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define DIR_MODE 0700
#define SOCKET_MODE 0600
#define BACKLOG 64

/* The first of those that systemd names, with colons between them. Source: systemd.exec(5). */
static char *default_dir(void)
{
	const char *given = getenv("RUNTIME_DIRECTORY");

	if (!given || !*given)
		return strdup(HANDOVER_RUN_DIR);
	return strndup(given, strcspn(given, ":"));
}

/* A lock on the directory itself ends with its holder, however that ends. */
static int lock_dir(const char *path, int *ret_lock)
{
	scoped(close) int fd = -1;

	if (mkdir(path, DIR_MODE) < 0 && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	*ret_lock = steal_fd(&fd);
	return 0;
}

/* What a daemon that was killed left behind is nobody's: the directory is locked. */
static int listen_at(const char *path, int *ret_sock)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	scoped(close) int fd = -1;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || (unlink(path) < 0 && errno != ENOENT))
		return -errno;
	/* The mode of a socket file is that of the socket: nobody gets in before it is set. */
	if (fchmod(fd, SOCKET_MODE) < 0 ||
	    bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    chmod(path, SOCKET_MODE) < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	*ret_sock = steal_fd(&fd);
	return 0;
}

static int open_at(const char *path, struct run_dir *ret_dir)
{
	struct run_dir dir = {.lock = -1, .sock = -1};
	int r;

	if (asprintf(&dir.socket_path, "%s/%s", path, HANDOVER_SOCKET) < 0)
		return -ENOMEM;
	r = lock_dir(path, &dir.lock);
	if (r == 0)
		r = listen_at(dir.socket_path, &dir.sock);
	if (r == 0) {
		*ret_dir = dir;
		return 0;
	}
	if (dir.lock >= 0)
		close(dir.lock);
	free(dir.socket_path);
	return r;
}

static const char *reason(int error)
{
	return error == -EBUSY ? "another daemon has it" : strerror(-error);
}

int run_dir_open(const struct config *config, struct run_dir *ret_dir)
{
	scoped(free) char *path = config->run_dir ? strdup(config->run_dir) : default_dir();
	int r = path ? open_at(path, ret_dir) : -ENOMEM;

	if (r == 0)
		return 0;
	if (config->run_dir) {
		log_error("run directory %s: %s", path ? path : "", reason(r));
		return r;
	}
	log_warning("run directory %s: %s; tcmu-runner cannot hand devices over (name one as "
		    "\"runDir\")",
		    path ? path : HANDOVER_RUN_DIR, reason(r));
	*ret_dir = (struct run_dir){.lock = -1, .sock = -1};
	return 0;
}

void run_dir_close(struct run_dir *dir)
{
	if (dir->lock < 0)
		return;
	unlink(dir->socket_path);
	close(dir->sock);
	close(dir->lock);
	free(dir->socket_path);
	*dir = (struct run_dir){.lock = -1, .sock = -1};
}
