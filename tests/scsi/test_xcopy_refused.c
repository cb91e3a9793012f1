/* SPDX-License-Identifier: Apache-2.0 */
/* EXTENDED COPY: what is refused, by its list or by the LUs it names; who may name what. */
#include "scsi/copy/cscd.h"
#include "tests/scsi/copy_kit.h"
#include <string.h>

static void segments_that_cannot_be(void **state)
{
	static const struct {
		struct seg seg;
		enum scsi_sense_code code;
		int field;
	} bad[] = {
		{{2, 1, 1, 0, 0}, SENSE_UNREACHABLE_COPY_TARGET, 4},
		{{0, 2, 1, 0, 0}, SENSE_UNREACHABLE_COPY_TARGET, 6},
		{{0, 0xfffe, 1, 0, 0}, SENSE_UNREACHABLE_COPY_TARGET, 6},
		{{0, 1, 1, 2048, 0}, SENSE_COPY_ABORTED, 12},
		{{0, 1, 2, 2047, 0}, SENSE_COPY_ABORTED, 12},
		{{0, 1, 1, 0, 2048}, SENSE_COPY_ABORTED, 20},
		{{0, 1, 65535, 0, 0}, SENSE_COPY_ABORTED, 12},
		{{0, 1, 1, UINT64_MAX, 0}, SENSE_COPY_ABORTED, 12},
		{{0, 1, 1, 0, UINT64_MAX}, SENSE_COPY_ABORTED, 20},
		{{0, 1, 1, UINT64_C(1) << 55, 0}, SENSE_COPY_ABORTED, 12},
		{{0, 1, 1, UINT64_C(1) << 63, 0}, SENSE_COPY_ABORTED, 12},
		{{0, 1, 1, 0, UINT64_C(1) << 32}, SENSE_COPY_ABORTED, 20},
	};
	struct harness h;

	(void)state;
	kit_start(&h, 512, 512);
	model_reset();
	model_move(0, 0, 1, 0, 512);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		/* the segment before it is done, the one behind it is not */
		struct seg segs[3] = {{0, 1, 1, 0, 0}, bad[i].seg, {0, 1, 1, 9, 9}};
		const struct answer *a = kit_xcopy(&h, segs, 3);

		assert_segment(a, bad[i].code, 1);
		assert_true(a->sense.has_field && a->sense.in_segment && !a->sense.in_cdb);
		assert_int_equal(a->sense.field, bad[i].field);
	}
	/* nothing, at the very end, is something that is there */
	assert_good(kit_xcopy(&h, &(struct seg){0, 1, 0, 2048, 2048}, 1));
	assert_model(&h);
	harness_stop(&h);
}

static void simple(struct harness *h, struct xlist *x)
{
	xlist_lid1(x, 7, 0);
	xlist_cscd(x, h->lus[0], false);
	xlist_cscd(x, h->lus[1], false);
	xlist_seg(x, &(struct seg){0, 1, 8, 0, 8});
	xlist_end(x);
}

static void names(void **state)
{
	static struct xlist x;
	struct harness h;

	(void)state;
	kit_start(&h, 512, 512);
	model_reset();
	/* by UUID */
	simple(&h, &x);
	x.buf[16 + 4] = 1;
	x.buf[16 + 5] = 0x0a;
	x.buf[16 + 7] = 18;
	x.buf[16 + 8] = 0x10;
	x.buf[16 + 9] = 0;
	memcpy(x.buf + 16 + 10, h.lus[0]->uuid, 16);
	assert_good(xlist_send(&h, 0, 1, &x));
	model_move(0, 0, 1, 8 * 512, 8 * 512);
	assert_model(&h);
	/* another last byte is nobody's; and the NAA of a port is not that of a LU */
	x.buf[16 + 10 + 15] ^= 1;
	assert_segment(xlist_send(&h, 0, 1, &x), SENSE_COPY_TARGET_NOT_REACHABLE, 0);
	simple(&h, &x);
	x.buf[16 + 5] |= 0x10;
	assert_segment(xlist_send(&h, 0, 1, &x), SENSE_COPY_TARGET_NOT_REACHABLE, 0);
	simple(&h, &x);
	x.buf[16 + 1] = 1; /* a tape */
	assert_segment(xlist_send(&h, 0, 0, &x), SENSE_COPY_TARGET_TYPE, 0);
	simple(&h, &x);
	x.buf[16 + 7] = 21; /* longer than there is room */
	assert_check(xlist_send(&h, 0, 0, &x), SENSE_INVALID_FIELD_IN_PARAMETERS);
	simple(&h, &x);
	x.buf[16 + 30] = 16; /* not our block length */
	assert_check(xlist_send(&h, 0, 0, &x), SENSE_INVALID_FIELD_IN_PARAMETERS);
	assert_int_equal(h.answer.sense.field, 16 + 29);
	assert_model(&h);
	harness_stop(&h);
}

