/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * By which names and secrets a target and its initiators prove to one another who they are.
 * Shared by reference between logins and whoever configures the target; never changed.
 */
#include "util/cleanup.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ISCSI_CHAP_NAME_MAX 255	  /* bytes, RFC 7143 6.1 */
#define ISCSI_CHAP_SECRET_MAX 255 /* bytes */
#define ISCSI_CHAP_SECRET_SAFE 12 /* bytes: the 96 bits of RFC 7143 9.2.1 */

/* What is behind the ends is zero, so that all of it can be compared. */
struct iscsi_chap_account {
	char name[ISCSI_CHAP_NAME_MAX + 1]; /* "": there is none */
	uint8_t secret[ISCSI_CHAP_SECRET_MAX];
	uint8_t secret_len;
};

struct iscsi_chap_secrets {
	unsigned refs;
	struct iscsi_chap_account initiator; /* whom the target lets in */
	struct iscsi_chap_account target;    /* as whom it answers, if it is asked to */
};

/* Copies both; the secrets of the two must differ. Return: 0 or -ENOMEM. */
int iscsi_chap_secrets_new(const struct iscsi_chap_account *initiator,
			   const struct iscsi_chap_account *target,
			   struct iscsi_chap_secrets **ret_secrets);
/* Any thread; NULL is fine. The last one to let go wipes them. */
struct iscsi_chap_secrets *iscsi_chap_secrets_ref(struct iscsi_chap_secrets *secrets);
void iscsi_chap_secrets_unref(struct iscsi_chap_secrets *secrets);
DEFINE_SCOPED(struct iscsi_chap_secrets *, iscsi_chap_secrets_unref)

/* In a time that depends on @len alone. */
bool iscsi_chap_same(const void *a, const void *b, size_t len);
bool iscsi_chap_same_secret(const struct iscsi_chap_account *a, const struct iscsi_chap_account *b);
