/* SPDX-License-Identifier: Apache-2.0 */
/* REPORT LUNS: lists of any size, in order, whatever the room for them. */
#include "scsi/lu_priv.h"
#include "tests/scsi/harness.h"
#include "util/bytes.h"

static const struct answer *report(struct harness *h, uint8_t select, uint32_t alloc)
{
	struct sent sent = {.lun = 9, /* which no test here maps: any LUN is as good */
			    .cdb = {0xa0, 0, select},
			    .expect_in = alloc};

	be32_put(sent.cdb + 6, alloc);
	return harness_send(h, &sent);
}

/* One LU under many LUNs, mapped from the last to the first. */
static void start_many(struct harness *h, const uint32_t *luns, unsigned n)
{
	struct scsi_lu_config cfg = harness_lu_config();

	harness_start(h);
	if (!n)
		return;
	harness_map(h, luns ? luns[0] : 10, &cfg);
	for (unsigned i = n - 1; i > 0; i--)
		assert_int_equal(scsi_target_map(h->target, luns ? luns[i] : 10 + i, h->lus[0]), 0);
}

static void sorted_and_encoded(void **state)
{
	static const uint32_t luns[] = {300, 0, 16383, 255, 256, 7};
	static const uint64_t expected[] = {
		UINT64_C(0x0000) << 48, UINT64_C(0x0007) << 48, UINT64_C(0x00ff) << 48,
		UINT64_C(0x4100) << 48, UINT64_C(0x412c) << 48, UINT64_C(0x7fff) << 48,
	};
	struct harness h;
	const struct answer *a;

	(void)state;
	start_many(&h, luns, 6);
	a = report(&h, 0, 1024);
	assert_good(a);
	assert_int_equal(a->len, 8 + 6 * 8);
	assert_int_equal(be32_get(a->data), 6 * 8);
	assert_int_equal(be32_get(a->data + 4), 0);
	for (unsigned i = 0; i < 6; i++)
		assert_true(be64_get(a->data + 8 + 8 * i) == expected[i]);
	harness_stop(&h);
}

static void select_codes(void **state)
{
	struct harness h;

	(void)state;
	start_many(&h, NULL, 3);
	for (unsigned select = 0; select < 256; select++) {
		const struct answer *a = report(&h, (uint8_t)select, 1024);

		switch (select) {
		case 0x00:
		case 0x02:
		case 0x11:
			assert_good(a);
			assert_int_equal(be32_get(a->data), 3 * 8);
			assert_int_equal(a->len, 8 + 3 * 8);
			break;
		case 0x01:
		case 0x10:
		case 0x12:
			assert_good(a);
			assert_int_equal(be32_get(a->data), 0);
			assert_int_equal(a->len, 8);
			break;
		default:
			assert_bad_field(a, 2, 7);
		}
	}
	harness_stop(&h);
}

static void any_size_in_any_room(void **state)
{
	static const unsigned counts[] = {0, 1, 255, 256, 257, 4000};

	(void)state;
	for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		uint32_t whole = 8 + 8 * counts[i];
		struct harness h;

		start_many(&h, NULL, counts[i]);
		for (uint32_t alloc = 0; alloc < whole + 20; alloc++) {
			const struct answer *a;

			if (alloc == 17 && whole > 40)
				alloc = whole - 9;
			a = report(&h, 0, alloc);
			assert_good(a);
			assert_int_equal(a->in_len, alloc < whole ? alloc : whole);
			if (alloc >= 4) /* the length is that of the list, not of the answer */
				assert_int_equal(be32_get(a->data), 8 * counts[i]);
		}
		assert_good(report(&h, 0, UINT32_MAX > whole ? 1u << 20 : whole));
		harness_stop(&h);
	}
}

/* The one attention that the list answers goes away with it, at every LU; others stay. */
static void ends_its_own_attention(void **state)
{
	struct scsi_lu_config cfg = harness_lu_config();
	struct harness h;

	(void)state;
	harness_start(&h);
	harness_map(&h, 0, &cfg);
	harness_map(&h, 1, &cfg);
	harness_settle(&h);
	scsi_lu_attention(h.lus[0], UA_LUNS_CHANGED, NULL);
	scsi_lu_attention(h.lus[1], UA_LUNS_CHANGED, NULL);
	scsi_lu_attention(h.lus[1], UA_CAPACITY_CHANGED, NULL);
	assert_good(report(&h, 0, 64));
	assert_good(SEND(&h, .lun = 0, .cdb = {0x00}));
	assert_check(SEND(&h, .lun = 1, .cdb = {0x00}), SENSE_CAPACITY_CHANGED);
	assert_good(SEND(&h, .lun = 1, .cdb = {0x00}));
	/* not those of another initiator */
	assert_check(SEND(&h, .nexus = 1, .cdb = {0x00}), SENSE_REPORTED_LUNS_CHANGED);
	harness_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sorted_and_encoded),
		cmocka_unit_test(select_codes),
		cmocka_unit_test(any_size_in_any_room),
		cmocka_unit_test(ends_its_own_attention),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
