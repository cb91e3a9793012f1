/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside of LUs, targets, nexuses and their pairs: for scsi/ only. */
#include "scsi/lu.h"
#include "scsi/op.h"
#include "scsi/stable.h"
#include "scsi/task.h"
#include "util/list.h"
#include <pthread.h>
#include <stdatomic.h>

/* Of a thin LU: when initiators are told that little space is left. */
struct scsi_space_mode {
	bool quiet;	/* not LBPERE: never */
	bool off;	/* not ENABLED: likewise */
	uint32_t count; /* THRESHOLD COUNT, in units of 2^SBC_THRESHOLD_EXPONENT blocks; 0: a tenth
			 */
};

/* QERR: what becomes of the other commands of a task set when one ends with CHECK CONDITION. */
enum scsi_qerr { QERR_GO_ON = 0, QERR_ABORT_ALL = 1, QERR_ABORT_OWN = 3 };

/* Mode parameters that MODE SELECT can change (scsi/spc/mode_pages.c). */
struct scsi_mode {
	bool write_cache;      /* WCE */
	bool descriptor_sense; /* D_SENSE */
	bool swp;	       /* SWP: no writing, though the store could */
	bool tas;	       /* TAS: TASK ABORTED for what another nexus has aborted */
	bool rwwp;	     /* RWWP: no writes without protection information where there is any */
	bool separate_sets;  /* TST 001b: a task set for each I_T nexus, not one for all */
	enum scsi_qerr qerr; /* QERR */
	struct scsi_space_mode space;
};

enum scsi_device_type { DEVICE_DISK = 0x00, DEVICE_CDROM = 0x05 }; /* PERIPHERAL DEVICE TYPE */

struct crypt_store;
struct pi_store;
struct scsi_job;
struct scsi_pr;

/* What tasks read of a LU: never changed once published; a change publishes a new one. */
struct scsi_lu_view {
	uint64_t n_blocks;
	uint32_t block_size, block_shift;
	uint32_t max_transfer; /* bytes */
	bool read_only;
	bool write_cache;      /* WCE */
	bool descriptor_sense; /* D_SENSE */
	bool swp;	       /* SWP: write protection beside read_only */
	bool tas;	       /* TAS */
	bool rwwp;	       /* RWWP */
	bool separate_sets;    /* TST */
	enum scsi_qerr qerr;
	struct scsi_space_mode space;
	struct scsi_mode saved_mode; /* what a LU reset brings back */
	bool thin;		     /* LBPME: UNMAP is offered */
	bool online;
	bool removable;		 /* RMB: see scsi/medium.h */
	bool write_same_to_end;	 /* WSNZ is 0 */
	uint8_t device_type;	 /* enum scsi_device_type */
	uint8_t protection;	 /* enum pi_type */
	uint8_t op_devices;	 /* enum scsi_op_devices: what it is to the rows of commands */
	uint16_t lowest_aligned; /* LOWEST ALIGNED LOGICAL BLOCK ADDRESS */
};

