/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parameter lists of PERSISTENT RESERVE OUT: their lengths, TransportIDs with SPEC_I_PT, ALL_TG_PT,
 * REGISTER AND MOVE.
 */
#include "scsi/pr/pr_priv.h"
#include "tests/scsi/pr_kit.h"
#include <string.h>

enum { READ_10 = 0x28, PR_OUT = 0x5f };

/* ---- SPEC_I_PT, ALL_TG_PT ---- */

struct ids {
	uint8_t list[1024];
	size_t len;
};

static struct ids ids_begin(uint64_t key, uint64_t sa_key, uint8_t flags)
{
	struct ids ids = {.len = 28};

	be64_put(ids.list, key);
	be64_put(ids.list + 8, sa_key);
	ids.list[20] = flags;
	return ids;
}

static void ids_add(struct ids *ids, uint8_t first, const char *name)
{
	ids->len += put_transport_id(ids->list + ids->len, first, name);
	be32_put(ids->list + 24, (uint32_t)ids->len - 28);
}

static const struct answer *ids_send(struct pr_kit *kit, unsigned who, unsigned action,
				     const struct ids *ids)
{
	return pr_out_list(kit, who, action, 0, ids->list, (uint32_t)ids->len);
}

static void spec_i_pt_registers_others(void **state)
{
	struct ids ids = ids_begin(0, 1, PR_SPEC_I_PT);
	struct pr_kit kit;

	(void)state;
	kit_start(&kit, NULL);
	kit_register(&kit, C, 3);
	ids_add(&ids, 0x45, "iqn.2024-01.example:b,I,0X23D00000B"); /* as it may be spelt */
	ids_add(&ids, 0x45, "iqn.2024-01.example:absent,i,0x00023d00000f");
	ids_add(&ids, 0x45, kit_initiators[C]); /* stays as it is */
	assert_good(ids_send(&kit, A, PR_REGISTER, &ids));
	assert_keys(&kit, 3, 1, 1, 1);
	assert_int_equal(kit_generation(&kit), 2);
	kit_reserve(&kit, B, 1, PR_EXCLUSIVE_ACCESS);
	kit_stop(&kit);
}

/* Format 00b: all ports of that device that the LU knows. */
static void spec_i_pt_by_device(void **state)
{
	struct ids ids = ids_begin(0, 1, PR_SPEC_I_PT);
	struct pr_kit kit;

	(void)state;
	kit_start(&kit, NULL);
	ids_add(&ids, 0x05, "iqn.2024-01.example:b");
	assert_good(ids_send(&kit, A, PR_REGISTER, &ids));
	assert_keys(&kit, 1, 1);
	kit_reserve(&kit, B, 1, PR_EXCLUSIVE_ACCESS);
	ids = ids_begin(0, 1, PR_SPEC_I_PT);
	ids_add(&ids, 0x05, "iqn.2024-01.example:bb");
	assert_bad_param(ids_send(&kit, C, PR_REGISTER, &ids), 32, -1);
	assert_keys(&kit, 1, 1);
	kit_stop(&kit);
}

static void spec_i_pt_is_for_newcomers(void **state)
{
	struct ids ids = ids_begin(0, 2, PR_SPEC_I_PT);
	struct pr_kit kit;

	(void)state;
	kit_start(&kit, NULL);
	ids_add(&ids, 0x45, kit_initiators[B]);
	assert_bad_param(ids_send(&kit, A, PR_REGISTER_AND_IGNORE, &ids), 20, 3);
	kit_register(&kit, A, 1);
	assert_conflict(ids_send(&kit, A, PR_REGISTER, &ids)); /* the key is wrong */
	be64_put(ids.list, 1);
	assert_bad_param(ids_send(&kit, A, PR_REGISTER, &ids), 20, 3);
	assert_keys(&kit, 1);
	/* without the bit, nothing may follow */
	ids.list[20] = 0;
	assert_check(ids_send(&kit, A, PR_REGISTER, &ids), SENSE_PARAMETER_LIST_LENGTH);
	kit_stop(&kit);
}

