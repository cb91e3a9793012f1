/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Auto contingent allegiance and QERR: what a CHECK CONDITION means for the other commands, and
 * how they go on.
 */
#include "scsi/lu_priv.h"
#include "tests/scsi/command_kit.h"
#include "util/bytes.h"
#include <errno.h>

enum { INQUIRY = 0x12, MODE_SELECT_10 = 0x55, PR_OUT = 0x5f, READ_10 = 0x28, WRITE_10 = 0x2a };
enum { NACA = 0x04, PAST_THE_END = 0x7f };
enum { A, B }; /* the nexuses */

static struct harness h;

static void turn(void)
{
	command_kit_turn(&h);
}

static int start(void **state)
{
	(void)state;
	command_kit_start(&h);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	for (unsigned i = 0; i < HARNESS_NEXUSES; i++)
		if (h.nexus[i])
			assert_int_equal(scsi_nexus_itl(h.nexus[i], 0)->n_blocked, 0);
	fake.hold = false;
	harness_stop(&h);
	return 0;
}

/* Control mode page: TST in byte 2, QERR in byte 3, TAS in byte 5. */
static const struct answer *set_control(uint8_t tst, uint8_t qerr, uint8_t tas)
{
	const uint8_t list[20] = {
		[8] = 0x0a, 0x0a, (uint8_t)(2 | tst << 5), (uint8_t)(0x10 | qerr << 1), 0, tas};

	return SEND(&h, .cdb = {MODE_SELECT_10, 0x10, [8] = sizeof(list)}, .out = list,
		    .out_len = sizeof(list));
}

static void set(uint8_t tst, uint8_t qerr, uint8_t tas)
{
	assert_good(set_control(tst, qerr, tas));
	harness_settle(&h);
}

/* One command from begin to end. Return: its status. */
static enum scsi_status play(unsigned nexus, uint8_t opcode, enum scsi_attr attr, uint8_t control)
{
	struct command c;

	command_prepare(&c, &h, nexus, opcode, attr);
	c.task.cdb[opcode == INQUIRY ? 5 : 9] = control;
	if (command_begin(&c) == SCSI_DONE)
		return c.task.status;
	command_run(&c);
	harness_wait(&h, &c.ended);
	return c.task.status;
}

/* A READ past the end, which fails. */
static void fault(unsigned nexus, enum scsi_attr attr, uint8_t control)
{
	struct command c;

	command_prepare(&c, &h, nexus, READ_10, attr);
	c.task.cdb[2] = PAST_THE_END;
	c.task.cdb[9] = control;
	assert_int_equal(command_begin(&c), SCSI_DONE);
	assert_int_equal(c.task.status, STATUS_CHECK_CONDITION);
	assert_int_equal(c.task.sense.asc, 0x21);
}

static void begin(struct command *c, unsigned nexus, uint8_t opcode, enum scsi_attr attr)
{
	command_prepare(c, &h, nexus, opcode, attr);
	assert_int_equal(command_begin(c), SCSI_READY);
}

static void assert_no_aca(void)
{
	assert_int_equal(h.lus[0]->n_aca, 0);
	assert_int_equal(play(A, READ_10, ATTR_SIMPLE, 0), STATUS_GOOD);
	assert_int_equal(play(B, READ_10, ATTR_SIMPLE, NACA), STATUS_GOOD);
}

/* ---- the condition ---- */

static void without_naca_there_is_none(void **state)
{
	(void)state;
	fault(A, ATTR_SIMPLE, 0);
	assert_no_aca();
	/* NACA alone changes nothing: the command is done as any */
	assert_int_equal(play(A, WRITE_10, ATTR_SIMPLE, NACA), STATUS_GOOD);
	assert_no_aca();
	assert_int_equal(play(A, READ_10, ATTR_ACA, 0), STATUS_CHECK_CONDITION);
	assert_no_aca();
}

