/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/state_dir.h"
#include "util/log.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DEFAULT_DIR "/var/lib/duotgt"
#define DIR_MODE 0700

/* The first of those that systemd names, with colons between them. Source: systemd.exec(5). */
static char *default_dir(void)
{
	const char *given = getenv("STATE_DIRECTORY");

	if (!given || !*given)
		return strdup(DEFAULT_DIR);
	return strndup(given, strcspn(given, ":"));
}

static int make_dir(const char *dir, char **ret_real)
{
	scoped(free) char *real = NULL;
	struct stat st;

	if (mkdir(dir, DIR_MODE) < 0 && errno != EEXIST)
		return -errno;
	real = realpath(dir, NULL);
	if (!real || stat(real, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	if (access(real, R_OK | W_OK | X_OK) < 0)
		return -errno;
	*ret_real = steal(real);
	return 0;
}

int state_dir_open(const struct config *config, char **ret_dir)
{
	scoped(free) char *dir = NULL;
	int r;

	*ret_dir = NULL;
	if (!config->state_dir && !config->default_state_dir)
		return 0;
	dir = config->state_dir ? strdup(config->state_dir) : default_dir();
	r = dir ? make_dir(dir, ret_dir) : -ENOMEM;
	if (r == 0)
		return 0;
	if (config->state_dir) {
		log_error("state directory %s: %s", config->state_dir, strerror(-r));
		return r;
	}
	log_warning("state directory %s: %s; reservations and saved mode pages are not kept "
		    "(name one as \"stateDir\")",
		    dir ? dir : DEFAULT_DIR, strerror(-r));
	return 0;
}
