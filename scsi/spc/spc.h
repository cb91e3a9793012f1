/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The primary commands: what the rows of scsi/disk_ops.c point at. Each runs as scsi_op.run does.
 */
#include "scsi/task.h"
#include <stdint.h>

enum scsi_step spc_test_unit_ready(struct scsi_task *task);
enum scsi_step spc_request_sense(struct scsi_task *task);
enum scsi_step spc_start_stop(struct scsi_task *task);
enum scsi_step spc_prevent_allow(struct scsi_task *task);
enum scsi_step spc_inquiry(struct scsi_task *task);
enum scsi_step spc_mode_sense6(struct scsi_task *task);
enum scsi_step spc_mode_sense10(struct scsi_task *task);
enum scsi_step spc_report_luns(struct scsi_task *task);
enum scsi_step spc_report_opcodes(struct scsi_task *task);
enum scsi_step spc_report_tmf(struct scsi_task *task);

/* ---- shared by inquiry.c and vpd.c ---- */

#define SPC_VENDOR "DUOTGT  "	       /* 8 characters */
#define SPC_PRODUCT "DISK            " /* 16 */

/* Peripheral qualifier and device type: a disk, or no LU at this LUN. */
static inline uint8_t spc_peripheral(const struct scsi_task *task)
{
	return task->lu ? 0x00 : 0x7f;
}

/* INQUIRY with EVPD 1. */
enum scsi_step spc_vpd(struct scsi_task *task);