static void a_unit_attention_establishes_it_too(void **state)
{
	(void)state;
	scsi_lu_attention(h.lus[0], UA_MODE_CHANGED, NULL);
	assert_int_equal(play(A, READ_10, ATTR_SIMPLE, NACA), STATUS_CHECK_CONDITION);
	assert_int_equal(play(A, READ_10, ATTR_SIMPLE, 0), STATUS_ACA_ACTIVE);
	/* no attention is taken by a command that is turned away */
	assert_int_equal(play(B, READ_10, ATTR_SIMPLE, 0), STATUS_BUSY);
	assert_int_equal(function_play(&h, A, TMF_CLEAR_ACA, 0), TMF_COMPLETE);
	assert_int_equal(play(B, READ_10, ATTR_SIMPLE, 0), STATUS_CHECK_CONDITION);
	assert_no_aca();
}

/* Also when the opcode is not known, whose length its group tells. */
static void any_check_condition_will_do(void **state)
{
	(void)state;
	assert_int_equal(play(A, 0x2b, ATTR_SIMPLE, NACA), STATUS_CHECK_CONDITION);
	assert_int_equal(play(A, READ_10, ATTR_SIMPLE, 0), STATUS_ACA_ACTIVE);
	function_play(&h, A, TMF_CLEAR_ACA, 0);
	fake.fail = -EIO;
	fake.fail_kind = DUOTGT_IO_READ;
	assert_int_equal(play(A, READ_10, ATTR_SIMPLE, NACA), STATUS_CHECK_CONDITION);
	fake.fail = 0;
	assert_int_equal(play(A, READ_10, ATTR_SIMPLE, 0), STATUS_ACA_ACTIVE);
	function_play(&h, A, TMF_CLEAR_ACA, 0);
	assert_no_aca();
}

static void new_commands_of_the_faulted_nexus(void **state)
{
	struct command first, second;

	(void)state;
	fault(A, ATTR_SIMPLE, NACA);
	for (enum scsi_attr attr = ATTR_UNTAGGED; attr < ATTR_ACA; attr++) {
		assert_int_equal(play(A, READ_10, attr, 0), STATUS_ACA_ACTIVE);
		assert_int_equal(play(A, READ_10, attr, NACA), STATUS_ACA_ACTIVE);
		assert_int_equal(play(A, INQUIRY, attr, 0), STATUS_ACA_ACTIVE);
	}
	assert_int_equal(play(A, INQUIRY, ATTR_ACA, 0), STATUS_GOOD);
	/* one with the ACA attribute at a time */
	begin(&first, A, WRITE_10, ATTR_ACA);
	command_prepare(&second, &h, A, READ_10, ATTR_ACA);
	assert_int_equal(command_begin(&second), SCSI_DONE);
	assert_int_equal(second.task.status, STATUS_ACA_ACTIVE);
	command_run(&first);
	harness_wait(&h, &first.ended);
	assert_int_equal(first.task.status, STATUS_GOOD);
	assert_int_equal(play(A, READ_10, ATTR_ACA, 0), STATUS_GOOD);
	assert_int_equal(function_play(&h, A, TMF_CLEAR_ACA, 0), TMF_COMPLETE);
	assert_no_aca();
}

static void new_commands_of_other_nexuses(void **state)
{
	(void)state;
	fault(A, ATTR_SIMPLE, NACA);
	assert_int_equal(play(B, READ_10, ATTR_SIMPLE, 0), STATUS_BUSY);
	assert_int_equal(play(B, INQUIRY, ATTR_SIMPLE, 0), STATUS_BUSY);
	assert_int_equal(play(B, READ_10, ATTR_ORDERED, NACA), STATUS_ACA_ACTIVE);
	assert_int_equal(play(B, READ_10, ATTR_ACA, 0), STATUS_ACA_ACTIVE);
	/* it is not theirs to clear */
	assert_int_equal(function_play(&h, B, TMF_CLEAR_ACA, 0), TMF_COMPLETE);
	assert_int_equal(play(B, READ_10, ATTR_SIMPLE, 0), STATUS_BUSY);
	function_play(&h, A, TMF_CLEAR_ACA, 0);
	assert_no_aca();
}

