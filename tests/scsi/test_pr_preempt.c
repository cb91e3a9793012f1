/* SPDX-License-Identifier: Apache-2.0 */
/* PREEMPT: what it takes, who is told; PREEMPT AND ABORT, which waits for what it aborts. */
#include "scsi/pr/pr_priv.h"
#include "tests/scsi/fake_store.h"
#include "tests/scsi/pr_kit.h"

enum { READ_10 = 0x28, WRITE_10 = 0x2a, PR_OUT = 0x5f };

/* ---- PREEMPT ---- */

static void preempt_registrations(void **state)
{
	struct pr_kit kit;

	(void)state;
	kit_start(&kit, NULL);
	kit_register(&kit, A, 1);
	kit_register(&kit, B, 2);
	kit_register(&kit, C, 2);
	assert_bad_param(pr_out_send(&kit, A, PR_PREEMPT, 1, 1, 0, 0), 8, -1);
	assert_conflict(pr_out_send(&kit, A, PR_PREEMPT, 1, 1, 9, 0));
	/* TYPE is not looked at, since nothing is reserved thereby */
	assert_good(pr_out_send(&kit, A, PR_PREEMPT, 0, 1, 2, 0));
	assert_keys(&kit, 1);
	assert_reserved(&kit, 0, 0);
	assert_int_equal(kit_generation(&kit), 4);
	assert_told(&kit, B, SENSE_REGISTRATIONS_PREEMPTED);
	assert_told(&kit, C, SENSE_REGISTRATIONS_PREEMPTED);
	/* its own, too: without a word */
	assert_good(pr_out_send(&kit, A, PR_PREEMPT, 0, 1, 1, 0));
	assert_keys(&kit, 0);
	assert_nobody_told(&kit);
	kit_stop(&kit);
}

static void preempt_the_reservation(void **state)
{
	struct pr_kit kit;

	(void)state;
	for (size_t t = 0; t < KIT_TYPES; t++) {
		kit_start(&kit, NULL);
		kit_register(&kit, B, 2);
		kit_register(&kit, C, 3);
		kit_register(&kit, A, 1);
		kit_reserve(&kit, B, 2, PR_WRITE_EXCLUSIVE);
		assert_bad_param(pr_out_send(&kit, A, PR_PREEMPT, kit_types[t], 1, 0, 0), 8, -1);
		assert_bad_field(pr_out_send(&kit, A, PR_PREEMPT, 4, 1, 2, 0), 2, 3);
		assert_bad_field(pr_out_send(&kit, A, PR_PREEMPT, 0x11, 1, 2, 0), 2, 7);
		assert_reserved(&kit, PR_WRITE_EXCLUSIVE, 2);
		assert_good(pr_out_send(&kit, A, PR_PREEMPT, kit_types[t], 1, 2, 0));
		assert_keys(&kit, 3, 1);
		assert_reserved(&kit, kit_types[t],
				pr_type_is_all_registrants(kit_types[t]) ? 0 : 1);
		assert_told(&kit, B, SENSE_REGISTRATIONS_PREEMPTED);
		/* who stays hears of another type */
		assert_told(&kit, C,
			    kit_types[t] == PR_WRITE_EXCLUSIVE ? SENSE_NONE
							       : SENSE_RESERVATIONS_RELEASED);
		assert_nobody_told(&kit);
		kit_stop(&kit);
	}
}

/* The holder preempts itself to change the type, or takes it along from others of its key. */
static void preempt_oneself(void **state)
{
	struct pr_kit kit;

	(void)state;
	kit_start(&kit, NULL);
	kit_register(&kit, B, 1);
	kit_register(&kit, A, 1);
	kit_reserve(&kit, A, 1, PR_WRITE_EXCLUSIVE);
	assert_good(pr_out_send(&kit, A, PR_PREEMPT, PR_EXCLUSIVE_ACCESS, 1, 1, 0));
	assert_keys(&kit, 1);
	assert_reserved(&kit, PR_EXCLUSIVE_ACCESS, 1);
	assert_told(&kit, B, SENSE_REGISTRATIONS_PREEMPTED);
	assert_nobody_told(&kit);
	assert_good(KIT_SEND(&kit, A, .cdb = {READ_10, [8] = 1}, .expect_in = 512));
	assert_conflict(KIT_SEND(&kit, B, .cdb = {READ_10, [8] = 1}, .expect_in = 512));
	kit_stop(&kit);
}

