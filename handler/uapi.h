/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Where things are in the memory that TCMU shares with us, version 2, as byte offsets. The fields
 * are in host byte order. uapi.c holds them against the kernel's own header.
 * Source: <linux/target_core_user.h>.
 */

#define TCMU_VERSION_OF_MAILBOX 2

enum tcmu_mailbox_offset {
	MB_VERSION = 0,	  /* u16 */
	MB_FLAGS = 2,	  /* u16, enum tcmu_mailbox_flag */
	MB_CMDR_OFF = 4,  /* u32: where the ring begins */
	MB_CMDR_SIZE = 8, /* u32, bytes of it */
	MB_CMD_HEAD = 12, /* u32, in the ring: where the kernel will write next */
	MB_CMD_TAIL = 64, /* u32, in the ring: up to where we are done */
	MB_BYTES = 68,
};

enum tcmu_mailbox_flag {
	MB_OUT_OF_ORDER = 1, /* completions may come in any order */
	MB_READ_LEN = 2,     /* a completion may tell how much data-in there is */
	MB_TMR = 4,	     /* the kernel may tell of task management */
};

/* An entry: a head of eight bytes, then what its op says. */
enum tcmu_entry_offset {
	ENT_LEN_OP = 0, /* u32: length, a multiple of 8; the op in the lower three bits */
	ENT_CMD_ID = 4, /* u16 */
	ENT_UFLAGS = 7, /* u8, enum tcmu_uflag, for us to set */
	ENT_HEAD_BYTES = 8,

	/* a command on its way to us */
	REQ_IOV_CNT = 8,       /* u32 */
	REQ_IOV_BIDI_CNT = 12, /* u32: more of them, for data-in beside data-out */
	REQ_IOV_DIF_CNT = 16,  /* u32: and for protection information */
	REQ_CDB_OFF = 24,      /* u64, in the mapping */
	REQ_IOV = 48,	       /* 16 bytes each: u64 offset in the mapping, u64 length */

	/* and back */
	RSP_STATUS = 8,	   /* u8 */
	RSP_READ_LEN = 12, /* u32 */
	RSP_SENSE = 16,
	CMD_BYTES_MIN = 112, /* of each command: what rsp takes */

	/* task management */
	TMR_TYPE = 8,	  /* u8, enum tcmu_tmr_type */
	TMR_CMD_CNT = 12, /* u32 */
	TMR_CMD_IDS = 32, /* u16 each: the commands that it touches */
};

#define TCMU_IOV_BYTES 16
#define TCMU_ALIGN 8
#define TCMU_OP_BITS 7u
#define TCMU_SENSE_BYTES 96

enum tcmu_op { OP_IS_PAD = 0, OP_IS_CMD = 1, OP_IS_TMR = 2 };

enum tcmu_uflag { UFLAG_UNKNOWN_OP = 1, UFLAG_READ_LEN = 2 };

enum tcmu_tmr_type {
	TMR_ABORT_TASK = 1,
	TMR_ABORT_TASK_SET = 2,
	TMR_CLEAR_ACA = 3,
	TMR_CLEAR_TASK_SET = 4,
	TMR_LUN_RESET = 5,
	TMR_TARGET_WARM_RESET = 6,
	TMR_TARGET_COLD_RESET = 7,
	TMR_LUN_RESET_PRO = 128, /* PREEMPT AND ABORT: nothing but its commands is reset */
};
