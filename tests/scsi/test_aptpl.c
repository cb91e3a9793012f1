/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reservations that persist: what a new LU with the same UUID and state directory finds, after a
 * clean end and after kill -9 at any moment.
 */
#include "tests/scsi/kill_kit.h"
#include "tests/scsi/pr_kit.h"
#include "util/atomic_file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_10 = 0x28, PR_IN = 0x5e, N_KILLS = 50 };

#define FILE_NAME "123456789abc4def8123456789abcdef.pr"

static char dir[] = "/tmp/aptpl.XXXXXX";
static char path[128];

static int make_dir(void **state)
{
	(void)state;
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/%s", dir, FILE_NAME);
	return 0;
}

static int remove_dir(void **state)
{
	char temporary[160];

	(void)state;
	snprintf(temporary, sizeof(temporary), "%s/.%s.new", dir, FILE_NAME);
	unlink(temporary);
	unlink(path);
	return rmdir(dir);
}

static void aptpl_register(struct pr_kit *kit, unsigned who, uint64_t key)
{
	assert_good(pr_out_send(kit, who, PR_REGISTER_AND_IGNORE, 0, 0, key, PR_APTPL));
}

static bool ptpl_active(struct pr_kit *kit)
{
	const struct answer *a = KIT_SEND(kit, D, .cdb = {PR_IN, 2, [8] = 8}, .expect_in = 8);

	assert_good(a);
	assert_int_equal(a->data[2], 0x1d); /* PTPL_C */
	return a->data[3] & 1;
}

static void it_is_there_again(void **state)
{
	static const unsigned types[] = {0, 1, 3, 5, 6, 7, 8};
	struct pr_kit kit;

	(void)state;
	for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
		uint64_t key = types[t] < 7 ? 2 : 0;

		kit_start(&kit, dir);
		assert_false(ptpl_active(&kit));
		aptpl_register(&kit, A, 1);
		aptpl_register(&kit, B, 2);
		if (types[t])
			kit_reserve(&kit, B, 2, types[t]);
		assert_true(ptpl_active(&kit));
		kit_stop(&kit);

		kit_start(&kit, dir);
		assert_true(ptpl_active(&kit));
		assert_keys(&kit, 1, 2);
		assert_reserved(&kit, types[t], key);
		assert_int_equal(kit_generation(&kit), 0); /* as after any power on */
		if (types[t] == PR_EXCLUSIVE_ACCESS) {
			assert_conflict(
				KIT_SEND(&kit, A, .cdb = {READ_10, [8] = 1}, .expect_in = 512));
			assert_good(KIT_SEND(&kit, B, .cdb = {READ_10, [8] = 1}, .expect_in = 512));
		}
		/* and it changes from there */
		assert_good(pr_out_send(&kit, A, PR_CLEAR, 0, 1, 0, 0));
		kit_stop(&kit);

		kit_start(&kit, dir);
		assert_keys(&kit, 0);
		kit_stop(&kit);
		assert_int_equal(access(path, F_OK), -1);
	}
}

static void without_aptpl_it_is_lost(void **state)
{
	struct pr_kit kit;

	(void)state;
	kit_start(&kit, dir);
	kit_register(&kit, A, 1);
	kit_reserve(&kit, A, 1, PR_EXCLUSIVE_ACCESS);
	assert_int_equal(access(path, F_OK), -1);
	kit_stop(&kit);
	kit_start(&kit, dir);
	assert_keys(&kit, 0);
	assert_reserved(&kit, 0, 0);
	kit_stop(&kit);
}

/* The last command that registers decides for all registrations. */
static void the_last_one_decides(void **state)
{
	struct pr_kit kit;

	(void)state;
	kit_start(&kit, dir);
	aptpl_register(&kit, A, 1);
	kit_register(&kit, B, 2);
	assert_false(ptpl_active(&kit));
	assert_int_equal(access(path, F_OK), -1);
	aptpl_register(&kit, C, 3);
	assert_true(ptpl_active(&kit));
	kit_reserve(&kit, A, 1, PR_WRITE_EXCLUSIVE); /* as it was set: APTPL is not looked at */
	kit_stop(&kit);
	kit_start(&kit, dir);
	assert_keys(&kit, 1, 2, 3);
	assert_reserved(&kit, PR_WRITE_EXCLUSIVE, 1);
	kit_stop(&kit);
}

