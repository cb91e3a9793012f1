/* SPDX-License-Identifier: Apache-2.0 */
/* UNMAP: descriptors judged before any is acted upon, then all of them done. */
#include "scsi/sbc/sbc.h"
#include "tests/scsi/harness.h"
#include "tests/scsi/spy.h"
#include "util/bytes.h"
#include <errno.h>
#include <string.h>

#define CAP (SPY_SIZE / 512)
#define MAX_LIST (8 + 300 * 16)

struct range {
	uint64_t lba;
	uint32_t n;
};

static void start(struct harness *h, bool write_cache)
{
	struct scsi_lu_config cfg = spy_config();

	cfg.thin = true;
	cfg.write_cache = write_cache;
	memset(spy.data, 0xdd, SPY_SIZE);
	harness_start(h);
	harness_map(h, 0, &cfg);
	harness_settle(h);
}

static const struct answer *send_list(struct harness *h, const uint8_t *list, size_t len)
{
	struct sent sent = {.cdb = {0x42}, .out = list, .out_len = (uint32_t)len, .n_segments = 5};

	be16_put(sent.cdb + 7, (uint16_t)len);
	return harness_send(h, &sent);
}

static size_t build(uint8_t *list, const struct range *ranges, unsigned n)
{
	struct bytes_out out = bytes_out(list, MAX_LIST);

	out_be16(&out, (uint16_t)(6 + 16 * n));
	out_be16(&out, (uint16_t)(16 * n));
	out_zero(&out, 4);
	for (unsigned i = 0; i < n; i++) {
		out_be64(&out, ranges[i].lba);
		out_be32(&out, ranges[i].n);
		out_zero(&out, 4);
	}
	assert_false(out.full);
	return out.len;
}

static const struct answer *unmap(struct harness *h, const struct range *ranges, unsigned n)
{
	uint8_t list[MAX_LIST];

	return send_list(h, list, build(list, ranges, n));
}

static bool all_are(uint8_t value, uint64_t lba, uint64_t n)
{
	for (uint64_t i = lba * 512; i < (lba + n) * 512; i++)
		if (spy.data[i] != value)
			return false;
	return true;
}

static void ranges_read_as_zeroes(void **state)
{
	static const struct range ranges[] = {{0, 1}, {100, 50}, {7, 0}, {CAP - 3, 3}, {CAP, 0}};
	struct harness h;

	(void)state;
	start(&h, true);
	assert_good(unmap(&h, ranges, 5));
	assert_true(all_are(0, 0, 1) && all_are(0xdd, 1, 99) && all_are(0, 100, 50));
	assert_true(all_are(0xdd, 150, CAP - 153) && all_are(0, CAP - 3, 3));
	assert_int_equal(spy.n[DUOTGT_IO_DISCARD], 3);
	assert_int_equal(spy.n[DUOTGT_IO_FLUSH], 0);
	harness_stop(&h);
}

static void one_bad_range_stops_all(void **state)
{
	static const struct range bad[][2] = {
		{{0, 8}, {CAP, 1}},	   {{0, 8}, {CAP - 1, 2}},
		{{0, 8}, {UINT64_MAX, 1}}, {{0, 8}, {UINT64_MAX, UINT32_MAX}},
		{{0, 8}, {0, UINT32_MAX}}, {{0, 8}, {UINT64_C(1) << 63, 1}},
		{{0, 8}, {CAP + 1, 0}},
	};
	struct harness h;

	(void)state;
	start(&h, true);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_check(unmap(&h, bad[i], 2), SENSE_LBA_OUT_OF_RANGE);
	assert_int_equal(spy.n[DUOTGT_IO_DISCARD], 0);
	assert_true(all_are(0xdd, 0, CAP));
	harness_stop(&h);
}

