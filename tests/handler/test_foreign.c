/* SPDX-License-Identifier: Apache-2.0 */
/* What a LU offers on a nexus whose target port, reservations and port groups are LIO's. */
#include "scsi/task.h"
#include "tests/handler/rig.h"

enum { TPGS = 0x30, PORT_ASSOCIATION = 0x30 };

/* REPORT SUPPORTED OPERATION CODES for one opcode. Return: SUPPORT of the answer. */
static uint8_t support_of(struct rig *rig, uint8_t opcode)
{
	struct kernel_cmd *cmd =
		SEND(rig, .cdb = {0xa3, 0x0c, 1, opcode, 0, 0, 0, 0, 0, 64}, .len = 64);

	if (cmd->status != STATUS_GOOD) {
		assert_sense(cmd, SENSE_INVALID_FIELD_IN_CDB); /* it has service actions */
		return 3;
	}
	return cmd->data[1] & 7;
}

/* Whether the list of all commands has the opcode. */
static bool is_listed(struct rig *rig, uint8_t opcode)
{
	struct kernel_cmd *cmd =
		SEND(rig, .cdb = {0xa3, 0x0c, 0, 0, 0, 0, 0, 0, 0x20, 0}, .len = 8192);

	assert_int_equal(cmd->status, STATUS_GOOD);
	for (uint32_t i = 4; i + 8 <= cmd->read_len; i += 8)
		if (cmd->data[i] == opcode)
			return true;
	return false;
}

static void lio_keeps_reservations_and_groups(void **state)
{
	static const uint8_t opcodes[] = {0x16, 0x17, 0x56, 0x57, 0x5e, 0x5f};
	struct rig rig;

	rig_start(&rig, state, NULL, false);
	rig_greet(&rig);
	for (unsigned i = 0; i < sizeof(opcodes); i++) {
		assert_sense(SEND(&rig, .cdb = {opcodes[i], 0, 0, 0, 0, 0, 0, 0, 8}, .len = 8),
			     SENSE_INVALID_OPCODE);
		assert_int_equal(support_of(&rig, opcodes[i]), 1);
		assert_false(is_listed(&rig, opcodes[i]));
	}
	assert_sense(SEND(&rig, .cdb = {0x5e, 2, 0, 0, 0, 0, 0, 0, 8}, .len = 8),
		     SENSE_INVALID_OPCODE);
	assert_int_equal(SEND(&rig, .cdb = {0x12, 0, 0, 0, 96}, .len = 96)->data[5] & TPGS, 0);
	assert_sense(SEND(&rig, .cdb = {0xa3, 0x0a, 0, 0, 0, 0, 0, 0, 0, 64}, .len = 64),
		     SENSE_INVALID_FIELD_IN_CDB);
	assert_true(is_listed(&rig, 0xa3)); /* others of that opcode are there */
	rig_stop(&rig);
}

static void the_core_keeps_what_it_is_told_to(void **state)
{
	struct kernel_cmd *cmd;
	struct rig rig;

	rig_start(&rig, state, NULL, true);
	rig_greet(&rig);
	cmd = SEND(&rig, .cdb = {0x5e, 2, 0, 0, 0, 0, 0, 0, 8}, .len = 8);
	assert_int_equal(cmd->status, STATUS_GOOD);
	assert_true(is_listed(&rig, 0x5f));
	assert_true(SEND(&rig, .cdb = {0x12, 0, 0, 0, 96}, .len = 96)->data[5] & TPGS);
	cmd = SEND(&rig, .cdb = {0xa3, 0x0a, 0, 0, 0, 0, 0, 0, 0, 64}, .len = 64);
	assert_int_equal(cmd->status, STATUS_GOOD);
	rig_stop(&rig);
}

/* Nothing could clear an ACA condition, and it would be of all initiators at once. */
static void aca_cannot_be_had(void **state)
{
	struct rig rig;

	rig_start(&rig, state, NULL, true);
	rig_greet(&rig);
	assert_int_equal(SEND(&rig, .cdb = {0x12, 0, 0, 0, 96}, .len = 96)->data[3] & 0x20, 0);
	assert_sense(SEND(&rig, .cdb = {0x28, 0, 0xff, 0, 0, 0, 0, 0, 1, 0x04}, .len = 512),
		     SENSE_INVALID_FIELD_IN_CDB);
	assert_int_equal(SEND(&rig, .cdb = {0x00})->status, STATUS_GOOD);
	rig_stop(&rig);
}

/* Where both front ends have the LU, nobody reserves it. */
static void a_shared_lu_has_no_reservations(void **state)
{
	struct scsi_lu_config cfg = rig_lu_config();
	struct rig rig;

	cfg.no_reservations = true;
	rig_start(&rig, state, &cfg, true);
	rig_greet(&rig);
	assert_sense(SEND(&rig, .cdb = {0x5e, 2, 0, 0, 0, 0, 0, 0, 8}, .len = 8),
		     SENSE_INVALID_OPCODE);
	assert_sense(SEND(&rig, .cdb = {0x16}), SENSE_INVALID_OPCODE);
	assert_false(is_listed(&rig, 0x5f));
	rig_stop(&rig);
}

/* The LU has the same names on every path; the ports are not ours to name. */
static void names_the_lu_and_no_port(void **state)
{
	static const uint8_t naa_begins[] = {0x01, 0x03, 0, 8, 0x39}; /* of rig_lu_config() */
	struct kernel_cmd *cmd;
	struct rig rig;

	rig_start(&rig, state, NULL, true);
	cmd = SEND(&rig, .cdb = {0x12, 1, 0x83, 1, 0}, .len = 256);
	assert_int_equal(cmd->status, STATUS_GOOD);
	assert_memory_equal(cmd->data + 4, naa_begins, sizeof(naa_begins));
	for (uint32_t at = 4; at < cmd->read_len; at += 4 + cmd->data[at + 3])
		assert_int_equal(cmd->data[at + 1] & PORT_ASSOCIATION, 0);
	cmd = SEND(&rig, .cdb = {0x12, 1, 0x80, 1, 0}, .len = 256);
	assert_memory_equal(cmd->data + 4, "123456789abc4def8123456789abcdef", 32);
	cmd = SEND(&rig, .cdb = {0x12, 1, 0, 1, 0}, .len = 256);
	for (uint32_t i = 4; i < cmd->read_len; i++)
		assert_int_not_equal(cmd->data[i], 0x88);
	assert_sense(SEND(&rig, .cdb = {0x12, 1, 0x88, 1, 0}, .len = 256),
		     SENSE_INVALID_FIELD_IN_CDB);
	rig_stop(&rig);
}

int main(void)
{
	/* clang-format off */
	const struct CMUnitTest tests[] = {
		on_both(lio_keeps_reservations_and_groups),
		on_both(the_core_keeps_what_it_is_told_to),
		on_both(aca_cannot_be_had),
		on_both(a_shared_lu_has_no_reservations),
		on_both(names_the_lu_and_no_port),
	};
	/* clang-format on */

	return cmocka_run_group_tests(tests, NULL, NULL);
}
