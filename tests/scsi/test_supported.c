/* SPDX-License-Identifier: Apache-2.0 */
/* The rows themselves, and what the initiator is told of them. */
#include "scsi/backend/backends.h"
#include "scsi/op.h"
#include "tests/scsi/harness.h"
#include "tests/scsi/spy.h"
#include "util/bytes.h"
#include <stdio.h>
#include <string.h>

#define for_each_op(op)                                                                            \
	for (const struct scsi_op *op = scsi_op_at(0); op; op = scsi_op_at(op_place(op) + 1))

static unsigned op_place(const struct scsi_op *op)
{
	unsigned i = 0;

	while (scsi_op_at(i) != op)
		i++;
	return i;
}

enum { RCTD = 0x80 };

/* VARIABLE LENGTH CDB: CONTROL is byte 1, the service action bytes 8 and 9, the length byte 7. */
static bool is_variable(const struct scsi_op *op)
{
	return op->opcode == 0x7f;
}

static unsigned control_at(const struct scsi_op *op)
{
	return is_variable(op) ? 1 : op->cdb_len - 1u;
}

/* The bits that say which command it is. */
static uint8_t naming_bits(const struct scsi_op *op, unsigned byte)
{
	if (is_variable(op))
		return byte >= 7 && byte <= 9 ? 0xff : 0;
	return op->sa != NO_SA && byte == 1 ? 0x1f : 0;
}

static struct sent named(const struct scsi_op *op)
{
	struct sent sent = {.cdb = {op->opcode}};

	for (unsigned i = 1; i < op->cdb_len; i++)
		sent.cdb[i] = op->usage[i] & naming_bits(op, i);
	return sent;
}

static bool is_offered(const struct harness *h, const struct scsi_op *op)
{
	return scsi_op_offered_to(op, h->lus[0], h->nexus[0]);
}

static void every_row_is_sound(void **state)
{
	(void)state;
	for_each_op (op) {
		assert_int_equal(op->usage[0], op->opcode);
		assert_int_equal(op->cdb_len, scsi_cdb_len(op->usage));
		assert_int_equal(op->usage[control_at(op)], CONTROL);
		for (unsigned i = op->cdb_len; i < SCSI_CDB_MAX; i++)
			assert_int_equal(op->usage[i], 0);
		if (is_variable(op))
			assert_int_equal(be16_get(op->usage + 8), op->sa);
		else if (op->sa != NO_SA)
			assert_int_equal(op->usage[1] & 0x1f, op->sa);
		assert_non_null(op->run);
		if (scsi_op_offered(op, NULL))
			assert_ptr_equal(scsi_op_find(NULL, op->usage), op);
	}
}

/* In order, and no LU has two for one command. */
static void rows_are_in_order(void **state)
{
	struct scsi_lu_config cfg = spy_config();
	int last = -1, last_offered;
	struct harness h;

	(void)state;
	for (int kind = 0; kind < 5; kind++) {
		cfg.thin = kind == 1;
		cfg.cdrom = kind == 2;
		cfg.block_size = cfg.cdrom ? 2048 : 512;
		cfg.protection = (struct scsi_protection_config){
			.backend = kind > 2 ? duotgt_backend_find("ram") : NULL,
			.path = "",
			.type = kind == 3 ? 1 : 2,
		};
		harness_start(&h);
		harness_map(&h, 0, &cfg);
		harness_settle(&h);
		last = last_offered = -1;
		for_each_op (op) {
			int key = op->opcode << 8 | (op->sa == NO_SA ? 0 : op->sa);

			assert_true(key >= last);
			last = key;
			if (!is_offered(&h, op))
				continue;
			assert_true(key > last_offered);
			last_offered = key;
		}
		harness_stop(&h);
	}
}

