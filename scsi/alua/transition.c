/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of the groups' states: one at a time, with the operator's hook in the middle. */
#include "scsi/alua/alua.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define HOOK_LIMIT_MS 30000

extern char **environ;

/* ---- the hook ---- */

static int hook_start(const char *const *argv, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all); /* the caller may block or ignore what the hook counts on */
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	r = posix_spawn(ret_pid, argv[0], &actions, &attributes, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return -r;
}

/* Return: whether it has ended in time, as far as the kernel can tell us without waiting. */
static bool hook_ended(pid_t pid)
{
	scoped(close) int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	int r;

	if (fd < 0)
		return true; /* an old kernel: then we wait for as long as it takes */
	do {
		r = poll(&poll_fd, 1, HOOK_LIMIT_MS);
	} while (r < 0 && errno == EINTR);
	return r != 0;
}

int scsi_alua_run_hook(const char *hook, const char *target, uint16_t group,
		       enum scsi_alua_state state)
{
	char number[8];
	const char *const argv[] = {hook, target, number, scsi_alua_state_name(state), NULL};
	bool in_time;
	int status, r;
	pid_t pid;

	snprintf(number, sizeof(number), "%u", group);
	r = hook_start(argv, &pid);
	if (r < 0)
		return r;
	in_time = hook_ended(pid);
	if (!in_time)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (!in_time)
		return -ETIMEDOUT;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

/* ---- the transition ---- */

/* All nexuses of the target, at all its LUs. */
static void tell(struct scsi_target *target, enum scsi_attention attention,
		 const struct scsi_nexus *except)
{
	struct scsi_map *map;

	pthread_mutex_lock(&target->lock);
	map = target->map;
	for (unsigned i = 0; i < map->n; i++) {
		struct scsi_lu *lu = map->all[i].lu;

		pthread_mutex_lock(&lu->lock);
		list_for_each (itl, &lu->itls, struct scsi_itl, lu_node)
			if (itl->nexus != except && itl->nexus->target == target)
				atomic_fetch_or(&itl->attentions, 1u << attention);
		pthread_mutex_unlock(&lu->lock);
	}
	pthread_mutex_unlock(&target->lock);
}

static void put_state(struct scsi_port_group *group, enum scsi_alua_state state)
{
	atomic_store_explicit(&group->state, (uint8_t)state, memory_order_release);
}

/* One group, through its transition. Return: 1 when its state has changed. */
static int move(struct scsi_target *target, const struct scsi_alua_move *m,
		const struct scsi_nexus *asker)
{
	struct scsi_port_group *group = m->group;
	enum scsi_alua_state old = atomic_load(&group->state);
	const char *hook = target->alua->hook;
	int r = 0;

	if (old == m->to)
		return 0;
	if (hook) {
		put_state(group, ALUA_TRANSITIONING);
		r = scsi_alua_run_hook(hook, target->name, group->id, m->to);
	}
	if (r < 0) {
		put_state(group, old);
		return r;
	}
	atomic_store(&group->status, asker ? ALUA_BY_COMMAND : ALUA_BY_ITSELF);
	put_state(group, m->to);
	return 1;
}

int scsi_alua_transition(struct scsi_target *target, const struct scsi_alua_move *moves, unsigned n,
			 const struct scsi_nexus *asker)
{
	struct scsi_alua *alua = target->alua;
	bool changed = false;
	int r = 0;

	if (pthread_mutex_trylock(&alua->changing) != 0)
		return -EBUSY;
	for (unsigned i = 0; r >= 0 && i < n; i++) {
		r = move(target, &moves[i], asker);
		changed |= r > 0;
	}
	if (changed)
		tell(target, UA_ALUA_CHANGED, asker);
	if (r < 0 && !asker)
		tell(target, UA_ALUA_FAILED, NULL);
	pthread_mutex_unlock(&alua->changing);
	return r < 0 ? r : 0;
}

int scsi_target_set_group(struct scsi_target *target, uint16_t id, enum scsi_alua_state state,
			  bool preferred)
{
	struct scsi_alua *alua = target->alua;
	struct scsi_alua_move move_it = {scsi_alua_find_group(alua, id), state};
	int r;

	if (!move_it.group)
		return -ENOENT;
	if (!scsi_alua_state_name(state) || state == ALUA_TRANSITIONING)
		return -EINVAL;
	if (!alua->implicit)
		return -EPERM;
	r = scsi_alua_transition(target, &move_it, 1, NULL);
	if (r == 0)
		atomic_store(&move_it.group->preferred, preferred);
	return r;
}
