/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The world's disks. A write lands in the view that reads see, and leaves a version of each of
 * its sectors; a flush, or the write itself with DSYNC, makes versions stable. A crash takes, for
 * each sector by itself, the stable state or one of the versions after it.
 */
#include "sim_priv.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct version {
	struct list node; /* in disk->versions[sector], oldest first */
	uint64_t gen;
	uint8_t data[SIM_SECTOR];
};

struct sim_disk {
	struct list node; /* in sim->disks */
	struct sim *sim;
	struct sim_disk_config cfg;
	uint8_t *stable, *view;
	size_t n_sectors;
	struct list *versions;
	uint64_t gen;	       /* of the last write that landed */
	unsigned n_crashes;    /* descriptors from before are dead */
	struct list under_way; /* struct disk_op.node */
};

struct disk_file {
	struct sim_file file;
	struct sim_disk *disk;
	unsigned n_crashes;
};

/* An operation between its queueing and its completion. */
struct disk_op {
	struct list node;
	struct disk_file *file;
	struct engine_op *op;
	uint64_t gen; /* a flush: of the last write before it; a write: its own */
	bool landed;
	int res;
};

/* ---- sectors ---- */

static void version_drop(struct version *v)
{
	list_del(&v->node);
	free(v);
}

/* Versions of a sector up to @gen become stable, or get lost in the attempt. */
static void sector_settle(struct sim_disk *disk, size_t sector, uint64_t gen, bool lost)
{
	list_for_each (v, &disk->versions[sector], struct version, node) {
		if (v->gen > gen)
			break;
		if (!lost || sim_chance(disk->sim, 500))
			memcpy(disk->stable + sector * SIM_SECTOR, v->data, SIM_SECTOR);
		version_drop(v);
	}
}

/* @iov NULL: zeroes. Whole sectors are one step for a crash; a part of one goes with the rest. */
static void land(struct sim_disk *disk, const struct engine_op *op, size_t skip, size_t len,
		 uint64_t gen)
{
	uint64_t at = op->file.offset + skip;

	while (len) {
		size_t sector = at / SIM_SECTOR, n = SIM_SECTOR - at % SIM_SECTOR;
		struct version *v = sim_alloc(sizeof(*v));

		if (n > len)
			n = len;
		if (op->file.iov)
			sim_iov_move(op->file.iov, (size_t)op->file.n_iov, skip, disk->view + at, n,
				     false);
		else
			memset(disk->view + at, 0, n);
		v->gen = gen;
		memcpy(v->data, disk->view + sector * SIM_SECTOR, SIM_SECTOR);
		list_push_back(&disk->versions[sector], &v->node);
		at += n;
		skip += n;
		len -= n;
	}
}

size_t sim_disk_dirty(const struct sim_disk *disk)
{
	size_t n = 0;

	for (size_t i = 0; i < disk->n_sectors; i++)
		n += !list_empty(&disk->versions[i]);
	return n;
}

/* ---- operations: queued, then done to the view, then completed ---- */

static size_t op_len(const struct sim_disk *disk, const struct engine_op *op)
{
	size_t len = op->kind == OP_DISCARD ? op->file.len
					    : sim_iov_len(op->file.iov, (size_t)op->file.n_iov);
	size_t left = op->file.offset < disk->cfg.size ? disk->cfg.size - op->file.offset : 0;

	return len < left ? len : left;
}

/* No sector is cut in two: what others write in between would tear it. */
static size_t shorter(struct sim *sim, size_t len)
{
	return len <= SIM_SECTOR ? len : sim_between(sim, 1, len / SIM_SECTOR) * SIM_SECTOR;
}

static void transfer(struct sim_disk *disk, struct disk_op *d)
{
	struct engine_op *op = d->op;
	size_t len = op_len(disk, op);
	bool reads = op->kind == OP_READV;

	if (op->kind != OP_DISCARD && len > 1 && sim_chance(disk->sim, disk->cfg.short_permille))
		len = shorter(disk->sim, len);
	d->res = op->kind == OP_DISCARD ? 0 : (int)len;
	if (sim_chance(disk->sim,
		       reads ? disk->cfg.read_error_permille : disk->cfg.write_error_permille)) {
		d->res = -EIO;
		len = sim_below(disk->sim, len / SIM_SECTOR + 1) * SIM_SECTOR; /* it came so far */
	} else if (!reads && sim_chance(disk->sim, disk->cfg.full_permille)) {
		d->res = -ENOSPC;
		len = 0;
	}
	if (reads) {
		sim_iov_move(op->file.iov, (size_t)op->file.n_iov, 0, disk->view + op->file.offset,
			     len, true);
		return;
	}
	d->gen = ++disk->gen;
	land(disk, op, 0, len, d->gen);
}

static void make_stable(struct sim_disk *disk, struct disk_op *d)
{
	const struct engine_op *op = d->op;
	bool lost = false;

	if (op->kind == OP_FLUSH) {
		d->res = 0;
		lost = sim_chance(disk->sim, disk->cfg.flush_error_permille);
		if (lost)
			d->res = -EIO;
		if (disk->cfg.forgets_flush)
			return;
		for (size_t i = 0; i < disk->n_sectors; i++)
			sector_settle(disk, i, d->gen, lost);
	} else if (op->kind == OP_WRITEV && op->file.flags & ENGINE_WRITE_DSYNC && d->res > 0 &&
		   !disk->cfg.forgets_dsync) {
		uint64_t last = op->file.offset + (uint64_t)d->res - 1;

		for (size_t i = op->file.offset / SIM_SECTOR; i <= last / SIM_SECTOR; i++)
			sector_settle(disk, i, d->gen, false);
	}
}

