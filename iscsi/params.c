/* SPDX-License-Identifier: Apache-2.0 */
#include "iscsi/params.h"

const struct iscsi_params iscsi_rfc_defaults = {
	.max_recv_data_segment = 8192,
	.max_send_data_segment = 8192,
	.max_burst = 262144,
	.first_burst = 65536,
	.max_outstanding_r2t = 1,
	.max_connections = 1,
	.time2wait = 2,
	.time2retain = 20,
	.error_recovery_level = 0,
	.protocol_level = 1,
	.initial_r2t = true,
	.immediate_data = true,
	.data_pdu_in_order = true,
	.data_sequence_in_order = true,
};

/*
 * No wish of our own about unsolicited data: the initiator chooses. Nothing outlives a
 * connection at ErrorRecoveryLevel 0, so there is nothing to wait for or to retain.
 */
const struct iscsi_limits iscsi_default_limits = {
	.values =
		{
			.max_recv_data_segment = 262144,
			.max_burst = 1048576,
			.first_burst = 262144,
			.max_outstanding_r2t = 16,
			.max_connections = 1,
			.time2wait = 0,
			.time2retain = 0,
			.error_recovery_level = 0,
			.protocol_level = 2,
			.initial_r2t = false,
			.immediate_data = true,
			.data_pdu_in_order = true,
			.data_sequence_in_order = true,
		},
	.header_digest = DIGEST_NONE | DIGEST_CRC32C,
	.data_digest = DIGEST_NONE | DIGEST_CRC32C,
};
