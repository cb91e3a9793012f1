/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Connections, sessions and what runs on them, for the files of iscsi/ that share them.
 *
 * All of a connection belongs to its reactor's thread: no locks. What other threads want of it
 * reaches it as a post to its engine (see registry.c and server.c).
 */
#include "iscsi/login.h"
#include "iscsi/rx.h"
#include "iscsi/server.h"
#include "scsi/task.h"
#include "scsi/tmf.h"
#include <errno.h>

#define ISCSI_ANSWERS_MAX 512  /* queued by one connection that does not read them */
#define ISCSI_TASK_BUFS 64     /* large buffers of one task at most */
#define ISCSI_TASK_R2TS 16     /* outstanding R2Ts of one task at most */
#define ISCSI_IMMEDIATE_MAX 64 /* immediate requests under way on one connection */
#define ISCSI_GHOSTS 32	       /* tags of tasks that are gone but may still be sent data */
#define ISCSI_ITT_BUCKETS 64

struct iscsi_conn;
struct iscsi_session;
struct iscsi_shard;

/* ---- what is sent ---- */

/* One PDU, or the Data-In PDUs of one task, on its way out. Numbers are filled in when it goes. */
struct iscsi_out {
	struct list node; /* conn->out, then conn->sent */
	struct iscsi_bhs bhs;
	struct iscsi_task *task; /* ends when this has been sent; NULL: none */
	bool data_in;		 /* the task's Data-In, made PDU by PDU */
	bool takes_statsn;	 /* StatSN is advanced after it */
	bool last;		 /* the connection closes when it has been sent */
	bool embedded;		 /* in a task: not to be freed */
	const uint8_t *data;	 /* small, heap or in buf */
	uint32_t data_len;
	struct buf *buf; /* given back when sent */
	void *heap;	 /* freed when sent */
	uint8_t small[2 + SCSI_SENSE_MAX];
};

#define TX_IOV 256
#define TX_PDUS 64
#define TX_BYTES (4u << 20) /* of one send: a share of the loop's time, and of digests */

/* The frame of one gathered send. */
struct tx_batch {
	struct list node; /* shard->batches when unused */
	struct iovec iov[TX_IOV];
	int n_iov, first; /* first: what is not yet sent whole */
	unsigned n_pdus;
	uint32_t bytes;
	struct {
		uint8_t header[ISCSI_BHS_LEN + 4]; /* and its digest */
		uint8_t tail[8];		   /* padding and data digest */
	} pdus[TX_PDUS];
};

/* ---- requests ---- */

/* A request from its header until it is answered. */
struct iscsi_request {
	struct list node; /* session->held */
	struct iscsi_conn *conn;
	/* In the order of CmdSN; owns the request from here on. */
	void (*deliver)(struct iscsi_request *req);
	/* Not wanted after all: outside of the window, or the connection is going. */
	void (*discard)(struct iscsi_request *req);
	struct iscsi_bhs bhs;
	bool held;
	struct buf *data; /* of a ping, a text, a login */
	uint32_t data_len;
	struct iovec data_iov;
};

struct iscsi_r2t {
	uint32_t ttt, offset, len, got, datasn;
};

/* Memory for what initiators send, shared by the connections of a reactor: room.c */
struct iscsi_room {
	int64_t free, total;	   /* bytes that can be put aside for parking */
	size_t stashed, stash_max; /* bytes of all stashes, and when they are many: stash.c */
	size_t recv_max; /* how much is received unasked for at a time: no more adds to them */
	unsigned n_tasks, max_tasks;
	struct list waiting; /* struct iscsi_conn.room_node: the line */
	struct engine_defer look;
};

enum task_state {
	TASK_RECEIVING,	 /* its command PDU is coming in, or waits for its turn by CmdSN */
	TASK_WAITING,	 /* for the room, or for buffers */
	TASK_COLLECTING, /* Data-Out is to come */
	TASK_RUNNING,	 /* in the device server */
	TASK_DRAINING,	 /* its answer stands, the initiator is not yet done sending */
	TASK_SENDING,	 /* its answer is queued */
	TASK_GHOST,	 /* aborted; its buffers are still being received into */
};

