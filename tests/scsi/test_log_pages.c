/* SPDX-License-Identifier: Apache-2.0 */
/* LOG SENSE and LOG SELECT: pages, and counters that count. */
#include "scsi/lu_priv.h"
#include "scsi/sbc/sbc.h"
#include "tests/scsi/harness.h"
#include "tests/scsi/spy.h"
#include "util/bytes.h"
#include <errno.h>
#include <string.h>

enum { CUMULATIVE = 0x40, DEFAULT = 0xc0, PCR = 0x02 };

static struct harness h;

static void start(void)
{
	struct scsi_lu_config cfg = spy_config();

	harness_start(&h);
	harness_map(&h, 0, &cfg);
	harness_settle(&h);
}

static const struct answer *log_sense(uint8_t page, uint8_t subpage, uint16_t pointer)
{
	return SEND(
		&h,
		.cdb = {0x4d, 0, page, subpage, 0, (uint8_t)(pointer >> 8), (uint8_t)pointer, 2, 0},
		.expect_in = 512);
}

static const struct answer *reset(uint8_t flags, uint8_t page)
{
	return SEND(&h, .cdb = {0x4c, flags, page});
}

/* The value of a parameter, in its answer. */
static const uint8_t *parameter(const struct answer *a, uint16_t code)
{
	size_t at = 4;

	assert_good(a);
	assert_int_equal(be16_get(a->data + 2), a->len - 4);
	while (at + 4 <= a->len) {
		if (be16_get(a->data + at) == code)
			return a->data + at + 4;
		at += 4u + a->data[at + 3];
	}
	fail_msg("no parameter %04x", code);
	return NULL;
}

static uint64_t counter(uint8_t page, uint16_t code)
{
	return be64_get(parameter(log_sense(CUMULATIVE | page, 0, 0), code));
}

static void read_blocks(unsigned nexus, uint32_t lba, uint8_t n, uint32_t expect)
{
	SEND(&h, .nexus = nexus, .cdb = {0x28, 0, 0, 0, 0, (uint8_t)lba, 0, 0, n},
	     .expect_in = expect);
}

static void write_blocks(unsigned nexus, uint8_t n)
{
	static const uint8_t data[8 * 512];

	SEND(&h, .nexus = nexus, .cdb = {0x2a, 0, 0, 0, 0, 0, 0, 0, n}, .out = data,
	     .out_len = sizeof(data));
}

/* ---- pages ---- */

static void lists_of_pages(void **state)
{
	static const uint8_t pages[] = {0x80, 0, 0, 6, 0x00, 0x02, 0x03, 0x05, 0x19, 0x2f};
	static const uint8_t subpages[] = {0xc0, 0xff, 0, 14,	0x00, 0,    0x00, 0xff, 0x02,
					   0,	 0x03, 0, 0x05, 0,    0x19, 0,	  0x2f, 0};
	const struct answer *a;

	(void)state;
	start();
	a = log_sense(CUMULATIVE, 0, 0);
	assert_good(a);
	assert_int_equal(a->len, sizeof(pages));
	assert_memory_equal(a->data, pages, sizeof(pages));
	a = log_sense(CUMULATIVE, 0xff, 0);
	assert_good(a);
	assert_int_equal(a->len, sizeof(subpages));
	assert_memory_equal(a->data, subpages, sizeof(subpages));
	harness_stop(&h);
}

/* The list is true: what it names is there, nothing else is. */
static void every_page_of_the_list(void **state)
{
	static const uint8_t pages[] = {0x00, 0x02, 0x03, 0x05, 0x19, 0x2f};

	(void)state;
	start();
	for (unsigned page = 0; page < 0x40; page++) {
		const struct answer *a = log_sense((uint8_t)(CUMULATIVE | page), 0, 0);

		if (memchr(pages, (int)page, sizeof(pages))) {
			assert_good(a);
			assert_int_equal(a->data[0], 0x80 | page);
		} else {
			assert_bad_field(a, 2, 5);
		}
	}
	harness_stop(&h);
}

static void refused(void **state)
{
	(void)state;
	start();
	assert_bad_field(log_sense(0x02, 0, 0), 2, 7); /* thresholds */
	assert_bad_field(log_sense(0x82, 0, 0), 2, 7);
	assert_bad_field(log_sense(CUMULATIVE | 0x02, 1, 0), 3, 7);
	assert_bad_field(log_sense(CUMULATIVE, 1, 0), 3, 7);
	assert_bad_field(log_sense(CUMULATIVE, 0, 1), 5, -1);
	assert_bad_field(log_sense(CUMULATIVE | 0x02, 0, 7), 5, -1);	/* past the last one */
	assert_bad_field(SEND(&h, .cdb = {0x4d, 1, CUMULATIVE}), 1, 0); /* SP */
	assert_bad_field(SEND(&h, .cdb = {0x4c, 1, CUMULATIVE}), 1, 0);
	assert_bad_field(SEND(&h, .cdb = {0x4c, PCR, 0, 0, 0, 0, 0, 0, 4}), 8, 2);
	assert_bad_field(reset(0, 0x02), 2, 7);
	assert_bad_field(reset(PCR, 0x04), 2, 5);
	harness_stop(&h);
}

