/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may do what while something is reserved: every row of the command table, under every type,
 * from the holder, from another registrant and from a stranger, against the standards' tables,
 * which are written down here once more, command by command. A command that is not in here fails.
 */
#include "tests/scsi/pr_kit.h"
#include <stdio.h>
#include <string.h>

/*
 * A: allowed, C: conflict. The columns of SPC-5 r22, its table of commands allowed in the presence
 * of various reservations, SBC-4 r22 and MMC-6 r02g likewise:
 *
 *	0  write exclusive, from anybody but the holder
 *	1  exclusive access, likewise
 *	2  registrants only and all registrants types, from who is registered
 *	3  those of write exclusive, from who is not
 *	4  those of exclusive access, from who is not
 *
 * and that of SPC-2 r20 for a LU reserved by RESERVE from another initiator:
 *
 *	5
 */
#define ALWAYS "AAAAAA"
#define ALWAYS_BUT_RESERVE "AAAAAC"
#define READS "ACAACC"
#define WRITES "CCACCC"

static const struct entry {
	const char *name;
	const char *allowed;
	uint8_t byte4; /* of the CDB, where that decides */
} entries[] = {
	/* SPC */
	{"EXTENDED COPY (LID1)", WRITES},
	{"EXTENDED COPY (LID4)", WRITES},
	{"COPY OPERATION ABORT", WRITES},
	{"INQUIRY", ALWAYS},
	{"LOG SELECT", WRITES},
	{"LOG SENSE", ALWAYS},
	{"MODE SELECT (6)", WRITES},
	{"MODE SELECT (10)", WRITES},
	{"MODE SENSE (6)", READS},
	{"MODE SENSE (10)", READS},
	{"PERSISTENT RESERVE IN, READ KEYS", ALWAYS_BUT_RESERVE},
	{"PERSISTENT RESERVE IN, READ RESERVATION", ALWAYS_BUT_RESERVE},
	{"PERSISTENT RESERVE IN, REPORT CAPABILITIES", ALWAYS_BUT_RESERVE},
	{"PERSISTENT RESERVE IN, READ FULL STATUS", ALWAYS_BUT_RESERVE},
	{"PREVENT ALLOW MEDIUM REMOVAL", ALWAYS, 0},
	{"PREVENT ALLOW MEDIUM REMOVAL", WRITES, 1},
	{"READ BUFFER (10)", READS},
	{"READ BUFFER (16)", READS},
	{"RECEIVE COPY STATUS (LID1)", ALWAYS_BUT_RESERVE},
	{"RECEIVE COPY DATA (LID1)", ALWAYS_BUT_RESERVE},
	{"RECEIVE COPY OPERATING PARAMETERS", ALWAYS_BUT_RESERVE},
	{"RECEIVE COPY FAILURE DETAILS (LID1)", ALWAYS_BUT_RESERVE},
	{"RECEIVE COPY STATUS (LID4)", ALWAYS_BUT_RESERVE},
	{"RECEIVE COPY DATA (LID4)", ALWAYS_BUT_RESERVE},
	{"RECEIVE ROD TOKEN INFORMATION", ALWAYS_BUT_RESERVE},
	{"REPORT ALL ROD TOKENS", ALWAYS_BUT_RESERVE},
	{"RECEIVE DIAGNOSTIC RESULTS", READS},
	{"REPORT IDENTIFYING INFORMATION", ALWAYS},
	{"REPORT LUNS", ALWAYS},
	{"REPORT SUPPORTED OPERATION CODES", READS},
	{"REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS", READS},
	{"REPORT TARGET PORT GROUPS", ALWAYS},
	{"REPORT TIMESTAMP", ALWAYS},
	{"REQUEST SENSE", ALWAYS},
	{"SEND DIAGNOSTIC", WRITES},
	{"SET IDENTIFYING INFORMATION", WRITES},
	{"SET TARGET PORT GROUPS", WRITES},
	{"SET TIMESTAMP", WRITES},
	{"TEST UNIT READY", ALWAYS_BUT_RESERVE},
	{"WRITE BUFFER (10)", WRITES},
	/* SBC */
	{"COMPARE AND WRITE", WRITES},
	{"FORMAT UNIT", WRITES},
	{"GET LBA STATUS (16)", READS},
	{"ORWRITE (16)", WRITES},
	{"ORWRITE (32)", WRITES},
	{"POPULATE TOKEN", READS},
	{"PRE-FETCH (10)", READS},
	{"PRE-FETCH (16)", READS},
	{"READ (6)", READS},
	{"READ (10)", READS},
	{"READ (12)", READS},
	{"READ (16)", READS},
	{"READ (32)", READS},
	{"READ CAPACITY (10)", ALWAYS},
	{"READ CAPACITY (16)", ALWAYS},
	{"READ DEFECT DATA (10)", READS},
	{"READ DEFECT DATA (12)", READS},
	{"REPORT REFERRALS", ALWAYS},
	{"SANITIZE (OVERWRITE)", WRITES},
	{"SANITIZE (BLOCK ERASE)", WRITES},
	{"SANITIZE (CRYPTOGRAPHIC ERASE)", WRITES},
	{"SANITIZE (EXIT FAILURE MODE)", WRITES},
	{"START STOP UNIT", WRITES, 0x00},
	{"START STOP UNIT", ALWAYS, 0x01},
	{"START STOP UNIT", ALWAYS, 0x03}, /* LOEJ */
	{"START STOP UNIT", WRITES, 0x02},
	{"START STOP UNIT", WRITES, 0x11}, /* POWER CONDITION */
	{"SYNCHRONIZE CACHE (10)", WRITES},
	{"SYNCHRONIZE CACHE (16)", WRITES},
	{"UNMAP", WRITES},
	{"VERIFY (10)", READS},
	{"VERIFY (12)", READS},
	{"VERIFY (16)", READS},
	{"VERIFY (32)", READS},
	{"WRITE (6)", WRITES},
	{"WRITE (10)", WRITES},
	{"WRITE (12)", WRITES},
	{"WRITE (16)", WRITES},
	{"WRITE (32)", WRITES},
	{"WRITE AND VERIFY (10)", WRITES},
	{"WRITE AND VERIFY (12)", WRITES},
	{"WRITE AND VERIFY (16)", WRITES},
	{"WRITE AND VERIFY (32)", WRITES},
	{"WRITE ATOMIC (16)", WRITES},
	{"WRITE SAME (10)", WRITES},
	{"WRITE SAME (16)", WRITES},
	{"WRITE SAME (32)", WRITES},
	{"WRITE USING TOKEN", WRITES},
	/* MMC */
	{"GET CONFIGURATION", ALWAYS},
	{"GET EVENT STATUS NOTIFICATION", ALWAYS},
	{"MECHANISM STATUS", READS},
	{"READ DISC INFORMATION", READS},
	{"READ DISC STRUCTURE", READS},
	{"READ TOC/PMA/ATIP", READS},
	{"READ TRACK INFORMATION", READS},
};
#define N_ENTRIES (sizeof(entries) / sizeof(entries[0]))

