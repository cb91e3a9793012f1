/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The corners of LBAs that are not of a range in the CDB: those that lists hold, and those that a
 * command starts from. By the rows, on disks with and without protection information and a CD-ROM.
 * A list with a range that is not there changes nothing, and no store is asked for anything.
 * Where a range in the CDB has its corners: test_corners.c.
 */
#include "tests/scsi/cdb_fields.h"
#include "tests/scsi/copy_kit.h"
#include "tests/scsi/pi_kit.h"
#include <string.h>

enum { TOKEN_LEN = 512, LIST_ID = 7 };

struct bench {
	struct harness h;
	uint64_t cap;
	uint8_t token[TOKEN_LEN]; /* of all blocks; read only */
	unsigned n_good, n_refused;
};

/* One range and what it ends with; by @other, the other side of a copy has it. */
struct play {
	uint64_t lba;
	uint32_t n;
	bool other;
	enum scsi_sense_code code;
	uint64_t info;
};

/* ---- the commands, with one range ---- */

static const struct answer *send_list(struct bench *b, const struct scsi_op *op,
				      const uint8_t *list, uint32_t len)
{
	const struct cdb_field *field = cdb_field_of(op);
	struct sent sent = {.out = list, .out_len = len};

	cdb_begin(sent.cdb, op);
	if (op->opcode == 0x83)
		be32_put(sent.cdb + 6, LIST_ID);
	cdb_put(sent.cdb + field->at, field->len, len);
	return harness_send(&b->h, &sent);
}

static void put_range(uint8_t *to, const struct play *p)
{
	be64_put(to, p->lba);
	be32_put(to + 8, p->n);
}

static const struct answer *unmap(struct bench *b, const struct scsi_op *op, const struct play *p)
{
	uint8_t list[24] = {0, 22, 0, 16};

	put_range(list + 8, p);
	return send_list(b, op, list, sizeof(list));
}

static const struct answer *populate(struct bench *b, const struct scsi_op *op,
				     const struct play *p)
{
	uint8_t list[32] = {0, 30, [15] = 16};

	put_range(list + 16, p);
	return send_list(b, op, list, sizeof(list));
}

static const struct answer *use_token(struct bench *b, const struct scsi_op *op,
				      const struct play *p)
{
	uint8_t list[552] = {0};

	be16_put(list, sizeof(list) - 2);
	memcpy(list + 16, b->token, TOKEN_LEN);
	be16_put(list + 534, 16);
	put_range(list + 536, p);
	return send_list(b, op, list, sizeof(list));
}

static const struct answer *extended_copy(struct bench *b, const struct scsi_op *op,
					  const struct play *p)
{
	static struct xlist x;
	struct seg seg = {0, 0, (uint16_t)p->n, p->other ? 0 : p->lba, p->other ? p->lba : 0};

	if (op->sa)
		xlist_lid4(&x, 0, 3, false);
	else
		xlist_lid1(&x, 0, 3);
	xlist_cscd(&x, b->h.lus[0], false);
	xlist_seg(&x, &seg);
	xlist_end(&x);
	return xlist_send(&b->h, 0, 0, &x);
}

static const struct list_command {
	uint8_t opcode, sa;
	const struct answer *(*send)(struct bench *b, const struct scsi_op *op,
				     const struct play *p);
	uint8_t n_len;
	bool both_sides, in_segment;
} list_commands[] = {
	{0x42, NO_SA, unmap, 4, false, false},	    {0x83, 0x00, extended_copy, 2, true, true},
	{0x83, 0x01, extended_copy, 2, true, true}, {0x83, 0x10, populate, 4, false, false},
	{0x83, 0x11, use_token, 4, false, false},
};

/* ---- what they end with ---- */

static void expect(const struct bench *b, const struct list_command *command, struct play *p)
{
	p->code = SENSE_NONE;
	if (p->lba <= b->cap && p->n <= b->cap - p->lba)
		return;
	p->code = command->in_segment ? SENSE_COPY_ABORTED : SENSE_LBA_OUT_OF_RANGE;
	p->info = p->lba > b->cap ? p->lba : b->cap;
}

static void check(struct bench *b, const struct list_command *command, const struct play *p,
		  const struct answer *a, unsigned n_before)
{
	if (p->code == SENSE_NONE) {
		assert_good(a);
		b->n_good++;
		return;
	}
	assert_check(a, p->code);
	assert_int_equal(pi_kit_requests(), n_before);
	if (command->in_segment) {
		assert_true(a->sense.has_field && a->sense.in_segment);
		assert_int_equal(a->sense.field, p->other ? 20 : 12);
	} else {
		assert_true(a->sense.has_info && a->sense.info == p->info);
	}
	b->n_refused++;
}

static const uint64_t *lbas_of(const struct bench *b)
{
	static uint64_t lbas[13];
	const uint64_t all[] = {0,
				1,
				b->cap - 1,
				b->cap,
				b->cap + 1,
				(UINT64_C(1) << 31) - 1,
				UINT64_C(1) << 31,
				UINT32_MAX,
				UINT64_C(1) << 32,
				INT64_MAX,
				UINT64_C(1) << 63,
				UINT64_MAX - 1,
				UINT64_MAX};

	_Static_assert(sizeof(lbas) == sizeof(all), "all of them");
	memcpy(lbas, all, sizeof(all));
	return lbas;
}
#define N_LBAS 13

