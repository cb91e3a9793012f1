/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Bytes in network order: accessors, the bounded cursor that reads all input from the wire, and
 * the bounded writer that makes all answers. Neither ever touches a byte outside its bounds;
 * what went wrong is remembered in a flag and asked for once, at the end.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t be16_get(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t be24_get(const uint8_t *p)
{
	return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

static inline uint32_t be32_get(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | be24_get(p + 1);
}

static inline uint64_t be64_get(const uint8_t *p)
{
	return (uint64_t)be32_get(p) << 32 | be32_get(p + 4);
}

static inline void be16_put(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void be24_put(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 16);
	be16_put(p + 1, (uint16_t)v);
}

static inline void be32_put(uint8_t *p, uint32_t v)
{
	be16_put(p, (uint16_t)(v >> 16));
	be16_put(p + 2, (uint16_t)v);
}

static inline void be64_put(uint8_t *p, uint64_t v)
{
	be32_put(p, (uint32_t)(v >> 32));
	be32_put(p + 4, (uint32_t)v);
}

/* RFC 7143 writes its digests in little-endian order of the CRC register. */
static inline void le32_put(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
	p[2] = (uint8_t)(v >> 16);
	p[3] = (uint8_t)(v >> 24);
}

static inline uint32_t le32_get(const uint8_t *p)
{
	return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

/* Reading. Past the end every getter gives 0 or NULL and sets bad. */
struct bytes_in {
	const uint8_t *p;
	size_t left;
	bool bad;
};

static inline struct bytes_in bytes_in(const void *p, size_t len)
{
	return (struct bytes_in){.p = p, .left = len};
}

/* @len bytes in place, or NULL; a length of 0 gives a pointer that must not be read. */
static inline const uint8_t *in_bytes(struct bytes_in *in, size_t len)
{
	const uint8_t *p = in->p;

	if (in->bad || in->left < len) {
		in->bad = true;
		return NULL;
	}
	in->p += len;
	in->left -= len;
	return p;
}

static inline bool in_skip(struct bytes_in *in, size_t len)
{
	in_bytes(in, len);
	return !in->bad;
}

#define DEFINE_IN(name, type, len, get)                                                            \
	static inline type name(struct bytes_in *in)                                               \
	{                                                                                          \
		const uint8_t *p = in_bytes(in, len);                                              \
		return p ? get : 0;                                                                \
	}
DEFINE_IN(in_u8, uint8_t, 1, p[0])
DEFINE_IN(in_be16, uint16_t, 2, be16_get(p))
DEFINE_IN(in_be24, uint32_t, 3, be24_get(p))
DEFINE_IN(in_be32, uint32_t, 4, be32_get(p))
DEFINE_IN(in_be64, uint64_t, 8, be64_get(p))
#undef DEFINE_IN

/* Writing. What does not fit is dropped whole and sets full. */
struct bytes_out {
	uint8_t *buf;
	size_t cap, len;
	bool full;
};

static inline struct bytes_out bytes_out(void *buf, size_t cap)
{
	return (struct bytes_out){.buf = buf, .cap = cap};
}

/* Room for @len bytes, not cleared, or NULL. */
static inline uint8_t *out_room(struct bytes_out *out, size_t len)
{
	uint8_t *p = out->buf + out->len;

	if (out->full || out->cap - out->len < len) {
		out->full = true;
		return NULL;
	}
	out->len += len;
	return p;
}

static inline void out_bytes(struct bytes_out *out, const void *src, size_t len)
{
	uint8_t *p = out_room(out, len);

	if (p && len)
		memcpy(p, src, len);
}

static inline void out_zero(struct bytes_out *out, size_t len)
{
	uint8_t *p = out_room(out, len);

	if (p && len)
		memset(p, 0, len);
}

/* Text without its NUL, filled up with blanks to @len, or cut to it: a T10 ASCII field. */
static inline void out_padded(struct bytes_out *out, const char *text, size_t len)
{
	uint8_t *p = out_room(out, len);
	size_t n = 0;

	if (!p)
		return;
	while (n < len && text[n]) /* strnlen() draws a false warning for short literals */
		n++;
	memcpy(p, text, n);
	memset(p + n, ' ', len - n);
}

#define DEFINE_OUT(name, type, len, put)                                                           \
	static inline void name(struct bytes_out *out, type v)                                     \
	{                                                                                          \
		uint8_t *p = out_room(out, len);                                                   \
		if (p)                                                                             \
			put;                                                                       \
	}
DEFINE_OUT(out_u8, uint8_t, 1, p[0] = v)
DEFINE_OUT(out_be16, uint16_t, 2, be16_put(p, v))
DEFINE_OUT(out_be24, uint32_t, 3, be24_put(p, v))
DEFINE_OUT(out_be32, uint32_t, 4, be32_put(p, v))
DEFINE_OUT(out_be64, uint64_t, 8, be64_put(p, v))
#undef DEFINE_OUT
