/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Task management requests. Source: RFC 7143 11.5, 11.6; RFC 7144 6 for those of protocol level 2.
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
	FN_QUERY_TASK,
	FN_QUERY_TASK_SET,
	FN_NEXUS_RESET,
	FN_QUERY_ASYNC_EVENT,
};

/* The iSCSIProtocolLevel from which on a function may be used. */
enum level { NO_LEVEL, ANY_LEVEL, LEVEL_RFC7144 };

enum tmf_response {
	RSP_COMPLETE = 0,
	RSP_NO_TASK = 1,
	RSP_NO_LUN = 2,
	RSP_NO_REASSIGN = 4, /* task allegiance reassignment not supported */
	RSP_NOT_SUPPORTED = 5,
	RSP_SUCCEEDED = 7,
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
		memcpy(out->bhs.b + 8, tmf->scsi.info, sizeof(tmf->scsi.info));
		bhs_set_itt(&out->bhs, bhs_itt(&tmf->req.bhs));
		/* RFC 7144 6.3: the nexus ends with this answer. */
		out->last = tmf_function(tmf) == FN_NEXUS_RESET && response == RSP_COMPLETE;
		out_push(conn, out);
		if (out->last)
			conn->phase = CONN_LOGGED_OUT;
	}
	tmf_free(tmf);
}

static bool is_of_all_lus(enum scsi_tmf_function function)
{
	return function == TMF_TARGET_RESET || function == TMF_NEXUS_RESET;
}

static bool is_of_a_set(enum scsi_tmf_function function)
{
	return function == TMF_ABORT_TASK_SET || function == TMF_CLEAR_TASK_SET ||
	       function == TMF_LU_RESET || is_of_all_lus(function);
}

/*
 * Tasks that were refused on arrival never reached the device server, which so cannot abort them;
 * no response of theirs may follow that of the function, nor need more of their data come.
 */
static void drop_refused(struct iscsi_tmf *tmf)
{
	list_for_each (task, &tmf->req.conn->tasks, struct iscsi_task, node) {
		bool reached = is_of_all_lus(tmf->scsi.function) || task->scsi.lun == tmf->scsi.lun;

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
		[TMF_COMPLETE] = RSP_COMPLETE, [TMF_SUCCEEDED] = RSP_SUCCEEDED,
		[TMF_NO_TASK] = RSP_NO_TASK,   [TMF_NO_LUN] = RSP_NO_LUN,
		[TMF_FAILED] = RSP_REJECTED,
	};

	if (scsi->response == TMF_COMPLETE && is_of_a_set(scsi->function))
		drop_refused(tmf);
	tmf_respond(tmf, responses[scsi->response]);
	if (cold)
		registry_drop_target(registry, target); /* like a power-on: all sessions end */
}

/*
 * A function for a command that has not come: when it may still come, its place in the window is
 * taken and that was that. RFC 7143 11.6.1, RFC 7144 6.3.3
 */
static bool skip_unseen(struct iscsi_tmf *tmf)
{
	struct iscsi_session *session = tmf->req.conn->session;
	uint32_t refcmdsn = be32_get(tmf->req.bhs.b + 32);

	if (session_judge(session, refcmdsn) < 0)
		return false;
	session_skip(session, refcmdsn);
	return true;
}

/* RFC 7143 11.5.1, RFC 7144 6.3: requests for task management are no tasks. */
static bool names_a_tmf(const struct iscsi_tmf *tmf)
{
	list_for_each (other, &tmf->req.conn->tmfs, struct iscsi_tmf, node)
		if (other != tmf && bhs_itt(&other->req.bhs) == (uint32_t)tmf->scsi.tag)
			return true;
	return false;
}

/* Received, not yet its turn: it goes, its place in the window is taken. */
static void abort_held(struct iscsi_task *task)
{
	struct iscsi_session *session = task->req.conn->session;
	uint32_t cmdsn = bhs_cmdsn(&task->req.bhs);

	list_del(&task->req.node);
	task->req.held = false;
	session->n_held--;
	task_free(task);
	session_skip(session, cmdsn);
}

