/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For the tests of CHAP: two accounts, what comes of their secrets, and a negotiation that has CHAP
 * to settle. The digests were computed by Python's hashlib.
 */
#include "iscsi/keys.h"

#define USER "host"
#define SECRET "initiator secret"
#define T_USER "disk"
#define T_SECRET "the target's own"

/* What random bytes are here, one after the other, from a0 on. */
#define CHALLENGE "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf"
#define CHAP_CHALLENGED "CHAP_I=160 CHAP_C=0x" CHALLENGE

/* Of SECRET to that challenge; of T_SECRET to MUTUAL. */
#define MD5 "2fee5ae181916e3a34810ab524e13152"
#define T_MD5 "ba3752553d4e9dd4e48cbefe8eeae9aa"
#define RIGHT "CHAP_N=" USER " CHAP_R=0x" MD5
#define MUTUAL "CHAP_I=7 CHAP_C=0x0011223344"

#define SHA3_256 "c8e6115e2b64da225be78cd98d571db44ca749bd2a53d4847eb7d3d8d26a01d7"
#define T_SHA3_256 "f76c4711b5d168a3fc14ca18cefc95e32ad448105bea1d9162422d80c6042ee9"

/* Their secrets; no target without a name. */
struct iscsi_chap_secrets *chap_secrets(const char *user, const char *target_user);

/* Of struct iscsi_login_host. */
void chap_random(const struct iscsi_login_host *host, void *buf, size_t len);
extern size_t chap_random_len; /* how much was asked for since the last chap_start() */

/* In the security stage, with nothing said. */
void chap_start(struct iscsi_negotiation *neg, const char *user, const char *target_user);
/* The same, and AuthMethod=CHAP is agreed on and CHAP_A=@number answered. */
void chap_start_challenged(struct iscsi_negotiation *neg, const char *user, const char *target_user,
			   unsigned number);
void chap_stop(struct iscsi_negotiation *neg);

/* Each in the heap and to the byte; in rows a blank stands for the NUL after a pair. */
enum iscsi_login_status chap_say(struct iscsi_negotiation *neg, const char *pairs, char *ret_answer,
				 size_t cap);

/* The same, held against what is to come of it; @answered matters only where there is success. */
void chap_says(struct iscsi_negotiation *neg, enum iscsi_login_status status, const char *sent,
	       const char *answered);
