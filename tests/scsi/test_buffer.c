/* SPDX-License-Identifier: Apache-2.0 */
/* READ BUFFER, WRITE BUFFER; READ DEFECT DATA; the diagnostic commands. */
#include "tests/scsi/harness.h"
#include "tests/scsi/spy.h"
#include "util/bytes.h"
#include <errno.h>
#include <string.h>

#define DATA_CAP 65536u
#define ECHO_CAP 4096u

enum { DATA = 2, DESCRIPTOR = 3, ECHO = 0x0a, ECHO_DESCRIPTOR = 0x0b };

static struct sent read10(uint8_t mode, uint8_t id, uint32_t offset, uint32_t len)
{
	struct sent sent = {.cdb = {0x3c, mode, id}, .expect_in = len, .n_segments = 3};

	be24_put(sent.cdb + 3, offset);
	be24_put(sent.cdb + 6, len);
	return sent;
}

static struct sent read16(uint8_t mode, uint8_t id, uint64_t offset, uint32_t len)
{
	struct sent sent = {.cdb = {0x9b, mode}, .expect_in = len, .n_segments = 2};

	be64_put(sent.cdb + 2, offset);
	be32_put(sent.cdb + 10, len);
	sent.cdb[14] = id;
	return sent;
}

static struct sent write10(uint8_t mode, uint8_t id, uint32_t offset, const void *data,
			   uint32_t len)
{
	struct sent sent = {.cdb = {0x3b, mode, id}, .out = data, .out_len = len, .n_segments = 3};

	be24_put(sent.cdb + 3, offset);
	be24_put(sent.cdb + 6, len);
	return sent;
}

static const struct answer *play(struct harness *h, struct sent sent)
{
	return harness_send(h, &sent);
}

static void descriptors(void **state)
{
	static const uint8_t data_cap[4] = {0, 1, 0, 0}, echo_cap[4] = {0, 0, 0x10, 0},
			     none[4] = {0};
	struct harness h;

	(void)state;
	harness_start_disk(&h);
	assert_good(play(&h, read10(DESCRIPTOR, 0, 0, 100)));
	assert_int_equal(h.answer.len, 4);
	assert_memory_equal(h.answer.data, data_cap, 4);
	assert_good(play(&h, read16(DESCRIPTOR, 0, 0, 100)));
	assert_memory_equal(h.answer.data, data_cap, 4);
	assert_good(play(&h, read10(DESCRIPTOR, 7, 0, 100)));
	assert_memory_equal(h.answer.data, none, 4);
	assert_good(play(&h, read10(ECHO_DESCRIPTOR, 0, 0, 100)));
	assert_memory_equal(h.answer.data, echo_cap, 4);
	assert_good(play(&h, read16(ECHO_DESCRIPTOR, 0, 0, 3)));
	assert_int_equal(h.answer.len, 3);
	harness_stop(&h);
}

static void data_buffer(void **state)
{
	static uint8_t all[DATA_CAP];
	struct harness h;

	(void)state;
	harness_start_disk(&h);
	assert_good(play(&h, read10(DATA, 0, 0, DATA_CAP)));
	assert_int_equal(h.answer.len, DATA_CAP);
	assert_memory_equal(h.answer.data, all, DATA_CAP);
	for (unsigned i = 0; i < DATA_CAP; i++)
		all[i] = (uint8_t)(i * 7 + i / 256);
	assert_good(play(&h, write10(DATA, 0, 0, all, DATA_CAP)));
	memset(all + 1000, 0x55, 500);
	assert_good(play(&h, write10(DATA, 0, 1000, all + 1000, 500)));
	/* it is the LU's: another initiator sees it */
	assert_good(SEND(&h, .nexus = 1, .cdb = {0x3c, DATA, 0, 0, 0, 0, 1, 0, 0},
			 .expect_in = DATA_CAP));
	assert_memory_equal(h.answer.data, all, DATA_CAP);
	assert_good(play(&h, read16(DATA, 0, 999, 300)));
	assert_int_equal(h.answer.len, 300);
	assert_memory_equal(h.answer.data, all + 999, 300);
	/* more than there is, from the last byte on */
	assert_good(play(&h, read10(DATA, 0, DATA_CAP - 1, 100)));
	assert_int_equal(h.answer.in_len, 1);
	assert_int_equal(h.answer.data[0], all[DATA_CAP - 1]);
	assert_good(play(&h, read10(DATA, 0, DATA_CAP, 100)));
	assert_int_equal(h.answer.in_len, 0);
	harness_stop(&h);
}

