/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this device server can do, told from the rows it does it by: REPORT SUPPORTED OPERATION
 * CODES and REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS. Source: SPC-5 r22.
 */
#include "scsi/op.h"
#include "scsi/pi/protect.h"
#include "scsi/spc/spc.h"
#include <assert.h>
#include <string.h>

#define MAX_ROWS 256

enum {
	/* REPORT SUPPORTED OPERATION CODES, byte 2 */
	RCTD = 0x80,
	REPORTING_OPTIONS = 0x07,
	ALL_COMMANDS = 0,
	ONE_OPCODE = 1,		/* which has no service actions */
	ONE_SERVICE_ACTION = 2, /* of an operation code which has */
	ONE_OF_EITHER = 3,

	/* all_commands parameter data, byte 5 of a descriptor */
	CTDP_ALL = 0x02,
	SERVACTV = 0x01,

	/* one_command parameter data, byte 1 */
	CTDP_ONE = 0x80,
	NOT_SUPPORTED = 0x01,
	SUPPORTED = 0x03, /* as the standard says */
};

/* What needs no medium is quick; a medium may be a disk far away, with a queue before it. */
static uint32_t recommended_timeout(const struct scsi_op *op)
{
	enum { QUICK_S = 10, MEDIUM_S = 60 };

	if (op->timeout_s)
		return op->timeout_s;
	return op->access < ACCESS_READ ? QUICK_S : MEDIUM_S;
}

/* Command timeouts descriptor. What a command nominally takes is the store's secret: 0. */
static void out_timeouts(struct bytes_out *out, const struct scsi_op *op)
{
	out_be16(out, 0x0a);
	out_zero(out, 2);
	out_be32(out, 0);
	out_be32(out, recommended_timeout(op));
}

static enum scsi_step report_all(struct scsi_task *task, bool timeouts)
{
	uint8_t buf[4 + MAX_ROWS * 20];
	struct bytes_out out = bytes_out(buf, sizeof(buf));
	const struct scsi_op *op;

	out_zero(&out, 4);
	for (unsigned i = 0; (op = scsi_op_at(i)); i++) {
		bool has_sa = op->sa != NO_SA;

		if (!scsi_op_offered_to(op, task->lu, task->nexus))
			continue;
		out_u8(&out, op->opcode);
		out_zero(&out, 1);
		out_be16(&out, has_sa ? op->sa : 0);
		out_zero(&out, 1);
		out_u8(&out, (timeouts ? CTDP_ALL : 0) | (has_sa ? SERVACTV : 0));
		out_be16(&out, op->cdb_len);
		if (timeouts)
			out_timeouts(&out, op);
	}
	assert(!out.full);
	be32_put(buf, (uint32_t)out.len - 4);
	return scsi_reply(task, buf, out.len);
}

static enum scsi_step report_one(struct scsi_task *task, const struct scsi_op *op, bool timeouts)
{
	uint8_t buf[4 + SCSI_CDB_MAX + 12], usage[SCSI_CDB_MAX];
	struct bytes_out out = bytes_out(buf, sizeof(buf));

	out_zero(&out, 1);
	if (!op) {
		out_u8(&out, NOT_SUPPORTED);
		out_be16(&out, 0);
		return scsi_reply(task, buf, out.len);
	}
	out_u8(&out, SUPPORTED | (timeouts ? CTDP_ONE : 0));
	out_be16(&out, op->cdb_len);
	memcpy(usage, op->usage, sizeof(usage));
	pi_trim_usage(op, task->lu, usage);
	out_bytes(&out, usage, op->cdb_len);
	if (timeouts)
		out_timeouts(&out, op);
	assert(!out.full);
	return scsi_reply(task, buf, out.len);
}

/* The first offered row of an operation code, or the one with @sa (NO_SA: whichever). */
static const struct scsi_op *row_of(const struct scsi_task *task, uint8_t opcode, uint16_t sa)
{
	const struct scsi_op *op;

	for (unsigned i = scsi_op_first(opcode); (op = scsi_op_at(i)) && op->opcode == opcode; i++)
		if ((sa == NO_SA || op->sa == sa) && scsi_op_offered_to(op, task->lu, task->nexus))
			return op;
	return NULL;
}

enum scsi_step spc_report_opcodes(struct scsi_task *task)
{
	uint8_t options = task->cdb[2] & REPORTING_OPTIONS;
	uint16_t sa = be16_get(task->cdb + 4);
	const struct scsi_op *op = row_of(task, task->cdb[3], NO_SA);
	bool has_sa = op && op->sa != NO_SA;

	if (options == ALL_COMMANDS)
		return report_all(task, task->cdb[2] & RCTD);
	if (options > ONE_OF_EITHER || (options == ONE_OPCODE && has_sa) ||
	    (options == ONE_SERVICE_ACTION && op && !has_sa))
		return scsi_check_field(task, 2, REPORTING_OPTIONS);
	if (has_sa) /* a service action field has five bits: NO_SA is none */
		op = sa < 0x20 ? row_of(task, task->cdb[3], sa) : NULL;
	else if (options == ONE_OF_EITHER && sa)
		op = NULL;
	return report_one(task, op, task->cdb[2] & RCTD);
}

enum scsi_step spc_report_tmf(struct scsi_task *task)
{
	enum {
		REPD = 0x80,
		ATS = 0x80,   /* ABORT TASK */
		ATSS = 0x40,  /* ABORT TASK SET */
		CACAS = 0x20, /* CLEAR ACA */
		CTSS = 0x10,  /* CLEAR TASK SET */
		LURS = 0x08,  /* LOGICAL UNIT RESET */
		QTS = 0x04,   /* QUERY TASK */
		QAES = 0x04,  /* byte 1: QUERY ASYNCHRONOUS EVENT */
		QTSS = 0x02,  /* QUERY TASK SET */
		ITNRS = 0x01, /* I_T NEXUS RESET */
		SHORT_LEN = 4,
		LONG_LEN = 16,
	};
	uint8_t buf[LONG_LEN] = {ATS | ATSS | CACAS | CTSS | LURS | QTS, QAES | QTSS | ITNRS};

	if (!(task->cdb[2] & REPD))
		return scsi_reply(task, buf, SHORT_LEN);
	/* What follows are timeouts, of which we know none: TMFTMOV and the flags of each stay 0.
	 */
	buf[3] = LONG_LEN - SHORT_LEN;
	return scsi_reply(task, buf, LONG_LEN);
}
