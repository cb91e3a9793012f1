/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SCSI commands: a task from its command PDU until its answer stands. Source: RFC 7143 11.3.
 */
#include "iscsi/conn_priv.h"

#define KEEP_TASKS 1024

enum { AHS_EXTENDED_CDB = 1, AHS_BIDI_READ = 2 };

static void task_scsi_done(struct scsi_task *scsi);
static void task_scsi_aborted(struct scsi_task *scsi);

static const struct scsi_transport iscsi_transport = {
	.done = task_scsi_done,
	.aborted = task_scsi_aborted,
};

/* ---- tasks and their tags ---- */

static struct list *itt_bucket(struct iscsi_session *session, uint32_t itt)
{
	return &session->itts[(itt ^ itt >> 8) % ISCSI_ITT_BUCKETS];
}

struct iscsi_task *task_find(struct iscsi_session *session, uint32_t itt)
{
	list_for_each (task, itt_bucket(session, itt), struct iscsi_task, hash) {
		if (task_itt(task) == itt)
			return task;
	}
	return NULL;
}

void task_remember_ghost(struct iscsi_conn *conn, uint32_t itt)
{
	conn->ghosts[conn->n_ghosts++ % ISCSI_GHOSTS] = itt;
}

bool task_has_left(const struct iscsi_conn *conn, uint32_t itt)
{
	unsigned n = conn->n_ghosts < ISCSI_GHOSTS ? conn->n_ghosts : ISCSI_GHOSTS;

	for (unsigned i = 0; i < n; i++) {
		if (conn->ghosts[i] == itt)
			return true;
	}
	return false;
}

static void command_deliver(struct iscsi_request *req);
static void command_discard(struct iscsi_request *req);
static void task_granted(struct pool_waiter *waiter);

static struct iscsi_task *task_new(struct iscsi_conn *conn)
{
	struct iscsi_shard *shard = conn->shard;
	struct list *node = list_pop_front(&shard->tasks);
	struct iscsi_task *task =
		node ? list_entry(node, struct iscsi_task, node) : malloc(sizeof(*task));

	if (!task)
		return NULL;
	if (node)
		shard->n_tasks--;
	memset(task, 0, offsetof(struct iscsi_task, out.small));
	memset(&task->n_bufs, 0,
	       offsetof(struct iscsi_task, r2ts) - offsetof(struct iscsi_task, n_bufs));
	task->in_len = task->in_off = task->in_datasn = task->in_burst = 0;
	list_init(&task->req.node);
	list_init(&task->out.node);
	list_init(&task->waiter.node);
	list_init(&task->scsi.node);
	task->req.conn = conn;
	task->req.deliver = command_deliver;
	task->req.discard = command_discard;
	task->req.bhs = conn->rx.bhs;
	task->waiter.granted = task_granted;
	task->out.embedded = true;
	task->state = TASK_RECEIVING;
	task->scsi.transport = &iscsi_transport;
	task->scsi.nexus = conn->session->nexus;
	task->cache = reactor_bufs(shard->reactor,
				   scsi_nexus_numa_node(task->scsi.nexus, bhs_lun(&conn->rx.bhs)));
	shard->room.n_tasks++;
	list_push_back(&conn->tasks, &task->node);
	list_push_back(itt_bucket(conn->session, task_itt(task)), &task->hash);
	if (bhs_immediate(&task->req.bhs)) {
		conn->n_immediate++;
	} else {
		conn->session->n_active++;
		task->counted = true;
	}
	return task;
}

void task_uncount(struct iscsi_task *task)
{
	if (task->counted)
		task->req.conn->session->n_active--;
	task->counted = false;
}

static void task_put_bufs(struct iscsi_task *task)
{
	for (int i = 0; i < task->n_bufs; i++)
		pool_put(task->cache, task->bufs[i]);
	task->n_bufs = 0;
	task->room = 0;
	room_leave(task);
}

void task_scsi_end(struct iscsi_task *task)
{
	if (task->begun)
		scsi_task_end(&task->scsi);
	task->begun = false;
}

