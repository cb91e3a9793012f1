/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LOG SENSE and LOG SELECT. Nothing is saved, and no value can be set but by a reset.
 * Source: SPC-5 r22, log parameters, LOG SENSE, LOG SELECT.
 */
#include "scsi/spc/log.h"
#include "scsi/sbc/sbc.h"
#include "scsi/spc/spc.h"
#include "scsi/spc/state.h"
#include <assert.h>
#include <stdlib.h>

enum {
	PCR = 0x02,   /* LOG SELECT, byte 1 */
	PC_SHIFT = 6, /* byte 2 */
	PAGE = 0x3f,
	PC_CUMULATIVE = 1, /* the values; there are no thresholds for them */
	PC_DEFAULT_CUMULATIVE = 3,

	DS = 0x80, /* byte 0 of a page: cannot be saved */
	SPF = 0x40,
	TSD = 0x20, /* byte 2 of a parameter: the same */

	LIST_PAGE = 0x00,
	LIST_SUBPAGES = 0xff,
	PROVISIONING_PAGE = 0x0c,
};

static bool is_offered(const struct log_parameter *p, const struct scsi_lu *lu)
{
	return !p->offered || p->offered(lu);
}

static bool has_page(const struct scsi_lu *lu, uint8_t code, uint8_t subpage)
{
	if (code == LIST_PAGE)
		return subpage == 0 || subpage == LIST_SUBPAGES;
	for (const struct log_parameter *p = log_parameters; p->build; p++)
		if (p->page == code && !subpage && is_offered(p, lu))
			return true;
	return false;
}

/* The field that names no page of ours, as the answer; SCSI_READY when both are right. */
static enum scsi_step check_page(struct scsi_task *task)
{
	uint8_t code = task->cdb[2] & PAGE, subpage = task->cdb[3];

	if (has_page(task->lu, code, subpage))
		return SCSI_READY;
	return has_page(task->lu, code, 0) ? scsi_check_field(task, 3, 0xff)
					   : scsi_check_field(task, 2, PAGE);
}

/* ---- LOG SENSE ---- */

/* Page codes, or with @subpages pairs of page and subpage codes, in ascending order. */
static void out_pages(struct bytes_out *out, const struct scsi_lu *lu, bool subpages)
{
	uint8_t last = LIST_PAGE;

	out_u8(out, LIST_PAGE);
	if (subpages) {
		out_u8(out, 0);
		out_be16(out, LIST_PAGE << 8 | LIST_SUBPAGES);
	}
	for (const struct log_parameter *p = log_parameters; p->build; p++) {
		if (p->page == last || !is_offered(p, lu))
			continue;
		last = p->page;
		out_u8(out, p->page);
		if (subpages)
			out_u8(out, 0);
	}
}

static void out_parameter(struct bytes_out *out, const struct log_source *from,
			  const struct log_parameter *p)
{
	const struct scsi_totals *base = &from->task->lu->spc->log_base[p - log_parameters];
	bool zeroed = from->task->cdb[2] >> PC_SHIFT == PC_DEFAULT_CUMULATIVE;
	size_t at;

	out_be16(out, p->code);
	out_u8(out, TSD | p->kind);
	out_u8(out, p->len);
	at = out->len;
	if (zeroed && p->kind != LOG_LIST)
		out_zero(out, p->len);
	else
		p->build(from, base, out);
	assert(out->len == at + p->len);
}

/* Return: false when no parameter is at or past the pointer, though the page has some. */
static bool out_parameters(struct bytes_out *out, const struct log_source *from)
{
	const struct scsi_task *task = from->task;
	uint16_t pointer = be16_get(task->cdb + 5);
	bool any = false;

	pthread_mutex_lock(&task->lu->lock); /* for the bases */
	for (const struct log_parameter *p = log_parameters; p->build; p++) {
		if (p->page != (task->cdb[2] & PAGE) || p->code < pointer ||
		    !is_offered(p, task->lu))
			continue;
		out_parameter(out, from, p);
		any = true;
	}
	pthread_mutex_unlock(&task->lu->lock);
	return any;
}

