/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A store that tells what was asked of it and fails when told to: for what a RAM disk cannot show.
 * One at a time: it is a global.
 */
#include "duotgt/backend.h"
#include "scsi/lu.h"
#include <stddef.h>

#define SPY_SIZE (1u << 20)

struct spy {
	unsigned n[4];	 /* requests so far, by enum duotgt_io_kind */
	uint64_t offset; /* of the last one that has a range */
	uint64_t len;
	uint32_t flags;
	/* Fails requests of fail_kind that touch the byte at fail_at, when fail_res is negative. */
	enum duotgt_io_kind fail_kind;
	uint64_t fail_at;
	int fail_res;
	bool corrupts; /* a write that covers the byte at corrupt_at leaves it wrong */
	uint64_t corrupt_at;
	struct duotgt_backend_info info; /* what open tells; size 0 stands for SPY_SIZE */
	uint8_t data[SPY_SIZE];
};

extern struct spy spy;

/* All zero again, then the harness' disk on it: 512-byte blocks. */
struct scsi_lu_config spy_config(void);
