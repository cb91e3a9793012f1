/* SPDX-License-Identifier: Apache-2.0 */
/* SET TARGET PORT GROUPS. Source: SPC-5 r22. */
#include "scsi/alua/alua.h"
#include "util/bytes.h"
#include <errno.h>

enum {
	HEADER_LEN = 4,
	DESCRIPTOR_LEN = 4,
	MOVES_MAX = 64,
	STATE = 0x0f, /* of byte 0 of a descriptor */
};

/* In task->own. */
struct change {
	uint8_t list[HEADER_LEN + MOVES_MAX * DESCRIPTOR_LEN];
	struct scsi_alua_move moves[MOVES_MAX];
	unsigned n;
};

bool scsi_alua_set_offered(const struct scsi_nexus *nexus)
{
	return nexus->group && nexus->target->alua->explicit_too;
}

enum scsi_step scsi_alua_plan_set(struct scsi_task *task)
{
	uint32_t len = be32_get(task->cdb + 6);
	struct change *change;

	if (len > sizeof(change->list) || len % DESCRIPTOR_LEN)
		return scsi_check_field(task, 6, 0);
	task->need_out = len;
	return SCSI_READY;
}

/* @at: of the descriptor in the list */
static enum scsi_step add_move(struct scsi_task *task, struct change *change, unsigned at)
{
	const uint8_t *d = change->list + at;
	struct scsi_port_group *group;

	if (d[0] & ~STATE)
		return scsi_check_param(task, at, d[0] & (uint8_t)~STATE);
	if (d[0] > ALUA_UNAVAILABLE) /* offline is for the operator; the others are no states */
		return scsi_check_param(task, at, STATE);
	if (d[1])
		return scsi_check_param(task, at + 1, d[1]);
	group = scsi_alua_find_group(task->nexus->target->alua, be16_get(d + 2));
	if (!group)
		return scsi_check_param(task, at + 2, 0);
	for (unsigned i = 0; i < change->n; i++)
		if (change->moves[i].group == group)
			return scsi_check_param(task, at + 2, 0);
	change->moves[change->n++] = (struct scsi_alua_move){group, d[0]};
	return SCSI_READY;
}

static int transition(struct scsi_task *task)
{
	const struct change *change = task->own;

	return scsi_alua_transition(task->nexus->target, change->moves, change->n, task->nexus);
}

static enum scsi_step transition_done(struct scsi_task *task)
{
	if (task->work_res == -EBUSY)
		return scsi_finish(task, STATUS_BUSY);
	return task->work_res < 0 ? scsi_check(task, SENSE_SET_PORT_GROUPS_FAILED)
				  : scsi_good(task);
}

enum scsi_step scsi_alua_set(struct scsi_task *task)
{
	struct change *change;
	size_t len;

	if (!task->need_out)
		return scsi_good(task);
	change = calloc(1, sizeof(*change));
	if (!change)
		return scsi_finish(task, STATUS_BUSY);
	task->own = change;
	len = scsi_param_copy(task, change->list, task->need_out);
	if (len < task->need_out)
		return scsi_check(task, SENSE_PARAMETER_LIST_LENGTH);
	for (unsigned i = 0; i < HEADER_LEN; i++)
		if (change->list[i])
			return scsi_check_param(task, i, change->list[i]);
	for (unsigned at = HEADER_LEN; at < len; at += DESCRIPTOR_LEN)
		if (add_move(task, change, at) == SCSI_DONE)
			return SCSI_DONE;
	return scsi_task_work(task, transition, transition_done);
}
