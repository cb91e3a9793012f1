/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SEND DIAGNOSTIC, RECEIVE DIAGNOSTIC RESULTS; the rows of these and of the buffers. The one page
 * is the list of pages. The self-test reads the first and the last block from the store.
 * Source: SPC-5 r22, SEND DIAGNOSTIC, RECEIVE DIAGNOSTIC RESULTS, diagnostic parameters.
 */
#include "scsi/lu_priv.h"
#include "scsi/sbc/sbc.h"
#include "util/bytes.h"
#include <stdlib.h>

enum {
	/* SEND DIAGNOSTIC, byte 1; what the last two allow is not needed */
	PF = 0x10,
	SELFTEST = 0x04,
	DEVOFFL = 0x02,
	UNITOFFL = 0x01,

	PCV = 0x01,	    /* RECEIVE DIAGNOSTIC RESULTS, byte 1 */
	BUFFER_MODE = 0x1f, /* READ BUFFER, WRITE BUFFER, byte 1 */

	LIST_LENGTH_AT = 3,
	PAGE_HEADER_LEN = 4,
	PAGE_SUPPORTED = 0x00,
};

/* A self-test under way: task->own. */
struct selftest {
	struct iovec iov;
	bool is_last;
	uint8_t block[];
};

static enum scsi_step plan_send(struct scsi_task *task)
{
	uint16_t len = be16_get(task->cdb + LIST_LENGTH_AT);

	if (len && (task->cdb[1] & SELFTEST))
		return scsi_check_field(task, LIST_LENGTH_AT, 0);
	if (len && !(task->cdb[1] & PF))
		return scsi_check_field(task, 1, PF); /* a list that is no page is a vendor's */
	task->need_out = len;
	return SCSI_READY;
}

/* ---- the self-test ---- */

static enum scsi_step read_block(struct scsi_task *task, uint64_t lba,
				 enum scsi_step (*next)(struct scsi_task *task))
{
	const struct scsi_lu_view *view = scsi_lu_view(task->lu);
	struct selftest *test = task->own;

	test->iov = (struct iovec){test->block, view->block_size};
	task->io.kind = DUOTGT_IO_READ;
	task->io.flags = 0;
	task->io.iov = &test->iov;
	task->io.n_iov = 1;
	task->io.offset = lba << view->block_shift;
	task->io.len = view->block_size;
	return scsi_task_io(task, next);
}

static enum scsi_step read_last(struct scsi_task *task)
{
	return read_block(task, scsi_lu_view(task->lu)->n_blocks - 1, NULL);
}

/* With a medium that is not there or not ready, the rest of the LU is what is tested. */
static enum scsi_step selftest(struct scsi_task *task)
{
	const struct scsi_lu_view *view = scsi_lu_view(task->lu);

	task->own = malloc(sizeof(struct selftest) + view->block_size);
	if (!task->own)
		return scsi_finish(task, STATUS_BUSY);
	return read_block(task, 0, read_last);
}

/* ---- pages ---- */

static enum scsi_step take_page(struct scsi_task *task)
{
	uint8_t page[PAGE_HEADER_LEN];

	if (task->need_out < PAGE_HEADER_LEN ||
	    scsi_param_copy(task, page, sizeof(page)) < sizeof(page))
		return scsi_check(task, SENSE_PARAMETER_LIST_LENGTH);
	if (page[0] != PAGE_SUPPORTED)
		return scsi_check_param(task, 0, 0xff);
	if (page[1])
		return scsi_check_param(task, 1, page[1]);
	if (be16_get(page + 2))
		return scsi_check_param(task, 2, 0);
	return scsi_good(task);
}

static enum scsi_step send_diagnostic(struct scsi_task *task)
{
	if (task->cdb[1] & SELFTEST)
		return selftest(task);
	return task->need_out ? take_page(task) : scsi_good(task);
}

/* Without PCV, what the last SEND DIAGNOSTIC asked for: it can have been this page only. */
static enum scsi_step receive_diagnostic(struct scsi_task *task)
{
	static const uint8_t supported[] = {PAGE_SUPPORTED, 0, 0, 1, PAGE_SUPPORTED};

	if (task->cdb[2] != PAGE_SUPPORTED)
		return scsi_check_field(task, 2, 0xff);
	return scsi_reply(task, supported, sizeof(supported));
}

/* clang-format off */
const struct scsi_op diag_ops[] = {
	{"RECEIVE DIAGNOSTIC RESULTS", 0x1c, NO_SA, 6, ACCESS_NONE, scsi_plan_alloc16_at3,
	 receive_diagnostic,
	 {0x1c, PCV, ALL_3, CONTROL}, .paths = PATHS_STANDBY},
	{"SEND DIAGNOSTIC", 0x1d, NO_SA, 6, ACCESS_READY, plan_send, send_diagnostic,
	 {0x1d, PF | SELFTEST | DEVOFFL | UNITOFFL, 0, ALL_2, CONTROL}, .resv = RESV_CONFLICT,
	 .paths = PATHS_STANDBY},
	{"WRITE BUFFER (10)", 0x3b, NO_SA, 10, ACCESS_NONE, sbc_plan_write_buffer, sbc_write_buffer,
	 {0x3b, BUFFER_MODE, 0xff, ALL_3, ALL_3, CONTROL}, .resv = RESV_CONFLICT,
	 .paths = PATHS_ALL},
	{"READ BUFFER (10)", 0x3c, NO_SA, 10, ACCESS_NONE, sbc_plan_read_buffer, sbc_read_buffer,
	 {0x3c, BUFFER_MODE, 0xff, ALL_3, ALL_3, CONTROL}, .paths = PATHS_ALL},
	{"READ BUFFER (16)", 0x9b, NO_SA, 16, ACCESS_NONE, sbc_plan_read_buffer, sbc_read_buffer,
	 {0x9b, BUFFER_MODE, ALL_8, ALL_4, 0xff, CONTROL}, .paths = PATHS_ALL},
	{0},
};
/* clang-format on */
