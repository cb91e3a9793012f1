/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Encryption at rest: a layer between a LU and its store, through which whatever reaches the LU's
 * blocks goes, so that the store never sees a block in the clear. See README.md.
 */
#include "scsi/lu.h"

struct crypt_store;

/*
 * io.flags: not to be encrypted or decrypted. For what is kept of the medium elsewhere and may come
 * back to it, to where it was.
 */
#define CRYPT_IO_RAW 0x200u

struct crypt_key_files {
	const char *dir;	     /* the LU's state directory */
	const char *name, *old_name; /* of its files there: crypt/media_key.h */
};

/**
 * crypt_store_open() - puts the layer over a store
 * @cfg:   of the LU: backend, encryption, block_size and params are looked at
 * @files: where its key is
 * @data:  an open store of cfg->backend; taken over on success only
 * @info:  what is known of it
 * A store without a key gets one when there is nothing in it yet. Blocks.
 * Return: 0 or -errno, with a text.
 */
int crypt_store_open(const struct scsi_lu_config *cfg, const struct crypt_key_files *files,
		     void *data, const struct duotgt_backend_info *info,
		     struct crypt_store **ret_store, char *ret_why, size_t why_len);

/* The back end whose store it is; gone when that is closed. */
const struct duotgt_backend_ops *crypt_store_ops(const struct crypt_store *store);

/*
 * Another key from now on; the old one is gone, and with it what is in the store. For good on
 * return. Blocks; no request is under way. Return: 0; -errno, and the key is the one on stable
 * storage, or, when that cannot be told, none: then all reads and writes fail.
 */
int crypt_store_new_key(struct crypt_store *store);
