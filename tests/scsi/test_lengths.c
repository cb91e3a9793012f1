/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The corners of every allocation length and parameter list length, of every command that has one,
 * by the rows. An allocation length cuts the answer and does nothing else; a list as short or as
 * long as a list can be is judged by what it lacks, and no length is believed before data are
 * there.
 */
#include "tests/scsi/cdb_fields.h"
#include "tests/scsi/pi_kit.h"
#include "tests/scsi/state_dir.h"
#include <stdio.h>
#include <string.h>

#define ROOM (64u << 10)

static const uint64_t lengths[] = {
	0,
	1,
	2,
	3,
	4,
	5,
	7,
	8,
	11,
	12,
	15,
	16,
	17,
	23,
	24,
	31,
	32,
	36,
	63,
	64,
	127,
	128,
	255,
	256,
	257,
	511,
	512,
	4095,
	4096,
	4097,
	0x7fff,
	0x8000,
	0xfffe,
	0xffff,
	0x10000,
	0x7fffff,
	0x800000,
	0xffffff,
	0x1000000,
	INT32_MAX,
	UINT64_C(1) << 31,
	UINT32_MAX - 1,
	UINT32_MAX,
};
#define N_LENGTHS (sizeof(lengths) / sizeof(lengths[0]))

/* What a CDB has to hold besides for an answer, or for its list to be looked at. */
static const struct extra {
	uint8_t opcode, sa, at, value;
} extras[] = {
	{0x12, NO_SA, 1, 0x01},				/* INQUIRY: VPD page 00 */
	{0x1a, NO_SA, 2, 0x3f},				/* MODE SENSE: all pages */
	{0x5a, NO_SA, 2, 0x3f}, {0x4d, NO_SA, 2, 0x40}, /* LOG SENSE: current values of page 00 */
	{0x3c, NO_SA, 1, 0x03},				/* READ BUFFER: descriptor */
	{0x9b, NO_SA, 1, 0x03}, {0x4a, NO_SA, 1, 0x01}, /* GET EVENT STATUS NOTIFICATION: polled */
	{0x1c, NO_SA, 1, 0x01},				/* RECEIVE DIAGNOSTIC RESULTS: page 00 */
	{0x15, NO_SA, 1, 0x10},				/* MODE SELECT: PF */
	{0x55, NO_SA, 1, 0x10}, {0x1d, NO_SA, 1, 0x10}, /* SEND DIAGNOSTIC: likewise */
	{0x3b, NO_SA, 1, 0x02},				/* WRITE BUFFER: data */
};

static void begin(struct sent *sent, const struct scsi_op *op, uint64_t len)
{
	const struct cdb_field *field = cdb_field_of(op);

	cdb_begin(sent->cdb, op);
	for (unsigned i = 0; i < sizeof(extras) / sizeof(extras[0]); i++)
		if (extras[i].opcode == op->opcode && extras[i].sa == op->sa)
			sent->cdb[extras[i].at] |= extras[i].value;
	cdb_put(sent->cdb + field->at, field->len, len);
}

/* ---- allocation lengths ---- */

/* Tells a clock, so that two answers differ. */
static bool tells_time(const struct scsi_op *op)
{
	return op->opcode == 0xa3 && op->sa == 0x0f;
}

static void allocations(struct harness *h, const struct scsi_op *op, unsigned field_len)
{
	static uint8_t whole[ROOM];
	struct sent sent = {.expect_in = ROOM};
	struct answer most;

	begin(&sent, op, UINT64_MAX >> (64 - 8 * field_len));
	harness_send(h, &sent);
	most = h->answer;
	if (most.len)
		memcpy(whole, most.data, most.len);
	/* but for the structures of a DVD, which a CD has none of, all are answered */
	assert_true(most.status == STATUS_GOOD ? most.in_len >= 4 && most.in_len == most.len
					       : op->opcode == 0xad);
	for (unsigned i = 0; i < N_LENGTHS; i++) {
		uint64_t len = lengths[i] < most.in_len ? lengths[i] : most.in_len;
		const struct answer *a;

		if (!cdb_fits(lengths[i], field_len))
			continue;
		begin(&sent, op, lengths[i]);
		a = harness_send(h, &sent);
		assert_int_equal(a->status, most.status);
		assert_int_equal(a->code, most.code);
		if (a->in_len != len)
			fail_msg("%s: %lu bytes by an allocation length of %lu", op->name,
				 a->in_len, lengths[i]);
		if (len && !tells_time(op))
			assert_memory_equal(a->data, whole, len);
	}
}

/* ---- parameter list lengths: of lists of zeroes ---- */

enum {
	NONE = SENSE_NONE,
	FIELD = SENSE_INVALID_FIELD_IN_CDB,
	LIST_LENGTH = SENSE_PARAMETER_LIST_LENGTH,
	LIST_FIELD = SENSE_INVALID_FIELD_IN_PARAMETERS,
};

