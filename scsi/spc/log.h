/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Log pages: a page is a row, and so is each of its parameters. */
#include "scsi/counters.h"
#include "scsi/lu_priv.h"
#include "util/bytes.h"

/* What the parameters of one LOG SENSE are made from. */
struct log_source {
	const struct scsi_task *task;
	struct scsi_totals totals;
	bool space_known; /* what follows was asked for, and the store told it */
	uint64_t used_bytes, free_bytes;
};

enum log_kind {
	LOG_COUNTER = 0x00, /* bounded data counter */
	LOG_UNBOUNDED = 0x02,
	LOG_LIST = 0x03, /* binary format list: nothing to reset */
};

struct log_parameter {
	uint8_t page;
	uint16_t code;
	enum log_kind kind;
	uint8_t len;
	/* @base: the totals as they were when the parameter was reset last */
	void (*build)(const struct log_source *from, const struct scsi_totals *base,
		      struct bytes_out *out);
	bool (*offered)(const struct scsi_lu *lu); /* NULL: yes */
};

/* By page and code, ascending; ends with a row that builds nothing. */
extern const struct log_parameter log_parameters[];

/* A page without parameters of its own lists the others: 00, 00/FF. */
#define LOG_MAX 512
