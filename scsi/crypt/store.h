/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside of encrypted stores: for scsi/crypt/ only. */
#include "scsi/backend/layer.h"
#include "scsi/crypt/crypt.h"
#include "scsi/crypt/media_key.h"

struct crypt_store {
	struct backend_layer layer;
	struct crypt_xts *xts; /* NULL: no key is known */
	uint32_t block_size;
	unsigned shift; /* block_size is 2^shift */
	struct crypt_key_place place;
	char *dir, *name, *old_name; /* of place */
};

/* request.c */
void crypt_store_submit(void *store, struct engine *engine, struct duotgt_io *io);
