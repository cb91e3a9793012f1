/* SPDX-License-Identifier: Apache-2.0 */
/* See copy_kit.h. */
#include "tests/scsi/copy_kit.h"
#include "scsi/copy/cscd.h"
#include "tests/scsi/fake_store.h"
#include <string.h>

enum { PIECE = 32 << 10 };

struct scsi_lu_config kit_disk(uint8_t id)
{
	struct scsi_lu_config cfg = harness_lu_config();

	cfg.uuid[0] = id;
	return cfg;
}

void kit_start_fake(struct harness *h, bool write_cache)
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

uint8_t kit_byte(uint32_t lun, uint64_t offset)
{
	return (uint8_t)(offset * 7 + offset / 512 * 3 + offset / 70000 + lun * 101 + 1);
}

static struct scsi_lu *lu_of(struct harness *h, uint32_t lun)
{
	int at = scsi_map_find(scsi_nexus_map(h->nexus[0]), scsi_lun_encode(lun));

	assert_true(at >= 0);
	return scsi_nexus_map(h->nexus[0])->all[at].lu;
}

static void set_range(struct harness *h, struct sent *sent, uint64_t offset, size_t len)
{
	uint32_t block = scsi_lu_block_size(lu_of(h, sent->lun));

	be64_put(sent->cdb + 2, offset / block);
	be32_put(sent->cdb + 10, (uint32_t)len / block);
}

void kit_write(struct harness *h, uint32_t lun, uint64_t offset, const void *data, size_t len)
{
	struct sent sent = {.lun = lun, .cdb = {0x8a}, .out = data, .out_len = (uint32_t)len};

	set_range(h, &sent, offset, len);
	assert_good(harness_send(h, &sent));
}

void kit_fill(struct harness *h, uint32_t lun)
{
	uint8_t buf[PIECE];

	for (uint64_t at = 0; at < KIT_SIZE; at += PIECE) {
		for (unsigned i = 0; i < PIECE; i++)
			buf[i] = kit_byte(lun, at + i);
		kit_write(h, lun, at, buf, PIECE);
	}
}

const uint8_t *kit_read(struct harness *h, uint32_t lun)
{
	static uint8_t disks[2][KIT_SIZE];

	for (uint64_t at = 0; at < KIT_SIZE; at += PIECE) {
		struct sent sent = {.lun = lun, .cdb = {0x88}, .expect_in = PIECE};
		const struct answer *a;

		set_range(h, &sent, at, PIECE);
		a = harness_send(h, &sent);
		assert_good(a);
		memcpy(disks[lun] + at, a->data, PIECE);
	}
	return disks[lun];
}

void kit_start(struct harness *h, uint32_t block_0, uint32_t block_1)
{
	struct scsi_lu_config cfg = kit_disk(0);

	harness_start(h);
	cfg.block_size = block_0;
	harness_map(h, 0, &cfg);
	cfg = kit_disk(1);
	cfg.block_size = block_1;
	harness_map(h, 1, &cfg);
	harness_settle(h);
	kit_fill(h, 0);
	kit_fill(h, 1);
}

/* ---- EXTENDED COPY ---- */

void xlist_lid1(struct xlist *x, uint8_t list_id, uint8_t usage)
{
	x->out = bytes_out(x->buf, sizeof(x->buf));
	x->n_cscds = 0;
	out_zero(&x->out, 16);
	x->buf[0] = list_id;
	x->buf[1] = (uint8_t)(usage << 3);
}

void xlist_lid4(struct xlist *x, uint32_t list_id, uint8_t usage, bool immed)
{
	x->out = bytes_out(x->buf, sizeof(x->buf));
	x->n_cscds = 0;
	out_zero(&x->out, 48);
	x->buf[0] = 1;
	x->buf[1] = (uint8_t)(usage << 3);
	be16_put(x->buf + 2, 0x20);
	x->buf[15] = immed ? 2 : 0;
	x->buf[16] = 0xff;
	be32_put(x->buf + 20, list_id);
}

static bool is_lid4(const struct xlist *x)
{
	return x->buf[16] == 0xff;
}

void xlist_cscd(struct xlist *x, const struct scsi_lu *lu, bool pad)
{
	uint8_t *p = out_room(&x->out, CSCD_LEN);

	assert_non_null(p);
	cscd_put(lu, p);
	if (pad)
		p[28] |= 4;
	x->n_cscds++;
}

