/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A range of any length, read through one small buffer, a piece of whole blocks after the other:
 * of VERIFY, COMPARE AND WRITE and ORWRITE. Bytes are those of the data-out, where each block is
 * followed by its tuple when the protect field asks for them.
 */
#include "scsi/pi/protect.h"
#include "scsi/sbc/walk.h"

#define SBC_PIECE_MAX (64u << 10)

/* One under way: the first member of what a command has in task->own. */
struct sbc_pieces {
	struct pi_use use;
	uint64_t done, total; /* bytes: before the piece, and of the range */
	struct iovec iov;     /* of the piece */
	struct walk data;     /* what comes next of the data-out */
	/* A piece has been read. SCSI_READY: go on; else as scsi_op.run. */
	enum scsi_step (*each)(struct scsi_task *task);
	enum scsi_step (*end)(struct scsi_task *task); /* all of them have been */
	uint8_t piece[SBC_PIECE_MAX];
};

/* Begins, with @total bytes from task->lba on. @pieces: each and end are set. */
enum scsi_step sbc_pieces_start(struct scsi_task *task, struct sbc_pieces *pieces,
				const struct pi_use *use, uint64_t total);

/* The piece is done with: the next one is read. For the end of what @each has begun. */
enum scsi_step sbc_pieces_next(struct scsi_task *task);

/* Makes task->io a request of the piece; the last thing before scsi_task_io(). */
void sbc_pieces_io(struct scsi_task *task, enum duotgt_io_kind kind, uint32_t flags);

/* How many bytes of the piece are equal to the next of the data-out before the first that is not.
 */
size_t sbc_pieces_equal(struct sbc_pieces *pieces);

/* How many bytes of @a and @b are equal before the first that is not. */
size_t sbc_equal_bytes(const uint8_t *a, const uint8_t *b, size_t len);
