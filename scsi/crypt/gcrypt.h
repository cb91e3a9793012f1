/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the users of libgcrypt here share. */
#include <errno.h>
#include <gcrypt.h>

/* Once for the process, unless it has been done; before any other call. */
void crypt_gcrypt_init(void);

/* Return: a negative errno for what libgcrypt says, 0 for none. */
static inline int crypt_gcrypt_errno(gcry_error_t error)
{
	if (!error)
		return 0;
	return gcry_err_code(error) == GPG_ERR_ENOMEM ? -ENOMEM : -EIO;
}
