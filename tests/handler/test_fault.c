/* SPDX-License-Identifier: Apache-2.0 */
/* Pages that a ring names and nobody has: the program lives, the device has come to its end. */
#include "handler/fault.h"
#include "scsi/task.h"
#include "tests/handler/rig.h"
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096u

/* Memory of which no page is there. */
static uint8_t *map_nothing(size_t len)
{
	int fd = memfd_create("nothing", MFD_CLOEXEC);
	void *map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	assert_true(fd >= 0 && map != MAP_FAILED);
	close(fd);
	return map;
}

/* ---- mappings ---- */

static void a_missing_page_becomes_zeroes(void **state)
{
	uint8_t *map = map_nothing(4 * PAGE);
	struct tcmu_fault *fault;

	(void)state;
	assert_int_equal(tcmu_fault_watch(map, 4 * PAGE, &fault), 0);
	assert_false(tcmu_fault_happened(fault));
	assert_int_equal(map[PAGE + 7], 0);
	assert_true(tcmu_fault_happened(fault));
	map[4 * PAGE - 1] = 5;
	assert_int_equal(map[4 * PAGE - 1], 5);
	tcmu_fault_unwatch(fault);
	munmap(map, 4 * PAGE);
}

static void only_the_one_is_faulty(void **state)
{
	enum { N = 40 };
	struct tcmu_fault *faults[N];
	uint8_t *maps[N];

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		maps[i] = map_nothing(PAGE);
		assert_int_equal(tcmu_fault_watch(maps[i], PAGE, &faults[i]), 0);
	}
	/* Places are used again, without what had happened there. */
	for (unsigned i = 0; i < N; i += 2) {
		maps[i][0] = 1;
		assert_true(tcmu_fault_happened(faults[i]));
		tcmu_fault_unwatch(faults[i]);
		munmap(maps[i], PAGE);
		maps[i] = map_nothing(PAGE);
		assert_int_equal(tcmu_fault_watch(maps[i], PAGE, &faults[i]), 0);
	}
	maps[17][PAGE - 1] = 1;
	for (unsigned i = 0; i < N; i++) {
		assert_int_equal(tcmu_fault_happened(faults[i]), i == 17);
		tcmu_fault_unwatch(faults[i]);
		munmap(maps[i], PAGE);
	}
}

static sigjmp_buf back;

static void jump(int number)
{
	(void)number;
	siglongjmp(back, 1);
}

/* Somebody else's page, by his handler, before, while and after one is watched. */
static void others_have_their_own_way(void **state)
{
	uint8_t *map = map_nothing(PAGE), *foreign = map_nothing(PAGE);
	struct sigaction mine = {.sa_handler = jump}, before;
	volatile unsigned n = 0;
	struct tcmu_fault *volatile fault = NULL;
	struct tcmu_fault *made;

	(void)state;
	sigaction(SIGBUS, &mine, &before);
	if (sigsetjmp(back, 1))
		n++;
	if (n == 1) {
		assert_int_equal(tcmu_fault_watch(map, PAGE, &made), 0);
		fault = made;
	} else if (n == 2) {
		assert_false(tcmu_fault_happened(fault));
		tcmu_fault_unwatch(fault);
	}
	if (n < 3)
		foreign[1] = 1;
	assert_int_equal(n, 3);
	sigaction(SIGBUS, &before, NULL);
	munmap(map, PAGE);
	munmap(foreign, PAGE);
}

/* In a child: @touch a page, with its neighbour watched. Return: what ended it. */
static int end_of_child(bool touch)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		uint8_t *map = map_nothing(2 * PAGE);
		struct tcmu_fault *fault;

		signal(SIGBUS, SIG_DFL);
		if (tcmu_fault_watch(map, PAGE, &fault) < 0)
			_exit(1);
		map[0] = 1;
		if (touch)
			map[PAGE] = 1;
		else
			raise(SIGBUS);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

static void without_a_handler_it_kills(void **state)
{
	(void)state;
	assert_int_equal(end_of_child(true), SIGBUS);
	assert_int_equal(end_of_child(false), SIGBUS);
}

/* ---- devices ---- */

/* The command fails, and is the last one: the next is left in the ring. */
static void fails_the_device(struct rig *rig, const struct request *request)
{
	struct kernel_cmd *cmd = kernel_cmd(&rig->k, kernel_queue(&rig->k, request));

	kernel_take_page(&rig->k, cmd->data, cmd->len);
	kernel_kick(&rig->k);
	rig_settle(rig);
	assert_int_equal(kernel_reap(&rig->k), 1);
	assert_sense(cmd, SENSE_INTERNAL_TARGET_FAILURE);
	assert_int_equal(cmd->uflags, 0);
	QUEUE(&rig->k, .cdb = {0x00});
	kernel_kick(&rig->k);
	rig_settle(rig);
	assert_int_equal(kernel_reap(&rig->k), 0);
	rig_stop(rig);
}

static void reads_into_nothing(void **state)
{
	const struct request read = {.cdb = {0x28, [8] = 32}, .len = 16384};
	struct rig rig;

	rig_start(&rig, state, NULL, false);
	rig_greet(&rig);
	fails_the_device(&rig, &read);
}

static void writes_from_nothing(void **state)
{
	const struct request write = {.cdb = {0x2a, [8] = 32}, .len = 16384};
	struct rig rig;

	rig_start(&rig, state, NULL, false);
	rig_greet(&rig);
	fails_the_device(&rig, &write);
}

static void clears_nothing(void **state)
{
	const struct request inquiry = {.cdb = {0x12, 0, 0, 0, 96}, .len = 16384};
	struct rig rig;

	rig_start(&rig, state, NULL, false);
	fails_the_device(&rig, &inquiry);
}

/* One that was under way before may have been hit as well. */
static void calls_none_good(void **state)
{
	struct rig rig;
	uint16_t before;

	rig_start(&rig, state, NULL, false);
	rig_greet(&rig);
	fake.hold = true;
	before = QUEUE(&rig.k, .cdb = {0x28, [8] = 1}, .len = 512);
	kernel_kick(&rig.k);
	rig_settle(&rig);
	fake.hold = false;
	kernel_take_page(&rig.k,
			 kernel_cmd(&rig.k, QUEUE(&rig.k, .cdb = {0x12}, .len = 16384))->data,
			 16384);
	kernel_kick(&rig.k);
	rig_settle(&rig);
	fake_release();
	rig_settle(&rig);
	assert_int_equal(kernel_reap(&rig.k), 2);
	assert_sense(kernel_cmd(&rig.k, before), SENSE_INTERNAL_TARGET_FAILURE);
	rig_stop(&rig);
}

int main(void)
{
	/* clang-format off */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_missing_page_becomes_zeroes),
		cmocka_unit_test(only_the_one_is_faulty),
		cmocka_unit_test(others_have_their_own_way),
		cmocka_unit_test(without_a_handler_it_kills),
		on_both(reads_into_nothing),
		on_both(writes_from_nothing),
		on_both(clears_nothing),
		on_both(calls_none_good),
	};
	/* clang-format on */

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
