/* SPDX-License-Identifier: Apache-2.0 */
/* How protection comes to a LU, by configuration and by FORMAT UNIT, and what initiators are told.
 */
#include "tests/scsi/pi_kit.h"
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 512, UNIT = BLOCK + 8, LONGLIST = 0x20, FMTDATA = 0x10 };

/* ---- what is told ---- */

static unsigned told_type(struct harness *h)
{
	const struct answer *a = SEND(h, .cdb = {0x9e, 0x10, [13] = 32}, .expect_in = 32);

	assert_good(a);
	assert_int_equal(a->data[13] >> 4, 0); /* P_I_EXPONENT */
	assert_int_equal(a->data[12] >> 4, 0);
	assert_true(a->data[14] & 0x80); /* thin, as ever */
	if (!(a->data[12] & 1))
		assert_int_equal(a->data[12], 0);
	return a->data[12] & 1 ? (a->data[12] >> 1 & 7) + 1u : 0;
}

/* The usage data of a command; NULL: it is not there. */
static const uint8_t *usage(struct harness *h, uint8_t opcode, uint16_t sa)
{
	const struct answer *a =
		SEND(h, .cdb = {0xa3, 0x0c, 3, opcode, (uint8_t)(sa >> 8), (uint8_t)sa, [9] = 64},
		     .expect_in = 64);

	assert_good(a);
	return (a->data[1] & 7) == 3 ? a->data + 4 : NULL;
}

static void told_of_each_type(void **state)
{
	(void)state;
	for (unsigned type = 0; type < 4; type++) {
		const struct answer *a;
		const uint8_t *bits;
		struct harness h;

		pi_kit_reset();
		pi_kit_start(&h, type, BLOCK);
		a = SEND(&h, .cdb = {0x12, [4] = 96}, .expect_in = 96);
		assert_int_equal(a->data[5] & 1, 1); /* PROTECT */
		a = SEND(&h, .cdb = {0x12, 1, 0x86, [4] = 64}, .expect_in = 64);
		assert_int_equal(a->data[4], 0x3f); /* SPT 111b; GRD_CHK, APP_CHK, REF_CHK */
		a = SEND(&h, .cdb = {0x1a, 0x08, 0x0a, [4] = 64}, .expect_in = 64);
		assert_int_equal(a->data[4 + 5] & 0xb0, 0x80); /* ATO, not ATMPE, not RWWP */
		assert_int_equal(told_type(&h), type);
		bits = usage(&h, 0x28, 0);
		assert_int_equal(bits[1] & 0xe0, type == 1 || type == 3 ? 0xe0 : 0);
		bits = usage(&h, 0x7f, 0x09);
		assert_int_equal(bits != NULL, type == 0 || type == 2);
		if (bits) {
			assert_int_equal(bits[10] & 0xe0, type ? 0xe0 : 0);
			assert_int_equal(be64_get(bits + 20), type ? UINT64_MAX : 0);
		}
		bits = usage(&h, 0x04, 0);
		assert_int_equal(bits[1], 0xff);
		harness_stop(&h);
	}
}

static void told_without(void **state)
{
	struct scsi_lu_config cfg = pi_kit_config(0, BLOCK);
	const struct answer *a;
	struct harness h;

	(void)state;
	pi_kit_reset();
	cfg.protection.backend = NULL;
	harness_start(&h);
	harness_map(&h, 0, &cfg);
	harness_settle(&h);
	a = SEND(&h, .cdb = {0x12, [4] = 96}, .expect_in = 96);
	assert_int_equal(a->data[5] & 1, 0);
	a = SEND(&h, .cdb = {0x12, 1, 0x86, [4] = 64}, .expect_in = 64);
	assert_int_equal(a->data[4], 0);
	a = SEND(&h, .cdb = {0x1a, 0x08, 0x0a, [4] = 64}, .expect_in = 64);
	assert_int_equal(a->data[4 + 5] & 0x80, 0);
	assert_int_equal(told_type(&h), 0);
	assert_bad_field(SEND(&h, .cdb = {0x04, 0x80}), 1, 7);
	assert_bad_field(SEND(&h, .cdb = {0x04, 0xc0}), 1, 7);
	assert_bad_field(SEND(&h, .cdb = {0x04, 0x40}), 1, 6);
	harness_stop(&h);
}