/* The last of a task. Nothing of it is in the device server or on the wire. */
void task_free(struct iscsi_task *task)
{
	struct iscsi_conn *conn = task->req.conn;
	struct iscsi_shard *shard = conn->shard;

	if (conn->rx_task == task && (conn->phase != CONN_CLOSING || conn->rx_busy)) {
		/* Its data is being received right now: it stays until the PDU has ended. */
		task_scsi_end(task);
		task_uncount(task);
		task->state = TASK_GHOST;
		return;
	}
	if (!task_quiet(task))
		task_remember_ghost(conn, task_itt(task));
	task->state = TASK_GHOST;
	task_scsi_end(task);
	pool_wait_cancel(task->cache, &task->waiter);
	task_put_bufs(task);
	list_del(&task->node);
	list_del(&task->hash);
	if (bhs_immediate(&task->req.bhs))
		conn->n_immediate--;
	task_uncount(task);
	shard->room.n_tasks--;
	room_look(shard);
	if (shard->n_tasks < KEEP_TASKS) {
		shard->n_tasks++;
		list_push_front(&shard->tasks, &task->node);
	} else {
		free(task);
	}
	if (conn->phase == CONN_CLOSING) {
		conn_try_free(conn);
		return;
	}
	tmf_data_ended(conn);
	/* One that ended without an answer, or was still being received when that was sent. */
	if (conn->phase == CONN_FULL_FEATURE && list_empty(&conn->out) &&
	    session_is_shut_out(conn->session))
		out_nop_in(conn, ISCSI_RESERVED_TAG);
}

/* The PDU that was coming in for a task has ended. */
void task_unlink_rx(struct iscsi_conn *conn)
{
	struct iscsi_task *task = steal(conn->rx_task);

	if (task && task->state == TASK_GHOST)
		task_free(task);
}

void task_conn_lost(struct iscsi_task *task)
{
	if (task->state != TASK_RUNNING)
		task_free(task);
	else if (!task->silent) /* ends when the device server is done with it */
		scsi_task_abort(&task->scsi, false);
}

bool task_quiet(const struct iscsi_task *task)
{
	return !task->unsol_open && !task->n_r2ts;
}

/* ---- buffers ---- */

/* Room for @len bytes. Return: 0, or what pool_get() says. */
static int task_get_bufs(struct iscsi_task *task, uint32_t len)
{
	int n = pool_get(task->cache, len, task->bufs, ISCSI_TASK_BUFS);

	if (n < 0)
		return n;
	task->n_bufs = n;
	task->room = len;
	for (int i = 0; i < n; i++) {
		task->iov[i].iov_base = task->bufs[i]->data;
		task->iov[i].iov_len = task->bufs[i]->size;
	}
	return 0;
}

/* Makes the first @len bytes of the room what the device server sees. */
static void task_lend(struct iscsi_task *task, uint32_t len)
{
	int n = 0;

	for (uint32_t left = len; left; n++) {
		if (task->iov[n].iov_len > left)
			task->iov[n].iov_len = left;
		left -= (uint32_t)task->iov[n].iov_len;
	}
	task->scsi.iov = task->iov;
	task->scsi.n_iov = n;
}

/* ---- the command PDU ---- */

/* AHSs: a longer CDB, the read length of a bidirectional command. Return: whether well formed. */
static bool parse_ahs(struct iscsi_task *task, const uint8_t *ahs, size_t len)
{
	struct bytes_in in = bytes_in(ahs, len);

	while (in.left) {
		uint16_t ahs_len = in_be16(&in);
		uint8_t type = in_u8(&in);
		const uint8_t *body = in_bytes(&in, ahs_len);

		if (in.bad || !ahs_len)
			return false;
		if (type ==
		    AHS_EXTENDED_CDB) { /* first byte reserved, then the CDB from byte 16 on */
			size_t n = ahs_len - 1u;

			task->scsi.cdb_len = 16 + (uint32_t)n;
			if (n > SCSI_CDB_MAX - 16)
				n = SCSI_CDB_MAX - 16;
			memcpy(task->scsi.cdb + 16, body + 1, n);
		} else if (type == AHS_BIDI_READ && ahs_len == 5) {
			task->scsi.expect_in = be32_get(body + 1);
		} else {
			return false;
		}
		/* Three bytes of head and the body, filled up to a multiple of four. */
		if (!in_skip(&in, iscsi_pad(3u + ahs_len)))
			return false;
	}
	return true;
}

static bool parse_command(struct iscsi_task *task)
{
	struct iscsi_conn *conn = task->req.conn;
	const struct iscsi_bhs *bhs = &task->req.bhs;
	uint32_t edtl = be32_get(bhs->b + 20);

	task->scsi.lun = bhs_lun(bhs);
	task->scsi.tag = task_itt(task);
	task->scsi.attr = (enum scsi_attr)(bhs->b[1] & BHS_ATTR);
	task->scsi.cdb_len = 16;
	memcpy(task->scsi.cdb, bhs->b + 32, 16);
	if (!parse_ahs(task, conn->rx.ahs, conn->rx.ahs_len))
		return false;
	if (bhs->b[1] & BHS_WRITE)
		task->scsi.expect_out = edtl;
	else if (bhs->b[1] & BHS_READ)
		task->scsi.expect_in = edtl;
	return true;
}

/*
 * Whether the data that comes unasked for is what was negotiated. RFC 7143 11.3.4, 13.10, 13.11
 */
