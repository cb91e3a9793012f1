/* SPDX-License-Identifier: Apache-2.0 */
/* Removable media: load and eject, who prevents it, and what of it is told to whom. */
#include "scsi/lu_priv.h"
#include "tests/scsi/harness.h"
#include "tests/scsi/spy.h"
#include <errno.h>

enum { IMMED = 1, NO_FLUSH = 4, LOEJ = 2, START = 1 };

/* LUN 0 can be ejected, LUN 1 cannot. */
static void start(struct harness *h)
{
	struct scsi_lu_config cfg = spy_config();

	spy.info.volatile_cache = true;
	harness_start(h);
	cfg.removable = true;
	harness_map(h, 0, &cfg);
	cfg.removable = false;
	harness_map(h, 1, &cfg);
	harness_settle(h);
}

static const struct answer *start_stop(struct harness *h, unsigned nexus, uint8_t how)
{
	return SEND(h, .nexus = nexus, .cdb = {0x1b, 0, 0, 0, how});
}

static const struct answer *prevent(struct harness *h, unsigned nexus, uint8_t how)
{
	return SEND(h, .nexus = nexus, .cdb = {0x1e, 0, 0, 0, how});
}

static const struct answer *ready(struct harness *h, unsigned nexus)
{
	return SEND(h, .nexus = nexus, .cdb = {0x00});
}

static void inquiry_says_so(void **state)
{
	struct harness h;

	(void)state;
	start(&h);
	for (uint32_t lun = 0; lun < 2; lun++) {
		const struct answer *a =
			SEND(&h, .lun = lun, .cdb = {0x12, 0, 0, 0, 96}, .expect_in = 96);

		assert_good(a);
		assert_int_equal(a->data[0], 0);
		assert_int_equal(a->data[1], lun == 0 ? 0x80 : 0);
	}
	harness_stop(&h);
}

static void eject_and_load(void **state)
{
	struct harness h;

	(void)state;
	start(&h);
	for (unsigned immed = 0; immed < 2; immed++) {
		assert_good(SEND(&h, .cdb = {0x1b, (uint8_t)immed, 0, 0, LOEJ}));
		assert_check(ready(&h, 0), SENSE_MEDIUM_NOT_PRESENT);
		assert_check(ready(&h, 1), SENSE_MEDIUM_NOT_PRESENT);
		assert_good(start_stop(&h, 0, LOEJ)); /* it is out already */
		assert_check(start_stop(&h, 0, START), SENSE_MEDIUM_NOT_PRESENT);
		assert_check(start_stop(&h, 0, 0), SENSE_MEDIUM_NOT_PRESENT);
		assert_good(SEND(&h, .cdb = {0x1b, (uint8_t)immed, 0, 0, LOEJ | START}));
		assert_good(ready(&h, 0));				   /* who loads it knows, */
		assert_check(ready(&h, 1), SENSE_MEDIUM_MAY_HAVE_CHANGED); /* the others do not */
		assert_good(ready(&h, 1));
	}
	assert_good(start_stop(&h, 0, LOEJ | START)); /* it is in already */
	assert_good(ready(&h, 1));
	harness_stop(&h);
}

/* Each command that needs a medium says that there is none, before it looks at its fields. */
static void no_medium_for_any_command(void **state)
{
	struct harness h;
	unsigned n_refused = 0, n_good = 0;

	(void)state;
	start(&h);
	assert_good(start_stop(&h, 0, LOEJ));
	for (unsigned i = 0; scsi_op_at(i); i++) {
		const struct scsi_op *op = scsi_op_at(i);
		struct sent sent = {.cdb = {op->opcode, op->sa == NO_SA ? 0 : op->sa},
				    .expect_in = 4096};

		if (op->opcode == 0x7f || !scsi_op_offered_to(op, h.lus[0], h.nexus[0]))
			continue;
		if (op->access >= ACCESS_READY) {
			assert_check(harness_send(&h, &sent), SENSE_MEDIUM_NOT_PRESENT);
			n_refused++;
		} else if (op->access == ACCESS_ANY) {
			harness_send(&h, &sent);
			assert_int_not_equal(h.answer.code, SENSE_MEDIUM_NOT_PRESENT);
			n_good++;
		}
	}
	assert_true(n_refused > 15 && n_good >= 3);
	assert_int_equal(spy.n[DUOTGT_IO_READ] + spy.n[DUOTGT_IO_WRITE], 0);
	harness_stop(&h);
}

