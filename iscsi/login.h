/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The login phase: bytes in, bytes out. No socket, no clock, no thread: a Login Request comes in
 * with its text, a Login Response goes out. Source: RFC 7143 6, 11.12, 11.13.
 */
#include "iscsi/chap_secrets.h"
#include "iscsi/params.h"
#include "iscsi/pdu.h"
#include "iscsi/text.h"

enum iscsi_login_status { /* class << 8 | detail, RFC 7143 11.13.5 */
			  LOGIN_SUCCESS = 0x0000,
			  LOGIN_TARGET_MOVED_TEMPORARILY = 0x0101,
			  LOGIN_TARGET_MOVED_PERMANENTLY = 0x0102,
			  LOGIN_INITIATOR_ERROR = 0x0200,
			  LOGIN_AUTH_FAILED = 0x0201,
			  LOGIN_FORBIDDEN = 0x0202,
			  LOGIN_NOT_FOUND = 0x0203,
			  LOGIN_TARGET_REMOVED = 0x0204,
			  LOGIN_UNSUPPORTED_VERSION = 0x0205,
			  LOGIN_TOO_MANY_CONNECTIONS = 0x0206,
			  LOGIN_MISSING_PARAMETER = 0x0207,
			  LOGIN_CANT_INCLUDE_IN_SESSION = 0x0208,
			  LOGIN_SESSION_TYPE_NOT_SUPPORTED = 0x0209,
			  LOGIN_SESSION_DOES_NOT_EXIST = 0x020a,
			  LOGIN_INVALID_DURING_LOGIN = 0x020b,
			  LOGIN_TARGET_ERROR = 0x0300,
			  LOGIN_SERVICE_UNAVAILABLE = 0x0301,
			  LOGIN_OUT_OF_RESOURCES = 0x0302,
};

enum login_stage { SECURITY = 0, OPERATIONAL = 1, FULL_FEATURE = 3 }; /* the CSG and NSG codes */

/* What a login needs to know of its target. */
struct iscsi_login_target {
	const struct iscsi_limits *limits;
	struct iscsi_chap_secrets *chap; /* a reference, the login's from now on; NULL: none */
	uint16_t tpgt;
};

/* What login asks of the portal it came in on. */
struct iscsi_login_host {
	/*
	 * May @initiator log in to @target here? Runs once, when both names are known.
	 * Return: LOGIN_SUCCESS and the target; else the status to refuse with.
	 */
	enum iscsi_login_status (*find_target)(const struct iscsi_login_host *host,
					       const char *initiator, const char *target,
					       struct iscsi_login_target *ret_target);
	/* Bytes that nobody can foresee. Only where a target has chap. */
	void (*random)(const struct iscsi_login_host *host, void *buf, size_t len);
	const struct iscsi_limits *discovery_limits;
};

struct iscsi_login; /* one login under way */

/* What the caller must do with the answer. */
enum iscsi_login_outcome {
	LOGIN_GOES_ON,	/* send the response, wait for the next request */
	LOGIN_COMPLETE, /* send it, once the session exists and its TSIH is in the header */
	LOGIN_REFUSED,	/* send it, then close */
};

/* A Login Response; StatSN, ExpCmdSN and MaxCmdSN are the caller's to fill in. */
struct iscsi_login_answer {
	enum iscsi_login_outcome outcome;
	struct iscsi_bhs bhs;
	uint8_t *data; /* the login's, until the next step */
	uint32_t data_len;
};

/* What is known when the login is complete. */
struct iscsi_login_result {
	char initiator[ISCSI_NAME_MAX + 1],
		target[ISCSI_NAME_MAX + 1]; /* target: "" in discovery */
	bool discovery;
	uint8_t isid[6];
	uint16_t tsih, cid, tpgt; /* tsih as asked for: 0 for a new session */
	struct iscsi_params params;
};

int iscsi_login_new(const struct iscsi_login_host *host, struct iscsi_login **ret_login);
void iscsi_login_free(struct iscsi_login *login); /* NULL is fine */

/**
 * iscsi_login_step() - one request
 * @req:  any PDU's header; what is not a Login Request is refused (LOGIN_INVALID_DURING_LOGIN)
 * @data: its data segment, bhs_data_len(@req) bytes, without padding
 * Return: 0 and the answer, also for a refusal; -ENOMEM.
 */
int iscsi_login_step(struct iscsi_login *login, const struct iscsi_bhs *req, const uint8_t *data,
		     struct iscsi_login_answer *ret_answer);

/* After LOGIN_COMPLETE; before, only the names that have been given. The login's, until it is
 * freed. */
const struct iscsi_login_result *iscsi_login_result(const struct iscsi_login *login);

/* Turns any answer of this login into a refusal with @status. */
void iscsi_login_refuse(struct iscsi_login_answer *answer, enum iscsi_login_status status);

/*
 * The operational keys that may be renegotiated or declared in full feature phase (RFC 7143 13:
 * MaxRecvDataSegmentLength), and the answer to all others, for one Text Request.
 * @text is the whole sequence, C bits taken out. Return: 0; -EPROTO when it is not text.
 */
int iscsi_negotiate_full_feature(struct iscsi_params *params, const uint8_t *text, size_t len,
				 struct bytes_out *answer);