static bool unsolicited_allowed(struct iscsi_task *task, uint32_t immediate)
{
	const struct iscsi_params *params = &task->req.conn->session->params;
	bool final = bhs_final(&task->req.bhs);
	uint32_t limit = task->scsi.expect_out;

	if (limit > params->first_burst)
		limit = params->first_burst;
	task->unsol_limit = limit;
	task->unsol_open = !final;
	if (immediate && (!params->immediate_data || immediate > limit))
		return false;
	if (!final && (params->initial_r2t || !(task->req.bhs.b[1] & BHS_WRITE)))
		return false;
	return true;
}

/* The command cannot be taken in now: it is made anew when there is room, or a buffer. */
static enum pdu_verdict stall_command(struct iscsi_conn *conn, struct iscsi_task *task)
{
	struct pool_cache *cache = task->cache;

	task->unsol_open = false;
	conn->rx_req = NULL;
	task_free(task);
	if (list_empty(&conn->room_node))
		conn_stall(conn, cache);
	return PDU_STALL;
}

/*
 * Buffers are taken before the command is judged only where data comes along with it; for all of
 * what the initiator announces, since that is what the command will want.
 */
static enum pdu_verdict take_immediate(struct iscsi_conn *conn, struct iscsi_task *task,
				       uint32_t len)
{
	uint32_t room = at_most(server_config(conn->server)->max_transfer, task->scsi.expect_out);
	bool more = task->unsol_open || len < room, outside = conn_may_stall(conn);
	int r = -EAGAIN;

	if (!more || room_enter(task)) {
		r = task_get_bufs(task, room < len ? len : room);
		if (r == -EAGAIN && room_park(task))
			r = 0;
	}
	if (r == -EAGAIN && outside)
		return stall_command(conn, task);
	if (r < 0) {
		/* To stall could be for ever: see conn_may_stall(). The initiator may try again. */
		task->scsi.status = STATUS_TASK_SET_FULL;
		task->state = TASK_DRAINING;
		room_leave(task);
		iscsi_rx_drop(&conn->rx);
		return PDU_TAKE;
	}
	if (len)
		iscsi_rx_dest(&conn->rx, task->iov, task_n_iov(task), 0);
	else
		iscsi_rx_drop(&conn->rx);
	return PDU_TAKE;
}

enum pdu_verdict command_header(struct iscsi_conn *conn)
{
	const struct iscsi_bhs *bhs = &conn->rx.bhs;
	uint32_t len = conn->rx.data_len;
	struct iscsi_task *task;

	iscsi_rx_drop(&conn->rx);
	if (task_find(conn->session, bhs_itt(bhs))) {
		out_reject(conn, REJECT_TASK_IN_PROGRESS);
		return PDU_TAKE;
	}
	if (bhs_itt(bhs) == ISCSI_RESERVED_TAG) {
		out_reject(conn, REJECT_INVALID_FIELD);
		return PDU_TAKE;
	}
	if (bhs_immediate(bhs) && conn->n_immediate >= ISCSI_IMMEDIATE_MAX) {
		out_reject(conn, REJECT_IMMEDIATE_COMMANDS);
		return PDU_TAKE;
	}
	if (room_full(conn)) {
		room_stall(conn);
		return PDU_STALL;
	}
	task = task_new(conn);
	if (!task || !parse_command(task)) {
		conn_drop(conn, task ? "malformed AHS" : "out of memory");
		return PDU_DROP;
	}
	conn->rx_req = &task->req;
	if (!unsolicited_allowed(task, len)) {
		task->state = TASK_DRAINING;
		task->scsi.status = STATUS_CHECK_CONDITION;
		task->scsi.sense = scsi_sense(SENSE_UNEXPECTED_UNSOLICITED_DATA);
		return PDU_TAKE;
	}
	task->out_next = len;
	task->solicited = len;
	if (!len && !task->unsol_open)
		return PDU_TAKE;
	return take_immediate(conn, task, len);
}

static void command_discard(struct iscsi_request *req)
{
	struct iscsi_task *task = container_of(req, struct iscsi_task, req);

	task_free(task);
}

/* ---- running ---- */

/* An answer that stands goes out as soon as the initiator has sent what it is entitled to. */
void task_answer_when_quiet(struct iscsi_task *task)
{
	task->wants_room = false;
	if (task_quiet(task) && task->delivered) {
		room_leave(task);
		task_answer(task);
		return;
	}
	task->state = TASK_DRAINING;
	/* Unless something is being received into them right now. */
	if (task->req.conn->rx_req != &task->req && task->req.conn->rx_task != task)
		task_put_bufs(task);
}