/* ABORT TASK, QUERY TASK */
static void one_task(struct iscsi_tmf *tmf)
{
	bool aborts = tmf_function(tmf) == FN_ABORT_TASK;
	struct iscsi_task *task;

	tmf->scsi.tag = be32_get(tmf->req.bhs.b + 20);
	task = task_find(tmf->req.conn->session, (uint32_t)tmf->scsi.tag);
	if (names_a_tmf(tmf)) {
		tmf_respond(tmf, RSP_REJECTED);
	} else if (task && task->req.held) {
		if (aborts)
			abort_held(task);
		tmf_respond(tmf, aborts ? RSP_COMPLETE : RSP_SUCCEEDED);
	} else if (task && task->state == TASK_DRAINING && !task->begun) {
		/* Refused on arrival: the device server never knew it. */
		if (aborts)
			task_free(task);
		tmf_respond(tmf, aborts ? RSP_COMPLETE : RSP_SUCCEEDED);
	} else if (!task && skip_unseen(tmf)) {
		tmf_respond(tmf, RSP_COMPLETE);
	} else {
		scsi_tmf_start(&tmf->scsi);
	}
}

/* Tasks of this session that the function will abort and that are still owed data. */
static bool waits_for_data(struct iscsi_tmf *tmf)
{
	bool all_lus = is_of_all_lus(tmf->scsi.function), waits = false;

	list_for_each (task, &tmf->req.conn->tasks, struct iscsi_task, node) {
		if ((!all_lus && task->scsi.lun != tmf->scsi.lun) || !task->begun ||
		    task_quiet(task))
			continue;
		task->stop_r2t = true;
		waits = true;
	}
	return waits;
}

static void tmf_start(struct iscsi_tmf *tmf)
{
	uint8_t function = tmf_function(tmf);

	/* RFC 7143 11.5.1, RFC 7144 6.5: these wait for the answers to all R2Ts that are out. */
	if ((function == FN_ABORT_TASK_SET || function == FN_CLEAR_TASK_SET ||
	     function == FN_NEXUS_RESET) &&
	    waits_for_data(tmf))
		return;
	tmf->started = true;
	if (function == FN_ABORT_TASK || function == FN_QUERY_TASK)
		one_task(tmf);
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
		enum level level;
		enum scsi_tmf_function function;
	} functions[] = {
		[FN_ABORT_TASK] = {ANY_LEVEL, TMF_ABORT_TASK},
		[FN_ABORT_TASK_SET] = {ANY_LEVEL, TMF_ABORT_TASK_SET},
		[FN_CLEAR_ACA] = {ANY_LEVEL, TMF_CLEAR_ACA},
		[FN_CLEAR_TASK_SET] = {ANY_LEVEL, TMF_CLEAR_TASK_SET},
		[FN_LU_RESET] = {ANY_LEVEL, TMF_LU_RESET},
		[FN_TARGET_WARM_RESET] = {ANY_LEVEL, TMF_TARGET_RESET},
		[FN_TARGET_COLD_RESET] = {ANY_LEVEL, TMF_TARGET_RESET},
		[FN_TASK_REASSIGN] = {NO_LEVEL},
		[FN_QUERY_TASK] = {LEVEL_RFC7144, TMF_QUERY_TASK},
		[FN_QUERY_TASK_SET] = {LEVEL_RFC7144, TMF_QUERY_TASK_SET},
		[FN_NEXUS_RESET] = {LEVEL_RFC7144, TMF_NEXUS_RESET},
		[FN_QUERY_ASYNC_EVENT] = {LEVEL_RFC7144, TMF_QUERY_ASYNC_EVENT},
	};
	struct iscsi_tmf *tmf = container_of(req, struct iscsi_tmf, req);
	uint8_t function = tmf_function(tmf);
	enum level level =
		req->conn->session->params.protocol_level < 2 ? ANY_LEVEL : LEVEL_RFC7144;

	if (function == FN_TASK_REASSIGN) {
		tmf_respond(tmf, RSP_NO_REASSIGN);
	} else if (function >= sizeof(functions) / sizeof(functions[0]) ||
		   functions[function].level == NO_LEVEL || functions[function].level > level) {
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
