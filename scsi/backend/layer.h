/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A layer between a LU and its store: a store over another one. It has requests and the end for
 * itself; whatever else the store below can do is handed through to it, but for copies inside the
 * store's own world, which would go past the layer.
 */
#include "duotgt/backend.h"

/* The first member of a store that is a layer. */
struct backend_layer {
	struct duotgt_backend_ops ops;		/* what the LU sees */
	const struct duotgt_backend_ops *below; /* of the store below */
	void *store;				/* that store */
};

/* @below and @store stay the caller's. ops may be changed afterwards, call by call. */
void backend_layer_init(struct backend_layer *layer, const struct duotgt_backend_ops *below,
			void *store,
			void (*submit)(void *store, struct engine *engine, struct duotgt_io *io),
			void (*close)(void *store));