static void request_sense_says_so(void **state)
{
	struct harness h;
	const struct answer *a;

	(void)state;
	start(&h);
	assert_good(start_stop(&h, 0, LOEJ));
	a = SEND(&h, .cdb = {0x03, 0, 0, 0, 18}, .expect_in = 18);
	assert_good(a);
	assert_int_equal(a->data[2], KEY_NOT_READY);
	assert_int_equal(a->data[12], 0x3a);
	harness_stop(&h);
}

static void any_nexus_can_prevent(void **state)
{
	struct harness h;

	(void)state;
	start(&h);
	assert_good(prevent(&h, 0, 1));
	assert_good(prevent(&h, 0, 1)); /* no count: one allow ends it */
	assert_check(start_stop(&h, 0, LOEJ), SENSE_MEDIUM_REMOVAL_PREVENTED);
	assert_check(start_stop(&h, 1, LOEJ), SENSE_MEDIUM_REMOVAL_PREVENTED);
	assert_check(start_stop(&h, 1, LOEJ | NO_FLUSH), SENSE_MEDIUM_REMOVAL_PREVENTED);
	assert_good(ready(&h, 1));
	assert_good(prevent(&h, 1, 0)); /* which is not the other's to allow */
	assert_check(start_stop(&h, 1, LOEJ), SENSE_MEDIUM_REMOVAL_PREVENTED);
	assert_good(prevent(&h, 1, 1));
	assert_good(prevent(&h, 0, 0));
	assert_check(start_stop(&h, 0, LOEJ), SENSE_MEDIUM_REMOVAL_PREVENTED);
	assert_good(prevent(&h, 1, 0));
	assert_good(start_stop(&h, 0, LOEJ));
	/* a drive that is locked open stays open */
	assert_good(prevent(&h, 0, 1));
	assert_check(start_stop(&h, 0, LOEJ | START), SENSE_MEDIUM_REMOVAL_PREVENTED);
	assert_check(ready(&h, 0), SENSE_MEDIUM_NOT_PRESENT);
	assert_good(prevent(&h, 0, 0));
	assert_good(start_stop(&h, 0, LOEJ | START));
	harness_stop(&h);
}

static void the_end_of_a_nexus_allows(void **state)
{
	struct harness h;

	(void)state;
	start(&h);
	assert_good(prevent(&h, 1, 1));
	assert_check(start_stop(&h, 0, LOEJ), SENSE_MEDIUM_REMOVAL_PREVENTED);
	scsi_nexus_free(h.nexus[1]);
	h.nexus[1] = NULL;
	assert_good(start_stop(&h, 0, LOEJ));
	harness_stop(&h);
}

struct function {
	struct scsi_tmf tmf;
	bool done;
};

static void function_done(struct scsi_tmf *tmf)
{
	container_of(tmf, struct function, tmf)->done = true;
}

static void a_reset_allows(void **state)
{
	static const enum scsi_tmf_function resets[] = {TMF_LU_RESET, TMF_TARGET_RESET};
	struct harness h;

	(void)state;
	start(&h);
	for (unsigned i = 0; i < 2; i++) {
		struct function f = {.tmf = {.function = resets[i], .done = function_done}};

		assert_good(prevent(&h, 0, 1));
		assert_good(prevent(&h, 1, 1));
		f.tmf.nexus = h.nexus[1];
		scsi_tmf_start(&f.tmf);
		harness_wait(&h, &f.done);
		harness_settle(&h);
		assert_good(start_stop(&h, 0, LOEJ));
		assert_good(start_stop(&h, 0, LOEJ | START));
		harness_settle(&h);
	}
	/* a medium that is out stays out */
	assert_good(start_stop(&h, 0, LOEJ));
	struct function f = {
		.tmf = {.function = TMF_LU_RESET, .nexus = h.nexus[0], .done = function_done}};
	scsi_tmf_start(&f.tmf);
	harness_wait(&h, &f.done);
	harness_settle(&h);
	assert_check(ready(&h, 0), SENSE_MEDIUM_NOT_PRESENT);
	harness_stop(&h);
}

