/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Task management: what is aborted and what is not, what each nexus is told, and that no answer
 * comes while an aborted command can still reach the medium.
 */
#include "scsi/lu_priv.h"
#include "tests/scsi/fake_store.h"
#include "tests/scsi/harness.h"
#include <sched.h>
#include <string.h>

enum { TEST_UNIT_READY = 0x00, READ_10 = 0x28, WRITE_10 = 0x2a };

/* ---- a transport that keeps commands under way ---- */

struct command {
	struct scsi_task task;
	uint8_t buf[512];
	struct iovec iov;
	enum scsi_step step; /* of begin, then of run */
	bool answered, aborted, ended;
};

static void command_end(struct command *c)
{
	assert_false(c->ended);
	c->ended = true;
	scsi_task_end(&c->task);
}

static void command_done(struct scsi_task *task)
{
	struct command *c = container_of(task, struct command, task);

	assert_false(c->answered);
	c->answered = !c->aborted;
	command_end(c);
}

static void command_aborted(struct scsi_task *task)
{
	struct command *c = container_of(task, struct command, task);

	assert_true(task->aborted);
	assert_false(c->aborted || c->ended);
	c->aborted = true;
	if (!task->pending)
		command_end(c);
}

static const struct scsi_transport transport = {.done = command_done, .aborted = command_aborted};

/* Begins a command for one block; a READ runs at once, a WRITE waits for its data. */
static void command_start(struct command *c, struct scsi_nexus *nexus, uint32_t lun, uint8_t opcode,
			  uint64_t tag)
{
	*c = (struct command){.task = {.transport = &transport,
				       .nexus = nexus,
				       .lun = scsi_lun_encode(lun),
				       .tag = tag,
				       .cdb = {opcode, [8] = 1},
				       .cdb_len = 16,
				       .expect_in = opcode == READ_10 ? 512 : 0,
				       .expect_out = opcode == WRITE_10 ? 512 : 0}};
	memset(c->buf, 0x5a, sizeof(c->buf));
	c->step = scsi_task_begin(&c->task);
	c->iov = (struct iovec){c->buf, sizeof(c->buf)};
	c->task.iov = &c->iov;
	c->task.n_iov = 1;
	if (opcode == READ_10 && c->step == SCSI_READY)
		c->step = scsi_task_run(&c->task);
}

/* The data of a WRITE has come. */
static void command_run(struct command *c)
{
	assert_int_equal(c->step, SCSI_READY);
	c->step = scsi_task_run(&c->task);
	assert_int_equal(c->step, SCSI_PENDING);
}

/* ---- functions ---- */

struct function {
	struct scsi_tmf tmf;
	bool done;
};

static void function_done(struct scsi_tmf *tmf)
{
	struct function *f = container_of(tmf, struct function, tmf);

	assert_false(f->done);
	f->done = true;
}

static void function_start(struct function *f, struct scsi_nexus *nexus,
			   enum scsi_tmf_function function, uint32_t lun, uint64_t tag)
{
	*f = (struct function){.tmf = {.function = function,
				       .nexus = nexus,
				       .lun = scsi_lun_encode(lun),
				       .tag = tag,
				       .done = function_done,
				       .response = (enum scsi_tmf_response)99}};
	scsi_tmf_start(&f->tmf);
	assert_false(f->done); /* never from inside */
}

static void turn(struct harness *h)
{
	for (int i = 0; i < 10; i++)
		assert_true(engine_turn(h->engine, false) >= 0);
}

static void assert_response(struct harness *h, struct function *f, enum scsi_tmf_response response)
{
	harness_wait(h, &f->done);
	assert_int_equal(f->tmf.response, response);
}

/* LUN 0 and 5 on the fake store. */
static void start(struct harness *h)
{
	struct scsi_lu_config cfg = harness_lu_config();

	fake_reset();
	cfg.backend = &fake_backend_ops;
	harness_start(h);
	harness_map(h, 0, &cfg);
	harness_map(h, 5, &cfg);
	harness_settle(h);
}

static unsigned attentions(struct harness *h, unsigned nexus, unsigned mapping)
{
	return scsi_nexus_itl(h->nexus[nexus], mapping)->attentions;
}

