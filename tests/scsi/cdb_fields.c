/* SPDX-License-Identifier: Apache-2.0 */
/* See cdb_fields.h. Source: SPC-5 r22, SBC-4 r22, MMC-6 r02g. */
#include "tests/scsi/cdb_fields.h"
#include "tests/scsi/harness.h"
#include <string.h>

/* clang-format off */
const struct cdb_field cdb_fields[] = {
	{0x00, NO_SA, TAKES_NOTHING, 0, 0}, /* TEST UNIT READY */
	{0x03, NO_SA, TAKES_ALLOC, 4, 1}, /* REQUEST SENSE */
	{0x04, NO_SA, TAKES_NOTHING, 0, 0}, /* FORMAT UNIT */
	{0x08, NO_SA, TAKES_RANGE, 4, 1}, /* READ (6) */
	{0x0a, NO_SA, TAKES_RANGE, 4, 1}, /* WRITE (6) */
	{0x12, NO_SA, TAKES_ALLOC, 3, 2}, /* INQUIRY */
	{0x15, NO_SA, TAKES_LIST, 4, 1}, /* MODE SELECT (6) */
	{0x16, NO_SA, TAKES_NOTHING, 0, 0}, /* RESERVE (6) */
	{0x17, NO_SA, TAKES_NOTHING, 0, 0}, /* RELEASE (6) */
	{0x1a, NO_SA, TAKES_ALLOC, 4, 1}, /* MODE SENSE (6) */
	{0x1b, NO_SA, TAKES_NOTHING, 0, 0}, /* START STOP UNIT */
	{0x1c, NO_SA, TAKES_ALLOC, 3, 2}, /* RECEIVE DIAGNOSTIC RESULTS */
	{0x1d, NO_SA, TAKES_LIST, 3, 2}, /* SEND DIAGNOSTIC */
	{0x1e, NO_SA, TAKES_NOTHING, 0, 0}, /* PREVENT ALLOW MEDIUM REMOVAL */
	{0x25, NO_SA, TAKES_NOTHING, 0, 0}, /* READ CAPACITY (10) */
	{0x28, NO_SA, TAKES_RANGE, 7, 2}, /* READ (10) */
	{0x2a, NO_SA, TAKES_RANGE, 7, 2}, /* WRITE (10) */
	{0x2e, NO_SA, TAKES_RANGE, 7, 2}, /* WRITE AND VERIFY (10) */
	{0x2f, NO_SA, TAKES_RANGE, 7, 2}, /* VERIFY (10) */
	{0x34, NO_SA, TAKES_RANGE, 7, 2}, /* PRE-FETCH (10) */
	{0x35, NO_SA, TAKES_RANGE, 7, 2}, /* SYNCHRONIZE CACHE (10) */
	{0x37, NO_SA, TAKES_ALLOC, 7, 2}, /* READ DEFECT DATA (10) */
	{0x3b, NO_SA, TAKES_LIST, 6, 3}, /* WRITE BUFFER (10) */
	{0x3c, NO_SA, TAKES_ALLOC, 6, 3}, /* READ BUFFER (10) */
	{0x41, NO_SA, TAKES_RANGE, 7, 2}, /* WRITE SAME (10) */
	{0x42, NO_SA, TAKES_LBA_LIST, 7, 2}, /* UNMAP */
	{0x43, NO_SA, TAKES_ALLOC, 7, 2}, /* READ TOC/PMA/ATIP */
	{0x46, NO_SA, TAKES_ALLOC, 7, 2}, /* GET CONFIGURATION */
	{0x48, 0x01, TAKES_LIST, 7, 2}, /* SANITIZE (OVERWRITE) */
	{0x48, 0x02, TAKES_NOTHING, 0, 0}, /* SANITIZE (BLOCK ERASE) */
	{0x48, 0x03, TAKES_NOTHING, 0, 0}, /* SANITIZE (CRYPTOGRAPHIC ERASE) */
	{0x48, 0x1f, TAKES_NOTHING, 0, 0}, /* SANITIZE (EXIT FAILURE MODE) */
	{0x4a, NO_SA, TAKES_ALLOC, 7, 2}, /* GET EVENT STATUS NOTIFICATION */
	{0x4c, NO_SA, TAKES_NOTHING, 0, 0}, /* LOG SELECT */
	{0x4d, NO_SA, TAKES_ALLOC, 7, 2}, /* LOG SENSE */
	{0x51, NO_SA, TAKES_ALLOC, 7, 2}, /* READ DISC INFORMATION */
	{0x52, NO_SA, TAKES_LBA, 7, 2}, /* READ TRACK INFORMATION */
	{0x55, NO_SA, TAKES_LIST, 7, 2}, /* MODE SELECT (10) */
	{0x56, NO_SA, TAKES_NOTHING, 0, 0}, /* RESERVE (10) */
	{0x57, NO_SA, TAKES_NOTHING, 0, 0}, /* RELEASE (10) */
	{0x5a, NO_SA, TAKES_ALLOC, 7, 2}, /* MODE SENSE (10) */
	{0x5e, 0x00, TAKES_ALLOC, 7, 2}, /* PERSISTENT RESERVE IN, READ KEYS */
	{0x5e, 0x01, TAKES_ALLOC, 7, 2}, /* PERSISTENT RESERVE IN, READ RESERVATION */
	{0x5e, 0x02, TAKES_ALLOC, 7, 2}, /* PERSISTENT RESERVE IN, REPORT CAPABILITIES */
	{0x5e, 0x03, TAKES_ALLOC, 7, 2}, /* PERSISTENT RESERVE IN, READ FULL STATUS */
	{0x5f, 0x00, TAKES_LIST, 5, 4}, /* PERSISTENT RESERVE OUT, REGISTER */
	{0x5f, 0x01, TAKES_LIST, 5, 4}, /* PERSISTENT RESERVE OUT, RESERVE */
	{0x5f, 0x02, TAKES_LIST, 5, 4}, /* PERSISTENT RESERVE OUT, RELEASE */
	{0x5f, 0x03, TAKES_LIST, 5, 4}, /* PERSISTENT RESERVE OUT, CLEAR */
	{0x5f, 0x04, TAKES_LIST, 5, 4}, /* PERSISTENT RESERVE OUT, PREEMPT */
	{0x5f, 0x05, TAKES_LIST, 5, 4}, /* PERSISTENT RESERVE OUT, PREEMPT AND ABORT */
	{0x5f, 0x06, TAKES_LIST, 5, 4}, /* PERSISTENT RESERVE OUT, REGISTER AND IGNORE EXISTING KEY */
	{0x5f, 0x07, TAKES_LIST, 5, 4}, /* PERSISTENT RESERVE OUT, REGISTER AND MOVE */
	{0x7f, 0x09, TAKES_RANGE, 28, 4}, /* READ (32) */
	{0x7f, 0x0a, TAKES_RANGE, 28, 4}, /* VERIFY (32) */
	{0x7f, 0x0b, TAKES_RANGE, 28, 4}, /* WRITE (32) */
	{0x7f, 0x0c, TAKES_RANGE, 28, 4}, /* WRITE AND VERIFY (32) */
	{0x7f, 0x0d, TAKES_RANGE, 28, 4}, /* WRITE SAME (32) */
	{0x7f, 0x0e, TAKES_RANGE, 28, 4}, /* ORWRITE (32) */
	{0x83, 0x00, TAKES_LBA_LIST, 10, 4}, /* EXTENDED COPY (LID1) */
	{0x83, 0x01, TAKES_LBA_LIST, 10, 4}, /* EXTENDED COPY (LID4) */
	{0x83, 0x10, TAKES_LBA_LIST, 10, 4}, /* POPULATE TOKEN */
	{0x83, 0x11, TAKES_LBA_LIST, 10, 4}, /* WRITE USING TOKEN */
	{0x83, 0x1c, TAKES_NOTHING, 0, 0}, /* COPY OPERATION ABORT */
	{0x84, 0x00, TAKES_ALLOC, 10, 4}, /* RECEIVE COPY STATUS (LID1) */
	{0x84, 0x01, TAKES_ALLOC, 10, 4}, /* RECEIVE COPY DATA (LID1) */
	{0x84, 0x03, TAKES_ALLOC, 10, 4}, /* RECEIVE COPY OPERATING PARAMETERS */
	{0x84, 0x04, TAKES_ALLOC, 10, 4}, /* RECEIVE COPY FAILURE DETAILS (LID1) */
	{0x84, 0x05, TAKES_ALLOC, 10, 4}, /* RECEIVE COPY STATUS (LID4) */
	{0x84, 0x06, TAKES_ALLOC, 10, 4}, /* RECEIVE COPY DATA (LID4) */
	{0x84, 0x07, TAKES_ALLOC, 10, 4}, /* RECEIVE ROD TOKEN INFORMATION */
	{0x84, 0x08, TAKES_ALLOC, 10, 4}, /* REPORT ALL ROD TOKENS */
	{0x88, NO_SA, TAKES_RANGE, 10, 4}, /* READ (16) */
	{0x89, NO_SA, TAKES_RANGE, 13, 1}, /* COMPARE AND WRITE */
	{0x8a, NO_SA, TAKES_RANGE, 10, 4}, /* WRITE (16) */
	{0x8b, NO_SA, TAKES_RANGE, 10, 4}, /* ORWRITE (16) */
	{0x8e, NO_SA, TAKES_RANGE, 10, 4}, /* WRITE AND VERIFY (16) */
	{0x8f, NO_SA, TAKES_RANGE, 10, 4}, /* VERIFY (16) */
	{0x90, NO_SA, TAKES_RANGE, 10, 4}, /* PRE-FETCH (16) */
	{0x91, NO_SA, TAKES_RANGE, 10, 4}, /* SYNCHRONIZE CACHE (16) */
	{0x93, NO_SA, TAKES_RANGE, 10, 4}, /* WRITE SAME (16) */
	{0x9b, NO_SA, TAKES_ALLOC, 10, 4}, /* READ BUFFER (16) */
	{0x9c, NO_SA, TAKES_RANGE, 12, 2}, /* WRITE ATOMIC (16) */
	{0x9e, 0x10, TAKES_ALLOC, 10, 4}, /* READ CAPACITY (16) */
	{0x9e, 0x12, TAKES_LBA, 10, 4}, /* GET LBA STATUS (16) */
	{0x9e, 0x13, TAKES_LBA, 10, 4}, /* REPORT REFERRALS */
	{0xa0, NO_SA, TAKES_ALLOC, 6, 4}, /* REPORT LUNS */
	{0xa3, 0x05, TAKES_ALLOC, 6, 4}, /* REPORT IDENTIFYING INFORMATION */
	{0xa3, 0x0a, TAKES_ALLOC, 6, 4}, /* REPORT TARGET PORT GROUPS */
	{0xa3, 0x0c, TAKES_ALLOC, 6, 4}, /* REPORT SUPPORTED OPERATION CODES */
	{0xa3, 0x0d, TAKES_ALLOC, 6, 4}, /* REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS */
	{0xa3, 0x0f, TAKES_ALLOC, 6, 4}, /* REPORT TIMESTAMP */
	{0xa4, 0x06, TAKES_LIST, 6, 4}, /* SET IDENTIFYING INFORMATION */
	{0xa4, 0x0a, TAKES_LIST, 6, 4}, /* SET TARGET PORT GROUPS */
	{0xa4, 0x0f, TAKES_LIST, 6, 4}, /* SET TIMESTAMP */
	{0xa8, NO_SA, TAKES_RANGE, 6, 4}, /* READ (12) */
	{0xaa, NO_SA, TAKES_RANGE, 6, 4}, /* WRITE (12) */
	{0xad, NO_SA, TAKES_ALLOC, 8, 2}, /* READ DISC STRUCTURE */
	{0xae, NO_SA, TAKES_RANGE, 6, 4}, /* WRITE AND VERIFY (12) */
	{0xaf, NO_SA, TAKES_RANGE, 6, 4}, /* VERIFY (12) */
	{0xb7, NO_SA, TAKES_ALLOC, 6, 4}, /* READ DEFECT DATA (12) */
	{0xbd, NO_SA, TAKES_ALLOC, 8, 2}, /* MECHANISM STATUS */
	{.at = 0xff},
};
/* clang-format on */

const struct cdb_field *cdb_field_of(const struct scsi_op *op)
{
	for (const struct cdb_field *field = cdb_fields; field->at != 0xff; field++)
		if (field->opcode == op->opcode && field->sa == op->sa)
			return field;
	fail_msg("%s: say in cdb_fields.c which lengths and LBAs it takes", op->name);
	return NULL;
}

void cdb_begin(uint8_t *cdb, const struct scsi_op *op)
{
	memset(cdb, 0, SCSI_CDB_MAX);
	cdb[0] = op->opcode;
	if (op->cdb_len == 32) {
		cdb[7] = 0x18;
		cdb[9] = op->sa;
	} else if (op->sa != NO_SA) {
		cdb[1] = op->sa;
	}
}

uint64_t cdb_get(const uint8_t *at, unsigned len)
{
	uint64_t value = 0;

	while (len--)
		value = value << 8 | *at++;
	return value;
}

void cdb_put(uint8_t *at, unsigned len, uint64_t value)
{
	for (; len--; value >>= 8)
		at[len] = (uint8_t)value;
}