static const struct {
	unsigned type;
	bool registrants, all; /* let in; and each of them a holder */
	unsigned others;       /* the column of those who are not let in */
} types[] = {
	{1, false, false, 0}, /* Write Exclusive */
	{3, false, false, 1}, /* Exclusive Access */
	{5, true, false, 3},  /* Write Exclusive - Registrants Only */
	{6, true, false, 4},  /* Exclusive Access - Registrants Only */
	{7, true, true, 3},   /* Write Exclusive - All Registrants */
	{8, true, true, 4},   /* Exclusive Access - All Registrants */
};
#define N_TYPES (sizeof(types) / sizeof(types[0]))

enum { COLUMN_REGISTRANTS = 2, COLUMN_RESERVED = 5 };
enum { HOLDER = A, REGISTRANT = B, STRANGER = C, N_ROLES };

/* As scsi_task_begin() asks; whether the LU offers the command makes no difference here. */
static bool is_allowed(struct pr_kit *kit, unsigned who, const struct scsi_op *op, uint8_t byte4)
{
	struct scsi_task task = {
		.nexus = kit->n[who],
		.itl = kit_itl(kit, who),
		.lu = kit->lu,
		.op = op,
		.cdb = {op->opcode, op->sa == NO_SA ? 0 : op->sa, [4] = byte4},
	};

	if (scsi_pr_check(&task) == SCSI_READY)
		return true;
	assert_int_equal(task.status, STATUS_RESERVATION_CONFLICT);
	return false;
}

