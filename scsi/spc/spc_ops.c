/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The primary commands, a row each, by operation code. A usage bit that is 0 stands for what is
 * reserved, obsolete, or not supported here, and refused when it is set. Source: SPC-5 r22.
 */
#include "scsi/op.h"
#include "scsi/spc/ident.h"
#include "scsi/spc/spc.h"

/* clang-format off */
const struct scsi_op spc_ops[] = {
	{"TEST UNIT READY", 0x00, NO_SA, 6, ACCESS_READY, NULL, spc_test_unit_ready,
	 {0x00, NONE_4, CONTROL}, .resv = RESV_PERSISTENT},
	{"REQUEST SENSE", 0x03, NO_SA, 6, ACCESS_ANY, scsi_plan_alloc8_at4, spc_request_sense,
	 {0x03, 0x01, NONE_2, 0xff, CONTROL}, .resv = RESV_ALLOWED},
	{"INQUIRY", 0x12, NO_SA, 6, ACCESS_ANY, scsi_plan_alloc16_at3, spc_inquiry,
	 {0x12, 0x01, ALL_3, CONTROL}, .resv = RESV_ALLOWED},
	{"MODE SELECT (6)", 0x15, NO_SA, 6, ACCESS_NONE, spc_plan_mode_select, spc_mode_select,
	 {0x15, 0x11, NONE_2, 0xff, CONTROL}, .resv = RESV_CONFLICT, .paths = PATHS_STANDBY,
	 .timeout_s = TIMEOUT_FLUSH},
	{"MODE SENSE (6)", 0x1a, NO_SA, 6, ACCESS_NONE, scsi_plan_alloc8_at4, spc_mode_sense6,
	 {0x1a, 0x08, ALL_3, CONTROL}, .paths = PATHS_STANDBY},
	{"LOG SELECT", 0x4c, NO_SA, 10, ACCESS_NONE, NULL, spc_log_select,
	 {0x4c, 0x02, ALL_2, NONE_3, NONE_2, CONTROL}, .resv = RESV_CONFLICT,
	 .paths = PATHS_STANDBY},
	{"LOG SENSE", 0x4d, NO_SA, 10, ACCESS_NONE, scsi_plan_alloc16_at7, spc_log_sense,
	 {0x4d, 0, ALL_2, 0, ALL_2, ALL_2, CONTROL}, .resv = RESV_ALLOWED,
	 .paths = PATHS_STANDBY},
	{"MODE SELECT (10)", 0x55, NO_SA, 10, ACCESS_NONE, spc_plan_mode_select, spc_mode_select,
	 {0x55, 0x11, NONE_3, NONE_2, ALL_2, CONTROL}, .resv = RESV_CONFLICT,
	 .paths = PATHS_STANDBY, .timeout_s = TIMEOUT_FLUSH},
	{"MODE SENSE (10)", 0x5a, NO_SA, 10, ACCESS_NONE, scsi_plan_alloc16_at7, spc_mode_sense10,
	 {0x5a, 0x18, ALL_2, NONE_3, ALL_2, CONTROL}, .paths = PATHS_STANDBY},
	{"REPORT LUNS", 0xa0, NO_SA, 12, ACCESS_ANY, scsi_plan_alloc32_at6, spc_report_luns,
	 {0xa0, 0, 0xff, NONE_3, ALL_4, 0, CONTROL}, .resv = RESV_ALLOWED},
	{"REPORT IDENTIFYING INFORMATION", 0xa3, 0x05, 12, ACCESS_NONE, scsi_plan_alloc32_at6,
	 spc_report_ident,
	 {0xa3, 0x05, NONE_4, ALL_4, 0xfe, CONTROL}, spc_ident_offered, .resv = RESV_ALLOWED},
	{"REPORT SUPPORTED OPERATION CODES", 0xa3, 0x0c, 12, ACCESS_NONE, scsi_plan_alloc32_at6,
	 spc_report_opcodes,
	 {0xa3, 0x0c, 0x87, ALL_3, ALL_4, 0, CONTROL}, .paths = PATHS_STANDBY},
	{"REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS", 0xa3, 0x0d, 12, ACCESS_NONE,
	 scsi_plan_alloc32_at6, spc_report_tmf,
	 {0xa3, 0x0d, 0x80, NONE_3, ALL_4, 0, CONTROL}, .paths = PATHS_STANDBY},
	{"REPORT TIMESTAMP", 0xa3, 0x0f, 12, ACCESS_NONE, scsi_plan_alloc32_at6,
	 spc_report_timestamp,
	 {0xa3, 0x0f, NONE_4, ALL_4, 0, CONTROL}, .resv = RESV_ALLOWED},
	{"SET IDENTIFYING INFORMATION", 0xa4, 0x06, 12, ACCESS_NONE, spc_plan_set_ident,
	 spc_set_ident,
	 {0xa4, 0x06, NONE_4, ALL_4, 0xfe, CONTROL}, spc_ident_offered, .resv = RESV_CONFLICT},
	{"SET TIMESTAMP", 0xa4, 0x0f, 12, ACCESS_NONE, spc_plan_set_timestamp, spc_set_timestamp,
	 {0xa4, 0x0f, NONE_4, ALL_4, 0, CONTROL}, .resv = RESV_CONFLICT},
	{0},
};
/* clang-format on */
