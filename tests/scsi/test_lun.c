/* SPDX-License-Identifier: Apache-2.0 */
/* LUNs: their eight bytes, the map of a target, and what is told of a LU that is not there. */
#include "scsi/lu_priv.h"
#include "tests/scsi/harness.h"
#include <errno.h>
#include <string.h>

enum { TEST_UNIT_READY = 0x00, REQUEST_SENSE = 0x03, INQUIRY = 0x12, REPORT_LUNS = 0xa0 };

static void luns_are_decoded(void **state)
{
	static const struct {
		uint64_t raw;
		int32_t lun;
	} luns[] = {
		{0x0000000000000000, 0},   {0x0001000000000000, 1},
		{0x00ff000000000000, 255}, {0x0101000000000000, -1}, /* bus 1 */
		{0x3f00000000000000, -1},  {0x4000000000000000, 0},  /* flat */
		{0x4100000000000000, 256}, {0x7fff000000000000, 16383},
		{0x8000000000000000, -1}, /* logical unit addressing */
		{0xc101000000000000, -1}, /* REPORT LUNS well known LU */
		{0x0001000100000000, -1}, /* two levels */
		{0x0000000000000001, -1},  {0xffffffffffffffff, -1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(luns) / sizeof(luns[0]); i++)
		assert_int_equal(scsi_lun_decode(luns[i].raw), luns[i].lun);
	for (uint32_t lun = 0; lun < 16384; lun++)
		assert_int_equal(scsi_lun_decode(scsi_lun_encode(lun)), lun);
	assert_int_equal(scsi_lun_encode(255), 0x00ff000000000000);
	assert_int_equal(scsi_lun_encode(256), 0x4100000000000000);
}

static void a_map_is_kept_in_order(void **state)
{
	static const uint32_t luns[] = {300, 0, 16383, 5, 1, 299};
	static const uint32_t sorted[] = {0, 1, 5, 299, 300, 16383};
	struct scsi_lu_config cfg = harness_lu_config();
	struct harness h;

	(void)state;
	harness_start(&h);
	for (size_t i = 0; i < 6; i++)
		harness_map(&h, luns[i], &cfg);
	for (size_t i = 0; i < 6; i++) {
		int at = scsi_map_find(h.target->map, scsi_lun_encode(sorted[i]));

		assert_int_equal(at, i);
		assert_int_equal(h.target->map->all[i].lun, sorted[i]);
		for (size_t j = 0; j < 6; j++)
			if (luns[j] == sorted[i])
				assert_ptr_equal(h.target->map->all[i].lu, h.lus[j]);
	}
	assert_int_equal(scsi_map_find(h.target->map, scsi_lun_encode(2)), -1);
	assert_int_equal(scsi_map_find(h.target->map, scsi_lun_encode(301)), -1);
	assert_int_equal(scsi_map_find(h.target->map, UINT64_MAX), -1);
	assert_int_equal(scsi_target_map(h.target, 300, h.lus[0]), -EEXIST);
	assert_int_equal(scsi_target_map(h.target, 16384, h.lus[0]), -EINVAL);
	harness_stop(&h);
}

/* LUN 3 is there, LUN 0 is not. */
static void start_at_3(struct harness *h)
{
	struct scsi_lu_config cfg = harness_lu_config();

	harness_start(h);
	harness_map(h, 3, &cfg);
	harness_settle(h);
}

static void absent_lus_answer_three_commands(void **state)
{
	struct harness h;

	(void)state;
	start_at_3(&h);
	for (unsigned opcode = 0; opcode < 256; opcode++)
		for (unsigned sa = 0; sa < 32; sa++) {
			struct sent sent = {.lun = sa % 2, .expect_in = 96};
			const struct answer *a;

			sent.cdb[0] = (uint8_t)opcode;
			sent.cdb[1] = (uint8_t)sa;
			a = harness_send(&h, &sent);
			if (opcode == INQUIRY || opcode == REPORT_LUNS || opcode == REQUEST_SENSE)
				assert_int_not_equal(a->code, SENSE_LU_NOT_SUPPORTED);
			else
				assert_check(a, SENSE_LU_NOT_SUPPORTED);
			assert_false(a->descriptor_sense);
		}
	assert_true(list_empty(&h.nexus[0]->strays));
	harness_stop(&h);
}

static void absent_lus_say_that_they_are(void **state)
{
	struct harness h;
	const struct answer *a;

	(void)state;
	start_at_3(&h);
	a = SEND(&h, .cdb = {INQUIRY, 0, 0, 0, 96}, .expect_in = 96);
	assert_good(a);
	assert_int_equal(a->data[0], 0x7f);
	a = SEND(&h, .raw_lun = 0xc101000000000000, .cdb = {INQUIRY, 0, 0, 0, 96}, .expect_in = 96);
	assert_good(a);
	assert_int_equal(a->data[0], 0x7f);
	a = SEND(&h, .cdb = {REQUEST_SENSE, 0, 0, 0, 96}, .expect_in = 96);
	assert_good(a);
	assert_int_equal(a->data[2], KEY_ILLEGAL_REQUEST);
	assert_int_equal(a->data[12], 0x25);
	a = SEND(&h, .cdb = {REPORT_LUNS, [9] = 96}, .expect_in = 96);
	assert_good(a);
	assert_int_equal(be32_get(a->data), 8);
	assert_int_equal(be64_get(a->data + 8), scsi_lun_encode(3));
	a = SEND(&h, .lun = 3, .cdb = {INQUIRY, 0, 0, 0, 96}, .expect_in = 96);
	assert_int_equal(a->data[0], 0);
	harness_stop(&h);
}

static void each_nexus_hears_of_power_on_once(void **state)
{
	struct scsi_lu_config cfg = harness_lu_config();
	struct harness h;

	(void)state;
	harness_start(&h);
	harness_map(&h, 0, &cfg);
	for (unsigned nexus = 0; nexus < HARNESS_NEXUSES; nexus++) {
		assert_check(SEND(&h, .nexus = nexus, .cdb = {TEST_UNIT_READY}),
			     SENSE_POWER_ON_OR_RESET);
		assert_good(SEND(&h, .nexus = nexus, .cdb = {TEST_UNIT_READY}));
	}
	/* one that has left and comes back is new */
	scsi_nexus_free(h.nexus[1]);
	h.nexus[1] = NULL;
	assert_check(SEND(&h, .nexus = 1, .cdb = {TEST_UNIT_READY}), SENSE_POWER_ON_OR_RESET);
	assert_good(SEND(&h, .cdb = {TEST_UNIT_READY}));
	harness_stop(&h);
}

static void report_luns_takes_its_attention_everywhere(void **state)
{
	struct scsi_lu_config cfg = harness_lu_config();
	struct harness h;

	(void)state;
	harness_start(&h);
	harness_map(&h, 0, &cfg);
	harness_map(&h, 1, &cfg);
	harness_settle(&h);
	scsi_lu_attention(h.lus[0], UA_LUNS_CHANGED, NULL);
	scsi_lu_attention(h.lus[1], UA_LUNS_CHANGED, NULL);
	assert_good(SEND(&h, .cdb = {REPORT_LUNS, [9] = 96}, .expect_in = 96));
	assert_good(SEND(&h, .cdb = {TEST_UNIT_READY}));
	assert_good(SEND(&h, .lun = 1, .cdb = {TEST_UNIT_READY}));
	assert_check(SEND(&h, .nexus = 1, .lun = 1, .cdb = {TEST_UNIT_READY}),
		     SENSE_REPORTED_LUNS_CHANGED);
	harness_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(luns_are_decoded),
		cmocka_unit_test(a_map_is_kept_in_order),
		cmocka_unit_test(absent_lus_answer_three_commands),
		cmocka_unit_test(absent_lus_say_that_they_are),
		cmocka_unit_test(each_nexus_hears_of_power_on_once),
		cmocka_unit_test(report_luns_takes_its_attention_everywhere),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
