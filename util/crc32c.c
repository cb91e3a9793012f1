/* SPDX-License-Identifier: Apache-2.0 */
#include "util/crc32c.h"
#include <isa-l/crc.h>
#include <stdbool.h>
#include <string.h>

/*
 * Both ways take and give the bare register: the seed is all ones, the last inversion is
 * crc32c_end()'s. isa-l runs several streams at once and folds them, which pays from about
 * SHORT bytes; below that, and for the 48 bytes of a header above all, one stream is quicker.
 */
#define SHORT 256

#ifdef __x86_64__
#include <nmmintrin.h>

static bool have_crc_instruction(void)
{
	return __builtin_cpu_supports("sse4.2");
}

__attribute__((target("sse4.2"))) static uint32_t update_short(uint32_t crc, const uint8_t *p,
							       size_t len)
{
	uint64_t reg = crc, word;

	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&word, p, 8);
		reg = _mm_crc32_u64(reg, word);
	}
	crc = (uint32_t)reg;
	for (; len; p++, len--)
		crc = _mm_crc32_u8(crc, *p);
	return crc;
}
#else
static bool have_crc_instruction(void)
{
	return false;
}

static uint32_t update_short(uint32_t crc, const uint8_t *p, size_t len)
{
	return crc32_iscsi((unsigned char *)p, (int)len, crc);
}
#endif

uint32_t crc32c_update(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;

	if (len < SHORT && have_crc_instruction())
		return update_short(crc, p, len);
	while (len) {
		size_t n = len < 1u << 30 ? len : 1u << 30; /* isa-l counts in an int */

		crc = crc32_iscsi((unsigned char *)p, (int)n, crc);
		p += n;
		len -= n;
	}
	return crc;
}
