/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MODE SENSE (6) and (10): header, block descriptor, and pages with their current, changeable,
 * default or saved values.
 * Source: SPC-5 r22, mode parameters; SBC-4 r22, mode parameters for direct access block devices.
 */
#include "scsi/spc/mode.h"
#include "scsi/spc/spc.h"
#include "scsi/spc/state.h"
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

static bool is_asked_for(const struct mode_page *page, const uint8_t *cdb)
{
	uint8_t code = cdb[2] & PAGE, subpage = cdb[3];

	return (code == ALL_PAGES || code == page->code) &&
	       (subpage == ALL_SUBPAGES || subpage == page->subpage) &&
	       !(code == ALL_PAGES && subpage && subpage != ALL_SUBPAGES);
}

/* Return: whether there is such a page. */
static bool out_pages(struct bytes_out *out, const struct scsi_task *task)
{
	const struct scsi_lu *lu = task->lu;
	const struct scsi_lu_view *view = scsi_lu_view(lu);
	enum page_control control = task->cdb[2] >> PC_SHIFT;
	struct scsi_mode mode = control == PC_DEFAULT ? lu->spc->default_mode
				: control == PC_SAVED ? view->saved_mode
						      : scsi_mode_of(view);
	const struct mode_source from = {task->nexus->target, lu, &mode};
	bool found = false;

	for (unsigned i = 0; i < N_MODE_PAGES; i++) {
		const struct mode_page *page = &mode_pages[i];

		if (!is_asked_for(page, task->cdb) || !mode_page_offered(page, lu))
			continue;
		mode_page_out(out, page, &from, control == PC_CHANGEABLE, lu->state_dir);
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
	if (view->device_type != DEVICE_DISK)
		return 0; /* the field is a disk's */
	return DPOFUA | (view->read_only || view->swp ? WP : 0);
}

static bool has_code(const struct scsi_task *task)
{
	uint8_t code = task->cdb[2] & PAGE;

	for (unsigned i = 0; i < N_MODE_PAGES; i++)
		if ((mode_pages[i].code == code || code == ALL_PAGES) &&
		    mode_page_offered(&mode_pages[i], task->lu))
			return true;
	return false;
}

/* What is wrong with the page asked for; SCSI_READY when nothing is. */
static enum scsi_step judge_page(struct scsi_task *task, bool found)
{
	if (task->cdb[2] >> PC_SHIFT == PC_SAVED && !task->lu->state_dir)
		return scsi_check(task, SENSE_SAVING_NOT_SUPPORTED);
	if (!found && task->cdb[3] && task->cdb[3] != ALL_SUBPAGES && has_code(task))
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
	found = out_pages(&out, task);
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
	found = out_pages(&out, task);
	if (judge_page(task, found) == SCSI_DONE)
		return SCSI_DONE;
	assert(!out.full);
	be16_put(buf, (uint16_t)(out.len - 2));
	return scsi_reply(task, buf, out.len);
}
