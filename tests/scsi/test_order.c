/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who waits for whom: task attributes among the commands of a nexus, the gate between nexuses,
 * and what becomes of commands that are aborted while they wait.
 */
#include "scsi/lu_priv.h"
#include "tests/scsi/command_kit.h"
#include "util/bytes.h"
#include <string.h>

enum { INQUIRY = 0x12, READ_10 = 0x28, WRITE_10 = 0x2a, COMPARE_AND_WRITE = 0x89 };
enum { A, B }; /* the nexuses */

static struct harness h;

/* Begins it; its data is yet to come. */
static void begin(struct command *c, unsigned nexus, uint8_t opcode, enum scsi_attr attr)
{
	command_prepare(c, &h, nexus, opcode, attr);
	assert_int_equal(command_begin(c), SCSI_READY);
}

static void start_one(struct command *c, unsigned nexus, uint8_t opcode, enum scsi_attr attr)
{
	begin(c, nexus, opcode, attr);
	command_run(c);
}

static void turn(void)
{
	command_kit_turn(&h);
}

/* The store does what it holds, and what comes of that. */
static void release(void)
{
	fake_release();
	turn();
}

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
	for (unsigned i = 0; i < HARNESS_NEXUSES; i++) {
		const struct scsi_itl *itl = scsi_nexus_itl(h.nexus[i], 0);

		assert_int_equal(itl->n_ordered + itl->n_held, 0);
	}
	assert_false(h.lus[0]->gate.closed);
	fake.hold = false;
	harness_stop(&h);
	return 0;
}

/* ---- task attributes, one nexus ---- */

static void ordered_waits_for_all_older_ones(void **state)
{
	struct command read, write, ordered, late;

	(void)state;
	start_one(&read, A, READ_10, ATTR_SIMPLE);
	begin(&write, A, WRITE_10, ATTR_SIMPLE);
	start_one(&ordered, A, READ_10, ATTR_ORDERED);
	start_one(&late, A, READ_10, ATTR_SIMPLE);
	assert_int_equal(fake.n_held, 1);
	release();
	assert_true(read.done);
	assert_int_equal(fake.n_held, 0); /* the write has not got its data yet */
	command_run(&write);
	assert_int_equal(fake.n_held, 1);
	assert_int_equal(fake.kind, DUOTGT_IO_WRITE);
	release();
	assert_true(write.done && !ordered.done && !late.done);
	assert_int_equal(fake.n_held, 1);
	release();
	assert_true(ordered.done && !late.done);
	release();
	assert_true(late.done);
}

/* Of a READ (simple) that comes after a WRITE (ordered) which waits for its data. */
static void younger_ones_wait_for_ordered_ones_data(void **state)
{
	struct command write, read, again;

	(void)state;
	begin(&write, A, WRITE_10, ATTR_ORDERED);
	start_one(&read, A, READ_10, ATTR_SIMPLE);
	start_one(&again, A, READ_10, ATTR_UNTAGGED);
	assert_int_equal(fake.n_held, 0);
	memset(write.buf, 0x77, 512);
	command_run(&write);
	release();
	assert_true(write.done);
	assert_int_equal(fake.n_held, 2); /* side by side again */
	release();
	assert_true(read.done && again.done);
	assert_int_equal(read.buf[100], 0x77);
}

static void ordered_ones_go_one_by_one(void **state)
{
	struct command c[4];

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		start_one(&c[i], A, READ_10, ATTR_ORDERED);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(fake.n_held, 1);
		release();
		assert_int_equal(c[i].nth, i + 1);
	}
}

static void head_of_queue_waits_for_none(void **state)
{
	struct command write, ordered, head;

	(void)state;
	begin(&write, A, WRITE_10, ATTR_ORDERED);
	start_one(&ordered, A, READ_10, ATTR_ORDERED);
	start_one(&head, A, READ_10, ATTR_HEAD_OF_QUEUE);
	assert_int_equal(fake.n_held, 1);
	release();
	assert_true(head.done && !ordered.done);
	command_run(&write);
	release();
	release();
	assert_true(ordered.done);
}

