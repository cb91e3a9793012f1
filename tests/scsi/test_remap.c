/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LUNs that come and go under nexuses that are logged in: what is under way is finished, what
 * comes later meets the new map, and a LU is let go when nothing of it is left.
 */
#include "scsi/lu_priv.h"
#include "tests/scsi/fake_store.h"
#include "tests/scsi/harness.h"
#include "util/bytes.h"
#include <errno.h>
#include <string.h>

enum { TEST_UNIT_READY = 0x00, WRITE_10 = 0x2a };

/* LUNs 0 and 5 on the fake store. */
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

static void turn(struct harness *h)
{
	for (int i = 0; i < 10; i++)
		assert_true(engine_turn(h->engine, false) >= 0);
}

/* One LU, as harness_map() makes them, that no LUN leads to. */
static struct scsi_lu *spare_lu(struct harness *h)
{
	struct scsi_lu_config cfg = harness_lu_config();
	char why[256];

	assert_int_equal(scsi_lu_new(&cfg, &h->lus[h->n_lus], why, sizeof(why)), 0);
	return h->lus[h->n_lus++];
}

static const struct answer *ready(struct harness *h, unsigned nexus, uint32_t lun)
{
	return SEND(h, .nexus = nexus, .lun = lun, .cdb = {TEST_UNIT_READY});
}

#define REMAP(h, ...)                                                                              \
	do {                                                                                       \
		const struct scsi_mapping list[] = {__VA_ARGS__};                                  \
		assert_int_equal(                                                                  \
			scsi_target_remap((h)->target, list, sizeof(list) / sizeof(list[0])), 0);  \
	} while (0)

/* ---- a transport that keeps a write under way ---- */

struct command {
	struct scsi_task task;
	uint8_t buf[512];
	struct iovec iov;
	bool answered, aborted, ended;
};

static void command_done(struct scsi_task *task)
{
	struct command *c = container_of(task, struct command, task);

	c->answered = !c->aborted;
	c->ended = true;
	scsi_task_end(task);
}

static void command_aborted(struct scsi_task *task)
{
	struct command *c = container_of(task, struct command, task);

	c->aborted = true;
	if (task->pending)
		return;
	c->ended = true;
	scsi_task_end(task);
}

static const struct scsi_transport transport = {.done = command_done, .aborted = command_aborted};

static void write_begin(struct command *c, struct scsi_nexus *nexus, uint32_t lun)
{
	*c = (struct command){.task = {.transport = &transport,
				       .nexus = nexus,
				       .lun = scsi_lun_encode(lun),
				       .tag = 1,
				       .attr = ATTR_SIMPLE,
				       .cdb = {WRITE_10, [8] = 1},
				       .cdb_len = 16,
				       .expect_out = 512}};
	memset(c->buf, 0x5a, sizeof(c->buf));
	assert_int_equal(scsi_task_begin(&c->task), SCSI_READY);
	c->iov = (struct iovec){c->buf, sizeof(c->buf)};
	c->task.iov = &c->iov;
	c->task.n_iov = 1;
}

static void write_run(struct command *c)
{
	assert_int_equal(scsi_task_run(&c->task), SCSI_PENDING);
}

/* ---- coming and going ---- */

static void a_lun_comes(void **state)
{
	struct harness h;

	(void)state;
	start(&h);
	REMAP(&h, {0, h.lus[0]}, {3, spare_lu(&h)}, {5, h.lus[1]});
	for (unsigned nexus = 0; nexus < HARNESS_NEXUSES; nexus++) {
		assert_check(ready(&h, nexus, 0), SENSE_REPORTED_LUNS_CHANGED);
		assert_good(ready(&h, nexus, 0));
		assert_check(ready(&h, nexus, 3), SENSE_POWER_ON_OR_RESET);
		assert_good(ready(&h, nexus, 3));
		assert_good(ready(&h, nexus, 5)); /* told at one LU, told at all */
	}
	harness_stop(&h);
}

static void map_adds_one_live(void **state)
{
	struct harness h;

	(void)state;
	start(&h);
	assert_check(ready(&h, 0, 16383), SENSE_LU_NOT_SUPPORTED);
	assert_int_equal(scsi_target_map(h.target, 16383, spare_lu(&h)), 0);
	assert_int_equal(scsi_target_map(h.target, 16383, h.lus[2]), -EEXIST);
	assert_check(ready(&h, 0, 16383), SENSE_POWER_ON_OR_RESET);
	assert_check(ready(&h, 1, 5), SENSE_REPORTED_LUNS_CHANGED);
	harness_stop(&h);
}

static void a_lun_goes(void **state)
{
	struct harness h;

	(void)state;
	start(&h);
	assert_true(scsi_lu_in_use(h.lus[1]));
	REMAP(&h, {0, h.lus[0]});
	turn(&h); /* idle nexuses let go of it as well */
	assert_false(scsi_lu_in_use(h.lus[1]));
	assert_check(ready(&h, 0, 5), SENSE_LU_NOT_SUPPORTED);
	assert_check(ready(&h, 0, 0), SENSE_REPORTED_LUNS_CHANGED);
	harness_stop(&h);
}

