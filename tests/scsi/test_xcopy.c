/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EXTENDED COPY: what is copied, byte by byte, between LUs of any block lengths; what is refused;
 * who may name what; copies in the background, and how they end.
 */
#include "scsi/copy/cscd.h"
#include "scsi/tmf.h"
#include "tests/scsi/copy_kit.h"
#include "tests/scsi/fake_store.h"
#include <errno.h>
#include <string.h>

static void assert_segment(const struct answer *a, enum scsi_sense_code code, unsigned segment)
{
	assert_check(a, code);
	assert_true(a->sense.has_specific);
	assert_int_equal(a->sense.specific, segment);
}

/* ---- a model of the two disks ---- */

static uint8_t model[2][KIT_SIZE];

static void model_reset(void)
{
	for (uint32_t lun = 0; lun < 2; lun++)
		for (uint64_t i = 0; i < KIT_SIZE; i++)
			model[lun][i] = kit_byte(lun, i);
}

static void model_move(unsigned from, uint64_t from_at, unsigned to, uint64_t to_at, uint64_t len)
{
	memmove(model[to] + to_at, model[from] + from_at, len);
}

static void assert_model(struct harness *h)
{
	for (uint32_t lun = 0; lun < 2; lun++)
		assert_memory_equal(kit_read(h, lun), model[lun], KIT_SIZE);
}

static void copies(void **state)
{
	static const struct seg segs[] = {
		{0, 1, 100, 7, 1500},	{1, 0, 1, 0, 2047},	{1, 1, 300, 10, 1000},
		{0, 0, 0, 5, 5},	{0, 0, 500, 20, 21},	{0, 0, 500, 900, 899},
		{1, 1, 1024, 100, 612}, /* overlaps, up and down */
		{0xffff, 1, 3, 0, 0},	{1, 0xffff, 3, 40, 40}, {0, 0, 9, 33, 33},
	};
	struct harness h;

	(void)state;
	kit_start(&h, 512, 512);
	model_reset();
	assert_good(kit_xcopy(&h, segs, sizeof(segs) / sizeof(segs[0])));
	for (unsigned i = 0; i < sizeof(segs) / sizeof(segs[0]); i++) {
		const struct seg *s = &segs[i];

		model_move(s->from & 1 & (s->from != 0xffff), s->from_lba * 512,
			   s->to & 1 & (s->to != 0xffff), s->to_lba * 512, s->n * 512u);
	}
	assert_model(&h);
	harness_stop(&h);
}

/* Whatever a store can do by itself is not what these lean on. */
static void copies_by_reading_and_writing(void **state)
{
	struct scsi_lu_config cfg = kit_disk(1);
	static const struct seg segs[] = {
		{0, 1, 2000, 3, 8}, {1, 1, 1000, 3, 8}, {1, 1, 1000, 500, 8}, {1, 0, 64, 9, 9}};
	struct harness h;

	(void)state;
	harness_start(&h);
	fake_reset();
	cfg.backend = &fake_backend_ops;
	harness_map(&h, 1, &cfg);
	cfg = kit_disk(0);
	harness_map(&h, 0, &cfg);
	harness_settle(&h);
	kit_fill(&h, 0);
	kit_fill(&h, 1);
	model_reset();
	assert_good(kit_xcopy(&h, segs, 4));
	model_move(0, 3 * 512, 1, 8 * 512, 2000 * 512);
	model_move(1, 3 * 512, 1, 8 * 512, 1000 * 512);
	model_move(1, 500 * 512, 1, 8 * 512, 1000 * 512);
	model_move(1, 9 * 512, 0, 9 * 512, 64 * 512);
	assert_model(&h);
	harness_stop(&h);
}

/* Holes stay holes, where the LU promises zeroes for them. */
static void thin_disks_stay_thin(void **state)
{
	struct scsi_lu_config cfg = kit_disk(0);
	uint64_t used, space;
	struct harness h;

	(void)state;
	harness_start(&h);
	cfg.thin = true;
	harness_map(&h, 0, &cfg);
	cfg = kit_disk(1);
	cfg.thin = true;
	harness_map(&h, 1, &cfg);
	harness_settle(&h);
	kit_fill(&h, 1);
	memset(model, 0, sizeof(model));
	memset(model[0] + 8192, 0x77, 4096);
	kit_write(&h, 0, 8192, model[0] + 8192, 4096);
	model_move(0, 0, 1, 0, KIT_SIZE);
	assert_good(kit_xcopy(&h, &(struct seg){0, 1, 2048, 0, 0}, 1));
	assert_int_equal(h.lus[1]->backend->space(h.lus[1]->store, &used, &space), 0);
	assert_int_equal(used, 4096);
	assert_model(&h);
	harness_stop(&h);
}

