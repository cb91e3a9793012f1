/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The interface of a back end: what a logical unit's blocks are stored in.
 *
 * A back end knows bytes and offsets, not blocks, CDBs or initiators. The core has checked every
 * range against the size before a request comes here. Requests to one back end may come from
 * several threads at once, each with its own engine.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#define DUOTGT_BACKEND_ABI 1

struct engine;
struct duotgt_io;

enum duotgt_io_kind {
	DUOTGT_IO_READ,	   /* fill iov from offset */
	DUOTGT_IO_WRITE,   /* store iov at offset */
	DUOTGT_IO_FLUSH,   /* all completed writes to stable storage */
	DUOTGT_IO_DISCARD, /* offset, len: reads as zeroes afterwards, space given back if it can be
			    */
};

enum duotgt_io_flag {
	DUOTGT_IO_FUA = 1, /* this write is on stable storage before it completes */
};

/**
 * struct duotgt_io - one request
 * @done:   runs once, on the thread of the engine that submit() was given, never inside submit().
 *          @res is 0 when all of the request was done, else a negative errno: -EIO the medium
 *          failed, -ENOSPC no space left, -ENODATA the store is shorter than it was, -ENOMEM or
 *          -EAGAIN try again later.
 * @iov:    lent until done; a back end may change entries while it works, and restores them
 * @len:    bytes in all: the sum of iov, or the range of a discard
 * @priv:   the back end's own while the request is under way
 */
struct duotgt_io {
	void (*done)(struct duotgt_io *io, int res);
	enum duotgt_io_kind kind;
	uint32_t flags;
	struct iovec *iov;
	int n_iov;
	uint64_t offset, len;
	uint64_t priv[40];
};

/* What a back end is opened with. Strings live until open returns. */
struct duotgt_backend_params {
	const char *path;    /* what follows "type:" */
	uint64_t size;	     /* bytes asked for; 0: as the store says */
	uint32_t block_size; /* bytes of a logical block of the LU above */
	bool read_only;
	bool create; /* make a store of size bytes when there is none */
	bool thin;   /* a created store takes its space as it is written */
	bool direct; /* around the page cache */
};

/* What is known once it is open; open fills it in. */
struct duotgt_backend_info {
	uint64_t size;		      /* bytes, not rounded */
	bool read_only;		      /* as opened */
	bool volatile_cache;	      /* writes without FUA may be lost by a power cut */
	bool can_discard;	      /* DUOTGT_IO_DISCARD is done */
	bool rotational;	      /* a spinning disk */
	uint32_t physical_block;      /* bytes; 0: not known */
	uint32_t discard_granularity; /* bytes; 0: not known */
	char identity[64]; /* stable name of the store, for making a serial; may be empty */
};

/**
 * struct duotgt_backend_ops - a kind of back end
 * New calls are added at the end; what lies past @size is taken as absent.
 * @open:   may block; @ret_why gets a short text for the operator when it fails, as in
 *          "/srv/a.img: is in use by another process (pid 4711)"
 * @submit: queues; never blocks; @io->done tells the end
 * @close:  no request is under way; may block
 * @extent: how much of @len from @offset on is alike, all stored or all a hole that takes no space
 *          and reads as zeroes; may block, any thread. NULL: everything is stored
 * @copy:   copies inside the store's own world (both of this kind), sharing space where it can;
 *          may do less than @len, never 0; -EOPNOTSUPP or -EXDEV: copy by reading and writing.
 *          May block, any thread. NULL: it cannot
 * @space:  bytes that the store takes up, and bytes that it could still take; may block. NULL: not
 *          known
 * @size_now: the store's size in bytes, which may have changed since open; may block. NULL: fixed
 * @grow:   makes the store @size bytes large, taking the space at once unless it was opened thin;
 *          what is new reads as zeroes; may block. NULL: it cannot
 * @prefetch: brings a range into memory, where reads find it; @wait: it is there on return, else on
 *          its way. 0; -ENOSPC when it does not fit, as much as fits is there; -EOPNOTSUPP: there
 *          is no such memory; -errno of reading. May block, any thread. NULL: as -EOPNOTSUPP
 * @numa_node: node of the machine that the store's disk is attached to; -1: not known, or several.
 *          May block. NULL: not known
 */
struct duotgt_backend_ops {
	uint32_t abi;  /* DUOTGT_BACKEND_ABI */
	uint32_t size; /* sizeof this struct */
	const char *type;
	int (*open)(const struct duotgt_backend_params *params, void **ret_store,
		    struct duotgt_backend_info *ret_info, char *ret_why, size_t why_len);
	void (*submit)(void *store, struct engine *engine, struct duotgt_io *io);
	void (*close)(void *store);
	int (*extent)(void *store, uint64_t offset, uint64_t len, uint64_t *ret_len,
		      bool *ret_stored);
	int (*copy)(void *from, uint64_t from_offset, void *to, uint64_t to_offset, uint64_t len,
		    uint64_t *ret_len);
	int (*space)(void *store, uint64_t *ret_used, uint64_t *ret_free);
	int (*size_now)(void *store, uint64_t *ret_size);
	int (*grow)(void *store, uint64_t size);
	int (*prefetch)(void *store, uint64_t offset, uint64_t len, bool wait);
	int (*numa_node)(void *store);
};
