/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Commands that are one step to all others: COMPARE AND WRITE, ORWRITE, WRITE ATOMIC. They are
 * alone on their LU while they work (scsi/order.h); their limits are in VPD page B0.
 */
#include "scsi/lu.h"
#include "scsi/task.h"

enum scsi_step sbc_plan_compare_and_write(struct scsi_task *task);
enum scsi_step sbc_compare_and_write(struct scsi_task *task);
enum scsi_step sbc_plan_orwrite32(struct scsi_task *task);
enum scsi_step sbc_orwrite(struct scsi_task *task);
enum scsi_step sbc_plan_write_atomic(struct scsi_task *task);
enum scsi_step sbc_write_atomic(struct scsi_task *task);

/* MAXIMUM COMPARE AND WRITE LENGTH, in blocks: its field has a byte. */
uint8_t sbc_caw_max_blocks(const struct scsi_lu *lu);

/*
 * MAXIMUM ATOMIC TRANSFER LENGTH, in blocks. 0: there is no WRITE ATOMIC, because the LU has no
 * place that would outlive a loss of power to keep what a write would leave half done.
 */
uint32_t sbc_atomic_max_blocks(const struct scsi_lu *lu);

/*
 * ATOMIC ALIGNMENT and ATOMIC TRANSFER LENGTH GRANULARITY, in blocks: 0 or 2^n. Blocks smaller than
 * the physical ones that they are in come and go together, as the medium writes them.
 */
uint32_t sbc_atomic_alignment(const struct scsi_lu *lu);

/* Whether there is a WRITE ATOMIC: scsi_op.offered of WRITE ATOMIC. */
bool sbc_write_atomic_offered(const struct scsi_lu *lu);

/*
 * Puts back what a WRITE ATOMIC that was cut off has left half written. Blocks; before the first
 * task of the LU. Return: 0 or -errno, with a text.
 */
int sbc_atomic_recover(struct scsi_lu *lu, char *ret_why, size_t why_len);