/* All or nothing: what is wrong with one TransportID is wrong with the command. */
static void bad_transport_ids(void **state)
{
	static const struct {
		uint8_t first;
		const char *name;
		unsigned at; /* in the TransportID */
	} bad[] = {
		{0x46, "iqn.2024-01.example:b,i,0x00023d00000b", 0},   /* SAS */
		{0x85, "iqn.2024-01.example:b,i,0x00023d00000b", 0},   /* format 10b */
		{0x45, "iqn.2024-01.example:b", 4},		       /* no ISID */
		{0x45, "iqn.2024-01.example:b,i,0x", 4},	       /* none either */
		{0x45, "iqn.2024-01.example:b,i,0x00023d0000000b", 4}, /* too long */
		{0x45, "iqn.2024-01.example:b,i,0x00023g00000b", 4},   /* no digit */
		{0x45, "iqn.2024-01.example:b,t,0x00023d00000b", 4},   /* a target's */
		{0x45, ",i,0x00023d00000b", 4},
		{0x05, "iqn.2024-01.example:b,i,0x00023d00000b", 4}, /* a device has no ISID */
		{0x05, "iqn.2024-01.example: ", 4},
	};
	static const uint16_t lengths[] = {0, 16, 39, 41, 48, 0xfffc, 256};
	char long_name[600];
	struct ids ids;
	struct pr_kit kit;
	size_t second;

	(void)state;
	kit_start(&kit, NULL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ids = ids_begin(0, 1, PR_SPEC_I_PT);
		ids_add(&ids, 0x45, kit_initiators[C]);
		second = ids.len;
		ids_add(&ids, bad[i].first, bad[i].name);
		assert_bad_param(ids_send(&kit, A, PR_REGISTER, &ids), (unsigned)second + bad[i].at,
				 -1);
		assert_keys(&kit, 0);
	}
	assert_int_equal(kit_generation(&kit), 0);

	/* lengths: below 20, no multiple of four, past the end, no NUL at the end */
	ids = ids_begin(0, 1, PR_SPEC_I_PT);
	ids_add(&ids, 0x45, kit_initiators[C]);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		be16_put(ids.list + 30, lengths[i]);
		assert_bad_param(ids_send(&kit, A, PR_REGISTER, &ids), 30, -1);
	}
	/* a name without a NUL behind it, a length that no name has */
	ids = ids_begin(0, 1, PR_SPEC_I_PT);
	ids_add(&ids, 0x45, "iqn.2024-01.example:cde,i,0x00023d00000c");
	be16_put(ids.list + 30, 40);
	ids.len -= 4;
	be32_put(ids.list + 24, (uint32_t)ids.len - 28);
	assert_bad_param(ids_send(&kit, A, PR_REGISTER, &ids), 32, -1);
	ids = ids_begin(0, 1, PR_SPEC_I_PT);
	memset(long_name, 'n', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	ids_add(&ids, 0x05, long_name);
	assert_bad_param(ids_send(&kit, A, PR_REGISTER, &ids), 30, -1);
	/* a header that is cut off */
	ids = ids_begin(0, 1, PR_SPEC_I_PT);
	ids_add(&ids, 0x45, kit_initiators[C]);
	second = ids.len;
	ids.len += 3;
	be32_put(ids.list + 24, (uint32_t)ids.len - 28);
	assert_bad_param(ids_send(&kit, A, PR_REGISTER, &ids), (unsigned)second, -1);
	/* TRANSPORTID PARAMETER DATA LENGTH against that of the list */
	be32_put(ids.list + 24, (uint32_t)ids.len - 27);
	assert_check(ids_send(&kit, A, PR_REGISTER, &ids), SENSE_PARAMETER_LIST_LENGTH);
	be32_put(ids.list + 24, (uint32_t)ids.len - 29);
	assert_check(ids_send(&kit, A, PR_REGISTER, &ids), SENSE_PARAMETER_LIST_LENGTH);
	ids.len = 26;
	assert_check(ids_send(&kit, A, PR_REGISTER, &ids), SENSE_PARAMETER_LIST_LENGTH);
	/* no TransportID at all is a list as well */
	ids = ids_begin(0, 1, PR_SPEC_I_PT);
	assert_good(ids_send(&kit, A, PR_REGISTER, &ids));
	assert_keys(&kit, 1);
	kit_stop(&kit);
}