static void corners_of_list(struct bench *b, const struct scsi_op *op,
			    const struct list_command *command)
{
	const uint64_t numbers[] = {
		0,	    1,		2,	   b->cap - 1,	      b->cap,
		b->cap + 1, UINT16_MAX, INT32_MAX, UINT64_C(1) << 31, UINT32_MAX};
	const uint64_t *lbas = lbas_of(b);

	for (int other = 0; other <= command->both_sides; other++)
		for (unsigned i = 0; i < N_LBAS; i++)
			for (unsigned j = 0; j < sizeof(numbers) / sizeof(numbers[0]); j++) {
				struct play p = {lbas[i], (uint32_t)numbers[j], .other = other};
				unsigned n = pi_kit_requests();

				if (!cdb_fits(numbers[j], command->n_len) ||
				    (other && p.n > b->cap)) /* which its source is, too */
					continue;
				expect(b, command, &p);
				check(b, command, &p, command->send(b, op, &p), n);
			}
}

static void lists_of(struct bench *b, const struct scsi_op *op)
{
	for (unsigned i = 0; i < sizeof(list_commands) / sizeof(list_commands[0]); i++)
		if (list_commands[i].opcode == op->opcode && list_commands[i].sa == op->sa) {
			corners_of_list(b, op, &list_commands[i]);
			return;
		}
	fail_msg("%s: say in list_commands[] how its list holds LBAs", op->name);
}

/* ---- where a command starts from ---- */

static void lba_status(struct bench *b, const struct answer *a, uint64_t lba)
{
	if (lba < b->cap) {
		assert_good(a);
		assert_true(be64_get(a->data + 8) == lba);
		assert_int_equal(be32_get(a->data + 16), b->cap - lba);
		return;
	}
	assert_check(a, SENSE_LBA_OUT_OF_RANGE);
	assert_true(a->sense.has_info && a->sense.info == lba);
}

/* One segment has them all. */
static void referrals(struct bench *b, const struct answer *a, uint64_t lba)
{
	if (lba < b->cap) {
		assert_good(a);
		assert_true(be64_get(a->data + 8) == 0 && be64_get(a->data + 16) == b->cap - 1);
		return;
	}
	assert_check(a, SENSE_LBA_OUT_OF_RANGE);
	assert_true(a->sense.has_info && a->sense.info == lba);
}

static void track_information(struct bench *b, const struct answer *a, uint64_t lba)
{
	if (lba < b->cap)
		assert_good(a);
	else
		assert_bad_field(a, 2, 7);
}

static void start_of(struct bench *b, const struct scsi_op *op)
{
	const struct cdb_field *field = cdb_field_of(op);
	const uint64_t *lbas = lbas_of(b);
	unsigned lba_len = op->cdb_len == 16 ? 8 : 4;

	for (unsigned i = 0; i < N_LBAS; i++) {
		struct sent sent = {.expect_in = 64};
		unsigned n = pi_kit_requests();

		if (!cdb_fits(lbas[i], lba_len))
			continue;
		cdb_begin(sent.cdb, op);
		cdb_put(sent.cdb + 2, lba_len, lbas[i]);
		cdb_put(sent.cdb + field->at, field->len, 64);
		harness_send(&b->h, &sent);
		if (op->opcode == 0x9e && op->sa == 0x12)
			lba_status(b, &b->h.answer, lbas[i]);
		else if (op->opcode == 0x9e && op->sa == 0x13)
			referrals(b, &b->h.answer, lbas[i]);
		else if (op->opcode == 0x52)
			track_information(b, &b->h.answer, lbas[i]);
		else
			fail_msg("%s: say here what it answers", op->name);
		assert_int_equal(pi_kit_requests(), n);
	}
}

/* ---- */

static void take_token(struct bench *b)
{
	const struct scsi_op populate_token = {.opcode = 0x83, .sa = 0x10, .cdb_len = 16};
	const struct answer *a;

	assert_good(populate(b, &populate_token, &(struct play){.n = (uint32_t)b->cap}));
	a = kit_receive(&b->h, 0, 0, 0x07, LIST_ID);
	assert_good(a);
	assert_int_equal(a->len, 38 + TOKEN_LEN);
	memcpy(b->token, a->data + 38, TOKEN_LEN);
}

static void corners(void **state)
{
	static const uint16_t port = 1;
	const struct scsi_alua_group group = {
		.id = 1, .state = ALUA_OPTIMIZED, .ports = &port, .n_ports = 1};
	const struct scsi_alua_config alua = {
		.groups = &group, .n_groups = 1, .implicit = true, .referrals = true};
	const struct pi_kit_kind *kind = *state;
	struct scsi_lu_config cfg = pi_kit_config_of(kind);
	static struct bench b;
	unsigned n_rows = 0;

	b = (struct bench){.cap = PI_SIZE / kind->block_size};
	harness_start(&b.h);
	assert_int_equal(scsi_target_set_alua(b.h.target, &alua), 0);
	assert_int_equal(scsi_target_add_port(b.h.target, 1), 0);
	harness_map(&b.h, 0, &cfg);
	harness_settle(&b.h);
	if (!kind->cdrom)
		take_token(&b);
	for (unsigned i = 0; scsi_op_at(i); i++) {
		const struct scsi_op *op = scsi_op_at(i);
		enum cdb_takes takes = cdb_field_of(op)->takes;

		if (!scsi_op_offered_to(op, b.h.lus[0], b.h.nexus[0]))
			continue;
		if (takes == TAKES_LBA_LIST)
			lists_of(&b, op);
		else if (takes == TAKES_LBA)
			start_of(&b, op);
		n_rows += takes == TAKES_LBA_LIST || takes == TAKES_LBA;
	}
	assert_true(n_rows >= (kind->cdrom ? 1 : 6));
	assert_true(kind->cdrom || (b.n_good > 50 && b.n_refused > 300));
	harness_stop(&b.h);
}

int main(void)
{
	return pi_kit_run_kinds(corners);
}