static bool judges_itself(const struct scsi_op *op)
{
	return strncmp(op->name, "PERSISTENT RESERVE OUT", 22) == 0 ||
	       strncmp(op->name, "RESERVE (", 9) == 0 || strncmp(op->name, "RELEASE (", 9) == 0;
}

/* @column: of the entries; past the last one: everything is allowed. */
static void compare(struct pr_kit *kit, unsigned who, unsigned column, unsigned type)
{
	const struct scsi_op *op;

	for (unsigned i = 0; (op = scsi_op_at(i)); i++) {
		bool listed = judges_itself(op);

		for (size_t e = 0; e < N_ENTRIES; e++) {
			const char *allowed = entries[e].allowed;
			bool expected = column > COLUMN_RESERVED || allowed[column] == 'A';

			if (strcmp(entries[e].name, op->name) != 0)
				continue;
			listed = true;
			if (is_allowed(kit, who, op, entries[e].byte4) != expected)
				fail_msg("%s, byte 4 %02xh, type %u, nexus %u: should be %s",
					 op->name, entries[e].byte4, type, who,
					 expected ? "allowed" : "a conflict");
		}
		if (!listed)
			fail_msg("%s is not in the table of this test", op->name);
	}
}

static void every_command(void **state)
{
	struct pr_kit kit;

	(void)state;
	for (size_t t = 0; t < N_TYPES; t++) {
		kit_start(&kit, NULL);
		kit_register(&kit, HOLDER, 1);
		kit_register(&kit, REGISTRANT, 2);
		for (unsigned who = 0; who < N_ROLES; who++)
			compare(&kit, who, UINT32_MAX, 0); /* registrations alone bar nobody */
		kit_reserve(&kit, HOLDER, 1, types[t].type);
		compare(&kit, HOLDER, UINT32_MAX, types[t].type);
		compare(&kit, REGISTRANT,
			types[t].registrants ? COLUMN_REGISTRANTS : types[t].others, types[t].type);
		compare(&kit, STRANGER, types[t].others, types[t].type);
		assert_good(pr_out_send(&kit, HOLDER, PR_RELEASE, types[t].type, 1, 0, 0));
		for (unsigned who = 0; who < N_ROLES; who++)
			compare(&kit, who, UINT32_MAX, 0);
		kit_stop(&kit);
	}
}

static void every_command_under_reserve(void **state)
{
	struct pr_kit kit;

	(void)state;
	kit_start(&kit, NULL);
	assert_good(KIT_SEND(&kit, HOLDER, .cdb = {0x16}));
	compare(&kit, HOLDER, UINT32_MAX, 0);
	compare(&kit, STRANGER, COLUMN_RESERVED, 0);
	assert_good(KIT_SEND(&kit, HOLDER, .cdb = {0x17}));
	compare(&kit, STRANGER, UINT32_MAX, 0);
	kit_stop(&kit);
}

/* ---- PERSISTENT RESERVE OUT ---- */

/* SPC-5 r22, its table of service actions allowed; what GOOD does is tested elsewhere. */
static const struct {
	unsigned action;
	const char *good;     /* G or C: from holder, registrant, stranger */
	const char *good_all; /* the same with an all registrants type, where registrants hold */
} actions[] = {
	{PR_REGISTER, "GGG", "GGG"},
	{PR_REGISTER_AND_IGNORE, "GGG", "GGG"},
	{PR_RESERVE, "GCC", "GGC"},
	{PR_RELEASE, "GGC", "GGC"},
	{PR_CLEAR, "GGC", "GGC"},
	{PR_PREEMPT, "GGC", "GGC"},
	{PR_PREEMPT_AND_ABORT, "GGC", "GGC"},
	{PR_REGISTER_AND_MOVE, "GCC", "CCC"},
};