static void a_move_persists(void **state)
{
	uint8_t list[128] = {[7] = 1, [15] = 9, [17] = PR_MOVE_APTPL | PR_MOVE_UNREG, [19] = 1};
	size_t len = put_transport_id(list + 24, 0x45, kit_initiators[B]);
	struct pr_kit kit;

	(void)state;
	be32_put(list + 20, (uint32_t)len);
	kit_start(&kit, dir);
	kit_register(&kit, A, 1);
	kit_reserve(&kit, A, 1, PR_EXCLUSIVE_ACCESS);
	assert_good(pr_out_list(&kit, A, PR_REGISTER_AND_MOVE, 0, list, (uint32_t)(24 + len)));
	kit_stop(&kit);
	kit_start(&kit, dir);
	assert_keys(&kit, 9);
	assert_reserved(&kit, PR_EXCLUSIVE_ACCESS, 9);
	assert_good(KIT_SEND(&kit, B, .cdb = {READ_10, [8] = 1}, .expect_in = 512));
	kit_stop(&kit);
}

/* What cannot be written is not answered as done, and has not happened. */
static void a_write_that_fails(void **state)
{
	char away[] = "/tmp/aptpl.away.XXXXXX";
	struct pr_kit kit;

	(void)state;
	kit_start(&kit, dir);
	aptpl_register(&kit, A, 1);
	assert_non_null(mkdtemp(away));
	assert_int_equal(rename(dir, away), 0);
	assert_check(pr_out_send(&kit, A, PR_RESERVE, 1, 1, 0, 0), SENSE_INTERNAL_TARGET_FAILURE);
	assert_check(pr_out_send(&kit, B, PR_REGISTER, 0, 0, 2, PR_APTPL),
		     SENSE_INTERNAL_TARGET_FAILURE);
	assert_check(pr_out_send(&kit, B, PR_REGISTER, 0, 0, 2, 0), SENSE_INTERNAL_TARGET_FAILURE);
	assert_keys(&kit, 1);
	assert_reserved(&kit, 0, 0);
	assert_true(ptpl_active(&kit));
	assert_nobody_told(&kit);
	assert_int_equal(rename(away, dir), 0);
	kit_reserve(&kit, A, 1, PR_WRITE_EXCLUSIVE);
	kit_stop(&kit);
}

/* To serve without the reservations would let in whom a cluster has fenced off. */
static void damage_is_an_error(void **state)
{
	static const uint8_t sound[] = {
		0, 0, 0, 1, 0, 0, 0, 1, 3, 0, 0, 0,	      /* one, type 3, holder 0 */
		0, 0, 0, 0, 0, 0, 0, 7, 0, 1, 1, 'i', 1, 't', /* its key, port and names */
	};
	static const struct {
		uint8_t at, value;
	} damage[] = {
		{3, 2},	 /* version */
		{7, 0},	 /* none */
		{7, 2},	 /* more than there are */
		{6, 3},	 /* many more */
		{8, 2},	 /* no type */
		{11, 1}, /* no such holder */
		{19, 0}, /* no key */
		{22, 0}, /* no name */
		{22, 9}, /* a name past the end */
		{23, 0}, /* a NUL in it */
		{24, 0},
	};
	struct scsi_lu_config cfg = harness_lu_config();
	struct scsi_lu *lu = NULL;
	uint8_t bytes[2 * sizeof(sound) - 12] = {0};
	struct pr_kit kit;
	char why[256] = "";

	(void)state;
	cfg.state_dir = dir;
	assert_int_equal(atomic_file_write(dir, FILE_NAME, sound, sizeof(sound)), 0);
	kit_start(&kit, dir);
	assert_keys(&kit, 7);
	assert_reserved(&kit, 3, 7);
	kit_stop(&kit);
	for (size_t i = 0; i < sizeof(damage) / sizeof(damage[0]); i++) {
		memcpy(bytes, sound, sizeof(sound));
		bytes[damage[i].at] = damage[i].value;
		assert_int_equal(atomic_file_write(dir, FILE_NAME, bytes, sizeof(sound)), 0);
		assert_int_equal(scsi_lu_new(&cfg, &lu, why, sizeof(why)), -EBADMSG);
		assert_non_null(strstr(why, FILE_NAME));
	}
	/* the same nexus twice */
	memcpy(bytes, sound, sizeof(sound));
	memcpy(bytes + sizeof(sound), sound + 12, sizeof(sound) - 12);
	bytes[7] = 2;
	assert_int_equal(atomic_file_write(dir, FILE_NAME, bytes, sizeof(bytes)), 0);
	assert_int_equal(scsi_lu_new(&cfg, &lu, why, sizeof(why)), -EBADMSG);
	bytes[sizeof(bytes) - 1] = 'u'; /* another target's is another nexus */
	assert_int_equal(atomic_file_write(dir, FILE_NAME, bytes, sizeof(bytes)), 0);
	kit_start(&kit, dir);
	assert_keys(&kit, 7, 7);
	kit_stop(&kit);
	memcpy(bytes, sound, sizeof(sound));
	assert_int_equal(atomic_file_write(dir, FILE_NAME, bytes, sizeof(sound) + 1), 0);
	assert_int_equal(scsi_lu_new(&cfg, &lu, why, sizeof(why)), -EBADMSG);
	assert_int_equal(truncate(path, 20), 0);
	assert_int_equal(scsi_lu_new(&cfg, &lu, why, sizeof(why)), -EBADMSG);
}

