/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MODE SENSE (6) and (10): the mode pages of a disk. Nothing can be changed or saved yet, so the
 * default values are the current ones, and the changeable ones are all 0.
 * Source: SPC-5 r22, mode parameters; SBC-4 r22, mode parameters for direct access block devices.
 */
#include "scsi/lu_priv.h"
#include "scsi/spc/spc.h"
#include "util/bytes.h"
#include <assert.h>

enum {
	DBD = 0x08,    /* byte 1: no block descriptor */
	LLBAA = 0x10,  /* byte 1 of the long CDB: a long one is welcome */
	PAGE = 0x3f,   /* byte 2 */
	PC_SHIFT = 6,  /* page control: byte 2 */
	WP = 0x80,     /* device-specific parameter */
	DPOFUA = 0x10, /* likewise */
	LONGLBA = 0x01,

	ALL_PAGES = 0x3f,
	ALL_SUBPAGES = 0xff,
};

enum page_control { PC_CURRENT, PC_CHANGEABLE, PC_DEFAULT, PC_SAVED };

/* @body: the page from byte 2 on, all 0 */
static void page_disconnect(const struct scsi_lu_view *view, uint8_t *body)
{
	(void)view; /* nothing here applies to a transport without a bus */
	(void)body;
}

static void page_caching(const struct scsi_lu_view *view, uint8_t *body)
{
	if (view->write_cache)
		body[0] |= 0x04; /* WCE */
}

static void page_control(const struct scsi_lu_view *view, uint8_t *body)
{
	body[0] = 0x02; /* GLTSD: no log parameter is saved */
	if (view->descriptor_sense)
		body[0] |= 0x04; /* D_SENSE */
	body[1] = 0x10;		 /* QUEUE ALGORITHM MODIFIER: unrestricted reordering */
}

static void page_exceptions(const struct scsi_lu_view *view, uint8_t *body)
{
	(void)view;
	body[0] = 0x08; /* DEXCPT: informational exceptions are not reported */
}

/* In the order that they are returned in: ascending. */
static const struct mode_page {
	uint8_t code, len; /* len: PAGE LENGTH, so without the first two bytes */
	void (*fill)(const struct scsi_lu_view *view, uint8_t *body);
} mode_pages[] = {
	{0x02, 0x0e, page_disconnect},
	{0x08, 0x12, page_caching},
	{0x0a, 0x0a, page_control},
	{0x1c, 0x0a, page_exceptions},
};

#define N_MODE_PAGES (sizeof(mode_pages) / sizeof(mode_pages[0]))
#define MODE_MAX (8 + 16 + N_MODE_PAGES * (2 + 255))

/* Return: whether there is such a page. No page here has subpages. */
static bool out_pages(struct bytes_out *out, const struct scsi_lu_view *view, const uint8_t *cdb)
{
	uint8_t code = cdb[2] & PAGE, subpage = cdb[3];
	bool found = false;

	if (subpage && subpage != ALL_SUBPAGES)
		return false;
	for (unsigned i = 0; i < N_MODE_PAGES; i++) {
		const struct mode_page *page = &mode_pages[i];
		uint8_t *body;

		if (code != ALL_PAGES && code != page->code)
			continue;
		out_u8(out, page->code);
		out_u8(out, page->len);
		body = out_room(out, page->len);
		assert(body);
		memset(body, 0, page->len);
		if (cdb[2] >> PC_SHIFT != PC_CHANGEABLE)
			page->fill(view, body);
		found = true;
	}
	return found;
}

static void out_short_descriptor(struct bytes_out *out, const struct scsi_lu_view *view)
{
	out_be32(out, view->n_blocks > UINT32_MAX ? UINT32_MAX : (uint32_t)view->n_blocks);
	out_u8(out, 0);
	out_u8(out, (uint8_t)(view->block_size >> 16));
	out_be16(out, (uint16_t)view->block_size);
}

static void out_long_descriptor(struct bytes_out *out, const struct scsi_lu_view *view)
{
	out_be64(out, view->n_blocks);
	out_zero(out, 4);
	out_be32(out, view->block_size);
}

static uint8_t device_specific(const struct scsi_lu_view *view)
{
	return DPOFUA | (view->read_only ? WP : 0);
}

/* What is wrong with the page asked for; SCSI_READY when nothing is. */
static enum scsi_step judge_page(struct scsi_task *task, bool found)
{
	if (task->cdb[2] >> PC_SHIFT == PC_SAVED)
		return scsi_check(task, SENSE_SAVING_NOT_SUPPORTED);
	if (task->cdb[3] && task->cdb[3] != ALL_SUBPAGES)
		return scsi_check_field(task, 3, 0xff);
	if (!found)
		return scsi_check_field(task, 2, PAGE);
	return SCSI_READY;
}

enum scsi_step spc_mode_sense6(struct scsi_task *task)
{
	const struct scsi_lu_view *view = scsi_lu_view(task->lu);
	uint8_t buf[MODE_MAX];
	struct bytes_out out = bytes_out(buf, sizeof(buf));
	bool descriptor = !(task->cdb[1] & DBD), found;

	out_zero(&out, 2);
	out_u8(&out, device_specific(view));
	out_u8(&out, descriptor ? 8 : 0);
	if (descriptor)
		out_short_descriptor(&out, view);
	found = out_pages(&out, view, task->cdb);
	if (judge_page(task, found) == SCSI_DONE)
		return SCSI_DONE;
	/* One byte of length holds all that there is; a page too many is for the (10) alone. */
	assert(!out.full && out.len <= 256);
	buf[0] = (uint8_t)(out.len - 1);
	return scsi_reply(task, buf, out.len);
}

enum scsi_step spc_mode_sense10(struct scsi_task *task)
{
	const struct scsi_lu_view *view = scsi_lu_view(task->lu);
	uint8_t buf[MODE_MAX];
	struct bytes_out out = bytes_out(buf, sizeof(buf));
	bool descriptor = !(task->cdb[1] & DBD), longlba = descriptor && (task->cdb[1] & LLBAA);
	bool found;

	out_zero(&out, 3);
	out_u8(&out, device_specific(view));
	out_u8(&out, longlba ? LONGLBA : 0);
	out_zero(&out, 1);
	out_be16(&out, longlba ? 16 : descriptor ? 8 : 0);
	if (longlba)
		out_long_descriptor(&out, view);
	else if (descriptor)
		out_short_descriptor(&out, view);
	found = out_pages(&out, view, task->cdb);
	if (judge_page(task, found) == SCSI_DONE)
		return SCSI_DONE;
	assert(!out.full);
	be16_put(buf, (uint16_t)(out.len - 2));
	return scsi_reply(task, buf, out.len);
}
