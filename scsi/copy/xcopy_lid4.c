/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EXTENDED COPY (LID4). Its header is 16 bytes of its own and a header CSCD descriptor of 32.
 * Source: SPC-5 r22, EXTENDED COPY parameter list.
 */
#include "scsi/copy/xcopy.h"
#include "util/bytes.h"

enum {
	FORMAT = 0x01,	 /* byte 0 */
	USAGE_SHIFT = 3, /* byte 1 */
	USAGE = 0x18,
	HEADER_CSCD_LEN = 32,
	G_SENSE = 0x01, /* byte 15: sense data together with GOOD, which is not done */
	IMMED = 0x02,
	HEADER_CSCD_TYPE = 0xff, /* byte 16 */
};

static enum scsi_step judge_header(struct scsi_task *task, const uint8_t *p,
				   const struct xcopy_header *header)
{
	if (p[0] != FORMAT)
		return scsi_check_param(task, 0, 0xff);
	if (header->list_usage == 1)
		return scsi_check_param(task, 1, USAGE);
	if (be16_get(p + 2) != HEADER_CSCD_LEN)
		return scsi_check_param(task, 2, 0xff);
	if (p[15] & G_SENSE)
		return scsi_check_param(task, 15, G_SENSE);
	if (header->immediate && header->list_usage == LIST_NONE) /* nobody could ask for it */
		return scsi_check_param(task, 15, IMMED);
	if (p[16] != HEADER_CSCD_TYPE)
		return scsi_check_param(task, 16, 0xff);
	return SCSI_READY;
}

enum scsi_step copy_extended_lid4(struct scsi_task *task)
{
	uint8_t list[XCOPY_PARAM_MAX];
	size_t len = scsi_param_copy(task, list, sizeof(list));
	struct xcopy_header header;

	if (!task->need_out)
		return scsi_good(task);
	if (len < XCOPY_HEADER_MAX)
		return scsi_check(task, SENSE_PARAMETER_LIST_LENGTH);
	header = (struct xcopy_header){
		.len = XCOPY_HEADER_MAX,
		.list_id = be32_get(list + 20),
		.list_usage = (list[1] & USAGE) >> USAGE_SHIFT,
		.cscds_len = be16_get(list + 42),
		.segments_len = be16_get(list + 44),
		.inline_len = be16_get(list + 46),
		.immediate = list[15] & IMMED,
	};
	if (judge_header(task, list, &header) == SCSI_DONE)
		return SCSI_DONE;
	return xcopy_run(task, &header, list, len);
}