/* The bits that are honoured, said a second time, so that a slip in a row does not go unseen. */
/* clang-format off */
static const struct {
	const char *name, *usage;
} usages[] = {
	{"TEST UNIT READY", "000000000004"},
	{"REQUEST SENSE", "03010000ff04"},
	{"FORMAT UNIT", "043f00000004"},
	{"FORMAT UNIT", "04ff00000004"},
	{"READ (6)", "081fffffff04"},
	{"READ (6)", "081fffffff04"},
	{"WRITE (6)", "0a1fffffff04"},
	{"WRITE (6)", "0a1fffffff04"},
	{"INQUIRY", "1201ffffff04"},
	{"MODE SELECT (6)", "15110000ff04"},
	{"RESERVE (6)", "160000000004"},
	{"RELEASE (6)", "170000000004"},
	{"MODE SENSE (6)", "1a08ffffff04"},
	{"START STOP UNIT", "1b010000f704"},
	{"RECEIVE DIAGNOSTIC RESULTS", "1c01ffffff04"},
	{"SEND DIAGNOSTIC", "1d1700ffff04"},
	{"PREVENT ALLOW MEDIUM REMOVAL", "1e0000000104"},
	{"READ CAPACITY (10)", "25000000000000000004"},
	{"READ CAPACITY (10)", "25000000000000000004"},
	{"READ (10)", "2818ffffffff00ffff04"},
	{"READ (10)", "2818ffffffff00ffff04"},
	{"READ (10)", "28f8ffffffff00ffff04"},
	{"WRITE (10)", "2a18ffffffff00ffff04"},
	{"WRITE (10)", "2af8ffffffff00ffff04"},
	{"WRITE AND VERIFY (10)", "2e12ffffffff00ffff04"},
	{"WRITE AND VERIFY (10)", "2ef2ffffffff00ffff04"},
	{"VERIFY (10)", "2f16ffffffff00ffff04"},
	{"VERIFY (10)", "2ff6ffffffff00ffff04"},
	{"PRE-FETCH (10)", "3402ffffffff1fffff04"},
	{"SYNCHRONIZE CACHE (10)", "3506ffffffff00ffff04"},
	{"READ DEFECT DATA (10)", "37001f00000000ffff04"},
	{"WRITE BUFFER (10)", "3b1fffffffffffffff04"},
	{"READ BUFFER (10)", "3c1fffffffffffffff04"},
	{"WRITE SAME (10)", "4108ffffffff00ffff04"},
	{"WRITE SAME (10)", "41e8ffffffff00ffff04"},
	{"UNMAP", "42000000000000ffff04"},
	{"READ TOC/PMA/ATIP", "43020f000000ffffff04"},
	{"GET CONFIGURATION", "4603ffff000000ffff04"},
	{"SANITIZE (OVERWRITE)", "48a10000000000ffff04"},
	{"SANITIZE (BLOCK ERASE)", "48a20000000000000004"},
	{"SANITIZE (CRYPTOGRAPHIC ERASE)", "48a30000000000000004"},
	{"SANITIZE (EXIT FAILURE MODE)", "48bf0000000000000004"},
	{"GET EVENT STATUS NOTIFICATION", "4a010000ff0000ffff04"},
	{"LOG SELECT", "4c02ffff000000000004"},
	{"LOG SENSE", "4d00ffff00ffffffff04"},
	{"READ DISC INFORMATION", "51070000000000ffff04"},
	{"READ TRACK INFORMATION", "5203ffffffff00ffff04"},
	{"MODE SELECT (10)", "55110000000000ffff04"},
	{"RESERVE (10)", "56000000000000000004"},
	{"RELEASE (10)", "57000000000000000004"},
	{"MODE SENSE (10)", "5a18ffff000000ffff04"},
	{"PERSISTENT RESERVE IN, READ KEYS", "5e000000000000ffff04"},
	{"PERSISTENT RESERVE IN, READ RESERVATION", "5e010000000000ffff04"},
	{"PERSISTENT RESERVE IN, REPORT CAPABILITIES", "5e020000000000ffff04"},
	{"PERSISTENT RESERVE IN, READ FULL STATUS", "5e030000000000ffff04"},
	{"PERSISTENT RESERVE OUT, REGISTER", "5f00ff0000ffffffff04"},
	{"PERSISTENT RESERVE OUT, RESERVE", "5f01ff0000ffffffff04"},
	{"PERSISTENT RESERVE OUT, RELEASE", "5f02ff0000ffffffff04"},
	{"PERSISTENT RESERVE OUT, CLEAR", "5f03ff0000ffffffff04"},
	{"PERSISTENT RESERVE OUT, PREEMPT", "5f04ff0000ffffffff04"},
	{"PERSISTENT RESERVE OUT, PREEMPT AND ABORT", "5f05ff0000ffffffff04"},
	{"PERSISTENT RESERVE OUT, REGISTER AND IGNORE EXISTING KEY", "5f06ff0000ffffffff04"},
	{"PERSISTENT RESERVE OUT, REGISTER AND MOVE", "5f07ff0000ffffffff04"},
	{"READ (32)", "7f0400000000001800091800ffffffffffffffff0000000000000000ffffffff"},
	{"READ (32)", "7f040000000000180009f800ffffffffffffffffffffffffffffffffffffffff"},
	{"VERIFY (32)", "7f04000000000018000a1600ffffffffffffffff0000000000000000ffffffff"},
	{"VERIFY (32)", "7f04000000000018000af600ffffffffffffffffffffffffffffffffffffffff"},
	{"WRITE (32)", "7f04000000000018000b1800ffffffffffffffff0000000000000000ffffffff"},
	{"WRITE (32)", "7f04000000000018000bf800ffffffffffffffffffffffffffffffffffffffff"},
	{"WRITE AND VERIFY (32)", "7f04000000000018000c1200ffffffffffffffff0000000000000000ffffffff"},
	{"WRITE AND VERIFY (32)", "7f04000000000018000cf200ffffffffffffffffffffffffffffffffffffffff"},
	{"WRITE SAME (32)", "7f04000000000018000d0900ffffffffffffffff0000000000000000ffffffff"},
	{"WRITE SAME (32)", "7f04000000000018000de900ffffffffffffffffffffffffffffffffffffffff"},
	{"ORWRITE (32)", "7f04000000000018000e1800ffffffffffffffffffffffff00000000ffffffff"},
	{"ORWRITE (32)", "7f04000000000018000ef800ffffffffffffffffffffffff00000000ffffffff"},
	{"EXTENDED COPY (LID1)", "83000000000000000000ffffffff0004"},
	{"EXTENDED COPY (LID4)", "83010000000000000000ffffffff0004"},
	{"POPULATE TOKEN", "831000000000ffffffffffffffff0004"},
	{"WRITE USING TOKEN", "831100000000ffffffffffffffff0004"},
	{"COPY OPERATION ABORT", "831cffffffff00000000000000000004"},
	{"RECEIVE COPY STATUS (LID1)", "8400ff00000000000000ffffffff0004"},
	{"RECEIVE COPY DATA (LID1)", "8401ff00000000000000ffffffff0004"},
	{"RECEIVE COPY OPERATING PARAMETERS", "84030000000000000000ffffffff0004"},
	{"RECEIVE COPY FAILURE DETAILS (LID1)", "8404ff00000000000000ffffffff0004"},
	{"RECEIVE COPY STATUS (LID4)", "8405ffffffff00000000ffffffff0004"},
	{"RECEIVE COPY DATA (LID4)", "8406ffffffff00000000ffffffff0004"},
	{"RECEIVE ROD TOKEN INFORMATION", "8407ffffffff00000000ffffffff0004"},
	{"REPORT ALL ROD TOKENS", "84080000000000000000ffffffff0004"},
	{"READ (16)", "8818ffffffffffffffffffffffff0004"},
	{"READ (16)", "88f8ffffffffffffffffffffffff0004"},
	{"COMPARE AND WRITE", "8918ffffffffffffffff000000ff0004"},
	{"COMPARE AND WRITE", "89f8ffffffffffffffff000000ff0004"},
	{"WRITE (16)", "8a18ffffffffffffffffffffffff0004"},
	{"WRITE (16)", "8af8ffffffffffffffffffffffff0004"},
	{"ORWRITE (16)", "8b18ffffffffffffffffffffffff0004"},
	{"ORWRITE (16)", "8bf8ffffffffffffffffffffffff0004"},
	{"WRITE AND VERIFY (16)", "8e12ffffffffffffffffffffffff0004"},
	{"WRITE AND VERIFY (16)", "8ef2ffffffffffffffffffffffff0004"},
	{"VERIFY (16)", "8f16ffffffffffffffffffffffff0004"},
	{"VERIFY (16)", "8ff6ffffffffffffffffffffffff0004"},
	{"PRE-FETCH (16)", "9002ffffffffffffffffffffffff1f04"},
	{"SYNCHRONIZE CACHE (16)", "9106ffffffffffffffffffffffff0004"},
	{"WRITE SAME (16)", "9309ffffffffffffffffffffffff0004"},
	{"WRITE SAME (16)", "93e9ffffffffffffffffffffffff0004"},
	{"READ BUFFER (16)", "9b1fffffffffffffffffffffffffff04"},
	{"WRITE ATOMIC (16)", "9c18ffffffffffffffff0000ffff0004"},
	{"WRITE ATOMIC (16)", "9cf8ffffffffffffffff0000ffff0004"},
	{"READ CAPACITY (16)", "9e100000000000000000ffffffff0004"},
	{"GET LBA STATUS (16)", "9e12ffffffffffffffffffffffff0004"},
	{"REPORT REFERRALS", "9e13ffffffffffffffffffffffff0104"},
	{"REPORT LUNS", "a000ff000000ffffffff0004"},
	{"REPORT IDENTIFYING INFORMATION", "a30500000000fffffffffe04"},
	{"REPORT TARGET PORT GROUPS", "a32a00000000ffffffff0004"},
	{"REPORT SUPPORTED OPERATION CODES", "a30c87ffffffffffffff0004"},
	{"REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS", "a30d80000000ffffffff0004"},
	{"REPORT TIMESTAMP", "a30f00000000ffffffff0004"},
	{"SET IDENTIFYING INFORMATION", "a40600000000fffffffffe04"},
	{"SET TARGET PORT GROUPS", "a40a00000000ffffffff0004"},
	{"SET TIMESTAMP", "a40f00000000ffffffff0004"},
	{"READ (12)", "a818ffffffffffffffff0004"},
	{"READ (12)", "a818ffffffffffffffff0004"},
	{"READ (12)", "a8f8ffffffffffffffff0004"},
	{"WRITE (12)", "aa18ffffffffffffffff0004"},
	{"WRITE (12)", "aaf8ffffffffffffffff0004"},
	{"READ DISC STRUCTURE", "ad0fffffffffffffffffc004"},
	{"WRITE AND VERIFY (12)", "ae12ffffffffffffffff0004"},
	{"WRITE AND VERIFY (12)", "aef2ffffffffffffffff0004"},
	{"VERIFY (12)", "af16ffffffffffffffff0004"},
	{"VERIFY (12)", "aff6ffffffffffffffff0004"},
	{"READ DEFECT DATA (12)", "b71fffffffffffffffff0004"},
	{"MECHANISM STATUS", "bd00000000000000ffff0004"},
};
/* clang-format on */

