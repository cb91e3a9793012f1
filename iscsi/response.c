/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answer to a SCSI command: Data-In with the status in the last PDU, or a SCSI Response with
 * sense, and the residual counts of either. Source: RFC 7143 11.4, 11.7.
 */
#include "iscsi/conn_priv.h"

enum { RSP_BIDI_O = 0x10, RSP_BIDI_U = 0x08, RSP_O = 0x04, RSP_U = 0x02, RSP_S = 0x01 };

/* The initiator has announced data both ways. */
static bool is_bidirectional(const struct iscsi_task *task)
{
	return (task->req.bhs.b[1] & (BHS_READ | BHS_WRITE)) == (BHS_READ | BHS_WRITE);
}

/* Residual of one direction. Return: the flag to set, 0 when there is none. */
static uint8_t residual(uint64_t moved, uint32_t expected, uint8_t over, uint8_t under,
			uint8_t *field)
{
	if (moved == expected)
		return 0;
	be32_put(field, (uint32_t)(moved > expected ? moved - expected : expected - moved));
	return moved > expected ? over : under;
}

/* Bytes of data-out that the command wanted, as far as they are to be told of. */
static uint64_t wanted_out(const struct scsi_task *scsi, bool good)
{
	if (good)
		return scsi->need_out;
	return scsi->need_out ? 0 : scsi->out_len; /* refused: see scsi_task.out_len */
}

/* Flags and counts for what the command wanted against what was expected. RFC 7143 11.4.5 */
static void set_residuals(const struct iscsi_task *task, struct iscsi_bhs *bhs)
{
	const struct scsi_task *scsi = &task->scsi;
	bool good = scsi->status == STATUS_GOOD || scsi->status == STATUS_CONDITION_MET;
	uint64_t in = good ? scsi->in_len : 0, out = wanted_out(scsi, good);
	uint8_t flags = task->req.bhs.b[1];

	if (flags & BHS_WRITE)
		bhs->b[1] |= residual(out, scsi->expect_out, RSP_O, RSP_U, bhs->b + 44);
	if (is_bidirectional(task))
		bhs->b[1] |= residual(in, scsi->expect_in, RSP_BIDI_O, RSP_BIDI_U, bhs->b + 40);
	else
		bhs->b[1] |= flags & BHS_WRITE
				     ? 0
				     : residual(in, scsi->expect_in, RSP_O, RSP_U, bhs->b + 44);
}

static void set_sense(struct iscsi_task *task, struct iscsi_out *out)
{
	size_t len = scsi_sense_build(&task->scsi.sense, scsi_task_descriptor_sense(&task->scsi),
				      out->small + 2);

	be16_put(out->small, (uint16_t)len);
	out->data = out->small;
	out->data_len = 2 + (uint32_t)len;
}

static void answer_response(struct iscsi_task *task)
{
	struct iscsi_out *out = &task->out;

	out->task = task;
	out->takes_statsn = true;
	out->bhs.b[0] = OP_SCSI_RSP;
	out->bhs.b[1] = BHS_FINAL;
	out->bhs.b[3] = (uint8_t)task->scsi.status;
	bhs_set_itt(&out->bhs, task_itt(task));
	be32_put(out->bhs.b + 36, task->in_datasn); /* ExpDataSN */
	set_residuals(task, &out->bhs);
	if (task->scsi.status == STATUS_CHECK_CONDITION)
		set_sense(task, out);
	out_push(task->req.conn, out);
}

/* Data-In, with the status in the last one. RFC 7143 11.7.3 */
static void answer_data_in(struct iscsi_task *task)
{
	struct iscsi_out *out = &task->out;

	out->task = task;
	out->data_in = true;
	out->bhs.b[0] = OP_DATA_IN;
	out->bhs.b[1] = RSP_S;
	out->bhs.b[3] = (uint8_t)task->scsi.status;
	bhs_set_itt(&out->bhs, task_itt(task));
	bhs_set_ttt(&out->bhs, ISCSI_RESERVED_TAG);
	set_residuals(task, &out->bhs);
	out_push(task->req.conn, out);
}

void task_answer(struct iscsi_task *task)
{
	const struct scsi_task *scsi = &task->scsi;

	if (task->silent || task->req.conn->phase != CONN_FULL_FEATURE) {
		task->state = TASK_GHOST;
		task_free(task);
		return;
	}
	task->state = TASK_SENDING;
	/* The initiator may use the tag anew as soon as it has the status, which may be before we
	 * know that all of it has left. */
	list_del(&task->hash);
	task->in_len = at_most(scsi->in_len, scsi->expect_in);
	if (scsi->status != STATUS_GOOD || is_bidirectional(task))
		task->in_len = 0;
	if (task->in_len)
		answer_data_in(task);
	else
		answer_response(task);
	task_scsi_end(task);
}
