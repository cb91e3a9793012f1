/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The block commands, a row each, by operation code. A usage bit that is 0 stands for what is
 * reserved, obsolete, or not supported here, and refused when it is set: RARC, FUA_NV, GROUP
 * NUMBER, PMI of READ CAPACITY. A LU that is formatted with protection information has the rows of
 * scsi/pi/pi_ops.c in place of those with ON_PLAIN. Source: SBC-4 r22.
 */
#include "scsi/alua/alua.h"
#include "scsi/op.h"
#include "scsi/sbc/sbc.h"

enum {
	ONE_SEG = 0x01,
	DPO = 0x10,
	FUA = 0x08,
	BYTCHK = 0x06,
	BYTCHK_ONE = 0x02, /* WRITE AND VERIFY compares all or nothing */
	SYNC_IMMED = 0x02, /* SYNCHRONIZE CACHE, PRE-FETCH */
	SYNC_NV = 0x04,	   /* SYNCHRONIZE CACHE: asks for less than is done; SBC-2 r16 */
	GROUP = 0x1f,	   /* of PRE-FETCH: nothing is counted by group, and a hint may say more */
	LISTS = 0x1f,	   /* REQ_PLIST, REQ_GLIST, DEFECT LIST FORMAT */
};

/* A CDB of 32 bytes, from ADDITIONAL CDB LENGTH on; group number and tags are none. */
#define LONG_CDB(sa, flags)                                                                        \
	{                                                                                          \
		0x7f, CONTROL, NONE_4, 0, 0x18, 0, sa, flags, 0, ALL_8, NONE_8, ALL_4              \
	}