static void usage_is_as_meant(void **state)
{
	unsigned n = 0;

	(void)state;
	for_each_op (op) {
		char text[2 * SCSI_CDB_MAX + 1] = "";

		for (unsigned i = 0; i < op->cdb_len; i++)
			snprintf(text + 2 * i, 3, "%02x", op->usage[i]);
		assert_true(n < sizeof(usages) / sizeof(usages[0]));
		assert_string_equal(op->name, usages[n].name);
		assert_string_equal(text, usages[n++].usage);
	}
	assert_int_equal(n, sizeof(usages) / sizeof(usages[0]));
}

/* Each bit that a row does not honour is refused, with a pointer at it. */
static void reserved_bits_are_refused(void **state)
{
	struct scsi_lu_config cfg = spy_config();
	struct harness h;
	unsigned n_refused = 0;

	(void)state;
	cfg.thin = true;
	harness_start(&h);
	harness_map(&h, 0, &cfg);
	harness_settle(&h);
	for_each_op (op)
		for (unsigned bit = 8; is_offered(&h, op) && bit < 8u * op->cdb_len; bit++) {
			unsigned byte = bit / 8;
			uint8_t mask = (uint8_t)(1u << bit % 8);
			struct sent sent = named(op);

			if (naming_bits(op, byte) & mask) /* another command */
				continue;
			if (op->usage[byte] & mask)
				continue;
			sent.cdb[byte] |= mask;
			assert_bad_field(harness_send(&h, &sent), byte, bit % 8);
			n_refused++;
		}
	assert_true(n_refused > 500);
	harness_stop(&h);
}

