/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PERSISTENT RESERVE IN, and of OUT: REGISTER, RESERVE, RELEASE, CLEAR; who is told what.
 */
#include "scsi/pr/pr_priv.h"
#include "tests/scsi/pr_kit.h"
#include <stdio.h>
#include <string.h>

enum { READ_10 = 0x28, WRITE_10 = 0x2a, PR_IN = 0x5e, PR_OUT = 0x5f };

/* ---- REGISTER ---- */

static void register_by_the_table(void **state)
{
	struct pr_kit kit;

	(void)state;
	kit_start(&kit, NULL);
	assert_int_equal(kit_generation(&kit), 0);
	/* not registered: any key but 0 is a conflict; 0 for 0 does nothing */
	assert_conflict(pr_out_send(&kit, A, PR_REGISTER, 0, 7, 1, 0));
	assert_conflict(pr_out_send(&kit, A, PR_REGISTER, 0, 7, 0, 0));
	assert_int_equal(kit_generation(&kit), 0);
	assert_good(pr_out_send(&kit, A, PR_REGISTER, 0, 0, 0, 0));
	assert_keys(&kit, 0);
	assert_good(pr_out_send(&kit, A, PR_REGISTER, 0, 0, 1, 0));
	assert_keys(&kit, 1);
	/* registered: its own key, or a conflict */
	assert_conflict(pr_out_send(&kit, A, PR_REGISTER, 0, 0, 2, 0));
	assert_conflict(pr_out_send(&kit, A, PR_REGISTER, 0, 3, 2, 0));
	assert_good(pr_out_send(&kit, A, PR_REGISTER, 0, 1, 2, 0));
	assert_keys(&kit, 2);
	assert_good(pr_out_send(&kit, B, PR_REGISTER, 0, 0, 2, 0)); /* keys need not differ */
	assert_keys(&kit, 2, 2);
	assert_good(pr_out_send(&kit, A, PR_REGISTER, 0, 2, 0, 0));
	assert_keys(&kit, 2);
	assert_int_equal(kit_generation(&kit), 5);
	assert_nobody_told(&kit);
	kit_stop(&kit);
}

static void register_and_ignore_by_the_table(void **state)
{
	struct pr_kit kit;

	(void)state;
	kit_start(&kit, NULL);
	assert_good(pr_out_send(&kit, A, PR_REGISTER_AND_IGNORE, 0, 99, 0, 0));
	assert_keys(&kit, 0);
	assert_good(pr_out_send(&kit, A, PR_REGISTER_AND_IGNORE, 0, 99, 1, 0));
	assert_good(pr_out_send(&kit, A, PR_REGISTER_AND_IGNORE, 0, 99, 2, 0));
	assert_keys(&kit, 2);
	assert_good(pr_out_send(&kit, A, PR_REGISTER_AND_IGNORE, 0, 99, 0, 0));
	assert_keys(&kit, 0);
	assert_int_equal(kit_generation(&kit), 4);
	kit_stop(&kit);
}

/* Registrations are the initiator port's, not the session's. */
static void registrations_survive_sessions(void **state)
{
	struct pr_kit kit;

	(void)state;
	kit_start(&kit, NULL);
	kit_register(&kit, A, 1);
	kit_reserve(&kit, A, 1, PR_EXCLUSIVE_ACCESS);
	kit_reconnect(&kit, A);
	assert_keys(&kit, 1);
	assert_good(KIT_SEND(&kit, A, .cdb = {READ_10, [8] = 1}, .expect_in = 512));
	assert_conflict(KIT_SEND(&kit, B, .cdb = {READ_10, [8] = 1}, .expect_in = 512));
	assert_good(pr_out_send(&kit, A, PR_REGISTER, 0, 1, 5, 0));
	assert_reserved(&kit, PR_EXCLUSIVE_ACCESS, 5);
	kit_stop(&kit);
}

