/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A transport that keeps commands under way, on the harness' target: what waits for its data, for
 * its turn or for a store that holds requests can be looked at meanwhile.
 */
#include "tests/scsi/fake_store.h"
#include "tests/scsi/harness.h"

struct command {
	struct scsi_task task; /* status and sense stay when it has ended */
	uint8_t buf[1024];
	struct iovec iov;
	bool running, done, aborted, told, ended;
	unsigned nth; /* the how manieth of all to be done */
};

/* Of one block, or INQUIRY; nothing of it has reached the target. The CDB may still be changed. */
void command_prepare(struct command *c, struct harness *h, unsigned nexus, uint8_t opcode,
		     enum scsi_attr attr);

/* SCSI_READY: its data is yet to come; SCSI_DONE: it has ended with the status in its task. */
enum scsi_step command_begin(struct command *c);

/* Its data has come. */
void command_run(struct command *c);

/* Its transport gives it up before it has run. */
void command_end(struct command *c);

/* A disk on the store of fake_store.h at LUN 0, and two nexuses that are told of nothing. */
void command_kit_start(struct harness *h);

/* Ten turns of the loop, which is more than what is under way needs. */
void command_kit_turn(struct harness *h);

/* For a task that the test sets up by itself, in a struct command. */
extern const struct scsi_transport command_transport;

/* ---- task management, at LUN 0 ---- */

struct function {
	struct scsi_tmf tmf;
	bool done;
};

void function_start(struct function *f, struct harness *h, unsigned nexus,
		    enum scsi_tmf_function function, uint64_t tag);

/* Until it is answered. */
enum scsi_tmf_response function_play(struct harness *h, unsigned nexus,
				     enum scsi_tmf_function function, uint64_t tag);
