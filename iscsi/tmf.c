/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Task management requests. Source: RFC 7143 11.5, 11.6.
 */
#include "iscsi/conn_priv.h"

enum {
	FN_ABORT_TASK = 1,
	FN_ABORT_TASK_SET,
	FN_CLEAR_ACA,
	FN_CLEAR_TASK_SET,
	FN_LU_RESET,
	FN_TARGET_WARM_RESET,
	FN_TARGET_COLD_RESET,
	FN_TASK_REASSIGN,
};

enum tmf_response {
	RSP_COMPLETE = 0,
	RSP_NO_TASK = 1,
	RSP_NO_LUN = 2,
	RSP_NO_REASSIGN = 4, /* task allegiance reassignment not supported */
	RSP_NOT_SUPPORTED = 5,
	RSP_REJECTED = 255,
};

static uint8_t tmf_function(const struct iscsi_tmf *tmf)
{
	return tmf->req.bhs.b[1] & 0x7f;
}

static void tmf_free(struct iscsi_tmf *tmf)
{
	struct iscsi_conn *conn = tmf->req.conn;

	list_del(&tmf->node);
	if (bhs_immediate(&tmf->req.bhs))
		conn->n_immediate--;
	free(tmf);
	if (conn->phase == CONN_CLOSING)
		conn_try_free(conn);
}

static void tmf_respond(struct iscsi_tmf *tmf, enum tmf_response response)
{
	struct iscsi_conn *conn = tmf->req.conn;
	struct iscsi_out *out;

	if (conn->phase == CONN_FULL_FEATURE && (out = out_new(conn, OP_TMF_RSP))) {
		out->bhs.b[2] = (uint8_t)response;
		bhs_set_itt(&out->bhs, bhs_itt(&tmf->req.bhs));
		out_push(conn, out);
	}
	tmf_free(tmf);
}

/*
 * Tasks that were refused on arrival never reached the device server, which so cannot abort them;
 * no response of theirs may follow that of the function, nor need more of their data come.
 */
static void drop_refused(struct iscsi_tmf *tmf)
{
	list_for_each (task, &tmf->req.conn->tasks, struct iscsi_task, node) {
		bool reached =
			tmf->scsi.function == TMF_TARGET_RESET || task->scsi.lun == tmf->scsi.lun;

		if (reached && task->state == TASK_DRAINING && !task->begun && task->delivered)
			task_free(task);
	}
}

static void tmf_scsi_done(struct scsi_tmf *scsi)
{
	struct iscsi_tmf *tmf = container_of(scsi, struct iscsi_tmf, scsi);
	struct iscsi_conn *conn = tmf->req.conn;
	struct scsi_target *target = conn->session->target;
	struct iscsi_registry *registry = server_registry(conn->server);
	bool cold = tmf_function(tmf) == FN_TARGET_COLD_RESET;
	static const enum tmf_response responses[] = {
		[TMF_COMPLETE] = RSP_COMPLETE,
		[TMF_NO_TASK] = RSP_NO_TASK,
		[TMF_NO_LUN] = RSP_NO_LUN,
		[TMF_FAILED] = RSP_REJECTED,
	};

	if (scsi->response == TMF_COMPLETE && scsi->function != TMF_ABORT_TASK)
		drop_refused(tmf);
	tmf_respond(tmf, responses[scsi->response]);
	if (cold)
		registry_drop_target(registry, target); /* like a power-on: all sessions end */
}

/*
 * ABORT TASK for a command that has not come: when it may still come, its place in the window is
 * taken and that was that. RFC 7143 11.6.1
 */
static bool abort_unseen(struct iscsi_tmf *tmf)
{
	struct iscsi_session *session = tmf->req.conn->session;
	uint32_t refcmdsn = be32_get(tmf->req.bhs.b + 32);

	if (session_judge(session, refcmdsn) < 0)
		return false;
	session_skip(session, refcmdsn);
	return true;
}

static void abort_task(struct iscsi_tmf *tmf)
{
	struct iscsi_conn *conn = tmf->req.conn;
	uint32_t tag = be32_get(tmf->req.bhs.b + 20);
	struct iscsi_task *task = task_find(conn->session, tag);

	list_for_each (other, &conn->tmfs, struct iscsi_tmf, node) {
		if (other != tmf && bhs_itt(&other->req.bhs) == tag) {
			tmf_respond(tmf, RSP_REJECTED); /* RFC 7143 11.5.1: not for these */
			return;
		}
	}
	if (task && task->req.held) {
		/* Received, not yet its turn: it goes, its place in the window is taken. */
		uint32_t cmdsn = bhs_cmdsn(&task->req.bhs);

		list_del(&task->req.node);
		task->req.held = false;
		conn->session->n_held--;
		task_free(task);
		session_skip(conn->session, cmdsn);
		tmf_respond(tmf, RSP_COMPLETE);
	} else if (task && task->state == TASK_DRAINING && !task->begun) {
		task_free(task);
		tmf_respond(tmf, RSP_COMPLETE);
	} else if (!task && abort_unseen(tmf)) {
		tmf_respond(tmf, RSP_COMPLETE);
	} else {
		tmf->scsi.tag = tag;
		scsi_tmf_start(&tmf->scsi);
	}
}

