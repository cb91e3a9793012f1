/* SPDX-License-Identifier: Apache-2.0 */
/* A session: its command window and its tasks by tag. Source: RFC 7143 4.2.2.1. */
#include "iscsi/conn_priv.h"

#define WINDOW_MIN 16

struct iscsi_session *session_new(const struct iscsi_login_result *result, uint32_t cmdsn,
				  struct iscsi_conn *conn)
{
	struct iscsi_session *session = calloc(1, sizeof(*session));

	if (!session)
		return NULL;
	memcpy(session->initiator, result->initiator, sizeof(session->initiator));
	memcpy(session->isid, result->isid, sizeof(session->isid));
	session->tsih = result->tsih;
	session->cid = result->cid;
	session->tpgt = result->tpgt;
	session->discovery = result->discovery;
	session->params = result->params;
	session->exp_cmdsn = cmdsn;
	session->max_cmdsn = cmdsn - 1;
	session->conn = conn;
	list_init(&session->held);
	list_init(&session->reg_node);
	for (unsigned i = 0; i < ISCSI_ITT_BUCKETS; i++)
		list_init(&session->itts[i]);
	return session;
}

void session_free(struct iscsi_session *session)
{
	if (!session)
		return;
	scsi_nexus_free(session->nexus);
	if (session->target)
		scsi_target_unref(session->target);
	free(session);
}

/*
 * The window's end: as many commands as may still come with those under way. It never goes back,
 * whatever is under way, since it has been promised.
 */
uint32_t session_max_cmdsn(struct iscsi_session *session, unsigned queue_depth)
{
	unsigned busy = session->n_active < queue_depth ? session->n_active : queue_depth;
	unsigned free = queue_depth - busy;
	uint32_t max;

	/* It opens with use: what an idle session was promised is memory that others lack. */
	if (free > busy + WINDOW_MIN)
		free = busy + WINDOW_MIN;
	max = session->exp_cmdsn + free - 1;
	if (sn_before(session->max_cmdsn, max))
		session->max_cmdsn += room_window(session, max - session->max_cmdsn);
	return session->max_cmdsn;
}

bool session_is_shut_out(const struct iscsi_session *session)
{
	return !session->n_active && sn_before(session->max_cmdsn, session->exp_cmdsn);
}

int session_judge(const struct iscsi_session *session, uint32_t cmdsn)
{
	if (sn_before(cmdsn, session->exp_cmdsn) || sn_before(session->max_cmdsn, cmdsn))
		return -1;
	return cmdsn == session->exp_cmdsn ? 0 : 1;
}

/* What stood behind a gap that is now closed. */
static void deliver_held(struct iscsi_session *session)
{
	while (!list_empty(&session->held)) {
		struct iscsi_request *req = list_first(&session->held, struct iscsi_request, node);
		uint32_t cmdsn = bhs_cmdsn(&req->bhs);

		if (cmdsn != session->exp_cmdsn || session->conn->phase == CONN_CLOSING)
			return;
		list_del(&req->node);
		req->held = false;
		session->n_held--;
		session->exp_cmdsn++;
		req->deliver(req);
	}
}

static void hold(struct iscsi_session *session, struct iscsi_request *req)
{
	uint32_t cmdsn = bhs_cmdsn(&req->bhs);
	struct list *after = session->held.prev;

	while (after != &session->held &&
	       sn_before(cmdsn, bhs_cmdsn(&list_entry(after, struct iscsi_request, node)->bhs)))
		after = after->prev;
	if (after != &session->held &&
	    bhs_cmdsn(&list_entry(after, struct iscsi_request, node)->bhs) == cmdsn) {
		req->discard(req); /* a duplicate */
		return;
	}
	req->held = true;
	session->n_held++; /* bounded by the window: no two have one CmdSN */
	list_insert(&req->node, after, after->next);
}

void session_receive(struct iscsi_session *session, struct iscsi_request *req)
{
	int where;

	if (bhs_immediate(&req->bhs)) {
		req->deliver(req);
		return;
	}
	where = session_judge(session, bhs_cmdsn(&req->bhs));
	if (where < 0) {
		req->discard(req);
	} else if (where > 0) {
		hold(session, req);
	} else {
		session->exp_cmdsn++;
		req->deliver(req);
		deliver_held(session);
	}
}

static void skip_deliver(struct iscsi_request *req)
{
	free(req);
}

void session_skip(struct iscsi_session *session, uint32_t cmdsn)
{
	struct iscsi_request *gap;
	int where = session_judge(session, cmdsn);

	if (where == 0) {
		session->exp_cmdsn++;
		deliver_held(session);
	} else if (where > 0 && (gap = calloc(1, sizeof(*gap)))) {
		be32_put(gap->bhs.b + 24, cmdsn);
		gap->deliver = gap->discard = skip_deliver;
		hold(session, gap);
	}
}

void session_discard_held(struct iscsi_session *session)
{
	struct list *node;

	while ((node = list_pop_front(&session->held))) {
		struct iscsi_request *req = list_entry(node, struct iscsi_request, node);

		req->held = false;
		session->n_held--;
		req->discard(req);
	}
}
