/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The key that a LU's blocks are encrypted with: random, and kept in the state directory, wrapped
 * by the administrator's key. Calls block; one at a time for a LU.
 *
 * A new one takes the place of the old one in one step, so a crash leaves the one or the other. The
 * old one keeps a second name until its bytes, too, have been overwritten; whoever comes next
 * completes that.
 * Source: RFC 3394, AES key wrap.
 */
#include "scsi/crypt/key_file.h"
#include "scsi/crypt/xts.h"

struct crypt_media_key {
	uint8_t bytes[CRYPT_KEY_LEN];
};

/* Where a LU's is, and what wraps it. */
struct crypt_key_place {
	const char *dir;
	const char *name, *old_name; /* the file's, and the second name of a replaced one */
	uint8_t wrapping[CRYPT_FILE_KEY_LEN];
	uint32_t block_size; /* is wrapped along: blocks of another length are other data units */
};

/* Any that nobody knows. Return: 0 or -errno. */
int crypt_media_key_make(struct crypt_media_key *ret_key);

/**
 * crypt_media_key_load() - the one that is there; an old one is overwritten first
 * Return: 0; -ENOENT: there is none; -EKEYREJECTED: another key has wrapped it; -EINVAL: it is for
 * blocks of another length; -EBADMSG: not understood; -errno.
 */
int crypt_media_key_load(const struct crypt_key_place *place, struct crypt_media_key *ret_key);

/**
 * crypt_media_key_store() - from now on this one, on stable storage; the old one is gone for good
 * Return: 0; -errno: the old one stands, or the new one does, as crypt_media_key_load() tells.
 */
int crypt_media_key_store(const struct crypt_key_place *place, const struct crypt_media_key *key);
