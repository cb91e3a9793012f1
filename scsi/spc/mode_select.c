/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MODE SELECT (6) and (10). The whole list is judged before anything changes. What it changes is
 * done by a helper thread, since saved values are on stable storage before any of them holds.
 * Source: SPC-5 r22, MODE SELECT and mode parameters.
 */
#include "scsi/sbc/sbc.h"
#include "scsi/spc/mode.h"
#include "scsi/spc/spc.h"
#include "scsi/spc/state.h"
#include <errno.h>
#include <stdlib.h>

#define LIST_MAX 1024 /* room for each page several times */

enum {
	PF = 0x10, /* byte 1: the pages are as the standard has them */
	SP = 0x01,

	/* mode parameter header; the device-specific parameter's WP and DPOFUA are told, not asked
	 */
	DEVICE_SPECIFIC = 0x6f,
	LONGLBA = 0x01,
};

/* In task->own. */
struct mode_change {
	uint8_t list[LIST_MAX];
	size_t len;
	struct scsi_mode mode;		     /* as the pages so far leave it */
	const uint8_t *bodies[N_MODE_PAGES]; /* the last one of each page, NULL: not in the list */
	bool save, changed, cache_off;
};

static bool is_short(const struct scsi_task *task)
{
	return task->op->cdb_len == 6;
}

/* ---- judging the list ---- */

/* Nothing but what is said to MODE SENSE: a new length would take FORMAT UNIT. */
static enum scsi_step check_descriptor(struct scsi_task *task, size_t at, const uint8_t *d,
				       bool is_long)
{
	const struct scsi_lu_view *view = scsi_lu_view(task->lu);
	uint64_t n_blocks = is_long ? be64_get(d) : be32_get(d);
	uint64_t most = is_long ? UINT64_MAX : UINT32_MAX; /* "as many as there are" */
	uint32_t block_size = is_long ? be32_get(d + 12) : be24_get(d + 5);

	if (n_blocks && n_blocks != most && n_blocks != view->n_blocks)
		return scsi_check_param(task, (unsigned)at, 0);
	if (block_size != view->block_size)
		return scsi_check_param(task, (unsigned)at + (is_long ? 12 : 5), 0);
	return SCSI_READY;
}

static enum scsi_step check_header(struct scsi_task *task, struct bytes_in *in)
{
	bool six = is_short(task);
	unsigned at = six ? 1 : 2; /* of MEDIUM TYPE; MODE DATA LENGTH means nothing here */
	uint8_t medium_type, specific, flags;
	const uint8_t *descriptor;
	uint16_t len;

	in_skip(in, at);
	medium_type = in_u8(in);
	specific = in_u8(in);
	flags = six ? 0 : in_u8(in);
	if (!six)
		in_skip(in, 1);
	len = six ? in_u8(in) : in_be16(in);
	if (in->bad)
		return scsi_check(task, SENSE_PARAMETER_LIST_LENGTH);
	if (medium_type)
		return scsi_check_param(task, at, medium_type);
	if (specific & DEVICE_SPECIFIC)
		return scsi_check_param(task, at + 1, specific & DEVICE_SPECIFIC);
	if (flags & ~LONGLBA)
		return scsi_check_param(task, 4, flags & (uint8_t)~LONGLBA);
	if (len && len != (flags & LONGLBA ? 16 : 8))
		return scsi_check_param(task, six ? 3 : 6, 0);
	descriptor = in_bytes(in, len);
	if (in->bad)
		return scsi_check(task, SENSE_PARAMETER_LIST_LENGTH);
	return len ? check_descriptor(task, six ? 4 : 8, descriptor, flags & LONGLBA) : SCSI_READY;
}

/* Return: the row's place, or -1. */
static int find_page(const struct scsi_lu *lu, uint8_t code, uint8_t subpage)
{
	for (int i = 0; i < N_MODE_PAGES; i++)
		if (mode_pages[i].code == code && mode_pages[i].subpage == subpage &&
		    mode_page_offered(&mode_pages[i], lu))
			return i;
	return -1;
}

/* @at: where the body begins in the list */
static enum scsi_step check_body(struct scsi_task *task, struct mode_change *change,
				 const struct mode_page *page, const uint8_t *body, size_t at)
{
	const struct mode_source from = {task->nexus->target, task->lu, &change->mode};
	uint8_t now[MODE_PAGE_MAX] = {0}, wrong_bits;
	unsigned wrong_at;

	page->build(&from, now);
	for (unsigned i = 0; i < page->len; i++) {
		uint8_t fixed = page->changeable ? (uint8_t)~page->changeable[i] : 0xff;
		uint8_t wrong = (now[i] ^ body[i]) & fixed;

		if (wrong)
			return scsi_check_param(task, (unsigned)at + i, wrong);
	}
	if (page->wrong && page->wrong(body, &wrong_at, &wrong_bits))
		return scsi_check_param(task, (unsigned)at + wrong_at, wrong_bits);
	if (page->apply)
		page->apply(&change->mode, body);
	return SCSI_READY;
}