/* The first command after the change meets the new map, whether its thread was told or not. */
static void nobody_waits_to_be_told(void **state)
{
	struct harness h;

	(void)state;
	start(&h);
	REMAP(&h, {0, h.lus[0]});
	assert_check(ready(&h, 0, 5), SENSE_LU_NOT_SUPPORTED);
	harness_stop(&h);
}

static void the_same_map_changes_nothing(void **state)
{
	struct harness h;

	(void)state;
	start(&h);
	scsi_lu_attention(h.lus[1], UA_CAPACITY_CHANGED, NULL);
	REMAP(&h, {0, h.lus[0]}, {5, h.lus[1]});
	turn(&h);
	assert_good(ready(&h, 0, 0));
	assert_check(ready(&h, 0, 5), SENSE_CAPACITY_CHANGED);
	harness_stop(&h);
}

/* What stays keeps its attentions, wherever its place in the map moves to. */
static void what_stays_is_untouched(void **state)
{
	struct harness h;
	struct command c;

	(void)state;
	start(&h);
	scsi_lu_attention(h.lus[1], UA_CAPACITY_CHANGED, NULL);
	ready(&h, 0, 5);
	fake.hold = true;
	write_begin(&c, h.nexus[0], 5);
	write_run(&c);
	REMAP(&h, {1, spare_lu(&h)}, {2, spare_lu(&h)}, {5, h.lus[1]});
	turn(&h);
	assert_check(ready(&h, 0, 5), SENSE_REPORTED_LUNS_CHANGED);
	assert_good(ready(&h, 0, 5));
	assert_check(ready(&h, 1, 5), SENSE_CAPACITY_CHANGED);
	assert_check(ready(&h, 1, 5), SENSE_REPORTED_LUNS_CHANGED);
	fake_release();
	harness_wait(&h, &c.ended);
	assert_true(c.answered);
	assert_int_equal(c.task.status, STATUS_GOOD);
	assert_false(scsi_lu_in_use(h.lus[0]));
	harness_stop(&h);
}

static void another_lu_at_the_same_lun(void **state)
{
	struct harness h;

	(void)state;
	start(&h);
	REMAP(&h, {0, h.lus[0]}, {5, spare_lu(&h)});
	turn(&h);
	assert_check(ready(&h, 0, 5), SENSE_POWER_ON_OR_RESET);
	assert_false(scsi_lu_in_use(h.lus[1]));
	harness_stop(&h);
}

static void what_is_under_way_is_finished(void **state)
{
	struct harness h;
	struct command in_store, waits_for_data;

	(void)state;
	start(&h);
	fake.hold = true;
	write_begin(&in_store, h.nexus[0], 5);
	write_run(&in_store);
	write_begin(&waits_for_data, h.nexus[1], 5);
	REMAP(&h, {0, h.lus[0]});
	turn(&h);
	assert_check(ready(&h, 0, 5), SENSE_LU_NOT_SUPPORTED);
	assert_check(ready(&h, 1, 5), SENSE_LU_NOT_SUPPORTED);
	assert_true(scsi_lu_in_use(h.lus[1]));
	write_run(&waits_for_data);
	fake_release();
	harness_wait(&h, &in_store.ended);
	harness_wait(&h, &waits_for_data.ended);
	assert_true(in_store.answered && waits_for_data.answered);
	assert_int_equal(in_store.task.status, STATUS_GOOD);
	assert_int_equal(waits_for_data.task.status, STATUS_GOOD);
	assert_false(scsi_lu_in_use(h.lus[1]));
	harness_stop(&h);
}

/* The LUN comes back while its old pair still has a task: that is another pair. */
static void gone_and_back(void **state)
{
	struct harness h;
	struct command c;

	(void)state;
	start(&h);
	fake.hold = true;
	write_begin(&c, h.nexus[0], 5);
	write_run(&c);
	REMAP(&h, {0, h.lus[0]});
	turn(&h);
	REMAP(&h, {0, h.lus[0]}, {5, h.lus[1]});
	turn(&h);
	assert_check(ready(&h, 0, 5), SENSE_POWER_ON_OR_RESET);
	fake_release();
	harness_wait(&h, &c.ended);
	assert_good(ready(&h, 0, 5));
	harness_stop(&h);
}

static void what_is_under_way_can_be_aborted(void **state)
{
	struct harness h;
	struct command in_store, waits_for_data, at_another;

	(void)state;
	start(&h);
	fake.hold = true;
	write_begin(&in_store, h.nexus[0], 5);
	write_run(&in_store);
	write_begin(&waits_for_data, h.nexus[0], 5);
	write_begin(&at_another, h.nexus[0], 0);
	REMAP(&h, {0, h.lus[0]});
	turn(&h);
	scsi_target_abort_unmapped(h.target);
	turn(&h);
	assert_true(waits_for_data.aborted && waits_for_data.ended);
	assert_true(in_store.aborted && !in_store.ended); /* its write cannot be taken back */
	assert_false(at_another.aborted);
	assert_true(scsi_lu_in_use(h.lus[1]));
	fake_release();
	harness_wait(&h, &in_store.ended);
	assert_false(in_store.answered);
	assert_false(scsi_lu_in_use(h.lus[1]));
	fake.hold = false;
	write_run(&at_another);
	harness_wait(&h, &at_another.ended);
	assert_true(at_another.answered);
	harness_stop(&h);
}