static void all_tg_pt_means_every_port(void **state)
{
	struct pr_kit kit;
	struct scsi_nexus *of_kit;

	(void)state;
	kit_start(&kit, NULL);
	assert_int_equal(scsi_target_add_port(kit.h.target, 1), 0);
	assert_int_equal(scsi_target_add_port(kit.h.target, 2), 0);
	assert_int_equal(scsi_target_add_port(kit.h.target, 7), 0);
	assert_good(pr_out_send(&kit, A, PR_REGISTER, 0, 0, 1, PR_ALL_TG_PT));
	assert_keys(&kit, 1, 1, 1);
	assert_int_equal(kit_generation(&kit), 1);
	of_kit = kit.n[B];
	assert_int_equal(
		scsi_nexus_new(kit.h.target, kit_initiators[A], 7, kit.h.engine, &kit.n[B]), 0);
	atomic_store(&kit_itl(&kit, B)->attentions, 0);
	kit_reserve(&kit, B, 1, PR_EXCLUSIVE_ACCESS);
	/* one of them goes; the others stay */
	assert_good(pr_out_send(&kit, B, PR_REGISTER, 0, 1, 0, 0));
	assert_reserved(&kit, 0, 0);
	assert_keys(&kit, 1, 1);
	assert_good(pr_out_send(&kit, A, PR_REGISTER, 0, 1, 0, PR_ALL_TG_PT));
	assert_keys(&kit, 0);
	scsi_nexus_free(kit.n[B]);
	kit.n[B] = of_kit;
	kit_stop(&kit);
}

/* ---- REGISTER AND MOVE ---- */

static struct ids move_begin(uint64_t key, uint64_t sa_key, uint8_t flags, uint16_t rel_port,
			     const char *to)
{
	struct ids ids = {.len = 24};

	be64_put(ids.list, key);
	be64_put(ids.list + 8, sa_key);
	ids.list[17] = flags;
	be16_put(ids.list + 18, rel_port);
	ids.len += put_transport_id(ids.list + 24, 0x45, to);
	be32_put(ids.list + 20, (uint32_t)ids.len - 24);
	return ids;
}

static void move_goes_to_anybody(void **state)
{
	struct ids ids = move_begin(1, 5, 0, 1, kit_initiators[B]);
	struct pr_kit kit;

	(void)state;
	kit_start(&kit, NULL);
	kit_register(&kit, A, 1);
	kit_reserve(&kit, A, 1, PR_EXCLUSIVE_ACCESS);
	assert_good(ids_send(&kit, A, PR_REGISTER_AND_MOVE, &ids));
	assert_keys(&kit, 1, 5);
	assert_reserved(&kit, PR_EXCLUSIVE_ACCESS, 5);
	assert_int_equal(kit_generation(&kit), 2);
	assert_good(KIT_SEND(&kit, B, .cdb = {READ_10, [8] = 1}, .expect_in = 512));
	assert_conflict(KIT_SEND(&kit, A, .cdb = {READ_10, [8] = 1}, .expect_in = 512));
	/* back, under a new key; who gives it away goes */
	ids = move_begin(5, 6, PR_MOVE_UNREG, 1, kit_initiators[A]);
	assert_good(ids_send(&kit, B, PR_REGISTER_AND_MOVE, &ids));
	assert_keys(&kit, 6);
	assert_reserved(&kit, PR_EXCLUSIVE_ACCESS, 6);
	assert_nobody_told(&kit);
	kit_stop(&kit);
}

