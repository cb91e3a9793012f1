/* SPDX-License-Identifier: Apache-2.0 */
/* Vital product data on what the device server supports. Source: SPC-5 r22. */
#include "scsi/alua/alua.h"
#include "scsi/spc/vpd.h"

enum {
	EXTENDED_LEN = 0x3c,
	/* by bytes of the page */
	BYTE_4_SPT = 0x38,    /* 111b: types 1, 2 and 3 */
	BYTE_4_CHECKS = 0x07, /* GRD_CHK, APP_CHK, REF_CHK */
	BYTE_5_SIMPSUP = 0x01,
	BYTE_5_ORDSUP = 0x02,
	BYTE_5_HEADSUP = 0x04,
	BYTE_6_V_SUP = 0x01,
	BYTE_7_LUICLR = 0x01, /* see scsi_itl_take_attention() */
	BYTE_8_R_SUP = 0x10,

	ALL_PAGES = 0x3f,
	ALL_SUBPAGES = 0xff,
	POLICY_SHARED = 0x00,
};

void vpd_extended(const struct scsi_task *task, struct bytes_out *out)
{
	size_t begin = out->len;

	out_u8(out, task->lu->pi ? BYTE_4_SPT | BYTE_4_CHECKS : 0);
	out_u8(out, BYTE_5_SIMPSUP | BYTE_5_ORDSUP | BYTE_5_HEADSUP);
	out_u8(out, task->lu->info.volatile_cache ? BYTE_6_V_SUP : 0);
	out_u8(out, BYTE_7_LUICLR);
	out_u8(out, scsi_referrals_offered(task->nexus) ? BYTE_8_R_SUP : 0);
	out_zero(out, 4);
	out_u8(out, SCSI_SENSE_MAX); /* MAXIMUM SUPPORTED SENSE DATA LENGTH */
	out_zero(out, EXTENDED_LEN - (out->len - begin));
}

/* Every mode page is one for all nexuses, and for no other LU. */
void vpd_mode_policy(const struct scsi_task *task, struct bytes_out *out)
{
	(void)task;
	out_u8(out, ALL_PAGES);
	out_u8(out, ALL_SUBPAGES);
	out_u8(out, POLICY_SHARED);
	out_zero(out, 1);
}
