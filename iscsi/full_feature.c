/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Full feature phase: which PDU may come on which session is a table; what is not in it is
 * rejected. Small requests (NOP-Out, Logout) are here, the others in files of their own.
 */
#include "iscsi/conn_priv.h"

/* ---- requests with their data ---- */

static const struct iovec *request_iov(struct iscsi_request *req)
{
	req->data_iov.iov_base = req->data->data;
	req->data_iov.iov_len = req->data_len;
	return &req->data_iov;
}

void request_free(struct iscsi_request *req)
{
	if (req->data)
		pool_put(req->conn->shard->reactor->bufs, req->data);
	free(req);
}

enum pdu_verdict request_take(struct iscsi_conn *conn, void (*deliver)(struct iscsi_request *),
			      struct iscsi_request **ret_req)
{
	struct iscsi_rx *rx = &conn->rx;
	struct iscsi_request *req;
	struct buf *buf = NULL;

	if (rx->data_len) {
		int n = pool_get(conn->shard->reactor->bufs, rx->data_len, &buf, 1);

		if (n == -EAGAIN && conn_may_stall(conn)) {
			conn_stall(conn, conn->shard->reactor->bufs);
			return PDU_STALL;
		}
		if (n < 0) {
			conn_drop(conn, "no memory for a request's data");
			return PDU_DROP;
		}
	}
	req = calloc(1, sizeof(*req));
	if (!req) {
		if (buf)
			pool_put(conn->shard->reactor->bufs, buf);
		conn_drop(conn, "out of memory");
		return PDU_DROP;
	}
	list_init(&req->node);
	req->conn = conn;
	req->deliver = deliver;
	req->discard = request_free;
	req->bhs = rx->bhs;
	req->data = buf;
	req->data_len = rx->data_len;
	if (buf)
		iscsi_rx_dest(rx, request_iov(req), 1, 0);
	else
		iscsi_rx_drop(rx);
	*ret_req = req;
	return PDU_TAKE;
}

/* ---- NOP-Out, RFC 7143 11.18 ---- */

static void nop_deliver(struct iscsi_request *req)
{
	struct iscsi_conn *conn = req->conn;
	struct iscsi_out *out = out_new(conn, OP_NOP_IN);
	uint32_t len = req->data_len;

	if (out) {
		if (len > conn->session->params.max_send_data_segment)
			len = conn->session->params.max_send_data_segment;
		bhs_set_itt(&out->bhs, bhs_itt(&req->bhs));
		bhs_set_ttt(&out->bhs, ISCSI_RESERVED_TAG);
		if (len) {
			out->buf = steal(req->data);
			out->data = out->buf->data;
			out->data_len = len;
		}
		out_push(conn, out);
	}
	request_free(req);
}

static void nop_ignore(struct iscsi_request *req)
{
	request_free(req); /* an answer to our NOP-In: that something was heard is all of it */
}

static enum pdu_verdict nop_header(struct iscsi_conn *conn)
{
	const struct iscsi_bhs *bhs = &conn->rx.bhs;

	if (bhs_itt(bhs) == ISCSI_RESERVED_TAG) {
		if (!bhs_immediate(bhs)) {
			conn_drop(conn, "NOP-Out without a tag that is not immediate");
			return PDU_DROP;
		}
		return request_take(conn, nop_ignore, &conn->rx_req);
	}
	return request_take(conn, nop_deliver, &conn->rx_req);
}

/* ---- Logout, RFC 7143 11.14, 11.15 ---- */

enum { LOGOUT_SESSION, LOGOUT_CONNECTION, LOGOUT_RECOVERY };
enum { LOGOUT_DONE, LOGOUT_NO_CID, LOGOUT_NO_RECOVERY };

static void logout_deliver(struct iscsi_request *req)
{
	struct iscsi_conn *conn = req->conn;
	struct iscsi_session *session = conn->session;
	uint8_t reason = req->bhs.b[1] & 0x7f;
	struct iscsi_out *out = out_new(conn, OP_LOGOUT_RSP);

	if (out) {
		if (reason == LOGOUT_RECOVERY)
			out->bhs.b[2] = LOGOUT_NO_RECOVERY;
		else if (reason == LOGOUT_CONNECTION && be16_get(req->bhs.b + 20) != session->cid)
			out->bhs.b[2] = LOGOUT_NO_CID;
		bhs_set_itt(&out->bhs, bhs_itt(&req->bhs));
		be16_put(out->bhs.b + 40, session->params.time2wait);
		be16_put(out->bhs.b + 42, session->params.time2retain);
		out->last = out->bhs.b[2] == LOGOUT_DONE;
		out_push(conn, out);
		if (out->last) {
			/* No answer may follow: tasks still under way end with the connection. */
			conn->phase = CONN_LOGGED_OUT;
		}
	}
	request_free(req);
}

