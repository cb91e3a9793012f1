/* SPDX-License-Identifier: Apache-2.0 */
/* Copies under way: how they fail, their lists, in the background, what aborts them. */
#include "scsi/tmf.h"
#include "tests/scsi/copy_kit.h"
#include "tests/scsi/fake_store.h"
#include <errno.h>

/* ---- a store that does as it is told ---- */

/* RAM at LUN 0, the fake at LUN 1. */
static void failures(void **state)
{
	struct harness h;

	(void)state;
	kit_start_fake(&h, true);
	fake.fail = -EIO;
	fake.fail_kind = DUOTGT_IO_WRITE;
	assert_segment(kit_xcopy(&h, (struct seg[]){{0, 0, 8, 0, 8}, {0, 1, 8, 0, 8}}, 2),
		       SENSE_THIRD_PARTY_DEVICE_FAILURE, 1);
	fake.fail_kind = DUOTGT_IO_READ;
	assert_segment(kit_xcopy(&h, &(struct seg){1, 0, 8, 0, 8}, 1),
		       SENSE_THIRD_PARTY_DEVICE_FAILURE, 0);
	/* and what LID1 keeps of it: told once */
	assert_good(SEND(&h, .cdb = {0x84, 0x04, 0, [13] = 200}, .expect_in = 200));
	assert_int_equal(h.answer.len, 60 + 18);
	assert_int_equal(be32_get(h.answer.data), 60 + 18 - 4);
	assert_int_equal(h.answer.data[56], STATUS_CHECK_CONDITION);
	assert_int_equal(be16_get(h.answer.data + 58), 18);
	assert_int_equal(h.answer.data[60 + 2], KEY_COPY_ABORTED);
	assert_bad_field(SEND(&h, .cdb = {0x84, 0x04, 0, [13] = 200}, .expect_in = 200), 2, -1);
	harness_stop(&h);
}

static void without_write_cache_it_is_flushed(void **state)
{
	static const struct seg seg = {0, 1, 8, 0, 8};
	struct harness h;

	(void)state;
	kit_start_fake(&h, true);
	assert_good(kit_xcopy(&h, &seg, 1));
	assert_int_equal(fake.kind, DUOTGT_IO_WRITE);
	harness_stop(&h);
	kit_start_fake(&h, false);
	assert_good(kit_xcopy(&h, &seg, 1));
	assert_int_equal(fake.kind, DUOTGT_IO_FLUSH);
	fake.fail = -EIO;
	fake.fail_kind = DUOTGT_IO_FLUSH;
	assert_segment(kit_xcopy(&h, &seg, 1), SENSE_THIRD_PARTY_DEVICE_FAILURE, 0);
	fake.fail = 0; /* from now on nothing is believed any more */
	assert_segment(kit_xcopy(&h, &seg, 1), SENSE_THIRD_PARTY_DEVICE_FAILURE, 0);
	harness_stop(&h);
}

/* ---- lists, and copies in the background ---- */

static const struct answer *status_lid1(struct harness *h, unsigned nexus, uint32_t lun, uint8_t id)
{
	return SEND(h, .nexus = nexus, .lun = lun, .cdb = {0x84, 0x00, id, [13] = 64},
		    .expect_in = 64);
}

static const struct answer *send_list(struct harness *h, uint8_t id, uint8_t usage)
{
	static struct xlist x;

	xlist_lid1(&x, id, usage);
	xlist_cscd(&x, h->lus[0], false);
	xlist_seg(&x, &(struct seg){0, 0, 8, 0, 8});
	xlist_seg(&x, &(struct seg){0, 0, 8, 0, 18});
	xlist_end(&x);
	return xlist_send(h, 0, 0, &x);
}

