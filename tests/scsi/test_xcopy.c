/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EXTENDED COPY: what is copied, byte by byte, between LUs of any block lengths, and what is said
 * of it beforehand.
 */
#include "scsi/copy/cscd.h"
#include "tests/scsi/copy_kit.h"
#include "tests/scsi/fake_store.h"
#include <string.h>

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
		cmocka_unit_test(with_offset),
		cmocka_unit_test(operating_parameters),
		cmocka_unit_test(vpd_8f),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
