/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Copy sources and copy destinations (CSCD): descriptors that name LUs. A name leads to a LU only
 * if the target of the asking nexus maps it; whatever else there is in this process has no name.
 */
#include "scsi/copy/copy.h"
#include "scsi/lu_priv.h"

#define CSCD_LEN 32 /* of an identification descriptor */

struct cscd {
	struct scsi_lu *lu; /* not referenced: valid within the command's turn; NULL: see why */
	enum scsi_sense_code why; /* what a segment that names it ends with */
	uint32_t block_size;
	uint64_t n_blocks;
	bool pad;
};

/**
 * cscd_read() - the descriptors of a list
 * @list: @len bytes that begin @at in the parameter list
 * @ret:  room for COPY_MAX_CSCDS
 * Return: SCSI_READY; SCSI_DONE with the answer of a list that is wrong.
 */
enum scsi_step cscd_read(struct scsi_task *task, const uint8_t *list, size_t len, unsigned at,
			 struct cscd *ret, unsigned *ret_n);

/* The LU of the task itself. */
void cscd_self(struct scsi_task *task, struct cscd *ret);

/* The LU with this UUID, if the nexus may see it, as cscd_read() gives it; else NULL. */
struct scsi_lu *cscd_find_uuid(struct scsi_task *task, const uint8_t *uuid);

/* An identification descriptor of @lu: CSCD_LEN bytes. */
void cscd_put(const struct scsi_lu *lu, uint8_t *buf);
