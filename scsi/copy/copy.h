/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Third-party copy: what the rows of copy_ops.c point at, and the limits that VPD 8F and RECEIVE
 * COPY OPERATING PARAMETERS report and the parsers hold the initiator to.
 *
 * Everything here is looked up from the asking nexus: descriptors and tokens lead to LUs that its
 * target maps, lists to copies that it began itself.
 * Source: SPC-5 r22, third-party copies; SBC-4 r22, POPULATE TOKEN, WRITE USING TOKEN.
 */
#include "scsi/task.h"

#define COPY_MAX_CSCDS 64		   /* CSCD descriptors of one EXTENDED COPY */
#define COPY_MAX_SEGMENTS 256		   /* its segment descriptors */
#define COPY_MAX_LIST (10u << 10)	   /* bytes of both together */
#define COPY_MAX_SEGMENT_BYTES 0x0ffff000u /* 65535 blocks, as many as a descriptor can name */
#define COPY_GRANULARITY_LOG2 9
#define COPY_MAX_CONCURRENT 32 /* under way, for one target */

#define ROD_MAX_RANGES 64		   /* block device range descriptors of one command */
#define ROD_MAX_BYTES (UINT64_C(64) << 30) /* of all ranges of one command */
#define ROD_OPTIMAL_BYTES (64u << 20)
#define ROD_DEFAULT_TIMEOUT_S 300
#define ROD_MAX_TIMEOUT_S 3600

enum copy_sa {
	/* THIRD-PARTY COPY OUT, opcode 83h */
	COPY_LID1 = 0x00,
	COPY_LID4 = 0x01,
	COPY_POPULATE_TOKEN = 0x10,
	COPY_WRITE_USING_TOKEN = 0x11,
	COPY_ABORT = 0x1c,

	/* THIRD-PARTY COPY IN, opcode 84h */
	COPY_STATUS_LID1 = 0x00,
	COPY_DATA_LID1 = 0x01,
	COPY_OPERATING_PARAMETERS = 0x03,
	COPY_FAILURE_DETAILS_LID1 = 0x04,
	COPY_STATUS_LID4 = 0x05,
	COPY_DATA_LID4 = 0x06,
	COPY_ROD_TOKEN_INFORMATION = 0x07,
	COPY_ALL_ROD_TOKENS = 0x08,
};

/* CSCD and segment descriptor types */
enum {
	CSCD_IDENTIFICATION = 0xe4,
	SEGMENT_BLOCK_TO_BLOCK = 0x02,
	SEGMENT_BLOCK_OFFSET = 0x0a, /* the same, in bytes */
};

#define CSCD_ID_SELF 0xffff /* instead of a descriptor's index: the LU that the command came to */

/* ROD types */
#define ROD_ACCESS_ON_REFERENCE 0x00010000u
#define ROD_BLOCK_ZERO 0xffff0001u

/* Plans: the parameter list length, which no list that could be right exceeds. */
enum scsi_step copy_plan_extended(struct scsi_task *task);
enum scsi_step copy_plan_rod(struct scsi_task *task);

enum scsi_step copy_extended_lid1(struct scsi_task *task);
enum scsi_step copy_extended_lid4(struct scsi_task *task);
enum scsi_step copy_abort(struct scsi_task *task);
enum scsi_step copy_receive_status_lid1(struct scsi_task *task);
enum scsi_step copy_receive_data_lid1(struct scsi_task *task);
enum scsi_step copy_receive_parameters(struct scsi_task *task);
enum scsi_step copy_receive_failure_lid1(struct scsi_task *task);
enum scsi_step copy_receive_lid4(struct scsi_task *task); /* status and data */
enum scsi_step rod_populate(struct scsi_task *task);
enum scsi_step rod_write(struct scsi_task *task);
enum scsi_step rod_receive_information(struct scsi_task *task);
enum scsi_step rod_report_all(struct scsi_task *task);

/* VPD page 8F, Third-Party Copy: what follows PAGE LENGTH. */
struct bytes_out;
void copy_vpd(const struct scsi_task *task, struct bytes_out *out);

/* ---- the rest of scsi/ ---- */

struct scsi_lu;
struct scsi_target;
struct scsi_tmf;

/*
 * A reset of @lu: background copies that it runs, or that write to it, end. For each,
 * tmf->parts_left grows by one, and @gone runs, on some thread, once it can no longer change a
 * medium. Return: 0 or -ENOMEM.
 */
int scsi_copy_reset(const struct scsi_lu *lu, struct scsi_tmf *tmf,
		    void (*gone)(struct scsi_tmf *tmf));

/* For scsi_lu_stop_work(): ends the copies that have to do with @lu, and waits for that. */
void scsi_copy_stop(const struct scsi_lu *lu);

/* The target is being freed: its tokens and results go with it. */
void scsi_copy_forget(const struct scsi_target *target);
