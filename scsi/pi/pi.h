/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Protection information of a LU: a store of tuples beside the store of its blocks, and both
 * together as one back end, which is what such a LU has for its own. Whatever reaches the LU's
 * blocks goes through it, so that no block is written without its tuple, and none is read
 * unchecked. What a request says nothing about is done as commands without a protect field ask
 * for: a write makes tuples, a read checks them, a discard leaves blocks that are not checked.
 */
#include "scsi/lu.h"
#include "scsi/pi/tuple.h"

struct pi_store;

/* io.flags: struct pi_args stands in io.priv, until submit() returns. */
#define PI_IO_ARGS 0x100u

enum pi_mode {
	PI_MAKE,	/* user data alone; a write makes the tuples */
	PI_WITH_TUPLES, /* each block is followed by its tuple; a partial last one counts */
	PI_SAME,	/* writes user data alone, with one tuple for all */
	PI_ESCAPE,	/* writes user data alone, and what follows is not checked: all FFh */
};

struct pi_args {
	uint8_t mode;		/* enum pi_mode */
	bool ref_stays;		/* of PI_SAME: the reference tag does not count up */
	struct pi_expect check; /* of what is read, or of tuples that are to be written */
	struct pi_tuple tuple;	/* of PI_MAKE its tags, of PI_SAME all; of the first block */
};

static inline void pi_set_args(struct duotgt_io *io, const struct pi_args *args)
{
	_Static_assert(sizeof(*args) <= sizeof(io->priv), "fits priv");
	io->flags |= PI_IO_ARGS;
	memcpy(io->priv, args, sizeof(*args));
}

/* Of a request that ended with -EILSEQ: what was not as expected. */
static inline struct pi_fault pi_fault_of(const struct duotgt_io *io)
{
	struct pi_fault fault;

	_Static_assert(sizeof(fault) <= sizeof(io->priv), "fits priv");
	memcpy(&fault, io->priv, sizeof(fault));
	return fault;
}

/**
 * pi_store_open() - puts a store of tuples beside one of blocks
 * @cfg:    of the LU: backend and protection are looked at
 * @data:   an open store of cfg->backend; taken over on success only
 * @info:   what is known of it
 * After an end that was not clean, blocks that do not fit their tuples are looked for where
 * something may have been written, and are not checked any more; blocks until that is done.
 * Return: 0 or -errno, with a text.
 */
int pi_store_open(const struct scsi_lu_config *cfg, void *data,
		  const struct duotgt_backend_info *info, struct pi_store **ret_store,
		  char *ret_why, size_t why_len);

/* The back end whose store it is; gone when that is closed. */
const struct duotgt_backend_ops *pi_store_ops(const struct pi_store *store);

enum pi_type pi_store_type(const struct pi_store *store);

/* For good: on stable storage on return. Blocks. No request is under way. Return: 0 or -errno. */
int pi_store_set_type(struct pi_store *store, enum pi_type type);
