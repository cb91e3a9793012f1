/* SPDX-License-Identifier: Apache-2.0 */
/* The rows themselves, and what the initiator is told of them. */
#include "scsi/op.h"
#include "tests/scsi/harness.h"
#include "tests/scsi/spy.h"
#include "util/bytes.h"
#include <stdio.h>
#include <string.h>

#define for_each_op(op) for (const struct scsi_op *op = scsi_disk_ops; op->name; op++)

enum { RCTD = 0x80 };

static void every_row_is_sound(void **state)
{
	(void)state;
	for_each_op (op) {
		unsigned control = op->cdb_len - 1u;

		assert_int_equal(op->usage[0], op->opcode);
		assert_int_equal(op->cdb_len, scsi_cdb_len(op->usage));
		assert_int_equal(op->usage[control], CONTROL);
		for (unsigned i = op->cdb_len; i < SCSI_CDB_MAX; i++)
			assert_int_equal(op->usage[i], 0);
		if (op->sa != NO_SA)
			assert_int_equal(op->usage[1], op->sa);
		assert_non_null(op->run);
		assert_ptr_equal(scsi_op_find(op->usage), op);
	}
}

static void rows_are_in_order(void **state)
{
	int last = -1;

	(void)state;
	for_each_op (op) {
		int key = op->opcode << 8 | (op->sa == NO_SA ? 0 : op->sa);

		assert_true(key > last);
		last = key;
	}
}

/* The bits that are honoured, said a second time, so that a slip in a row does not go unseen. */
static const char *const usages[] = {
	"000000000004",
	"03010000ff04",
	"081fffffff04",
	"0a1fffffff04",
	"1201ffffff04",
	"1a08ffffff04",
	"1b0100000504",
	"1e0000000104",
	"25000000000000000004",
	"2818ffffffff00ffff04",
	"2a18ffffffff00ffff04",
	"2f16ffffffff00ffff04",
	"3502ffffffff00ffff04",
	"42000000000000ffff04",
	"5a18ffff000000ffff04",
	"8818ffffffffffffffffffffffff0004",
	"8a18ffffffffffffffffffffffff0004",
	"8f16ffffffffffffffffffffffff0004",
	"9102ffffffffffffffffffffffff0004",
	"9e100000000000000000ffffffff0004",
	"9e12ffffffffffffffffffffffff0004",
	"a000ff000000ffffffff0004",
	"a30c87ffffffffffffff0004",
	"a30d80000000ffffffff0004",
	"a818ffffffffffffffff0004",
	"aa18ffffffffffffffff0004",
	"af16ffffffffffffffff0004",
};

static void usage_is_as_meant(void **state)
{
	unsigned n = 0;

	(void)state;
	for_each_op (op) {
		char text[2 * SCSI_CDB_MAX + 1] = "";

		for (unsigned i = 0; i < op->cdb_len; i++)
			snprintf(text + 2 * i, 3, "%02x", op->usage[i]);
		assert_true(n < sizeof(usages) / sizeof(usages[0]));
		assert_string_equal(text, usages[n++]);
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
		for (unsigned bit = 8; bit < 8u * op->cdb_len; bit++) {
			unsigned byte = bit / 8;
			struct sent sent = {.cdb = {op->opcode}};

			if (op->usage[byte] & 1u << bit % 8 && byte != op->cdb_len - 1u)
				continue;
			if (op->sa != NO_SA) {
				if (byte == 1 && bit % 8 < 5)
					continue; /* another service action */
				sent.cdb[1] = op->sa;
			}
			sent.cdb[byte] |= 1u << bit % 8;
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
static void check_all(struct harness *h, bool thin, bool timeouts)
{
	const struct answer *a = report(h, timeouts ? RCTD : 0, 0, 0, 4096);
	size_t at = 4, step = timeouts ? 20 : 8;

	assert_good(a);
	assert_int_equal(be32_get(a->data), a->len - 4);
	for_each_op (op) {
		const uint8_t *d = a->data + at;

		if (op->opcode == 0x42 && !thin)
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
			check_all(&h, thin, timeouts);
			harness_stop(&h);
		}
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

		for (int timeouts = 0; timeouts < 2; timeouts++) {
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
		assert_unsupported(report(&h, options, 0x04, 0, 255));
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
	static const uint8_t extended[16] = {0xd8, 0, 0, 12};
	struct harness h;
	const struct answer *a;

	(void)state;
	start(&h, false);
	a = SEND(&h, .cdb = {0xa3, 0x0d, 0, 0, 0, 0, 0, 0, 0, 64}, .expect_in = 64);
	assert_good(a);
	assert_int_equal(a->len, 4);
	assert_int_equal(be32_get(a->data), 0xd8000000);
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
		cmocka_unit_test(task_management),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