static void out_of_the_data_buffer(void **state)
{
	static const uint8_t two[2];
	struct harness h;

	(void)state;
	harness_start_disk(&h);
	assert_bad_field(play(&h, read10(DATA, 0, DATA_CAP + 1, 1)), 3, -1);
	assert_bad_field(play(&h, read16(DATA, 0, UINT64_MAX, 1)), 2, -1);
	assert_bad_field(play(&h, read16(DATA, 0, UINT64_C(1) << 32, 1)), 2, -1);
	assert_bad_field(play(&h, read10(DATA, 1, 0, 1)), 2, 7);
	assert_bad_field(play(&h, read16(DATA, 9, 0, 1)), 14, 7);
	assert_bad_field(play(&h, write10(DATA, 0, DATA_CAP + 1, two, 0)), 3, -1);
	assert_bad_field(play(&h, write10(DATA, 0, DATA_CAP - 1, two, 2)), 6, -1);
	assert_bad_field(play(&h, write10(DATA, 0, 0, two, 0xffffff)), 6, -1);
	assert_bad_field(play(&h, write10(DATA, 2, 0, two, 2)), 2, 7);
	assert_good(play(&h, write10(DATA, 0, DATA_CAP, two, 0)));
	harness_stop(&h);
}

static void echo(void **state)
{
	static uint8_t data[ECHO_CAP + 1];
	struct sent other;
	struct harness h;

	(void)state;
	harness_start_disk(&h);
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i ^ i >> 8);
	assert_check(play(&h, read10(ECHO, 0, 0, 10)), SENSE_COMMAND_SEQUENCE);
	assert_good(play(&h, write10(ECHO, 0, 0, data, ECHO_CAP)));
	assert_good(play(&h, read10(ECHO, 0, 0, ECHO_CAP + 100)));
	assert_int_equal(h.answer.len, ECHO_CAP);
	assert_memory_equal(h.answer.data, data, ECHO_CAP);
	/* the other initiator has one of its own */
	other = read10(ECHO, 0, 0, 10);
	other.nexus = 1;
	assert_check(harness_send(&h, &other), SENSE_COMMAND_SEQUENCE);
	other = write10(ECHO, 0, 0, data + 5, 3);
	other.nexus = 1;
	assert_good(harness_send(&h, &other));
	assert_good(play(&h, read16(ECHO, 0, 0, 10)));
	assert_memory_equal(h.answer.data, data, 10);
	/* what was written last, and no longer than that */
	assert_good(play(&h, write10(ECHO, 0, 0, data + 1, 7)));
	assert_good(play(&h, read10(ECHO, 0, 0, 100)));
	assert_int_equal(h.answer.len, 7);
	assert_memory_equal(h.answer.data, data + 1, 7);
	assert_bad_field(play(&h, write10(ECHO, 0, 0, data, ECHO_CAP + 1)), 6, -1);
	harness_stop(&h);
}

static void other_modes(void **state)
{
	struct harness h;

	(void)state;
	harness_start_disk(&h);
	for (uint8_t mode = 0; mode < 0x20; mode++) {
		if (mode != DATA && mode != ECHO)
			assert_bad_field(play(&h, write10(mode, 0, 0, NULL, 0)), 1, 4);
		if (mode == DATA || mode == DESCRIPTOR || mode == ECHO || mode == ECHO_DESCRIPTOR)
			continue;
		assert_bad_field(play(&h, read10(mode, 0, 0, 4)), 1, 4);
		assert_bad_field(play(&h, read16(mode, 0, 0, 4)), 1, 4);
	}
	assert_bad_field(play(&h, read10(0x20 | DATA, 0, 0, 4)), 1, 5);
	harness_stop(&h);
}

/* ---- READ DEFECT DATA ---- */

