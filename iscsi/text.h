/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Text: lists of key=value, each ended by a NUL. Source: RFC 7143 6.1, 6.2. */
#include "util/bytes.h"

#define ISCSI_KEY_MAX 63     /* bytes of a key name */
#define ISCSI_TEXT_MAX 16384 /* bytes of one negotiation sequence that we gather */

/* One pair, in place: not NUL-ended. */
struct iscsi_pair {
	const char *key, *value;
	size_t key_len, value_len;
};

/**
 * iscsi_text_next() - the next pair
 * Return: 1, and the pair; 0 at the end; -EPROTO for what is not text (no '=', no NUL at the end,
 * a key that is empty, too long or has illegal characters).
 */
int iscsi_text_next(struct bytes_in *in, struct iscsi_pair *ret_pair);

/* Appends key=value and its NUL; out->full when it does not fit. */
void iscsi_text_put(struct bytes_out *out, const char *key, const char *value);

bool iscsi_pair_is(const struct iscsi_pair *pair, const char *key);
bool iscsi_pair_value_is(const struct iscsi_pair *pair, const char *value);

/* A numerical value: decimal or 0x hexadecimal, at most 32 bits. Return: 0 or -EPROTO. */
int iscsi_pair_number(const struct iscsi_pair *pair, uint32_t *ret_number);

/**
 * iscsi_pair_binary() - a binary value: a hex-constant or a base64-constant
 * Nothing is written before the length is known to fit.
 * Return: 0, with 1 to @cap bytes in @ret_bytes; -EPROTO when it is neither, or longer.
 * Source: RFC 7143 6.1, RFC 4648 4
 */
int iscsi_pair_binary(const struct iscsi_pair *pair, uint8_t *ret_bytes, size_t cap,
		      size_t *ret_len);

/* Appends key=0x... and its NUL; out->full when it does not fit. */
void iscsi_text_put_binary(struct bytes_out *out, const char *key, const uint8_t *bytes,
			   size_t len);

/*
 * An iSCSI name: iqn., eui. or naa. form of the right alphabet and length; upper case is folded
 * to lower on the way. Return: 0, or -EINVAL. @ret_name has ISCSI_NAME_MAX + 1 bytes.
 */
int iscsi_name_normalize(const char *name, size_t len, char *ret_name);

/* Of a name that has been normalized, for tables of names. FNV-1a */
static inline uint32_t iscsi_name_hash(const char *name)
{
	uint32_t hash = 2166136261u;

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * 16777619u;
	return hash;
}