static void the_pointer_is_where_it_begins(void **state)
{
	const struct answer *a;

	(void)state;
	start();
	a = log_sense(CUMULATIVE | 0x02, 0, 0);
	assert_int_equal(a->len, 4 + 2 * 12);
	a = log_sense(CUMULATIVE | 0x02, 0, 6);
	assert_good(a);
	assert_int_equal(a->len, 4 + 12);
	assert_int_equal(be16_get(a->data + 4), 6);
	harness_stop(&h);
}

static void allocation_length_only_cuts(void **state)
{
	uint8_t whole[512];
	size_t len;

	(void)state;
	start();
	len = log_sense(CUMULATIVE | 0x03, 0, 0)->len;
	memcpy(whole, h.answer.data, len);
	for (uint8_t alloc = 0; alloc < len; alloc++) {
		const struct answer *a =
			SEND(&h, .cdb = {0x4d, 0, CUMULATIVE | 0x03, 0, 0, 0, 0, 0, alloc},
			     .expect_in = alloc);

		assert_good(a);
		assert_int_equal(a->in_len, alloc);
		if (alloc)
			assert_memory_equal(a->data, whole, alloc);
	}
	harness_stop(&h);
}

/* ---- counters ---- */

static void blocks_are_counted(void **state)
{
	const uint8_t *p;

	(void)state;
	start();
	read_blocks(0, 0, 3, 3 * 512);
	read_blocks(1, 8, 2, 2 * 512);
	write_blocks(0, 4);
	SEND(&h, .cdb = {0x2f, 0, 0, 0, 0, 0, 0, 0, 5}); /* VERIFY */
	assert_true(counter(0x03, 5) == 5 * 512);
	assert_true(counter(0x02, 5) == 4 * 512);
	assert_true(counter(0x05, 5) == 5 * 512);
	assert_true(counter(0x02, 6) + counter(0x03, 6) + counter(0x05, 6) == 0);
	p = parameter(log_sense(CUMULATIVE | 0x19, 0, 0), 1);
	assert_int_equal(be64_get(p), 2);      /* reads */
	assert_int_equal(be64_get(p + 8), 1);  /* writes */
	assert_int_equal(be64_get(p + 16), 4); /* received */
	assert_int_equal(be64_get(p + 24), 5); /* transmitted */
	harness_stop(&h);
}

static void errors_are_counted(void **state)
{
	(void)state;
	start();
	spy.fail_kind = DUOTGT_IO_READ;
	spy.fail_res = -EIO;
	read_blocks(0, 0, 1, 512);
	read_blocks(1, 0, 2, 1024);
	SEND(&h, .cdb = {0x2f, 0, 0, 0, 0, 0, 0, 0, 1});
	assert_int_equal(counter(0x03, 6), 2);
	assert_int_equal(counter(0x03, 5), 0);
	assert_int_equal(counter(0x05, 6), 1);
	spy.fail_kind = DUOTGT_IO_WRITE;
	write_blocks(0, 1);
	assert_int_equal(counter(0x02, 6), 1);
	/* the initiator's mistakes are none of the medium */
	SEND(&h, .cdb = {0x28, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 1}, .expect_in = 512);
	assert_int_equal(counter(0x03, 6), 2);
	harness_stop(&h);
}

static void a_nexus_that_goes_leaves_its_counts(void **state)
{
	(void)state;
	start();
	read_blocks(1, 0, 3, 3 * 512);
	scsi_nexus_free(h.nexus[1]);
	h.nexus[1] = NULL;
	assert_int_equal(counter(0x03, 5), 3 * 512);
	harness_connect(&h);
	harness_settle(&h);
	read_blocks(1, 0, 1, 512);
	assert_int_equal(counter(0x03, 5), 4 * 512);
	harness_stop(&h);
}