static void lists_are_held(void **state)
{
	const struct answer *a;
	struct harness h;

	(void)state;
	kit_start(&h, 512, 512);
	assert_bad_field(status_lid1(&h, 0, 0, 1), 2, -1);
	assert_good(send_list(&h, 1, 0));
	assert_good(send_list(&h, 2, 2)); /* discarded */
	assert_good(send_list(&h, 0, 3)); /* without a name */
	a = status_lid1(&h, 0, 0, 1);
	assert_good(a);
	assert_int_equal(a->len, 12);
	assert_int_equal(be32_get(a->data), 8);
	assert_int_equal(a->data[4], 1);
	assert_int_equal(be16_get(a->data + 5), 2);
	assert_int_equal(a->data[7], 0);
	assert_int_equal(be32_get(a->data + 8), 16 * 512);
	assert_bad_field(status_lid1(&h, 0, 0, 2), 2, -1);
	assert_bad_field(status_lid1(&h, 0, 0, 0), 2, -1);
	/* of another initiator, or another LU, it is not */
	assert_bad_field(status_lid1(&h, 1, 0, 1), 2, -1);
	assert_bad_field(status_lid1(&h, 0, 1, 1), 2, -1);
	/* no data is held, nothing has failed */
	a = SEND(&h, .cdb = {0x84, 0x01, 1, [13] = 64}, .expect_in = 64);
	assert_good(a);
	assert_true(a->len == 4 && be32_get(a->data) == 0);
	a = SEND(&h, .cdb = {0x84, 0x04, 1, [13] = 64}, .expect_in = 64);
	assert_good(a);
	assert_true(a->len == 4 && be32_get(a->data) == 0);
	/* the same, asked in the other form */
	a = kit_receive(&h, 0, 0, COPY_DATA_LID4, 1);
	assert_good(a);
	assert_int_equal(a->len, 36);
	assert_int_equal(a->data[5], 0x01);
	assert_int_equal(be64_get(a->data + 16), 16 * 512);
	harness_stop(&h);
}

/* More than are kept: the oldest go, and the memory with them. */
static void lists_are_bounded(void **state)
{
	struct harness h;

	(void)state;
	kit_start(&h, 512, 512);
	for (unsigned id = 0; id < 200; id++)
		assert_good(send_list(&h, (uint8_t)id, 0));
	assert_bad_field(status_lid1(&h, 0, 0, 0), 2, -1);
	assert_good(status_lid1(&h, 0, 0, 199));
	harness_stop(&h);
}

/* Begins a copy to the fake, which holds its first write. */
static void begin_held(struct harness *h, uint32_t list_id)
{
	static struct xlist x;

	fake.hold = true;
	xlist_lid4(&x, list_id, 0, true);
	xlist_cscd(&x, h->lus[0], false);
	xlist_cscd(&x, h->lus[1], false);
	xlist_seg(&x, &(struct seg){0, 1, 2, 0, 0});
	xlist_seg(&x, &(struct seg){0, 1, 1000, 2, 2});
	xlist_end(&x);
	assert_good(xlist_send(h, 0, 0, &x));
	while (!fake.n_held)
		assert_true(engine_turn(h->engine, false) >= 0);
}

static bool was_written(uint64_t offset)
{
	return fake.mem[offset] == kit_byte(0, offset);
}

static void in_the_background(void **state)
{
	static struct xlist x;
	const struct answer *a;
	struct harness h;

	(void)state;
	kit_start_fake(&h, true);
	begin_held(&h, 77);
	a = kit_receive(&h, 0, 0, COPY_STATUS_LID4, 77);
	assert_good(a);
	assert_int_equal(a->len, 32);
	assert_int_equal(be32_get(a->data), 28);
	assert_int_equal(a->data[4], 0x01);
	assert_int_equal(a->data[5], 0x12);
	assert_int_equal(be16_get(a->data + 24), 0);
	a = status_lid1(&h, 0, 0, 77);
	assert_good(a);
	assert_int_equal(a->data[4], 0);
	/* its name is taken */
	xlist_lid4(&x, 77, 0, true);
	xlist_cscd(&x, h.lus[0], false);
	xlist_seg(&x, &(struct seg){0, 0, 2, 0, 0});
	xlist_end(&x);
	assert_check(xlist_send(&h, 0, 0, &x), SENSE_OPERATION_IN_PROGRESS);
	/* the initiator goes, the copy does not */
	scsi_nexus_free(h.nexus[0]);
	h.nexus[0] = NULL;
	fake.hold = false;
	fake_release();
	harness_settle(&h);
	assert_int_equal(kit_wait(&h, 77), 0x01);
	a = kit_receive(&h, 0, 0, COPY_STATUS_LID4, 77);
	assert_int_equal(be64_get(a->data + 16), 1002 * 512);
	assert_int_equal(be16_get(a->data + 24), 2);
	for (uint64_t i = 0; i < 1002 * 512; i++)
		assert_true(was_written(i));
	assert_good(xlist_send(&h, 0, 0, &x)); /* free again */
	assert_int_equal(kit_wait(&h, 77), 0x01);
	harness_stop(&h);
}

static void release_fake(struct engine_timer *timer)
{
	(void)timer;
	fake.hold = false;
	fake_release();
}

