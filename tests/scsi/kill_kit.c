/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/scsi/kill_kit.h"
#include "tests/scsi/harness.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD_FD = 50 };

void kill_kit_tell(uint32_t step)
{
	if (write(CHILD_FD, &step, sizeof(step)) != sizeof(step))
		_exit(1);
}

uint32_t kill_kit_run(const char *arg, unsigned useconds)
{
	uint32_t step = 0, got;
	int fds[2], status;
	pid_t pid;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		dup2(fds[1], CHILD_FD);
		if (!freopen("/dev/null", "w", stdout))
			_exit(1);
		execl("/proc/self/exe", "child", arg, NULL);
		_exit(1);
	}
	close(fds[1]);
	/* It is on its way; then at any moment. */
	assert_int_equal(read(fds[0], &step, sizeof(step)), sizeof(step));
	usleep(useconds);
	kill(pid, SIGKILL);
	while (read(fds[0], &got, sizeof(got)) == sizeof(got))
		step = got;
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	return step;
}
