/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Reservations of a LU: persistent ones, and those of RESERVE and RELEASE.
 *
 * What is registered and reserved is one immutable snapshot (struct scsi_pr) behind lu->pr, NULL
 * for a LU that nobody has reserved yet; commands are checked against it without a lock.
 * PERSISTENT RESERVE OUT makes a changed copy, writes it to the state file when it is to persist
 * through power loss, and publishes it.
 */
#include "scsi/op.h"
#include "scsi/task.h"
#include <stddef.h>

struct scsi_lu;
struct scsi_nexus;

/* SCSI_READY; or SCSI_DONE with RESERVATION CONFLICT. task->op is known; its thread only. */
enum scsi_step scsi_pr_check(struct scsi_task *task);

/*
 * Whether reservations keep @nexus from a command of this kind: for those that reach LUs other than
 * their own. Any thread; lu->lock not held.
 */
bool scsi_pr_bars(struct scsi_lu *lu, const struct scsi_nexus *nexus, enum scsi_resv resv,
		  enum scsi_access access);

/* Drops what RESERVE has reserved: on a reset; and, lu->lock held, for a nexus that is gone. */
void scsi_pr_reset(struct scsi_lu *lu);
void scsi_pr_nexus_lost(struct scsi_lu *lu, const struct scsi_nexus *nexus);

/*
 * At the start of a LU: what persisted. At its end.
 * Return: 0; -errno with a text when there is a state file that cannot be read.
 */
int scsi_pr_load(struct scsi_lu *lu, char *ret_why, size_t why_len);
void scsi_pr_free(struct scsi_lu *lu);
