/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows that a LU has instead of those in scsi/sbc/ when it is formatted with protection
 * information: with their protect field; and of type 2, the commands of 32 bytes, with the tags
 * that are expected. Types 1 and 3 have no such commands but ORWRITE (32). Source: SBC-4 r22.
 */
#include "scsi/op.h"
#include "scsi/pi/protect.h"
#include "scsi/sbc/atomic.h"
#include "scsi/sbc/sbc.h"

enum {
	PROTECT = 0xe0,
	DPO = 0x10,
	FUA = 0x08,
	BYTCHK = 0x06,
	BYTCHK_ONE = 0x02,
	UNMAP = 0x08,
	NDOB = 0x01,
};

/* clang-format off */
const struct scsi_op pi_ops[] = {
	{"READ (6)", 0x08, NO_SA, 6, ACCESS_READ, pi_plan_read, pi_read,
	 {0x08, 0x1f, ALL_3, CONTROL}},
	{"WRITE (6)", 0x0a, NO_SA, 6, ACCESS_WRITE, pi_plan_write, pi_write,
	 {0x0a, 0x1f, ALL_3, CONTROL}},
	{"READ (10)", 0x28, NO_SA, 10, ACCESS_READ, pi_plan_read, pi_read,
	 {0x28, PROTECT | DPO | FUA, ALL_4, 0, ALL_2, CONTROL}},
	{"WRITE (10)", 0x2a, NO_SA, 10, ACCESS_WRITE, pi_plan_write, pi_write,
	 {0x2a, PROTECT | DPO | FUA, ALL_4, 0, ALL_2, CONTROL}},
	{"WRITE AND VERIFY (10)", 0x2e, NO_SA, 10, ACCESS_WRITE, pi_plan_write, sbc_write_verify,
	 {0x2e, PROTECT | DPO | BYTCHK_ONE, ALL_4, 0, ALL_2, CONTROL}},
	{"VERIFY (10)", 0x2f, NO_SA, 10, ACCESS_READ, sbc_plan_verify, sbc_verify,
	 {0x2f, PROTECT | DPO | BYTCHK, ALL_4, 0, ALL_2, CONTROL}},
	{"WRITE SAME (10)", 0x41, NO_SA, 10, ACCESS_WRITE, sbc_plan_write_same, sbc_write_same,
	 {0x41, PROTECT | UNMAP, ALL_4, 0, ALL_2, CONTROL}, .timeout_s = TIMEOUT_FLUSH},
	{"ORWRITE (32)", 0x7f, 0x0e, 32, ACCESS_WRITE, sbc_plan_orwrite32, sbc_orwrite,
	 {0x7f, CONTROL, NONE_4, 0, 0x18, 0, 0x0e, PROTECT | DPO | FUA, 0, ALL_8, ALL_4, NONE_4,
	  ALL_4}, .exclusive = true},
	{"READ (16)", 0x88, NO_SA, 16, ACCESS_READ, pi_plan_read, pi_read,
	 {0x88, PROTECT | DPO | FUA, ALL_8, ALL_4, 0, CONTROL}},
	{"COMPARE AND WRITE", 0x89, NO_SA, 16, ACCESS_WRITE, sbc_plan_compare_and_write,
	 sbc_compare_and_write,
	 {0x89, PROTECT | DPO | FUA, ALL_8, NONE_3, 0xff, 0, CONTROL}, .exclusive = true},
	{"WRITE (16)", 0x8a, NO_SA, 16, ACCESS_WRITE, pi_plan_write, pi_write,
	 {0x8a, PROTECT | DPO | FUA, ALL_8, ALL_4, 0, CONTROL}},
	{"ORWRITE (16)", 0x8b, NO_SA, 16, ACCESS_WRITE, pi_plan_orwrite, sbc_orwrite,
	 {0x8b, PROTECT | DPO | FUA, ALL_8, ALL_4, 0, CONTROL}, .exclusive = true},
	{"WRITE AND VERIFY (16)", 0x8e, NO_SA, 16, ACCESS_WRITE, pi_plan_write, sbc_write_verify,
	 {0x8e, PROTECT | DPO | BYTCHK_ONE, ALL_8, ALL_4, 0, CONTROL}},
	{"VERIFY (16)", 0x8f, NO_SA, 16, ACCESS_READ, sbc_plan_verify, sbc_verify,
	 {0x8f, PROTECT | DPO | BYTCHK, ALL_8, ALL_4, 0, CONTROL}},
	{"WRITE SAME (16)", 0x93, NO_SA, 16, ACCESS_WRITE, sbc_plan_write_same, sbc_write_same,
	 {0x93, PROTECT | UNMAP | NDOB, ALL_8, ALL_4, 0, CONTROL}, .timeout_s = TIMEOUT_FLUSH},
	{"WRITE ATOMIC (16)", 0x9c, NO_SA, 16, ACCESS_WRITE, sbc_plan_write_atomic,
	 sbc_write_atomic,
	 {0x9c, PROTECT | DPO | FUA, ALL_8, NONE_2, ALL_2, 0, CONTROL},
	 .offered = sbc_write_atomic_offered, .exclusive = true},
	{"READ (12)", 0xa8, NO_SA, 12, ACCESS_READ, pi_plan_read, pi_read,
	 {0xa8, PROTECT | DPO | FUA, ALL_4, ALL_4, 0, CONTROL}},
	{"WRITE (12)", 0xaa, NO_SA, 12, ACCESS_WRITE, pi_plan_write, pi_write,
	 {0xaa, PROTECT | DPO | FUA, ALL_4, ALL_4, 0, CONTROL}},
	{"WRITE AND VERIFY (12)", 0xae, NO_SA, 12, ACCESS_WRITE, pi_plan_write, sbc_write_verify,
	 {0xae, PROTECT | DPO | BYTCHK_ONE, ALL_4, ALL_4, 0, CONTROL}},
	{"VERIFY (12)", 0xaf, NO_SA, 12, ACCESS_READ, sbc_plan_verify, sbc_verify,
	 {0xaf, PROTECT | DPO | BYTCHK, ALL_4, ALL_4, 0, CONTROL}},
	{0},
};

/* From ADDITIONAL CDB LENGTH on, with the three tags. */
#define TAGGED_CDB(sa, flags)                                                                      \
	{                                                                                          \
		0x7f, CONTROL, NONE_4, 0, 0x18, 0, sa, PROTECT | (flags), 0, ALL_8, ALL_8, ALL_4   \
	}

const struct scsi_op pi_long_ops[] = {
	{"READ (32)", 0x7f, 0x09, 32, ACCESS_READ, pi_plan_read, pi_read,
	 TAGGED_CDB(0x09, DPO | FUA)},
	{"VERIFY (32)", 0x7f, 0x0a, 32, ACCESS_READ, sbc_plan_verify, sbc_verify,
	 TAGGED_CDB(0x0a, DPO | BYTCHK)},
	{"WRITE (32)", 0x7f, 0x0b, 32, ACCESS_WRITE, pi_plan_write, pi_write,
	 TAGGED_CDB(0x0b, DPO | FUA)},
	{"WRITE AND VERIFY (32)", 0x7f, 0x0c, 32, ACCESS_WRITE, pi_plan_write, sbc_write_verify,
	 TAGGED_CDB(0x0c, DPO | BYTCHK_ONE)},
	{"WRITE SAME (32)", 0x7f, 0x0d, 32, ACCESS_WRITE, sbc_plan_write_same, sbc_write_same,
	 TAGGED_CDB(0x0d, UNMAP | NDOB), .timeout_s = TIMEOUT_FLUSH},
	{0},
};
/* clang-format on */
