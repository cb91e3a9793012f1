/* SPDX-License-Identifier: Apache-2.0 */
/* REPORT TARGET PORT GROUPS. Source: SPC-5 r22. */
#include "scsi/alua/alua.h"
#include "util/bytes.h"
#include <assert.h>

enum {
	EXTENDED = 0x20, /* PARAMETER DATA FORMAT 001b: CDB byte 1, and byte 4 as FORMAT TYPE */
	FORMAT_TYPE_EXTENDED = 0x10,
	HEADER_LEN = 4,
	EXTENDED_HEADER_LEN = 8,
	GROUP_LEN = 8,
	PORT_LEN = 4,

	PREF = 0x80,
	SUPPORTED = 0xcf, /* T_SUP O_SUP U_SUP S_SUP AN_SUP AO_SUP */
};

bool scsi_alua_report_offered(const struct scsi_nexus *nexus)
{
	return nexus->group;
}

static void out_group(struct bytes_out *out, const struct scsi_alua *alua, unsigned g)
{
	struct scsi_port_group *group = &alua->groups[g];
	size_t count_at;

	out_u8(out, (atomic_load(&group->preferred) ? PREF : 0) | atomic_load(&group->state));
	out_u8(out, SUPPORTED);
	out_be16(out, group->id);
	out_zero(out, 1);
	out_u8(out, atomic_load(&group->status));
	out_zero(out, 1);
	count_at = out->len;
	out_u8(out, 0);
	for (unsigned i = 0; i < alua->n_ports; i++) {
		if (alua->ports[i].group != g || !alua->ports[i].present)
			continue;
		out_zero(out, 2);
		out_be16(out, alua->ports[i].rel);
		out->buf[count_at]++;
	}
}

enum scsi_step scsi_alua_report(struct scsi_task *task)
{
	const struct scsi_alua *alua = task->nexus->target->alua;
	size_t len = EXTENDED_HEADER_LEN + GROUP_LEN * (size_t)alua->n_groups +
		     PORT_LEN * (size_t)alua->n_ports;
	struct bytes_out out;

	if (!scsi_alua_begin(task, len, &out))
		return scsi_finish(task, STATUS_BUSY);
	out_zero(&out, HEADER_LEN);
	if (task->cdb[1] & EXTENDED) {
		out_u8(&out, FORMAT_TYPE_EXTENDED);
		out_zero(&out, 3); /* IMPLICIT TRANSITION TIME: not said */
	}
	for (unsigned g = 0; g < alua->n_groups; g++)
		if (scsi_alua_group_is_present(alua, g))
			out_group(&out, alua, g);
	assert(!out.full);
	be32_put(task->own, (uint32_t)(out.len - HEADER_LEN));
	return scsi_reply(task, task->own, out.len);
}