static void with_task_sets_of_their_own_they_go_on(void **state)
{
	(void)state;
	set(1, 0, 0);
	fault(A, ATTR_SIMPLE, NACA);
	assert_int_equal(play(A, READ_10, ATTR_SIMPLE, 0), STATUS_ACA_ACTIVE);
	assert_int_equal(play(B, WRITE_10, ATTR_SIMPLE, 0), STATUS_GOOD);
	assert_int_equal(play(B, READ_10, ATTR_ACA, 0), STATUS_CHECK_CONDITION);
	/* and may have one of their own beside it */
	fault(B, ATTR_SIMPLE, NACA);
	assert_int_equal(h.lus[0]->n_aca, 2);
	function_play(&h, A, TMF_CLEAR_ACA, 0);
	assert_int_equal(play(A, READ_10, ATTR_SIMPLE, 0), STATUS_GOOD);
	assert_int_equal(play(B, READ_10, ATTR_SIMPLE, 0), STATUS_ACA_ACTIVE);
	function_play(&h, B, TMF_CLEAR_ACA, 0);
	assert_no_aca();
}

/* ---- how it ends ---- */

static void a_failed_aca_command_clears_it(void **state)
{
	(void)state;
	fault(A, ATTR_SIMPLE, NACA);
	fault(A, ATTR_ACA, NACA); /* or rather, replaces it */
	assert_int_equal(play(A, READ_10, ATTR_SIMPLE, 0), STATUS_ACA_ACTIVE);
	fault(A, ATTR_ACA, 0);
	assert_no_aca();
}

