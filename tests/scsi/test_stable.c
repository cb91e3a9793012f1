/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flushes and writes with FUA that are under way together, of which the store tells only one that
 * writes were lost: none of them is GOOD.
 */
#include "scsi/lu_priv.h"
#include "tests/scsi/command_kit.h"
#include <errno.h>

enum { WRITE_10 = 0x2a, SYNC_CACHE_10 = 0x35, FUA = 0x08 };
enum { A, B };

static struct harness h;

static int start(void **state)
{
	(void)state;
	command_kit_start(&h);
	fake.hold = true;
	return 0;
}

static int stop(void **state)
{
	(void)state;
	harness_stop(&h);
	return 0;
}

static void turn(void)
{
	command_kit_turn(&h);
}

static void send_one(struct command *c, unsigned nexus, bool flush)
{
	command_prepare(c, &h, nexus, flush ? SYNC_CACHE_10 : WRITE_10, ATTR_SIMPLE);
	c->task.cdb[1] = flush ? 0 : FUA;
	assert_int_equal(command_begin(c), SCSI_READY);
	command_run(c);
}

/* The one that succeeds ends first: it is not told before the other. */
static void none_is_good_when_one_has_failed(void **state)
{
	struct command first, last;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		send_one(&first, A, i & 1);
		send_one(&last, B, i & 2);
		assert_int_equal(fake.n_held, 2);
		fake_release_last(0);
		turn();
		assert_false(last.done);
		fake_release_last(-EIO);
		harness_wait(&h, &last.ended);
		harness_wait(&h, &first.ended);
		assert_int_equal(first.task.status, STATUS_CHECK_CONDITION);
		assert_int_equal(last.task.status, STATUS_CHECK_CONDITION);
		assert_int_equal(last.task.sense.key, KEY_MEDIUM_ERROR);
		assert_true(h.lus[0]->flush_failed);
		atomic_store(&h.lus[0]->flush_failed, false);
	}
}

static void all_are_good_when_all_have_succeeded(void **state)
{
	struct command c[3];

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		send_one(&c[i], i % 2, true);
	fake_release_last(0);
	turn();
	fake_release_last(0);
	turn();
	assert_false(c[1].done || c[2].done);
	fake_release_last(0);
	for (unsigned i = 0; i < 3; i++) {
		harness_wait(&h, &c[i].ended);
		assert_int_equal(c[i].task.status, STATUS_GOOD);
	}
}

/* It can have lost nothing of what was written before this one. */
static void who_began_later_is_not_waited_for(void **state)
{
	struct command first, last, later;

	(void)state;
	send_one(&first, A, true);
	send_one(&last, B, true);
	fake_release_last(0);
	turn();
	send_one(&later, B, true);
	fake_release_first(0);
	harness_wait(&h, &last.ended);
	assert_int_equal(last.task.status, STATUS_GOOD);
	assert_false(first.done || later.done); /* of which the first succeeded after it began */
	fake_release_last(0);
	harness_wait(&h, &first.ended);
	harness_wait(&h, &later.ended);
}

static void who_is_alone_does_not_wait(void **state)
{
	struct command c;

	(void)state;
	send_one(&c, A, true);
	fake_release_last(0);
	harness_wait(&h, &c.ended);
	assert_int_equal(c.task.status, STATUS_GOOD);
}

/* Aborted while it waits for the other: it ends when that one has. */
static void who_waits_can_be_aborted(void **state)
{
	struct command first, last;
	struct function f;

	(void)state;
	send_one(&first, A, true);
	send_one(&last, B, true);
	fake_release_last(0);
	turn();
	function_start(&f, &h, B, TMF_ABORT_TASK_SET, 0);
	turn();
	fake.hold = false;
	fake_release();
	harness_wait(&h, &f.done);
	assert_true(last.aborted && last.ended);
	harness_wait(&h, &first.ended);
	assert_int_equal(first.task.status, STATUS_GOOD);
}

int main(void)
{
#define STABLE_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		STABLE_TEST(none_is_good_when_one_has_failed),
		STABLE_TEST(all_are_good_when_all_have_succeeded),
		STABLE_TEST(who_began_later_is_not_waited_for),
		STABLE_TEST(who_is_alone_does_not_wait),
		STABLE_TEST(who_waits_can_be_aborted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
