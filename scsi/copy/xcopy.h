/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What both forms of EXTENDED COPY share: from their lists to the pieces of a job. */
#include "scsi/copy/copy_job.h"

#define XCOPY_HEADER_MAX 48 /* of LID4; LID1 has 16 */
#define XCOPY_PARAM_MAX (XCOPY_HEADER_MAX + COPY_MAX_LIST)

/* LIST ID USAGE */
enum { LIST_HOLD = 0, LIST_DISCARD = 2, LIST_NONE = 3 };

/* The header of either form. */
struct xcopy_header {
	unsigned len; /* bytes of it: the CSCD descriptors follow */
	uint32_t list_id;
	uint8_t list_usage;
	uint32_t cscds_len, segments_len, inline_len; /* bytes */
	bool immediate;
};

/**
 * xcopy_run() - what follows the header, judged and done
 * @list: @len bytes that have come of the parameter list
 * Return: as scsi_op.run.
 */
enum scsi_step xcopy_run(struct scsi_task *task, const struct xcopy_header *header,
			 const uint8_t *list, size_t len);