static const struct answer *report(struct harness *h, uint8_t options, uint8_t opcode, uint16_t sa,
				   uint32_t alloc)
{
	struct sent sent = {.cdb = {0xa3, 0x0c, options, opcode}, .expect_in = alloc};

	be16_put(sent.cdb + 4, sa);
	be32_put(sent.cdb + 6, alloc);
	return harness_send(h, &sent);
}

static void start(struct harness *h, bool thin)
{
	struct scsi_lu_config cfg = spy_config();

	cfg.thin = thin;
	harness_start(h);
	harness_map(h, 0, &cfg);
	harness_settle(h);
}

/* Walks all rows along the answer: the same commands in the same order, with nothing between. */
static void check_all(struct harness *h, bool timeouts)
{
	const struct answer *a = report(h, timeouts ? RCTD : 0, 0, 0, 4096);
	size_t at = 4, step = timeouts ? 20 : 8;

	assert_good(a);
	assert_int_equal(be32_get(a->data), a->len - 4);
	for_each_op (op) {
		const uint8_t *d = a->data + at;

		if (!is_offered(h, op))
			continue;
		assert_true(at + step <= a->len);
		assert_int_equal(d[0], op->opcode);
		assert_int_equal(be16_get(d + 2), op->sa == NO_SA ? 0 : op->sa);
		assert_int_equal(d[5], (timeouts ? 2 : 0) | (op->sa == NO_SA ? 0 : 1));
		assert_int_equal(be16_get(d + 6), op->cdb_len);
		if (timeouts)
			assert_int_equal(be16_get(d + 8), 0x0a);
		at += step;
	}
	assert_int_equal(at, a->len);
}

