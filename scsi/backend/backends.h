/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The back ends that are built in, and what they share. */
#include "duotgt/backend.h"
#include <sys/types.h>

/* "file", "block", "ram", "null", "delay"; else NULL. */
const struct duotgt_backend_ops *duotgt_backend_find(const char *type);

extern const struct duotgt_backend_ops file_backend_ops;
extern const struct duotgt_backend_ops block_backend_ops;
extern const struct duotgt_backend_ops ram_backend_ops;
extern const struct duotgt_backend_ops null_backend_ops;
extern const struct duotgt_backend_ops delay_backend_ops;

/* Runs io->done with @res at the end of this turn of the loop. Uses io->priv. */
void backend_done_later(struct engine *engine, struct duotgt_io *io, int res);

/* Writes the operator's text. Return: @r, so that it can be returned. */
int backend_refuse(int r, char *ret_why, size_t why_len, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* A number from the request queue of the disk that @dev is, or is a part of; else @otherwise. */
uint64_t backend_queue_limit(dev_t dev, const char *name, uint64_t otherwise);