static void what_needs_no_medium_is_out_of_it(void **state)
{
	struct command write, inquiry, ordered, caw;

	(void)state;
	begin(&write, A, WRITE_10, ATTR_ORDERED);
	start_one(&inquiry, A, INQUIRY, ATTR_SIMPLE);
	assert_true(inquiry.done);
	start_one(&inquiry, A, INQUIRY, ATTR_ORDERED);
	assert_true(inquiry.done);
	command_run(&write);
	release();
	begin(&inquiry, A, INQUIRY, ATTR_SIMPLE);
	start_one(&ordered, A, READ_10, ATTR_ORDERED); /* nor is it waited for */
	assert_int_equal(fake.n_held, 1);
	release();
	command_run(&inquiry);
	assert_true(ordered.done && inquiry.done);
	start_one(&caw, A, COMPARE_AND_WRITE, ATTR_SIMPLE);
	start_one(&inquiry, B, INQUIRY, ATTR_SIMPLE);
	assert_true(inquiry.done && !caw.done);
	release();
	release();
	assert_true(caw.done);
}

/* The connection is lost, or the data never comes right: the task ends without having run. */
static void who_never_runs_is_not_waited_for(void **state)
{
	struct command write, ordered, read;

	(void)state;
	begin(&write, A, WRITE_10, ATTR_SIMPLE);
	start_one(&ordered, A, READ_10, ATTR_ORDERED);
	command_end(&write);
	turn();
	assert_int_equal(fake.n_held, 1);
	release();
	assert_true(ordered.done);
	begin(&write, A, WRITE_10, ATTR_ORDERED);
	start_one(&read, A, READ_10, ATTR_SIMPLE);
	assert_int_equal(fake.n_held, 0);
	command_end(&write);
	release();
	release();
	assert_true(read.done);
}

/* ACA, without an ACA condition, and what the standard reserves. */
static void other_attributes_are_refused(void **state)
{
	struct command c;

	(void)state;
	for (unsigned attr = ATTR_ACA; attr < 8; attr++) {
		command_prepare(&c, &h, A, READ_10, (enum scsi_attr)attr);
		assert_int_equal(command_begin(&c), SCSI_DONE);
		assert_int_equal(c.task.status, STATUS_CHECK_CONDITION);
		assert_int_equal(c.task.sense.key, KEY_ILLEGAL_REQUEST);
		assert_int_equal(c.task.sense.asc, 0x49);
	}
}

/* ---- between nexuses ---- */

/* @opcode with @attr runs alone. */
static void play_alone(uint8_t opcode, enum scsi_attr attr)
{
	struct command before, alone, after, head;
	unsigned n_steps = opcode == COMPARE_AND_WRITE ? 2 : 1;

	start_one(&before, A, READ_10, ATTR_SIMPLE);
	start_one(&alone, B, opcode, attr);
	start_one(&after, A, READ_10, ATTR_SIMPLE);
	assert_int_equal(fake.n_held, 1);
	start_one(&head, A, READ_10, ATTR_HEAD_OF_QUEUE); /* ahead of what waits */
	assert_int_equal(fake.n_held, 2);
	release();
	assert_true(before.done && head.done && !alone.done && !after.done);
	for (unsigned i = 0; i < n_steps; i++) {
		assert_false(alone.done);
		assert_int_equal(fake.n_held, 1);
		if (i == 0) {
			start_one(&head, A, READ_10, ATTR_HEAD_OF_QUEUE); /* not into that */
			assert_int_equal(fake.n_held, 1);
		}
		release();
	}
	assert_true(alone.done && !after.done && !head.done);
	assert_int_equal(alone.task.status, STATUS_GOOD);
	release();
	assert_true(after.done && head.done);
}

static void ordered_is_alone_between_nexuses(void **state)
{
	(void)state;
	play_alone(READ_10, ATTR_ORDERED);
}

static void exclusive_rows_are_alone(void **state)
{
	(void)state;
	play_alone(COMPARE_AND_WRITE, ATTR_SIMPLE);
}

/* What of another nexus waits for data does not hold up. */
static void other_nexus_data_is_not_waited_for(void **state)
{
	struct command write, ordered;

	(void)state;
	begin(&write, B, WRITE_10, ATTR_SIMPLE);
	start_one(&ordered, A, READ_10, ATTR_ORDERED);
	assert_int_equal(fake.n_held, 1);
	command_run(&write);
	assert_int_equal(fake.n_held, 1);
	release();
	release();
	assert_true(ordered.done && write.done);
	assert_true(ordered.nth < write.nth);
}

/* ---- task management ---- */