static void preempt_all_registrants(void **state)
{
	struct pr_kit kit;

	(void)state;
	kit_start_registered(&kit);
	kit_reserve(&kit, A, 1, PR_WRITE_EXCLUSIVE_ALL);
	/* a key: that registration alone */
	assert_good(pr_out_send(&kit, A, PR_PREEMPT, PR_EXCLUSIVE_ACCESS, 1, 2, 0));
	assert_keys(&kit, 1, 3);
	assert_reserved(&kit, PR_WRITE_EXCLUSIVE_ALL, 0);
	assert_told(&kit, B, SENSE_REGISTRATIONS_PREEMPTED);
	/* no key: all of them */
	assert_good(pr_out_send(&kit, C, PR_PREEMPT, PR_EXCLUSIVE_ACCESS, 3, 0, 0));
	assert_keys(&kit, 3);
	assert_reserved(&kit, PR_EXCLUSIVE_ACCESS, 3);
	assert_told(&kit, A, SENSE_REGISTRATIONS_PREEMPTED);
	assert_nobody_told(&kit);
	/* the last registrant preempts its own key: nothing is left */
	assert_good(pr_out_send(&kit, C, PR_RELEASE, PR_EXCLUSIVE_ACCESS, 3, 0, 0));
	kit_reserve(&kit, C, 3, PR_EXCLUSIVE_ACCESS_ALL);
	assert_good(pr_out_send(&kit, C, PR_PREEMPT, PR_EXCLUSIVE_ACCESS, 3, 3, 0));
	assert_keys(&kit, 0);
	assert_reserved(&kit, 0, 0);
	kit_stop(&kit);
}

/* ---- PREEMPT AND ABORT ---- */

struct write {
	struct scsi_task task;
	uint8_t buf[512];
	struct iovec iov;
	bool done, aborted;
};

static void write_done(struct scsi_task *task)
{
	struct write *w = container_of(task, struct write, task);

	w->done = true;
	scsi_task_end(task);
}

static void write_aborted(struct scsi_task *task)
{
	container_of(task, struct write, task)->aborted = true;
	if (!task->pending)
		write_done(task);
}

static const struct scsi_transport write_transport = {.done = write_done, .aborted = write_aborted};

/* A WRITE that stays under way in the fake store; without @run, one that waits for its data. */
static void write_start(struct write *w, struct scsi_nexus *nexus, bool run)
{
	*w = (struct write){.task = {.transport = &write_transport,
				     .nexus = nexus,
				     .cdb = {WRITE_10, [8] = 1},
				     .cdb_len = 16,
				     .expect_out = 512}};
	assert_int_equal(scsi_task_begin(&w->task), SCSI_READY);
	w->iov = (struct iovec){w->buf, sizeof(w->buf)};
	w->task.iov = &w->iov;
	w->task.n_iov = 1;
	if (run)
		assert_int_equal(scsi_task_run(&w->task), SCSI_PENDING);
}

/* A PERSISTENT RESERVE OUT that may stay under way. */
struct pr_command {
	struct scsi_task task;
	uint8_t list[PR_LIST_LEN];
	struct iovec iov;
	bool done;
};

static void pr_command_done(struct scsi_task *task)
{
	container_of(task, struct pr_command, task)->done = true;
}

static void pr_command_aborted(struct scsi_task *task)
{
	(void)task; /* pending, so that done comes */
}

static const struct scsi_transport pr_transport = {.done = pr_command_done,
						   .aborted = pr_command_aborted};

static void pr_command_start(struct pr_command *c, struct scsi_nexus *nexus, uint64_t key,
			     uint64_t sa_key)
{
	*c = (struct pr_command){.task = {.transport = &pr_transport,
					  .nexus = nexus,
					  .cdb = {PR_OUT, PR_PREEMPT_AND_ABORT, 1, [8] = 24},
					  .cdb_len = 16,
					  .expect_out = PR_LIST_LEN}};
	be64_put(c->list, key);
	be64_put(c->list + 8, sa_key);
	assert_int_equal(scsi_task_begin(&c->task), SCSI_READY);
	c->iov = (struct iovec){c->list, sizeof(c->list)};
	c->task.iov = &c->iov;
	c->task.n_iov = 1;
	assert_int_equal(scsi_task_run(&c->task), SCSI_PENDING);
}

static void turn(struct pr_kit *kit)
{
	for (int i = 0; i < 10; i++)
		assert_true(engine_turn(kit->h.engine, false) >= 0);
}

static void start_on_fake_store(struct pr_kit *kit)
{
	struct scsi_lu_config cfg = harness_lu_config();

	fake_reset();
	cfg.backend = &fake_backend_ops;
	kit_start_on(kit, &cfg);
	kit_register(kit, A, 1);
	kit_register(kit, B, 2);
	kit_register(kit, C, 3);
}

static void preempt_and_abort_waits(void **state)
{
	struct write at_store, without_data, of_another, own;
	struct pr_command c;
	struct pr_kit kit;

	(void)state;
	start_on_fake_store(&kit);
	fake.hold = true;
	write_start(&at_store, kit.n[B], true);
	write_start(&without_data, kit.n[B], false);
	write_start(&of_another, kit.n[C], true);
	write_start(&own, kit.n[A], true);
	pr_command_start(&c, kit.n[A], 1, 2);
	turn(&kit);
	assert_true(without_data.done && at_store.aborted);
	assert_false(c.done || at_store.done);
	assert_keys(&kit, 1, 3); /* nobody gets in any more, while it waits */
	fake_release();
	harness_wait(&kit.h, &c.done);
	assert_int_equal(c.task.status, STATUS_GOOD);
	scsi_task_end(&c.task);
	assert_true(at_store.done);
	harness_wait(&kit.h, &of_another.done);
	harness_wait(&kit.h, &own.done);
	assert_false(of_another.aborted || own.aborted);
	assert_told(&kit, B, SENSE_COMMANDS_CLEARED);
	assert_told(&kit, B, SENSE_REGISTRATIONS_PREEMPTED);
	assert_nobody_told(&kit);
	kit_stop(&kit);
}