struct iscsi_task {
	struct iscsi_request req;
	struct scsi_task scsi;
	struct list node; /* conn->tasks; shard->tasks when unused */
	struct list hash; /* session->itts[] */
	struct pool_waiter waiter;
	enum task_state state;
	bool begun;	 /* scsi_task_end() is owed */
	bool silent;	 /* aborted: no answer */
	bool counted;	 /* takes a place in the command window */
	bool delivered;	 /* its turn by CmdSN has come */
	bool stop_r2t;	 /* task management waits for its data to end */
	bool in_room;	 /* room_leave() is owed */
	bool wants_room; /* waits to enter */
	uint8_t *parked; /* its unasked-for data, while it waits for buffers */
	uint32_t parked_len;
	struct iscsi_out out;	  /* up to out.small all is cleared for each task */
	struct pool_cache *cache; /* where bufs are from */
	struct buf *bufs[ISCSI_TASK_BUFS];
	struct iovec iov[ISCSI_TASK_BUFS];
	int n_bufs;
	uint32_t room; /* bytes of bufs that are for this task */
	/* data-out */
	uint32_t want;	    /* bytes to collect */
	uint32_t out_next;  /* BufferOffset that must come next */
	uint32_t solicited; /* BufferOffset that the next R2T asks for */
	uint32_t unsol_limit, unsol_datasn;
	bool unsol_open; /* unsolicited data is to come */
	uint32_t r2tsn;
	unsigned n_r2ts;
	struct iscsi_r2t r2ts[ISCSI_TASK_R2TS]; /* oldest first */
	/* data-in */
	uint32_t in_len, in_off, in_datasn, in_burst;
};

static inline uint32_t task_itt(const struct iscsi_task *task)
{
	return bhs_itt(&task->req.bhs);
}

/* Where its data-out goes: entries of task->iov. */
static inline int task_n_iov(const struct iscsi_task *task)
{
	return task->parked ? 1 : task->n_bufs;
}

/* A task management request; iscsi/tmf.c */
struct iscsi_tmf {
	struct iscsi_request req;
	struct scsi_tmf scsi;
	struct list node; /* conn->tmfs */
	bool started;
};

/* ---- sessions ---- */

/* Plain data but for its links. One connection per session so far. */
struct iscsi_session {
	char initiator[ISCSI_NAME_MAX + 1];
	uint8_t isid[6];
	uint16_t tsih, cid, tpgt;
	bool discovery;
	struct scsi_target *target; /* NULL in discovery */
	struct scsi_nexus *nexus;
	struct iscsi_params params;
	uint32_t exp_cmdsn;
	uint32_t max_cmdsn; /* as last promised: it never goes back */
	unsigned n_active;  /* numbered commands under way */
	struct list held;   /* struct iscsi_request.node, in order of CmdSN, behind a gap */
	unsigned n_held;
	struct list itts[ISCSI_ITT_BUCKETS];
	struct iscsi_conn *conn;

	/* the registry's, under its lock */
	struct list reg_node;
	bool registered, waiting, drop_posted, grant_posted;
	struct engine_post drop_post, grant_post;
};

/* ---- connections ---- */

enum conn_phase { CONN_LOGIN, CONN_ATTACHING, CONN_FULL_FEATURE, CONN_LOGGED_OUT, CONN_CLOSING };

struct iscsi_conn {
	struct list node; /* shard->conns */
	struct iscsi_shard *shard;
	struct iscsi_server *server;
	unsigned portal;
	enum conn_phase phase;
	struct engine_sock sock;
	struct engine_op rx_op, tx_op;
	bool rx_busy, tx_busy, freeing;
	struct engine_timer timer; /* login, then silence, then NOP answer, then logout */
	struct engine_defer flush;
	uint64_t heard_ns;  /* when something was last received */
	uint64_t silent_ns; /* heard_ns when the timer was set */
	bool nop_sent;
	uint32_t nop_ttt;