/* ---- ABORT TASK ---- */

static void abort_ends_what_waits_for_data(void **state)
{
	struct harness h;
	struct command c, other;
	struct function f;

	(void)state;
	start(&h);
	command_start(&c, h.nexus[0], 0, WRITE_10, 7);
	command_start(&other, h.nexus[0], 0, WRITE_10, 8);
	function_start(&f, h.nexus[0], TMF_ABORT_TASK, 0, 7);
	assert_response(&h, &f, TMF_COMPLETE);
	assert_true(c.aborted && c.ended && !c.answered);
	assert_false(other.aborted);
	assert_int_equal(attentions(&h, 0, 0) | attentions(&h, 1, 0), 0);
	command_run(&other);
	harness_wait(&h, &other.ended);
	assert_true(other.answered);
	assert_int_equal(fake.n_ios, 1);
	harness_stop(&h);
}

static void abort_waits_for_the_store(void **state)
{
	struct harness h;
	struct command c;
	struct function f, again;

	(void)state;
	start(&h);
	fake.hold = true;
	command_start(&c, h.nexus[0], 0, WRITE_10, 7);
	command_run(&c);
	function_start(&f, h.nexus[0], TMF_ABORT_TASK, 0, 7);
	turn(&h);
	assert_true(c.aborted);
	assert_false(c.ended || f.done);
	/* a second function has to wait as well, though there is nothing left to abort */
	function_start(&again, h.nexus[0], TMF_ABORT_TASK, 0, 7);
	turn(&h);
	assert_false(again.done);
	fake_release();
	harness_wait(&h, &c.ended);
	assert_false(c.answered);
	assert_response(&h, &f, TMF_COMPLETE);
	assert_response(&h, &again, TMF_COMPLETE);
	harness_stop(&h);
}

/* READ with FUA on dirty pages: a flush, then the read. Aborted in the first, it does no second. */
static void an_aborted_command_goes_no_further(void **state)
{
	struct harness h;
	struct command c;
	struct function f;

	(void)state;
	start(&h);
	fake.hold = true;
	c = (struct command){.task = {.transport = &transport,
				      .nexus = h.nexus[0],
				      .tag = 3,
				      .cdb = {READ_10, 0x08, [8] = 1},
				      .cdb_len = 16,
				      .expect_in = 512}};
	assert_int_equal(scsi_task_begin(&c.task), SCSI_READY);
	c.iov = (struct iovec){c.buf, sizeof(c.buf)};
	c.task.iov = &c.iov;
	c.task.n_iov = 1;
	assert_int_equal(scsi_task_run(&c.task), SCSI_PENDING);
	assert_int_equal(fake.kind, DUOTGT_IO_FLUSH);
	function_start(&f, h.nexus[0], TMF_ABORT_TASK, 0, 3);
	turn(&h);
	fake_release();
	assert_response(&h, &f, TMF_COMPLETE);
	assert_true(c.ended);
	assert_int_equal(fake.n_ios, 1);
	harness_stop(&h);
}

static void abort_looks_no_further_than_nexus_lun_and_tag(void **state)
{
	struct harness h;
	struct command c;
	struct function f;

	(void)state;
	start(&h);
	command_start(&c, h.nexus[0], 0, WRITE_10, 7);
	function_start(&f, h.nexus[0], TMF_ABORT_TASK, 0, 8);
	assert_response(&h, &f, TMF_NO_TASK);
	function_start(&f, h.nexus[0], TMF_ABORT_TASK, 5, 7);
	assert_response(&h, &f, TMF_NO_TASK);
	function_start(&f, h.nexus[1], TMF_ABORT_TASK, 0, 7);
	assert_response(&h, &f, TMF_NO_TASK);
	assert_false(c.aborted);
	command_run(&c);
	harness_wait(&h, &c.ended);
	function_start(&f, h.nexus[0], TMF_ABORT_TASK, 0, 7);
	assert_response(&h, &f, TMF_NO_TASK);
	harness_stop(&h);
}