/* The same initiator port through another target port, or another target, is another nexus. */
static void a_nexus_has_two_ends(void **state)
{
	struct pr_kit kit;
	struct scsi_target *target;
	struct scsi_nexus *of_kit;

	(void)state;
	kit_start(&kit, NULL);
	kit_register(&kit, A, 1);
	kit_reserve(&kit, A, 1, PR_EXCLUSIVE_ACCESS_REGISTRANTS);
	of_kit = kit.n[B];
	assert_int_equal(
		scsi_nexus_new(kit.h.target, kit_initiators[A], 2, kit.h.engine, &kit.n[B]), 0);
	atomic_store(&kit_itl(&kit, B)->attentions, 0);
	assert_conflict(KIT_SEND(&kit, B, .cdb = {READ_10, [8] = 1}, .expect_in = 512));
	scsi_nexus_free(kit.n[B]);

	assert_int_equal(scsi_target_new("iqn.2024-01.example:other", &target), 0);
	assert_int_equal(scsi_target_map(target, 0, kit.lu), 0);
	assert_int_equal(scsi_nexus_new(target, kit_initiators[A], 1, kit.h.engine, &kit.n[B]), 0);
	atomic_store(&kit_itl(&kit, B)->attentions, 0);
	assert_conflict(KIT_SEND(&kit, B, .cdb = {READ_10, [8] = 1}, .expect_in = 512));
	kit_register(&kit, B, 2);
	assert_keys(&kit, 1, 2);
	assert_good(KIT_SEND(&kit, B, .cdb = {READ_10, [8] = 1}, .expect_in = 512));
	scsi_nexus_free(kit.n[B]);
	scsi_target_unref(target);
	kit.n[B] = of_kit;
	kit_stop(&kit);
}

static void registrations_are_limited(void **state)
{
	struct pr_kit kit;
	struct scsi_nexus *of_kit;
	char name[80];

	(void)state;
	kit_start(&kit, NULL);
	of_kit = kit.n[B];
	for (unsigned i = 0; i <= PR_MAX; i++) {
		const struct answer *a;

		snprintf(name, sizeof(name), "iqn.2024-01.example:many,i,0x%012x", i);
		assert_int_equal(scsi_nexus_new(kit.h.target, name, 1, kit.h.engine, &kit.n[B]), 0);
		atomic_store(&kit_itl(&kit, B)->attentions, 0);
		a = pr_out_send(&kit, B, PR_REGISTER, 0, 0, 1 + i, 0);
		if (i < PR_MAX)
			assert_good(a);
		else
			assert_check(a, SENSE_REGISTRATION_RESOURCES);
		scsi_nexus_free(kit.n[B]);
	}
	kit.n[B] = of_kit;
	assert_int_equal(kit_generation(&kit), PR_MAX);
	/* they can all be read, and cleared */
	assert_int_equal(
		be32_get(KIT_SEND(&kit, D, .cdb = {PR_IN, 0, [8] = 8}, .expect_in = 8)->data + 4),
		8 * PR_MAX);
	assert_int_equal(
		be32_get(KIT_SEND(&kit, D, .cdb = {PR_IN, 3, [8] = 8}, .expect_in = 8)->data + 4),
		PR_MAX * (24 + 4 + 44));
	assert_check(pr_out_send(&kit, A, PR_REGISTER_AND_IGNORE, 0, 0, 1, 0),
		     SENSE_REGISTRATION_RESOURCES);
	kit_stop(&kit);
}

/* ---- RESERVE, RELEASE ---- */

