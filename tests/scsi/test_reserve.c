/* SPDX-License-Identifier: Apache-2.0 */
/* RESERVE and RELEASE (6) and (10), and how they get on with persistent reservations. */
#include "scsi/tmf.h"
#include "tests/scsi/pr_kit.h"
#include <stdlib.h>
#include <unistd.h>

enum {
	TEST_UNIT_READY = 0x00,
	REQUEST_SENSE = 0x03,
	INQUIRY = 0x12,
	RESERVE_6 = 0x16,
	RELEASE_6 = 0x17,
	START_STOP = 0x1b,
	READ_10 = 0x28,
	WRITE_10 = 0x2a,
	RESERVE_10 = 0x56,
	RELEASE_10 = 0x57,
	PR_IN = 0x5e,
	REPORT_LUNS = 0xa0,
};

static const struct answer *plain(struct pr_kit *kit, unsigned who, uint8_t opcode)
{
	return KIT_SEND(kit, who, .cdb = {opcode});
}

static void play(struct pr_kit *kit, uint8_t reserve, uint8_t release)
{
	assert_good(plain(kit, A, reserve));
	assert_good(plain(kit, A, reserve));
	assert_conflict(plain(kit, B, reserve));
	assert_good(plain(kit, B, release)); /* not its own: nothing happens */
	assert_conflict(plain(kit, B, reserve));
	assert_good(plain(kit, A, TEST_UNIT_READY));
	assert_conflict(plain(kit, B, TEST_UNIT_READY));
	assert_conflict(KIT_SEND(kit, B, .cdb = {READ_10, [8] = 1}, .expect_in = 512));
	assert_good(KIT_SEND(kit, A, .cdb = {READ_10, [8] = 1}, .expect_in = 512));
	assert_good(plain(kit, B, INQUIRY));
	assert_good(plain(kit, B, REQUEST_SENSE));
	assert_good(KIT_SEND(kit, B, .cdb = {REPORT_LUNS, [9] = 16}, .expect_in = 16));
	assert_good(KIT_SEND(kit, B, .cdb = {START_STOP, [4] = 1}));
	assert_conflict(KIT_SEND(kit, B, .cdb = {START_STOP}));
	assert_good(plain(kit, A, release));
	assert_good(plain(kit, B, TEST_UNIT_READY));
	assert_good(plain(kit, B, reserve));
	assert_conflict(plain(kit, A, reserve));
	assert_good(plain(kit, B, release));
}

static void one_at_a_time(void **state)
{
	struct pr_kit kit;

	(void)state;
	kit_start(&kit, NULL);
	play(&kit, RESERVE_6, RELEASE_6);
	play(&kit, RESERVE_10, RELEASE_10);
	play(&kit, RESERVE_6, RELEASE_10);
	kit_stop(&kit);
}

/* Third parties, extents, long identifications. */
static void the_obsolete_is_refused(void **state)
{
	static const struct {
		uint8_t opcode, byte, bits;
	} refused[] = {
		{RESERVE_6, 1, 0x10},  {RESERVE_6, 1, 0x01},  {RESERVE_6, 1, 0x0e},
		{RESERVE_6, 4, 0x80},  {RELEASE_6, 1, 0x10},  {RELEASE_6, 1, 0x01},
		{RESERVE_10, 1, 0x10}, {RESERVE_10, 1, 0x02}, {RESERVE_10, 1, 0x01},
		{RESERVE_10, 3, 0x80}, {RESERVE_10, 8, 0x80}, {RELEASE_10, 1, 0x10},
		{RELEASE_10, 1, 0x02}, {RELEASE_10, 3, 0x80},
	};
	struct pr_kit kit;

	(void)state;
	kit_start(&kit, NULL);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct sent sent = {.cdb = {refused[i].opcode}};

		sent.cdb[refused[i].byte] = refused[i].bits;
		assert_bad_field(kit_send(&kit, A, &sent), refused[i].byte,
				 31 - __builtin_clz(refused[i].bits));
	}
	assert_good(plain(&kit, B, RESERVE_6));
	kit_stop(&kit);
}

static void it_ends_with_its_nexus(void **state)
{
	struct pr_kit kit;

	(void)state;
	kit_start(&kit, NULL);
	assert_good(plain(&kit, A, RESERVE_6));
	kit_reconnect(&kit, B); /* another one's end changes nothing */
	assert_conflict(plain(&kit, B, TEST_UNIT_READY));
	kit_reconnect(&kit, A);
	assert_good(plain(&kit, B, TEST_UNIT_READY));
	assert_good(plain(&kit, B, RESERVE_6));
	assert_conflict(plain(&kit, A, RESERVE_6));
	kit_stop(&kit);
}

struct reset {
	struct scsi_tmf tmf;
	bool done;
};

static void reset_done(struct scsi_tmf *tmf)
{
	container_of(tmf, struct reset, tmf)->done = true;
}

static void it_ends_with_a_reset(void **state)
{
	static const enum scsi_tmf_function functions[] = {TMF_LU_RESET, TMF_TARGET_RESET};
	struct pr_kit kit;

	(void)state;
	kit_start(&kit, NULL);
	for (size_t i = 0; i < 2; i++) {
		struct reset reset = {
			.tmf = {.function = functions[i], .nexus = kit.n[B], .done = reset_done}};

		assert_good(plain(&kit, A, RESERVE_6));
		scsi_tmf_start(&reset.tmf);
		harness_wait(&kit.h, &reset.done);
		assert_int_equal(reset.tmf.response, TMF_COMPLETE);
		for (unsigned who = 0; who < KIT_NEXUSES; who++)
			atomic_store(&kit_itl(&kit, who)->attentions, 0);
		assert_good(plain(&kit, B, RESERVE_6));
		assert_good(plain(&kit, B, RELEASE_6));
	}
	kit_stop(&kit);
}

