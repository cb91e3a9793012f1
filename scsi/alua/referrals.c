/* SPDX-License-Identifier: Apache-2.0 */
/*
 * REPORT REFERRALS, where the target's configuration says so: which groups of ports are good for
 * which blocks. A state here is one of the whole LU, so there is one user data segment, of all its
 * blocks, and with it the groups and their states: neither an LBA nor ONE_SEG changes anything.
 * Source: SBC-4 r22, referrals.
 */
#include "scsi/alua/alua.h"
#include "util/bytes.h"
#include <assert.h>

enum {
	HEADER_LEN = 4,
	SEGMENT_LEN = 20,
	GROUP_LEN = 4,
};

bool scsi_referrals_offered(const struct scsi_nexus *nexus)
{
	return nexus->group && nexus->target->alua->referrals;
}

static void out_segment(struct bytes_out *out, const struct scsi_alua *alua, uint64_t last_lba)
{
	size_t count_at = out->len + 3;

	out_zero(out, 4);
	out_be64(out, 0);
	out_be64(out, last_lba);
	for (unsigned g = 0; g < alua->n_groups; g++) {
		if (!scsi_alua_group_is_present(alua, g))
			continue;
		out_u8(out, atomic_load(&alua->groups[g].state));
		out_zero(out, 1);
		out_be16(out, alua->groups[g].id);
		out->buf[count_at]++;
	}
}

enum scsi_step scsi_referrals_report(struct scsi_task *task)
{
	const struct scsi_alua *alua = task->nexus->target->alua;
	size_t len = HEADER_LEN + SEGMENT_LEN + GROUP_LEN * (size_t)alua->n_groups;
	struct bytes_out out;

	if (!scsi_alua_begin(task, len, &out))
		return scsi_finish(task, STATUS_BUSY);
	out_zero(&out, HEADER_LEN);
	out_segment(&out, alua, scsi_lu_view(task->lu)->n_blocks - 1);
	assert(!out.full);
	be16_put(out.buf + 2, (uint16_t)(out.len - HEADER_LEN));
	return scsi_reply(task, task->own, out.len);
}
