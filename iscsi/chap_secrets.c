/* SPDX-License-Identifier: Apache-2.0 */
#include "iscsi/chap_secrets.h"
#include <assert.h>
#include <errno.h>
#include <string.h>

int iscsi_chap_secrets_new(const struct iscsi_chap_account *initiator,
			   const struct iscsi_chap_account *target,
			   struct iscsi_chap_secrets **ret_secrets)
{
	struct iscsi_chap_secrets *secrets;

	assert(!iscsi_chap_same_secret(initiator, target));
	secrets = malloc(sizeof(*secrets));
	if (!secrets)
		return -ENOMEM;
	secrets->refs = 1;
	secrets->initiator = *initiator;
	secrets->target = *target;
	*ret_secrets = secrets;
	return 0;
}

struct iscsi_chap_secrets *iscsi_chap_secrets_ref(struct iscsi_chap_secrets *secrets)
{
	if (secrets)
		__atomic_add_fetch(&secrets->refs, 1, __ATOMIC_RELAXED);
	return secrets;
}

void iscsi_chap_secrets_unref(struct iscsi_chap_secrets *secrets)
{
	if (!secrets || __atomic_sub_fetch(&secrets->refs, 1, __ATOMIC_ACQ_REL))
		return;
	explicit_bzero(secrets, sizeof(*secrets));
	free(secrets);
}

bool iscsi_chap_same(const void *a, const void *b, size_t len)
{
	const volatile uint8_t *x = a, *y = b; /* no compiler may leave early */
	uint8_t difference = 0;

	for (size_t i = 0; i < len; i++)
		difference |= x[i] ^ y[i];
	return difference == 0;
}

bool iscsi_chap_same_secret(const struct iscsi_chap_account *a, const struct iscsi_chap_account *b)
{
	return a->secret_len == b->secret_len &&
	       iscsi_chap_same(a->secret, b->secret, sizeof(a->secret));
}
