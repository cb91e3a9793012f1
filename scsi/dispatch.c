/* SPDX-License-Identifier: Apache-2.0 */
/* From a CDB to its row, and what can be judged of a CDB by its row alone. */
#include "scsi/lu_priv.h"
#include "scsi/pi/pi.h"

enum {
	OPCODE_VARIABLE = 0x7f, /* VARIABLE LENGTH CDB: its service action is in bytes 8 and 9 */
	SA_MASK = 0x1f,		/* of byte 1, everywhere else */
};

static unsigned service_action(const uint8_t *cdb)
{
	return cdb[0] == OPCODE_VARIABLE ? be16_get(cdb + 8) : cdb[1] & SA_MASK;
}

void scsi_op_judge_devices(struct scsi_lu_view *view)
{
	if (view->device_type == DEVICE_CDROM)
		view->op_devices = ON_CDROMS;
	else if (!view->protection)
		view->op_devices = ON_PLAIN;
	else
		view->op_devices = view->protection == PI_TYPE_2 ? ON_TYPE_2 : ON_TYPES_1_3;
}

bool scsi_op_offered(const struct scsi_op *op, const struct scsi_lu *lu)
{
	if (!lu)
		return op->devices == ON_ANY && !op->offered;
	return (op->devices & scsi_lu_view(lu)->op_devices) && (!op->offered || op->offered(lu));
}

const struct scsi_op *scsi_op_find(const struct scsi_lu *lu, const uint8_t *cdb)
{
	const struct scsi_op *op;

	for (unsigned i = scsi_op_first(cdb[0]); (op = scsi_op_at(i)) && op->opcode == cdb[0]; i++)
		if ((op->sa == NO_SA || op->sa == service_action(cdb)) && scsi_op_offered(op, lu))
			return op;
	return NULL;
}

unsigned scsi_cdb_len(const uint8_t *cdb)
{
	static const uint8_t by_group[8] = {6, 10, 10, 0, 16, 12, 0, 0};

	if (cdb[0] == OPCODE_VARIABLE)
		return 8u + cdb[7];
	return by_group[cdb[0] >> 5];
}

uint8_t scsi_cdb_control(const uint8_t *cdb)
{
	unsigned len = scsi_cdb_len(cdb);

	if (cdb[0] == OPCODE_VARIABLE)
		return cdb[1];
	return len ? cdb[len - 1] : 0;
}

/* No row: is it the opcode that nobody knows, or the service action? */
static enum scsi_step check_unknown(struct scsi_task *task)
{
	unsigned i = scsi_op_first(task->cdb[0]);
	const struct scsi_op *op;
	bool has_some = false;

	for (; (op = scsi_op_at(i)) && op->opcode == task->cdb[0]; i++) {
		has_some |= scsi_op_offered_to(op, task->lu, task->nexus);
		/* READ (32) and the like, of a protection type that has none. */
		if (op->opcode == OPCODE_VARIABLE && op->sa == service_action(task->cdb))
			return scsi_check(task, SENSE_INVALID_OPCODE);
	}
	if (!has_some)
		return scsi_check(task, SENSE_INVALID_OPCODE);
	return task->cdb[0] == OPCODE_VARIABLE ? scsi_check_field(task, 8, 0)
					       : scsi_check_field(task, 1, SA_MASK);
}

enum scsi_step scsi_op_check(struct scsi_task *task)
{
	const struct scsi_op *op = scsi_op_find(task->lu, task->cdb);

	if (!op || !scsi_op_offered_to(op, task->lu, task->nexus))
		return check_unknown(task);
	if (task->cdb_len < op->cdb_len)
		return scsi_check(task, SENSE_INVALID_FIELD_IN_CDB);
	if (op->opcode == OPCODE_VARIABLE && scsi_cdb_len(task->cdb) != op->cdb_len)
		return scsi_check_field(task, 7, 0);
	if (task->nexus->foreign & SCSI_FOREIGN_TASKS && scsi_cdb_control(task->cdb) & CONTROL_NACA)
		return scsi_check_field(task, op->opcode == OPCODE_VARIABLE ? 1 : op->cdb_len - 1u,
					CONTROL_NACA);
	for (unsigned i = 1; i < op->cdb_len; i++)
		if (task->cdb[i] & ~op->usage[i])
			return scsi_check_field(task, i, task->cdb[i] & ~op->usage[i]);
	task->op = op;
	return SCSI_READY;
}