/* ---- other threads, other targets, many ---- */

static void each_thread_is_told(void **state)
{
	struct harness h;
	struct engine *other;
	struct scsi_nexus *nexus;
	struct sent_by_other {
		struct scsi_task task;
	} t = {.task = {.transport = &transport}};

	(void)state;
	start(&h);
	assert_int_equal(engine_new(ENGINE_EPOLL, NULL, &other), 0);
	assert_int_equal(
		scsi_nexus_new(h.target, "iqn.2024-01.example:three,i,0x0", 2, other, &nexus), 0);
	t.task.nexus = nexus;
	t.task.lun = scsi_lun_encode(5);
	t.task.cdb_len = 6;
	scsi_task_begin(&t.task); /* so that there is a pair */
	scsi_task_end(&t.task);
	REMAP(&h, {0, h.lus[0]});
	turn(&h);
	assert_true(scsi_lu_in_use(h.lus[1]));
	assert_true(engine_turn(other, false) >= 0);
	assert_false(scsi_lu_in_use(h.lus[1]));
	scsi_nexus_free(nexus);
	engine_free(other);
	harness_stop(&h);
}

static void a_lu_of_two_targets(void **state)
{
	struct harness h;
	struct scsi_target *other;

	(void)state;
	start(&h);
	assert_int_equal(scsi_target_new("iqn.2024-01.example:other", &other), 0);
	assert_int_equal(scsi_target_map(other, 7, h.lus[1]), 0);
	REMAP(&h, {0, h.lus[0]});
	turn(&h);
	assert_true(scsi_lu_in_use(h.lus[1]));
	assert_int_equal(scsi_target_remap(other, NULL, 0), 0);
	assert_false(scsi_lu_in_use(h.lus[1]));
	scsi_target_unref(other);
	harness_stop(&h);
}

static void a_nexus_that_leaves_after_the_change(void **state)
{
	struct harness h;

	(void)state;
	start(&h);
	REMAP(&h, {0, h.lus[0]});
	scsi_nexus_free(h.nexus[0]); /* before it was told */
	h.nexus[0] = NULL;
	turn(&h);
	assert_false(scsi_lu_in_use(h.lus[1]));
	harness_stop(&h);
}

static void wrong_lists_are_refused(void **state)
{
	struct harness h;

	(void)state;
	start(&h);
	const struct scsi_mapping twice[] = {{1, h.lus[0]}, {1, h.lus[1]}};
	const struct scsi_mapping order[] = {{2, h.lus[0]}, {1, h.lus[1]}};
	const struct scsi_mapping large[] = {{16384, h.lus[0]}};

	assert_int_equal(scsi_target_remap(h.target, twice, 2), -EINVAL);
	assert_int_equal(scsi_target_remap(h.target, order, 2), -EINVAL);
	assert_int_equal(scsi_target_remap(h.target, large, 1), -EINVAL);
	assert_good(ready(&h, 0, 5));
	harness_stop(&h);
}

static void every_lun_there_can_be(void **state)
{
	static struct scsi_mapping all[16384];
	struct harness h;

	(void)state;
	start(&h);
	for (uint32_t i = 0; i < 16384; i++)
		all[i] = (struct scsi_mapping){i, h.lus[i % 2]};
	assert_int_equal(scsi_target_remap(h.target, all, 16384), 0);
	for (uint32_t i = 0; i < 16384; i += 1 + i % 7) {
		ready(&h, 0, i); /* POWER ON, or LUNS CHANGED where the pair stayed */
		assert_good(ready(&h, 0, i));
	}
	assert_int_equal(scsi_target_remap(h.target, all + 16383, 1), 0);
	turn(&h);
	assert_false(scsi_lu_in_use(h.lus[0]));
	ready(&h, 0, 16383);
	assert_good(ready(&h, 0, 16383));
	assert_check(ready(&h, 0, 0), SENSE_LU_NOT_SUPPORTED);
	harness_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lun_comes),
		cmocka_unit_test(map_adds_one_live),
		cmocka_unit_test(a_lun_goes),
		cmocka_unit_test(nobody_waits_to_be_told),
		cmocka_unit_test(the_same_map_changes_nothing),
		cmocka_unit_test(what_stays_is_untouched),
		cmocka_unit_test(another_lu_at_the_same_lun),
		cmocka_unit_test(what_is_under_way_is_finished),
		cmocka_unit_test(gone_and_back),
		cmocka_unit_test(what_is_under_way_can_be_aborted),
		cmocka_unit_test(each_thread_is_told),
		cmocka_unit_test(a_lu_of_two_targets),
		cmocka_unit_test(a_nexus_that_leaves_after_the_change),
		cmocka_unit_test(wrong_lists_are_refused),
		cmocka_unit_test(every_lun_there_can_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