static void no_defects(void **state)
{
	struct harness h;

	(void)state;
	harness_start_disk(&h);
	for (uint8_t lists = 0; lists < 0x20; lists++) {
		struct sent ten = {.cdb = {0x37, 0, lists, 0, 0, 0, 0, 0, 100}, .expect_in = 100};
		struct sent twelve = {.cdb = {0xb7, lists, 0, 0, 0, 0, 0, 0, 0, 100},
				      .expect_in = 100};
		uint8_t want[8] = {0, lists};

		if ((lists & 7) > 5) {
			assert_bad_field(harness_send(&h, &ten), 2, 2);
			assert_bad_field(harness_send(&h, &twelve), 1, 2);
			continue;
		}
		assert_good(harness_send(&h, &ten));
		assert_int_equal(h.answer.in_len, 4);
		assert_memory_equal(h.answer.data, want, 4);
		be32_put(twelve.cdb + 2, lists); /* an index past the end */
		assert_good(harness_send(&h, &twelve));
		assert_int_equal(h.answer.in_len, 8);
		assert_memory_equal(h.answer.data, want, 8);
	}
	harness_stop(&h);
}

/* ---- diagnostics ---- */

static void the_page_of_pages(void **state)
{
	static const uint8_t page[4] = {0}, supported[5] = {0, 0, 0, 1, 0};
	uint8_t other[4] = {1};
	struct harness h;

	(void)state;
	harness_start_disk(&h);
	assert_good(SEND(&h, .cdb = {0x1d, 0x10, 0, 0, 4}, .out = page, .out_len = 4));
	for (uint8_t pcv = 0; pcv < 2; pcv++) {
		assert_good(SEND(&h, .cdb = {0x1c, pcv, 0, 0, 100}, .expect_in = 100));
		assert_int_equal(h.answer.in_len, 5);
		assert_memory_equal(h.answer.data, supported, 5);
	}
	assert_good(SEND(&h, .cdb = {0x1c, 1, 0, 0, 2}, .expect_in = 100));
	assert_int_equal(h.answer.in_len, 2);
	assert_bad_field(SEND(&h, .cdb = {0x1c, 1, 0x40, 0, 100}, .expect_in = 100), 2, 7);
	assert_check(SEND(&h, .cdb = {0x1d, 0x10, 0, 0, 4}, .out = other, .out_len = 4),
		     SENSE_INVALID_FIELD_IN_PARAMETERS);
	for (uint32_t len = 1; len < 4; len++)
		assert_check(SEND(&h, .cdb = {0x1d, 0x10, 0, 0, (uint8_t)len}, .out = page,
				  .out_len = len),
			     SENSE_PARAMETER_LIST_LENGTH);
	assert_check(SEND(&h, .cdb = {0x1d, 0x10, 0, 0, 4}, .out = page, .out_len = 3),
		     SENSE_PARAMETER_LIST_LENGTH);
	assert_bad_field(SEND(&h, .cdb = {0x1d, 0, 0, 0, 4}, .out = page, .out_len = 4), 1, 4);
	harness_stop(&h);
}

static void self_test_reads_the_medium(void **state)
{
	struct scsi_lu_config cfg = spy_config();
	struct harness h;

	(void)state;
	harness_start(&h);
	harness_map(&h, 0, &cfg);
	harness_settle(&h);
	assert_good(SEND(&h, .cdb = {0x1d, 0x04}));
	assert_int_equal(spy.n[DUOTGT_IO_READ], 2);
	assert_int_equal(spy.offset, SPY_SIZE - 512);
	assert_good(SEND(&h, .cdb = {0x1d}));
	assert_int_equal(spy.n[DUOTGT_IO_READ], 2);
	spy.fail_kind = DUOTGT_IO_READ;
	spy.fail_res = -EIO;
	spy.fail_at = SPY_SIZE - 1;
	assert_check(SEND(&h, .cdb = {0x1d, 0x04}), SENSE_UNRECOVERED_READ_ERROR);
	spy.fail_at = 0;
	assert_check(SEND(&h, .cdb = {0x1d, 0x04}), SENSE_UNRECOVERED_READ_ERROR);
	/* self-test codes, and a list beside the self-test */
	assert_bad_field(SEND(&h, .cdb = {0x1d, 0x20}), 1, 5);
	assert_bad_field(SEND(&h, .cdb = {0x1d, 0x14, 0, 0, 4}, .out_len = 4, .out = "   "), 3, -1);
	harness_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(descriptors),
		cmocka_unit_test(data_buffer),
		cmocka_unit_test(out_of_the_data_buffer),
		cmocka_unit_test(echo),
		cmocka_unit_test(other_modes),
		cmocka_unit_test(no_defects),
		cmocka_unit_test(the_page_of_pages),
		cmocka_unit_test(self_test_reads_the_medium),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
