/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Work on the whole medium that may go on after its command has been answered: FORMAT UNIT and
 * SANITIZE. A LU does one at a time; meanwhile commands that need the medium are told how far it
 * is, and so is REQUEST SENSE.
 *
 * A job goes piece by piece on the engine of the nexus that started it, and uses nothing else of
 * that nexus, which may go. It holds a reference to its LU.
 */
#include "scsi/sbc/sbc.h"

enum sbc_wipe_how {
	WIPE_WRITE,   /* the pattern into each block; the next pass begins when it is stored */
	WIPE_DISCARD, /* gives all space back, so that all reads as zeroes; of thin LUs */
	WIPE_ERASE,   /* writes zeroes over what takes space, then gives it back; of thin LUs */
	WIPE_REKEY,   /* a new key, then gives all space back if the LU is thin; of encrypted LUs */
};

struct sbc_wipe {
	enum sbc_wipe_how how;
	unsigned n_passes;	     /* of WIPE_WRITE; else 1 */
	bool invert;		     /* the pattern, on every second pass */
	const uint8_t *pattern;	     /* repeated in each block from its start; lent for the call */
	uint32_t pattern_len;	     /* bytes, 1 to a block; 0 where nothing is written */
	enum scsi_sense_code doing;  /* what commands are told meanwhile; NOT READY */
	enum scsi_sense_code failed; /* and once it has failed, until another one is begun */
	bool sticks;		     /* goes on when its command is aborted; else it fails then */
	bool exit_allowed;	     /* sbc_background_forgive() may end its failure */
	bool protects;	    /* changes the protection type of the LU, once all is done, to */
	uint8_t protection; /* enum pi_type */
};

/**
 * sbc_background_start() - begin, for a command that no other command of the LU runs beside
 * @immed: answer now; else when it has ended, with GOOD, or with @told
 * @told:  the sense of its failure, for its own command
 * Return: SCSI_DONE, also with the answer why it could not begin (BUSY, or the LU has a job);
 * SCSI_PENDING.
 */
enum scsi_step sbc_background_start(struct scsi_task *task, const struct sbc_wipe *wipe, bool immed,
				    enum scsi_sense_code told);

/*
 * SCSI_READY, or SCSI_DONE with what the LU's job, or its failure, says to a command that needs
 * the medium. A command that may end a failure passes one. The CDB need not have been checked yet.
 */
enum scsi_step sbc_background_bars(struct scsi_task *task);

/* What REQUEST SENSE is to tell of it. Return: whether there is anything. */
bool sbc_background_sense(const struct scsi_lu *lu, struct scsi_sense *ret_sense);

/* Whether SANITIZE (EXIT FAILURE MODE) may end what is wrong with the LU; and its end. */
bool sbc_background_may_forgive(const struct scsi_lu *lu);
void sbc_background_forgive(struct scsi_lu *lu);

/* ---- wipe_note.c: what outlives the process; lu->state_dir is set, and the calls block ---- */

/* From before the first block is touched. Return: 0 or -errno. */
int sbc_wipe_note(const struct scsi_lu *lu, enum scsi_sense_code failed, bool exit_allowed);

/* All of it has worked, or does not matter any more. Return: 0 or -errno. */
int sbc_wipe_forget(const struct scsi_lu *lu);

/* For opening a LU, whatever its state_dir: bars it when there is a note. */
void sbc_wipe_recall(struct scsi_lu *lu);