/* Every LU that exists is in this process; each tenant sees those of its own target. */
static void tenants_cannot_name_each_others_disks(void **state)
{
	static struct xlist x;
	struct scsi_lu_config cfg = kit_disk(9);
	struct harness one, two;

	(void)state;
	kit_start(&one, 512, 512);
	model_reset();
	harness_start(&two);
	harness_map(&two, 0, &cfg);
	harness_settle(&two);
	for (unsigned at = 0; at < 2; at++) { /* to read the other's, and to write it */
		xlist_lid1(&x, 1, 0);
		xlist_cscd(&x, at ? two.lus[0] : one.lus[0], false);
		xlist_cscd(&x, at ? one.lus[0] : two.lus[0], false);
		xlist_seg(&x, &(struct seg){0, 1, 8, 0, 8});
		xlist_end(&x);
		assert_segment(xlist_send(&two, 0, 0, &x), SENSE_COPY_TARGET_NOT_REACHABLE, 0);
		assert_segment(xlist_send(&one, 0, 0, &x), SENSE_COPY_TARGET_NOT_REACHABLE, 0);
	}
	assert_model(&one);
	/* mapped there, it has a name there */
	assert_int_equal(scsi_target_map(two.target, 5, one.lus[0]), 0);
	harness_settle(&two);
	assert_good(xlist_send(&two, 0, 0, &x));
	harness_stop(&two);
	harness_stop(&one);
}

static void lists_that_are_wrong(void **state)
{
	static struct xlist x;
	struct harness h;
	size_t len;

	(void)state;
	kit_start(&h, 512, 512);
	model_reset();
	simple(&h, &x);
	len = x.out.len;
	for (x.out.len = 1; x.out.len < len; x.out.len++)
		assert_check(xlist_send(&h, 0, 0, &x), SENSE_PARAMETER_LIST_LENGTH);
	/* less comes than the CDB says */
	for (uint32_t n = 0; n < len; n++)
		assert_check(
			SEND(&h, .cdb = {0x83, [13] = (uint8_t)len}, .out = x.buf, .out_len = n),
			SENSE_PARAMETER_LIST_LENGTH);
	assert_check(SEND(&h, .cdb = {0x83, [11] = 1}, .out = x.buf, .out_len = (uint32_t)len),
		     SENSE_PARAMETER_LIST_LENGTH);
	x.out.len = 0; /* no list is no error */
	assert_good(xlist_send(&h, 0, 0, &x));
	simple(&h, &x);
	x.buf[16] = 0xe0;
	assert_check(xlist_send(&h, 0, 0, &x), SENSE_CSCD_TYPE);
	simple(&h, &x);
	x.buf[16 + 64] = 0x03;
	assert_check(xlist_send(&h, 0, 0, &x), SENSE_SEGMENT_TYPE);
	simple(&h, &x);
	x.buf[16 + 64 + 3] = 0x14;
	assert_check(xlist_send(&h, 0, 0, &x), SENSE_INVALID_FIELD_IN_PARAMETERS);
	assert_int_equal(h.answer.sense.field, 16 + 64 + 2);
	simple(&h, &x);
	x.buf[15] = 1;
	assert_check(xlist_send(&h, 0, 0, &x), SENSE_INLINE_DATA_LENGTH);
	simple(&h, &x);
	x.buf[1] = 1 << 3;
	assert_check(xlist_send(&h, 0, 0, &x), SENSE_INVALID_FIELD_IN_PARAMETERS);
	simple(&h, &x);
	x.buf[1] = 3 << 3; /* no list identifier, but there is one */
	assert_check(xlist_send(&h, 0, 0, &x), SENSE_INVALID_FIELD_IN_PARAMETERS);
	assert_model(&h);
	harness_stop(&h);
}

static void limits(void **state)
{
	static struct xlist x;
	struct harness h;

	(void)state;
	kit_start(&h, 512, 512);
	model_reset();
	xlist_lid1(&x, 1, 0);
	for (unsigned i = 0; i <= COPY_MAX_CSCDS; i++)
		xlist_cscd(&x, h.lus[i & 1], false);
	xlist_seg(&x, &(struct seg){0, 1, 8, 0, 8});
	xlist_end(&x);
	assert_check(xlist_send(&h, 0, 0, &x), SENSE_TOO_MANY_CSCDS);
	xlist_lid1(&x, 1, 0);
	xlist_cscd(&x, h.lus[0], false);
	for (unsigned i = 0; i <= COPY_MAX_SEGMENTS; i++)
		xlist_seg(&x, &(struct seg){0, 0, 1, 0, 8});
	xlist_end(&x);
	assert_check(xlist_send(&h, 0, 0, &x), SENSE_TOO_MANY_SEGMENTS);
	assert_model(&h);
	harness_stop(&h);
}