static void a_lun_must_be_there(void **state)
{
	static const enum scsi_tmf_function functions[] = {TMF_ABORT_TASK, TMF_ABORT_TASK_SET,
							   TMF_CLEAR_TASK_SET, TMF_LU_RESET};
	struct harness h;
	struct function f;

	(void)state;
	start(&h);
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		function_start(&f, h.nexus[0], functions[i], 1, 7);
		assert_response(&h, &f, TMF_NO_LUN);
	}
	assert_int_equal(attentions(&h, 0, 0) | attentions(&h, 1, 0), 0);
	harness_stop(&h);
}

/* ---- functions on many tasks ---- */

/* Commands of both nexuses at LUN 0, and one of each at LUN 5. Even ones are in the store. */
struct crowd {
	struct command at0[HARNESS_NEXUSES][4], at5[HARNESS_NEXUSES];
};

static void crowd_start(struct harness *h, struct crowd *crowd)
{
	fake.hold = true;
	for (unsigned n = 0; n < HARNESS_NEXUSES; n++) {
		for (unsigned i = 0; i < 4; i++)
			command_start(&crowd->at0[n][i], h->nexus[n], 0, i % 2 ? WRITE_10 : READ_10,
				      i);
		command_start(&crowd->at5[n], h->nexus[n], 5, WRITE_10, 0);
	}
}

static bool all_of(const struct command *c, bool aborted)
{
	for (unsigned i = 0; i < 4; i++)
		if (c[i].aborted != aborted)
			return false;
	return true;
}

/* What has not been aborted is carried to its end. */
static void crowd_finish(struct harness *h, struct crowd *crowd)
{
	fake.hold = false;
	fake_release();
	for (unsigned n = 0; n < HARNESS_NEXUSES; n++) {
		for (unsigned i = 1; i < 4; i += 2)
			if (!crowd->at0[n][i].ended)
				command_run(&crowd->at0[n][i]);
		if (!crowd->at5[n].ended)
			command_run(&crowd->at5[n]);
	}
	for (unsigned n = 0; n < HARNESS_NEXUSES; n++) {
		for (unsigned i = 0; i < 4; i++) {
			harness_wait(h, &crowd->at0[n][i].ended);
			assert_int_not_equal(crowd->at0[n][i].answered, crowd->at0[n][i].aborted);
		}
		harness_wait(h, &crowd->at5[n].ended);
	}
}

/* Starts @function from nexus 0; it must not end while the store holds what it aborted. */
static void play(struct harness *h, struct crowd *crowd, enum scsi_tmf_function function)
{
	struct function f;

	crowd_start(h, crowd);
	function_start(&f, h->nexus[0], function, 0, 0);
	turn(h);
	assert_false(f.done);
	crowd_finish(h, crowd);
	assert_response(h, &f, TMF_COMPLETE);
}

static void abort_task_set_is_of_one_nexus(void **state)
{
	struct harness h;
	struct crowd crowd;

	(void)state;
	start(&h);
	play(&h, &crowd, TMF_ABORT_TASK_SET);
	assert_true(all_of(crowd.at0[0], true));
	assert_true(all_of(crowd.at0[1], false));
	assert_false(crowd.at5[0].aborted || crowd.at5[1].aborted);
	assert_int_equal(attentions(&h, 0, 0) | attentions(&h, 1, 0), 0);
	harness_stop(&h);
}

static void clear_task_set_tells_those_who_lost(void **state)
{
	struct harness h;
	struct crowd crowd;
	struct function f;

	(void)state;
	start(&h);
	play(&h, &crowd, TMF_CLEAR_TASK_SET);
	assert_true(all_of(crowd.at0[0], true));
	assert_true(all_of(crowd.at0[1], true));
	assert_false(crowd.at5[0].aborted || crowd.at5[1].aborted);
	assert_int_equal(attentions(&h, 0, 0), 0);
	assert_int_equal(attentions(&h, 1, 0), 1 << UA_COMMANDS_CLEARED);
	assert_int_equal(attentions(&h, 1, 1), 0);
	/* nothing was lost: nobody is told */
	harness_settle(&h);
	function_start(&f, h.nexus[0], TMF_CLEAR_TASK_SET, 0, 0);
	assert_response(&h, &f, TMF_COMPLETE);
	assert_int_equal(attentions(&h, 0, 0) | attentions(&h, 1, 0), 0);
	harness_stop(&h);
}

