/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Operational parameters: what a target allows, and what a login settled on.
 * Source: RFC 7143 13 (login/text operational text keys).
 */
#include <stdbool.h>
#include <stdint.h>

#define ISCSI_NAME_MAX 223 /* bytes, RFC 7143 4.2.7.1 */

struct iscsi_params {
	uint32_t max_recv_data_segment; /* ours: what we accept */
	uint32_t max_send_data_segment; /* the peer's MaxRecvDataSegmentLength */
	uint32_t max_burst, first_burst;
	uint16_t max_outstanding_r2t;
	uint16_t max_connections;
	uint16_t time2wait, time2retain; /* seconds */
	uint8_t error_recovery_level;
	uint8_t protocol_level; /* iSCSIProtocolLevel: 1 RFC 7143, 2 with RFC 7144 */
	bool initial_r2t, immediate_data;
	bool data_pdu_in_order, data_sequence_in_order;
	bool header_digest, data_digest; /* CRC32C */
};

enum iscsi_digest_policy {
	DIGEST_NONE = 1,   /* None is acceptable */
	DIGEST_CRC32C = 2, /* CRC32C is acceptable */
};

/*
 * What a target is configured to allow: the far end of each negotiation. values holds our offer
 * for each key (max_send_data_segment is not ours to set; header_digest and data_digest are
 * taken from the policies).
 */
struct iscsi_limits {
	struct iscsi_params values;
	unsigned header_digest, data_digest; /* sets of enum iscsi_digest_policy */
};

extern const struct iscsi_limits iscsi_default_limits;

/* The values that hold before anything is negotiated. RFC 7143 13 */
extern const struct iscsi_params iscsi_rfc_defaults;
