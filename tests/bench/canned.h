/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What canned.c asks of canned_scsi.c: what a CDB wants, and answers that are no disk data. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CANNED_BLOCK 512
#define CANNED_ANSWER_MAX 256

struct canned_wish {
	enum { CANNED_READ, CANNED_WRITE, CANNED_ANSWER, CANNED_NOTHING, CANNED_REFUSE } what;
	uint64_t offset, len; /* bytes of disk data */
	uint8_t answer[CANNED_ANSWER_MAX];
	size_t answer_len;
};

void canned_look(const uint8_t *cdb, uint64_t n_blocks, struct canned_wish *ret_wish);