/* What a list of 0 bytes, of fewer than @least, and of as many as the field can say ends with. */
static const struct list_rule {
	uint8_t opcode, sa;
	uint32_t zero, least, less, most;
} list_lengths[] = {
	{0x15, NO_SA, NONE, 4, LIST_LENGTH, LIST_FIELD},
	{0x1d, NO_SA, NONE, 4, LIST_LENGTH, NONE},
	{0x3b, NO_SA, NONE, 1, NONE, FIELD},
	{0x42, NO_SA, NONE, 8, LIST_LENGTH, NONE},
	{0x48, 0x01, FIELD, 5, FIELD, FIELD},
	{0x55, NO_SA, NONE, 8, LIST_LENGTH, FIELD},
	{0x5f, 0x00, LIST_LENGTH, 24, LIST_LENGTH, LIST_LENGTH},
	{0x5f, 0x01, LIST_LENGTH, 24, LIST_LENGTH, LIST_LENGTH},
	{0x5f, 0x02, LIST_LENGTH, 24, LIST_LENGTH, LIST_LENGTH},
	{0x5f, 0x03, LIST_LENGTH, 24, LIST_LENGTH, LIST_LENGTH},
	{0x5f, 0x04, LIST_LENGTH, 24, LIST_LENGTH, LIST_LENGTH},
	{0x5f, 0x05, LIST_LENGTH, 24, LIST_LENGTH, LIST_LENGTH},
	{0x5f, 0x06, LIST_LENGTH, 24, LIST_LENGTH, LIST_LENGTH},
	{0x5f, 0x07, LIST_LENGTH, 24, LIST_LENGTH, LIST_LENGTH},
	{0x83, 0x00, NONE, 16, LIST_LENGTH, LIST_LENGTH},
	{0x83, 0x01, NONE, 48, LIST_LENGTH, LIST_LENGTH},
	{0x83, 0x10, NONE, 16, LIST_LENGTH, LIST_LENGTH},
	{0x83, 0x11, NONE, 536, LIST_LENGTH, LIST_LENGTH},
	{0xa4, 0x06, NONE, 1, NONE, FIELD},
	{0xa4, 0x0a, NONE, 4, FIELD, FIELD},
	{0xa4, 0x0f, NONE, 12, LIST_LENGTH, LIST_LENGTH},
};

static const struct list_rule *rule_of(const struct scsi_op *op)
{
	for (unsigned i = 0; i < sizeof(list_lengths) / sizeof(list_lengths[0]); i++)
		if (list_lengths[i].opcode == op->opcode && list_lengths[i].sa == op->sa)
			return &list_lengths[i];
	fail_msg("%s: say in list_lengths[] how long its list has to be", op->name);
	return NULL;
}

static void check_list(const struct list_rule *rule, const struct answer *a, uint64_t len,
		       uint64_t most)
{
	if (!len)
		assert_int_equal(a->code, rule->zero);
	else if (len < rule->least)
		assert_int_equal(a->code, rule->less);
	else if (len == most)
		assert_int_equal(a->code, rule->most);
	if (a->need_out)
		assert_int_equal(a->need_out, len);
}

static void lists(struct harness *h, const struct scsi_op *op, unsigned field_len)
{
	static const uint8_t zeroes[ROOM];
	uint64_t most = UINT64_MAX >> (64 - 8 * field_len);
	const struct list_rule *rule = rule_of(op);
	unsigned n = pi_kit_requests();

	for (unsigned i = 0; i < N_LENGTHS; i++) {
		struct sent sent = {.out = zeroes};

		if (!cdb_fits(lengths[i], field_len))
			continue;
		begin(&sent, op, lengths[i]);
		sent.out_len = lengths[i] < ROOM ? (uint32_t)lengths[i] : ROOM;
		check_list(rule, harness_send(h, &sent), lengths[i], most);
		/* and when nothing of it comes; a buffer is written as far as there are data */
		sent.out_len = 0;
		harness_send(h, &sent);
		if (lengths[i] && op->opcode != 0x3b)
			assert_int_equal(h->answer.status, STATUS_CHECK_CONDITION);
		assert_int_equal(pi_kit_requests(), n);
	}
}

/* ---- */

static void start(struct harness *h, const struct pi_kit_kind *kind)
{
	static const uint16_t port = 1;
	const struct scsi_alua_group group = {
		.id = 1, .state = ALUA_OPTIMIZED, .ports = &port, .n_ports = 1};
	const struct scsi_alua_config alua = {.groups = &group,
					      .n_groups = 1,
					      .implicit = true,
					      .explicit_too = true,
					      .referrals = true};
	struct scsi_lu_config cfg = pi_kit_config_of(kind);

	cfg.state_dir = state_dir_make();
	harness_start(h);
	assert_int_equal(scsi_target_set_alua(h->target, &alua), 0);
	assert_int_equal(scsi_target_add_port(h->target, 1), 0);
	harness_map(h, 0, &cfg);
	harness_settle(h);
}

static bool tried[256]; /* by place in cdb_fields[] */

static void corners(void **state)
{
	struct harness h;

	start(&h, *state);
	for (unsigned i = 0; scsi_op_at(i); i++) {
		const struct scsi_op *op = scsi_op_at(i);
		const struct cdb_field *field = cdb_field_of(op);

		if (!scsi_op_offered_to(op, h.lus[0], h.nexus[0]))
			continue;
		tried[field - cdb_fields] = true;
		if (field->takes == TAKES_ALLOC || field->takes == TAKES_LBA)
			allocations(&h, op, field->len);
		if (field->takes == TAKES_LIST || field->takes == TAKES_LBA_LIST)
			lists(&h, op, field->len);
	}
	harness_stop(&h);
	state_dir_remove();
}

int main(void)
{
	int failed = pi_kit_run_kinds(corners);

	for (unsigned i = 0; cdb_fields[i].at != 0xff; i++)
		if (!tried[i] && cdb_fields[i].takes != TAKES_NOTHING) { /* no kind offers it */
			fprintf(stderr, "%02x, service action %02x, was not tried\n",
				cdb_fields[i].opcode, cdb_fields[i].sa);
			failed++;
		}
	return failed;
}