static const struct answer *play_action(struct pr_kit *kit, unsigned who, unsigned action,
					unsigned type)
{
	static const uint64_t keys[N_ROLES] = {1, 2, 3};
	uint8_t list[PR_LIST_LEN + PR_TRANSPORT_ID_MAX] = {[15] = 9, [19] = 1};
	uint64_t key = who == STRANGER && action == PR_REGISTER ? 0 : keys[who];
	bool preempts = action == PR_PREEMPT || action == PR_PREEMPT_AND_ABORT;
	size_t len;

	if (action != PR_REGISTER_AND_MOVE)
		return pr_out_send(kit, who, action, type, key,
				   preempts ? keys[who == HOLDER ? REGISTRANT : HOLDER] : 9, 0);
	be64_put(list, key);
	len = put_transport_id(list + PR_LIST_LEN, 0x45, kit_initiators[D]);
	be32_put(list + 20, (uint32_t)len);
	return pr_out_list(kit, who, action, type, list, (uint32_t)(PR_LIST_LEN + len));
}

static void every_service_action(void **state)
{
	struct pr_kit kit;

	(void)state;
	for (size_t t = 0; t < N_TYPES; t++)
		for (unsigned who = 0; who < N_ROLES; who++)
			for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
				const char *good =
					types[t].all ? actions[i].good_all : actions[i].good;
				const struct answer *a;

				kit_start(&kit, NULL);
				kit_register(&kit, HOLDER, 1);
				kit_register(&kit, REGISTRANT, 2);
				kit_reserve(&kit, HOLDER, 1, types[t].type);
				a = play_action(&kit, who, actions[i].action, types[t].type);
				if (good[who] == 'G')
					assert_good(a);
				else
					assert_conflict(a);
				kit_stop(&kit);
			}
}

/* ---- its place among the checks ---- */

static void unit_attention_conflict_readiness(void **state)
{
	struct scsi_lu_config cfg = harness_lu_config();
	struct pr_kit kit;

	(void)state;
	cfg.online = false;
	kit_start_on(&kit, &cfg);
	kit_register(&kit, A, 1);
	kit_reserve(&kit, A, 1, PR_EXCLUSIVE_ACCESS);
	scsi_lu_attention(kit.lu, UA_CAPACITY_CHANGED, kit.n[A]);
	assert_check(KIT_SEND(&kit, B, .cdb = {0x28, [8] = 1}, .expect_in = 512),
		     SENSE_CAPACITY_CHANGED);
	assert_conflict(KIT_SEND(&kit, B, .cdb = {0x28, [8] = 1}, .expect_in = 512));
	assert_check(KIT_SEND(&kit, A, .cdb = {0x28, [8] = 1}, .expect_in = 512),
		     SENSE_NOT_READY_OFFLINE);
	kit_stop(&kit);
}

/* A write that has begun keeps its right; what comes after the change is judged by it. */
static void changes_count_from_the_next_command_on(void **state)
{
	struct pr_kit kit;

	(void)state;
	kit_start(&kit, NULL);
	kit_register(&kit, A, 1);
	kit_register(&kit, B, 2);
	kit_reserve(&kit, A, 1, PR_EXCLUSIVE_ACCESS_REGISTRANTS);
	assert_good(KIT_SEND(&kit, B, .cdb = {0x28, [8] = 1}, .expect_in = 512));
	assert_good(pr_out_send(&kit, B, PR_REGISTER, 0, 2, 0, 0));
	assert_conflict(KIT_SEND(&kit, B, .cdb = {0x28, [8] = 1}, .expect_in = 512));
	kit_register(&kit, B, 2);
	assert_good(KIT_SEND(&kit, B, .cdb = {0x28, [8] = 1}, .expect_in = 512));
	kit_stop(&kit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_command),
		cmocka_unit_test(every_command_under_reserve),
		cmocka_unit_test(every_service_action),
		cmocka_unit_test(unit_attention_conflict_readiness),
		cmocka_unit_test(changes_count_from_the_next_command_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