static void is_aborted_by_command(void **state)
{
	struct engine_timer timer = {.fire = release_fake};
	const struct answer *a;
	struct harness h;

	(void)state;
	kit_start_fake(&h, true);
	assert_bad_field(SEND(&h, .cdb = {0x83, 0x1c, [5] = 77}), 2, -1);
	begin_held(&h, 77);
	engine_timer_set(h.engine, &timer, engine_now(h.engine) + 1000000);
	a = SEND(&h, .cdb = {0x83, 0x1c, [5] = 77});
	assert_good(a);
	assert_true(a->was_pending);
	assert_false(fake.hold); /* not before the write was over */
	assert_true(was_written(512) && !was_written(1024 * 4));
	a = kit_receive(&h, 0, 0, COPY_STATUS_LID4, 77);
	assert_int_equal(a->data[5], 0x60);
	assert_int_equal(a->data[12], STATUS_CHECK_CONDITION);
	assert_int_equal(a->data[13], 18);
	assert_int_equal(a->data[32 + 2], KEY_COPY_ABORTED);
	assert_good(SEND(&h, .cdb = {0x83, 0x1c, [5] = 77})); /* it has ended */
	harness_stop(&h);
}

static void not_reached(struct scsi_gate_pass *pass)
{
	(void)pass;
	fail();
}

/* What is alone at the LU that is read, such as a COMPARE AND WRITE, is not read half done. */
static void waits_for_who_is_alone_at_its_source(void **state)
{
	struct scsi_gate_pass pass = {.admitted = not_reached};
	static struct xlist x;
	struct harness h;

	(void)state;
	for (uint32_t lun = 0; lun < 2; lun++) {
		kit_start_fake(&h, true);
		pass.engine = h.engine;
		assert_true(scsi_gate_enter(&h.lus[lun]->gate, &pass, GATE_EXCLUSIVE));
		xlist_lid4(&x, 5, 0, true);
		xlist_cscd(&x, h.lus[0], false);
		xlist_cscd(&x, h.lus[1], false);
		xlist_seg(&x, &(struct seg){0, 1, 2, 0, 0});
		xlist_end(&x);
		assert_good(xlist_send(&h, 0, 1 - lun, &x));
		for (unsigned i = 0; i < 20; i++)
			assert_true(engine_turn(h.engine, false) >= 0);
		assert_false(was_written(512));
		scsi_gate_leave(&h.lus[lun]->gate, &pass);
		while (!was_written(512))
			assert_true(engine_turn(h.engine, false) >= 0);
		harness_stop(&h);
	}
}

static bool tmf_over;

static void tmf_done(struct scsi_tmf *tmf)
{
	assert_int_equal(tmf->response, TMF_COMPLETE);
	tmf_over = true;
}

/* At the LU that the copy was asked for, and at the one that it writes. */
static void is_aborted_by_reset(void **state)
{
	struct harness h;

	(void)state;
	for (uint32_t lun = 0; lun < 2; lun++) {
		struct scsi_tmf tmf = {
			.function = TMF_LU_RESET, .lun = scsi_lun_encode(lun), .done = tmf_done};

		kit_start_fake(&h, true);
		begin_held(&h, 5);
		tmf.nexus = h.nexus[1];
		tmf_over = false;
		scsi_tmf_start(&tmf);
		for (unsigned i = 0; i < 20; i++)
			assert_true(engine_turn(h.engine, false) >= 0);
		assert_false(tmf_over);
		fake.hold = false;
		fake_release();
		harness_wait(&h, &tmf_over);
		assert_true(was_written(512) && !was_written(1024 * 4));
		harness_settle(&h);
		assert_int_equal(kit_wait(&h, 5), 0x60);
		harness_stop(&h);
	}
}

/* It is no task of the preempted any more, but what it writes is theirs. */
static void is_aborted_by_preempt_and_abort(void **state)
{
	enum { REGISTER_AND_IGNORE = 6 };
	uint8_t list[24] = {[15] = 1};
	struct harness h;

	(void)state;
	kit_start_fake(&h, true);
	for (unsigned i = 0; i < 2; i++) {
		list[15] = (uint8_t)(i + 1);
		assert_good(SEND(&h, .nexus = i, .lun = 1,
				 .cdb = {0x5f, REGISTER_AND_IGNORE, [8] = 24}, .out = list,
				 .out_len = 24));
	}
	begin_held(&h, 5);
	fake.hold = false;
	list[7] = 2;
	list[15] = 1;
	fake_release(); /* of which the copy hears when the loop turns */
	assert_good(SEND(&h, .nexus = 1, .lun = 1, .cdb = {0x5f, 5, 1, [8] = 24}, .out = list,
			 .out_len = 24));
	assert_false(was_written(1024 * 4));
	harness_settle(&h);
	assert_int_equal(kit_wait(&h, 5), 0x60);
	harness_stop(&h);
}

