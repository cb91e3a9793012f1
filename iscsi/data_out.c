/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The initiator's data: R2Ts ask for it, Data-Outs bring it, in order (DataPDUInOrder and
 * DataSequenceInOrder are always Yes). Source: RFC 7143 11.7, 11.8.
 */
#include "iscsi/conn_priv.h"

static void r2t_send(struct iscsi_task *task, uint32_t len)
{
	struct iscsi_conn *conn = task->req.conn;
	struct iscsi_out *out = out_new(conn, OP_R2T);
	struct iscsi_r2t *r2t = &task->r2ts[task->n_r2ts];

	if (!out)
		return;
	if (conn->next_ttt == ISCSI_RESERVED_TAG)
		conn->next_ttt++;
	*r2t = (struct iscsi_r2t){.ttt = conn->next_ttt++, .offset = task->solicited, .len = len};
	task->n_r2ts++;
	task->solicited += len;
	out->takes_statsn = false;
	bhs_set_lun(&out->bhs, bhs_lun(&task->req.bhs));
	bhs_set_itt(&out->bhs, task_itt(task));
	bhs_set_ttt(&out->bhs, r2t->ttt);
	be32_put(out->bhs.b + 36, task->r2tsn++);
	be32_put(out->bhs.b + 40, r2t->offset);
	be32_put(out->bhs.b + 44, len);
	out_push(conn, out);
}

static void r2t_close_first(struct iscsi_task *task)
{
	task->n_r2ts--;
	memmove(task->r2ts, task->r2ts + 1, task->n_r2ts * sizeof(task->r2ts[0]));
}

/* Goes on with a task that collects: run it, or ask for more. */
void task_collect(struct iscsi_task *task)
{
	const struct iscsi_params *params = &task->req.conn->session->params;
	unsigned max = params->max_outstanding_r2t;

	if (task->unsol_open || (task->parked && !task_unpark(task)))
		return;
	if (task->out_next >= task->want && !task->n_r2ts) {
		task_run(task);
		return;
	}
	if (max > ISCSI_TASK_R2TS)
		max = ISCSI_TASK_R2TS;
	while (!task->stop_r2t && task->n_r2ts < max && task->solicited < task->want &&
	       task->req.conn->phase == CONN_FULL_FEATURE) {
		uint32_t len = task->want - task->solicited;

		r2t_send(task, len < params->max_burst ? len : params->max_burst);
	}
}

/* ---- Data-Out ---- */

/* An unsolicited one. Return: SENSE_NONE, or what is wrong. */
static enum scsi_sense_code judge_unsolicited(struct iscsi_task *task, uint32_t datasn,
					      uint32_t offset, uint32_t len)
{
	if (!task->unsol_open)
		return SENSE_UNEXPECTED_UNSOLICITED_DATA;
	if (datasn != task->unsol_datasn)
		return SENSE_PROTOCOL_CRC_ERROR; /* one is missing: RFC 7143 7.9 */
	if (offset != task->out_next || len > task->unsol_limit - offset)
		return SENSE_NOT_ENOUGH_UNSOLICITED_DATA;
	return SENSE_NONE;
}

static enum scsi_sense_code judge_solicited(const struct iscsi_r2t *r2t, uint32_t datasn,
					    uint32_t offset, uint32_t len, bool final)
{
	if (datasn != r2t->datasn)
		return SENSE_PROTOCOL_CRC_ERROR;
	if (offset != r2t->offset + r2t->got || len > r2t->len - r2t->got)
		return SENSE_NOT_ENOUGH_UNSOLICITED_DATA;
	if (final != (r2t->got + len == r2t->len))
		return SENSE_NOT_ENOUGH_UNSOLICITED_DATA;
	return SENSE_NONE;
}

/*
 * Data for no task, or for one that did not ask. What a task that has just ended was still owed
 * is dropped in silence; anything else is rejected.
 */
static enum pdu_verdict stray(struct iscsi_conn *conn, bool expected)
{
	if (!expected)
		out_reject(conn, REJECT_INVALID_FIELD);
	return conn->phase == CONN_CLOSING ? PDU_DROP : PDU_TAKE;
}

