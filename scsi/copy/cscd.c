/* SPDX-License-Identifier: Apache-2.0 */
/* Source: SPC-5 r22, identification descriptor CSCD descriptor; designators as in VPD page 83. */
#include "scsi/copy/cscd.h"
#include "scsi/spc/vpd.h"
#include "util/bytes.h"
#include <assert.h>

enum {
	DESIGNATOR_MAX = 20, /* that a descriptor has room for */
	DEVICE_TYPE = 0x1f,  /* byte 1 */
	CODE_SET = 0x0f,     /* byte 4 */
	OF_WHAT = 0x3f,	     /* byte 5: association and designator type */
	PAD = 0x04,	     /* byte 28 */
};

/* What a descriptor says, as page 83 puts it: code set, association and type, 0, length, bytes. */
struct name {
	uint8_t bytes[4 + DESIGNATOR_MAX];
	size_t len;
};

static bool lu_has_name(const struct scsi_lu *lu, const struct name *name)
{
	uint8_t buf[256];
	struct bytes_out out = bytes_out(buf, sizeof(buf));
	struct bytes_in in;

	spc_out_designators(&out, lu);
	assert(!out.full);
	in = bytes_in(buf, out.len);
	while (in.left >= 4) {
		const uint8_t *p = in_bytes(&in, 4);

		if (!in_skip(&in, p[3]))
			return false;
		if (4u + p[3] == name->len && !memcmp(p, name->bytes, name->len))
			return true;
	}
	return false;
}

/*
 * The LU at an index of the map, with a pair of its own: as for a command to it, the thread of
 * this nexus is one that what hangs on the LU is kept for.
 */
static struct scsi_lu *lu_at(struct scsi_task *task, unsigned i)
{
	struct scsi_itl *itl = scsi_nexus_itl(task->nexus, i);

	return itl ? itl->lu : NULL;
}

static struct scsi_lu *find(struct scsi_task *task,
			    bool (*fits)(const struct scsi_lu *lu, const void *what),
			    const void *what)
{
	const struct scsi_map *map = scsi_nexus_map(task->nexus);

	if (fits(task->lu, what)) /* most often it is this one */
		return task->lu;
	for (unsigned i = 0; i < map->n; i++)
		if (fits(map->all[i].lu, what))
			return lu_at(task, i);
	return NULL;
}

static bool fits_name(const struct scsi_lu *lu, const void *name)
{
	return lu_has_name(lu, name);
}

static bool fits_uuid(const struct scsi_lu *lu, const void *uuid)
{
	return !memcmp(lu->uuid, uuid, sizeof(lu->uuid));
}

struct scsi_lu *cscd_find_uuid(struct scsi_task *task, const uint8_t *uuid)
{
	return find(task, fits_uuid, uuid);
}

static void know(struct cscd *cscd, struct scsi_lu *lu)
{
	const struct scsi_lu_view view = scsi_lu_look(lu);

	cscd->lu = lu;
	cscd->block_size = view.block_size;
	cscd->n_blocks = view.n_blocks;
}

void cscd_self(struct scsi_task *task, struct cscd *ret)
{
	*ret = (struct cscd){0};
	know(ret, task->lu);
}

/* One descriptor of CSCD_LEN bytes, which begins @at in the parameter list. */
static enum scsi_step read_one(struct scsi_task *task, const uint8_t *p, unsigned at,
			       struct cscd *ret)
{
	struct name name = {.bytes = {p[4] & CODE_SET, p[5] & OF_WHAT, 0, p[7]}};
	struct scsi_lu *lu;

	*ret = (struct cscd){.why = SENSE_COPY_TARGET_NOT_REACHABLE, .pad = p[28] & PAD};
	if (p[7] > DESIGNATOR_MAX)
		return scsi_check_param(task, at + 7, 0xff);
	memcpy(name.bytes + 4, p + 8, p[7]);
	name.len = 4u + p[7];
	lu = find(task, fits_name, &name);
	if (!lu)
		return SCSI_READY;
	if ((p[1] & DEVICE_TYPE) != scsi_lu_look(lu).device_type) {
		ret->why = SENSE_COPY_TARGET_TYPE;
		return SCSI_READY;
	}
	/* Who takes the blocks to be of another length means other blocks. */
	if (be24_get(p + 29) != scsi_lu_look(lu).block_size)
		return scsi_check_param(task, at + 29, 0xff);
	know(ret, lu);
	return SCSI_READY;
}

enum scsi_step cscd_read(struct scsi_task *task, const uint8_t *list, size_t len, unsigned at,
			 struct cscd *ret, unsigned *ret_n)
{
	struct bytes_in in = bytes_in(list, len);
	unsigned n = 0;

	if (len / CSCD_LEN > COPY_MAX_CSCDS)
		return scsi_check(task, SENSE_TOO_MANY_CSCDS);
	while (in.left) {
		const uint8_t *p = in.p;

		if (p[0] != CSCD_IDENTIFICATION)
			return scsi_check(task, SENSE_CSCD_TYPE);
		if (!in_skip(&in, CSCD_LEN))
			return scsi_check(task, SENSE_PARAMETER_LIST_LENGTH);
		if (read_one(task, p, at + n * CSCD_LEN, &ret[n]) == SCSI_DONE)
			return SCSI_DONE;
		n++;
	}
	*ret_n = n;
	return SCSI_READY;
}

/* With the first designator that fits in, which is the NAA. */
void cscd_put(const struct scsi_lu *lu, uint8_t *buf)
{
	uint8_t names[256];
	struct bytes_out out = bytes_out(names, sizeof(names));
	const struct scsi_lu_view *view = scsi_lu_view(lu);

	spc_out_designators(&out, lu);
	assert(!out.full && out.len >= 4 && names[3] <= DESIGNATOR_MAX);
	memset(buf, 0, CSCD_LEN);
	buf[0] = CSCD_IDENTIFICATION;
	buf[1] = view->device_type;
	memcpy(buf + 4, names, 4u + names[3]);
	buf[29] = (uint8_t)(view->block_size >> 16);
	be16_put(buf + 30, (uint16_t)view->block_size);
}
