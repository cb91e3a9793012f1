/* SPDX-License-Identifier: Apache-2.0 */
/* READ CAPACITY (10) and (16). Source: SBC-4 r22. */
#include "scsi/lu_priv.h"
#include "scsi/sbc/sbc.h"
#include "util/bytes.h"

enum {
	CAPACITY10_LEN = 8,
	CAPACITY16_LEN = 32,

	PROT_EN = 0x01, /* byte 12: the medium is formatted with protection information */
	LBPME = 0x80,	/* byte 14: LOGICAL BLOCK PROVISIONING MANAGEMENT ENABLED */
	LBPRZ = 0x40,	/* unmapped blocks read as zeroes */
};

enum scsi_step sbc_plan_capacity10(struct scsi_task *task)
{
	task->need_in = CAPACITY10_LEN;
	return SCSI_READY;
}

enum scsi_step sbc_read_capacity10(struct scsi_task *task)
{
	const struct scsi_lu_view *view = scsi_lu_view(task->lu);
	uint64_t last = view->n_blocks - 1;
	uint8_t buf[CAPACITY10_LEN];

	/* FFFFFFFFh: ask READ CAPACITY (16) */
	be32_put(buf, last > UINT32_MAX ? UINT32_MAX : (uint32_t)last);
	be32_put(buf + 4, view->block_size);
	return scsi_reply(task, buf, sizeof(buf));
}

unsigned sbc_physical_exponent(const struct scsi_lu *lu)
{
	uint64_t size = scsi_lu_view(lu)->block_size;
	unsigned exponent = 0;

	while (exponent < 15 && size << (exponent + 1) <= lu->info.physical_block)
		exponent++;
	return exponent;
}

enum scsi_step sbc_read_capacity16(struct scsi_task *task)
{
	const struct scsi_lu_view *view = scsi_lu_view(task->lu);
	uint8_t buf[CAPACITY16_LEN] = {0};

	be64_put(buf, view->n_blocks - 1);
	be32_put(buf + 8, view->block_size);
	if (view->protection) /* P_TYPE counts from 0; an interval is a block: P_I_EXPONENT 0 */
		buf[12] = (uint8_t)((view->protection - 1) << 1 | PROT_EN);
	buf[13] = (uint8_t)sbc_physical_exponent(task->lu);
	be16_put(buf + 14, view->lowest_aligned); /* 14 bits, below the two flags */
	buf[14] |= view->thin ? LBPME | LBPRZ : 0;
	return scsi_reply(task, buf, sizeof(buf));
}