static void who_is_not_registered_may_not(void **state)
{
	static const uint8_t actions[] = {PR_RESERVE, PR_RELEASE,	    PR_CLEAR,
					  PR_PREEMPT, PR_PREEMPT_AND_ABORT, PR_REGISTER_AND_MOVE};
	uint8_t move[128] = {0};
	struct pr_kit kit;

	(void)state;
	kit_start(&kit, NULL);
	kit_register(&kit, A, 1);
	be64_put(move, 1);
	be64_put(move + 8, 2);
	be16_put(move + 18, 1);
	be32_put(move + 20, (uint32_t)put_transport_id(move + 24, 0x45, kit_initiators[C]));
	for (size_t i = 0; i < sizeof(actions); i++)
		for (unsigned who = A; who <= B; who++) {
			uint64_t key = who == A ? 7 : 1; /* not its own; another's */
			bool moves = actions[i] == PR_REGISTER_AND_MOVE;

			be64_put(move, key);
			assert_conflict(moves ? pr_out_list(&kit, who, actions[i], 1, move,
							    24 + be32_get(move + 20))
					      : pr_out_send(&kit, who, actions[i], 1, key, 1, 0));
		}
	assert_keys(&kit, 1);
	assert_int_equal(kit_generation(&kit), 1);
	kit_stop(&kit);
}

static void reserve_and_release(void **state)
{
	struct pr_kit kit;

	(void)state;
	for (size_t t = 0; t < KIT_TYPES; t++) {
		unsigned type = kit_types[t], other = kit_types[(t + 1) % KIT_TYPES];
		bool all = pr_type_is_all_registrants(type);

		kit_start_registered(&kit);
		kit_reserve(&kit, A, 1, type);
		assert_reserved(&kit, type, all ? 0 : 1);
		kit_reserve(&kit, A, 1, type); /* again: nothing new */
		assert_conflict(pr_out_send(&kit, A, PR_RESERVE, other, 1, 0, 0));
		if (all)
			kit_reserve(&kit, B, 2, type);
		else
			assert_conflict(pr_out_send(&kit, B, PR_RESERVE, type, 2, 0, 0));
		assert_conflict(pr_out_send(&kit, B, PR_RESERVE, other, 2, 0, 0));
		/* who holds nothing releases nothing */
		if (!all)
			assert_good(pr_out_send(&kit, B, PR_RELEASE, type, 2, 0, 0));
		assert_check(pr_out_send(&kit, A, PR_RELEASE, other, 1, 0, 0),
			     SENSE_INVALID_RELEASE);
		assert_check(pr_out_send(&kit, A, PR_RELEASE, 0x10 | type, 1, 0, 0),
			     SENSE_INVALID_RELEASE);
		assert_reserved(&kit, type, all ? 0 : 1);
		assert_nobody_told(&kit);
		assert_good(pr_out_send(&kit, all ? B : A, PR_RELEASE, type, all ? 2 : 1, 0, 0));
		assert_reserved(&kit, 0, 0);
		/* those who were let in hear that it is over; the one who ended it knows */
		assert_told(&kit, A, all ? SENSE_RESERVATIONS_RELEASED : SENSE_NONE);
		assert_told(&kit, B,
			    pr_type_is_shared(type) && !all ? SENSE_RESERVATIONS_RELEASED
							    : SENSE_NONE);
		assert_told(&kit, C,
			    pr_type_is_shared(type) ? SENSE_RESERVATIONS_RELEASED : SENSE_NONE);
		assert_told(&kit, D, SENSE_NONE);
		assert_good(pr_out_send(&kit, A, PR_RELEASE, type, 1, 0, 0)); /* there is none */
		assert_int_equal(kit_generation(&kit), 3); /* RESERVE and RELEASE do not count */
		kit_stop(&kit);
	}
}

static void unregistering_the_holder(void **state)
{
	struct pr_kit kit;

	(void)state;
	for (size_t t = 0; t < KIT_TYPES; t++) {
		unsigned type = kit_types[t];
		bool all = pr_type_is_all_registrants(type);

		kit_start(&kit, NULL);
		kit_register(&kit, B, 2);
		kit_register(&kit, A, 1);
		kit_register(&kit, C, 3);
		kit_reserve(&kit, A, 1, type);
		/* who does not hold it changes nothing by going */
		assert_good(pr_out_send(&kit, B, PR_REGISTER, 0, 2, 0, 0));
		assert_reserved(&kit, type, all ? 0 : 1);
		assert_good(pr_out_send(&kit, A, PR_REGISTER, 0, 1, 0, 0));
		assert_reserved(&kit, all ? type : 0, 0);
		assert_told(&kit, C,
			    pr_type_is_shared(type) && !all ? SENSE_RESERVATIONS_RELEASED
							    : SENSE_NONE);
		assert_good(pr_out_send(&kit, C, PR_REGISTER, 0, 3, 0, 0));
		assert_reserved(&kit, 0, 0);
		assert_keys(&kit, 0);
		assert_nobody_told(&kit);
		kit_stop(&kit);
	}
}