/* ---- block lengths that differ ---- */

static const struct answer *send_padded(struct harness *h, bool pad_0, bool pad_1,
					const struct seg *segs, unsigned n)
{
	static struct xlist x;

	xlist_lid1(&x, 1, 0);
	xlist_cscd(&x, h->lus[0], pad_0);
	xlist_cscd(&x, h->lus[1], pad_1);
	for (unsigned i = 0; i < n; i++)
		xlist_seg(&x, &segs[i]);
	xlist_end(&x);
	return xlist_send(h, 0, 0, &x);
}

static void block_lengths_differ(void **state)
{
	struct harness h;

	(void)state;
	kit_start(&h, 512, 4096);
	model_reset();
	/* DC says whose blocks are counted */
	assert_good(kit_xcopy(&h, &(struct seg){0, 1, 16, 3, 2}, 1));
	model_move(0, 3 * 512, 1, 2 * 4096, 16 * 512);
	assert_good(kit_xcopy(&h, &(struct seg){0, 1, 2, 100, 7, .dc = true}, 1));
	model_move(0, 100 * 512, 1, 7 * 4096, 2 * 4096);
	assert_good(kit_xcopy(&h, &(struct seg){1, 0, 3, 5, 1001}, 1));
	model_move(1, 5 * 4096, 0, 1001 * 512, 3 * 4096);
	assert_good(kit_xcopy(&h, &(struct seg){1, 0, 8, 50, 2000, .dc = true}, 1));
	model_move(1, 50 * 4096, 0, 2000 * 512, 8 * 512);
	assert_model(&h);
	/* what does not come out even: an error, unless somebody says what to do */
	assert_segment(kit_xcopy(&h, &(struct seg){0, 1, 9, 0, 0}, 1), SENSE_INEXACT_SEGMENT, 0);
	assert_segment(kit_xcopy(&h, &(struct seg){1, 0, 9, 0, 0, .dc = true}, 1),
		       SENSE_INEXACT_SEGMENT, 0);
	assert_model(&h);
	harness_stop(&h);
}

static void padding(void **state)
{
	struct harness h;

	(void)state;
	kit_start(&h, 512, 4096);
	model_reset();
	/* the destination is filled up */
	assert_good(send_padded(&h, false, true, &(struct seg){0, 1, 9, 0, 4}, 1));
	model_move(0, 0, 1, 4 * 4096, 9 * 512);
	memset(model[1] + 4 * 4096 + 9 * 512, 0, 7 * 512);
	/* the source's rest is dropped */
	assert_good(send_padded(&h, true, false, &(struct seg){0, 1, 9, 20, 8}, 1));
	model_move(0, 20 * 512, 1, 8 * 4096, 8 * 512);
	assert_good(send_padded(&h, false, true, &(struct seg){1, 0, 9, 20, 8, .dc = true}, 1));
	model_move(1, 20 * 4096, 0, 8 * 512, 9 * 512);
	assert_model(&h);
	harness_stop(&h);
}

/* CAT: what is left over of a segment comes first in the next one. */
static void left_over(void **state)
{
	static const struct seg segs[] = {
		{0, 1, 9, 0, 0, .cat = true},	 /* 8 blocks, and 1 left over */
		{0, 1, 3, 100, 1, .cat = true},	 /* none, and 4 left over */
		{0, 1, 4, 200, 2, .cat = true},	 /* 8 blocks */
		{0, 1, 12, 300, 3, .cat = true}, /* 8, and 4 that are dropped at the end */
	};
	static const struct seg by_destination[] = {
		{1, 0, 3, 30, 1000, .dc = true, .cat = true}, /* 3 of 8, 5 left over */
		{1, 0, 2, 40, 1100, .dc = true, .cat = true}, /* of those; 3 left over */
		{1, 0, 5, 50, 1200, .dc = true, .cat = true}, /* those, and 2 of 8 */
	};
	struct harness h;

	(void)state;
	kit_start(&h, 512, 4096);
	model_reset();
	assert_good(kit_xcopy(&h, segs, 4));
	model_move(0, 0, 1, 0, 8 * 512);
	model_move(0, 8 * 512, 1, 2 * 4096, 512);
	model_move(0, 100 * 512, 1, 2 * 4096 + 512, 3 * 512);
	model_move(0, 200 * 512, 1, 2 * 4096 + 4 * 512, 4 * 512);
	model_move(0, 300 * 512, 1, 3 * 4096, 8 * 512);
	assert_model(&h);
	assert_good(kit_xcopy(&h, by_destination, 3));
	model_move(1, 30 * 4096, 0, 1000 * 512, 3 * 512);
	model_move(1, 30 * 4096 + 3 * 512, 0, 1100 * 512, 2 * 512);
	model_move(1, 30 * 4096 + 5 * 512, 0, 1200 * 512, 3 * 512);
	model_move(1, 50 * 4096, 0, 1203 * 512, 2 * 512);
	assert_model(&h);
	harness_stop(&h);
}

