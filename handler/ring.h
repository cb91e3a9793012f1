/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A TCMU ring as bytes: entries out of it, completions into it. It knows neither tasks nor
 * descriptors.
 *
 * The other side of the memory is the kernel, or whatever pretends to be it: everything is copied
 * out before it is looked at, once, and each offset, count and length is held against the mapping.
 * After tcmu_ring_next() has given an entry, nothing of it is read again: completions take its
 * place, in whichever order they come.
 */
#include "util/bytes.h"
#include <sys/uio.h>

#define TCMU_RING_OPEN_MAX 512 /* commands taken and not yet completed */
#define TCMU_RING_IOV_MAX 4096 /* segments of one command that are lent; the rest is left out */
#define TCMU_RING_CDB_MAX 32

/* A place for a completion: an entry that has been read, and what follows it without one. */
struct tcmu_place {
	uint32_t at, next;
};

struct tcmu_ring {
	uint8_t *map;
	size_t map_len;
	uint32_t off, size; /* of the ring in the mapping */
	uint16_t flags;	    /* enum tcmu_mailbox_flag */
	uint32_t pos;	    /* of the next entry to read */
	uint32_t tail;	    /* as the kernel last saw it */
	const char *why;    /* what was wrong, after -EPROTO */
	/* Where the commands under way came from, oldest first; completions go there. */
	struct tcmu_place places[TCMU_RING_OPEN_MAX];
	unsigned first, n_open;
};

/* An entry, as it was found. */
struct tcmu_entry {
	bool is_tmr;
	uint16_t id;
	uint8_t cdb[TCMU_RING_CDB_MAX]; /* what was not there is 0 */
	unsigned cdb_len;
	size_t iov_at;	     /* for tcmu_ring_iov(), of which there are */
	uint32_t n_iov;	     /* these of the command's buffer, */
	uint32_t n_iov_bidi; /* then those of a second one, for data-in */
	uint8_t tmr_type;    /* enum tcmu_tmr_type */
};

/* Return: 0, with the next entry to read at cmd_tail; -EPROTO with ring->why. */
int tcmu_ring_init(struct tcmu_ring *ring, void *map, size_t map_len);

/**
 * tcmu_ring_next() - the next entry that asks for something
 * Padding is passed over, and entries of unknown kinds, which are marked as such.
 * Return: 1; 0: there is none, or a command beside TCMU_RING_OPEN_MAX open ones; -EPROTO with
 * ring->why.
 */
int tcmu_ring_next(struct tcmu_ring *ring, struct tcmu_entry *ret_entry);

/* Whether tcmu_ring_next() would say 1 once a command has been completed. */
bool tcmu_ring_has_more(const struct tcmu_ring *ring);

/**
 * tcmu_ring_iov() - segment @i of an entry's n_iov + n_iov_bidi
 * Before the next completion, and the next tcmu_ring_next(). It lies in the data area, whatever the
 * ring says. Return: 0; -EPROTO with ring->why.
 */
int tcmu_ring_iov(struct tcmu_ring *ring, const struct tcmu_entry *entry, uint32_t i,
		  struct iovec *ret_iov);

struct tcmu_result {
	uint16_t id;
	uint8_t status;
	bool has_in_len; /* the read moved in_len bytes, above 0, and no more */
	uint32_t in_len;
	const uint8_t *sense; /* NULL: none */
	size_t sense_len;     /* up to TCMU_SENSE_BYTES */
};

/* Completes one of the open commands. The kernel looks when it is told to: write(2) to the fd. */
void tcmu_ring_complete(struct tcmu_ring *ring, const struct tcmu_result *result);