static void who_waits_can_be_aborted(void **state)
{
	struct command read, caw, late, write, ordered, last;

	(void)state;
	start_one(&read, A, READ_10, ATTR_SIMPLE);
	start_one(&caw, B, COMPARE_AND_WRITE, ATTR_SIMPLE); /* waits at the gate */
	start_one(&late, A, READ_10, ATTR_SIMPLE);	    /* behind it */
	assert_int_equal(function_play(&h, B, TMF_ABORT_TASK, caw.task.tag), TMF_COMPLETE);
	assert_true(caw.aborted && caw.ended && !caw.told);
	assert_int_equal(fake.n_held, 2); /* late has gone in */
	release();
	assert_true(read.done && late.done);
	assert_int_equal(fake.n_ios, 2);

	begin(&write, A, WRITE_10, ATTR_SIMPLE);
	start_one(&ordered, A, READ_10, ATTR_ORDERED); /* waits for the write */
	start_one(&last, A, READ_10, ATTR_SIMPLE);     /* and this for that */
	assert_int_equal(function_play(&h, A, TMF_ABORT_TASK, ordered.task.tag), TMF_COMPLETE);
	assert_true(ordered.aborted && ordered.ended);
	assert_int_equal(fake.n_held, 1); /* last */
	command_run(&write);
	release();
	assert_true(write.done && last.done);
}

/* Admitted and aborted in the same turn: it must not get to the medium, nor stay in the gate. */
static void abort_may_meet_admission(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct command read, caw, late;
		struct function f;

		(void)state;
		fake.n_ios = 0;
		start_one(&read, A, READ_10, ATTR_SIMPLE);
		start_one(&caw, B, COMPARE_AND_WRITE, ATTR_SIMPLE);
		if (i)
			fake_release(); /* the read ends first, and lets it in */
		function_start(&f, &h, B, TMF_ABORT_TASK, caw.task.tag);
		fake_release();
		turn();
		assert_true(f.done && read.done && caw.ended);
		assert_int_equal(fake.n_ios, 1);
		start_one(&late, B, READ_10, ATTR_SIMPLE);
		assert_int_equal(fake.n_held, 1);
		release();
		assert_true(late.done);
	}
}

static void reset_clears_the_line(void **state)
{
	struct command read, caw[3], write, ordered, held;
	struct function f;

	(void)state;
	start_one(&read, A, READ_10, ATTR_SIMPLE);
	for (unsigned i = 0; i < 3; i++)
		start_one(&caw[i], i % 2, COMPARE_AND_WRITE, ATTR_SIMPLE);
	begin(&write, B, WRITE_10, ATTR_SIMPLE);
	start_one(&ordered, B, READ_10, ATTR_ORDERED);
	start_one(&held, B, READ_10, ATTR_SIMPLE);
	function_start(&f, &h, A, TMF_LU_RESET, 0);
	turn();
	assert_false(f.done); /* the read is in the store */
	for (unsigned i = 0; i < 3; i++)
		assert_true(caw[i].ended && !caw[i].told);
	assert_true(write.ended && ordered.ended && held.ended);
	release();
	assert_true(f.done && read.ended);
	assert_int_equal(fake.n_ios, 1);
	harness_settle(&h);
	start_one(&read, A, READ_10, ATTR_SIMPLE);
	assert_int_equal(fake.n_held, 1);
	release();
	assert_true(read.done);
}

static void set_tas(struct scsi_lu_view *view, void *arg)
{
	(void)arg;
	view->tas = true;
}

/* TAS: those who lose tasks to another nexus get a status for each, and no unit attention. */
static void with_tas_losers_are_told(void **state)
{
	static const enum scsi_tmf_function functions[] = {TMF_CLEAR_TASK_SET, TMF_LU_RESET};

	(void)state;
	assert_int_equal(scsi_lu_change(h.lus[0], set_tas, NULL), 0);
	for (unsigned i = 0; i < 2; i++) {
		struct command own, in_store, waits, collects;
		struct function f;

		start_one(&own, A, READ_10, ATTR_SIMPLE);
		start_one(&in_store, B, READ_10, ATTR_SIMPLE);
		start_one(&waits, B, COMPARE_AND_WRITE, ATTR_SIMPLE);
		begin(&collects, B, WRITE_10, ATTR_SIMPLE);
		function_start(&f, &h, A, functions[i], 0);
		turn();
		assert_false(f.done);
		release();
		assert_true(f.done);
		assert_true(own.ended && !own.told);
		assert_true(in_store.told && waits.told && collects.told);
		assert_int_equal(in_store.task.status, STATUS_TASK_ABORTED);
		assert_int_equal(waits.task.status, STATUS_TASK_ABORTED);
		assert_int_equal(collects.task.status, STATUS_TASK_ABORTED);
		assert_int_equal(scsi_nexus_itl(h.nexus[B], 0)->attentions,
				 functions[i] == TMF_LU_RESET ? 1 << UA_LU_RESET : 0);
		harness_settle(&h);
		assert_int_equal(scsi_lu_change(h.lus[0], set_tas, NULL), 0);
	}
}