/* As many ranges left over as there can be, over and over. */
static void left_over_of_many_segments(void **state)
{
	struct seg segs[COPY_MAX_SEGMENTS];
	struct harness h;

	(void)state;
	kit_start(&h, 512, 4096);
	model_reset();
	for (unsigned i = 0; i < COPY_MAX_SEGMENTS; i++) {
		segs[i] = (struct seg){0, 1, 1, i * 5, i / 8, .cat = true};
		model_move(0, i * 5 * 512, 1, i * 512, 512);
	}
	assert_good(kit_xcopy(&h, segs, COPY_MAX_SEGMENTS));
	assert_model(&h);
	harness_stop(&h);
}

/* ---- what is refused ---- */

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

/* Segments in bytes, behind an LBA: as long as they are of whole blocks of both. */
static void with_offset(void **state)
{
	static const struct {
		uint32_t n;
		uint64_t from_lba, to_lba;
		uint16_t from_byte, to_byte;
		enum scsi_sense_code code; /* of LUN 0, blocks of 512, to LUN 1, blocks of 1024 */
	} cases[] = {
		{4096, 3, 5, 0, 0, SENSE_NONE},
		{70000 / 1024 * 1024, 8, 5, 1024, 2048, SENSE_NONE},
		{0, 3, 5, 0, 0, SENSE_NONE},
		{512, 3, 5, 0, 0, SENSE_INEXACT_SEGMENT},
		{1024, 3, 5, 100, 0, SENSE_INEXACT_SEGMENT},
		{1024, 3, 5, 0, 512, SENSE_INEXACT_SEGMENT},
		{2048, KIT_SIZE / 512 - 3, 5, 0, 0, SENSE_COPY_ABORTED},
		{2048, KIT_SIZE / 512 - 4, 5, 512, 0, SENSE_COPY_ABORTED},
		{2048, UINT64_MAX, 5, 0, 0, SENSE_COPY_ABORTED},
		{2048, 3, KIT_SIZE / 1024 - 1, 0, 0, SENSE_COPY_ABORTED},
		{0xfffffc00, 3, 5, 0, 0, SENSE_COPY_ABORTED},
	};
	static struct xlist x;
	struct harness h;

	(void)state;
	kit_start(&h, 512, 1024);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t from = cases[i].from_lba * 512 + cases[i].from_byte;
		uint64_t to = cases[i].to_lba * 1024 + cases[i].to_byte;
		const uint8_t *disk;

		kit_fill(&h, 1);
		xlist_lid1(&x, 1, 0);
		xlist_cscd(&x, h.lus[0], false);
		xlist_cscd(&x, h.lus[1], false);
		xlist_seg_bytes(&x, cases[i].n, cases[i].from_lba, cases[i].to_lba,
				cases[i].from_byte, cases[i].to_byte);
		xlist_end(&x);
		if (cases[i].code != SENSE_NONE) {
			assert_check(xlist_send(&h, 0, 0, &x), cases[i].code);
			continue;
		}
		assert_good(xlist_send(&h, 0, 0, &x));
		disk = kit_read(&h, 1);
		for (uint64_t at = 0; at < KIT_SIZE; at++)
			assert_int_equal(disk[at], at >= to && at < to + cases[i].n
							   ? kit_byte(0, from + at - to)
							   : kit_byte(1, at));
	}
	xlist_lid1(&x, 1, 0);
	xlist_cscd(&x, h.lus[0], false);
	xlist_seg_bytes(&x, 512, 0, 9, 0, 0);
	xlist_end(&x);
	x.buf[x.out.len - 31] = 0x02; /* DC, which is the other descriptor's */
	assert_check(xlist_send(&h, 0, 0, &x), SENSE_INVALID_FIELD_IN_PARAMETERS);
	harness_stop(&h);
}