static void lu_reset_reaches_all_nexuses_of_the_lu(void **state)
{
	struct harness h;
	struct crowd crowd;

	(void)state;
	start(&h);
	play(&h, &crowd, TMF_LU_RESET);
	assert_true(all_of(crowd.at0[0], true));
	assert_true(all_of(crowd.at0[1], true));
	assert_false(crowd.at5[0].aborted || crowd.at5[1].aborted);
	for (unsigned n = 0; n < HARNESS_NEXUSES; n++) {
		assert_int_equal(attentions(&h, n, 0), 1 << UA_LU_RESET);
		assert_int_equal(attentions(&h, n, 1), 0);
	}
	assert_check(SEND(&h, .nexus = 1, .cdb = {TEST_UNIT_READY}), SENSE_BUS_DEVICE_RESET);
	harness_stop(&h);
}

static void target_reset_reaches_all_lus(void **state)
{
	struct harness h;
	struct crowd crowd;

	(void)state;
	start(&h);
	play(&h, &crowd, TMF_TARGET_RESET);
	for (unsigned n = 0; n < HARNESS_NEXUSES; n++) {
		assert_true(all_of(crowd.at0[n], true));
		assert_true(crowd.at5[n].aborted);
		assert_int_equal(attentions(&h, n, 0), 1 << UA_BUS_RESET);
		assert_int_equal(attentions(&h, n, 1), 1 << UA_BUS_RESET);
	}
	harness_stop(&h);
}

static void a_reset_starts_a_stopped_lu(void **state)
{
	struct harness h;
	struct function f;

	(void)state;
	start(&h);
	atomic_store(&h.lus[0]->stopped, true);
	atomic_store(&h.lus[1]->stopped, true);
	function_start(&f, h.nexus[0], TMF_ABORT_TASK_SET, 0, 0);
	assert_response(&h, &f, TMF_COMPLETE);
	assert_true(h.lus[0]->stopped);
	function_start(&f, h.nexus[0], TMF_LU_RESET, 0, 0);
	assert_response(&h, &f, TMF_COMPLETE);
	assert_false(h.lus[0]->stopped);
	assert_true(h.lus[1]->stopped);
	function_start(&f, h.nexus[0], TMF_TARGET_RESET, 0, 0);
	assert_response(&h, &f, TMF_COMPLETE);
	assert_false(h.lus[1]->stopped);
	harness_stop(&h);
}

static void what_the_asker_sends_afterwards_stands(void **state)
{
	struct harness h;
	struct command before, after;
	struct function f;

	(void)state;
	start(&h);
	command_start(&before, h.nexus[0], 0, WRITE_10, 1);
	function_start(&f, h.nexus[0], TMF_ABORT_TASK_SET, 0, 0);
	command_start(&after, h.nexus[0], 0, WRITE_10, 2);
	assert_response(&h, &f, TMF_COMPLETE);
	assert_true(before.aborted);
	assert_false(after.aborted);
	/* and hears of a reset at once */
	function_start(&f, h.nexus[0], TMF_LU_RESET, 0, 0);
	assert_check(SEND(&h, .cdb = {TEST_UNIT_READY}), SENSE_BUS_DEVICE_RESET);
	assert_good(SEND(&h, .cdb = {TEST_UNIT_READY}));
	assert_response(&h, &f, TMF_COMPLETE);
	assert_good(SEND(&h, .cdb = {TEST_UNIT_READY}));
	assert_true(after.aborted);
	harness_stop(&h);
}

/* It has sent no command to this LU yet. */
static void the_asker_may_be_new_to_the_lu(void **state)
{
	struct harness h;
	struct function f;

	(void)state;
	start(&h);
	for (unsigned i = 0; i < HARNESS_NEXUSES; i++) {
		scsi_nexus_free(h.nexus[i]);
		h.nexus[i] = NULL;
	}
	harness_connect(&h);
	atomic_store(&h.lus[0]->stopped, true);
	function_start(&f, h.nexus[0], TMF_ABORT_TASK, 0, 1);
	assert_response(&h, &f, TMF_NO_TASK);
	function_start(&f, h.nexus[1], TMF_LU_RESET, 0, 0);
	assert_response(&h, &f, TMF_COMPLETE);
	assert_false(h.lus[0]->stopped);
	harness_stop(&h);
}