static void queries_tell_what_is_there(void **state)
{
	struct command read, waits;
	struct function f;

	(void)state;
	assert_int_equal(function_play(&h, A, TMF_QUERY_TASK_SET, 0), TMF_COMPLETE);
	start_one(&read, A, READ_10, ATTR_SIMPLE);
	start_one(&waits, A, COMPARE_AND_WRITE, ATTR_SIMPLE);
	assert_int_equal(function_play(&h, A, TMF_QUERY_TASK, read.task.tag), TMF_SUCCEEDED);
	assert_int_equal(function_play(&h, A, TMF_QUERY_TASK, waits.task.tag), TMF_SUCCEEDED);
	assert_int_equal(function_play(&h, A, TMF_QUERY_TASK, 4711), TMF_COMPLETE);
	assert_int_equal(function_play(&h, B, TMF_QUERY_TASK, read.task.tag), TMF_COMPLETE);
	assert_int_equal(function_play(&h, A, TMF_QUERY_TASK_SET, 0), TMF_SUCCEEDED);
	assert_int_equal(function_play(&h, B, TMF_QUERY_TASK_SET, 0), TMF_COMPLETE);
	assert_false(read.aborted || waits.aborted);
	release();
	release();
	release();
	assert_true(read.done && waits.done);
	assert_int_equal(function_play(&h, A, TMF_QUERY_TASK, read.task.tag), TMF_COMPLETE);

	assert_int_equal(function_play(&h, A, TMF_QUERY_ASYNC_EVENT, 0), TMF_COMPLETE);
	scsi_lu_attention(h.lus[0], UA_CAPACITY_CHANGED, h.nexus[B]);
	function_start(&f, &h, A, TMF_QUERY_ASYNC_EVENT, 0);
	harness_wait(&h, &f.done);
	assert_int_equal(f.tmf.response, TMF_SUCCEEDED);
	assert_memory_equal(f.tmf.info, ((uint8_t[]){0x16, 0x2a, 0x09}), 3);
	scsi_lu_attention(h.lus[0], UA_LU_RESET, h.nexus[B]);
	function_start(&f, &h, A, TMF_QUERY_ASYNC_EVENT, 0);
	harness_wait(&h, &f.done);
	assert_memory_equal(f.tmf.info, ((uint8_t[]){0x26, 0x29, 0x03}), 3);
	assert_int_equal(function_play(&h, B, TMF_QUERY_ASYNC_EVENT, 0), TMF_COMPLETE);
	assert_check(SEND(&h, .cdb = {0}), SENSE_BUS_DEVICE_RESET); /* it was only asked about */
}

static void nexus_reset_is_of_one_nexus(void **state)
{
	struct command own, collects, other;

	(void)state;
	start_one(&own, A, READ_10, ATTR_SIMPLE);
	begin(&collects, A, WRITE_10, ATTR_SIMPLE);
	start_one(&other, B, READ_10, ATTR_SIMPLE);
	fake.hold = false;
	fake_release();
	assert_int_equal(function_play(&h, A, TMF_NEXUS_RESET, 0), TMF_COMPLETE);
	assert_true(own.ended && collects.aborted && !other.aborted);
	harness_wait(&h, &other.done);
	assert_int_equal(scsi_nexus_itl(h.nexus[A], 0)->attentions, 1 << UA_NEXUS_LOSS);
	assert_int_equal(scsi_nexus_itl(h.nexus[B], 0)->attentions, 0);
}

/* ---- counters that many count up at once ---- */

enum { N_THREADS = 4, N_COUNTERS = 4, N_COUNTS = 2000 };

struct counter_thread {
	pthread_t thread;
	struct engine *engine;
	struct scsi_nexus *nexus;
	unsigned seed, n_lost;
};