/* ---- FORMAT UNIT ---- */

/* What FMTPINFO and PROTECTION FIELD USAGE make; -1: wrong in the CDB, -2: in the list. */
static int made_by(unsigned fmtpinfo, unsigned usage)
{
	switch (fmtpinfo) {
	case 0:
		return usage ? -2 : 0;
	case 1:
		return -1;
	case 2:
		return usage ? -2 : 1;
	default:
		return usage == 0 ? 2 : usage == 1 ? 3 : -2;
	}
}

static void dirty(struct harness *h)
{
	uint8_t unit[UNIT];

	for (unsigned lba = 0; lba < 20; lba++) {
		pi_kit_unit(unit, BLOCK, 1, 2, lba);
		assert_good(SEND(h, .cdb = {0x2a, [5] = (uint8_t)lba, [8] = 1}, .out = unit,
				 .out_len = BLOCK));
	}
}

static void assert_formatted(struct harness *h, unsigned type)
{
	const struct answer *a;

	assert_int_equal(told_type(h), type);
	assert_int_equal(scsi_lu_look(h->lus[0]).protection, type);
	for (unsigned lba = 0; type && lba < PI_SIZE / BLOCK; lba++) {
		uint8_t tuple[8];

		pi_kit_tuple(lba, tuple);
		assert_true(be64_get(tuple) == UINT64_MAX);
	}
	/* And that type is at work. */
	a = SEND(h, .cdb = {0x28, 0x60, [8] = 1}, .expect_in = UNIT);
	if (type == 1 || type == 3)
		assert_int_equal(a->in_len, UNIT);
	else
		assert_check(a, type ? SENSE_INVALID_OPCODE : SENSE_INVALID_FIELD_IN_CDB);
}

static void restart(struct harness *h)
{
	harness_stop(h);
	pi_kit_start(h, 1, BLOCK); /* configured otherwise: what it was formatted to holds */
}

static void every_combination(void **state)
{
	unsigned type = 1;
	struct harness h;

	(void)state;
	pi_kit_reset();
	pi_kit_start(&h, 1, BLOCK);
	for (unsigned i = 0; i < 4 * 8 * 2; i++) {
		unsigned fmtpinfo = i & 3, usage_value = i >> 2 & 7;
		bool is_long = i & 32;
		uint8_t list[8] = {(uint8_t)usage_value};
		int made = made_by(fmtpinfo, usage_value);
		const struct answer *a;

		dirty(&h);
		a = SEND(&h,
			 .cdb = {0x04,
				 (uint8_t)(fmtpinfo << 6 | FMTDATA | (is_long ? LONGLIST : 0))},
			 .out = list, .out_len = is_long ? 8 : 4);
		if (made == -1) {
			assert_bad_field(a, 1, 7);
		} else if (made == -2) {
			assert_check(a, SENSE_INVALID_FIELD_IN_PARAMETERS);
			assert_true(a->sense.has_field && a->sense.field == 0);
			assert_int_equal(a->sense.bit, 2);
		} else {
			assert_good(a);
			/* The other initiator is told, when there is something to tell. */
			a = SEND(&h, .cdb = {0x00}, .nexus = 1);
			assert_int_equal(a->code, type == (unsigned)made ? SENSE_NONE
									 : SENSE_CAPACITY_CHANGED);
			type = (unsigned)made;
			assert_formatted(&h, type);
		}
		assert_int_equal(told_type(&h), type);
		if (i % 16 == 9) {
			restart(&h);
			assert_int_equal(told_type(&h), type);
		}
	}
	harness_stop(&h);
}