/* ---- kill -9 ---- */

/*
 * Round n: A registers key n, B registers n + 1000000, B reserves with type 1 or 3 as n is even or
 * odd, B releases. After each GOOD the child tells. It is a program of its own, as it would be.
 */
#define OTHER 1000000u

/* The child, which dies by its parent's hand: a test as well, so that assertions work in it. */
static void child(void **state)
{
	struct pr_kit kit;
	uint32_t step = 0;

	(void)state;
	kit_start(&kit, dir);
	for (uint32_t n = 1;; n++) {
		unsigned type = n % 2 ? 3 : 1;

		aptpl_register(&kit, A, n);
		kill_kit_tell(++step);
		aptpl_register(&kit, B, n + OTHER);
		kill_kit_tell(++step);
		kit_reserve(&kit, B, n + OTHER, type);
		kill_kit_tell(++step);
		assert_good(pr_out_send(&kit, B, PR_RELEASE, type, n + OTHER, 0, 0));
		kill_kit_tell(++step);
	}
}

struct expected {
	uint64_t a, b;
	unsigned type;
};

static struct expected after(uint32_t step)
{
	uint32_t n = (step + 3) / 4;

	switch (step % 4) {
	case 1:
		return (struct expected){n, n > 1 ? n - 1 + OTHER : 0, 0};
	case 3:
		return (struct expected){n, n + OTHER, n % 2 ? 3 : 1};
	default: /* registered, not reserved yet or no more */
		return (struct expected){n, step ? n + OTHER : 0, 0};
	}
}

/* Everything that can be read of a LU that comes up with what is there. */
static struct expected read_back(void)
{
	struct expected is = {0};
	const struct answer *a;
	struct pr_kit kit;

	kit_start(&kit, dir);
	a = KIT_SEND(&kit, D, .cdb = {PR_IN, 0, [8] = 64}, .expect_in = 64);
	assert_good(a);
	if (be32_get(a->data + 4) >= 8)
		is.a = be64_get(a->data + 8);
	if (be32_get(a->data + 4) >= 16)
		is.b = be64_get(a->data + 16);
	a = KIT_SEND(&kit, D, .cdb = {PR_IN, 1, [8] = 64}, .expect_in = 64);
	if (be32_get(a->data + 4)) {
		assert_int_equal(be64_get(a->data + 8), is.b);
		is.type = a->data[21];
	}
	kit_stop(&kit);
	return is;
}

static bool same(struct expected x, struct expected y)
{
	return x.a == y.a && x.b == y.b && x.type == y.type;
}

static void kill_9_at_any_moment(void **state)
{
	unsigned seed = (unsigned)getpid();

	(void)state;
	print_message("seed %u\n", seed);
	for (unsigned i = 0; i < N_KILLS; i++) {
		uint32_t step = kill_kit_run(dir, (unsigned)rand_r(&seed) % 5000);
		struct expected is = read_back();

		/* What was told; or one step more, whose GOOD did not get through. */
		if (!same(is, after(step)) && !same(is, after(step + 1)))
			fail_msg("killed after step %u: keys %lu and %lu, type %u", step, is.a,
				 is.b, is.type);
		unlink(path);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest as_child[] = {cmocka_unit_test(child)};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_is_there_again, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(without_aptpl_it_is_lost, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(the_last_one_decides, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_move_persists, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_write_that_fails, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(damage_is_an_error, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(kill_9_at_any_moment, make_dir, remove_dir),
	};

	if (argc == 2 && strlen(argv[1]) == strlen(dir)) {
		strcpy(dir, argv[1]);
		return cmocka_run_group_tests(as_child, NULL, NULL);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
