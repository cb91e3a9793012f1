/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The negotiation of keys: one table row per key, of RFC 7143 12 and 13, and what to do with the
 * pairs of one text. Login and the full feature phase share it.
 *
 * Reject as an answer does not end a login by itself: the key keeps its value (RFC 7143 6.2). A
 * login ends when a declared value is illegal, when a key comes twice or in the wrong stage, and
 * when a default is left that the target does not accept (RFC 7143 7.12).
 */
#include "iscsi/chap.h"

/* Where text comes from; a set of these says where a key is legal. */
enum iscsi_key_stage {
	IN_SECURITY = 1,
	IN_OPERATIONAL = 2,
	IN_FULL_FEATURE = 4,
};

struct iscsi_negotiation {
	enum iscsi_key_stage stage;
	bool discovery;
	bool leading;		  /* the first connection of a session: TSIH is 0 */
	bool named;		  /* the names have been taken: from here on they are refused */
	uint64_t seen;		  /* a bit per row: no key is negotiated twice */
	struct iscsi_params ours; /* what we would choose */
	struct iscsi_chap *chap;  /* how the initiator has to prove who it is; NULL: it need not */
	unsigned header_digest, data_digest; /* sets of enum iscsi_digest_policy */
	struct iscsi_params params;	     /* what holds now */
};

/* Longest answer to a pair is KEY=NotUnderstood and its NUL. */
#define ISCSI_ANSWER_EXTRA (sizeof("=NotUnderstood"))

/* All values at their defaults, our own wishes from @limits. */
void iscsi_negotiation_init(struct iscsi_negotiation *neg, const struct iscsi_limits *limits,
			    bool discovery, bool leading);

/**
 * iscsi_negotiate() - take all pairs of one text, write the answers
 * Return: LOGIN_SUCCESS, or the status to refuse the login with. In the full feature phase any
 * status but LOGIN_SUCCESS is a protocol error, and @neg is to be forgotten.
 */
enum iscsi_login_status iscsi_negotiate(struct iscsi_negotiation *neg, const uint8_t *text,
					size_t len, struct bytes_out *answer);

/* Writes a declaration of a number: ours, which needs no answer. */
void iscsi_declare(struct bytes_out *out, const char *key, uint32_t value);

/*
 * The end of the operational stage: may these values take effect?
 * Return: LOGIN_SUCCESS; LOGIN_INITIATOR_ERROR when a value that was left is not acceptable.
 */
enum iscsi_login_status iscsi_negotiation_settle(struct iscsi_negotiation *neg);
