/* SPDX-License-Identifier: Apache-2.0 */
/* REPORT and SET TIMESTAMP. */
#include "scsi/lu_priv.h"
#include "tests/scsi/harness.h"
#include "util/bytes.h"
#include <time.h>

#define SOME_TIME UINT64_C(0x0123456789ab)
#define A_DAY_MS UINT64_C(86400000)

static struct harness h;

static uint64_t reported(uint8_t origin)
{
	const struct answer *a =
		SEND(&h, .nexus = 1, .cdb = {0xa3, 0x0f, [9] = 12}, .expect_in = 12);

	assert_good(a);
	assert_int_equal(a->len, 12);
	assert_int_equal(be16_get(a->data), 10);
	assert_int_equal(a->data[2], origin);
	assert_int_equal(a->data[3], 0);
	assert_int_equal(be16_get(a->data + 10), 0);
	return (uint64_t)be16_get(a->data + 4) << 32 | be32_get(a->data + 6);
}

static const struct answer *set(uint64_t ms, unsigned spoilt)
{
	uint8_t list[12] = {0};

	be16_put(list + 4, (uint16_t)(ms >> 32));
	be32_put(list + 6, (uint32_t)ms);
	if (spoilt < sizeof(list))
		list[spoilt] |= 0x10;
	return SEND(&h, .cdb = {0xa4, 0x0f, [9] = 12}, .out = list, .out_len = 12);
}

/* No clock is trusted here to run at a pace, only to be one and the same. */
static void the_hosts_clock_at_first(void **state)
{
	uint64_t now = (uint64_t)time(NULL) * 1000, told;

	(void)state;
	harness_start_disk(&h);
	told = reported(3);
	assert_true(told + A_DAY_MS > now && told < now + A_DAY_MS);
	harness_stop(&h);
}

static void what_was_set_goes_on(void **state)
{
	uint64_t first, second;

	(void)state;
	harness_start_disk(&h);
	assert_good(set(SOME_TIME, 99));
	assert_check(SEND(&h, .nexus = 1, .cdb = {0x00}), SENSE_TIMESTAMP_CHANGED);
	assert_good(SEND(&h, .cdb = {0x00}));
	first = reported(2);
	second = reported(2);
	assert_true(first >= SOME_TIME && first < SOME_TIME + A_DAY_MS);
	assert_true(second >= first && second < SOME_TIME + A_DAY_MS);
	harness_stop(&h);
}

static void bad_lists(void **state)
{
	static const uint8_t reserved[] = {0, 1, 2, 3, 10, 11};
	const struct answer *a;

	(void)state;
	harness_start_disk(&h);
	for (unsigned i = 0; i < sizeof(reserved); i++) {
		a = set(SOME_TIME, reserved[i]);
		assert_check(a, SENSE_INVALID_FIELD_IN_PARAMETERS);
		assert_int_equal(a->sense.field, reserved[i]);
		assert_int_equal(a->sense.bit, 4);
	}
	a = set(UINT64_C(0xf10000000000), 99);
	assert_check(a, SENSE_INVALID_FIELD_IN_PARAMETERS);
	assert_int_equal(a->sense.field, 4);
	for (uint8_t len = 1; len < 20; len++)
		if (len != 12)
			assert_check(SEND(&h, .cdb = {0xa4, 0x0f, [9] = len}),
				     SENSE_PARAMETER_LIST_LENGTH);
	assert_good(SEND(&h, .cdb = {0xa4, 0x0f}));
	reported(3);
	assert_good(set(UINT64_C(0xf00000000000), 99));
	harness_stop(&h);
}

static void allocation_length_only_cuts(void **state)
{
	(void)state;
	harness_start_disk(&h);
	for (uint8_t alloc = 0; alloc < 12; alloc++) {
		const struct answer *a =
			SEND(&h, .cdb = {0xa3, 0x0f, [9] = alloc}, .expect_in = alloc);

		assert_good(a);
		assert_int_equal(a->in_len, alloc);
		if (alloc > 1)
			assert_int_equal(a->data[1], 10);
	}
	harness_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_hosts_clock_at_first),
		cmocka_unit_test(what_was_set_goes_on),
		cmocka_unit_test(bad_lists),
		cmocka_unit_test(allocation_length_only_cuts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
