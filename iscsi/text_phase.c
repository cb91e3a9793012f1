/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text requests in full feature phase: SendTargets and the few keys that may be declared anew.
 * Requests may be split by the C bit, answers too: of any length. Source: RFC 7143 11.10, 11.11,
 * appendix C.
 */
#include "iscsi/conn_priv.h"

#define TEXT_PIECE_MAX 65536 /* bytes of an answer's PDU, whatever the initiator would take */

static void text_forget(struct iscsi_conn *conn)
{
	free(steal(conn->text_in));
	free(steal(conn->text_out));
	conn->text_in_len = conn->text_out_len = 0;
	conn->targets_next = conn->targets_end = 0;
	conn->text_ttt = ISCSI_RESERVED_TAG;
}

void text_free(struct iscsi_conn *conn)
{
	text_forget(conn);
}

static struct iscsi_out *text_out(struct iscsi_conn *conn, const struct iscsi_bhs *req, bool final,
				  bool more)
{
	struct iscsi_out *out = out_new(conn, OP_TEXT_RSP);

	if (!out)
		return NULL;
	out->bhs.b[1] = (uint8_t)((final ? BHS_FINAL : 0) | (more ? BHS_CONTINUE : 0));
	bhs_set_lun(&out->bhs, bhs_lun(req));
	bhs_set_itt(&out->bhs, bhs_itt(req));
	if (!final) {
		if (conn->next_ttt == ISCSI_RESERVED_TAG)
			conn->next_ttt++;
		conn->text_ttt = conn->next_ttt++;
	}
	bhs_set_ttt(&out->bhs, final ? ISCSI_RESERVED_TAG : conn->text_ttt);
	return out;
}

/* Records are made when they are sent: an answer of any length takes no more than a PDU of it. */
static int fill_answer(struct iscsi_conn *conn, uint32_t max)
{
	int r = 0;

	while (r == 0 && conn->targets_next < conn->targets_end && conn->text_out_len <= max)
		r = targets_record(conn, conn->targets_next++, &conn->text_out,
				   &conn->text_out_len);
	return r;
}

/* The next piece of the answer, as long as the initiator and we take it. */
static void text_send(struct iscsi_conn *conn, const struct iscsi_bhs *req)
{
	uint32_t max = conn->session->params.max_send_data_segment;
	struct iscsi_out *out;
	size_t len;
	bool more;

	if (max > TEXT_PIECE_MAX)
		max = TEXT_PIECE_MAX;
	if (fill_answer(conn, max) < 0) {
		conn_drop(conn, "out of memory");
		return;
	}
	more = conn->text_out_len > max;
	out = text_out(conn, req, !more && bhs_final(req), more);
	if (!out)
		return;
	len = more ? max : conn->text_out_len;
	if (len) {
		out->heap = malloc(len);
		if (!out->heap) {
			out_free(conn, out);
			conn_drop(conn, "out of memory");
			return;
		}
		memcpy(out->heap, conn->text_out, len);
		out->data = out->heap;
		out->data_len = (uint32_t)len;
		conn->text_out_len -= len;
		memmove(conn->text_out, conn->text_out + len, conn->text_out_len);
	}
	out_push(conn, out);
	if (bhs_final(&out->bhs))
		text_forget(conn);
}

/* Answers to keys other than SendTargets, appended. Return: 0 or -errno. */
static int answer_keys(struct iscsi_conn *conn)
{
	uint8_t answer[ISCSI_TEXT_MAX];
	struct bytes_out out = bytes_out(answer, sizeof(answer));
	int r = iscsi_negotiate_full_feature(&conn->session->params, conn->text_in,
					     conn->text_in_len, &out);
	uint8_t *text;

	if (r < 0 || out.full)
		return -EPROTO;
	if (!out.len)
		return 0;
	text = realloc(conn->text_out, conn->text_out_len + out.len);
	if (!text)
		return -ENOMEM;
	memcpy(text + conn->text_out_len, answer, out.len);
	conn->text_out = text;
	conn->text_out_len += out.len;
	return 0;
}