/* Tasks of this session that the function will abort and that are still owed data. */
static bool waits_for_data(struct iscsi_tmf *tmf)
{
	bool waits = false;

	list_for_each (task, &tmf->req.conn->tasks, struct iscsi_task, node) {
		if (task->scsi.lun != tmf->scsi.lun || !task->begun || task_quiet(task))
			continue;
		task->stop_r2t = true;
		waits = true;
	}
	return waits;
}

static void tmf_start(struct iscsi_tmf *tmf)
{
	uint8_t function = tmf_function(tmf);

	/* RFC 7143 11.5.1: these two wait for the answers to all R2Ts that are out. */
	if ((function == FN_ABORT_TASK_SET || function == FN_CLEAR_TASK_SET) && waits_for_data(tmf))
		return;
	tmf->started = true;
	if (function == FN_ABORT_TASK)
		abort_task(tmf);
	else
		scsi_tmf_start(&tmf->scsi);
}

void tmf_data_ended(struct iscsi_conn *conn)
{
	list_for_each (tmf, &conn->tmfs, struct iscsi_tmf, node) {
		if (!tmf->started && tmf->scsi.done)
			tmf_start(tmf);
	}
}

static void tmf_deliver(struct iscsi_request *req)
{
	static const struct {
		bool supported;
		enum scsi_tmf_function function;
	} functions[] = {
		[FN_ABORT_TASK] = {true, TMF_ABORT_TASK},
		[FN_ABORT_TASK_SET] = {true, TMF_ABORT_TASK_SET},
		[FN_CLEAR_ACA] = {false},
		[FN_CLEAR_TASK_SET] = {true, TMF_CLEAR_TASK_SET},
		[FN_LU_RESET] = {true, TMF_LU_RESET},
		[FN_TARGET_WARM_RESET] = {true, TMF_TARGET_RESET},
		[FN_TARGET_COLD_RESET] = {true, TMF_TARGET_RESET},
	};
	struct iscsi_tmf *tmf = container_of(req, struct iscsi_tmf, req);
	uint8_t function = tmf_function(tmf);

	if (function == FN_TASK_REASSIGN) {
		tmf_respond(tmf, RSP_NO_REASSIGN);
	} else if (function >= sizeof(functions) / sizeof(functions[0]) ||
		   !functions[function].supported) {
		tmf_respond(tmf, RSP_NOT_SUPPORTED);
	} else {
		tmf->scsi.function = functions[function].function;
		tmf->scsi.nexus = req->conn->session->nexus;
		tmf->scsi.lun = bhs_lun(&req->bhs);
		tmf->scsi.done = tmf_scsi_done;
		tmf_start(tmf);
	}
}

static void tmf_discard(struct iscsi_request *req)
{
	tmf_free(container_of(req, struct iscsi_tmf, req));
}

enum pdu_verdict tmf_header(struct iscsi_conn *conn)
{
	const struct iscsi_bhs *bhs = &conn->rx.bhs;
	struct iscsi_tmf *tmf;

	iscsi_rx_drop(&conn->rx);
	if (conn->rx.data_len || conn->rx.ahs_len) {
		out_reject(conn, REJECT_INVALID_FIELD); /* RFC 7143 11.5.2: both must be 0 */
		return PDU_TAKE;
	}
	if (bhs_immediate(bhs) && conn->n_immediate >= ISCSI_IMMEDIATE_MAX) {
		out_reject(conn, REJECT_IMMEDIATE_COMMANDS);
		return PDU_TAKE;
	}
	tmf = calloc(1, sizeof(*tmf));
	if (!tmf) {
		conn_drop(conn, "out of memory");
		return PDU_DROP;
	}
	list_init(&tmf->req.node);
	tmf->req.conn = conn;
	tmf->req.bhs = *bhs;
	tmf->req.deliver = tmf_deliver;
	tmf->req.discard = tmf_discard;
	list_push_back(&conn->tmfs, &tmf->node);
	if (bhs_immediate(bhs))
		conn->n_immediate++;
	conn->rx_req = &tmf->req;
	return PDU_TAKE;
}

/* The connection is closing: what has not begun in the device server goes. */
void tmf_conn_lost(struct iscsi_conn *conn)
{
	list_for_each (tmf, &conn->tmfs, struct iscsi_tmf, node) {
		if (!tmf->started)
			tmf_free(tmf);
	}
}
