/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the answers of THIRD-PARTY COPY IN have in common. */
#include "scsi/copy/copy_job.h"
#include "util/bytes.h"

#define RECEIVE_STATUS_MAX (32 + SCSI_SENSE_MAX)

/* The first part of all forms for four-byte list identifiers. */
void receive_out_status(struct bytes_out *out, const struct copy_report *report);

/* Sets AVAILABLE DATA, the first four bytes, and replies. */
enum scsi_step receive_reply(struct scsi_task *task, struct bytes_out *out);
