/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Identifying information: what hosts call a LU, kept for them. Source: SPC-5 r22. */
#include "scsi/task.h"
#include <stdbool.h>

#define SPC_IDENT_KINDS 2
#define SPC_IDENT_MAX 256

/* Immutable; a SET IDENTIFYING INFORMATION makes a new one. */
struct spc_ident {
	struct {
		uint16_t len;
		uint8_t bytes[SPC_IDENT_MAX];
	} of[SPC_IDENT_KINDS];
};

/* There is a place to keep it. */
bool spc_ident_offered(const struct scsi_lu *lu);
enum scsi_step spc_report_ident(struct scsi_task *task);
enum scsi_step spc_plan_set_ident(struct scsi_task *task);
enum scsi_step spc_set_ident(struct scsi_task *task);
