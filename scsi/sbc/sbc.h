/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The block commands: what the rows of sbc_ops.c point at, and the limits VPD B0 reports. */
#include "scsi/task.h"
#include <stdbool.h>

struct pi_use;
struct scsi_lu_view;

#define SBC_BLOCK_MAX 4096u /* the largest logical block */

/* Of one UNMAP: all its blocks together, and its block descriptors. */
#define SBC_UNMAP_MAX_BLOCKS (1u << 20)
#define SBC_UNMAP_MAX_RANGES 256

/* THRESHOLD EXPONENT: space is counted in units of 2^11 blocks. */
#define SBC_THRESHOLD_EXPONENT 11

/* Of one WRITE SAME: what the field of its (10) holds, so that all forms can do the same. */
#define SBC_WRITE_SAME_MAX_BLOCKS 65535u

/* Where a block command has FUA, BYTCHK, UNMAP, …: in the same bits of another byte in CDBs of 32.
 */
static inline unsigned sbc_flags_at(const struct scsi_task *task)
{
	return task->cdb[0] == 0x7f ? 10 : 1;
}

static inline uint8_t sbc_flags(const struct scsi_task *task)
{
	return task->cdb[sbc_flags_at(task)];
}

/* The plans set need_in or need_out and decode the range, as scsi_op.plan does. */
enum scsi_step sbc_plan_capacity10(struct scsi_task *task);
enum scsi_step sbc_plan_lba_status(struct scsi_task *task);
enum scsi_step sbc_plan_sync(struct scsi_task *task);
enum scsi_step sbc_plan_verify(struct scsi_task *task);
enum scsi_step sbc_plan_write_same(struct scsi_task *task);
enum scsi_step sbc_plan_prefetch(struct scsi_task *task);
enum scsi_step sbc_plan_format(struct scsi_task *task);
enum scsi_step sbc_plan_sanitize_overwrite(struct scsi_task *task);
enum scsi_step sbc_plan_read_buffer(struct scsi_task *task);
enum scsi_step sbc_plan_write_buffer(struct scsi_task *task);

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
enum scsi_step sbc_write_verify(struct scsi_task *task);
enum scsi_step sbc_write_same(struct scsi_task *task);
enum scsi_step sbc_prefetch(struct scsi_task *task);
enum scsi_step sbc_read_defect10(struct scsi_task *task);
enum scsi_step sbc_read_defect12(struct scsi_task *task);
enum scsi_step sbc_format_unit(struct scsi_task *task);
enum scsi_step sbc_sanitize_overwrite(struct scsi_task *task);
enum scsi_step sbc_sanitize_block_erase(struct scsi_task *task);
enum scsi_step sbc_sanitize_crypto_erase(struct scsi_task *task);
enum scsi_step sbc_sanitize_exit_failure(struct scsi_task *task);
enum scsi_step sbc_read_buffer(struct scsi_task *task);
enum scsi_step sbc_write_buffer(struct scsi_task *task);

/* All completed writes to stable storage, then @next (NULL: GOOD). As scsi_task_io(). */
enum scsi_step sbc_flush(struct scsi_task *task, enum scsi_step (*next)(struct scsi_task *task));

/* @read, the command's next step, after a flush where its FUA asks for one. */
enum scsi_step sbc_read_stable(struct scsi_task *task, enum scsi_step (*read)(struct scsi_task *));

/* GOOD, once all completed writes are as safe as WCE says; for commands that write in pieces. */
enum scsi_step sbc_end_writes(struct scsi_task *task);

/*
 * Reads what the first @len bytes of data-out, which are there, were written to, and with @compare
 * holds it against them. GOOD, or MISCOMPARE with the offset, or what stops a read.
 */
enum scsi_step sbc_verify_written(struct scsi_task *task, const struct pi_use *use, bool compare,
				  uint64_t len);

/* Whether the store tells its space, and the LU is thin, so that it matters. */
bool sbc_space_is_known(const struct scsi_lu *lu);

/*
 * Bytes that the LU takes, and that it could still take. May block: for a helper thread.
 * Return: 0; -EOPNOTSUPP when it is not known; -errno.
 */
int sbc_provisioning(const struct scsi_lu *lu, uint64_t *ret_used, uint64_t *ret_free);

/*
 * For the end of a command that writes: whether it is to look, by sbc_space_check() as its last
 * step, how much space is left. One in a second is.
 */
bool sbc_space_is_due(struct scsi_task *task);
enum scsi_step sbc_space_check(struct scsi_task *task);

/* Below how much space initiators are told, in units of 2^SBC_THRESHOLD_EXPONENT blocks. */
uint64_t sbc_threshold_count(const struct scsi_lu_view *view);

/* Whether the LU is thin, so that UNMAP exists: scsi_op.offered. */
bool sbc_unmap_offered(const struct scsi_lu *lu);

/* Whether the LU is encrypted, so that CRYPTOGRAPHIC ERASE exists: likewise. */
bool sbc_crypto_erase_offered(const struct scsi_lu *lu);

/* Whether FORMAT UNIT can enable protection information on the LU: likewise. */
bool sbc_can_protect(const struct scsi_lu *lu);
bool sbc_cannot_protect(const struct scsi_lu *lu);

/* Logical blocks per physical block, as the power of 2; 0 to 15. */
unsigned sbc_physical_exponent(const struct scsi_lu *lu);