struct scsi_lu {
	atomic_uint refs;
	char *name;
	const struct duotgt_backend_ops *backend;
	void *store;
	struct pi_store *pi; /* the same store, when it has protection information; else NULL */
	struct crypt_store *crypt; /* the same store, when it is encrypted; else NULL */
	struct duotgt_backend_info info;
	uint8_t uuid[16];
	int numa_node;
	bool no_reservations;
	_Atomic(const struct scsi_lu_view *) view;
	atomic_bool flush_failed;  /* DESIGN 6.3: from then on flushes and writes fail */
	struct scsi_stable stable; /* flushes and writes with FUA under way */
	atomic_bool stopped; /* START STOP UNIT: INITIALIZING COMMAND REQUIRED; a LU reset starts */
	atomic_bool ejected; /* of a removable medium: MEDIUM NOT PRESENT */
	struct spc_state *spc;		    /* what primary commands keep: scsi/spc/state.h */
	_Atomic(const struct scsi_pr *) pr; /* scsi/pr/: NULL until something is reserved */
	pthread_mutex_t pr_lock;	    /* one PERSISTENT RESERVE OUT at a time; before lock */
	char *state_dir;       /* where state that outlives the process is kept; NULL: nowhere */
	struct scsi_gate gate; /* what touches the medium passes it: scsi/order.h */
	atomic_uint n_aca;     /* nexuses with an ACA condition: scsi/aca.h; under lock */
	/* of FORMAT UNIT and SANITIZE: scsi/sbc/background.h */
	atomic_uint barred;	  /* the sense code that keeps commands from the medium; 0: none */
	atomic_uint job_progress; /* of 65536 */
	atomic_bool job_exit_allowed; /* after a failure */
	uint64_t background_rate;     /* bytes that a job writes in a second, at most; 0: any */
	pthread_cond_t job_ended;
	/* space of a thin LU: scsi/sbc/provisioning.c */
	_Atomic(uint64_t) space_check_ns; /* when to look again */
	atomic_bool space_low;		  /* was told to the initiators */
	pthread_mutex_t lock;		  /* for what follows, and for publishing a view */
	struct list itls;		  /* struct scsi_itl.lu_node */
	bool pr_changing;		  /* a PERSISTENT RESERVE OUT is under way */
	unsigned n_prevents;		  /* how many of them prevent removal of the medium */
	struct scsi_job *job;		  /* in the background; NULL: none */
	uint8_t *data_buffer;		  /* of READ BUFFER; NULL until written */
};

static inline const struct scsi_lu_view *scsi_lu_view(const struct scsi_lu *lu)
{
	return atomic_load_explicit(&((struct scsi_lu *)lu)->view, memory_order_acquire);
}

/* Whether a back end has a call that was added after the first version of the interface. */
#define scsi_backend_has(ops, call)                                                                \
	((ops)->size >= offsetof(struct duotgt_backend_ops, call) + sizeof((ops)->call) &&         \
	 (ops)->call)

/*
 * A copy of the view, made under the lock: for who looks at a LU from a thread that need not have
 * a nexus with it, and so is not waited for when an old view is retired.
 */
struct scsi_lu_view scsi_lu_look(struct scsi_lu *lu);

/**
 * scsi_lu_change() - publish a changed view
 * @edit: changes a copy of the view, under lu->lock
 * The old view is freed when no reactor can be reading it any more: a view must not be kept across
 * a return to the loop. Any thread; lu->lock not held. Return: 0 or -ENOMEM, nothing changed.
 */
int scsi_lu_change(struct scsi_lu *lu, void (*edit)(struct scsi_lu_view *view, void *arg),
		   void *arg);

/* One request to a store; blocks; when no task can wait for it. Return: as duotgt_io.done. */
int scsi_store_io_now(const struct duotgt_backend_ops *backend, void *store,
		      const struct duotgt_io *io);
int scsi_lu_io_now(struct scsi_lu *lu, const struct duotgt_io *io);

/*
 * Frees @old, which tasks of this LU may still be reading in their turn of the loop, once they
 * all have returned to it. For any snapshot that hangs on the LU. lu->lock is held.
 */
void scsi_lu_retire(struct scsi_lu *lu, void *old);

/*
 * LUNs and what is behind them, never changed while a nexus knows it. Tasks use that of their
 * nexus, which scsi_nexus_map() brings up to date: it owns a reference, so that nobody has to
 * wait before an old map, and its LUs, can go.
 */
struct scsi_map {
	atomic_uint refs;
	unsigned n, room;	   /* room: how many entries fit */
	struct scsi_mapping all[]; /* sorted by lun */
};

struct scsi_target {
	atomic_uint refs;
	char *name;
	struct scsi_alua *alua;		  /* its ports and their groups: scsi/alua/alua.h */
	char *addresses[SCSI_N_SERVICES]; /* VPD page 85; NULL: none */
	_Atomic(struct scsi_map *) map;	  /* the newest; changed under the lock */
	pthread_mutex_t lock;		  /* before a LU's, when both are needed */
	struct list nexuses;		  /* struct scsi_nexus.target_node */
};