/* clang-format off */
const struct scsi_op sbc_ops[] = {
	{"READ (6)", 0x08, NO_SA, 6, ACCESS_READ, scsi_plan_read, sbc_read6,
	 {0x08, 0x1f, ALL_3, CONTROL}, .devices = ON_PLAIN},
	{"WRITE (6)", 0x0a, NO_SA, 6, ACCESS_WRITE, scsi_plan_write, sbc_write6,
	 {0x0a, 0x1f, ALL_3, CONTROL}, .devices = ON_PLAIN},
	{"READ CAPACITY (10)", 0x25, NO_SA, 10, ACCESS_READY, sbc_plan_capacity10,
	 sbc_read_capacity10,
	 {0x25, NONE_8, CONTROL}, .resv = RESV_ALLOWED},
	{"READ (10)", 0x28, NO_SA, 10, ACCESS_READ, scsi_plan_read, sbc_read,
	 {0x28, DPO | FUA, ALL_4, 0, ALL_2, CONTROL}, .devices = ON_PLAIN},
	{"WRITE (10)", 0x2a, NO_SA, 10, ACCESS_WRITE, scsi_plan_write, sbc_write,
	 {0x2a, DPO | FUA, ALL_4, 0, ALL_2, CONTROL}, .devices = ON_PLAIN},
	{"WRITE AND VERIFY (10)", 0x2e, NO_SA, 10, ACCESS_WRITE, scsi_plan_write, sbc_write_verify,
	 {0x2e, DPO | BYTCHK_ONE, ALL_4, 0, ALL_2, CONTROL}, .devices = ON_PLAIN},
	{"VERIFY (10)", 0x2f, NO_SA, 10, ACCESS_READ, sbc_plan_verify, sbc_verify,
	 {0x2f, DPO | BYTCHK, ALL_4, 0, ALL_2, CONTROL}, .devices = ON_PLAIN},
	{"PRE-FETCH (10)", 0x34, NO_SA, 10, ACCESS_READ, sbc_plan_prefetch, sbc_prefetch,
	 {0x34, SYNC_IMMED, ALL_4, GROUP, ALL_2, CONTROL}},
	{"SYNCHRONIZE CACHE (10)", 0x35, NO_SA, 10, ACCESS_READY, sbc_plan_sync, sbc_sync,
	 {0x35, SYNC_NV | SYNC_IMMED, ALL_4, 0, ALL_2, CONTROL}, .resv = RESV_CONFLICT,
	 .timeout_s = TIMEOUT_FLUSH},
	{"READ DEFECT DATA (10)", 0x37, NO_SA, 10, ACCESS_READY, scsi_plan_alloc16_at7,
	 sbc_read_defect10,
	 {0x37, 0, LISTS, NONE_4, ALL_2, CONTROL}},
	{"READ (32)", 0x7f, 0x09, 32, ACCESS_READ, scsi_plan_read, sbc_read,
	 LONG_CDB(0x09, DPO | FUA), .devices = ON_PLAIN},
	{"VERIFY (32)", 0x7f, 0x0a, 32, ACCESS_READ, sbc_plan_verify, sbc_verify,
	 LONG_CDB(0x0a, DPO | BYTCHK), .devices = ON_PLAIN},
	{"WRITE (32)", 0x7f, 0x0b, 32, ACCESS_WRITE, scsi_plan_write, sbc_write,
	 LONG_CDB(0x0b, DPO | FUA), .devices = ON_PLAIN},
	{"WRITE AND VERIFY (32)", 0x7f, 0x0c, 32, ACCESS_WRITE, scsi_plan_write, sbc_write_verify,
	 LONG_CDB(0x0c, DPO | BYTCHK_ONE), .devices = ON_PLAIN},
	{"READ (16)", 0x88, NO_SA, 16, ACCESS_READ, scsi_plan_read, sbc_read,
	 {0x88, DPO | FUA, ALL_8, ALL_4, 0, CONTROL}, .devices = ON_PLAIN},
	{"WRITE (16)", 0x8a, NO_SA, 16, ACCESS_WRITE, scsi_plan_write, sbc_write,
	 {0x8a, DPO | FUA, ALL_8, ALL_4, 0, CONTROL}, .devices = ON_PLAIN},
	{"WRITE AND VERIFY (16)", 0x8e, NO_SA, 16, ACCESS_WRITE, scsi_plan_write, sbc_write_verify,
	 {0x8e, DPO | BYTCHK_ONE, ALL_8, ALL_4, 0, CONTROL}, .devices = ON_PLAIN},
	{"VERIFY (16)", 0x8f, NO_SA, 16, ACCESS_READ, sbc_plan_verify, sbc_verify,
	 {0x8f, DPO | BYTCHK, ALL_8, ALL_4, 0, CONTROL}, .devices = ON_PLAIN},
	{"PRE-FETCH (16)", 0x90, NO_SA, 16, ACCESS_READ, sbc_plan_prefetch, sbc_prefetch,
	 {0x90, SYNC_IMMED, ALL_8, ALL_4, GROUP, CONTROL}},
	{"SYNCHRONIZE CACHE (16)", 0x91, NO_SA, 16, ACCESS_READY, sbc_plan_sync, sbc_sync,
	 {0x91, SYNC_NV | SYNC_IMMED, ALL_8, ALL_4, 0, CONTROL}, .resv = RESV_CONFLICT,
	 .timeout_s = TIMEOUT_FLUSH},
	{"READ CAPACITY (16)", 0x9e, 0x10, 16, ACCESS_READY, scsi_plan_alloc32_at10,
	 sbc_read_capacity16,
	 {0x9e, 0x10, NONE_8, ALL_4, 0, CONTROL}, .resv = RESV_ALLOWED},
	{"GET LBA STATUS (16)", 0x9e, 0x12, 16, ACCESS_READY, sbc_plan_lba_status, sbc_get_lba_status,
	 {0x9e, 0x12, ALL_8, ALL_4, 0, CONTROL}},
	{"REPORT REFERRALS", 0x9e, 0x13, 16, ACCESS_READY, sbc_plan_lba_status,
	 scsi_referrals_report,
	 {0x9e, 0x13, ALL_8, ALL_4, ONE_SEG, CONTROL}, .resv = RESV_ALLOWED,
	 .offered_to = scsi_referrals_offered},
	{"READ (12)", 0xa8, NO_SA, 12, ACCESS_READ, scsi_plan_read, sbc_read,
	 {0xa8, DPO | FUA, ALL_4, ALL_4, 0, CONTROL}, .devices = ON_PLAIN},
	{"WRITE (12)", 0xaa, NO_SA, 12, ACCESS_WRITE, scsi_plan_write, sbc_write,
	 {0xaa, DPO | FUA, ALL_4, ALL_4, 0, CONTROL}, .devices = ON_PLAIN},
	{"WRITE AND VERIFY (12)", 0xae, NO_SA, 12, ACCESS_WRITE, scsi_plan_write, sbc_write_verify,
	 {0xae, DPO | BYTCHK_ONE, ALL_4, ALL_4, 0, CONTROL}, .devices = ON_PLAIN},
	{"VERIFY (12)", 0xaf, NO_SA, 12, ACCESS_READ, sbc_plan_verify, sbc_verify,
	 {0xaf, DPO | BYTCHK, ALL_4, ALL_4, 0, CONTROL}, .devices = ON_PLAIN},
	{"READ DEFECT DATA (12)", 0xb7, NO_SA, 12, ACCESS_READY, scsi_plan_alloc32_at6,
	 sbc_read_defect12,
	 {0xb7, LISTS, ALL_4, ALL_4, 0, CONTROL}},
	{0},
};
/* clang-format on */