/* With an all registrants reservation and no key: everybody else's. */
static void preempt_and_abort_all(void **state)
{
	struct write of_b, of_c, own;
	struct pr_command c;
	struct pr_kit kit;

	(void)state;
	start_on_fake_store(&kit);
	kit_reserve(&kit, A, 1, PR_WRITE_EXCLUSIVE_ALL);
	fake.hold = true;
	write_start(&of_b, kit.n[B], true);
	write_start(&of_c, kit.n[C], true);
	write_start(&own, kit.n[A], true);
	pr_command_start(&c, kit.n[A], 1, 0);
	turn(&kit);
	assert_true(of_b.aborted && of_c.aborted && !own.aborted && !c.done);
	fake_release();
	harness_wait(&kit.h, &c.done);
	assert_int_equal(c.task.status, STATUS_GOOD);
	scsi_task_end(&c.task);
	harness_wait(&kit.h, &own.done);
	assert_keys(&kit, 1);
	assert_reserved(&kit, PR_WRITE_EXCLUSIVE, 1);
	kit_stop(&kit);
}

/* PREEMPT AND ABORT is as an allowing PREVENT ALLOW MEDIUM REMOVAL for those it preempts. */
static void preempt_and_abort_frees_the_medium(void **state)
{
	struct scsi_lu_config cfg = harness_lu_config();
	struct pr_kit kit;

	(void)state;
	cfg.removable = true;
	kit_start_on(&kit, &cfg);
	kit_register(&kit, A, 1);
	kit_register(&kit, B, 2);
	assert_good(KIT_SEND(&kit, B, .cdb = {0x1e, [4] = 1}));
	assert_good(pr_out_send(&kit, A, PR_PREEMPT, 1, 1, 2, 0));
	assert_check(KIT_SEND(&kit, A, .cdb = {0x1b, [4] = 2}), SENSE_MEDIUM_REMOVAL_PREVENTED);
	assert_told(&kit, B, SENSE_REGISTRATIONS_PREEMPTED);
	kit_register(&kit, B, 2);
	assert_good(pr_out_send(&kit, A, PR_PREEMPT_AND_ABORT, 1, 1, 2, 0));
	assert_good(KIT_SEND(&kit, A, .cdb = {0x1b, [4] = 2}));
	kit_stop(&kit);
}

static void preempt_alone_aborts_nothing(void **state)
{
	struct write w;
	struct pr_kit kit;

	(void)state;
	start_on_fake_store(&kit);
	fake.hold = true;
	write_start(&w, kit.n[B], true);
	assert_good(pr_out_send(&kit, A, PR_PREEMPT, 1, 1, 2, 0));
	turn(&kit);
	assert_false(w.aborted || w.done);
	fake_release();
	harness_wait(&kit.h, &w.done);
	assert_int_equal(w.task.status, STATUS_GOOD);
	/* and a conflict aborts nothing either */
	fake.hold = true;
	write_start(&w, kit.n[C], true);
	assert_conflict(pr_out_send(&kit, A, PR_PREEMPT_AND_ABORT, 1, 1, 9, 0));
	turn(&kit);
	assert_false(w.aborted);
	fake_release();
	harness_wait(&kit.h, &w.done);
	kit_stop(&kit);
}

/* B preempts A while A still waits for what B had under way: neither waits for the other. */
static void two_preempt_each_other(void **state)
{
	struct write at_store;
	struct pr_command a, b;
	struct pr_kit kit;

	(void)state;
	start_on_fake_store(&kit);
	fake.hold = true;
	write_start(&at_store, kit.n[C], true);
	kit_register(&kit, C, 2); /* so that A's command waits */
	pr_command_start(&a, kit.n[A], 1, 2);
	assert_told(&kit, B, SENSE_REGISTRATIONS_PREEMPTED);
	kit_register(&kit, B, 4);
	pr_command_start(&b, kit.n[B], 4, 1);
	turn(&kit);
	assert_false(a.done);
	assert_true(b.done);
	fake_release();
	harness_wait(&kit.h, &a.done);
	scsi_task_end(&a.task);
	scsi_task_end(&b.task);
	assert_keys(&kit, 4);
	kit_stop(&kit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(preempt_registrations),
		cmocka_unit_test(preempt_the_reservation),
		cmocka_unit_test(preempt_oneself),
		cmocka_unit_test(preempt_all_registrants),
		cmocka_unit_test(preempt_and_abort_waits),
		cmocka_unit_test(preempt_and_abort_all),
		cmocka_unit_test(preempt_and_abort_frees_the_medium),
		cmocka_unit_test(preempt_alone_aborts_nothing),
		cmocka_unit_test(two_preempt_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