static void scope_and_type_are_checked(void **state)
{
	struct pr_kit kit;

	(void)state;
	kit_start(&kit, NULL);
	kit_register(&kit, A, 1);
	for (unsigned type = 0; type < 16; type++)
		if (!pr_type_is_valid(type))
			assert_bad_field(pr_out_send(&kit, A, PR_RESERVE, type, 1, 0, 0), 2, 3);
	for (unsigned scope = 1; scope < 16; scope++)
		assert_bad_field(pr_out_send(&kit, A, PR_RESERVE, scope << 4 | 1, 1, 0, 0), 2, 7);
	/* where they mean nothing they are not looked at */
	assert_good(pr_out_send(&kit, A, PR_REGISTER, 0xff, 1, 2, 0));
	assert_good(pr_out_send(&kit, A, PR_CLEAR, 0xff, 2, 0, 0));
	kit_stop(&kit);
}

/* ---- CLEAR ---- */

static void clear_tells_the_registered(void **state)
{
	struct pr_kit kit;

	(void)state;
	kit_start_registered(&kit);
	kit_reserve(&kit, B, 2, PR_WRITE_EXCLUSIVE_REGISTRANTS);
	assert_good(pr_out_send(&kit, A, PR_CLEAR, 0, 1, 0, 0));
	assert_keys(&kit, 0);
	assert_reserved(&kit, 0, 0);
	assert_int_equal(kit_generation(&kit), 4);
	assert_told(&kit, B, SENSE_RESERVATIONS_PREEMPTED);
	assert_told(&kit, C, SENSE_RESERVATIONS_PREEMPTED);
	assert_nobody_told(&kit);
	kit_stop(&kit);
}

/* ---- PERSISTENT RESERVE IN ---- */

static void capabilities(void **state)
{
	static const uint8_t expected[8] = {0, 8, 0x1c, 0x90, 0xea, 0x01, 0, 0};
	const struct answer *a;
	struct pr_kit kit;

	(void)state;
	kit_start(&kit, NULL);
	a = KIT_SEND(&kit, A, .cdb = {PR_IN, 2, [8] = 255}, .expect_in = 255);
	assert_good(a);
	assert_int_equal(a->len, 8);
	assert_memory_equal(a->data, expected, 8);
	/* what it says: no state directory, no APTPL */
	assert_bad_param(pr_out_send(&kit, A, PR_REGISTER, 0, 0, 1, PR_APTPL), 20, 0);
	assert_bad_param(pr_out_send(&kit, A, PR_REGISTER_AND_IGNORE, 0, 0, 1, PR_APTPL), 20, 0);
	assert_keys(&kit, 0);
	assert_good(pr_out_send(&kit, A, PR_REGISTER, 0, 0, 1, 0));
	kit_reserve(&kit, A, 1, 1);
	/* where it means nothing it is not looked at */
	assert_good(pr_out_send(&kit, A, PR_RELEASE, 1, 1, 0, PR_APTPL));
	kit_stop(&kit);
}

