/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which lengths and LBAs a command takes, said a second time: by the standards, knowing nothing of
 * the rows' plans. For tests that walk all rows; one that is not here makes them fail.
 */
#include "scsi/op.h"

enum cdb_takes {
	TAKES_NOTHING,	/* that a corner of could be tried */
	TAKES_ALLOC,	/* an allocation length */
	TAKES_LIST,	/* a parameter list length */
	TAKES_LBA_LIST, /* likewise, of a list with LBAs */
	TAKES_LBA,	/* a starting LBA, and an allocation length */
	TAKES_RANGE,	/* an LBA and a number of blocks, where the CDB's length says they are */
};

struct cdb_field {
	uint8_t opcode, sa;
	enum cdb_takes takes;
	uint8_t at, len; /* of the length: the first byte, and how many */
};

/* Fails the test for a row that is not known. */
const struct cdb_field *cdb_field_of(const struct scsi_op *op);

/* All of them. A nameless one, .at 0xff, is past the end. */
extern const struct cdb_field cdb_fields[];

/* A CDB with the row's operation code, service action and, where it has one, length; else 0. */
void cdb_begin(uint8_t *cdb, const struct scsi_op *op);

/* Big-endian, in @len bytes. */
uint64_t cdb_get(const uint8_t *at, unsigned len);
void cdb_put(uint8_t *at, unsigned len, uint64_t value);

/* Whether a value fits into @len bytes. */
static inline bool cdb_fits(uint64_t value, unsigned len)
{
	return len >= 8 || value < UINT64_C(1) << 8 * len;
}
