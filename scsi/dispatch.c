/* SPDX-License-Identifier: Apache-2.0 */
/* From a CDB to its row, and what can be judged of a CDB by its row alone. */
#include "scsi/op.h"
#include <assert.h>
#include <pthread.h>

enum {
	OPCODE_VARIABLE = 0x7f, /* VARIABLE LENGTH CDB: its service action is in bytes 8 and 9 */
	SA_MASK = 0x1f,		/* of byte 1, everywhere else */
	NACA = 0x04,		/* of the CONTROL byte */
};

/* Row number plus 1 of the first row of each opcode; 0: there is none. */
static uint16_t first_row[256];
static pthread_once_t first_row_once = PTHREAD_ONCE_INIT;

static void index_rows(void)
{
	for (unsigned i = 0; scsi_disk_ops[i].name; i++)
		if (!first_row[scsi_disk_ops[i].opcode])
			first_row[scsi_disk_ops[i].opcode] = (uint16_t)(i + 1);
}

static const struct scsi_op *op_first(uint8_t opcode)
{
	pthread_once(&first_row_once, index_rows);
	return first_row[opcode] ? &scsi_disk_ops[first_row[opcode] - 1] : NULL;
}

static unsigned service_action(const uint8_t *cdb)
{
	return cdb[0] == OPCODE_VARIABLE ? be16_get(cdb + 8) : cdb[1] & SA_MASK;
}

const struct scsi_op *scsi_op_find(const uint8_t *cdb)
{
	const struct scsi_op *op = op_first(cdb[0]);

	if (!op || op->sa == NO_SA)
		return op;
	for (; op->name; op++)
		if (op->opcode == cdb[0] && op->sa == service_action(cdb))
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

/* No row: is it the opcode that nobody knows, or the service action? */
static enum scsi_step check_unknown(struct scsi_task *task)
{
	const struct scsi_op *op = op_first(task->cdb[0]);

	for (; op && op->name; op++)
		if (op->opcode == task->cdb[0] && scsi_op_offered(op, task->lu))
			return task->cdb[0] == OPCODE_VARIABLE ? scsi_check_field(task, 8, 0)
							       : scsi_check_field(task, 1, SA_MASK);
	return scsi_check(task, SENSE_INVALID_OPCODE);
}

enum scsi_step scsi_op_check(struct scsi_task *task)
{
	const struct scsi_op *op = scsi_op_find(task->cdb);
	unsigned control;

	if (!op || !scsi_op_offered(op, task->lu))
		return check_unknown(task);
	if (task->cdb_len < op->cdb_len)
		return scsi_check(task, SENSE_INVALID_FIELD_IN_CDB);
	if (op->opcode == OPCODE_VARIABLE && scsi_cdb_len(task->cdb) != op->cdb_len)
		return scsi_check_field(task, 7, 0);
	/* NACA first: a CONTROL byte that the row leaves out is refused below anyway. */
	control = op->opcode == OPCODE_VARIABLE ? 1 : op->cdb_len - 1u;
	if (task->cdb[control] & NACA)
		return scsi_check_field(task, control, NACA);
	for (unsigned i = 1; i < op->cdb_len; i++)
		if (task->cdb[i] & ~op->usage[i])
			return scsi_check_field(task, i, task->cdb[i] & ~op->usage[i]);
	task->op = op;
	return SCSI_READY;
}