static void full_status(void **state)
{
	const struct answer *a;
	struct pr_kit kit;
	const uint8_t *d;

	(void)state;
	kit_start(&kit, NULL);
	kit_register(&kit, A, 0x1122334455667788);
	kit_register(&kit, B, 2);
	kit_reserve(&kit, B, 2, PR_WRITE_EXCLUSIVE);
	a = KIT_SEND(&kit, C, .cdb = {PR_IN, 3, [7] = 1}, .expect_in = 256);
	assert_good(a);
	assert_int_equal(be32_get(a->data), 2);
	assert_int_equal(be32_get(a->data + 4), a->len - 8);
	assert_int_equal(a->len, 8 + 2 * (24 + 4 + 40));
	d = a->data + 8;
	assert_int_equal(be64_get(d), 0x1122334455667788);
	assert_int_equal(d[12], 0);
	assert_int_equal(d[13], 0);
	assert_int_equal(be16_get(d + 18), 1);
	assert_int_equal(be32_get(d + 20), 44);
	assert_int_equal(d[24], 0x45);
	assert_int_equal(d[25], 0);
	assert_int_equal(be16_get(d + 26), 40);
	assert_string_equal((const char *)d + 28, kit_initiators[A]);
	assert_int_equal(d[28 + 39], 0);
	d += 24 + 44;
	assert_int_equal(be64_get(d), 2);
	assert_int_equal(d[12], 1);
	assert_int_equal(d[13], PR_WRITE_EXCLUSIVE);
	assert_string_equal((const char *)d + 28, kit_initiators[B]);
	assert_good(pr_out_send(&kit, B, PR_RELEASE, PR_WRITE_EXCLUSIVE, 2, 0, 0));
	kit_reserve(&kit, A, 0x1122334455667788, PR_EXCLUSIVE_ACCESS_ALL);
	a = KIT_SEND(&kit, C, .cdb = {PR_IN, 3, [7] = 1}, .expect_in = 256);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(a->data[8 + 68 * i + 12], 1);
		assert_int_equal(a->data[8 + 68 * i + 13], PR_EXCLUSIVE_ACCESS_ALL);
	}
	kit_stop(&kit);
}

/* The allocation length cuts the reply and nothing else. */
static void replies_are_cut(void **state)
{
	uint8_t whole[4][256];
	size_t len[4];
	struct pr_kit kit;

	(void)state;
	kit_start(&kit, NULL);
	kit_register(&kit, A, 1);
	kit_register(&kit, B, 2);
	kit_reserve(&kit, B, 2, PR_WRITE_EXCLUSIVE);
	for (uint8_t action = 0; action < 4; action++) {
		const struct answer *a =
			KIT_SEND(&kit, C, .cdb = {PR_IN, action, [7] = 1}, .expect_in = 256);

		len[action] = a->len;
		memcpy(whole[action], a->data, a->len);
		for (unsigned alloc = 0; alloc <= len[action]; alloc++) {
			a = KIT_SEND(&kit, C, .cdb = {PR_IN, action, [8] = (uint8_t)alloc},
				     .expect_in = 256);
			assert_good(a);
			assert_int_equal(a->in_len, alloc);
			if (alloc)
				assert_memory_equal(a->data, whole[action], alloc);
		}
	}
	assert_int_equal(len[0], 24);
	assert_int_equal(len[1], 24);
	for (unsigned action = 4; action < 32; action++)
		assert_bad_field(KIT_SEND(&kit, C, .cdb = {PR_IN, (uint8_t)action, [8] = 255},
					  .expect_in = 255),
				 1, 4);
	kit_stop(&kit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(register_by_the_table),
		cmocka_unit_test(register_and_ignore_by_the_table),
		cmocka_unit_test(registrations_survive_sessions),
		cmocka_unit_test(a_nexus_has_two_ends),
		cmocka_unit_test(registrations_are_limited),
		cmocka_unit_test(who_is_not_registered_may_not),
		cmocka_unit_test(reserve_and_release),
		cmocka_unit_test(unregistering_the_holder),
		cmocka_unit_test(scope_and_type_are_checked),
		cmocka_unit_test(clear_tells_the_registered),
		cmocka_unit_test(capabilities),
		cmocka_unit_test(full_status),
		cmocka_unit_test(replies_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
