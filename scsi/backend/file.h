/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Stores behind a file descriptor: flat files, and block devices. file.c does their I/O;
 * file_open.c and block.c open them, direct.c once more around the page cache.
 */
#include "duotgt/backend.h"
#include <sys/types.h>

struct file_store {
	int fd;	       /* through the page cache */
	int fd_flags;  /* what engines are told of it: ENGINE_CACHED and the like */
	int direct_fd; /* around it (O_DIRECT); -1: no */
	uint32_t direct_mem_align, direct_io_align; /* of memory; of offset and length */
	bool can_discard;
	bool thin;     /* space is taken as it is written */
	bool borrowed; /* the descriptors are not closed */
};

/**
 * file_store_from_fd() - a store on a descriptor that is open already, for simulations
 * @fd:   stays the caller's; it may be of a file that only the engine knows
 * @info: can_discard is looked at
 * No lock is taken. file_backend_ops' submit and close go with it.
 * Return: 0 or -ENOMEM.
 */
int file_store_from_fd(int fd, const struct duotgt_backend_info *info, void **ret_store);

/* The same, taking the descriptor over, on success only. */
int file_store_new(int fd, const struct duotgt_backend_info *info, struct file_store **ret_store);

/**
 * file_store_set_direct() - lets the store go around the page cache
 * @params: path and read_only, to open it a second time; block_size, refused if too small
 * @sector: alignment of offset and length if the kernel does not tell; 0: not known
 */
int file_store_set_direct(struct file_store *store, const struct duotgt_backend_params *params,
			  uint32_t sector, char *ret_why, size_t why_len);

void file_store_submit(void *store, struct engine *engine, struct duotgt_io *io);
void file_store_close(void *store);
int file_store_space(void *store, uint64_t *ret_used, uint64_t *ret_free);
int file_store_numa_node(void *store);
int file_store_prefetch(void *store, uint64_t offset, uint64_t len, bool wait);
int file_store_copy(void *from_store, uint64_t from_offset, void *to_store, uint64_t to_offset,
		    uint64_t len, uint64_t *ret_len);
int file_store_extent(void *store, uint64_t offset, uint64_t len, uint64_t *ret_len,
		      bool *ret_stored);