static void resets_clear_it_aborts_do_not(void **state)
{
	static const struct {
		enum scsi_tmf_function function;
		unsigned nexus;
		bool clears;
	} cases[] = {
		{TMF_ABORT_TASK_SET, A, false}, {TMF_CLEAR_TASK_SET, A, false},
		{TMF_CLEAR_TASK_SET, B, false}, {TMF_NEXUS_RESET, B, false},
		{TMF_LU_RESET, A, true},	{TMF_LU_RESET, B, true},
		{TMF_TARGET_RESET, B, true},	{TMF_NEXUS_RESET, A, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fault(A, ATTR_SIMPLE, NACA);
		assert_int_equal(function_play(&h, cases[i].nexus, cases[i].function, 0),
				 TMF_COMPLETE);
		assert_int_equal(h.lus[0]->n_aca, cases[i].clears ? 0 : 1);
		function_play(&h, A, TMF_CLEAR_ACA, 0);
		harness_settle(&h);
	}
	assert_no_aca();
}

static void the_loss_of_the_nexus_clears_it(void **state)
{
	struct command waits;

	(void)state;
	begin(&waits, B, WRITE_10, ATTR_SIMPLE);
	fault(A, ATTR_SIMPLE, NACA);
	command_run(&waits);
	turn();
	assert_false(waits.done);
	scsi_nexus_free(h.nexus[A]);
	h.nexus[A] = NULL;
	harness_wait(&h, &waits.ended);
	assert_int_equal(waits.task.status, STATUS_GOOD);
	assert_int_equal(h.lus[0]->n_aca, 0);
}

/* PERSISTENT RESERVE OUT. @list is read when it runs. */
static enum scsi_status reserve_out(unsigned nexus, uint8_t action, uint8_t type, uint64_t key,
				    uint64_t sa_key, enum scsi_attr attr)
{
	struct command c;

	command_prepare(&c, &h, nexus, PR_OUT, attr);
	c.task.cdb[1] = action;
	c.task.cdb[2] = type;
	c.task.cdb[8] = 24;
	c.task.expect_in = 0;
	c.task.expect_out = 24;
	if (command_begin(&c) == SCSI_DONE)
		return c.task.status;
	c.iov.iov_len = 24;
	be64_put(c.buf, key);
	be64_put(c.buf + 8, sa_key);
	command_run(&c);
	harness_wait(&h, &c.ended);
	return c.task.status;
}

static void preempt_and_abort_clears_that_of_the_preempted(void **state)
{
	enum { REGISTER = 0, PREEMPT = 4, PREEMPT_AND_ABORT = 5, WRITE_EXCLUSIVE = 1 };
	struct command waits;

	(void)state;
	assert_int_equal(reserve_out(A, REGISTER, 0, 0, 0xa, ATTR_SIMPLE), STATUS_GOOD);
	assert_int_equal(reserve_out(B, REGISTER, 0, 0, 0xb, ATTR_SIMPLE), STATUS_GOOD);
	begin(&waits, A, WRITE_10, ATTR_SIMPLE);
	fault(A, ATTR_SIMPLE, NACA);
	command_run(&waits);
	assert_int_equal(reserve_out(B, PREEMPT, 0, 0xb, 0xa, ATTR_SIMPLE), STATUS_BUSY);
	assert_int_equal(reserve_out(B, PREEMPT_AND_ABORT, WRITE_EXCLUSIVE, 0xb, 0xa, ATTR_ACA),
			 STATUS_ACA_ACTIVE);
	assert_int_equal(reserve_out(A, PREEMPT_AND_ABORT, WRITE_EXCLUSIVE, 0xa, 0xa, ATTR_SIMPLE),
			 STATUS_ACA_ACTIVE);
	assert_int_equal(reserve_out(B, PREEMPT_AND_ABORT, WRITE_EXCLUSIVE, 0xb, 0xa, ATTR_SIMPLE),
			 STATUS_GOOD);
	assert_true(waits.aborted && waits.ended);
	assert_int_equal(fake.n_ios, 0);
	harness_settle(&h);
	assert_no_aca();
	/* who is preempted by nobody keeps it */
	assert_int_equal(reserve_out(A, REGISTER, 0, 0, 0xa, ATTR_SIMPLE), STATUS_GOOD);
	fault(A, ATTR_SIMPLE, NACA);
	assert_int_equal(reserve_out(A, PREEMPT_AND_ABORT, WRITE_EXCLUSIVE, 0xa, 0xb, ATTR_ACA),
			 STATUS_GOOD);
	assert_int_equal(play(A, READ_10, ATTR_SIMPLE, 0), STATUS_ACA_ACTIVE);
	function_play(&h, A, TMF_CLEAR_ACA, 0);
}

/* ---- commands that are blocked ---- */

static void who_has_not_begun_is_blocked(void **state)
{
	struct command simple, ordered, first, of_b, at_work;

	(void)state;
	fake.hold = true;
	begin(&at_work, B, WRITE_10, ATTR_SIMPLE);
	command_run(&at_work);
	begin(&simple, A, WRITE_10, ATTR_SIMPLE);
	begin(&of_b, B, WRITE_10, ATTR_HEAD_OF_QUEUE);
	begin(&ordered, A, WRITE_10, ATTR_ORDERED);
	begin(&first, A, WRITE_10, ATTR_HEAD_OF_QUEUE);
	fault(A, ATTR_SIMPLE, NACA);
	command_run(&simple);
	command_run(&of_b);
	command_run(&ordered);
	command_run(&first);
	assert_int_equal(fake.n_ios, 1);
	/* what was at work already is carried to its end */
	fake.hold = false;
	fake_release();
	harness_wait(&h, &at_work.ended);
	assert_int_equal(at_work.task.status, STATUS_GOOD);
	assert_int_equal(play(A, WRITE_10, ATTR_ACA, 0), STATUS_GOOD);
	turn();
	assert_false(simple.done || of_b.done || ordered.done || first.done);
	function_play(&h, A, TMF_CLEAR_ACA, 0);
	harness_wait(&h, &simple.ended);
	harness_wait(&h, &of_b.ended);
	harness_wait(&h, &ordered.ended);
	harness_wait(&h, &first.ended);
	assert_true(simple.nth < ordered.nth);
	assert_int_equal(ordered.task.status, STATUS_GOOD);
	assert_int_equal(fake.n_ios, 6);
}

/* They waited for their turn when the condition came, and get it while it lasts. */
static void who_waits_for_a_turn_is_blocked_then(void **state)
{
	struct command at_work, ordered, held, at_the_gate;

	(void)state;
	fake.hold = true;
	begin(&at_work, A, WRITE_10, ATTR_SIMPLE);
	command_run(&at_work);
	begin(&ordered, A, WRITE_10, ATTR_ORDERED);
	command_run(&ordered);
	begin(&held, A, WRITE_10, ATTR_SIMPLE);
	command_run(&held);
	begin(&at_the_gate, B, WRITE_10, ATTR_ORDERED);
	command_run(&at_the_gate);
	fault(A, ATTR_SIMPLE, NACA);
	fake.hold = false;
	fake_release();
	harness_wait(&h, &at_work.ended);
	turn();
	assert_false(ordered.done || held.done || at_the_gate.done);
	assert_int_equal(play(A, WRITE_10, ATTR_ACA, 0), STATUS_GOOD);
	function_play(&h, A, TMF_CLEAR_ACA, 0);
	harness_wait(&h, &ordered.ended);
	harness_wait(&h, &held.ended);
	harness_wait(&h, &at_the_gate.ended);
	assert_true(ordered.nth < held.nth);
}

static void blocked_commands_can_be_aborted(void **state)
{
	static const enum scsi_tmf_function functions[] = {TMF_ABORT_TASK, TMF_ABORT_TASK_SET,
							   TMF_CLEAR_TASK_SET, TMF_LU_RESET,
							   TMF_NEXUS_RESET};
	struct command c, aca;

	(void)state;
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		begin(&c, A, WRITE_10, i % 2 ? ATTR_SIMPLE : ATTR_ORDERED);
		fault(A, ATTR_SIMPLE, NACA);
		command_run(&c);
		assert_int_equal(function_play(&h, A, functions[i], c.task.tag), TMF_COMPLETE);
		assert_true(c.aborted && c.ended);
		function_play(&h, A, TMF_CLEAR_ACA, 0);
		harness_settle(&h);
	}
	assert_int_equal(fake.n_ios, 0);
	/* CLEAR ACA is as ABORT TASK for the command with the attribute */
	fault(A, ATTR_SIMPLE, NACA);
	begin(&aca, A, WRITE_10, ATTR_ACA);
	assert_int_equal(function_play(&h, A, TMF_CLEAR_ACA, 0), TMF_COMPLETE);
	assert_true(aca.aborted && aca.ended);
	assert_no_aca();
}