static void play_one(struct counter_thread *t, struct command *c, uint8_t opcode, uint8_t lba)
{
	bool caw = opcode == COMPARE_AND_WRITE;

	c->task = (struct scsi_task){.transport = &command_transport,
				     .nexus = t->nexus,
				     .cdb = {opcode},
				     .cdb_len = 16,
				     .expect_in = caw ? 0 : 512,
				     .expect_out = caw ? 1024 : 0};
	c->done = c->aborted = c->ended = false;
	c->task.cdb[caw ? 9 : 5] = lba;
	c->task.cdb[caw ? 13 : 8] = 1;
	assert_int_equal(scsi_task_begin(&c->task), SCSI_READY);
	c->iov = (struct iovec){c->buf, caw ? 1024 : 512};
	c->task.iov = &c->iov;
	c->task.n_iov = 1;
	command_run(c);
	while (!c->done)
		assert_true(engine_turn(t->engine, true) >= 0);
}

static void *count_up(void *arg)
{
	struct counter_thread *t = arg;
	struct command c;

	for (unsigned n = 0; n < N_COUNTS;) {
		uint8_t lba = (uint8_t)(rand_r(&t->seed) % N_COUNTERS);

		play_one(t, &c, READ_10, lba);
		memcpy(c.buf + 512, c.buf, 512);
		be64_put(c.buf + 512, be64_get(c.buf) + 1);
		be64_put(c.buf + 1016, be64_get(c.buf) + 1);
		play_one(t, &c, COMPARE_AND_WRITE, lba);
		if (c.task.status == STATUS_GOOD)
			n++;
		else
			t->n_lost++;
		assert_true(c.task.status == STATUS_GOOD || c.task.sense.key == KEY_MISCOMPARE);
	}
	return NULL;
}

static void counts_are_exact(void **state)
{
	struct counter_thread threads[N_THREADS];
	uint64_t sum = 0;

	(void)state;
	fake.hold = false;
	for (unsigned i = 0; i < N_THREADS; i++) {
		struct counter_thread *t = &threads[i];

		*t = (struct counter_thread){.seed = i};
		assert_int_equal(engine_new(ENGINE_EPOLL, NULL, &t->engine), 0);
		assert_int_equal(scsi_nexus_new(h.target, "iqn.2024-01.example:t,i,0", 1, t->engine,
						&t->nexus),
				 0);
		atomic_store(&scsi_nexus_itl(t->nexus, 0)->attentions, 0);
	}
	for (unsigned i = 0; i < N_THREADS; i++)
		assert_int_equal(pthread_create(&threads[i].thread, NULL, count_up, &threads[i]),
				 0);
	for (unsigned i = 0; i < N_THREADS; i++)
		pthread_join(threads[i].thread, NULL);
	for (unsigned i = 0; i < N_THREADS; i++) {
		scsi_nexus_free(threads[i].nexus);
		while (engine_turn(threads[i].engine, false) > 0)
			;
		engine_free(threads[i].engine);
	}
	for (unsigned i = 0; i < N_COUNTERS; i++) {
		assert_int_equal(be64_get(fake.mem + i * 512), be64_get(fake.mem + i * 512 + 504));
		sum += be64_get(fake.mem + i * 512);
	}
	assert_int_equal(sum, N_THREADS * N_COUNTS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(ordered_waits_for_all_older_ones, start, stop),
		cmocka_unit_test_setup_teardown(younger_ones_wait_for_ordered_ones_data, start,
						stop),
		cmocka_unit_test_setup_teardown(ordered_ones_go_one_by_one, start, stop),
		cmocka_unit_test_setup_teardown(head_of_queue_waits_for_none, start, stop),
		cmocka_unit_test_setup_teardown(what_needs_no_medium_is_out_of_it, start, stop),
		cmocka_unit_test_setup_teardown(who_never_runs_is_not_waited_for, start, stop),
		cmocka_unit_test_setup_teardown(other_attributes_are_refused, start, stop),
		cmocka_unit_test_setup_teardown(ordered_is_alone_between_nexuses, start, stop),
		cmocka_unit_test_setup_teardown(exclusive_rows_are_alone, start, stop),
		cmocka_unit_test_setup_teardown(other_nexus_data_is_not_waited_for, start, stop),
		cmocka_unit_test_setup_teardown(who_waits_can_be_aborted, start, stop),
		cmocka_unit_test_setup_teardown(abort_may_meet_admission, start, stop),
		cmocka_unit_test_setup_teardown(reset_clears_the_line, start, stop),
		cmocka_unit_test_setup_teardown(with_tas_losers_are_told, start, stop),
		cmocka_unit_test_setup_teardown(queries_tell_what_is_there, start, stop),
		cmocka_unit_test_setup_teardown(nexus_reset_is_of_one_nexus, start, stop),
		cmocka_unit_test_setup_teardown(counts_are_exact, start, stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