/* ---- a store that does as it is told ---- */

/* RAM at LUN 0, the fake at LUN 1. */
static void start_fake(struct harness *h, bool write_cache)
{
	struct scsi_lu_config cfg = kit_disk(0);

	fake_reset();
	harness_start(h);
	harness_map(h, 0, &cfg);
	cfg = kit_disk(1);
	cfg.backend = &fake_backend_ops;
	cfg.write_cache = write_cache;
	harness_map(h, 1, &cfg);
	harness_settle(h);
	kit_fill(h, 0);
}

static void failures(void **state)
{
	struct harness h;

	(void)state;
	start_fake(&h, true);
	fake.fail = -EIO;
	fake.fail_kind = DUOTGT_IO_WRITE;
	assert_segment(kit_xcopy(&h, (struct seg[]){{0, 0, 8, 0, 8}, {0, 1, 8, 0, 8}}, 2),
		       SENSE_THIRD_PARTY_DEVICE_FAILURE, 1);
	fake.fail_kind = DUOTGT_IO_READ;
	assert_segment(kit_xcopy(&h, &(struct seg){1, 0, 8, 0, 8}, 1),
		       SENSE_THIRD_PARTY_DEVICE_FAILURE, 0);
	/* and what LID1 keeps of it: told once */
	assert_good(SEND(&h, .cdb = {0x84, 0x04, 0, [13] = 200}, .expect_in = 200));
	assert_int_equal(h.answer.len, 60 + 18);
	assert_int_equal(be32_get(h.answer.data), 60 + 18 - 4);
	assert_int_equal(h.answer.data[56], STATUS_CHECK_CONDITION);
	assert_int_equal(be16_get(h.answer.data + 58), 18);
	assert_int_equal(h.answer.data[60 + 2], KEY_COPY_ABORTED);
	assert_bad_field(SEND(&h, .cdb = {0x84, 0x04, 0, [13] = 200}, .expect_in = 200), 2, -1);
	harness_stop(&h);
}

static void without_write_cache_it_is_flushed(void **state)
{
	static const struct seg seg = {0, 1, 8, 0, 8};
	struct harness h;

	(void)state;
	start_fake(&h, true);
	assert_good(kit_xcopy(&h, &seg, 1));
	assert_int_equal(fake.kind, DUOTGT_IO_WRITE);
	harness_stop(&h);
	start_fake(&h, false);
	assert_good(kit_xcopy(&h, &seg, 1));
	assert_int_equal(fake.kind, DUOTGT_IO_FLUSH);
	fake.fail = -EIO;
	fake.fail_kind = DUOTGT_IO_FLUSH;
	assert_segment(kit_xcopy(&h, &seg, 1), SENSE_THIRD_PARTY_DEVICE_FAILURE, 0);
	fake.fail = 0; /* from now on nothing is believed any more */
	assert_segment(kit_xcopy(&h, &seg, 1), SENSE_THIRD_PARTY_DEVICE_FAILURE, 0);
	harness_stop(&h);
}

/* ---- lists, and copies in the background ---- */

static const struct answer *status_lid1(struct harness *h, unsigned nexus, uint32_t lun, uint8_t id)
{
	return SEND(h, .nexus = nexus, .lun = lun, .cdb = {0x84, 0x00, id, [13] = 64},
		    .expect_in = 64);
}

static const struct answer *send_list(struct harness *h, uint8_t id, uint8_t usage)
{
	static struct xlist x;

	xlist_lid1(&x, id, usage);
	xlist_cscd(&x, h->lus[0], false);
	xlist_seg(&x, &(struct seg){0, 0, 8, 0, 8});
	xlist_seg(&x, &(struct seg){0, 0, 8, 0, 18});
	xlist_end(&x);
	return xlist_send(h, 0, 0, &x);
}