/* ---- QERR ---- */

static void crowd_start(struct command c[2][2])
{
	fake.hold = true;
	for (unsigned n = A; n <= B; n++) {
		begin(&c[n][0], n, WRITE_10, ATTR_SIMPLE);
		begin(&c[n][1], n, READ_10, ATTR_SIMPLE);
		command_run(&c[n][1]);
	}
}

static void crowd_finish(struct command c[2][2])
{
	turn();
	fake.hold = false;
	fake_release();
	for (unsigned n = A; n <= B; n++) {
		if (!c[n][0].ended)
			command_run(&c[n][0]);
		harness_wait(&h, &c[n][0].ended);
		harness_wait(&h, &c[n][1].ended);
	}
}

static unsigned attentions(unsigned nexus)
{
	return scsi_nexus_itl(h.nexus[nexus], 0)->attentions;
}

static void qerr_aborts_the_others(void **state)
{
	enum { TAS = 0x40 };
	static const struct {
		uint8_t tst, qerr, tas;
		bool a, b; /* whose commands are aborted when one of A fails */
		bool b_told;
		unsigned attention;
	} cases[] = {
		{0, 0, 0, false, false, false, 0},
		{0, 1, 0, true, true, false, 1u << UA_COMMANDS_CLEARED},
		{0, 1, TAS, true, true, true, 0},
		{0, 3, 0, true, false, false, 0},
		{1, 1, 0, true, false, false, 0},
		{1, 3, TAS, true, false, false, 0},
	};
	struct command c[2][2];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		set(cases[i].tst, cases[i].qerr, cases[i].tas);
		crowd_start(c);
		fault(A, ATTR_SIMPLE, 0);
		crowd_finish(c);
		for (unsigned k = 0; k < 2; k++) {
			assert_int_equal(c[A][k].aborted, cases[i].a);
			assert_false(c[A][k].told);
			assert_int_equal(c[B][k].aborted, cases[i].b);
			assert_int_equal(c[B][k].told, cases[i].b_told);
		}
		assert_int_equal(attentions(A), 0);
		assert_int_equal(attentions(B), cases[i].attention);
		harness_settle(&h);
	}
}