struct scsi_nexus {
	struct scsi_target *target;
	char *initiator;
	uint16_t rel_port;
	const struct scsi_port_group *group; /* of its port; NULL: it is in none */
	struct engine *engine;
	uint16_t version;	 /* version descriptor of the transport; 0: none */
	unsigned foreign;	 /* enum scsi_foreign */
	uint64_t task_seq;	 /* of the last task begun */
	struct list strays;	 /* tasks to LUNs that do not exist; struct scsi_task.node */
	struct scsi_map *map;	 /* as this nexus knows it: for its thread, scsi_nexus_map() */
	struct scsi_itl **itls;	 /* one per entry of map; NULL until used */
	struct list leaving;	 /* struct scsi_itl.leaving_node: LUNs gone, but for their tasks */
	struct list target_node; /* in target->nexuses */
};

/* Unit attentions, the bits of itl->attentions; the lowest is reported first. */
enum scsi_attention {
	UA_POWER_ON,
	UA_BUS_RESET,
	UA_LU_RESET,
	UA_NEXUS_LOSS,
	UA_COMMANDS_CLEARED,
	UA_MODE_CHANGED,
	UA_RESERVATIONS_PREEMPTED,
	UA_RESERVATIONS_RELEASED,
	UA_REGISTRATIONS_PREEMPTED,
	UA_LOG_CHANGED,
	UA_ALUA_CHANGED,
	UA_ALUA_FAILED, /* an implicit transition */
	UA_TIMESTAMP_CHANGED,
	UA_IDENT_CHANGED,
	UA_CAPACITY_CHANGED,
	UA_LUNS_CHANGED,
	UA_MEDIUM_CHANGED,
	UA_SPACE_THRESHOLD,
	UA_COUNT,
};

/* One I_T_L nexus. tasks and parts belong to the nexus' thread. */
struct scsi_itl {
	atomic_uint refs; /* the nexus, each task management part */
	struct scsi_lu *lu;
	struct scsi_nexus *nexus;
	struct list lu_node;		/* in lu->itls, under lu->lock, until the nexus goes */
	atomic_uint attentions;		/* 1 << enum scsi_attention */
	struct scsi_counters *counters; /* what it has done: scsi/counters.h */
	struct list tasks;		/* struct scsi_task.node */
	struct list parts;		/* of task management functions that wait for tasks here */
	unsigned n_ordered;		/* tasks with ORDERED */
	unsigned n_held;		/* tasks that wait for older ones: scsi/order.h */
	/* Auto contingent allegiance, scsi/aca.h: changed under lu->lock, the first by its thread
	 */
	bool aca;	    /* its own condition */
	bool resuming;	    /* resume is posted */
	unsigned n_blocked; /* tasks that wait for the end of a condition */
	struct engine_post resume;
	struct list leaving_node; /* in nexus->leaving, once the LUN is gone */
	bool leaving;
	bool prevents;	       /* PREVENT ALLOW MEDIUM REMOVAL; under lu->lock */
	uint64_t pr_serial;    /* of the struct scsi_pr that pr_right was found in; its thread */
	uint8_t pr_right;      /* enum pr_right */
	uint64_t pr_preempted; /* serial of the last one that took its registration by PREEMPT AND
				  ABORT; under lu->lock */
	atomic_uchar medium_event; /* for GET EVENT STATUS NOTIFICATION; 0: none */
	uint8_t *echo;		   /* what WRITE BUFFER left for READ BUFFER; NULL: nothing */
	uint32_t echo_len;
};

/* The target's LUNs as they are now. Valid until the nexus' next command. Its thread only. */
const struct scsi_map *scsi_nexus_map(struct scsi_nexus *nexus);

/* Index of a LUN, in its eight bytes, in map->all, or -1. */
int scsi_map_find(const struct scsi_map *map, uint64_t lun);