static void stopping_flushes_and_leaves_it_ready(void **state)
{
	struct harness h;

	(void)state;
	start(&h);
	assert_good(start_stop(&h, 0, NO_FLUSH));
	assert_int_equal(spy.n[DUOTGT_IO_FLUSH], 0);
	assert_good(ready(&h, 0));
	assert_good(start_stop(&h, 0, 0));
	assert_int_equal(spy.n[DUOTGT_IO_FLUSH], 1);
	assert_good(ready(&h, 0));
	assert_good(start_stop(&h, 0, LOEJ));
	assert_int_equal(spy.n[DUOTGT_IO_FLUSH], 2);
	harness_stop(&h);
}

static void what_cannot_be_flushed_is_not_ejected(void **state)
{
	struct harness h;

	(void)state;
	start(&h);
	spy.fail_kind = DUOTGT_IO_FLUSH;
	spy.fail_res = -EIO;
	assert_check(start_stop(&h, 0, LOEJ), SENSE_WRITE_ERROR);
	assert_good(ready(&h, 0));
	assert_good(start_stop(&h, 0, LOEJ | NO_FLUSH)); /* which gives the data up */
	assert_check(ready(&h, 0), SENSE_MEDIUM_NOT_PRESENT);
	harness_stop(&h);
}

/* With a power condition the other bits do not count. */
static void power_conditions_eject_nothing(void **state)
{
	struct harness h;

	(void)state;
	start(&h);
	for (unsigned condition = 1; condition < 16; condition++) {
		assert_good(start_stop(&h, 0, (uint8_t)(condition << 4 | LOEJ)));
		assert_good(ready(&h, 0));
	}
	harness_stop(&h);
}

static void a_fixed_medium_stays(void **state)
{
	struct harness h;

	(void)state;
	start(&h);
	assert_bad_field(SEND(&h, .lun = 1, .cdb = {0x1b, 0, 0, 0, LOEJ}), 4, 1);
	/* ACTIVE is what it is; 4h means nothing; LOEJ does not count beside them */
	assert_good(SEND(&h, .lun = 1, .cdb = {0x1b, 0, 0, 0, 0x10 | LOEJ}));
	assert_bad_field(SEND(&h, .lun = 1, .cdb = {0x1b, 0, 0, 0, 0x40}), 4, 7);
	assert_good(SEND(&h, .lun = 1, .cdb = {0x1e, 0, 0, 0, 1}));
	assert_int_equal(h.lus[1]->n_prevents, 0);
	assert_good(SEND(&h, .lun = 1, .cdb = {0x1b, 0, 0, 0, 0}));
	assert_check(SEND(&h, .lun = 1, .cdb = {0x00}), SENSE_NOT_READY_INITIALIZING_REQUIRED);
	assert_good(ready(&h, 0));
	harness_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(inquiry_says_so),
		cmocka_unit_test(eject_and_load),
		cmocka_unit_test(no_medium_for_any_command),
		cmocka_unit_test(request_sense_says_so),
		cmocka_unit_test(any_nexus_can_prevent),
		cmocka_unit_test(the_end_of_a_nexus_allows),
		cmocka_unit_test(a_reset_allows),
		cmocka_unit_test(stopping_flushes_and_leaves_it_ready),
		cmocka_unit_test(what_cannot_be_flushed_is_not_ejected),
		cmocka_unit_test(power_conditions_eject_nothing),
		cmocka_unit_test(a_fixed_medium_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