	struct iscsi_rx rx;
	struct iovec rx_iov[ISCSI_TASK_BUFS + 1]; /* of rx_op: data, then rx_ahead */
	uint8_t rx_ahead[ISCSI_RX_AHEAD_MAX];
	struct iscsi_request *rx_req; /* the request whose PDU is coming in */
	struct iscsi_task *rx_task;   /* the task whose data is coming in */
	uint32_t rx_len, rx_off;      /* what of a Data-Out lies where */
	bool stalled;		      /* no buffer for what comes next */
	struct pool_waiter waiter;
	struct pool_cache *waits_for;
	struct list room_node; /* in the line of shard->room */
	bool in_room;
	unsigned n_in_room; /* tasks */
	int64_t room_held;  /* bytes put aside */
	uint64_t parked;    /* of them in use */
	uint8_t *stash;	    /* input that is held up; stash.c */
	size_t stash_len, stash_off;

	uint32_t statsn; /* of the next answer */
	struct list out, sent;
	unsigned n_outs; /* of both, but for what is in a task's own memory */
	bool choked;	 /* so many that nothing more is taken in until they have left */
	struct tx_batch *batch;

	struct iscsi_login_host login_host;
	struct iscsi_login *login;
	struct iscsi_bhs login_bhs; /* of the final answer, while the session is attached */
	uint8_t *login_data;
	uint32_t login_data_len;

	struct iscsi_session *session;
	struct list tasks; /* struct iscsi_task.node */
	struct list tmfs;
	unsigned n_immediate;
	uint32_t next_ttt;
	uint32_t ghosts[ISCSI_GHOSTS];
	unsigned n_ghosts;

	/* a text exchange; text_phase.c */
	uint8_t *text_in;
	size_t text_in_len;
	uint8_t *text_out;
	size_t text_out_len;
	unsigned targets_next, targets_end; /* whose records are still to be added to it */
	uint32_t text_itt, text_ttt;
};

/* What a server has on one reactor. */
struct iscsi_shard {
	struct iscsi_server *server;
	struct reactor *reactor;
	struct list conns;
	struct list tasks, outs, batches; /* unused ones, kept for the next */
	unsigned n_tasks, n_outs, n_batches;
	struct iscsi_room room;
	struct engine_post stop_post;
	struct engine_timer stop_timer;
	bool stopping, stopped;
};

/* conn.c */
void conn_new(struct iscsi_shard *shard, int fd, unsigned portal);
void conn_drop(struct iscsi_conn *conn, const char *why); /* why: for the log; NULL: quietly */
void conn_try_free(struct iscsi_conn *conn);
void conn_stall(struct iscsi_conn *conn, struct pool_cache *cache); /* until it grants buffers */
void conn_resume(struct iscsi_conn *conn);			    /* tries again after a stall */
void conn_enter_full_feature(struct iscsi_conn *conn);
const char *conn_peer(const struct iscsi_conn *conn, char *buf, size_t len);
static inline struct engine *conn_engine(const struct iscsi_conn *conn)
{
	return conn->shard->reactor->engine;
}

/* What the header of a PDU leads to. */
enum pdu_verdict {
	PDU_TAKE,  /* destination set: go on */
	PDU_STALL, /* no buffers: ask again when some are granted */
	PDU_DROP,  /* the connection has been dropped */
};

/* login_phase.c */
enum pdu_verdict login_pdu_header(struct iscsi_conn *conn);
void login_pdu_end(struct iscsi_conn *conn);
void login_granted(struct iscsi_conn *conn); /* the session may begin */
void login_phase_free(struct iscsi_conn *conn);

/* full_feature.c */
enum pdu_verdict full_feature_header(struct iscsi_conn *conn);
void full_feature_end(struct iscsi_conn *conn, bool damaged);
/* A request object with a buffer for the PDU's data, in *ret_req. */
enum pdu_verdict request_take(struct iscsi_conn *conn, void (*deliver)(struct iscsi_request *),
			      struct iscsi_request **ret_req);