static void all_commands(void **state)
{
	(void)state;
	for (int thin = 0; thin < 2; thin++)
		for (int timeouts = 0; timeouts < 2; timeouts++) {
			struct harness h;

			start(&h, thin);
			check_all(&h, timeouts);
			harness_stop(&h);
		}
}

/* By what a command does: no medium, a medium, all its dirty blocks, all of it. */
static void timeouts_by_class(void **state)
{
	static const struct {
		uint8_t opcode;
		uint32_t seconds;
	} classes[] = {{0x12, 10}, {0x4d, 10}, {0x28, 60}, {0x00, 10}, {0x35, 600}, {0x04, 86400}};
	struct harness h;

	(void)state;
	start(&h, false);
	for (unsigned i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		const struct answer *a = report(&h, RCTD | 1, classes[i].opcode, 0, 255);

		assert_good(a);
		assert_int_equal(be32_get(a->data + a->len - 8), 0); /* nominal: not known */
		assert_int_equal(be32_get(a->data + a->len - 4), classes[i].seconds);
	}
	harness_stop(&h);
}

static void assert_row(const struct answer *a, const struct scsi_op *op, bool timeouts)
{
	assert_good(a);
	assert_int_equal(a->data[1], timeouts ? 0x83 : 0x03);
	assert_int_equal(be16_get(a->data + 2), op->cdb_len);
	assert_memory_equal(a->data + 4, op->usage, op->cdb_len);
	assert_int_equal(a->len, 4 + op->cdb_len + (timeouts ? 12 : 0));
}

