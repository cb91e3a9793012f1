/* SPDX-License-Identifier: Apache-2.0 */
/* TEST UNIT READY, REQUEST SENSE, START STOP UNIT, PREVENT ALLOW MEDIUM REMOVAL. */
#include "scsi/lu_priv.h"
#include "tests/scsi/harness.h"
#include "tests/scsi/spy.h"
#include <errno.h>

#define ABSENT_LUN 5

enum { START = 0x01, LOEJ = 0x02, NO_FLUSH = 0x04, DESC = 0x01 };

static void start(struct harness *h, bool online)
{
	struct scsi_lu_config cfg = spy_config();

	cfg.online = online;
	harness_start(h);
	harness_map(h, 0, &cfg);
	harness_settle(h);
}

static const struct answer *unit_ready(struct harness *h)
{
	return SEND(h, .cdb = {0x00});
}

static const struct answer *start_stop(struct harness *h, uint8_t bits)
{
	return SEND(h, .cdb = {0x1b, 0, 0, 0, bits});
}

static const struct answer *read_block(struct harness *h, unsigned nexus)
{
	return SEND(h, .nexus = nexus, .cdb = {0x28, 0, 0, 0, 0, 0, 0, 0, 1}, .expect_in = 512);
}

static uint32_t requested(struct harness *h, uint32_t lun)
{
	const struct answer *a = SEND(h, .lun = lun, .cdb = {0x03, 0, 0, 0, 252}, .expect_in = 252);

	assert_good(a);
	assert_int_equal(a->len, 18);
	assert_int_equal(a->data[0], 0x70);
	assert_int_equal(a->data[7], 10);
	return (uint32_t)(a->data[2] & 0xf) << 16 | a->data[12] << 8 | a->data[13];
}

static void sense_on_request(void **state)
{
	struct harness h;
	const struct answer *a;

	(void)state;
	start(&h, true);
	assert_int_equal(requested(&h, 0), SENSE_NONE);
	assert_int_equal(requested(&h, ABSENT_LUN), SENSE_LU_NOT_SUPPORTED);
	/* a unit attention is told as data, once, and does not stop the command */
	scsi_lu_attention(h.lus[0], UA_CAPACITY_CHANGED, NULL);
	assert_int_equal(requested(&h, 0), SENSE_CAPACITY_CHANGED);
	assert_int_equal(requested(&h, 0), SENSE_NONE);
	assert_good(unit_ready(&h));
	scsi_lu_attention(h.lus[0], UA_MODE_CHANGED, NULL);
	a = SEND(&h, .cdb = {0x03, DESC, 0, 0, 252}, .expect_in = 252);
	assert_good(a);
	assert_int_equal(a->len, 8);
	assert_int_equal(a->data[0], 0x72);
	assert_int_equal(a->data[1] << 16 | a->data[2] << 8 | a->data[3],
			 SENSE_MODE_PARAMETERS_CHANGED);
	a = SEND(&h, .lun = ABSENT_LUN, .cdb = {0x03});
	assert_good(a);
	assert_int_equal(a->in_len, 0);
	harness_stop(&h);
}

static void offline(void **state)
{
	struct harness h;

	(void)state;
	start(&h, false);
	assert_check(unit_ready(&h), SENSE_NOT_READY_OFFLINE);
	assert_int_equal(requested(&h, 0), SENSE_NOT_READY_OFFLINE);
	assert_check(start_stop(&h, START), SENSE_NOT_READY_OFFLINE);
	assert_check(read_block(&h, 0), SENSE_NOT_READY_OFFLINE);
	assert_good(SEND(&h, .cdb = {0x12, 0, 0, 0, 96}, .expect_in = 96));
	harness_stop(&h);
}

/* Stopped for one initiator is stopped for all, until any of them starts it. */
static void stop_and_start(void **state)
{
	struct harness h;

	(void)state;
	start(&h, true);
	assert_good(start_stop(&h, 0));
	assert_int_equal(spy.n[DUOTGT_IO_FLUSH], 1);
	assert_check(unit_ready(&h), SENSE_NOT_READY_INITIALIZING_REQUIRED);
	assert_check(read_block(&h, 0), SENSE_NOT_READY_INITIALIZING_REQUIRED);
	assert_check(read_block(&h, 1), SENSE_NOT_READY_INITIALIZING_REQUIRED);
	assert_int_equal(requested(&h, 0), SENSE_NOT_READY_INITIALIZING_REQUIRED);
	assert_int_equal(spy.n[DUOTGT_IO_READ], 0);
	assert_good(SEND(&h, .cdb = {0x12, 0, 0, 0, 96}, .expect_in = 96));
	assert_good(SEND(&h, .cdb = {0x1a, 0, 0x3f, 0, 255}, .expect_in = 255));
	assert_good(SEND(&h, .nexus = 1, .cdb = {0x1b, 1, 0, 0, START}));
	assert_good(read_block(&h, 0));
	assert_good(start_stop(&h, NO_FLUSH));
	assert_int_equal(spy.n[DUOTGT_IO_FLUSH], 1);
	assert_check(unit_ready(&h), SENSE_NOT_READY_INITIALIZING_REQUIRED);
	harness_stop(&h);
}

static void stop_that_cannot_flush(void **state)
{
	struct harness h;

	(void)state;
	start(&h, true);
	spy.fail_kind = DUOTGT_IO_FLUSH;
	spy.fail_res = -EIO;
	assert_check(start_stop(&h, 0), SENSE_WRITE_ERROR);
	assert_good(unit_ready(&h)); /* what was not done has no effect */
	harness_stop(&h);
}

static void start_stop_refusals(void **state)
{
	struct harness h;

	(void)state;
	start(&h, true);
	assert_bad_field(start_stop(&h, LOEJ), 4, 1);
	assert_bad_field(start_stop(&h, LOEJ | START), 4, 1);
	for (uint8_t condition = 1; condition < 16; condition++)
		if (strchr("\x1\x2\x3\x7\xa\xb", condition)) /* those that the standard has */
			assert_good(start_stop(&h, (uint8_t)(condition << 4)));
		else
			assert_bad_field(start_stop(&h, (uint8_t)(condition << 4)), 4, 7);
	assert_bad_field(SEND(&h, .cdb = {0x1b, 0, 0, 1, 0}), 3, 0);
	assert_good(unit_ready(&h));
	harness_stop(&h);
}

static void prevent_allow(void **state)
{
	struct harness h;

	(void)state;
	start(&h, true);
	assert_good(SEND(&h, .cdb = {0x1e, 0, 0, 0, 1}));
	assert_good(SEND(&h, .cdb = {0x1e, 0, 0, 0, 0}));
	assert_bad_field(SEND(&h, .cdb = {0x1e, 0, 0, 0, 2}), 4, 1);
	assert_bad_field(SEND(&h, .cdb = {0x1e, 0, 0, 0, 3}), 4, 1);
	harness_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sense_on_request),    cmocka_unit_test(offline),
		cmocka_unit_test(stop_and_start),      cmocka_unit_test(stop_that_cannot_flush),
		cmocka_unit_test(start_stop_refusals), cmocka_unit_test(prevent_allow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
