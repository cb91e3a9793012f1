/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A walk through the segments of a buffer, run by run of what lies together. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

struct walk {
	const struct iovec *iov, *end;
	size_t at; /* in *iov */
};

static inline struct walk walk_of(const struct iovec *iov, int n_iov)
{
	/* Without a buffer iov is NULL, to which not even 0 may be added. */
	return (struct walk){.iov = iov, .end = n_iov ? iov + n_iov : iov};
}

/* The next bytes, @max at most. Return: how many lie at *ret_data; 0 at the end. */
static inline size_t walk_next(struct walk *walk, size_t max, uint8_t **ret_data)
{
	size_t n;

	while (walk->iov < walk->end && walk->at == walk->iov->iov_len) {
		walk->iov++;
		walk->at = 0;
	}
	if (walk->iov == walk->end)
		return 0;
	n = walk->iov->iov_len - walk->at;
	n = n < max ? n : max;
	*ret_data = (uint8_t *)walk->iov->iov_base + walk->at;
	walk->at += n;
	return n;
}

/* The three that follow stop where the segments end. */
static inline void walk_skip(struct walk *walk, size_t len)
{
	uint8_t *data;
	size_t n;

	while (len && (n = walk_next(walk, len, &data)))
		len -= n;
}

/* Return: how many bytes there were. */
static inline size_t walk_get(struct walk *walk, void *buf, size_t len)
{
	uint8_t *to = (uint8_t *)buf, *data;
	size_t left = len, n;

	while (left && (n = walk_next(walk, left, &data))) {
		memcpy(to, data, n);
		to += n;
		left -= n;
	}
	return len - left;
}

static inline size_t walk_put(struct walk *walk, const void *buf, size_t len)
{
	const uint8_t *from = (const uint8_t *)buf;
	size_t left = len, n;
	uint8_t *data;

	while (left && (n = walk_next(walk, left, &data))) {
		memcpy(data, from, n);
		from += n;
		left -= n;
	}
	return len - left;
}
