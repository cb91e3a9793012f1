/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside of reservations: the snapshot, and what its files do to it. */
#include "scsi/lu_priv.h"
#include "scsi/pr/pr.h"
#include "scsi/tmf.h"
#include "util/bytes.h"
#include <stdbool.h>
#include <stdint.h>

enum {
	PR_MAX = 512,		/* registrations of a LU */
	PR_INITIATOR_MAX = 248, /* with its NUL: 223 of an iSCSI name, ",i,0x", 12 of the ISID */
	PR_TARGET_MAX = 224,
	PR_TRANSPORT_ID_MAX = 4 + PR_INITIATOR_MAX,
};

/* SPC-5 r22, persistent reservation type codes */
enum pr_type {
	PR_NONE = 0, /* nothing is reserved */
	PR_WRITE_EXCLUSIVE = 1,
	PR_EXCLUSIVE_ACCESS = 3,
	PR_WRITE_EXCLUSIVE_REGISTRANTS = 5,
	PR_EXCLUSIVE_ACCESS_REGISTRANTS = 6,
	PR_WRITE_EXCLUSIVE_ALL = 7,
	PR_EXCLUSIVE_ACCESS_ALL = 8,
	PR_TYPES, /* past the last one */
};

enum pr_right { PR_STRANGER, PR_REGISTERED, PR_HOLDER };

/* An I_T nexus as registrations know it: it need not be logged in. */
struct pr_name {
	const char *initiator; /* initiator port */
	const char *target;    /* the target and ... */
	uint16_t rel_port;     /* ... which port of it */
};

struct pr_registrant {
	uint64_t key; /* not 0 */
	uint16_t rel_port;
	char initiator[PR_INITIATOR_MAX];
	char target[PR_TARGET_MAX];
};

struct scsi_pr {
	uint64_t serial; /* no two snapshots of a LU have the same; not 0 */
	uint32_t generation;
	bool aptpl;
	uint8_t type;	 /* enum pr_type */
	unsigned holder; /* in all; with the all registrants types, all hold it */
	/* By RESERVE; the one field that changes, under lu->lock. Then nothing is registered. */
	_Atomic(const struct scsi_nexus *) reserved;
	unsigned n;
	struct pr_registrant all[]; /* in the order of their registration */
};

static inline struct scsi_pr *scsi_pr_of(const struct scsi_lu *lu)
{
	return (struct scsi_pr *)atomic_load_explicit(&((struct scsi_lu *)lu)->pr,
						      memory_order_acquire);
}

struct pr_name pr_name_of(const struct scsi_nexus *nexus);
bool pr_type_is_valid(unsigned type);
bool pr_type_is_all_registrants(unsigned type);
bool pr_type_is_shared(unsigned type); /* registrants only, or all registrants */
bool pr_type_is_exclusive_access(unsigned type);

/* Index of a registration, or -1. @pr may be NULL. */
int pr_find(const struct scsi_pr *pr, const struct pr_name *name);
bool pr_holds(const struct scsi_pr *pr, int i);
enum pr_right pr_right_of(const struct scsi_pr *pr, const struct scsi_nexus *nexus);

/* ---- copies that are being changed ---- */

/* A copy of @pr (NULL: of nothing) with the next serial, or NULL. */
struct scsi_pr *pr_copy(const struct scsi_pr *pr);

/* Return: 0; -ENOSPC past PR_MAX or for names that are too long; -ENOMEM. */
int pr_add(struct scsi_pr **pr, const struct pr_name *name, uint64_t key);

/* Ends a registration; a reservation that only it holds ends as well. */
void pr_unregister(struct scsi_pr *pr, unsigned i);

/* Takes a registration away; what it holds is the caller's to see to. */
void pr_remove(struct scsi_pr *pr, unsigned i);

/* ---- TransportIDs of iSCSI (SPC-5 r22, TransportID; RFC 7143 4.2.7) ---- */

struct pr_transport_id {
	char name[PR_INITIATOR_MAX]; /* of an initiator port; of a device: all its ports */
	bool is_device;
};

/*
 * Takes one off @in. Return: -1; or the offset, from its first byte, of the field that cannot be.
 */
int pr_transport_id_read(struct bytes_in *in, struct pr_transport_id *ret_id);
void pr_transport_id_write(struct bytes_out *out, const char *initiator);

/* ---- the state file ---- */

/* What @pr is to persist; blocks. Return: 0 or -errno. */
int pr_file_write(const struct scsi_lu *lu, const struct scsi_pr *pr);

/* ---- PERSISTENT RESERVE OUT ---- */

enum pr_action {
	PR_REGISTER,
	PR_RESERVE,
	PR_RELEASE,
	PR_CLEAR,
	PR_PREEMPT,
	PR_PREEMPT_AND_ABORT,
	PR_REGISTER_AND_IGNORE,
	PR_REGISTER_AND_MOVE,
	PR_ACTIONS, /* how many */
};

enum {
	PR_LIST_LEN = 24,    /* of the basic parameter list, and of the head of the other two */
	PR_SPEC_I_PT = 0x08, /* byte 20 */
	PR_ALL_TG_PT = 0x04,
	PR_APTPL = 0x01,
	PR_MOVE_UNREG = 0x02, /* byte 17 of REGISTER AND MOVE */
	PR_MOVE_APTPL = 0x01,
};

/* One under way: task->own. */
struct pr_out {
	struct scsi_task *task;
	struct pr_name asker;
	uint64_t key, sa_key;
	const struct scsi_pr *old; /* NULL: there is none yet */
	struct scsi_pr *pr;	   /* the copy that becomes the next one */
	int self;		   /* the asker's registration in it, or -1 */
	uint64_t preempt_serial;   /* of PREEMPT AND ABORT; 0: nobody was preempted */
	struct scsi_tmf tmf;
	size_t list_len;
	uint8_t list[];
};

/*
 * Does the service action to out->pr: SCSI_READY when that is to be published; SCSI_DONE with the
 * answer when nothing changes.
 */
enum scsi_step pr_act(struct pr_out *out);

/* The parts of pr_act() that register: REGISTER, and IGNORE EXISTING KEY, and MOVE. */
enum scsi_step pr_act_register(struct pr_out *out);
enum scsi_step pr_act_move(struct pr_out *out);

/* ---- the functions of the rows ---- */

enum scsi_step pr_plan_out(struct scsi_task *task);
enum scsi_step pr_out(struct scsi_task *task);
enum scsi_step pr_in_read_keys(struct scsi_task *task);
enum scsi_step pr_in_read_reservation(struct scsi_task *task);
enum scsi_step pr_in_report_capabilities(struct scsi_task *task);
enum scsi_step pr_in_read_full_status(struct scsi_task *task);
enum scsi_step pr_reserve(struct scsi_task *task);
enum scsi_step pr_release(struct scsi_task *task);
