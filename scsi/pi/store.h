/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside of stores with protection information: for scsi/pi/ only. */
#include "scsi/backend/layer.h"
#include "scsi/pi/intent.h"
#include "scsi/pi/pi.h"
#include "scsi/pi/range.h"
#include <stdatomic.h>

/* The store of tuples, in bytes: a header, the bits of intent.h, the tuples by LBA. */
#define PI_HEADER_LEN 4096u
#define PI_BITS_AT PI_HEADER_LEN
#define PI_TUPLES_AT (PI_BITS_AT + PI_BITS_LEN)

struct pi_store {
	struct backend_layer layer; /* over the store of blocks */
	const struct duotgt_backend_ops *side_ops;
	void *side;
	bool side_discards;
	uint32_t block_size;
	unsigned shift;	   /* block_size is 2^shift */
	atomic_uint type;  /* enum pi_type */
	atomic_bool stale; /* a flush has failed: what is on the medium is not known any more */
	struct pi_ranges ranges;
	struct pi_intent intent;
	unsigned region_shift;
};

static inline uint64_t pi_tuple_at(uint64_t lba)
{
	return PI_TUPLES_AT + lba * PI_LEN;
}

/* Tuples are stored inverted, so that a hole in the store is a run of escapes. */
static inline void pi_invert(uint8_t *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = (uint8_t)~buf[i];
}

/* request.c */
void pi_store_submit(void *store, struct engine *engine, struct duotgt_io *io);

/*
 * recover.c: goes through the regions of @bits, where tuples may not fit their blocks. Blocks.
 * Return: 0 or -errno.
 */
int pi_recover(struct pi_store *store, const uint8_t *bits, uint64_t size);
