/* SPDX-License-Identifier: Apache-2.0 */
#include "scsi/backend/layer.h"
#include "scsi/lu_priv.h"

static int layer_extent(void *store, uint64_t offset, uint64_t len, uint64_t *ret_len,
			bool *ret_stored)
{
	struct backend_layer *layer = store;

	return layer->below->extent(layer->store, offset, len, ret_len, ret_stored);
}

static int layer_space(void *store, uint64_t *ret_used, uint64_t *ret_free)
{
	struct backend_layer *layer = store;

	return layer->below->space(layer->store, ret_used, ret_free);
}

static int layer_size_now(void *store, uint64_t *ret_size)
{
	struct backend_layer *layer = store;

	return layer->below->size_now(layer->store, ret_size);
}

static int layer_grow(void *store, uint64_t size)
{
	struct backend_layer *layer = store;

	return layer->below->grow(layer->store, size);
}

static int layer_prefetch(void *store, uint64_t offset, uint64_t len, bool wait)
{
	struct backend_layer *layer = store;

	return layer->below->prefetch(layer->store, offset, len, wait);
}

void backend_layer_init(struct backend_layer *layer, const struct duotgt_backend_ops *below,
			void *store,
			void (*submit)(void *store, struct engine *engine, struct duotgt_io *io),
			void (*close)(void *store))
{
	layer->below = below;
	layer->store = store;
	layer->ops = (struct duotgt_backend_ops){
		.abi = DUOTGT_BACKEND_ABI,
		.size = sizeof(layer->ops),
		.type = below->type,
		.submit = submit,
		.close = close,
		.extent = scsi_backend_has(below, extent) ? layer_extent : NULL,
		.space = scsi_backend_has(below, space) ? layer_space : NULL,
		.size_now = scsi_backend_has(below, size_now) ? layer_size_now : NULL,
		.grow = scsi_backend_has(below, grow) ? layer_grow : NULL,
		.prefetch = scsi_backend_has(below, prefetch) ? layer_prefetch : NULL,
	};
}