static enum scsi_step check_page(struct scsi_task *task, struct mode_change *change,
				 struct bytes_in *in)
{
	unsigned at = (unsigned)(change->len - in->left);
	uint8_t first = in_u8(in), subpage = first & MODE_SPF ? in_u8(in) : 0;
	uint16_t len = first & MODE_SPF ? in_be16(in) : in_u8(in);
	const uint8_t *body;
	int i;

	if (in->bad)
		return scsi_check(task, SENSE_PARAMETER_LIST_LENGTH);
	if (first & MODE_PS) /* said by MODE SENSE, reserved here */
		return scsi_check_param(task, at, MODE_PS);
	if (first & MODE_SPF && !subpage)
		return scsi_check_param(task, at, MODE_SPF);
	i = find_page(task->lu, first & MODE_CODE, subpage);
	if (i < 0)
		return scsi_check_param(task, at, MODE_CODE);
	if (len != mode_pages[i].len)
		return scsi_check_param(task, at + (subpage ? 2 : 1), 0);
	body = in_bytes(in, len);
	if (!body)
		return scsi_check(task, SENSE_PARAMETER_LIST_LENGTH);
	change->bodies[i] = body;
	return check_body(task, change, &mode_pages[i], body, (size_t)(body - change->list));
}

static enum scsi_step check_list(struct scsi_task *task, struct mode_change *change)
{
	struct bytes_in in = bytes_in(change->list, change->len);
	enum scsi_step step = check_header(task, &in);

	while (step == SCSI_READY && in.left)
		step = check_page(task, change, &in);
	return step;
}

/* ---- the change ---- */

static void apply_pages(const struct mode_change *change, struct scsi_mode *mode)
{
	for (unsigned i = 0; i < N_MODE_PAGES; i++)
		if (change->bodies[i] && mode_pages[i].apply)
			mode_pages[i].apply(mode, change->bodies[i]);
}

/* Once more, upon what is current now. */
static void change_view(struct scsi_lu_view *view, void *arg)
{
	struct mode_change *change = arg;
	struct scsi_mode old = scsi_mode_of(view), mode = old;

	apply_pages(change, &mode);
	change->changed = !scsi_mode_same(&old, &mode);
	change->cache_off = old.write_cache && !mode.write_cache;
	scsi_mode_put(view, &mode);
	if (change->save)
		view->saved_mode = mode;
}

/* A helper may not lean on a view that is replaced meanwhile: a copy, under the lock. */
static struct scsi_mode mode_now(struct scsi_lu *lu)
{
	struct scsi_mode mode;

	pthread_mutex_lock(&lu->lock);
	mode = scsi_mode_of(scsi_lu_view(lu));
	pthread_mutex_unlock(&lu->lock);
	return mode;
}

/* All that has to be done is done here: a task that is aborted meanwhile goes no further. */
static int commit(struct scsi_task *task)
{
	struct mode_change *change = task->own;
	struct scsi_lu *lu = task->lu;
	struct scsi_mode mode;
	int r = 0;

	pthread_mutex_lock(&lu->spc->lock);
	if (change->save) {
		mode = mode_now(lu);
		apply_pages(change, &mode);
		r = mode_save(lu, &mode);
	}
	if (r == 0)
		r = scsi_lu_change(lu, change_view, change);
	if (r == 0 && change->changed)
		scsi_lu_attention(lu, UA_MODE_CHANGED, task->nexus);
	pthread_mutex_unlock(&lu->spc->lock);
	return r;
}

/* With WCE 0 nothing that was answered with GOOD may be lost: what was written before, too. */
static enum scsi_step committed(struct scsi_task *task)
{
	const struct mode_change *change = task->own;

	if (task->work_res == -ENOMEM)
		return scsi_finish(task, STATUS_BUSY);
	if (task->work_res < 0)
		return scsi_check(task, SENSE_INTERNAL_TARGET_FAILURE);
	if (change->cache_off && task->lu->info.volatile_cache &&
	    !scsi_lu_view(task->lu)->read_only)
		return sbc_flush(task, NULL);
	return scsi_good(task);
}

enum scsi_step spc_plan_mode_select(struct scsi_task *task)
{
	bool six = is_short(task);
	uint32_t len = six ? task->cdb[4] : be16_get(task->cdb + 7);

	if (!(task->cdb[1] & PF))
		return scsi_check_field(task, 1, PF);
	if ((task->cdb[1] & SP) && !task->lu->state_dir)
		return scsi_check_field(task, 1, SP);
	if (len > LIST_MAX)
		return scsi_check_field(task, six ? 4 : 7, 0);
	task->need_out = len;
	return SCSI_READY;
}

enum scsi_step spc_mode_select(struct scsi_task *task)
{
	struct mode_change *change = calloc(1, sizeof(*change));

	if (!change)
		return scsi_finish(task, STATUS_BUSY);
	task->own = change;
	change->save = task->cdb[1] & SP;
	change->mode = scsi_mode_of(scsi_lu_view(task->lu));
	change->len = scsi_param_copy(task, change->list, task->need_out);
	if (change->len < task->need_out)
		return scsi_check(task, SENSE_PARAMETER_LIST_LENGTH);
	if (change->len && check_list(task, change) == SCSI_DONE)
		return SCSI_DONE;
	return scsi_task_work(task, commit, committed);
}
