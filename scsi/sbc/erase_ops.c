/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands that fill or empty many blocks at once, a row each. FORMAT UNIT and SANITIZE begin
 * when no other command is at work on the medium, and keep those that come later from it.
 * Source: SBC-4 r22.
 */
#include "scsi/op.h"
#include "scsi/sbc/sbc.h"

enum {
	FORMAT_FLAGS = 0x3f, /* LONGLIST, FMTDATA, CMPLST, DEFECT LIST FORMAT */
	FMTPINFO = 0xc0,
	SAME_FLAGS = 0x08,	/* UNMAP */
	SAME_LONG_FLAGS = 0x09, /* UNMAP, NDOB */
	SANITIZE_FLAGS = 0xa0,	/* IMMED, AUSE */
};

/* clang-format off */
const struct scsi_op erase_ops[] = {
	{"FORMAT UNIT", 0x04, NO_SA, 6, ACCESS_WRITE, sbc_plan_format, sbc_format_unit,
	 {0x04, FORMAT_FLAGS, NONE_3, CONTROL}, sbc_cannot_protect, .exclusive = true,
	 .timeout_s = TIMEOUT_WHOLE_MEDIUM},
	{"FORMAT UNIT", 0x04, NO_SA, 6, ACCESS_WRITE, sbc_plan_format, sbc_format_unit,
	 {0x04, FMTPINFO | FORMAT_FLAGS, NONE_3, CONTROL}, sbc_can_protect, .exclusive = true,
	 .timeout_s = TIMEOUT_WHOLE_MEDIUM},
	{"WRITE SAME (10)", 0x41, NO_SA, 10, ACCESS_WRITE, sbc_plan_write_same, sbc_write_same,
	 {0x41, SAME_FLAGS, ALL_4, 0, ALL_2, CONTROL}, .timeout_s = TIMEOUT_FLUSH, .devices = ON_PLAIN},
	{"UNMAP", 0x42, NO_SA, 10, ACCESS_WRITE, scsi_plan_list16_at7, sbc_unmap,
	 {0x42, NONE_4, NONE_2, ALL_2, CONTROL}, sbc_unmap_offered, .timeout_s = TIMEOUT_FLUSH},
	{"SANITIZE (OVERWRITE)", 0x48, 0x01, 10, ACCESS_WRITE, sbc_plan_sanitize_overwrite,
	 sbc_sanitize_overwrite,
	 {0x48, SANITIZE_FLAGS | 0x01, NONE_4, 0, ALL_2, CONTROL}, .exclusive = true,
	 .timeout_s = TIMEOUT_WHOLE_MEDIUM},
	{"SANITIZE (BLOCK ERASE)", 0x48, 0x02, 10, ACCESS_WRITE, NULL, sbc_sanitize_block_erase,
	 {0x48, SANITIZE_FLAGS | 0x02, NONE_4, NONE_3, CONTROL}, sbc_unmap_offered, .exclusive = true,
	 .timeout_s = TIMEOUT_WHOLE_MEDIUM},
	{"SANITIZE (CRYPTOGRAPHIC ERASE)", 0x48, 0x03, 10, ACCESS_WRITE, NULL,
	 sbc_sanitize_crypto_erase,
	 {0x48, SANITIZE_FLAGS | 0x03, NONE_4, NONE_3, CONTROL}, sbc_crypto_erase_offered,
	 .exclusive = true, .timeout_s = TIMEOUT_WHOLE_MEDIUM},
	{"SANITIZE (EXIT FAILURE MODE)", 0x48, 0x1f, 10, ACCESS_WRITE, NULL,
	 sbc_sanitize_exit_failure,
	 {0x48, SANITIZE_FLAGS | 0x1f, NONE_4, NONE_3, CONTROL}, .exclusive = true},
	{"WRITE SAME (32)", 0x7f, 0x0d, 32, ACCESS_WRITE, sbc_plan_write_same, sbc_write_same,
	 {0x7f, CONTROL, NONE_4, 0, 0x18, 0, 0x0d, SAME_LONG_FLAGS, 0, ALL_8, NONE_8, ALL_4},
	 .timeout_s = TIMEOUT_FLUSH, .devices = ON_PLAIN},
	{"WRITE SAME (16)", 0x93, NO_SA, 16, ACCESS_WRITE, sbc_plan_write_same, sbc_write_same,
	 {0x93, SAME_LONG_FLAGS, ALL_8, ALL_4, 0, CONTROL}, .timeout_s = TIMEOUT_FLUSH, .devices = ON_PLAIN},
	{0},
};
/* clang-format on */