/* More than page B0 promises. */
static void limits(void **state)
{
	struct scsi_lu_config cfg = spy_config();
	struct range ranges[SBC_UNMAP_MAX_RANGES + 1] = {0};
	struct harness h;
	const struct answer *a;

	(void)state;
	cfg.thin = true;
	spy.info.size = UINT64_C(1) << 40; /* beyond what is there: nothing may get so far */
	harness_start(&h);
	harness_map(&h, 0, &cfg);
	harness_settle(&h);
	assert_good(unmap(&h, ranges, SBC_UNMAP_MAX_RANGES));
	a = unmap(&h, ranges, SBC_UNMAP_MAX_RANGES + 1);
	assert_check(a, SENSE_INVALID_FIELD_IN_PARAMETERS);
	assert_int_equal(a->sense.field, 2);
	ranges[0].n = SBC_UNMAP_MAX_BLOCKS;
	ranges[1].n = 1;
	a = unmap(&h, ranges, 2);
	assert_check(a, SENSE_INVALID_FIELD_IN_PARAMETERS);
	assert_int_equal(a->sense.field, 8 + 16 + 8);
	assert_int_equal(spy.n[DUOTGT_IO_DISCARD], 0);
	harness_stop(&h);
}

static void lists_of_odd_lengths(void **state)
{
	static const struct range ranges[] = {{0, 1}, {1, 1}};
	uint8_t list[MAX_LIST];
	struct harness h;
	size_t len;

	(void)state;
	start(&h, true);
	len = build(list, ranges, 2);
	assert_good(send_list(&h, list, 0)); /* no list is no error */
	for (size_t n = 1; n < len; n++)
		assert_check(send_list(&h, list, n), SENSE_PARAMETER_LIST_LENGTH);
	be16_put(list + 2, 31); /* of which the list has 16 */
	assert_check(send_list(&h, list, 8 + 16), SENSE_PARAMETER_LIST_LENGTH);
	assert_int_equal(spy.n[DUOTGT_IO_DISCARD], 0);
	/* the second descriptor is not whole: ignored */
	assert_good(send_list(&h, list, len));
	assert_true(all_are(0, 0, 1) && all_are(0xdd, 1, 1));
	be16_put(list + 2, 0);
	assert_good(send_list(&h, list, len));
	assert_int_equal(spy.n[DUOTGT_IO_DISCARD], 1);
	harness_stop(&h);
}

/* The CDB says more than the initiator brings. */
static void list_that_does_not_come(void **state)
{
	static const struct range ranges[] = {{0, 1}, {1, 1}};
	uint8_t list[MAX_LIST];
	struct harness h;

	(void)state;
	start(&h, true);
	build(list, ranges, 2);
	for (uint32_t n = 0; n < 40; n++)
		assert_check(
			SEND(&h, .cdb = {0x42, 0, 0, 0, 0, 0, 0, 0, 40}, .out = list, .out_len = n),
			SENSE_PARAMETER_LIST_LENGTH);
	assert_int_equal(spy.n[DUOTGT_IO_DISCARD], 0);
	harness_stop(&h);
}

static void anchor_is_refused(void **state)
{
	struct harness h;

	(void)state;
	start(&h, true);
	assert_bad_field(SEND(&h, .cdb = {0x42, 1}), 1, 0);
	harness_stop(&h);
}

static void failures(void **state)
{
	static const struct range ranges[] = {{10, 2}, {20, 2}, {30, 2}};
	struct harness h;

	(void)state;
	start(&h, true);
	spy.fail_kind = DUOTGT_IO_DISCARD;
	spy.fail_at = 20 * 512;
	spy.fail_res = -EIO;
	assert_check(unmap(&h, ranges, 3), SENSE_WRITE_ERROR);
	assert_int_equal(h.answer.sense.info, 20);
	assert_int_equal(spy.n[DUOTGT_IO_DISCARD], 2);
	harness_stop(&h);
}

/* Without a write cache GOOD is for good. */
static void flushed_without_wce(void **state)
{
	static const struct range ranges[] = {{10, 2}};
	struct harness h;

	(void)state;
	start(&h, false);
	assert_good(unmap(&h, ranges, 1));
	assert_int_equal(spy.n[DUOTGT_IO_FLUSH], 1);
	spy.fail_kind = DUOTGT_IO_FLUSH;
	spy.fail_res = -EIO;
	assert_check(unmap(&h, ranges, 1), SENSE_WRITE_ERROR);
	harness_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_read_as_zeroes),
		cmocka_unit_test(one_bad_range_stops_all),
		cmocka_unit_test(limits),
		cmocka_unit_test(lists_of_odd_lengths),
		cmocka_unit_test(list_that_does_not_come),
		cmocka_unit_test(anchor_is_refused),
		cmocka_unit_test(failures),
		cmocka_unit_test(flushed_without_wce),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