/* Ends the task with CHECK CONDITION; what it still has to receive is dropped. */
void task_fail(struct iscsi_task *task, enum scsi_sense_code code)
{
	if (task->state == TASK_DRAINING)
		return; /* the first error stands */
	task->scsi.status = STATUS_CHECK_CONDITION;
	task->scsi.sense = scsi_sense(code);
	task->scsi.in_len = 0;
	task_answer_when_quiet(task);
}

/* Return: false when it waits, or its answer stands. */
static bool task_has_bufs(struct iscsi_task *task, uint32_t len)
{
	int r = task->n_bufs ? 0 : task_get_bufs(task, len);

	if (r == 0)
		return true;
	if (r == -EAGAIN) {
		task->state = TASK_WAITING;
		pool_wait(task->cache, &task->waiter);
	} else {
		task->scsi.status = STATUS_BUSY; /* more than the whole pool holds */
		task_answer_when_quiet(task);
	}
	return false;
}

static void task_start(struct iscsi_task *task)
{
	bool more = task->out_next < task->want || task->unsol_open;

	task->wants_room = task->want && more && !room_enter(task);
	if (task->wants_room) {
		task->state = TASK_WAITING;
	} else if (!task->want) {
		if (task_has_bufs(task, task->in_len))
			task_run(task);
	} else if (task->parked || task_has_bufs(task, task->want)) {
		task->state = TASK_COLLECTING;
		task_collect(task);
	}
}

static struct iscsi_task *first_wanting(struct iscsi_conn *conn)
{
	list_for_each (task, &conn->tasks, struct iscsi_task, node)
		if (task->wants_room)
			return task;
	return NULL;
}

/* One may end here, and others with it: so look anew. */
void task_start_waiting(struct iscsi_conn *conn)
{
	struct iscsi_task *task;

	while ((task = first_wanting(conn)))
		task_start(task);
}

bool task_unpark(struct iscsi_task *task)
{
	struct bytes_in from = bytes_in(task->parked, task->out_next);

	if (!task_has_bufs(task, task->want))
		return false;
	for (int i = 0; i < task->n_bufs && from.left; i++) {
		size_t n = from.left < task->iov[i].iov_len ? from.left : task->iov[i].iov_len;

		memcpy(task->iov[i].iov_base, in_bytes(&from, n), n);
	}
	room_unpark(task);
	task->state = TASK_COLLECTING;
	return true;
}

static void task_granted(struct pool_waiter *waiter)
{
	task_start(container_of(waiter, struct iscsi_task, waiter));
}

/* Its turn by CmdSN has come. */
static void command_deliver(struct iscsi_request *req)
{
	struct iscsi_task *task = container_of(req, struct iscsi_task, req);

	task->delivered = true;
	if (task->state == TASK_DRAINING) { /* refused on arrival */
		task_answer_when_quiet(task);
		return;
	}
	task->begun = true;
	if (scsi_task_begin(&task->scsi) == SCSI_DONE) {
		task_answer_when_quiet(task);
		return;
	}
	task->want = at_most(task->scsi.need_out, task->scsi.expect_out);
	if (!task->want)
		task_put_bufs(task); /* what came along is of no use */
	/* No command of ours moves data both ways: one that is announced so gets no data-in. */
	if (!(task->req.bhs.b[1] & BHS_WRITE))
		task->in_len = at_most(task->scsi.need_in, task->scsi.expect_in);
	if (task->want || task->in_len) {
		task_start(task);
	} else {
		task->state = TASK_COLLECTING;
		task_collect(task);
	}
}

/* All data is there. */
void task_run(struct iscsi_task *task)
{
	task->state = TASK_RUNNING;
	room_leave(task);
	if (task->n_bufs)
		task_lend(task, task->want ? task->want : task->in_len);
	if (scsi_task_run(&task->scsi) == SCSI_DONE)
		task_answer(task);
}

static void task_scsi_done(struct scsi_task *scsi)
{
	struct iscsi_task *task = container_of(scsi, struct iscsi_task, scsi);

	if ((scsi->aborted && !scsi->tell_aborted) || task->silent ||
	    task->req.conn->phase == CONN_CLOSING) {
		task->state = TASK_GHOST;
		task_free(task);
	} else {
		task_answer(task);
	}
}

static void task_scsi_aborted(struct scsi_task *scsi)
{
	struct iscsi_task *task = container_of(scsi, struct iscsi_task, scsi);

	task->silent |= !scsi->tell_aborted;
	if (task->state == TASK_RUNNING)
		return;
	if (task->silent) {
		task_free(task);
		return;
	}
	/* It has left the task set, though its initiator may still be sending data for it. */
	task_scsi_end(task);
	pool_wait_cancel(task->cache, &task->waiter);
	task_answer_when_quiet(task);
}