static void without_a_list(void **state)
{
	static const struct {
		uint8_t fmtpinfo;
		unsigned type;
	} cases[] = {{0xc0, 2}, {0x80, 1}, {0x00, 0}, {0x80, 1}};
	struct harness h;

	(void)state;
	pi_kit_reset();
	pi_kit_start(&h, 3, BLOCK);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		dirty(&h);
		assert_good(SEND(&h, .cdb = {0x04, cases[i].fmtpinfo}));
		harness_settle(&h);
		assert_formatted(&h, cases[i].type);
	}
	harness_stop(&h);
}

/* A pattern of the initiator's, and a protection interval that is no block. */
static void pattern_and_interval(void **state)
{
	uint8_t list[16] = {0, 0x88, 0, 0, 0, 0, 0, 0, 0, 0x01, 0, 4, 0xde, 0xad, 0xbe, 0xef};
	struct harness h;

	(void)state;
	pi_kit_reset();
	pi_kit_start(&h, 0, BLOCK);
	assert_good(SEND(&h, .cdb = {0x04, 0x80 | FMTDATA | LONGLIST}, .out = list, .out_len = 16));
	harness_settle(&h);
	assert_formatted(&h, 1);
	assert_memory_equal(pi_kit[PI_DATA].now + 77 * BLOCK, list + 12, 4);
	list[3] = 0x01; /* PROTECTION INTERVAL EXPONENT */
	assert_check(SEND(&h, .cdb = {0x04, 0x80 | FMTDATA | LONGLIST}, .out = list, .out_len = 16),
		     SENSE_INVALID_FIELD_IN_PARAMETERS);
	list[3] = 0x10; /* P_I_INFORMATION */
	assert_check(SEND(&h, .cdb = {0x04, 0x80 | FMTDATA | LONGLIST}, .out = list, .out_len = 16),
		     SENSE_INVALID_FIELD_IN_PARAMETERS);
	harness_stop(&h);
}

/* SANITIZE leaves the type, and blocks that are not checked. */
static void sanitized(void **state)
{
	uint8_t list[5] = {1, 0, 0, 1, 0x5a};
	struct harness h;

	(void)state;
	pi_kit_reset();
	pi_kit_start(&h, 3, BLOCK);
	dirty(&h);
	assert_good(SEND(&h, .cdb = {0x48, 0x01, [8] = 5}, .out = list, .out_len = 5));
	assert_formatted(&h, 3);
	dirty(&h);
	assert_good(SEND(&h, .cdb = {0x48, 0x02}));
	assert_formatted(&h, 3);
	harness_stop(&h);
}

/* ---- stores of tuples that do not fit ---- */

static void assert_refused(const struct scsi_lu_config *cfg, const char *words)
{
	struct scsi_lu *lu;
	char why[256] = "";

	assert_true(scsi_lu_new(cfg, &lu, why, sizeof(why)) < 0);
	if (!strstr(why, words))
		fail_msg("\"%s\" is not in \"%s\"", words, why);
}

static void other_stores(void **state)
{
	struct scsi_lu_config cfg = pi_kit_config(1, BLOCK);
	struct harness h;

	(void)state;
	pi_kit_reset();
	cfg.params.read_only = true;
	assert_refused(&cfg, "tuples: has not been written yet");
	cfg.params.read_only = false;
	pi_kit_start(&h, 1, BLOCK);
	harness_stop(&h);
	cfg.block_size = 4096;
	assert_refused(&cfg, "tuples: was made for blocks of another length");
	cfg.block_size = BLOCK;
	pi_kit[PI_TUPLES].now[16] = 2; /* the type, without a new CRC */
	assert_refused(&cfg, "tuples: is not a store of protection information");
	pi_kit[PI_TUPLES].now[16] = 1;
	pi_kit[PI_TUPLES].now[0] = 'x';
	assert_refused(&cfg, "tuples: is not a store of protection information");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(told_of_each_type),	cmocka_unit_test(told_without),
		cmocka_unit_test(every_combination),	cmocka_unit_test(without_a_list),
		cmocka_unit_test(pattern_and_interval), cmocka_unit_test(sanitized),
		cmocka_unit_test(other_stores),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
