/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The login phase on a connection: requests go to login.c, its answers out; at its end the session
 * is entered, which may have to wait until an older one of the same name has ended.
 */
#include "iscsi/conn_priv.h"
#include "util/log.h"
#include <stdio.h>

static void login_take(struct iscsi_request *req);

enum pdu_verdict login_pdu_header(struct iscsi_conn *conn)
{
	/* Anything but a Login Request first: not one of ours, no answer (RFC 7143 6.3). */
	if (bhs_opcode(&conn->rx.bhs) != OP_LOGIN_REQ && !conn->login) {
		conn_drop(conn, "first PDU is not a Login Request");
		return PDU_DROP;
	}
	return request_take(conn, login_take, &conn->rx_req);
}

void login_pdu_end(struct iscsi_conn *conn)
{
	struct iscsi_request *req = steal(conn->rx_req);

	req->deliver(req);
}

/* ExpCmdSN and MaxCmdSN of the login phase: the session's first CmdSN, as requested. */
static void send_answer(struct iscsi_conn *conn, const struct iscsi_bhs *bhs, const uint8_t *data,
			uint32_t len, uint32_t cmdsn, bool last)
{
	struct iscsi_out *out = out_new(conn, OP_LOGIN_RSP);

	if (!out)
		return;
	out->heap = malloc(len ? len : 1);
	if (!out->heap) {
		out_free(conn, out);
		conn_drop(conn, "out of memory");
		return;
	}
	if (len)
		memcpy(out->heap, data, len);
	out->data = out->heap;
	out->data_len = len;
	out->bhs = *bhs;
	out->last = last;
	bhs_set_expcmdsn(&out->bhs, cmdsn);
	bhs_set_maxcmdsn(&out->bhs, cmdsn);
	out_push(conn, out);
	if (last)
		conn->phase = CONN_LOGGED_OUT;
}

/* The final answer is due: with the session's TSIH, or as a refusal. */
static void send_final(struct iscsi_conn *conn, enum iscsi_login_status status)
{
	struct iscsi_login_answer answer = {.outcome = LOGIN_COMPLETE,
					    .bhs = conn->login_bhs,
					    .data = conn->login_data,
					    .data_len = conn->login_data_len};
	uint32_t cmdsn = conn->session ? conn->session->exp_cmdsn : 0;

	if (status != LOGIN_SUCCESS) {
		iscsi_login_refuse(&answer, status);
		send_answer(conn, &answer.bhs, answer.data, answer.data_len, cmdsn, true);
		return;
	}
	be16_put(answer.bhs.b + 14, conn->session->tsih);
	send_answer(conn, &answer.bhs, answer.data, answer.data_len, cmdsn, false);
}

/* RFC 7144 4.2: "iSCSI (no version claimed)", to which iSCSIProtocolLevel is added */
#define ISCSI_VERSION_DESCRIPTOR 0x0960

/* No older session of this name is left: the nexus may come to be. */
void login_granted(struct iscsi_conn *conn)
{
	struct iscsi_session *session = conn->session;
	char port[ISCSI_NAME_MAX + 32], peer[80];

	if (!session->discovery) {
		snprintf(port, sizeof(port), "%s,i,0x%02x%02x%02x%02x%02x%02x", session->initiator,
			 session->isid[0], session->isid[1], session->isid[2], session->isid[3],
			 session->isid[4], session->isid[5]);
		if (scsi_nexus_new(session->target, port, session->tpgt, conn_engine(conn),
				   &session->nexus) < 0) {
			send_final(conn, LOGIN_OUT_OF_RESOURCES);
			return;
		}
		scsi_nexus_set_version(session->nexus,
				       ISCSI_VERSION_DESCRIPTOR + session->params.protocol_level);
		log_info("%s (%s): logged in to %s", session->initiator,
			 conn_peer(conn, peer, sizeof(peer)), scsi_target_name(session->target));
	}
	send_final(conn, LOGIN_SUCCESS);
	login_phase_free(conn);
	conn_enter_full_feature(conn);
}

static void attach_session(struct iscsi_conn *conn, uint32_t cmdsn)
{
	const struct iscsi_login_result *result = iscsi_login_result(conn->login);
	enum iscsi_login_status status;
	bool wait;

	conn->phase = CONN_ATTACHING;
	conn->session = session_new(result, cmdsn, conn);
	if (conn->session && !result->discovery)
		conn->session->target = server_target(conn->server, result->target);
	if (!conn->session || (!result->discovery && !conn->session->target)) {
		send_final(conn, LOGIN_OUT_OF_RESOURCES);
		return;
	}
	status = registry_enter(server_registry(conn->server), conn->session, &wait);
	if (status != LOGIN_SUCCESS)
		send_final(conn, status);
	else if (!wait)
		login_granted(conn);
}

static void host_random(const struct iscsi_login_host *host, void *buf, size_t len)
{
	engine_random(conn_engine(container_of(host, struct iscsi_conn, login_host)), buf, len);
}

/* For the administrator; the initiator is not told what was wrong. */
static void log_if_unproved(const struct iscsi_conn *conn, const struct iscsi_login_answer *answer)
{
	const struct iscsi_login_result *result = iscsi_login_result(conn->login);
	char peer[80];

	if (answer->outcome == LOGIN_REFUSED && be16_get(answer->bhs.b + 36) == LOGIN_AUTH_FAILED)
		log_warning("%s (%s): not logged in%s%s: authentication failed", result->initiator,
			    conn_peer(conn, peer, sizeof(peer)), *result->target ? " to " : "",
			    result->target);
}

static void login_take(struct iscsi_request *req)
{
	struct iscsi_conn *conn = req->conn;
	uint32_t cmdsn = bhs_cmdsn(&req->bhs);
	struct iscsi_login_answer answer;
	int r = 0;

	if (!conn->login) {
		conn->login_host = (struct iscsi_login_host){
			.find_target = server_find_target,
			.random = host_random,
			.discovery_limits = &iscsi_default_limits,
		};
		r = iscsi_login_new(&conn->login_host, &conn->login);
	}
	if (r == 0)
		r = iscsi_login_step(conn->login, &req->bhs, req->data ? req->data->data : NULL,
				     &answer);
	request_free(req);
	if (r < 0) {
		conn_drop(conn, "out of memory");
		return;
	}
	log_if_unproved(conn, &answer);
	if (answer.outcome != LOGIN_COMPLETE) {
		send_answer(conn, &answer.bhs, answer.data, answer.data_len, cmdsn,
			    answer.outcome == LOGIN_REFUSED);
		return;
	}
	conn->login_bhs = answer.bhs;
	conn->login_data = answer.data; /* the login's, which takes no further step */
	conn->login_data_len = answer.data_len;
	attach_session(conn, cmdsn);
}

void login_phase_free(struct iscsi_conn *conn)
{
	iscsi_login_free(steal(conn->login));
	conn->login_data = NULL;
}
