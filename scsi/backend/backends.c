/* SPDX-License-Identifier: Apache-2.0 */
/* The table of back ends, and the small things they share. */
#include "scsi/backend/backends.h"
#include "util/engine.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

const struct duotgt_backend_ops *duotgt_backend_find(const char *type)
{
	static const struct duotgt_backend_ops *const all[] = {
		&file_backend_ops, &block_backend_ops, &ram_backend_ops,
		&null_backend_ops, &delay_backend_ops,
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(all[i]->type, type) == 0)
			return all[i];
	return NULL;
}

/* In io->priv. */
struct later {
	struct engine_defer defer;
	struct duotgt_io *io;
	int res;
};
_Static_assert(sizeof(struct later) <= sizeof(((struct duotgt_io *)0)->priv), "fits priv");

static void later_run(struct engine_defer *defer)
{
	struct later *later = container_of(defer, struct later, defer);

	later->io->done(later->io, later->res);
}

void backend_done_later(struct engine *engine, struct duotgt_io *io, int res)
{
	struct later *later = (struct later *)io->priv;

	list_init(&later->defer.node);
	later->defer.run = later_run;
	later->io = io;
	later->res = res;
	engine_defer(engine, &later->defer);
}

int backend_refuse(int r, char *ret_why, size_t why_len, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(ret_why, why_len, format, args);
	va_end(args);
	return r;
}

uint64_t backend_queue_limit(dev_t dev, const char *name, uint64_t otherwise)
{
	/* The second one is for a partition: its queue is the disk's. */
	static const char *const folders[] = {"queue", "../queue"};
	uint64_t value = otherwise;
	char path[128];

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		FILE *f;
		int n;

		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s/%s", major(dev), minor(dev),
			 folders[i], name);
		f = fopen(path, "re");
		if (!f)
			continue;
		n = fscanf(f, "%" SCNu64, &value);
		fclose(f);
		return n == 1 ? value : otherwise;
	}
	return otherwise;
}
