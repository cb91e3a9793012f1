/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* For tests of what goes on in the background: commands that are not waited for, and its end. */
#include "tests/scsi/harness.h"

/* A command under way. */
struct started {
	struct scsi_task task;
	struct iovec iov;
	bool done, aborted;
};

/* Sends a command; returns when it has been handed to its LU. Data as in struct sent, in one. */
void wipe_start(struct harness *h, struct started *started, const struct sent *sent);

/* Its end; the status is in started->task. */
void wipe_end(struct harness *h, struct started *started);

/* Turns the loop until the LU has no job. */
void wipe_wait(struct harness *h, const struct scsi_lu *lu);

/* Turns the loop @n times, which is as many small steps. */
void wipe_turn(struct harness *h, unsigned n);

/* TEST UNIT READY and REQUEST SENSE tell of it: NOT READY with @code. Return: how far it is. */
uint16_t wipe_progress(struct harness *h, enum scsi_sense_code code);

/* A task management function, to its end. */
enum scsi_tmf_response wipe_manage(struct harness *h, unsigned nexus,
				   enum scsi_tmf_function function, uint64_t tag);

/* All blocks of LUN 0, as long as they can be read at once: 64 KiB at a time. */
void wipe_read_all(struct harness *h, uint8_t *buf, size_t len);