static void a_nexus_may_leave_meanwhile(void **state)
{
	struct harness h;
	struct function f;

	(void)state;
	start(&h);
	function_start(&f, h.nexus[0], TMF_LU_RESET, 0, 0);
	scsi_nexus_free(h.nexus[1]);
	h.nexus[1] = NULL;
	assert_response(&h, &f, TMF_COMPLETE);
	/* even the one that asked */
	function_start(&f, h.nexus[0], TMF_TARGET_RESET, 0, 0);
	scsi_nexus_free(h.nexus[0]);
	h.nexus[0] = NULL;
	assert_response(&h, &f, TMF_COMPLETE);
	harness_stop(&h);
}

/* ---- two nexuses on two threads ---- */

enum { N_COMMANDS = 4, N_ROUNDS = 150 };

struct peer {
	struct scsi_target *target;
	struct engine *engine;
	struct scsi_nexus *nexus;
	struct command commands[N_COMMANDS];
	struct engine_post post; /* of the other thread, one at a time */
	atomic_uint ready;	 /* posts handled */
	bool rejoin;		 /* leave and come back before each round */
};

static void *peer_main(void *arg)
{
	struct peer *peer = arg;

	assert_int_equal(engine_run(peer->engine), 0);
	return NULL;
}

static void peer_stop(struct engine_post *post)
{
	struct peer *peer = container_of(post, struct peer, post);

	scsi_nexus_free(peer->nexus);
	engine_stop(peer->engine);
}

static void peer_join(struct peer *peer)
{
	if (peer->rejoin) {
		scsi_nexus_free(peer->nexus);
		peer->nexus = NULL;
	}
	if (!peer->nexus)
		assert_int_equal(scsi_nexus_new(peer->target, "iqn.2024-01.example:peer,i,0x1", 1,
						peer->engine, &peer->nexus),
				 0);
}

static void peer_start_commands(struct engine_post *post)
{
	struct peer *peer = container_of(post, struct peer, post);

	peer_join(peer);
	/* what the last round left behind; a new nexus has one too */
	while (scsi_itl_take_attention(scsi_nexus_itl(peer->nexus, 0)) != SENSE_NONE)
		;
	for (unsigned i = 0; i < N_COMMANDS; i++) {
		command_start(&peer->commands[i], peer->nexus, 0, WRITE_10, i);
		if (i % 2)
			command_run(&peer->commands[i]);
	}
	atomic_fetch_add(&peer->ready, 1);
}

static void peer_do(struct peer *peer, void (*what)(struct engine_post *))
{
	unsigned before = atomic_load(&peer->ready);

	peer->post.run = what;
	engine_post(peer->engine, &peer->post);
	while (what != peer_stop && atomic_load(&peer->ready) == before)
		sched_yield();
}

static void peer_noop(struct engine_post *post)
{
	atomic_fetch_add(&container_of(post, struct peer, post)->ready, 1);
}

/* Main asks, the peer has commands in the store and commands that wait for data. */
static void resets_cross_threads(void **state)
{
	struct harness h;
	struct peer peer = {.rejoin = *state != NULL};
	struct function f;
	pthread_t thread;

	start(&h);
	peer.target = h.target;
	assert_int_equal(engine_new(ENGINE_EPOLL, NULL, &peer.engine), 0);
	assert_int_equal(pthread_create(&thread, NULL, peer_main, &peer), 0);
	for (unsigned round = 0; round < N_ROUNDS; round++) {
		fake.hold = true;
		peer_do(&peer, peer_start_commands);
		assert_int_equal(fake.n_held, N_COMMANDS / 2);
		function_start(&f, h.nexus[0], round % 3 ? TMF_LU_RESET : TMF_CLEAR_TASK_SET, 0, 0);
		peer_do(&peer, peer_noop); /* its part was posted before: it has run now */
		turn(&h);
		assert_false(f.done);
		fake.hold = false;
		fake_release();
		assert_response(&h, &f, TMF_COMPLETE);
		/* The answer tells this thread that the other one's commands have ended. */
		for (unsigned i = 0; i < N_COMMANDS; i++)
			assert_true(peer.commands[i].aborted && peer.commands[i].ended &&
				    !peer.commands[i].answered);
	}
	peer_do(&peer, peer_stop);
	pthread_join(thread, NULL);
	engine_free(peer.engine);
	harness_stop(&h);
}