static void times(void **state)
{
	const uint8_t *p;

	(void)state;
	start();
	read_blocks(0, 0, 1, 512);
	p = parameter(log_sense(CUMULATIVE | 0x19, 0, 0), 3);
	assert_int_equal(be32_get(p), 3); /* an interval is 1 * 10^-3 s */
	assert_int_equal(be32_get(p + 4), 1);
	/* As long as it was busy is not idle; by how much nobody here can say. */
	p = parameter(log_sense(CUMULATIVE | 0x19, 0, 0), 2);
	assert_true(be64_get(p) < 3600 * 1000);
	harness_stop(&h);
}

/* ---- resets ---- */

static void reset_of_one_page(void **state)
{
	(void)state;
	start();
	read_blocks(0, 0, 3, 3 * 512);
	write_blocks(0, 1);
	assert_good(reset(PCR, 0x03));
	assert_int_equal(counter(0x03, 5), 0);
	assert_int_equal(counter(0x02, 5), 512);
	assert_int_equal(be64_get(parameter(log_sense(CUMULATIVE | 0x19, 0, 0), 1)), 1);
	assert_check(SEND(&h, .nexus = 1, .cdb = {0x00}), SENSE_LOG_PARAMETERS_CHANGED);
	read_blocks(0, 0, 2, 2 * 512);
	assert_int_equal(counter(0x03, 5), 2 * 512);
	harness_stop(&h);
}

static void reset_of_all(void **state)
{
	static const uint8_t ways[][2] = {{PCR, 0}, {PCR, CUMULATIVE}, {0, DEFAULT}};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		start();
		read_blocks(0, 0, 3, 3 * 512);
		write_blocks(0, 1);
		assert_good(reset(0, CUMULATIVE)); /* changes nothing */
		assert_int_equal(counter(0x02, 5), 512);
		assert_good(reset(ways[i][0], ways[i][1]));
		assert_int_equal(counter(0x03, 5), 0);
		assert_int_equal(counter(0x02, 5), 0);
		harness_stop(&h);
	}
}

static void default_values_are_zero(void **state)
{
	const struct answer *a;

	(void)state;
	start();
	read_blocks(0, 0, 3, 3 * 512);
	a = log_sense(DEFAULT | 0x03, 0, 0);
	assert_int_equal(be64_get(parameter(a, 5)), 0);
	assert_int_equal(counter(0x03, 5), 3 * 512);
	harness_stop(&h);
}

/* ---- health, space ---- */

static void a_failed_flush_is_a_bad_sign(void **state)
{
	const uint8_t *p;

	(void)state;
	start();
	p = parameter(log_sense(CUMULATIVE | 0x2f, 0, 0), 0);
	assert_int_equal(be32_get(p), 0x0000ff00);
	spy.fail_kind = DUOTGT_IO_FLUSH;
	spy.fail_res = -EIO;
	SEND(&h, .cdb = {0x35});
	p = parameter(log_sense(CUMULATIVE | 0x2f, 0, 0), 0);
	assert_int_equal(be32_get(p), 0x5d10ff00);
	harness_stop(&h);
}

static void space_of_a_thin_lu(void **state)
{
	struct scsi_lu_config cfg = harness_lu_config();
	static const uint8_t data[512] = {1};
	uint64_t used, left;
	const struct answer *a;

	(void)state;
	cfg.thin = true;
	cfg.params.size = 256 << 20;
	harness_start(&h);
	harness_map(&h, 0, &cfg);
	harness_settle(&h);
	SEND(&h, .cdb = {0x2a, 0, 0, 0, 0, 0, 0, 0, 1}, .out = data, .out_len = 512);
	assert_int_equal(sbc_provisioning(h.lus[0], &used, &left), 0);
	a = log_sense(CUMULATIVE | 0x0c, 0, 0);
	assert_int_equal(a->len, 4 + 2 * 12);
	assert_true(a->was_pending);
	assert_true(be32_get(parameter(a, 2)) == used >> 9 >> SBC_THRESHOLD_EXPONENT);
	assert_int_equal(parameter(a, 2)[4], 1);
	assert_int_equal(parameter(a, 1)[4], 2);
	harness_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_of_pages),
		cmocka_unit_test(every_page_of_the_list),
		cmocka_unit_test(refused),
		cmocka_unit_test(the_pointer_is_where_it_begins),
		cmocka_unit_test(allocation_length_only_cuts),
		cmocka_unit_test(blocks_are_counted),
		cmocka_unit_test(errors_are_counted),
		cmocka_unit_test(a_nexus_that_goes_leaves_its_counts),
		cmocka_unit_test(times),
		cmocka_unit_test(reset_of_one_page),
		cmocka_unit_test(reset_of_all),
		cmocka_unit_test(default_values_are_zero),
		cmocka_unit_test(a_failed_flush_is_a_bad_sign),
		cmocka_unit_test(space_of_a_thin_lu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
