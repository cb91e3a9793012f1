/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cipher of libgcrypt, which uses the CPU's AES instructions. A handle of its is for one thread
 * at a time, so there are as many as are in use at once; who finds none makes one.
 */
#include "scsi/crypt/xts.h"
#include "util/bytes.h"
#include "util/gcrypt.h"
#include "util/list.h"
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#define BLOCK_MAX 4096

struct handle {
	struct list node;
	gcry_cipher_hd_t cipher;
};

struct crypt_xts {
	pthread_mutex_t lock;
	struct list idle; /* struct handle.node */
	uint8_t key[CRYPT_KEY_LEN];
};

/* ---- handles ---- */

static void handle_free(struct handle *handle)
{
	if (handle->cipher)
		gcry_cipher_close(handle->cipher); /* which wipes it */
	free(handle);
}

static int handle_new(const struct crypt_xts *xts, struct handle **ret_handle)
{
	struct handle *handle = calloc(1, sizeof(*handle));
	gcry_error_t error;

	if (!handle)
		return -ENOMEM;
	error = gcry_cipher_open(&handle->cipher, GCRY_CIPHER_AES256, GCRY_CIPHER_MODE_XTS, 0);
	if (!error)
		error = gcry_cipher_setkey(handle->cipher, xts->key, sizeof(xts->key));
	if (error) {
		handle_free(handle);
		return gcrypt_errno(error);
	}
	list_init(&handle->node);
	*ret_handle = handle;
	return 0;
}

static int handle_take(struct crypt_xts *xts, struct handle **ret_handle)
{
	struct list *node;

	pthread_mutex_lock(&xts->lock);
	node = list_pop_front(&xts->idle);
	pthread_mutex_unlock(&xts->lock);
	if (!node)
		return handle_new(xts, ret_handle);
	*ret_handle = container_of(node, struct handle, node);
	return 0;
}

static void handle_give_back(struct crypt_xts *xts, struct handle *handle)
{
	pthread_mutex_lock(&xts->lock);
	list_push_front(&xts->idle, &handle->node);
	pthread_mutex_unlock(&xts->lock);
}

/* ---- blocks ---- */

/* The data unit's number, in the byte order of the standard. */
static gcry_error_t set_tweak(const struct handle *handle, uint64_t lba)
{
	uint8_t tweak[CRYPT_UNIT] = {0};

	le32_put(tweak, (uint32_t)lba);
	le32_put(tweak + 4, (uint32_t)(lba >> 32));
	return gcry_cipher_setiv(handle->cipher, tweak, sizeof(tweak));
}

static gcry_error_t encrypt_block(const struct handle *handle, uint8_t *block, uint32_t len)
{
	return gcry_cipher_encrypt(handle->cipher, block, len, NULL, 0);
}

static bool is_zero(const uint8_t *unit)
{
	uint64_t half[2];

	memcpy(half, unit, sizeof(half));
	return !(half[0] | half[1]);
}

/* What is a hole stays one, unit by unit. */
static gcry_error_t decrypt_block(const struct handle *handle, uint8_t *block, uint32_t len)
{
	bool holes[BLOCK_MAX / CRYPT_UNIT];
	uint32_t n = len / CRYPT_UNIT, n_holes = 0;
	gcry_error_t error;

	for (uint32_t i = 0; i < n; i++) {
		holes[i] = is_zero(block + i * CRYPT_UNIT);
		n_holes += holes[i];
	}
	if (n_holes == n)
		return 0;
	error = gcry_cipher_decrypt(handle->cipher, block, len, NULL, 0);
	for (uint32_t i = 0; n_holes && i < n; i++)
		if (holes[i])
			memset(block + i * CRYPT_UNIT, 0, CRYPT_UNIT);
	return error;
}

static int
each_block(struct crypt_xts *xts, uint64_t lba, uint32_t block_size, uint8_t *data, size_t len,
	   gcry_error_t (*do_it)(const struct handle *handle, uint8_t *block, uint32_t block_len))
{
	struct handle *handle;
	gcry_error_t error = 0;
	int r;

	assert(len % block_size == 0 && block_size <= BLOCK_MAX && block_size % CRYPT_UNIT == 0);
	r = handle_take(xts, &handle);
	if (r < 0)
		return r;
	for (size_t at = 0; !error && at < len; at += block_size) {
		error = set_tweak(handle, lba++);
		if (!error)
			error = do_it(handle, data + at, block_size);
	}
	handle_give_back(xts, handle);
	return gcrypt_errno(error);
}

int crypt_xts_encrypt(struct crypt_xts *xts, uint64_t lba, uint32_t block_size, uint8_t *data,
		      size_t len)
{
	return each_block(xts, lba, block_size, data, len, encrypt_block);
}

int crypt_xts_decrypt(struct crypt_xts *xts, uint64_t lba, uint32_t block_size, uint8_t *data,
		      size_t len)
{
	return each_block(xts, lba, block_size, data, len, decrypt_block);
}

int crypt_xts_new(const uint8_t key[CRYPT_KEY_LEN], struct crypt_xts **ret_xts)
{
	scoped(crypt_xts_free) struct crypt_xts *xts = calloc(1, sizeof(*xts));
	struct handle *handle;
	int r;

	if (!xts)
		return -ENOMEM;
	gcrypt_init();
	pthread_mutex_init(&xts->lock, NULL);
	list_init(&xts->idle);
	memcpy(xts->key, key, sizeof(xts->key));
	r = handle_take(xts, &handle); /* so that a key that is refused is, here */
	if (r < 0)
		return r;
	handle_give_back(xts, handle);
	*ret_xts = steal(xts);
	return 0;
}

void crypt_xts_free(struct crypt_xts *xts)
{
	if (!xts)
		return;
	list_for_each (handle, &xts->idle, struct handle, node) {
		list_del(&handle->node);
		handle_free(handle);
	}
	pthread_mutex_destroy(&xts->lock);
	explicit_bzero(xts->key, sizeof(xts->key));
	free(xts);
}
