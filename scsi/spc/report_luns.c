/* SPDX-License-Identifier: Apache-2.0 */
/* REPORT LUNS: the LUNs that this nexus reaches, in order. Source: SPC-5 r22, REPORT LUNS. */
#include "scsi/lu_priv.h"
#include "scsi/spc/spc.h"
#include "util/bytes.h"
#include <assert.h>
#include <stdlib.h>

enum {
	/* SELECT REPORT */
	SELECT_LUS = 0x00, /* but no well known ones */
	SELECT_WELL_KNOWN = 0x01,
	SELECT_ALL = 0x02,
	SELECT_ADMINISTRATIVE = 0x10,
	SELECT_TOP_LEVEL = 0x11,    /* administrative ones and those of no conglomerate */
	SELECT_CONGLOMERATE = 0x12, /* what belongs to the addressed administrative LU */
};

/* How many of the target's LUs are asked for: all of one kind here, so all or none; -1: reserved.
 */
static int n_selected(const struct scsi_map *map, uint8_t select)
{
	switch (select) {
	case SELECT_LUS:
	case SELECT_ALL:
	case SELECT_TOP_LEVEL:
		return (int)map->n;
	case SELECT_WELL_KNOWN:
	case SELECT_ADMINISTRATIVE:
	case SELECT_CONGLOMERATE:
		return 0;
	default:
		return -1;
	}
}

/* Written to the heap, since 16,384 LUNs are 128 KiB; the size is the target's, not the CDB's. */
enum scsi_step spc_report_luns(struct scsi_task *task)
{
	const struct scsi_map *map = scsi_nexus_map(task->nexus);
	int n = n_selected(map, task->cdb[2]);
	struct bytes_out out;

	if (n < 0)
		return scsi_check_field(task, 2, 0xff);
	task->own = malloc(8 + 8 * (size_t)n);
	if (!task->own)
		return scsi_finish(task, STATUS_BUSY);
	out = bytes_out(task->own, 8 + 8 * (size_t)n);
	out_be32(&out, 8 * (uint32_t)n);
	out_zero(&out, 4);
	for (int i = 0; i < n; i++)
		out_be64(&out, scsi_lun_encode(map->all[i].lun));
	assert(!out.full);
	scsi_nexus_luns_seen(task->nexus);
	return scsi_reply(task, task->own, out.len);
}
