/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What canned.c and load.c say to each other and to others. Source: RFC 7143 11. */
#include "util/bytes.h"
#include <stdbool.h>
#include <stdint.h>

enum {
	BHS_LEN = 48,
	DIGEST_LEN = 4,
	NO_TAG = 0xffffffff,

	NOP_OUT = 0x00,
	SCSI_COMMAND = 0x01,
	TMF_REQUEST = 0x02,
	LOGIN_REQUEST = 0x03,
	TEXT_REQUEST = 0x04,
	DATA_OUT = 0x05,
	LOGOUT_REQUEST = 0x06,
	NOP_IN = 0x20,
	SCSI_RESPONSE = 0x21,
	TMF_RESPONSE = 0x22,
	LOGIN_RESPONSE = 0x23,
	TEXT_RESPONSE = 0x24,
	DATA_IN = 0x25,
	LOGOUT_RESPONSE = 0x26,
	R2T = 0x31,
	ASYNC_MESSAGE = 0x32,
	REJECT = 0x3f,

	IMMEDIATE = 0x40, /* byte 0 of a request */
	FINAL = 0x80,	  /* byte 1 */
	TRANSIT = 0x80,
	COMMAND_READS = 0x40,
	COMMAND_WRITES = 0x20,
	DATA_IN_STATUS = 0x01,

	GOOD = 0x00,
	CHECK_CONDITION = 0x02,
	BUSY = 0x08,
	TASK_SET_FULL = 0x28,
};

static inline uint8_t pdu_opcode(const uint8_t *bhs)
{
	return bhs[0] & 0x3f;
}

static inline uint32_t pdu_ahs_len(const uint8_t *bhs)
{
	return 4u * bhs[4];
}

static inline uint32_t pdu_data_len(const uint8_t *bhs)
{
	return be24_get(bhs + 5);
}

/* Data segments are filled up to whole words. */
static inline uint32_t padded(uint32_t len)
{
	return (len + 3) & ~3u;
}
