/* SPDX-License-Identifier: Apache-2.0 */
/* EXTENDED COPY (LID1), the form of SPC-3, which VMware sends. Source: SPC-4 r37. */
#include "scsi/copy/xcopy.h"
#include "util/bytes.h"

enum {
	HEADER_LEN = 16,
	USAGE_SHIFT = 3, /* byte 1 */
	USAGE = 0x18,
};

static enum scsi_step read_header(struct scsi_task *task, const uint8_t *list, size_t len,
				  struct xcopy_header *header)
{
	struct bytes_in in = bytes_in(list, len);

	*header = (struct xcopy_header){.len = HEADER_LEN};
	header->list_id = in_u8(&in);
	header->list_usage = (in_u8(&in) & USAGE) >> USAGE_SHIFT;
	header->cscds_len = in_be16(&in);
	in_skip(&in, 4);
	header->segments_len = in_be32(&in);
	header->inline_len = in_be32(&in);
	if (in.bad)
		return scsi_check(task, SENSE_PARAMETER_LIST_LENGTH);
	if (header->list_usage == 1)
		return scsi_check_param(task, 1, USAGE);
	if (header->list_usage == LIST_NONE && header->list_id)
		return scsi_check_param(task, 0, 0xff);
	return SCSI_READY;
}

enum scsi_step copy_extended_lid1(struct scsi_task *task)
{
	uint8_t list[XCOPY_PARAM_MAX];
	size_t len = scsi_param_copy(task, list, sizeof(list));
	struct xcopy_header header;

	if (!task->need_out)
		return scsi_good(task); /* no list is no error, and no copy */
	if (read_header(task, list, len, &header) == SCSI_DONE)
		return SCSI_DONE;
	return xcopy_run(task, &header, list, len);
}