static bool dead(const struct disk_op *d)
{
	return d->file->n_crashes != d->file->disk->n_crashes;
}

static void op_completes(void *arg, uint64_t n)
{
	struct disk_op *d = arg;

	(void)n;
	if (dead(d))
		d->res = -EIO;
	else if (d->res >= 0)
		make_stable(d->file->disk, d);
	list_del(&d->node);
	sim_ready(d->op, d->res);
	free(d);
}

static void op_lands(void *arg, uint64_t n)
{
	struct disk_op *d = arg;
	struct sim_disk *disk = d->file->disk;

	(void)n;
	if (!dead(d)) {
		d->landed = true;
		if (sim_chance(disk->sim, disk->cfg.again_permille))
			d->res = -EAGAIN;
		else if (d->op->kind != OP_FLUSH)
			transfer(disk, d);
	}
	sim_after(disk->sim, sim_delay(disk->sim, 20000), op_completes, d, 0);
}

void sim_disk_queue(struct engine_op *op)
{
	struct sim_engine *se = container_of(op->engine, struct sim_engine, engine);
	struct sim_file *file = sim_file_find(se->sim, op->file.fd);
	struct disk_file *df = container_of(file, struct disk_file, file);
	struct disk_op *d = sim_alloc(sizeof(*d));
	uint64_t delay = sim_delay(se->sim, 30000);

	assert(file->kind == SIM_DISK);
	d->file = df;
	d->op = op;
	d->gen = df->disk->gen;
	list_push_back(&df->disk->under_way, &d->node);
	if (sim_chance(se->sim, df->disk->cfg.slow_permille))
		delay = sim_between(se->sim, 1, 50) * 1000000;
	sim_after(se->sim, delay, op_lands, d, 0);
}

/* ---- disks ---- */

struct sim_disk *sim_disk_new(struct sim *sim, const struct sim_disk_config *cfg)
{
	struct sim_disk *disk = sim_alloc(sizeof(*disk));

	assert(cfg->size % SIM_SECTOR == 0);
	disk->sim = sim;
	disk->cfg = *cfg;
	disk->stable = sim_alloc(cfg->size);
	disk->view = sim_alloc(cfg->size);
	disk->n_sectors = cfg->size / SIM_SECTOR;
	disk->versions = sim_alloc(disk->n_sectors * sizeof(*disk->versions));
	for (size_t i = 0; i < disk->n_sectors; i++)
		list_init(&disk->versions[i]);
	list_init(&disk->under_way);
	list_push_back(&sim->disks, &disk->node);
	return disk;
}

void sim_disk_free(struct list *node)
{
	struct sim_disk *disk = list_entry(node, struct sim_disk, node);

	assert(list_empty(&disk->under_way));
	for (size_t i = 0; i < disk->n_sectors; i++)
		sector_settle(disk, i, UINT64_MAX, false);
	free(disk->versions);
	free(disk->view);
	free(disk->stable);
	free(disk);
}

static void disk_file_free(struct sim_file *file)
{
	free(container_of(file, struct disk_file, file));
}

int sim_disk_open(struct sim_disk *disk)
{
	struct disk_file *df = sim_alloc(sizeof(*df));

	df->file.free = disk_file_free;
	df->disk = disk;
	df->n_crashes = disk->n_crashes;
	return sim_file_add(disk->sim, &df->file, SIM_DISK);
}

/* A write that had not landed yet: any of its sectors may have got there. */
static void tear(struct sim_disk *disk, const struct disk_op *d)
{
	size_t len = op_len(disk, d->op);

	if (d->landed || dead(d) || d->op->kind != OP_WRITEV)
		return;
	disk->gen++;
	for (size_t at = 0; at + SIM_SECTOR <= len; at += SIM_SECTOR)
		if (sim_chance(disk->sim, 500))
			land(disk, d->op, at, SIM_SECTOR, disk->gen);
}

void sim_disk_crash(struct sim_disk *disk)
{
	list_for_each (d, &disk->under_way, struct disk_op, node)
		tear(disk, d);
	disk->n_crashes++;
	for (size_t i = 0; i < disk->n_sectors; i++) {
		struct list *versions = &disk->versions[i];
		uint64_t n = 0;

		list_for_each (v, versions, struct version, node)
			n++;
		n = sim_below(disk->sim, n + 1); /* how many of them got there */
		list_for_each (v, versions, struct version, node) {
			if (n) {
				memcpy(disk->stable + i * SIM_SECTOR, v->data, SIM_SECTOR);
				n--;
			}
			version_drop(v);
		}
	}
	memcpy(disk->view, disk->stable, disk->cfg.size);
}

const uint8_t *sim_disk_view(const struct sim_disk *disk)
{
	return disk->view;
}

void sim_disk_calm(struct sim_disk *disk)
{
	struct sim_disk_config *cfg = &disk->cfg;

	cfg->short_permille = cfg->read_error_permille = cfg->write_error_permille = 0;
	cfg->flush_error_permille = cfg->full_permille = cfg->again_permille = 0;
	cfg->slow_permille = 0;
}
