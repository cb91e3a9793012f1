/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The block commands: what the rows of scsi/disk_ops.c point at, and the limits VPD B0 reports. */
#include "scsi/task.h"
#include <stdbool.h>

/* Of one UNMAP: all its blocks together, and its block descriptors. */
#define SBC_UNMAP_MAX_BLOCKS (1u << 20)
#define SBC_UNMAP_MAX_RANGES 256

/* The plans set need_in or need_out and decode the range, as scsi_op.plan does. */
enum scsi_step sbc_plan_capacity10(struct scsi_task *task);
enum scsi_step sbc_plan_lba_status(struct scsi_task *task);
enum scsi_step sbc_plan_sync(struct scsi_task *task);
enum scsi_step sbc_plan_verify(struct scsi_task *task);

enum scsi_step sbc_read_capacity10(struct scsi_task *task);
enum scsi_step sbc_read_capacity16(struct scsi_task *task);
enum scsi_step sbc_get_lba_status(struct scsi_task *task);
enum scsi_step sbc_read6(struct scsi_task *task);
enum scsi_step sbc_read(struct scsi_task *task);
enum scsi_step sbc_write6(struct scsi_task *task);
enum scsi_step sbc_write(struct scsi_task *task);
enum scsi_step sbc_sync(struct scsi_task *task);
enum scsi_step sbc_verify(struct scsi_task *task);
enum scsi_step sbc_unmap(struct scsi_task *task);

/* All completed writes to stable storage, then @next (NULL: GOOD). As scsi_task_io(). */
enum scsi_step sbc_flush(struct scsi_task *task, enum scsi_step (*next)(struct scsi_task *task));

/* Whether the LU is thin, so that UNMAP exists: scsi_op.offered. */
bool sbc_unmap_offered(const struct scsi_lu *lu);

/* Logical blocks per physical block, as the power of 2; 0 to 15. */
unsigned sbc_physical_exponent(const struct scsi_lu *lu);