void xlist_seg(struct xlist *x, const struct seg *seg)
{
	out_u8(&x->out, 0x02);
	out_u8(&x->out, (uint8_t)(seg->dc << 1 | seg->cat));
	out_be16(&x->out, 0x18);
	out_be16(&x->out, seg->from);
	out_be16(&x->out, seg->to);
	out_zero(&x->out, 2);
	out_be16(&x->out, seg->n);
	out_be64(&x->out, seg->from_lba);
	out_be64(&x->out, seg->to_lba);
	assert_false(x->out.full);
}

void xlist_seg_bytes(struct xlist *x, uint32_t n, uint64_t from_lba, uint64_t to_lba,
		     uint16_t from_byte, uint16_t to_byte)
{
	out_u8(&x->out, 0x0a);
	out_u8(&x->out, 0);
	out_be16(&x->out, 0x1c);
	out_be16(&x->out, 0);
	out_be16(&x->out, 1);
	out_be32(&x->out, n);
	out_be64(&x->out, from_lba);
	out_be64(&x->out, to_lba);
	out_be16(&x->out, from_byte);
	out_be16(&x->out, to_byte);
	assert_false(x->out.full);
}

void xlist_end(struct xlist *x)
{
	unsigned header = is_lid4(x) ? 48 : 16;
	unsigned cscds = x->n_cscds * CSCD_LEN;
	unsigned segments = (unsigned)x->out.len - header - cscds;

	if (is_lid4(x)) {
		be16_put(x->buf + 42, (uint16_t)cscds);
		be16_put(x->buf + 44, (uint16_t)segments);
	} else {
		be16_put(x->buf + 2, (uint16_t)cscds);
		be32_put(x->buf + 8, segments);
	}
}

const struct answer *xlist_send(struct harness *h, unsigned nexus, uint32_t lun, struct xlist *x)
{
	struct sent sent = {.nexus = nexus,
			    .lun = lun,
			    .cdb = {0x83, is_lid4(x)},
			    .out = x->buf,
			    .out_len = (uint32_t)x->out.len,
			    .n_segments = 3};

	be32_put(sent.cdb + 10, sent.out_len);
	return harness_send(h, &sent);
}

const struct answer *kit_xcopy(struct harness *h, const struct seg *segs, unsigned n)
{
	static struct xlist x;

	xlist_lid1(&x, 0, 0);
	xlist_cscd(&x, lu_of(h, 0), false);
	xlist_cscd(&x, lu_of(h, 1), false);
	for (unsigned i = 0; i < n; i++)
		xlist_seg(&x, &segs[i]);
	xlist_end(&x);
	return xlist_send(h, 0, 0, &x);
}

const struct answer *kit_receive(struct harness *h, unsigned nexus, uint32_t lun, uint8_t sa,
				 uint32_t list_id)
{
	struct sent sent = {.nexus = nexus, .lun = lun, .cdb = {0x84, sa}, .expect_in = 1024};

	be32_put(sent.cdb + 2, list_id);
	be32_put(sent.cdb + 10, 1024);
	return harness_send(h, &sent);
}

uint8_t kit_wait(struct harness *h, uint32_t list_id)
{
	const struct answer *a;

	for (;;) {
		a = kit_receive(h, 0, 0, COPY_STATUS_LID4, list_id);
		assert_good(a);
		if (a->data[5] < 0x10 || a->data[5] == 0x60)
			return a->data[5];
		assert_true(engine_turn(h->engine, false) >= 0);
	}
}

void assert_segment(const struct answer *a, enum scsi_sense_code code, unsigned segment)
{
	assert_check(a, code);
	assert_true(a->sense.has_specific);
	assert_int_equal(a->sense.specific, segment);
}

/* ---- the model ---- */

uint8_t model[2][KIT_SIZE];

void model_reset(void)
{
	for (uint32_t lun = 0; lun < 2; lun++)
		for (uint64_t i = 0; i < KIT_SIZE; i++)
			model[lun][i] = kit_byte(lun, i);
}

void model_move(unsigned from, uint64_t from_at, unsigned to, uint64_t to_at, uint64_t len)
{
	memmove(model[to] + to_at, model[from] + from_at, len);
}

void assert_model(struct harness *h)
{
	for (uint32_t lun = 0; lun < 2; lun++)
		assert_memory_equal(kit_read(h, lun), model[lun], KIT_SIZE);
}
