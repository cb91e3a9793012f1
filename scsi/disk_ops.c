/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of a direct-access block device, a row each, by operation code.
 *
 * A usage bit that is 0 stands for what is reserved, obsolete, or not supported here, and refused
 * when it is set: protection information (RDPROTECT, WRPROTECT, VRPROTECT), RARC, FUA_NV, GROUP
 * NUMBER, LOEJ and power conditions of START STOP UNIT, ANCHOR of UNMAP, PMI of READ CAPACITY.
 * Source: SPC-5 r22, SBC-4 r22.
 */
#include "scsi/op.h"
#include "scsi/sbc/sbc.h"
#include "scsi/spc/spc.h"

enum {
	DPO = 0x10,
	FUA = 0x08,
	BYTCHK = 0x06,
	IMMED = 0x01,	   /* START STOP UNIT */
	SYNC_IMMED = 0x02, /* SYNCHRONIZE CACHE */
};

/* clang-format off */
const struct scsi_op scsi_disk_ops[] = {
	{"TEST UNIT READY", 0x00, NO_SA, 6, ACCESS_READY, NULL, spc_test_unit_ready,
	 {0x00, NONE_4, CONTROL}, NULL},
	{"REQUEST SENSE", 0x03, NO_SA, 6, ACCESS_ANY, scsi_plan_alloc8_at4, spc_request_sense,
	 {0x03, 0x01, NONE_2, 0xff, CONTROL}, NULL},
	{"READ (6)", 0x08, NO_SA, 6, ACCESS_READ, scsi_plan_read, sbc_read6,
	 {0x08, 0x1f, ALL_3, CONTROL}, NULL},
	{"WRITE (6)", 0x0a, NO_SA, 6, ACCESS_WRITE, scsi_plan_write, sbc_write6,
	 {0x0a, 0x1f, ALL_3, CONTROL}, NULL},
	{"INQUIRY", 0x12, NO_SA, 6, ACCESS_ANY, scsi_plan_alloc16_at3, spc_inquiry,
	 {0x12, 0x01, ALL_3, CONTROL}, NULL},
	{"MODE SENSE (6)", 0x1a, NO_SA, 6, ACCESS_NONE, scsi_plan_alloc8_at4, spc_mode_sense6,
	 {0x1a, 0x08, ALL_3, CONTROL}, NULL},
	{"START STOP UNIT", 0x1b, NO_SA, 6, ACCESS_NONE, NULL, spc_start_stop,
	 {0x1b, IMMED, NONE_2, 0x05, CONTROL}, NULL},
	{"PREVENT ALLOW MEDIUM REMOVAL", 0x1e, NO_SA, 6, ACCESS_NONE, NULL, spc_prevent_allow,
	 {0x1e, NONE_3, 0x01, CONTROL}, NULL},
	{"READ CAPACITY (10)", 0x25, NO_SA, 10, ACCESS_READY, sbc_plan_capacity10,
	 sbc_read_capacity10,
	 {0x25, NONE_8, CONTROL}, NULL},
	{"READ (10)", 0x28, NO_SA, 10, ACCESS_READ, scsi_plan_read, sbc_read,
	 {0x28, DPO | FUA, ALL_4, 0, ALL_2, CONTROL}, NULL},
	{"WRITE (10)", 0x2a, NO_SA, 10, ACCESS_WRITE, scsi_plan_write, sbc_write,
	 {0x2a, DPO | FUA, ALL_4, 0, ALL_2, CONTROL}, NULL},
	{"VERIFY (10)", 0x2f, NO_SA, 10, ACCESS_READ, sbc_plan_verify, sbc_verify,
	 {0x2f, DPO | BYTCHK, ALL_4, 0, ALL_2, CONTROL}, NULL},
	{"SYNCHRONIZE CACHE (10)", 0x35, NO_SA, 10, ACCESS_READY, sbc_plan_sync, sbc_sync,
	 {0x35, SYNC_IMMED, ALL_4, 0, ALL_2, CONTROL}, NULL},
	{"UNMAP", 0x42, NO_SA, 10, ACCESS_WRITE, scsi_plan_list16_at7, sbc_unmap,
	 {0x42, NONE_4, NONE_2, ALL_2, CONTROL}, sbc_unmap_offered},
	{"MODE SENSE (10)", 0x5a, NO_SA, 10, ACCESS_NONE, scsi_plan_alloc16_at7, spc_mode_sense10,
	 {0x5a, 0x18, ALL_2, NONE_3, ALL_2, CONTROL}, NULL},
	{"READ (16)", 0x88, NO_SA, 16, ACCESS_READ, scsi_plan_read, sbc_read,
	 {0x88, DPO | FUA, ALL_8, ALL_4, 0, CONTROL}, NULL},
	{"WRITE (16)", 0x8a, NO_SA, 16, ACCESS_WRITE, scsi_plan_write, sbc_write,
	 {0x8a, DPO | FUA, ALL_8, ALL_4, 0, CONTROL}, NULL},
	{"VERIFY (16)", 0x8f, NO_SA, 16, ACCESS_READ, sbc_plan_verify, sbc_verify,
	 {0x8f, DPO | BYTCHK, ALL_8, ALL_4, 0, CONTROL}, NULL},
	{"SYNCHRONIZE CACHE (16)", 0x91, NO_SA, 16, ACCESS_READY, sbc_plan_sync, sbc_sync,
	 {0x91, SYNC_IMMED, ALL_8, ALL_4, 0, CONTROL}, NULL},
	{"READ CAPACITY (16)", 0x9e, 0x10, 16, ACCESS_READY, scsi_plan_alloc32_at10,
	 sbc_read_capacity16,
	 {0x9e, 0x10, NONE_8, ALL_4, 0, CONTROL}, NULL},
	{"GET LBA STATUS (16)", 0x9e, 0x12, 16, ACCESS_READY, sbc_plan_lba_status, sbc_get_lba_status,
	 {0x9e, 0x12, ALL_8, ALL_4, 0, CONTROL}, NULL},
	{"REPORT LUNS", 0xa0, NO_SA, 12, ACCESS_ANY, scsi_plan_alloc32_at6, spc_report_luns,
	 {0xa0, 0, 0xff, NONE_3, ALL_4, 0, CONTROL}, NULL},
	{"REPORT SUPPORTED OPERATION CODES", 0xa3, 0x0c, 12, ACCESS_NONE, scsi_plan_alloc32_at6,
	 spc_report_opcodes,
	 {0xa3, 0x0c, 0x87, ALL_3, ALL_4, 0, CONTROL}, NULL},
	{"REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS", 0xa3, 0x0d, 12, ACCESS_NONE,
	 scsi_plan_alloc32_at6, spc_report_tmf,
	 {0xa3, 0x0d, 0x80, NONE_3, ALL_4, 0, CONTROL}, NULL},
	{"READ (12)", 0xa8, NO_SA, 12, ACCESS_READ, scsi_plan_read, sbc_read,
	 {0xa8, DPO | FUA, ALL_4, ALL_4, 0, CONTROL}, NULL},
	{"WRITE (12)", 0xaa, NO_SA, 12, ACCESS_WRITE, scsi_plan_write, sbc_write,
	 {0xaa, DPO | FUA, ALL_4, ALL_4, 0, CONTROL}, NULL},
	{"VERIFY (12)", 0xaf, NO_SA, 12, ACCESS_READ, sbc_plan_verify, sbc_verify,
	 {0xaf, DPO | BYTCHK, ALL_4, ALL_4, 0, CONTROL}, NULL},
	{0},
};
/* clang-format on */