static void reset_spares_the_persistent(void **state)
{
	struct reset reset = {.tmf = {.function = TMF_LU_RESET, .done = reset_done}};
	struct pr_kit kit;

	(void)state;
	kit_start(&kit, NULL);
	kit_register(&kit, A, 1);
	kit_reserve(&kit, A, 1, PR_EXCLUSIVE_ACCESS);
	reset.tmf.nexus = kit.n[B];
	scsi_tmf_start(&reset.tmf);
	harness_wait(&kit.h, &reset.done);
	for (unsigned who = 0; who < KIT_NEXUSES; who++)
		atomic_store(&kit_itl(&kit, who)->attentions, 0);
	assert_keys(&kit, 1);
	assert_reserved(&kit, PR_EXCLUSIVE_ACCESS, 1);
	kit_stop(&kit);
}

/* SPC-2: each of the two keeps the other out, whoever asks. */
static void they_exclude_each_other(void **state)
{
	struct pr_kit kit;

	(void)state;
	kit_start(&kit, NULL);
	assert_good(plain(&kit, A, RESERVE_6));
	for (unsigned who = A; who <= B; who++) {
		for (uint8_t action = 0; action < 4; action++)
			assert_conflict(KIT_SEND(&kit, who, .cdb = {PR_IN, action, [8] = 64},
						 .expect_in = 64));
		assert_conflict(pr_out_send(&kit, who, PR_REGISTER, 0, 0, 1, 0));
		assert_conflict(pr_out_send(&kit, who, PR_REGISTER_AND_IGNORE, 0, 0, 1, 0));
	}
	assert_good(plain(&kit, A, RELEASE_6));
	kit_register(&kit, A, 1);
	for (unsigned who = A; who <= B; who++) {
		assert_conflict(plain(&kit, who, RESERVE_6));
		assert_conflict(plain(&kit, who, RELEASE_10));
	}
	assert_good(pr_out_send(&kit, A, PR_REGISTER, 0, 1, 0, 0));
	assert_good(plain(&kit, B, RESERVE_6));
	kit_stop(&kit);
}

/* While a PERSISTENT RESERVE OUT is on its way to the state file, nobody knows what will hold. */
static void reserve_waits_for_registrations(void **state)
{
	char dir[] = "/tmp/reserve.XXXXXX";
	struct pr_kit kit;

	(void)state;
	assert_non_null(mkdtemp(dir));
	kit_start(&kit, dir);
	kit.lu->pr_changing = true;
	assert_int_equal(plain(&kit, A, RESERVE_6)->status, STATUS_BUSY);
	assert_int_equal(plain(&kit, A, RELEASE_6)->status, STATUS_BUSY);
	kit_register(&kit, A, 1);
	assert_false(kit.lu->pr_changing);
	assert_good(pr_out_send(&kit, A, PR_CLEAR, 0, 1, 0, 0));
	assert_good(plain(&kit, A, RESERVE_6));
	kit_stop(&kit);
	assert_int_equal(rmdir(dir), 0);
}

/* CRH: who is let in by a persistent reservation is told GOOD, and nothing changes. */
static void compatible_handling(void **state)
{
	static const struct {
		unsigned type;
		bool registrant_good;
	} types[] = {
		{PR_WRITE_EXCLUSIVE, false},
		{PR_EXCLUSIVE_ACCESS, false},
		{PR_WRITE_EXCLUSIVE_REGISTRANTS, true},
		{PR_EXCLUSIVE_ACCESS_REGISTRANTS, true},
		{PR_WRITE_EXCLUSIVE_ALL, true},
		{PR_EXCLUSIVE_ACCESS_ALL, true},
	};
	static const uint8_t opcodes[] = {RESERVE_6, RELEASE_6, RESERVE_10, RELEASE_10};
	struct pr_kit kit;

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		bool all = pr_type_is_all_registrants(types[i].type);

		kit_start(&kit, NULL);
		kit_register(&kit, A, 1);
		kit_register(&kit, B, 2);
		kit_reserve(&kit, A, 1, types[i].type);
		for (size_t j = 0; j < sizeof(opcodes); j++) {
			assert_good(plain(&kit, A, opcodes[j]));
			if (types[i].registrant_good)
				assert_good(plain(&kit, B, opcodes[j]));
			else
				assert_conflict(plain(&kit, B, opcodes[j]));
			assert_conflict(plain(&kit, C, opcodes[j]));
			assert_keys(&kit, 1, 2);
			assert_reserved(&kit, types[i].type, all ? 0 : 1);
		}
		kit_stop(&kit);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_at_a_time),
		cmocka_unit_test(the_obsolete_is_refused),
		cmocka_unit_test(it_ends_with_its_nexus),
		cmocka_unit_test(it_ends_with_a_reset),
		cmocka_unit_test(reset_spares_the_persistent),
		cmocka_unit_test(they_exclude_each_other),
		cmocka_unit_test(reserve_waits_for_registrations),
		cmocka_unit_test(compatible_handling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
