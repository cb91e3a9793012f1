/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that initiators fill, kept within its limits without an answer that says so. A command
 * gets all its buffers before its data is asked for, so data that is asked for always has a
 * place. What may stand before it in the stream are commands that the window has promised, with
 * data that comes unasked for: when the pool has nothing for that, it is parked in memory put
 * aside beforehand. So
 *
 *  - a connection that asks for data first enters the room: memory is put aside for all that its
 *    window still promises; while it is inside, the window grows only as far as more can be;
 *  - one that is outside stops reading when there are no buffers: nothing waits for what follows;
 *  - whoever cannot enter waits in line holding nothing, and those inside, whose windows do not
 *    grow while others wait, come out when they have no command left that collects.
 *
 * The order is room, then pool: who is inside waits for buffers, and those are held by commands
 * whose data is certain to be read. The number of commands under way is limited by the same line.
 * What has been received of the stream when a connection stops reading lies in stash.c.
 */
#include "iscsi/conn_priv.h"

#define ROOM_STASH_PART 8 /* of all that may be put aside, this part is for stash.c */

/* Bytes that one command may bring along unasked for. RFC 7143 13.10, 13.11, 13.14 */
static uint32_t unsolicited_max(const struct iscsi_session *session)
{
	const struct iscsi_params *params = &session->params;

	return params->immediate_data || !params->initial_r2t ? params->first_burst : 0;
}

/* How many commands may still come by what the window has promised. */
static uint32_t promised(const struct iscsi_session *session)
{
	return session->max_cmdsn + 1 - session->exp_cmdsn;
}

static bool enter(struct iscsi_conn *conn)
{
	struct iscsi_room *room = &conn->shard->room;
	int64_t need = (int64_t)promised(conn->session) * unsolicited_max(conn->session);

	/* One may be inside however much it takes: the limit bends before everything stands. */
	if (need > room->free && room->free < room->total)
		return false;
	conn->room_held = need;
	room->free -= need;
	conn->in_room = true;
	return true;
}

static void wait_in_line(struct iscsi_conn *conn)
{
	if (list_empty(&conn->room_node))
		list_push_back(&conn->shard->room.waiting, &conn->room_node);
}

bool room_enter(struct iscsi_task *task)
{
	struct iscsi_conn *conn = task->req.conn;

	if (task->in_room)
		return true;
	if (!conn->in_room && (!list_empty(&conn->shard->room.waiting) || !enter(conn))) {
		wait_in_line(conn);
		return false;
	}
	task->in_room = true;
	conn->n_in_room++;
	return true;
}

/* One command less inside. */
static void come_out(struct iscsi_conn *conn)
{
	if (--conn->n_in_room || !conn->in_room)
		return;
	conn->in_room = false;
	conn->shard->room.free += conn->room_held;
	conn->room_held = 0;
	room_look(conn->shard);
}

void room_leave(struct iscsi_task *task)
{
	struct iscsi_conn *conn = task->req.conn;

	room_unpark(task);
	if (!task->in_room)
		return;
	task->in_room = false;
	come_out(conn);
}

void room_unpark(struct iscsi_task *task)
{
	if (task->parked)
		task->req.conn->parked -= task->parked_len;
	free(steal(task->parked));
}

bool room_park(struct iscsi_task *task)
{
	struct iscsi_conn *conn = task->req.conn;
	uint32_t size = unsolicited_max(conn->session);

	if (size > task->scsi.expect_out)
		size = task->scsi.expect_out;
	/* Immediate commands come beside the window: nothing was put aside for them. */
	if (!task->counted || !room_enter(task))
		return false;
	task->parked = malloc(size);
	if (!task->parked)
		return false;
	conn->parked += size;
	task->parked_len = task->room = size;
	task->iov[0] = (struct iovec){task->parked, size};
	return true;
}

bool room_full(struct iscsi_conn *conn)
{
	struct iscsi_room *room = &conn->shard->room;

	return room->n_tasks >= room->max_tasks && conn_may_stall(conn);
}

void room_stall(struct iscsi_conn *conn)
{
	wait_in_line(conn);
}

void room_forget(struct iscsi_conn *conn)
{
	if (list_empty(&conn->room_node))
		return;
	list_del(&conn->room_node);
	room_look(conn->shard); /* it may have been the one that could not enter */
}

uint32_t room_window(struct iscsi_session *session, uint32_t wanted)
{
	struct iscsi_conn *conn = session->conn;
	struct iscsi_room *room = &conn->shard->room;
	uint32_t each = unsolicited_max(session), may;

	/* Its last command's answer opens the window again. */
	if (room->n_tasks >= room->max_tasks)
		return session->n_active ? 0 : 1;
	if (!each)
		return wanted;
	/* No more than it could enter with, all by itself. */
	may = room->total / each < UINT32_MAX ? (uint32_t)(room->total / each) : UINT32_MAX;
	may = may ? may : 1;
	may = may > promised(session) ? may - promised(session) : 0;
	if (wanted > may)
		wanted = may;
	if (!conn->in_room)
		return wanted;
	if (!list_empty(&room->waiting) || room->free < 0)
		return 0;
	if ((int64_t)wanted * each > room->free)
		wanted = (uint32_t)(room->free / each);
	room->free -= (int64_t)wanted * each;
	conn->room_held += (int64_t)wanted * each;
	return wanted;
}

/* ---- the line ---- */

static bool may_go_on(struct iscsi_conn *conn)
{
	struct iscsi_room *room = &conn->shard->room;

	return room->n_tasks < room->max_tasks && (conn->in_room || enter(conn));
}

/* Its turn has come: first the commands that wait, then what it has not read yet. */
static void go_on(struct iscsi_conn *conn)
{
	conn->freeing = true; /* not while it is at work here */
	conn->n_in_room++;    /* inside until all of this has been tried */
	task_start_waiting(conn);
	if (conn->stalled)
		conn_resume(conn);
	come_out(conn);
	conn->freeing = false;
}

/* Deferred: those who give something back are in the middle of other work. */
static void look(struct engine_defer *defer)
{
	struct iscsi_room *room = container_of(defer, struct iscsi_room, look);

	while (!list_empty(&room->waiting)) {
		struct iscsi_conn *conn = list_first(&room->waiting, struct iscsi_conn, room_node);

		if (!may_go_on(conn))
			return;
		list_del(&conn->room_node);
		go_on(conn);
	}
}

void room_look(struct iscsi_shard *shard)
{
	if (!list_empty(&shard->room.waiting))
		engine_defer(shard->reactor->engine, &shard->room.look);
}

void room_init(struct iscsi_room *room, uint64_t bytes, unsigned max_tasks)
{
	room->stash_max = bytes / ROOM_STASH_PART;
	room->recv_max = SIZE_MAX;
	room->free = room->total = (int64_t)(bytes - room->stash_max);
	room->max_tasks = max_tasks;
	room->look.run = look;
	list_init(&room->waiting);
	list_init(&room->look.node);
}