/* SendTargets, which a request may hold once. Return: as text_answer(). */
static int answer_send_targets(struct iscsi_conn *conn, const struct iscsi_pair *pair)
{
	static const char refusal[] = "SendTargets=Reject";

	if (targets_select(conn, pair->value, pair->value_len, &conn->targets_next,
			   &conn->targets_end))
		return 0;
	conn->text_out = malloc(sizeof(refusal));
	if (!conn->text_out)
		return -ENOMEM;
	memcpy(conn->text_out, refusal, sizeof(refusal));
	conn->text_out_len = sizeof(refusal);
	return 0;
}

/* The whole request is there. Return: 0; -EPROTO when it is not text; -ENOMEM. */
static int text_answer(struct iscsi_conn *conn)
{
	struct bytes_in in = bytes_in(conn->text_in, conn->text_in_len);
	struct iscsi_pair pair;
	bool asked = false;
	int r;

	while ((r = iscsi_text_next(&in, &pair)) > 0) {
		if (!iscsi_pair_is(&pair, "SendTargets"))
			continue;
		r = asked ? -EPROTO : answer_send_targets(conn, &pair);
		if (r < 0)
			return r;
		asked = true;
	}
	return r < 0 ? r : answer_keys(conn);
}

static void text_deliver(struct iscsi_request *req)
{
	struct iscsi_conn *conn = req->conn;
	const struct iscsi_bhs *bhs = &req->bhs;
	bool begins = bhs_ttt(bhs) == ISCSI_RESERVED_TAG;
	uint8_t *text;
	int r;

	if (begins) {
		text_forget(conn); /* also what was under way: RFC 7143 11.10.4 */
		conn->text_itt = bhs_itt(bhs);
	} else if (bhs_ttt(bhs) != conn->text_ttt || bhs_itt(bhs) != conn->text_itt) {
		out_reject(conn, REJECT_INVALID_FIELD);
		request_free(req);
		return;
	} else if (conn->text_out ||
		   conn->targets_next < conn->targets_end) { /* asks for the rest of the answer */
		text_send(conn, bhs);
		request_free(req);
		return;
	}
	if (conn->text_in_len + req->data_len > ISCSI_TEXT_MAX) {
		text_forget(conn);
		out_reject(conn, REJECT_LONG_OPERATION);
		request_free(req);
		return;
	}
	text = realloc(conn->text_in, conn->text_in_len + req->data_len + 1);
	if (!text) {
		request_free(req);
		conn_drop(conn, "out of memory");
		return;
	}
	if (req->data_len)
		memcpy(text + conn->text_in_len, req->data->data, req->data_len);
	conn->text_in = text;
	conn->text_in_len += req->data_len;
	if (bhs_continue(bhs)) {
		struct iscsi_out *out = text_out(conn, bhs, false, false);

		if (out)
			out_push(conn, out);
	} else if ((r = text_answer(conn)) == 0) {
		conn->text_in_len = 0;
		text_send(conn, bhs);
	} else {
		text_forget(conn);
		if (r == -EPROTO)
			out_reject(conn, REJECT_PROTOCOL_ERROR);
		else
			conn_drop(conn, "out of memory");
	}
	request_free(req);
}

enum pdu_verdict text_header(struct iscsi_conn *conn)
{
	const struct iscsi_bhs *bhs = &conn->rx.bhs;
	bool both = bhs_final(bhs) && bhs_continue(bhs);

	if (conn->rx.data_len > ISCSI_TEXT_MAX || both || bhs_itt(bhs) == ISCSI_RESERVED_TAG) {
		out_reject(conn, both ? REJECT_PROTOCOL_ERROR : REJECT_INVALID_FIELD);
		iscsi_rx_drop(&conn->rx);
		return PDU_TAKE;
	}
	return request_take(conn, text_deliver, &conn->rx_req);
}
