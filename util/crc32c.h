/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* CRC32C (Castagnoli), the digest of iSCSI. Source: RFC 7143 13.1. */
#include <stddef.h>
#include <stdint.h>

#define CRC32C_SEED 0xffffffffu

/* Continues a sum over @len bytes: start with CRC32C_SEED, end with crc32c_end(). */
uint32_t crc32c_update(uint32_t crc, const void *data, size_t len);

static inline uint32_t crc32c_end(uint32_t crc)
{
	return ~crc;
}

static inline uint32_t crc32c(const void *data, size_t len)
{
	return crc32c_end(crc32c_update(CRC32C_SEED, data, len));
}
