/* SPDX-License-Identifier: Apache-2.0 */
/* uapi.h against the kernel's header: nothing but assertions. */
#include "handler/uapi.h"
#include <stddef.h>

/* The header brings a struct iovec of its own. */
#define iovec tcmu_kernel_iovec
#include <linux/target_core_user.h>
#undef iovec

#define SAME(ours, theirs) _Static_assert((ours) == (theirs), #ours " is not " #theirs)

SAME(TCMU_VERSION_OF_MAILBOX, TCMU_MAILBOX_VERSION);
SAME(MB_VERSION, offsetof(struct tcmu_mailbox, version));
SAME(MB_FLAGS, offsetof(struct tcmu_mailbox, flags));
SAME(MB_CMDR_OFF, offsetof(struct tcmu_mailbox, cmdr_off));
SAME(MB_CMDR_SIZE, offsetof(struct tcmu_mailbox, cmdr_size));
SAME(MB_CMD_HEAD, offsetof(struct tcmu_mailbox, cmd_head));
SAME(MB_CMD_TAIL, offsetof(struct tcmu_mailbox, cmd_tail));
SAME(MB_OUT_OF_ORDER, TCMU_MAILBOX_FLAG_CAP_OOOC);
SAME(MB_READ_LEN, TCMU_MAILBOX_FLAG_CAP_READ_LEN);
SAME(MB_TMR, TCMU_MAILBOX_FLAG_CAP_TMR);

SAME(ENT_LEN_OP, offsetof(struct tcmu_cmd_entry_hdr, len_op));
SAME(ENT_CMD_ID, offsetof(struct tcmu_cmd_entry_hdr, cmd_id));
SAME(ENT_UFLAGS, offsetof(struct tcmu_cmd_entry_hdr, uflags));
SAME(ENT_HEAD_BYTES, sizeof(struct tcmu_cmd_entry_hdr));
SAME(REQ_IOV_CNT, offsetof(struct tcmu_cmd_entry, req.iov_cnt));
SAME(REQ_IOV_BIDI_CNT, offsetof(struct tcmu_cmd_entry, req.iov_bidi_cnt));
SAME(REQ_IOV_DIF_CNT, offsetof(struct tcmu_cmd_entry, req.iov_dif_cnt));
SAME(REQ_CDB_OFF, offsetof(struct tcmu_cmd_entry, req.cdb_off));
SAME(REQ_IOV, offsetof(struct tcmu_cmd_entry, req.iov));
SAME(RSP_STATUS, offsetof(struct tcmu_cmd_entry, rsp.scsi_status));
SAME(RSP_READ_LEN, offsetof(struct tcmu_cmd_entry, rsp.read_len));
SAME(RSP_SENSE, offsetof(struct tcmu_cmd_entry, rsp.sense_buffer));
SAME(CMD_BYTES_MIN, sizeof(struct tcmu_cmd_entry));
SAME(TMR_TYPE, offsetof(struct tcmu_tmr_entry, tmr_type));
SAME(TMR_CMD_CNT, offsetof(struct tcmu_tmr_entry, cmd_cnt));
SAME(TMR_CMD_IDS, offsetof(struct tcmu_tmr_entry, cmd_ids));

SAME(TCMU_IOV_BYTES, sizeof(struct tcmu_kernel_iovec));
SAME(TCMU_ALIGN, TCMU_OP_ALIGN_SIZE);
SAME(TCMU_OP_BITS, TCMU_OP_MASK);
SAME(TCMU_SENSE_BYTES, TCMU_SENSE_BUFFERSIZE);
SAME((int)OP_IS_PAD, (int)TCMU_OP_PAD);
SAME((int)OP_IS_CMD, (int)TCMU_OP_CMD);
SAME((int)OP_IS_TMR, (int)TCMU_OP_TMR);
SAME((int)UFLAG_UNKNOWN_OP, TCMU_UFLAG_UNKNOWN_OP);
SAME((int)UFLAG_READ_LEN, TCMU_UFLAG_READ_LEN);
SAME((int)TMR_ABORT_TASK, TCMU_TMR_ABORT_TASK);
SAME((int)TMR_ABORT_TASK_SET, TCMU_TMR_ABORT_TASK_SET);
SAME((int)TMR_CLEAR_ACA, TCMU_TMR_CLEAR_ACA);
SAME((int)TMR_CLEAR_TASK_SET, TCMU_TMR_CLEAR_TASK_SET);
SAME((int)TMR_LUN_RESET, TCMU_TMR_LUN_RESET);
SAME((int)TMR_TARGET_WARM_RESET, TCMU_TMR_TARGET_WARM_RESET);
SAME((int)TMR_TARGET_COLD_RESET, TCMU_TMR_TARGET_COLD_RESET);
SAME((int)TMR_LUN_RESET_PRO, TCMU_TMR_LUN_RESET_PRO);