/* Index of the first entry that is not below @lun, a number. */
unsigned scsi_map_search(const struct scsi_map *map, uint32_t lun);
void scsi_map_unref(struct scsi_map *map); /* NULL is fine */

/* For the nexuses of a target on this thread: its newest map; the end of what LUNs gone hold up. */
void scsi_nexuses_follow(struct scsi_target *target, struct engine *engine);
void scsi_nexuses_abort_leaving(struct scsi_target *target, struct engine *engine);

/*
 * The pair for an entry of scsi_nexus_map(), by its index, made at first use; NULL when memory is
 * short.
 */
struct scsi_itl *scsi_nexus_itl(struct scsi_nexus *nexus, unsigned mapping);

/* A task has left itl->tasks: with the last one a pair whose LUN is gone goes, too. */
void scsi_itl_task_ended(struct scsi_itl *itl);
struct scsi_itl *scsi_itl_ref(struct scsi_itl *itl);

/* Clears the attention that comes first. Return: its sense code; SENSE_NONE when there is none. */
enum scsi_sense_code scsi_itl_take_attention(struct scsi_itl *itl);
/* The same, but it stays. @ret_n: how many are pending. */
enum scsi_sense_code scsi_itl_peek_attention(const struct scsi_itl *itl, unsigned *ret_n);
void scsi_itl_unref(struct scsi_itl *itl);

/* The initiator has been told of the list of LUNs: no LU tells it again. Its thread. */
void scsi_nexus_luns_seen(struct scsi_nexus *nexus);

/* Sets an attention for all nexuses of the LU; @except (may be NULL) is spared. Any thread. */
void scsi_lu_attention(struct scsi_lu *lu, enum scsi_attention attention,
		       const struct scsi_nexus *except);

/* A task has left itl->tasks: parts that waited for it go on. */
void scsi_tmf_task_ended(struct scsi_itl *itl, const struct scsi_task *task);

/*
 * Sends task->io (kind, offset, len, flags, iov set) to the store and, when it is done, either
 * answers the error with the sense that fits or goes on with @next (NULL: GOOD). The outcome of
 * @next may be SCSI_DONE or SCSI_PENDING. A task that was aborted meanwhile goes no further.
 * Return: SCSI_PENDING; SCSI_DONE with MEDIUM ERROR for what a LU after a failed flush refuses.
 */
enum scsi_step scsi_task_io(struct scsi_task *task, enum scsi_step (*next)(struct scsi_task *task));

/*
 * The task waits for something else, of which scsi_task_go_on() tells, on its own thread and from
 * the loop; then it goes on as it would after scsi_task_io(). Return: SCSI_PENDING.
 */
enum scsi_step scsi_task_wait(struct scsi_task *task, enum scsi_step (*next)(struct scsi_task *));
void scsi_task_go_on(struct scsi_task *task);

/*
 * Runs @fn, which may block, on a helper thread, then @next on the task's own with its result in
 * task->work_res. Return: SCSI_PENDING.
 */
enum scsi_step scsi_task_work(struct scsi_task *task, int (*fn)(struct scsi_task *task),
			      enum scsi_step (*next)(struct scsi_task *task));

/*
 * Makes task->io of @len bytes of the task's buffer from byte @from on, or of as many as there are;
 * for scsi_task_io(), which gives them back.
 */
void scsi_task_borrow(struct scsi_task *task, uint64_t from, uint64_t len);

/* The same for the range of the task (lba, n_blocks, iov): reads and writes of blocks. */
enum scsi_step scsi_task_read(struct scsi_task *task, enum scsi_step (*next)(struct scsi_task *));
enum scsi_step scsi_task_write(struct scsi_task *task, bool fua);

/* As scsi_task_write(), of the data that begins at byte @from of the buffer; then @next. */
enum scsi_step scsi_task_write_from(struct scsi_task *task, uint64_t from, bool fua,
				    enum scsi_step (*next)(struct scsi_task *));

/* io.flags of a write to the task's LU: whether it has to be stable before GOOD. */
uint32_t scsi_task_write_flags(const struct scsi_task *task, bool fua);