void request_free(struct iscsi_request *req);
/*
 * Whether reading may stop until memory comes back: not while requests of this very connection
 * hold some and wait for what lies behind, since that could be for ever.
 */
static inline bool conn_may_stall(const struct iscsi_conn *conn)
{
	return !conn->n_in_room && !(conn->session && conn->session->n_held);
}

/* command.c */
enum pdu_verdict command_header(struct iscsi_conn *conn);
void task_unlink_rx(struct iscsi_conn *conn); /* the PDU that brought data for a task has ended */
struct iscsi_task *task_find(struct iscsi_session *session, uint32_t itt);
void task_run(struct iscsi_task *task);
void task_start_waiting(struct iscsi_conn *conn); /* those that want room: it is there */
bool task_unpark(struct iscsi_task *task);	  /* false: it waits for buffers */

void task_scsi_end(struct iscsi_task *task); /* it has left the task set */
/* Its answer is on its way, and tells of a window that it takes no place in any more. */
void task_uncount(struct iscsi_task *task);
void task_answer_when_quiet(struct iscsi_task *task);
void task_fail(struct iscsi_task *task, enum scsi_sense_code code);
void task_free(struct iscsi_task *task);
void task_conn_lost(struct iscsi_task *task);
bool task_quiet(const struct iscsi_task *task); /* no data of it is to come */
bool task_has_left(const struct iscsi_conn *conn, uint32_t itt);
void task_remember_ghost(struct iscsi_conn *conn, uint32_t itt);

/* What is moved: what the command wants, as far as the initiator expects it. */
static inline uint32_t at_most(uint64_t need, uint32_t expect)
{
	return need < expect ? (uint32_t)need : expect;
}

/* response.c */
void task_answer(struct iscsi_task *task);

/* data_out.c */
void task_collect(struct iscsi_task *task);
enum pdu_verdict data_out_header(struct iscsi_conn *conn);
void data_out_end(struct iscsi_conn *conn, bool damaged);

/* room.c */
void room_init(struct iscsi_room *room, uint64_t bytes, unsigned max_tasks);
/* Before a task takes buffers and waits for data. Return: false when it must wait in line. */
bool room_enter(struct iscsi_task *task);
void room_leave(struct iscsi_task *task); /* no effect on one outside */
/* Memory beside the pool for what comes unasked for, in task->iov[0]. Return: whether there is. */
bool room_park(struct iscsi_task *task);
void room_unpark(struct iscsi_task *task); /* frees it */
bool room_full(struct iscsi_conn *conn);   /* no new command now: stall */
void room_stall(struct iscsi_conn *conn);  /* conn_resume() follows */
void room_forget(struct iscsi_conn *conn); /* it is closing */
void room_look(struct iscsi_shard *shard); /* something was given back */
/* How many of @wanted more commands the window may promise. */
uint32_t room_window(struct iscsi_session *session, uint32_t wanted);

/* stash.c */
/* Keeps a copy of input that is held up; there is none so far. */
void stash_keep(struct iscsi_conn *conn, const uint8_t *p, size_t len);
void stash_used(struct iscsi_conn *conn, size_t len); /* its first @len bytes */
void stash_drop(struct iscsi_conn *conn);
void stash_limit(struct iscsi_shard *shard); /* tells the engine: once before the first receive */

/* tmf.c */
enum pdu_verdict tmf_header(struct iscsi_conn *conn);
void tmf_data_ended(struct iscsi_conn *conn); /* a task has become quiet */
void tmf_conn_lost(struct iscsi_conn *conn);

/* text_phase.c */
enum pdu_verdict text_header(struct iscsi_conn *conn);
void text_free(struct iscsi_conn *conn);

