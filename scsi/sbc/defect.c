/* SPDX-License-Identifier: Apache-2.0 */
/*
 * READ DEFECT DATA (10) (12). A store hides its defects, so both lists are empty, in whatever
 * format they are asked for. Source: SBC-4 r22, READ DEFECT DATA.
 */
#include "scsi/op.h"
#include "scsi/sbc/sbc.h"

enum {
	REQUESTED =
		0x18, /* REQ_PLIST, REQ_GLIST; in the answer PLISTV, GLISTV, in the same place */
	FORMAT = 0x07,
	FORMAT_VENDOR = 6, /* and 7 is reserved */
	HEADER10_LEN = 4,
	HEADER12_LEN = 8,
};

/* @at: the CDB's byte of lists and format */
static enum scsi_step empty_list(struct scsi_task *task, unsigned at, size_t header_len)
{
	uint8_t buf[HEADER12_LEN] = {0};

	if ((task->cdb[at] & FORMAT) >= FORMAT_VENDOR)
		return scsi_check_field(task, at, FORMAT);
	buf[1] = task->cdb[at] & (REQUESTED | FORMAT);
	return scsi_reply(task, buf, header_len);
}

enum scsi_step sbc_read_defect10(struct scsi_task *task)
{
	return empty_list(task, 2, HEADER10_LEN);
}

/* Any ADDRESS DESCRIPTOR INDEX is past the end of an empty list. */
enum scsi_step sbc_read_defect12(struct scsi_task *task)
{
	return empty_list(task, 1, HEADER12_LEN);
}
