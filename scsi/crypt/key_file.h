/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The administrator's key: a file with 32 bytes, or 64 hexadecimal digits, that nobody else reads.
 */
#include <stddef.h>
#include <stdint.h>

#define CRYPT_FILE_KEY_LEN 32 /* bytes: AES-256 */

/**
 * crypt_key_file_read() - the key that @path holds
 * Return: 0; -errno of reading it; -EPERM when others may read or replace it; -EINVAL when it is no
 * such file; with a text.
 */
int crypt_key_file_read(const char *path, uint8_t ret_key[CRYPT_FILE_KEY_LEN], char *ret_why,
			size_t why_len);