static void lid4_headers(void **state)
{
	static const struct {
		uint8_t at, value, field;
	} bad[] = {{0, 0, 0}, {1, 1 << 3, 1}, {3, 0x1f, 2}, {15, 1, 15}};
	static struct xlist x;
	struct harness h;

	(void)state;
	kit_start(&h, 512, 512);
	model_reset();
	for (unsigned i = 0; i <= sizeof(bad) / sizeof(bad[0]); i++) {
		xlist_lid4(&x, 0x12345678, 0, false);
		xlist_cscd(&x, h.lus[0], false);
		xlist_seg(&x, &(struct seg){0, 0xffff, 8, 0, 100});
		xlist_end(&x);
		if (i == sizeof(bad) / sizeof(bad[0])) {
			assert_good(xlist_send(&h, 0, 1, &x));
			break;
		}
		x.buf[bad[i].at] = bad[i].value;
		assert_check(xlist_send(&h, 0, 1, &x), SENSE_INVALID_FIELD_IN_PARAMETERS);
		assert_int_equal(h.answer.sense.field, bad[i].field);
	}
	model_move(0, 0, 1, 100 * 512, 8 * 512);
	assert_model(&h);
	for (x.out.len = 1; x.out.len < 48 + 32 + 28; x.out.len++)
		assert_check(xlist_send(&h, 0, 1, &x), SENSE_PARAMETER_LIST_LENGTH);
	harness_stop(&h);
}

/* ---- the LUs themselves say no ---- */

static void set_read_only(struct scsi_lu_view *view, void *arg)
{
	view->read_only = *(bool *)arg;
}

static void set_online(struct scsi_lu_view *view, void *arg)
{
	view->online = *(bool *)arg;
}

static void write_protected_and_offline(void **state)
{
	static const struct seg seg = {0, 1, 8, 0, 8};
	bool yes = true, no = false;
	struct harness h;

	(void)state;
	kit_start(&h, 512, 512);
	model_reset();
	scsi_lu_change(h.lus[1], set_read_only, &yes);
	assert_segment(kit_xcopy(&h, &seg, 1), SENSE_THIRD_PARTY_DEVICE_FAILURE, 0);
	scsi_lu_change(h.lus[1], set_read_only, &no);
	scsi_lu_change(h.lus[0], set_read_only, &yes); /* it is only read */
	assert_good(kit_xcopy(&h, &seg, 1));
	model_move(0, 0, 1, 8 * 512, 8 * 512);
	scsi_lu_change(h.lus[1], set_online, &no);
	assert_segment(kit_xcopy(&h, &seg, 1), SENSE_THIRD_PARTY_DEVICE_FAILURE, 0);
	scsi_lu_change(h.lus[1], set_online, &yes);
	assert_model(&h);
	harness_stop(&h);
}

static void reservations_of_others(void **state)
{
	struct harness h;

	(void)state;
	kit_start(&h, 512, 512);
	model_reset();
	assert_good(SEND(&h, .nexus = 1, .lun = 1, .cdb = {0x16})); /* RESERVE (6) */
	assert_segment(kit_xcopy(&h, &(struct seg){0, 1, 8, 0, 8}, 1),
		       SENSE_THIRD_PARTY_DEVICE_FAILURE, 0);
	assert_segment(kit_xcopy(&h, &(struct seg){1, 0, 8, 0, 8}, 1),
		       SENSE_THIRD_PARTY_DEVICE_FAILURE, 0);
	assert_good(SEND(&h, .nexus = 1, .lun = 1, .cdb = {0x17}));
	assert_model(&h);
	assert_good(kit_xcopy(&h, &(struct seg){0, 1, 8, 0, 8}, 1));
	harness_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segments_that_cannot_be),
		cmocka_unit_test(names),
		cmocka_unit_test(tenants_cannot_name_each_others_disks),
		cmocka_unit_test(lists_that_are_wrong),
		cmocka_unit_test(limits),
		cmocka_unit_test(lid4_headers),
		cmocka_unit_test(write_protected_and_offline),
		cmocka_unit_test(reservations_of_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
