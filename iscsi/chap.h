/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * CHAP from the target's side, as one login sees it: the keys of a request are taken one by one,
 * then the step that they make up is done and answered. Bytes in, bytes out.
 *
 *	initiator                             target
 *	AuthMethod=CHAP                       AuthMethod=CHAP
 *	CHAP_A=5,7                            CHAP_A=5 CHAP_I=i CHAP_C=c
 *	CHAP_N=n CHAP_R=r [CHAP_I CHAP_C]     [CHAP_N CHAP_R], or status 0201
 *
 * Source: RFC 7143 12.1.3, 9.2, 9.2.1; RFC 1994 4.1
 */
#include "iscsi/chap_secrets.h"
#include "iscsi/login.h"

#define ISCSI_CHAP_BINARY_MAX 1024 /* bytes of a challenge or a response */
/* Bytes of the longest answer of a step: a name and a digest, or a challenge with its keys. */
#define ISCSI_CHAP_ANSWER_MAX 512

struct iscsi_chap;

/* Takes @secrets over, also when it fails. @host is whom random bytes are asked of. */
int iscsi_chap_new(const struct iscsi_login_host *host, struct iscsi_chap_secrets *secrets,
		   struct iscsi_chap **ret_chap);
void iscsi_chap_free(struct iscsi_chap *chap); /* NULL is fine */

/* AuthMethod=CHAP is what the answer to this text says: the exchange begins with the next. */
void iscsi_chap_agree(struct iscsi_chap *chap);
bool iscsi_chap_agreed(const struct iscsi_chap *chap);

/*
 * A key of the exchange, to be looked at in iscsi_chap_step(): until then its text must stay.
 * Return: whether it may come now.
 */
bool iscsi_chap_take(struct iscsi_chap *chap, const struct iscsi_pair *pair);

/* The end of a text. Return: LOGIN_SUCCESS and the answer; the status to refuse the login with. */
enum iscsi_login_status iscsi_chap_step(struct iscsi_chap *chap, struct bytes_out *answer);

/* Whether the initiator has proved who it is. */
bool iscsi_chap_done(const struct iscsi_chap *chap);