/* QERR 11b with one task set: the faulted nexus' commands are aborted, the others' blocked. */
static void qerr_and_aca_together(void **state)
{
	struct command c[2][2];

	(void)state;
	set(0, 3, 0);
	crowd_start(c);
	fault(A, ATTR_SIMPLE, NACA);
	turn();
	fake.hold = false;
	fake_release();
	assert_true(c[A][0].aborted && c[A][1].aborted);
	command_run(&c[B][0]);
	harness_wait(&h, &c[B][1].ended);
	turn();
	assert_false(c[B][0].done);
	function_play(&h, A, TMF_CLEAR_ACA, 0);
	harness_wait(&h, &c[B][0].ended);
	assert_int_equal(c[B][0].task.status, STATUS_GOOD);
	assert_no_aca();
}

/* ---- what tells of it ---- */

static void it_is_said_to_be_supported(void **state)
{
	const struct answer *a = SEND(&h, .cdb = {INQUIRY, 0, 0, 0, 96}, .expect_in = 96);

	(void)state;
	assert_int_equal(a->data[3], 0x32); /* NORMACA, HISUP, format 2 */
	a = SEND(&h, .cdb = {0xa3, 0x0d, [9] = 16}, .expect_in = 16);
	assert_int_equal(a->data[0], 0xfc); /* CACAS among them */
}

static void reserved_values_are_refused(void **state)
{
	(void)state;
	assert_check(set_control(2, 0, 0), SENSE_INVALID_FIELD_IN_PARAMETERS);
	assert_check(set_control(0, 2, 0), SENSE_INVALID_FIELD_IN_PARAMETERS);
	assert_int_equal(h.answer.sense.field, 11);
	assert_int_equal(h.answer.sense.bit, 2);
	set(1, 3, 0);
	assert_good(SEND(&h, .cdb = {0x1a, 0x08, 0x0a, 0, 64}, .expect_in = 64));
	assert_int_equal(h.answer.data[4 + 2], 0x22);
	assert_int_equal(h.answer.data[4 + 3], 0x16);
}

int main(void)
{
#define ACA_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		ACA_TEST(without_naca_there_is_none),
		ACA_TEST(a_unit_attention_establishes_it_too),
		ACA_TEST(any_check_condition_will_do),
		ACA_TEST(new_commands_of_the_faulted_nexus),
		ACA_TEST(new_commands_of_other_nexuses),
		ACA_TEST(with_task_sets_of_their_own_they_go_on),
		ACA_TEST(a_failed_aca_command_clears_it),
		ACA_TEST(resets_clear_it_aborts_do_not),
		ACA_TEST(the_loss_of_the_nexus_clears_it),
		ACA_TEST(preempt_and_abort_clears_that_of_the_preempted),
		ACA_TEST(who_has_not_begun_is_blocked),
		ACA_TEST(who_waits_for_a_turn_is_blocked_then),
		ACA_TEST(blocked_commands_can_be_aborted),
		ACA_TEST(qerr_aborts_the_others),
		ACA_TEST(qerr_and_aca_together),
		ACA_TEST(it_is_said_to_be_supported),
		ACA_TEST(reserved_values_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
