/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of commands that run alone on their LU. A usage bit that is 0 stands for what is
 * reserved, obsolete, or not supported here, and refused when it is set: FUA_NV, GROUP NUMBER,
 * ATOMIC BOUNDARY, all of ORWRITE (32) but the set operation. See scsi/pi/pi_ops.c as well.
 * Source: SBC-4 r22.
 */
#include "scsi/op.h"
#include "scsi/sbc/atomic.h"

enum { DPO = 0x10, FUA = 0x08 };

/* clang-format off */
const struct scsi_op sbc_atomic_ops[] = {
	{"ORWRITE (32)", 0x7f, 0x0e, 32, ACCESS_WRITE, sbc_plan_orwrite32, sbc_orwrite,
	 {0x7f, CONTROL, NONE_4, 0, 0x18, 0, 0x0e, DPO | FUA, 0, ALL_8, ALL_4, NONE_4, ALL_4},
	 .exclusive = true, .devices = ON_PLAIN},
	{"COMPARE AND WRITE", 0x89, NO_SA, 16, ACCESS_WRITE, sbc_plan_compare_and_write,
	 sbc_compare_and_write,
	 {0x89, DPO | FUA, ALL_8, NONE_3, 0xff, 0, CONTROL},
	 .exclusive = true, .devices = ON_PLAIN},
	{"ORWRITE (16)", 0x8b, NO_SA, 16, ACCESS_WRITE, scsi_plan_write, sbc_orwrite,
	 {0x8b, DPO | FUA, ALL_8, ALL_4, 0, CONTROL},
	 .exclusive = true, .devices = ON_PLAIN},
	{"WRITE ATOMIC (16)", 0x9c, NO_SA, 16, ACCESS_WRITE, sbc_plan_write_atomic,
	 sbc_write_atomic,
	 {0x9c, DPO | FUA, ALL_8, NONE_2, ALL_2, 0, CONTROL},
	 .offered = sbc_write_atomic_offered, .exclusive = true, .devices = ON_PLAIN},
	{0},
};
/* clang-format on */