static void assert_unsupported(const struct answer *a)
{
	assert_good(a);
	assert_int_equal(a->len, 4);
	assert_int_equal(be32_get(a->data), 0x00010000);
}

static void one_command(void **state)
{
	struct harness h;

	(void)state;
	start(&h, true);
	for_each_op (op) {
		uint16_t sa = op->sa == NO_SA ? 0 : op->sa;

		for (int timeouts = 0; is_offered(&h, op) && timeouts < 2; timeouts++) {
			uint8_t rctd = timeouts ? RCTD : 0;

			assert_row(report(&h, rctd | 3, op->opcode, sa, 255), op, timeouts);
			if (op->sa == NO_SA) {
				assert_row(report(&h, rctd | 1, op->opcode, 0, 255), op, timeouts);
				assert_bad_field(report(&h, 2, op->opcode, 0, 255), 2, 2);
				assert_unsupported(report(&h, 3, op->opcode, 1, 255));
			} else {
				assert_row(report(&h, rctd | 2, op->opcode, sa, 255), op, timeouts);
				assert_bad_field(report(&h, 1, op->opcode, 0, 255), 2, 2);
			}
		}
	}
	harness_stop(&h);
}

static void what_is_not_there(void **state)
{
	struct harness h;

	(void)state;
	start(&h, false);
	for (uint8_t options = 1; options <= 3; options++) {
		assert_unsupported(report(&h, options, 0x42, 0, 255)); /* UNMAP */
		assert_unsupported(report(&h, options, 0xff, 0, 255));
		assert_unsupported(report(&h, options, 0x02, 0, 255));
	}
	assert_unsupported(report(&h, 2, 0xa3, 0x1f, 255));
	assert_unsupported(report(&h, 2, 0xa3, 0xff, 255));
	assert_unsupported(report(&h, 3, 0xa3, 0x010c, 255));
	for (uint8_t options = 4; options < 8; options++)
		assert_bad_field(report(&h, options, 0x00, 0, 255), 2, 2);
	assert_check(SEND(&h, .cdb = {0x42}), SENSE_INVALID_OPCODE);
	harness_stop(&h);
}

static void allocation_length_only_cuts(void **state)
{
	uint8_t whole[1024];
	struct harness h;
	size_t len;

	(void)state;
	start(&h, false);
	len = report(&h, RCTD, 0, 0, sizeof(whole))->len;
	memcpy(whole, h.answer.data, len);
	for (uint32_t alloc = 0; alloc <= len; alloc++) {
		const struct answer *a = report(&h, RCTD, 0, 0, alloc);

		assert_good(a);
		assert_int_equal(a->in_len, alloc);
		if (alloc)
			assert_memory_equal(a->data, whole, alloc);
	}
	harness_stop(&h);
}

static void task_management(void **state)
{
	static const uint8_t extended[16] = {0xfc, 0x07, 0, 12};
	struct harness h;
	const struct answer *a;

	(void)state;
	start(&h, false);
	a = SEND(&h, .cdb = {0xa3, 0x0d, 0, 0, 0, 0, 0, 0, 0, 64}, .expect_in = 64);
	assert_good(a);
	assert_int_equal(a->len, 4);
	assert_int_equal(be32_get(a->data), 0xfc070000);
	a = SEND(&h, .cdb = {0xa3, 0x0d, 0x80, 0, 0, 0, 0, 0, 0, 64}, .expect_in = 64);
	assert_good(a);
	assert_int_equal(a->len, 16);
	assert_memory_equal(a->data, extended, 16);
	harness_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_is_sound), cmocka_unit_test(rows_are_in_order),
		cmocka_unit_test(usage_is_as_meant),  cmocka_unit_test(reserved_bits_are_refused),
		cmocka_unit_test(all_commands),	      cmocka_unit_test(one_command),
		cmocka_unit_test(what_is_not_there),  cmocka_unit_test(allocation_length_only_cuts),
		cmocka_unit_test(timeouts_by_class),  cmocka_unit_test(task_management),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