/* Both threads reset and send at the same time, as fast as they can. */
struct racer {
	struct engine *engine;
	struct scsi_target *target;
	atomic_uint *n_left; /* racers that still send */
	uint64_t n_aborted, n_answered;
};

static void *race(void *arg)
{
	struct racer *racer = arg;
	struct scsi_nexus *nexus = NULL;
	static _Thread_local struct command commands[N_COMMANDS];
	struct function f;

	for (unsigned round = 0; round < N_ROUNDS; round++) {
		if (round % 7 == 0) {
			scsi_nexus_free(nexus);
			assert_int_equal(scsi_nexus_new(racer->target, "iqn.2024-01.example:r,i,0",
							1, racer->engine, &nexus),
					 0);
		}
		for (unsigned i = 0; i < N_COMMANDS; i++) {
			command_start(&commands[i], nexus, 0, READ_10, i);
			if (commands[i].step == SCSI_DONE) /* a unit attention */
				command_end(&commands[i]);
		}
		function_start(&f, nexus, TMF_LU_RESET, 0, 0);
		while (!f.done)
			assert_true(engine_turn(racer->engine, true) >= 0);
		for (unsigned i = 0; i < N_COMMANDS; i++) {
			assert_true(commands[i].ended);
			racer->n_aborted += commands[i].aborted;
			racer->n_answered += commands[i].answered;
		}
	}
	scsi_nexus_free(nexus);
	/* The other may have posted a part here before the nexus went. */
	atomic_fetch_sub(racer->n_left, 1);
	while (atomic_load(racer->n_left))
		assert_true(engine_turn(racer->engine, false) >= 0);
	return NULL;
}

static void resets_race(void **state)
{
	struct harness h;
	struct racer racers[2];
	pthread_t threads[2];
	atomic_uint n_left = 2;

	(void)state;
	start(&h);
	for (unsigned i = 0; i < 2; i++) {
		racers[i] = (struct racer){.target = h.target, .n_left = &n_left};
		assert_int_equal(engine_new(ENGINE_EPOLL, NULL, &racers[i].engine), 0);
		assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
	}
	/* The harness' nexuses are on this thread, which has to turn for their parts. */
	while (atomic_load(&n_left))
		assert_true(engine_turn(h.engine, false) >= 0);
	for (unsigned i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		assert_true(racers[i].n_aborted + racers[i].n_answered <= N_ROUNDS * N_COMMANDS);
		engine_free(racers[i].engine);
	}
	harness_stop(&h);
}

int main(void)
{
	static char rejoin;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(abort_ends_what_waits_for_data),
		cmocka_unit_test(abort_waits_for_the_store),
		cmocka_unit_test(an_aborted_command_goes_no_further),
		cmocka_unit_test(abort_looks_no_further_than_nexus_lun_and_tag),
		cmocka_unit_test(a_lun_must_be_there),
		cmocka_unit_test(abort_task_set_is_of_one_nexus),
		cmocka_unit_test(clear_task_set_tells_those_who_lost),
		cmocka_unit_test(lu_reset_reaches_all_nexuses_of_the_lu),
		cmocka_unit_test(target_reset_reaches_all_lus),
		cmocka_unit_test(a_reset_starts_a_stopped_lu),
		cmocka_unit_test(what_the_asker_sends_afterwards_stands),
		cmocka_unit_test(the_asker_may_be_new_to_the_lu),
		cmocka_unit_test(a_nexus_may_leave_meanwhile),
		cmocka_unit_test(resets_cross_threads),
		cmocka_unit_test_prestate(resets_cross_threads, &rejoin),
		cmocka_unit_test(resets_race),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
