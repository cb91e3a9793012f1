/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the users of libgcrypt here share: its start, and its errors as ours. */
#include <errno.h>
#include <gcrypt.h>

/* Once for the process, unless it has been done; before any other call. Any thread. */
void gcrypt_init(void);

/* Return: a negative errno for what libgcrypt says, 0 for none. */
static inline int gcrypt_errno(gcry_error_t error)
{
	if (!error)
		return 0;
	return gcry_err_code(error) == GPG_ERR_ENOMEM ? -ENOMEM : -EIO;
}