static void lists_are_held(void **state)
{
	const struct answer *a;
	struct harness h;

	(void)state;
	kit_start(&h, 512, 512);
	assert_bad_field(status_lid1(&h, 0, 0, 1), 2, -1);
	assert_good(send_list(&h, 1, 0));
	assert_good(send_list(&h, 2, 2)); /* discarded */
	assert_good(send_list(&h, 0, 3)); /* without a name */
	a = status_lid1(&h, 0, 0, 1);
	assert_good(a);
	assert_int_equal(a->len, 12);
	assert_int_equal(be32_get(a->data), 8);
	assert_int_equal(a->data[4], 1);
	assert_int_equal(be16_get(a->data + 5), 2);
	assert_int_equal(a->data[7], 0);
	assert_int_equal(be32_get(a->data + 8), 16 * 512);
	assert_bad_field(status_lid1(&h, 0, 0, 2), 2, -1);
	assert_bad_field(status_lid1(&h, 0, 0, 0), 2, -1);
	/* of another initiator, or another LU, it is not */
	assert_bad_field(status_lid1(&h, 1, 0, 1), 2, -1);
	assert_bad_field(status_lid1(&h, 0, 1, 1), 2, -1);
	/* no data is held, nothing has failed */
	a = SEND(&h, .cdb = {0x84, 0x01, 1, [13] = 64}, .expect_in = 64);
	assert_good(a);
	assert_true(a->len == 4 && be32_get(a->data) == 0);
	a = SEND(&h, .cdb = {0x84, 0x04, 1, [13] = 64}, .expect_in = 64);
	assert_good(a);
	assert_true(a->len == 4 && be32_get(a->data) == 0);
	/* the same, asked in the other form */
	a = kit_receive(&h, 0, 0, COPY_DATA_LID4, 1);
	assert_good(a);
	assert_int_equal(a->len, 36);
	assert_int_equal(a->data[5], 0x01);
	assert_int_equal(be64_get(a->data + 16), 16 * 512);
	harness_stop(&h);
}

/* More than are kept: the oldest go, and the memory with them. */
static void lists_are_bounded(void **state)
{
	struct harness h;

	(void)state;
	kit_start(&h, 512, 512);
	for (unsigned id = 0; id < 200; id++)
		assert_good(send_list(&h, (uint8_t)id, 0));
	assert_bad_field(status_lid1(&h, 0, 0, 0), 2, -1);
	assert_good(status_lid1(&h, 0, 0, 199));
	harness_stop(&h);
}

/* Begins a copy to the fake, which holds its first write. */
static void begin_held(struct harness *h, uint32_t list_id)
{
	static struct xlist x;

	fake.hold = true;
	xlist_lid4(&x, list_id, 0, true);
	xlist_cscd(&x, h->lus[0], false);
	xlist_cscd(&x, h->lus[1], false);
	xlist_seg(&x, &(struct seg){0, 1, 2, 0, 0});
	xlist_seg(&x, &(struct seg){0, 1, 1000, 2, 2});
	xlist_end(&x);
	assert_good(xlist_send(h, 0, 0, &x));
	while (!fake.n_held)
		assert_true(engine_turn(h->engine, false) >= 0);
}

static bool was_written(uint64_t offset)
{
	return fake.mem[offset] == kit_byte(0, offset);
}

static void in_the_background(void **state)
{
	static struct xlist x;
	const struct answer *a;
	struct harness h;

	(void)state;
	start_fake(&h, true);
	begin_held(&h, 77);
	a = kit_receive(&h, 0, 0, COPY_STATUS_LID4, 77);
	assert_good(a);
	assert_int_equal(a->len, 32);
	assert_int_equal(be32_get(a->data), 28);
	assert_int_equal(a->data[4], 0x01);
	assert_int_equal(a->data[5], 0x12);
	assert_int_equal(be16_get(a->data + 24), 0);
	a = status_lid1(&h, 0, 0, 77);
	assert_good(a);
	assert_int_equal(a->data[4], 0);
	/* its name is taken */
	xlist_lid4(&x, 77, 0, true);
	xlist_cscd(&x, h.lus[0], false);
	xlist_seg(&x, &(struct seg){0, 0, 2, 0, 0});
	xlist_end(&x);
	assert_check(xlist_send(&h, 0, 0, &x), SENSE_OPERATION_IN_PROGRESS);
	/* the initiator goes, the copy does not */
	scsi_nexus_free(h.nexus[0]);
	h.nexus[0] = NULL;
	fake.hold = false;
	fake_release();
	harness_settle(&h);
	assert_int_equal(kit_wait(&h, 77), 0x01);
	a = kit_receive(&h, 0, 0, COPY_STATUS_LID4, 77);
	assert_int_equal(be64_get(a->data + 16), 1002 * 512);
	assert_int_equal(be16_get(a->data + 24), 2);
	for (uint64_t i = 0; i < 1002 * 512; i++)
		assert_true(was_written(i));
	assert_good(xlist_send(&h, 0, 0, &x)); /* free again */
	assert_int_equal(kit_wait(&h, 77), 0x01);
	harness_stop(&h);
}

