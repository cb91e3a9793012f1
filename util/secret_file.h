/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Small files that hold secrets: read only when nobody else may read or replace them. */
#include <stddef.h>
#include <sys/types.h>

/**
 * secret_file_read() - what is in such a file
 * @what: what messages call it, such as "key file"
 * @ret_buf: of @len bytes; a file that has more fills it. To be wiped by the caller.
 * Return: how many bytes there were; -errno of reading it; -EPERM when others may read or replace
 * it; -EINVAL when it is no regular file; with a text.
 */
ssize_t secret_file_read(const char *what, const char *path, void *ret_buf, size_t len,
			 char *ret_why, size_t why_len);
