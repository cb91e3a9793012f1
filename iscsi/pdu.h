/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* iSCSI PDUs as bytes: opcodes, the basic header segment and its fields. Source: RFC 7143 11. */
#include "util/bytes.h"

#define ISCSI_BHS_LEN 48
#define ISCSI_AHS_MAX 1020 /* TotalAHSLength counts words of four bytes, in one byte */
#define ISCSI_RESERVED_TAG 0xffffffffu
#define ISCSI_LOGIN_DATA_MAX 8192 /* MaxRecvDataSegmentLength until it is negotiated */

struct iscsi_bhs {
	uint8_t b[ISCSI_BHS_LEN];
};

enum iscsi_opcode {
	OP_NOP_OUT = 0x00,
	OP_SCSI_CMD = 0x01,
	OP_TMF_REQ = 0x02,
	OP_LOGIN_REQ = 0x03,
	OP_TEXT_REQ = 0x04,
	OP_DATA_OUT = 0x05,
	OP_LOGOUT_REQ = 0x06,
	OP_SNACK_REQ = 0x10,
	OP_NOP_IN = 0x20,
	OP_SCSI_RSP = 0x21,
	OP_TMF_RSP = 0x22,
	OP_LOGIN_RSP = 0x23,
	OP_TEXT_RSP = 0x24,
	OP_DATA_IN = 0x25,
	OP_LOGOUT_RSP = 0x26,
	OP_R2T = 0x31,
	OP_ASYNC_MSG = 0x32,
	OP_REJECT = 0x3f,
};

enum {
	BHS_IMMEDIATE = 0x40, /* byte 0 */
	BHS_FINAL = 0x80,     /* byte 1; T in login */
	BHS_CONTINUE = 0x40,  /* byte 1 of text and login: C */
};

enum { BHS_READ = 0x40, BHS_WRITE = 0x20, BHS_ATTR = 0x07 }; /* byte 1 of a SCSI Command */

enum iscsi_reject_reason {
	REJECT_DATA_DIGEST = 0x02,
	REJECT_SNACK = 0x03,
	REJECT_PROTOCOL_ERROR = 0x04,
	REJECT_NOT_SUPPORTED = 0x05,
	REJECT_IMMEDIATE_COMMANDS = 0x06,
	REJECT_TASK_IN_PROGRESS = 0x07,
	REJECT_INVALID_DATA_ACK = 0x08,
	REJECT_INVALID_FIELD = 0x09,
	REJECT_LONG_OPERATION = 0x0a,
	REJECT_WAITING_FOR_LOGOUT = 0x0c,
};

static inline uint8_t bhs_opcode(const struct iscsi_bhs *h)
{
	return h->b[0] & 0x3f;
}
static inline bool bhs_immediate(const struct iscsi_bhs *h)
{
	return h->b[0] & BHS_IMMEDIATE;
}
static inline bool bhs_final(const struct iscsi_bhs *h)
{
	return h->b[1] & BHS_FINAL;
}
static inline bool bhs_continue(const struct iscsi_bhs *h)
{
	return h->b[1] & BHS_CONTINUE;
}
static inline uint32_t bhs_ahs_len(const struct iscsi_bhs *h)
{
	return h->b[4] * 4u;
}
static inline uint32_t bhs_data_len(const struct iscsi_bhs *h)
{
	return be24_get(h->b + 5);
}
static inline uint64_t bhs_lun(const struct iscsi_bhs *h)
{
	return be64_get(h->b + 8);
}
static inline uint32_t bhs_itt(const struct iscsi_bhs *h)
{
	return be32_get(h->b + 16);
}
static inline uint32_t bhs_ttt(const struct iscsi_bhs *h)
{
	return be32_get(h->b + 20);
}
static inline uint32_t bhs_cmdsn(const struct iscsi_bhs *h)
{
	return be32_get(h->b + 24);
}
static inline uint32_t bhs_expstatsn(const struct iscsi_bhs *h)
{
	return be32_get(h->b + 28);
}

static inline void bhs_set_data_len(struct iscsi_bhs *h, uint32_t n)
{
	be24_put(h->b + 5, n);
}
static inline void bhs_set_lun(struct iscsi_bhs *h, uint64_t lun)
{
	be64_put(h->b + 8, lun);
}
static inline void bhs_set_itt(struct iscsi_bhs *h, uint32_t itt)
{
	be32_put(h->b + 16, itt);
}
static inline void bhs_set_ttt(struct iscsi_bhs *h, uint32_t ttt)
{
	be32_put(h->b + 20, ttt);
}
/* In PDUs from the target: */
static inline void bhs_set_statsn(struct iscsi_bhs *h, uint32_t sn)
{
	be32_put(h->b + 24, sn);
}
static inline void bhs_set_expcmdsn(struct iscsi_bhs *h, uint32_t sn)
{
	be32_put(h->b + 28, sn);
}
static inline void bhs_set_maxcmdsn(struct iscsi_bhs *h, uint32_t sn)
{
	be32_put(h->b + 32, sn);
}

/* Login request and response. RFC 7143 11.12, 11.13 */
static inline bool login_transit(const struct iscsi_bhs *h)
{
	return h->b[1] & 0x80;
}
static inline uint8_t login_csg(const struct iscsi_bhs *h)
{
	return h->b[1] >> 2 & 3;
}
static inline uint8_t login_nsg(const struct iscsi_bhs *h)
{
	return h->b[1] & 3;
}
static inline const uint8_t *login_isid(const struct iscsi_bhs *h)
{
	return h->b + 8;
}
static inline uint16_t login_tsih(const struct iscsi_bhs *h)
{
	return be16_get(h->b + 14);
}
static inline uint16_t login_cid(const struct iscsi_bhs *h)
{
	return be16_get(h->b + 20);
}

static inline uint32_t iscsi_pad(uint32_t len)
{
	return -len & 3;
}

/* Serial number arithmetic of 32 bits. RFC 7143 4.2.2.1, RFC 1982 */
static inline bool sn_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}