/* ---- in the foreground ---- */

struct command {
	struct scsi_task task;
	struct iovec iov;
	bool done;
};

static void command_done(struct scsi_task *task)
{
	container_of(task, struct command, task)->done = true;
}

static void command_aborted(struct scsi_task *task)
{
	assert_true(task->pending);
}

static const struct scsi_transport transport = {.done = command_done, .aborted = command_aborted};

static void is_aborted_by_task_management(void **state)
{
	static struct xlist x;
	struct scsi_tmf tmf = {.function = TMF_ABORT_TASK, .tag = 4711, .done = tmf_done};
	struct command c = {.task = {.transport = &transport,
				     .tag = 4711,
				     .attr = ATTR_SIMPLE,
				     .cdb = {0x83},
				     .cdb_len = 16}};
	struct harness h;

	(void)state;
	kit_start_fake(&h, true);
	fake.hold = true;
	xlist_lid1(&x, 1, 0);
	xlist_cscd(&x, h.lus[0], false);
	xlist_cscd(&x, h.lus[1], false);
	xlist_seg(&x, &(struct seg){0, 1, 1000, 0, 0});
	xlist_end(&x);
	c.task.nexus = tmf.nexus = h.nexus[0];
	be32_put(c.task.cdb + 10, (uint32_t)x.out.len);
	c.task.expect_out = (uint32_t)x.out.len;
	assert_int_equal(scsi_task_begin(&c.task), SCSI_READY);
	c.iov = (struct iovec){x.buf, x.out.len};
	c.task.iov = &c.iov;
	c.task.n_iov = 1;
	assert_int_equal(scsi_task_run(&c.task), SCSI_PENDING);
	while (!fake.n_held)
		assert_true(engine_turn(h.engine, false) >= 0);
	assert_int_equal(status_lid1(&h, 0, 0, 1)->data[4], 0);
	tmf_over = false;
	scsi_tmf_start(&tmf);
	for (unsigned i = 0; i < 20; i++)
		assert_true(engine_turn(h.engine, false) >= 0);
	assert_false(tmf_over || c.done);
	fake.hold = false;
	fake_release();
	harness_wait(&h, &c.done);
	assert_int_equal(c.task.status, STATUS_TASK_ABORTED);
	scsi_task_end(&c.task);
	harness_wait(&h, &tmf_over);
	assert_true(was_written(512) && !was_written(900 * 512));
	harness_stop(&h);
}

static void let_in(struct scsi_gate_pass *pass)
{
	(void)pass;
	fake.hold = false;
}

/* Who has to be alone inside the gate waits for one chunk, and not for the whole copy. */
static void passes_the_gate_chunk_by_chunk(void **state)
{
	struct scsi_gate_pass pass = {.admitted = let_in};
	struct harness h;

	(void)state;
	kit_start_fake(&h, true);
	begin_held(&h, 5);
	pass.engine = h.engine;
	assert_false(scsi_gate_enter(&h.lus[1]->gate, &pass, GATE_EXCLUSIVE));
	fake_release(); /* this write; the next would be held */
	while (fake.hold)
		assert_true(engine_turn(h.engine, false) >= 0);
	for (unsigned i = 0; i < 20; i++)
		assert_true(engine_turn(h.engine, false) >= 0);
	assert_true(was_written(512) && !was_written(1024 * 4));
	scsi_gate_leave(&h.lus[1]->gate, &pass);
	assert_int_equal(kit_wait(&h, 5), 0x01);
	assert_true(was_written(1024 * 4));
	harness_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failures),
		cmocka_unit_test(without_write_cache_it_is_flushed),
		cmocka_unit_test(lists_are_held),
		cmocka_unit_test(lists_are_bounded),
		cmocka_unit_test(in_the_background),
		cmocka_unit_test(is_aborted_by_command),
		cmocka_unit_test(waits_for_who_is_alone_at_its_source),
		cmocka_unit_test(is_aborted_by_reset),
		cmocka_unit_test(is_aborted_by_preempt_and_abort),
		cmocka_unit_test(is_aborted_by_task_management),
		cmocka_unit_test(passes_the_gate_chunk_by_chunk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