/* tx.c */
struct iscsi_out *out_new(struct iscsi_conn *conn, enum iscsi_opcode opcode);
void out_push(struct iscsi_conn *conn, struct iscsi_out *out);
void out_reject(struct iscsi_conn *conn, enum iscsi_reject_reason reason);
void out_free(struct iscsi_conn *conn, struct iscsi_out *out);
void out_drop_all(struct iscsi_conn *conn);
void out_async(struct iscsi_conn *conn, uint8_t event, uint16_t p1, uint16_t p2, uint16_t p3);
/*
 * A NOP-In that no request asked for: it wants an answer with this TTT; or none, and is sent for
 * its ExpCmdSN and MaxCmdSN alone (ISCSI_RESERVED_TAG). RFC 7143 11.19. Return: false: no memory,
 * the connection has been dropped.
 */
bool out_nop_in(struct iscsi_conn *conn, uint32_t ttt);
void tx_flush(struct engine_defer *defer);

/* session.c */
struct iscsi_session *session_new(const struct iscsi_login_result *result, uint32_t cmdsn,
				  struct iscsi_conn *conn);
void session_free(struct iscsi_session *session);
/* Where a CmdSN stands: 0 it is the next one, >0 in the window behind a gap, <0 outside. */
int session_judge(const struct iscsi_session *session, uint32_t cmdsn);
/* A numbered request is complete: delivers it and what it sets free, or holds or discards it. */
void session_receive(struct iscsi_session *session, struct iscsi_request *req);
/* @cmdsn will not come: its place counts as used. */
void session_skip(struct iscsi_session *session, uint32_t cmdsn);
void session_discard_held(struct iscsi_session *session);
uint32_t session_max_cmdsn(struct iscsi_session *session, unsigned queue_depth);
/* Whether it waits for a wider window, with no command under way whose answer would tell. */
bool session_is_shut_out(const struct iscsi_session *session);

/* registry.c */
struct iscsi_registry;
int registry_new(struct iscsi_registry **ret_registry);
void registry_free(struct iscsi_registry *registry);
/*
 * Enters a session. One of the same initiator port and TPG is told to go first.
 * Return: LOGIN_SUCCESS, the session may begin now; or LOGIN_TARGET_MOVED… never; when it must
 * wait, *ret_wait is true and login_granted() follows on its thread; else a status to refuse with.
 */
enum iscsi_login_status registry_enter(struct iscsi_registry *registry,
				       struct iscsi_session *session, bool *ret_wait);
/* Return: false when a post for it is still under way: it must stay, conn_try_free() follows. */
bool registry_leave(struct iscsi_registry *registry, struct iscsi_session *session);
/* Drops all sessions of a target (TARGET COLD RESET). Any thread. */
void registry_drop_target(struct iscsi_registry *registry, const struct scsi_target *target);

/* server.c */
struct iscsi_registry *server_registry(const struct iscsi_server *server);
const struct iscsi_server_config *server_config(const struct iscsi_server *server);
enum iscsi_login_status server_find_target(const struct iscsi_login_host *host,
					   const char *initiator, const char *target,
					   struct iscsi_login_target *ret_target);
struct scsi_target *server_target(const struct iscsi_server *server, const char *name);
unsigned server_n_targets(const struct iscsi_server *server);
const char *server_target_name(const struct iscsi_server *server, unsigned target);
/* Its place among them, or -1. */
int server_target_index(const struct iscsi_server *server, const char *name);
/* The @i-th way to reach a target; @ret_address is NULL for a wildcard portal. False: no more. */
bool server_link(const struct iscsi_server *server, unsigned target, unsigned i, uint16_t *ret_tag,
		 const struct engine_sock **ret_listener, const char **ret_address);
void server_conn_gone(struct iscsi_shard *shard);

/* discovery.c */
/*
 * What SendTargets=@name asks for: the targets from *ret_first to before *ret_end. Return: false
 * when this session may not ask it.
 */
bool targets_select(const struct iscsi_conn *conn, const char *name, size_t len,
		    unsigned *ret_first, unsigned *ret_end);
/* Appends the record of one to a heap text: its name, its addresses. Return: 0 or -ENOMEM. */
int targets_record(const struct iscsi_conn *conn, unsigned target, uint8_t **text, size_t *len);
