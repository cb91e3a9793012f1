/* SPDX-License-Identifier: Apache-2.0 */
/* An encrypted store: its opening, its key, its end. */
#include "scsi/crypt/store.h"
#include "scsi/lu_priv.h"
#include <errno.h>
#include <stdio.h>

#define LOOK_LEN (1u << 20) /* of a store that is to be encrypted: is anything in there? */

const struct duotgt_backend_ops *crypt_store_ops(const struct crypt_store *store)
{
	return &store->layer.ops;
}

/* ---- the key ---- */

static int use_key(struct crypt_store *store, const struct crypt_media_key *key)
{
	struct crypt_xts *xts;
	int r = crypt_xts_new(key->bytes, &xts);

	if (r < 0)
		return r;
	crypt_xts_free(store->xts);
	store->xts = xts;
	return 0;
}

/* A key that is not known to be the one on stable storage encrypts nothing. */
static void use_stored_key(struct crypt_store *store)
{
	struct crypt_media_key key;

	if (crypt_media_key_load(&store->place, &key) < 0 || use_key(store, &key) < 0) {
		crypt_xts_free(store->xts);
		store->xts = NULL;
	}
	explicit_bzero(&key, sizeof(key));
}

int crypt_store_new_key(struct crypt_store *store)
{
	struct crypt_media_key key;
	int r = crypt_media_key_make(&key);

	if (r < 0)
		return r;
	r = crypt_media_key_store(&store->place, &key);
	if (r == 0)
		r = use_key(store, &key);
	explicit_bzero(&key, sizeof(key));
	if (r < 0)
		use_stored_key(store);
	return r;
}

/* ---- opening ---- */

struct opening {
	const struct scsi_lu_config *cfg;
	const struct duotgt_backend_info *info;
	struct crypt_store *store;
	void *data;
	char *why;
	size_t why_len;
};

/* The key's file is named, since what is wrong is wrong with it. */
static int refuse_key(const struct opening *o, int r, const char *text)
{
	snprintf(o->why, o->why_len, "its key %s/%s: %s", o->store->dir, o->store->name, text);
	return r;
}

static int refuse(const struct opening *o, int r, const char *text)
{
	snprintf(o->why, o->why_len, "encryption: %s", text);
	return r;
}

static int refuse_loading(const struct opening *o, int r)
{
	char text[256];

	switch (r) {
	case -EKEYREJECTED:
		snprintf(text, sizeof(text),
			 "was not made with the key in %s (nothing was changed)",
			 o->cfg->encryption.key_file);
		return refuse_key(o, r, text);
	case -EINVAL:
		return refuse_key(o, r, "was made for blocks of another length");
	case -EBADMSG:
		return refuse_key(o, r, "is damaged, or of another version");
	default:
		errno = -r;
		snprintf(text, sizeof(text), "%m");
		return refuse_key(o, r, text);
	}
}

/* Return: 0; -EEXIST when a byte is not zero; -errno. */
static int look(const struct opening *o, uint8_t *buf, uint64_t offset, size_t len)
{
	struct iovec iov = {buf, len};
	struct duotgt_io io = {
		.kind = DUOTGT_IO_READ, .iov = &iov, .n_iov = 1, .offset = offset, .len = len};
	int r = scsi_store_io_now(o->cfg->backend, o->data, &io);

	if (r < 0)
		return r;
	return buf[0] || memcmp(buf, buf + 1, len - 1) ? -EEXIST : 0;
}

/*
 * What is in there would be lost, as noise: data in the clear, or of a key that is kept elsewhere.
 * Any file system, partition table or disk image has something at the begin or at the end.
 */
static int judge_empty(const struct opening *o)
{
	uint64_t size = o->info->size;
	size_t len = size < LOOK_LEN ? (size_t)size : LOOK_LEN;
	void *buf;
	int r;

	len -= len % o->cfg->block_size;
	if (posix_memalign(&buf, 4096, len))
		return -ENOMEM;
	r = look(o, buf, 0, len);
	if (r == 0)
		r = look(o, buf, (size - len) & ~(uint64_t)(o->cfg->block_size - 1), len);
	free(buf);
	if (r == -EEXIST)
		return refuse_key(o, r,
				  "is not there, but something is in the storage: it was not "
				  "encrypted, or with a key from another state directory (only an "
				  "empty one gets a new key)");
	if (r < 0)
		return refuse(o, r, "the storage cannot be read");
	return 0;
}

static int make_key(const struct opening *o)
{
	struct crypt_media_key key;
	int r;

	if (o->cfg->params.read_only || o->info->read_only)
		return refuse_key(o, -ENOENT,
				  "is not there, and is not made for a read-only storage");
	r = judge_empty(o);
	if (r == 0)
		r = crypt_media_key_make(&key);
	if (r < 0)
		return r;
	r = crypt_media_key_store(&o->store->place, &key);
	if (r == 0)
		r = use_key(o->store, &key);
	explicit_bzero(&key, sizeof(key));
	return r < 0 ? refuse_loading(o, r) : 0;
}

static int open_key(const struct opening *o)
{
	struct crypt_media_key key;
	int r = crypt_key_file_read(o->cfg->encryption.key_file, o->store->place.wrapping, o->why,
				    o->why_len);

	if (r < 0)
		return r;
	r = crypt_media_key_load(&o->store->place, &key);
	if (r == 0)
		r = use_key(o->store, &key);
	explicit_bzero(&key, sizeof(key));
	if (r == -ENOENT)
		return make_key(o);
	return r < 0 ? refuse_loading(o, r) : 0;
}

static void store_free(struct crypt_store *store)
{
	crypt_xts_free(store->xts);
	explicit_bzero(&store->place, sizeof(store->place));
	free(store->dir);
	free(store->name);
	free(store->old_name);
	free(store);
}

static void store_close(void *arg)
{
	struct crypt_store *store = arg;

	store->layer.below->close(store->layer.store);
	store_free(store);
}

static int store_new(const struct scsi_lu_config *cfg, const struct crypt_key_files *files,
		     struct crypt_store **ret_store)
{
	struct crypt_store *store = calloc(1, sizeof(*store));

	if (!store)
		return -ENOMEM;
	store->block_size = cfg->block_size;
	store->shift = (unsigned)__builtin_ctz(cfg->block_size);
	store->dir = strdup(files->dir);
	store->name = strdup(files->name);
	store->old_name = strdup(files->old_name);
	if (!store->dir || !store->name || !store->old_name) {
		store_free(store);
		return -ENOMEM;
	}
	store->place = (struct crypt_key_place){
		.dir = store->dir,
		.name = store->name,
		.old_name = store->old_name,
		.block_size = cfg->block_size,
	};
	*ret_store = store;
	return 0;
}

int crypt_store_open(const struct scsi_lu_config *cfg, const struct crypt_key_files *files,
		     void *data, const struct duotgt_backend_info *info,
		     struct crypt_store **ret_store, char *ret_why, size_t why_len)
{
	struct opening o = {
		.cfg = cfg, .info = info, .data = data, .why = ret_why, .why_len = why_len};
	int r = store_new(cfg, files, &o.store);

	if (r < 0)
		return r;
	r = open_key(&o);
	if (r < 0) {
		store_free(o.store);
		return r;
	}
	backend_layer_init(&o.store->layer, cfg->backend, data, crypt_store_submit, store_close);
	*ret_store = o.store;
	return 0;
}