static void release_fake(struct engine_timer *timer)
{
	(void)timer;
	fake.hold = false;
	fake_release();
}

static void is_aborted_by_command(void **state)
{
	struct engine_timer timer = {.fire = release_fake};
	const struct answer *a;
	struct harness h;

	(void)state;
	start_fake(&h, true);
	assert_bad_field(SEND(&h, .cdb = {0x83, 0x1c, [5] = 77}), 2, -1);
	begin_held(&h, 77);
	engine_timer_set(h.engine, &timer, engine_now(h.engine) + 1000000);
	a = SEND(&h, .cdb = {0x83, 0x1c, [5] = 77});
	assert_good(a);
	assert_true(a->was_pending);
	assert_false(fake.hold); /* not before the write was over */
	assert_true(was_written(512) && !was_written(1024 * 4));
	a = kit_receive(&h, 0, 0, COPY_STATUS_LID4, 77);
	assert_int_equal(a->data[5], 0x60);
	assert_int_equal(a->data[12], STATUS_CHECK_CONDITION);
	assert_int_equal(a->data[13], 18);
	assert_int_equal(a->data[32 + 2], KEY_COPY_ABORTED);
	assert_good(SEND(&h, .cdb = {0x83, 0x1c, [5] = 77})); /* it has ended */
	harness_stop(&h);
}

static void not_reached(struct scsi_gate_pass *pass)
{
	(void)pass;
	fail();
}

/* What is alone at the LU that is read, such as a COMPARE AND WRITE, is not read half done. */
static void waits_for_who_is_alone_at_its_source(void **state)
{
	struct scsi_gate_pass pass = {.admitted = not_reached};
	static struct xlist x;
	struct harness h;

	(void)state;
	for (uint32_t lun = 0; lun < 2; lun++) {
		start_fake(&h, true);
		pass.engine = h.engine;
		assert_true(scsi_gate_enter(&h.lus[lun]->gate, &pass, GATE_EXCLUSIVE));
		xlist_lid4(&x, 5, 0, true);
		xlist_cscd(&x, h.lus[0], false);
		xlist_cscd(&x, h.lus[1], false);
		xlist_seg(&x, &(struct seg){0, 1, 2, 0, 0});
		xlist_end(&x);
		assert_good(xlist_send(&h, 0, 1 - lun, &x));
		for (unsigned i = 0; i < 20; i++)
			assert_true(engine_turn(h.engine, false) >= 0);
		assert_false(was_written(512));
		scsi_gate_leave(&h.lus[lun]->gate, &pass);
		while (!was_written(512))
			assert_true(engine_turn(h.engine, false) >= 0);
		harness_stop(&h);
	}
}

static bool tmf_over;

static void tmf_done(struct scsi_tmf *tmf)
{
	assert_int_equal(tmf->response, TMF_COMPLETE);
	tmf_over = true;
}

/* At the LU that the copy was asked for, and at the one that it writes. */
static void is_aborted_by_reset(void **state)
{
	struct harness h;

	(void)state;
	for (uint32_t lun = 0; lun < 2; lun++) {
		struct scsi_tmf tmf = {
			.function = TMF_LU_RESET, .lun = scsi_lun_encode(lun), .done = tmf_done};

		start_fake(&h, true);
		begin_held(&h, 5);
		tmf.nexus = h.nexus[1];
		tmf_over = false;
		scsi_tmf_start(&tmf);
		for (unsigned i = 0; i < 20; i++)
			assert_true(engine_turn(h.engine, false) >= 0);
		assert_false(tmf_over);
		fake.hold = false;
		fake_release();
		harness_wait(&h, &tmf_over);
		assert_true(was_written(512) && !was_written(1024 * 4));
		harness_settle(&h);
		assert_int_equal(kit_wait(&h, 5), 0x60);
		harness_stop(&h);
	}
}