static enum scsi_step answer(struct scsi_task *task, const struct log_source *from)
{
	uint8_t buf[LOG_MAX], code = task->cdb[2] & PAGE, subpage = task->cdb[3];
	struct bytes_out out = bytes_out(buf, sizeof(buf));

	out_u8(&out, DS | (subpage ? SPF : 0) | code);
	out_u8(&out, subpage);
	out_be16(&out, 0);
	if (code == LIST_PAGE) {
		if (be16_get(task->cdb + 5)) /* a list has no parameters to begin at */
			return scsi_check_field(task, 5, 0);
		out_pages(&out, task->lu, subpage == LIST_SUBPAGES);
	} else if (!out_parameters(&out, from)) {
		return scsi_check_field(task, 5, 0);
	}
	assert(!out.full);
	be16_put(buf + 2, (uint16_t)(out.len - 4));
	return scsi_reply(task, buf, out.len);
}

/* The store may have to be asked, which may block. */
static int ask_space(struct scsi_task *task)
{
	struct log_source *from = task->own;

	return sbc_provisioning(task->lu, &from->used_bytes, &from->free_bytes);
}

static enum scsi_step space_told(struct scsi_task *task)
{
	struct log_source *from = task->own;

	if (task->work_res < 0)
		return scsi_check(task, SENSE_INTERNAL_TARGET_FAILURE);
	from->space_known = true;
	return answer(task, from);
}

static enum scsi_step check_control(struct scsi_task *task)
{
	unsigned control = task->cdb[2] >> PC_SHIFT;

	if (control != PC_CUMULATIVE && control != PC_DEFAULT_CUMULATIVE)
		return scsi_check_field(task, 2, 0xc0);
	return check_page(task);
}

enum scsi_step spc_log_sense(struct scsi_task *task)
{
	struct log_source *from;

	if (check_control(task) == SCSI_DONE)
		return SCSI_DONE;
	from = calloc(1, sizeof(*from));
	if (!from)
		return scsi_finish(task, STATUS_BUSY);
	task->own = from;
	from->task = task;
	scsi_count_sum(task->lu, engine_now(task->nexus->engine), &from->totals);
	if ((task->cdb[2] & PAGE) == PROVISIONING_PAGE)
		return scsi_task_work(task, ask_space, space_told);
	return answer(task, from);
}

/* ---- LOG SELECT ---- */

/* One page, or with code and subpage 0 all of them. Return: whether it counts anything. */
static bool reset(struct scsi_task *task)
{
	struct scsi_lu *lu = task->lu;
	uint8_t code = task->cdb[2] & PAGE;
	struct scsi_totals now;
	bool any = false;

	scsi_count_sum(lu, engine_now(task->nexus->engine), &now);
	pthread_mutex_lock(&lu->lock);
	for (const struct log_parameter *p = log_parameters; p->build; p++) {
		if (p->kind == LOG_LIST || (code != LIST_PAGE && p->page != code))
			continue;
		lu->spc->log_base[p - log_parameters] = now;
		any = true;
	}
	pthread_mutex_unlock(&lu->lock);
	return any;
}

/* The row has no parameter list: the bytes of its length are refused when they are not 0. */
enum scsi_step spc_log_select(struct scsi_task *task)
{
	bool pcr = task->cdb[1] & PCR; /* for which PC means nothing */

	if ((pcr ? check_page(task) : check_control(task)) == SCSI_DONE)
		return SCSI_DONE;
	if ((pcr || task->cdb[2] >> PC_SHIFT == PC_DEFAULT_CUMULATIVE) && reset(task))
		scsi_lu_attention(task->lu, UA_LOG_CHANGED, task->nexus);
	return scsi_good(task);
}