static void move_is_checked(void **state)
{
	struct ids ids = move_begin(1, 5, 0, 1, kit_initiators[B]);
	struct pr_kit kit;

	(void)state;
	kit_start(&kit, NULL);
	kit_register(&kit, A, 1);
	kit_register(&kit, C, 1);
	assert_bad_field(ids_send(&kit, A, PR_REGISTER_AND_MOVE, &ids), 1, 4); /* nothing held */
	kit_reserve(&kit, A, 1, PR_EXCLUSIVE_ACCESS_REGISTRANTS);
	assert_conflict(ids_send(&kit, C, PR_REGISTER_AND_MOVE, &ids)); /* not by C */
	ids = move_begin(1, 0, 0, 1, kit_initiators[B]);
	assert_bad_param(ids_send(&kit, A, PR_REGISTER_AND_MOVE, &ids), 8, -1);
	ids = move_begin(1, 5, 0, 9, kit_initiators[B]);
	assert_bad_param(ids_send(&kit, A, PR_REGISTER_AND_MOVE, &ids), 18, -1);
	ids = move_begin(1, 5, 0, 1, kit_initiators[A]);
	assert_bad_param(ids_send(&kit, A, PR_REGISTER_AND_MOVE, &ids), 24, -1);
	ids = move_begin(1, 5, 0, 1, "iqn.2024-01.example:b");
	assert_bad_param(ids_send(&kit, A, PR_REGISTER_AND_MOVE, &ids), 28, -1);
	ids.list[24] = 0x05; /* a device is no nexus */
	assert_bad_param(ids_send(&kit, A, PR_REGISTER_AND_MOVE, &ids), 24, -1);
	ids = move_begin(1, 5, PR_MOVE_APTPL, 1, kit_initiators[B]);
	assert_bad_param(ids_send(&kit, A, PR_REGISTER_AND_MOVE, &ids), 17, 0);
	ids = move_begin(1, 5, 0, 1, kit_initiators[B]);
	be32_put(ids.list + 20, (uint32_t)ids.len - 20);
	assert_check(ids_send(&kit, A, PR_REGISTER_AND_MOVE, &ids), SENSE_PARAMETER_LIST_LENGTH);
	ids = move_begin(1, 5, 0, 1, kit_initiators[B]);
	ids.len += put_transport_id(ids.list + ids.len, 0x45, kit_initiators[C]);
	be32_put(ids.list + 20, (uint32_t)ids.len - 24);
	assert_bad_param(ids_send(&kit, A, PR_REGISTER_AND_MOVE, &ids), 26, -1);
	assert_keys(&kit, 1, 1);
	assert_reserved(&kit, PR_EXCLUSIVE_ACCESS_REGISTRANTS, 1);
	assert_good(pr_out_send(&kit, A, PR_RELEASE, PR_EXCLUSIVE_ACCESS_REGISTRANTS, 1, 0, 0));
	kit_reserve(&kit, A, 1, PR_EXCLUSIVE_ACCESS_ALL);
	ids = move_begin(1, 5, 0, 1, kit_initiators[B]);
	assert_conflict(ids_send(&kit, A, PR_REGISTER_AND_MOVE, &ids));
	kit_stop(&kit);
}

/* ---- the parameter list ---- */

static void list_lengths(void **state)
{
	uint8_t list[64] = {[15] = 1};
	struct pr_kit kit;

	(void)state;
	kit_start(&kit, NULL);
	kit_register(&kit, A, 1);
	for (unsigned action = 0; action < PR_ACTIONS; action++)
		for (uint32_t len = 0; len <= sizeof(list); len++) {
			if (len == PR_LIST_LEN)
				continue;
			/* MOVE from nothing is judged before its list is read to the end */
			if (action == PR_REGISTER_AND_MOVE && len > PR_LIST_LEN)
				continue;
			assert_check(pr_out_list(&kit, B, action, 1, list, len),
				     SENSE_PARAMETER_LIST_LENGTH);
		}
	/* a list that does not come whole is not acted upon */
	assert_check(KIT_SEND(&kit, B, .cdb = {PR_OUT, PR_REGISTER, [8] = 24}, .out = list,
			      .out_len = 23),
		     SENSE_PARAMETER_LIST_LENGTH);
	assert_check(KIT_SEND(&kit, B, .cdb = {PR_OUT, PR_REGISTER, [5] = 0xff, 0xff, 0xff, 0xff},
			      .out = list, .out_len = 24),
		     SENSE_PARAMETER_LIST_LENGTH);
	assert_keys(&kit, 1);
	kit_stop(&kit);
}

static void lists_in_pieces(void **state)
{
	uint8_t list[PR_LIST_LEN] = {[15] = 9};
	struct pr_kit kit;

	(void)state;
	kit_start(&kit, NULL);
	assert_good(KIT_SEND(&kit, A, .cdb = {PR_OUT, PR_REGISTER, [8] = 24}, .out = list,
			     .out_len = 24, .n_segments = 5));
	assert_keys(&kit, 9);
	kit_stop(&kit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spec_i_pt_registers_others),
		cmocka_unit_test(spec_i_pt_by_device),
		cmocka_unit_test(spec_i_pt_is_for_newcomers),
		cmocka_unit_test(bad_transport_ids),
		cmocka_unit_test(all_tg_pt_means_every_port),
		cmocka_unit_test(move_goes_to_anybody),
		cmocka_unit_test(move_is_checked),
		cmocka_unit_test(list_lengths),
		cmocka_unit_test(lists_in_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