/* It is no task of the preempted any more, but what it writes is theirs. */
static void is_aborted_by_preempt_and_abort(void **state)
{
	enum { REGISTER_AND_IGNORE = 6 };
	uint8_t list[24] = {[15] = 1};
	struct harness h;

	(void)state;
	start_fake(&h, true);
	for (unsigned i = 0; i < 2; i++) {
		list[15] = (uint8_t)(i + 1);
		assert_good(SEND(&h, .nexus = i, .lun = 1,
				 .cdb = {0x5f, REGISTER_AND_IGNORE, [8] = 24}, .out = list,
				 .out_len = 24));
	}
	begin_held(&h, 5);
	fake.hold = false;
	list[7] = 2;
	list[15] = 1;
	fake_release(); /* of which the copy hears when the loop turns */
	assert_good(SEND(&h, .nexus = 1, .lun = 1, .cdb = {0x5f, 5, 1, [8] = 24}, .out = list,
			 .out_len = 24));
	assert_false(was_written(1024 * 4));
	harness_settle(&h);
	assert_int_equal(kit_wait(&h, 5), 0x60);
	harness_stop(&h);
}

/* ---- in the foreground ---- */

struct command {
	struct scsi_task task;
	struct iovec iov;
	bool done;
};

static void command_done(struct scsi_task *task)
{
	container_of(task, struct command, task)->done = true;
}

static void command_aborted(struct scsi_task *task)
{
	assert_true(task->pending);
}

static const struct scsi_transport transport = {.done = command_done, .aborted = command_aborted};

static void is_aborted_by_task_management(void **state)
{
	static struct xlist x;
	struct scsi_tmf tmf = {.function = TMF_ABORT_TASK, .tag = 4711, .done = tmf_done};
	struct command c = {.task = {.transport = &transport,
				     .tag = 4711,
				     .attr = ATTR_SIMPLE,
				     .cdb = {0x83},
				     .cdb_len = 16}};
	struct harness h;

	(void)state;
	start_fake(&h, true);
	fake.hold = true;
	xlist_lid1(&x, 1, 0);
	xlist_cscd(&x, h.lus[0], false);
	xlist_cscd(&x, h.lus[1], false);
	xlist_seg(&x, &(struct seg){0, 1, 1000, 0, 0});
	xlist_end(&x);
	c.task.nexus = tmf.nexus = h.nexus[0];
	be32_put(c.task.cdb + 10, (uint32_t)x.out.len);
	c.task.expect_out = (uint32_t)x.out.len;
	assert_int_equal(scsi_task_begin(&c.task), SCSI_READY);
	c.iov = (struct iovec){x.buf, x.out.len};
	c.task.iov = &c.iov;
	c.task.n_iov = 1;
	assert_int_equal(scsi_task_run(&c.task), SCSI_PENDING);
	while (!fake.n_held)
		assert_true(engine_turn(h.engine, false) >= 0);
	assert_int_equal(status_lid1(&h, 0, 0, 1)->data[4], 0);
	tmf_over = false;
	scsi_tmf_start(&tmf);
	for (unsigned i = 0; i < 20; i++)
		assert_true(engine_turn(h.engine, false) >= 0);
	assert_false(tmf_over || c.done);
	fake.hold = false;
	fake_release();
	harness_wait(&h, &c.done);
	assert_int_equal(c.task.status, STATUS_TASK_ABORTED);
	scsi_task_end(&c.task);
	harness_wait(&h, &tmf_over);
	assert_true(was_written(512) && !was_written(900 * 512));
	harness_stop(&h);
}

static void let_in(struct scsi_gate_pass *pass)
{
	(void)pass;
	fake.hold = false;
}

/* Who has to be alone inside the gate waits for one chunk, and not for the whole copy. */
static void passes_the_gate_chunk_by_chunk(void **state)
{
	struct scsi_gate_pass pass = {.admitted = let_in};
	struct harness h;

	(void)state;
	start_fake(&h, true);
	begin_held(&h, 5);
	pass.engine = h.engine;
	assert_false(scsi_gate_enter(&h.lus[1]->gate, &pass, GATE_EXCLUSIVE));
	fake_release(); /* this write; the next would be held */
	while (fake.hold)
		assert_true(engine_turn(h.engine, false) >= 0);
	for (unsigned i = 0; i < 20; i++)
		assert_true(engine_turn(h.engine, false) >= 0);
	assert_true(was_written(512) && !was_written(1024 * 4));
	scsi_gate_leave(&h.lus[1]->gate, &pass);
	assert_int_equal(kit_wait(&h, 5), 0x01);
	assert_true(was_written(1024 * 4));
	harness_stop(&h);
}

