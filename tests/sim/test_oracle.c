/* SPDX-License-Identifier: Apache-2.0 */
/* Short histories of one sector, and what may be read after each. */
#include "oracle.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
/* after the above: cmocka.h relies on them */
#include <cmocka.h>

static struct oracle *oracle;

static int setup(void **state)
{
	(void)state;
	oracle = oracle_new(4, false);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	oracle_free(oracle);
	return 0;
}

static uint32_t begin(void)
{
	return oracle_write_begin(oracle, 1, 1);
}

static void end(uint32_t id, enum oracle_outcome outcome)
{
	oracle_write_end(oracle, id, 1, 1, outcome);
}

static uint32_t write_done(void)
{
	uint32_t id = begin();

	end(id, WRITE_DONE);
	return id;
}

static bool read_since(uint64_t begun, uint32_t id)
{
	uint8_t bytes[ORACLE_SECTOR];
	char why[256];

	oracle_fill(id, 1, 1, bytes);
	return oracle_check(oracle, begun, 1, 1, bytes, why);
}

static bool read_now(uint32_t id)
{
	return read_since(oracle_now(oracle), id);
}

static void flush(void)
{
	oracle_flushed(oracle, oracle_now(oracle), 0, 4);
}

static void acknowledged_is_there(void **state)
{
	uint32_t a = write_done();

	(void)state;
	assert_false(read_now(0));
	assert_true(read_now(a));
}

static void under_way_is_either(void **state)
{
	uint32_t a = write_done(), b = begin();

	(void)state;
	assert_true(read_now(a));
	assert_true(read_now(b));
	end(b, WRITE_DONE);
	assert_false(read_now(a));
}

static void overlapping_writes_end_in_any_order(void **state)
{
	uint32_t a = begin(), b = begin();

	(void)state;
	end(b, WRITE_DONE);
	end(a, WRITE_DONE);
	assert_true(read_now(b));
	assert_false(read_now(a)); /* but one that was seen to be overwritten stays so */
}

static void slow_read_may_see_what_was(void **state)
{
	uint32_t a = write_done();
	uint64_t begun = oracle_now(oracle);
	uint32_t b = write_done();

	(void)state;
	assert_true(read_since(begun, a));
	assert_true(read_now(b));
	assert_false(read_now(a));
}

static void failed_is_there_or_not_for_good(void **state)
{
	uint32_t a = write_done(), b = begin();

	(void)state;
	end(b, WRITE_PERHAPS);
	assert_true(read_now(a));
	assert_false(read_now(b)); /* it must not come late */
}

static void refused_is_not_there(void **state)
{
	uint32_t b = begin();

	(void)state;
	end(b, WRITE_NEVER);
	assert_false(read_now(b));
	assert_true(read_now(0));
}

static void crash_takes_what_was_not_flushed(void **state)
{
	uint32_t a = write_done(), b;

	(void)state;
	flush();
	b = write_done();
	oracle_crash(oracle);
	assert_false(read_now(0));
	assert_true(read_now(a));
	assert_false(read_now(b)); /* the crash has chosen */
	oracle_crash(oracle);
	assert_true(read_now(a));
}

static void crash_may_keep_what_was_not_flushed(void **state)
{
	uint32_t a = write_done(), b = write_done();

	(void)state;
	oracle_crash(oracle);
	assert_true(read_now(b));
	assert_false(read_now(a));
}

static void flush_covers_what_had_ended(void **state)
{
	uint32_t a = begin();
	uint64_t begun = oracle_now(oracle);

	(void)state;
	end(a, WRITE_DONE);
	oracle_flushed(oracle, begun, 0, 4);
	oracle_crash(oracle);
	assert_true(read_now(0));
}

static void fua_survives(void **state)
{
	uint32_t a = begin();

	(void)state;
	end(a, WRITE_DURABLE);
	oracle_crash(oracle);
	assert_false(read_now(0));
	assert_true(read_now(a));
}

/* Read back before the crash, that is no proof that it had become stable. */
static void reading_does_not_make_it_last(void **state)
{
	uint32_t a = write_done();

	(void)state;
	assert_true(read_now(a));
	oracle_crash(oracle);
	assert_true(read_now(0));
}

/* One read has seen the newer state; one that was begun before that has come to its end may not. */
static void overlapping_reads_may_differ(void **state)
{
	uint32_t a = write_done(), b = begin();
	uint64_t begun = oracle_now(oracle);

	(void)state;
	assert_true(read_now(b));
	assert_true(read_since(begun, a));
	assert_false(read_now(a));
}

/* Even when what came after it has been flushed since. */
static void slow_read_may_see_what_was_flushed_over(void **state)
{
	uint32_t a = write_done(), b;
	uint64_t begun;

	(void)state;
	flush();
	begun = oracle_now(oracle);
	b = write_done();
	flush();
	assert_true(read_since(begun, a));
	assert_true(read_since(begun, b));
	oracle_crash(oracle);
	assert_false(read_now(a));
}

static void damage_is_seen(void **state)
{
	uint32_t a = write_done();
	uint8_t bytes[ORACLE_SECTOR];
	char why[256];

	(void)state;
	oracle_fill(a, 1, 1, bytes);
	bytes[400] ^= 1;
	assert_false(oracle_check(oracle, oracle_now(oracle), 1, 1, bytes, why));
	oracle_fill(a, 2, 1, bytes);
	assert_false(oracle_check(oracle, oracle_now(oracle), 1, 1, bytes, why));
}

#define ORACLE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ORACLE_TEST(acknowledged_is_there),
		ORACLE_TEST(under_way_is_either),
		ORACLE_TEST(overlapping_writes_end_in_any_order),
		ORACLE_TEST(slow_read_may_see_what_was),
		ORACLE_TEST(failed_is_there_or_not_for_good),
		ORACLE_TEST(refused_is_not_there),
		ORACLE_TEST(crash_takes_what_was_not_flushed),
		ORACLE_TEST(crash_may_keep_what_was_not_flushed),
		ORACLE_TEST(flush_covers_what_had_ended),
		ORACLE_TEST(fua_survives),
		ORACLE_TEST(reading_does_not_make_it_last),
		ORACLE_TEST(slow_read_may_see_what_was_flushed_over),
		ORACLE_TEST(overlapping_reads_may_differ),
		ORACLE_TEST(damage_is_seen),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