static enum pdu_verdict logout_header(struct iscsi_conn *conn)
{
	if ((conn->rx.bhs.b[1] & 0x7f) > LOGOUT_RECOVERY) {
		out_reject(conn, REJECT_INVALID_FIELD);
		iscsi_rx_drop(&conn->rx);
		return PDU_TAKE;
	}
	return request_take(conn, logout_deliver, &conn->rx_req);
}

/* ---- the table ---- */

static enum pdu_verdict reject(struct iscsi_conn *conn, enum iscsi_reject_reason reason)
{
	out_reject(conn, reason);
	iscsi_rx_drop(&conn->rx);
	return conn->phase == CONN_CLOSING ? PDU_DROP : PDU_TAKE;
}

static enum pdu_verdict snack_header(struct iscsi_conn *conn)
{
	return reject(conn, REJECT_SNACK); /* none is supported at ErrorRecoveryLevel 0 */
}

static enum pdu_verdict login_header(struct iscsi_conn *conn)
{
	return reject(conn,
		      REJECT_PROTOCOL_ERROR); /* RFC 7143 6.3: only before full feature phase */
}

static const struct phase_row {
	uint8_t opcode;
	bool in_discovery;
	bool numbered; /* carries a CmdSN and takes part in the window */
	enum pdu_verdict (*header)(struct iscsi_conn *conn);
} rows[] = {
	{OP_NOP_OUT, false, true, nop_header},	    {OP_SCSI_CMD, false, true, command_header},
	{OP_TMF_REQ, false, true, tmf_header},	    {OP_LOGIN_REQ, true, false, login_header},
	{OP_TEXT_REQ, true, true, text_header},	    {OP_DATA_OUT, false, false, data_out_header},
	{OP_LOGOUT_REQ, true, true, logout_header}, {OP_SNACK_REQ, false, false, snack_header},
};

static const struct phase_row *row_find(uint8_t opcode)
{
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].opcode == opcode)
			return &rows[i];
	}
	return NULL;
}

/* A numbered request that the window has no place for is ignored in silence: RFC 7143 4.2.2.1. */
static bool outside_window(struct iscsi_conn *conn, const struct iscsi_bhs *bhs)
{
	return !bhs_immediate(bhs) && session_judge(conn->session, bhs_cmdsn(bhs)) < 0;
}

enum pdu_verdict full_feature_header(struct iscsi_conn *conn)
{
	struct iscsi_bhs *bhs = &conn->rx.bhs;
	const struct phase_row *row = row_find(bhs_opcode(bhs));

	conn->rx_req = NULL;
	conn->rx_task = NULL;
	if (!row)
		return reject(conn, REJECT_NOT_SUPPORTED);
	if (row->numbered && outside_window(conn, bhs)) {
		/* Data that follows such a command must not look like a stranger's. */
		if (row->opcode == OP_SCSI_CMD && !task_find(conn->session, bhs_itt(bhs)))
			task_remember_ghost(conn, bhs_itt(bhs));
		iscsi_rx_drop(&conn->rx);
		return PDU_TAKE;
	}
	if (conn->session->discovery && !row->in_discovery)
		return reject(conn, REJECT_PROTOCOL_ERROR);
	return row->header(conn);
}

/* The PDU is complete. A damaged one counts as not received, once it was rejected: RFC 7143 7.8. */
void full_feature_end(struct iscsi_conn *conn, bool damaged)
{
	struct iscsi_request *req = steal(conn->rx_req);

	if (damaged)
		out_reject(conn, REJECT_DATA_DIGEST);
	if (bhs_opcode(&conn->rx.bhs) == OP_DATA_OUT) {
		data_out_end(conn, damaged);
		return;
	}
	if (!req)
		return;
	if (damaged || conn->phase == CONN_CLOSING)
		req->discard(req);
	else
		session_receive(conn->session, req);
}