/* ---- what is said of it ---- */

static void operating_parameters(void **state)
{
	const struct answer *a;
	struct harness h;

	(void)state;
	kit_start(&h, 512, 512);
	a = SEND(&h, .cdb = {0x84, 0x03, [13] = 200}, .expect_in = 200);
	assert_good(a);
	assert_int_equal(a->len, 47);
	assert_int_equal(be32_get(a->data), 43);
	assert_int_equal(be16_get(a->data + 8), COPY_MAX_CSCDS);
	assert_int_equal(be16_get(a->data + 10), COPY_MAX_SEGMENTS);
	assert_int_equal(be32_get(a->data + 12), COPY_MAX_LIST);
	assert_int_equal(a->data[43], 3);
	assert_int_equal(a->data[44], 0x02);
	assert_int_equal(a->data[45], 0x0a);
	assert_int_equal(a->data[46], 0xe4);
	a = SEND(&h, .cdb = {0x12, 0, 0, 0, 96}, .expect_in = 96);
	assert_true(a->data[5] & 0x08);
	harness_stop(&h);
}

/* Each descriptor of page 8F is whole, and what it lists is what there is. */
static void vpd_8f(void **state)
{
	static const uint8_t out_sas[] = {0x00, 0x01, 0x10, 0x11, 0x1c};
	static const uint8_t in_sas[] = {0x00, 0x01, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08};
	const struct answer *a;
	struct bytes_in in;
	unsigned n = 0;
	struct harness h;

	(void)state;
	kit_start(&h, 512, 512);
	a = SEND(&h, .cdb = {0x12, 1, 0x8f, 4, 0}, .expect_in = 1024);
	assert_good(a);
	assert_int_equal(be16_get(a->data + 2), a->len - 4);
	in = bytes_in(a->data + 4, a->len - 4);
	for (; in.left; n++) {
		uint16_t type = in_be16(&in), len = in_be16(&in);
		const uint8_t *p = in_bytes(&in, len);

		assert_false(in.bad || len % 4);
		if (type == 0x0001) {
			assert_true(p[1] == 0x83 && p[2] == sizeof(out_sas));
			assert_memory_equal(p + 3, out_sas, sizeof(out_sas));
			p += 3 + sizeof(out_sas);
			assert_true(p[0] == 0x84 && p[1] == sizeof(in_sas));
			assert_memory_equal(p + 2, in_sas, sizeof(in_sas));
		} else if (type == 0x0108) {
			assert_int_equal(be16_get(p + 2), 128);
			assert_int_equal(be32_get(p + 4), ROD_ACCESS_ON_REFERENCE);
			assert_int_equal(be32_get(p + 68), ROD_BLOCK_ZERO);
		}
	}
	assert_int_equal(n, 9);
	harness_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies),
		cmocka_unit_test(copies_by_reading_and_writing),
		cmocka_unit_test(thin_disks_stay_thin),
		cmocka_unit_test(block_lengths_differ),
		cmocka_unit_test(padding),
		cmocka_unit_test(left_over),
		cmocka_unit_test(left_over_of_many_segments),
		cmocka_unit_test(segments_that_cannot_be),
		cmocka_unit_test(names),
		cmocka_unit_test(tenants_cannot_name_each_others_disks),
		cmocka_unit_test(lists_that_are_wrong),
		cmocka_unit_test(limits),
		cmocka_unit_test(lid4_headers),
		cmocka_unit_test(write_protected_and_offline),
		cmocka_unit_test(reservations_of_others),
		cmocka_unit_test(failures),
		cmocka_unit_test(without_write_cache_it_is_flushed),
		cmocka_unit_test(lists_are_held),
		cmocka_unit_test(lists_are_bounded),
		cmocka_unit_test(in_the_background),
		cmocka_unit_test(is_aborted_by_command),
		cmocka_unit_test(waits_for_who_is_alone_at_its_source),
		cmocka_unit_test(with_offset),
		cmocka_unit_test(is_aborted_by_reset),
		cmocka_unit_test(is_aborted_by_preempt_and_abort),
		cmocka_unit_test(is_aborted_by_task_management),
		cmocka_unit_test(passes_the_gate_chunk_by_chunk),
		cmocka_unit_test(operating_parameters),
		cmocka_unit_test(vpd_8f),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