/* The F bit ends a sequence, whatever became of its data. */
static void sequence_end(struct iscsi_task *task, bool solicited)
{
	if (solicited)
		r2t_close_first(task);
	else
		task->unsol_open = false;
}

/* A PDU whose data is not wanted, or not as agreed: it only counts towards the end of sending. */
static void refuse_data(struct iscsi_task *task, bool solicited, bool final,
			enum scsi_sense_code why)
{
	if (final)
		sequence_end(task, solicited);
	if (task->state == TASK_DRAINING)
		task_answer_when_quiet(task);
	else if (why != SENSE_NONE)
		task_fail(task, why);
}

enum pdu_verdict data_out_header(struct iscsi_conn *conn)
{
	const struct iscsi_bhs *bhs = &conn->rx.bhs;
	uint32_t ttt = bhs_ttt(bhs), datasn = be32_get(bhs->b + 36), offset = be32_get(bhs->b + 40);
	uint32_t len = conn->rx.data_len;
	struct iscsi_task *task = task_find(conn->session, bhs_itt(bhs));
	bool solicited = ttt != ISCSI_RESERVED_TAG, final = bhs_final(bhs);
	enum scsi_sense_code why;

	iscsi_rx_drop(&conn->rx);
	if (!task || task->state == TASK_GHOST)
		return stray(conn, task || task_has_left(conn, bhs_itt(bhs)));
	if (solicited && (!task->n_r2ts || task->r2ts[0].ttt != ttt))
		return stray(conn, false);
	if (!solicited && !task->unsol_open && task->state != TASK_COLLECTING)
		return stray(conn, false);
	if (solicited)
		why = judge_solicited(&task->r2ts[0], datasn, offset, len, final);
	else
		why = judge_unsolicited(task, datasn, offset, len);
	if (why != SENSE_NONE || task->state == TASK_DRAINING) {
		refuse_data(task, solicited, final, why);
		return PDU_TAKE;
	}
	conn->rx_task = task;
	conn->rx_off = offset;
	conn->rx_len = len;
	/* Unasked-for data past what the command wants has no place: it is dropped. */
	if (len && offset + len <= task->room)
		iscsi_rx_dest(&conn->rx, task->iov, task_n_iov(task), offset);
	return PDU_TAKE;
}

/* Good data has come to its place. */
static void data_taken(struct iscsi_task *task, uint32_t len, bool solicited, bool final)
{
	task->out_next += len;
	if (solicited) {
		task->r2ts[0].got += len;
		task->r2ts[0].datasn++;
	} else {
		task->unsol_datasn++;
		task->solicited = task->out_next;
	}
	if (!final)
		return;
	sequence_end(task, solicited);
	/* RFC 7143 11.4.7.2: unasked-for data must fill the first burst when there is more to come
	 */
	if (!solicited && task->scsi.expect_out > task->unsol_limit &&
	    task->out_next != task->unsol_limit)
		task_fail(task, SENSE_NOT_ENOUGH_UNSOLICITED_DATA);
	else if (task->state == TASK_COLLECTING)
		task_collect(task);
}

void data_out_end(struct iscsi_conn *conn, bool damaged)
{
	const struct iscsi_bhs *bhs = &conn->rx.bhs;
	struct iscsi_task *task = conn->rx_task;
	bool solicited = bhs_ttt(bhs) != ISCSI_RESERVED_TAG, final = bhs_final(bhs);

	if (task && task->state == TASK_GHOST) {
		task_unlink_rx(conn);
		return;
	}
	conn->rx_task = NULL;
	if (!task || conn->phase == CONN_CLOSING)
		return;
	if (damaged || task->state == TASK_DRAINING) /* aborted while it came */
		refuse_data(task, solicited, final, SENSE_PROTOCOL_CRC_ERROR);
	else
		data_taken(task, conn->rx_len, solicited, final);
	if (conn->phase == CONN_FULL_FEATURE)
		tmf_data_ended(conn);
}
