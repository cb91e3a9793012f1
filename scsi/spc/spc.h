/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The primary commands: what the rows of spc_ops.c point at. Each runs as scsi_op.run does.
 */
#include "scsi/task.h"
#include <stdint.h>

enum scsi_step spc_test_unit_ready(struct scsi_task *task);
enum scsi_step spc_request_sense(struct scsi_task *task);
enum scsi_step spc_inquiry(struct scsi_task *task);
enum scsi_step spc_mode_sense6(struct scsi_task *task);
enum scsi_step spc_mode_sense10(struct scsi_task *task);
enum scsi_step spc_plan_mode_select(struct scsi_task *task);
enum scsi_step spc_mode_select(struct scsi_task *task);
enum scsi_step spc_log_sense(struct scsi_task *task);
enum scsi_step spc_log_select(struct scsi_task *task);
enum scsi_step spc_report_timestamp(struct scsi_task *task);
enum scsi_step spc_plan_set_timestamp(struct scsi_task *task);
enum scsi_step spc_set_timestamp(struct scsi_task *task);
enum scsi_step spc_report_luns(struct scsi_task *task);
enum scsi_step spc_report_opcodes(struct scsi_task *task);
enum scsi_step spc_report_tmf(struct scsi_task *task);

/* ---- shared by inquiry.c and vpd.c ---- */

#define SPC_VENDOR "DUOTGT  "		    /* 8 characters */
#define SPC_PRODUCT_DISK "DISK            " /* 16 */
#define SPC_PRODUCT_CDROM "CD-ROM          "

/* Peripheral qualifier and device type; 7Fh: no LU at this LUN. */
uint8_t spc_peripheral(const struct scsi_task *task);

/* INQUIRY with EVPD 1. */
enum scsi_step spc_vpd(struct scsi_task *task);
