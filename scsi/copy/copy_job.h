/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Copies under way, and what is known of those that ended. A job belongs to the initiator port,
 * target port and LU it was asked at, by name: no nexus is needed for it to go on. It runs on the
 * thread it was begun on; what others look at is under one lock, which no read or write takes.
 */
#include "scsi/copy/copy.h"
#include "scsi/lu_priv.h"

#define ROD_TOKEN_LEN 512

struct copy_job;

/* Bytes that move from one LU to another. */
struct copy_piece {
	struct scsi_lu *from; /* NULL: zeroes */
	struct scsi_lu *to;
	uint64_t from_offset, to_offset, len; /* bytes */
	unsigned segment;		      /* of the command's, from 0 */
};

enum copy_state {
	/* COPY OPERATION STATUS, SPC-5 */
	COPY_DONE = 0x01,
	COPY_FAILED = 0x02,
	COPY_DONE_PARTLY = 0x03, /* of what was asked for, the token has less */
	COPY_IN_FOREGROUND = 0x11,
	COPY_IN_BACKGROUND = 0x12,
	COPY_TERMINATED = 0x60,
};

/* A job as it stands at one moment. */
struct copy_report {
	uint8_t sa; /* enum copy_sa */
	enum copy_state state;
	enum scsi_status status;
	struct scsi_sense sense;
	bool descriptor_sense;
	uint16_t operations; /* OPERATION COUNTER */
	unsigned segments;   /* processed */
	uint64_t bytes;
	uint32_t block_size; /* of the LU the command came to */
	bool has_token;
	uint8_t token[ROD_TOKEN_LEN];
};

/**
 * copy_job_new() - a job for the command @task, not started yet
 * @max_pieces: room for copy_job_add()
 * @keep:       its result is held for RECEIVE COPY …, else forgotten at its end
 * @with_list:  @list_id is in use; false: it cannot be asked for, nor aborted by, name
 * Return: NULL with the answer set in @task: BUSY, too many at a time; or OPERATION IN PROGRESS,
 * its list identifier is that of a copy under way.
 */
struct copy_job *copy_job_new(struct scsi_task *task, bool with_list, uint32_t list_id, bool keep,
			      unsigned max_pieces);

/* Neither started nor ended: as if it had never been. NULL is fine. */
void copy_job_drop(struct copy_job *job);
DEFINE_SCOPED(struct copy_job *, copy_job_drop)

/* A piece; of length 0 it only counts. Takes references of its own. */
void copy_job_add(struct copy_job *job, const struct copy_piece *piece);

/* How it ends when all pieces are done: with an error of a later segment, or partly done. */
void copy_job_ends_with(struct copy_job *job, const struct scsi_sense *sense);
void copy_job_ends_partly(struct copy_job *job);

/* Number of segments, for the report once all are done. */
void copy_job_set_segments(struct copy_job *job, unsigned n);

/* Bytes that count as moved from the start: those a token stands for. */
void copy_job_count(struct copy_job *job, uint64_t bytes);

/* When it ends well, @token is deleted. */
void copy_job_uses_up(struct copy_job *job, const uint8_t *token);

/* What RECEIVE ROD TOKEN INFORMATION is to give. */
void copy_job_set_token(struct copy_job *job, const uint8_t *token);

/*
 * Runs it. In the background, the task is GOOD at once; else when the job ends, and as it does.
 * Return: as scsi_op.run.
 */
enum scsi_step copy_job_start(struct copy_job *job, struct scsi_task *task, bool background);

/* By the asking nexus, at the LU of the task. False: there is no such list. */
bool copy_job_report(const struct scsi_task *task, uint32_t list_id, struct copy_report *ret);

/* Forgets a job that has ended. */
void copy_job_forget(const struct scsi_task *task, uint32_t list_id);
