/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * XTS-AES-256 over logical blocks: a block is a data unit, its LBA the tweak.
 *
 * A unit of 16 bytes that is all zeroes in the store stands for zeroes: that is what a hole reads
 * as, and what an unmapped block has to. A cipher text is such a unit once in 2^128, which is
 * never. So units that were never written are known even where a loss of power, or a read beside
 * a write, has left a block half written.
 * Source: IEEE 1619-2007, XTS-AES transform; NIST SP 800-38E.
 */
#include "util/cleanup.h"
#include <stddef.h>
#include <stdint.h>

#define CRYPT_KEY_LEN 64 /* bytes: a key for the data, and one for the tweak */
#define CRYPT_UNIT 16	 /* bytes that the cipher takes as one */

struct crypt_xts; /* for any number of threads at once */

/* Return: 0; -ENOMEM; -EIO: libgcrypt does not have it, or not this key. */
int crypt_xts_new(const uint8_t key[CRYPT_KEY_LEN], struct crypt_xts **ret_xts);
void crypt_xts_free(struct crypt_xts *xts); /* wipes its keys; NULL is fine */
DEFINE_SCOPED(struct crypt_xts *, crypt_xts_free)

/**
 * crypt_xts_encrypt() - in place
 * @lba:        of the first block
 * @block_size: bytes, a multiple of CRYPT_UNIT, 4096 at most
 * @len:        whole blocks
 * Return: 0; -ENOMEM; -EIO; then what is in @data is undefined.
 */
int crypt_xts_encrypt(struct crypt_xts *xts, uint64_t lba, uint32_t block_size, uint8_t *data,
		      size_t len);
int crypt_xts_decrypt(struct crypt_xts *xts, uint64_t lba, uint32_t block_size, uint8_t *data,
		      size_t len);
