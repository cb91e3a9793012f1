/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Third-party copies, a row each, by operation code. EXTENDED COPY asks for a LU that is ready and
 * judges by itself what it reads and writes, since that may be other LUs. Source: SPC-5 r22.
 */
#include "scsi/copy/copy.h"
#include "scsi/op.h"

/* clang-format off */
const struct scsi_op copy_ops[] = {
	{"EXTENDED COPY (LID1)", 0x83, COPY_LID1, 16, ACCESS_READY, copy_plan_extended,
	 copy_extended_lid1,
	 {0x83, 0x00, NONE_8, ALL_4, 0, CONTROL}, .resv = RESV_CONFLICT, .timeout_s = TIMEOUT_FLUSH},
	{"EXTENDED COPY (LID4)", 0x83, COPY_LID4, 16, ACCESS_READY, copy_plan_extended,
	 copy_extended_lid4,
	 {0x83, 0x01, NONE_8, ALL_4, 0, CONTROL}, .resv = RESV_CONFLICT, .timeout_s = TIMEOUT_FLUSH},
	{"POPULATE TOKEN", 0x83, COPY_POPULATE_TOKEN, 16, ACCESS_READ, copy_plan_rod, rod_populate,
	 {0x83, 0x10, NONE_4, ALL_4, ALL_4, 0, CONTROL}},
	{"WRITE USING TOKEN", 0x83, COPY_WRITE_USING_TOKEN, 16, ACCESS_WRITE, copy_plan_rod,
	 rod_write,
	 {0x83, 0x11, NONE_4, ALL_4, ALL_4, 0, CONTROL}, .timeout_s = TIMEOUT_FLUSH},
	{"COPY OPERATION ABORT", 0x83, COPY_ABORT, 16, ACCESS_NONE, NULL, copy_abort,
	 {0x83, 0x1c, ALL_4, NONE_8, 0, CONTROL}, .resv = RESV_CONFLICT},
	{"RECEIVE COPY STATUS (LID1)", 0x84, COPY_STATUS_LID1, 16, ACCESS_NONE,
	 scsi_plan_alloc32_at10, copy_receive_status_lid1,
	 {0x84, 0x00, 0xff, NONE_4, NONE_3, ALL_4, 0, CONTROL}, .resv = RESV_PERSISTENT},
	{"RECEIVE COPY DATA (LID1)", 0x84, COPY_DATA_LID1, 16, ACCESS_NONE,
	 scsi_plan_alloc32_at10, copy_receive_data_lid1,
	 {0x84, 0x01, 0xff, NONE_4, NONE_3, ALL_4, 0, CONTROL}, .resv = RESV_PERSISTENT},
	{"RECEIVE COPY OPERATING PARAMETERS", 0x84, COPY_OPERATING_PARAMETERS, 16, ACCESS_NONE,
	 scsi_plan_alloc32_at10, copy_receive_parameters,
	 {0x84, 0x03, NONE_8, ALL_4, 0, CONTROL}, .resv = RESV_PERSISTENT},
	{"RECEIVE COPY FAILURE DETAILS (LID1)", 0x84, COPY_FAILURE_DETAILS_LID1, 16, ACCESS_NONE,
	 scsi_plan_alloc32_at10, copy_receive_failure_lid1,
	 {0x84, 0x04, 0xff, NONE_4, NONE_3, ALL_4, 0, CONTROL}, .resv = RESV_PERSISTENT},
	{"RECEIVE COPY STATUS (LID4)", 0x84, COPY_STATUS_LID4, 16, ACCESS_NONE,
	 scsi_plan_alloc32_at10, copy_receive_lid4,
	 {0x84, 0x05, ALL_4, NONE_4, ALL_4, 0, CONTROL}, .resv = RESV_PERSISTENT},
	{"RECEIVE COPY DATA (LID4)", 0x84, COPY_DATA_LID4, 16, ACCESS_NONE,
	 scsi_plan_alloc32_at10, copy_receive_lid4,
	 {0x84, 0x06, ALL_4, NONE_4, ALL_4, 0, CONTROL}, .resv = RESV_PERSISTENT},
	{"RECEIVE ROD TOKEN INFORMATION", 0x84, COPY_ROD_TOKEN_INFORMATION, 16, ACCESS_NONE,
	 scsi_plan_alloc32_at10, rod_receive_information,
	 {0x84, 0x07, ALL_4, NONE_4, ALL_4, 0, CONTROL}, .resv = RESV_PERSISTENT},
	{"REPORT ALL ROD TOKENS", 0x84, COPY_ALL_ROD_TOKENS, 16, ACCESS_NONE,
	 scsi_plan_alloc32_at10, rod_report_all,
	 {0x84, 0x08, NONE_8, ALL_4, 0, CONTROL}, .resv = RESV_PERSISTENT},
	{0},
};
/* clang-format on */
