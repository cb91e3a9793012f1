/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a LU has done since it was opened, for its log pages. Each I_T_L nexus counts for itself,
 * on its own thread and its own cache lines; they are added up when somebody asks.
 */
#include <stdatomic.h>
#include <stdint.h>

struct scsi_itl;
struct scsi_lu;
struct scsi_task;

enum scsi_count {
	COUNT_READS, /* commands that return what is on the medium */
	COUNT_READ_BLOCKS,
	COUNT_READ_NS, /* spent on them, from the command to the end of its answer */
	COUNT_READ_ERRORS,
	COUNT_WRITES, /* commands that change the medium */
	COUNT_WRITE_BLOCKS,
	COUNT_WRITE_NS,
	COUNT_WRITE_ERRORS,
	COUNT_VERIFIES, /* commands that read the medium and return nothing */
	COUNT_VERIFY_BLOCKS,
	COUNT_VERIFY_NS,
	COUNT_VERIFY_ERRORS,
	COUNT_BUSY_NS, /* while there was any command */
	N_COUNTS,
};

struct scsi_counters {
	_Alignas(64) _Atomic(uint64_t) n[N_COUNTS];
	_Atomic(uint64_t) busy_since; /* of the engine's clock, in ns; 0: idle */
};

/* The sums, and how long it is since the LU was first reached. */
struct scsi_totals {
	uint64_t n[N_COUNTS];
	uint64_t age_ns;
};

struct scsi_counters *scsi_counters_new(void); /* NULL: no memory */
void scsi_counters_free(struct scsi_counters *counters);

/* A nexus comes. lu->lock is held. */
void scsi_count_enter(struct scsi_itl *itl);

/* A task has entered itl->tasks, or has left it; its thread. */
void scsi_count_begin(struct scsi_task *task);
void scsi_count_end(struct scsi_task *task);

/* The nexus goes: what it has done stays with the LU. lu->lock is held. */
void scsi_count_leave(struct scsi_itl *itl);

/* @now_ns: by the asker's engine. Any thread. */
void scsi_count_sum(struct scsi_lu *lu, uint64_t now_ns, struct scsi_totals *ret_totals);
