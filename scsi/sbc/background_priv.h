/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A job, for background.c, that runs it, and wipe_pass.c, that says what comes next. */
#include "scsi/lu_priv.h"
#include "scsi/sbc/background.h"

#define SBC_WIPE_PIECE (1u << 20) /* bytes written at once */

enum wipe_phase {
	PHASE_SETTLE, /* WIPE_REKEY: a flush, so that nothing of the old key comes later */
	PHASE_REKEY,
	PHASE_LOOK, /* WIPE_ERASE: does the piece take space at all? */
	PHASE_WRITE,
	PHASE_DISCARD,
	PHASE_FLUSH,  /* at the end of a pass */
	PHASE_FORGET, /* the note that it was begun */
};

struct scsi_job {
	struct scsi_lu *lu; /* a reference */
	struct engine *engine;
	struct scsi_task *task;	     /* waits for the end; NULL: none, or no longer */
	enum scsi_sense_code failed; /* what commands are told once it has */
	enum scsi_sense_code told;   /* what its own is told then */
	enum scsi_sense_code before; /* what commands were told when it began */
	enum sbc_wipe_how how;
	bool invert, sticks, exit_allowed;
	const struct scsi_nexus *asker; /* is only compared with others: it may be gone */
	bool protects;			/* as in struct sbc_wipe */
	uint8_t protection;
	unsigned pass, n_passes;
	atomic_bool cancelled;

	enum wipe_phase phase;
	uint64_t at, len, size; /* bytes: the piece under way, and all of the medium */
	uint8_t *piece;		/* SBC_WIPE_PIECE bytes of what is written; NULL when nothing is */
	bool stored;		/* PHASE_LOOK: what it found */
	unsigned n_tries;
	bool ended; /* with res; the next step is the last */
	int res;
	struct duotgt_io io;
	struct scsi_stable_op stable; /* of io, when it is a flush or has FUA */
	struct iovec iov;
	struct engine_op work; /* PHASE_REKEY, PHASE_LOOK, PHASE_FORGET */
	struct engine_post step;
	struct engine_timer later; /* the next step: what is tried again, or goes slower */
	uint64_t due_ns;	   /* of the next write, by the LU's background_rate */
};

/* Whether nothing is written: space is given back. */
bool wipe_gives_back(const struct scsi_job *job);

/* The first phase of the piece at job->at; of the pass' end, when that is where the medium ends. */
void wipe_start_piece(struct scsi_job *job);

/*
 * What was asked for last is done: on to the next phase, or piece, or pass. Return: whether that
 * was all.
 */
bool wipe_advance(struct scsi_job *job);
