/* SPDX-License-Identifier: Apache-2.0 */
/*
 * THIRD-PARTY COPY IN: how a copy stands, how it failed, what can be asked for. No data is ever
 * held for an application client, so the data that can be received is always empty.
 * Source: SPC-4 r37, RECEIVE COPY STATUS, DATA, FAILURE DETAILS, OPERATING PARAMETERS; SPC-5 r22.
 */
#include "scsi/copy/receive.h"
#include <assert.h>

enum {
	UNIT_BYTES = 0x00,
	UNIT_BLOCKS = 0xf1,
	UPDATE_DELAY_MS = 100,

	/* COPY MANAGER STATUS, of LID1 */
	LID1_IN_PROGRESS = 0x00,
	LID1_DONE = 0x01,
	LID1_FAILED = 0x02,
};

enum scsi_step receive_reply(struct scsi_task *task, struct bytes_out *out)
{
	assert(!out->full && out->len >= 4);
	be32_put(out->buf, (uint32_t)out->len - 4);
	return scsi_reply(task, out->buf, out->len);
}

static bool is_running(const struct copy_report *report)
{
	return report->state == COPY_IN_FOREGROUND || report->state == COPY_IN_BACKGROUND;
}

static size_t put_sense(const struct copy_report *report, uint8_t *buf)
{
	if (is_running(report) || report->status != STATUS_CHECK_CONDITION)
		return 0;
	return scsi_sense_build(&report->sense, report->descriptor_sense, buf);
}

static bool counts_blocks(const struct copy_report *report)
{
	return report->sa == COPY_POPULATE_TOKEN || report->sa == COPY_WRITE_USING_TOKEN;
}

void receive_out_status(struct bytes_out *out, const struct copy_report *report)
{
	uint8_t sense[SCSI_SENSE_MAX];
	size_t sense_len = put_sense(report, sense);
	bool blocks = counts_blocks(report);

	out_zero(out, 4); /* AVAILABLE DATA */
	out_u8(out, report->sa);
	out_u8(out, (uint8_t)report->state);
	out_be16(out, report->operations);
	out_be32(out, is_running(report) ? UPDATE_DELAY_MS : 0);
	out_u8(out, is_running(report) ? 0 : (uint8_t)report->status);
	out_u8(out, (uint8_t)sense_len); /* of the field, and of what is in it */
	out_u8(out, (uint8_t)sense_len);
	out_u8(out, blocks ? UNIT_BLOCKS : UNIT_BYTES);
	out_be64(out, blocks ? report->bytes / report->block_size : report->bytes);
	out_be16(out, (uint16_t)report->segments);
	out_zero(out, 6);
	out_bytes(out, sense, sense_len);
}

enum scsi_step copy_receive_lid4(struct scsi_task *task)
{
	uint8_t buf[RECEIVE_STATUS_MAX + 4];
	struct bytes_out out = bytes_out(buf, sizeof(buf));
	struct copy_report report;

	if (!copy_job_report(task, be32_get(task->cdb + 2), &report))
		return scsi_check_field(task, 2, 0);
	receive_out_status(&out, &report);
	if (task->op->sa == COPY_DATA_LID4)
		out_be32(&out, 0); /* HELD DATA LENGTH */
	return receive_reply(task, &out);
}

/* Bytes in the smallest unit of 2^10 that 32 bits have room for. */
static uint8_t scale(uint64_t bytes, uint32_t *ret_count)
{
	uint8_t unit = UNIT_BYTES;

	for (; bytes > UINT32_MAX; bytes >>= 10)
		unit++;
	*ret_count = (uint32_t)bytes;
	return unit;
}

enum scsi_step copy_receive_status_lid1(struct scsi_task *task)
{
	uint8_t buf[12];
	struct bytes_out out = bytes_out(buf, sizeof(buf));
	struct copy_report report;
	uint32_t count;
	uint8_t unit;

	if (!copy_job_report(task, task->cdb[2], &report))
		return scsi_check_field(task, 2, 0);
	unit = scale(report.bytes, &count);
	out_zero(&out, 4);
	out_u8(&out, is_running(&report)	 ? LID1_IN_PROGRESS
		     : report.state == COPY_DONE ? LID1_DONE
						 : LID1_FAILED);
	out_be16(&out, (uint16_t)report.segments);
	out_u8(&out, unit);
	out_be32(&out, count);
	return receive_reply(task, &out);
}

enum scsi_step copy_receive_data_lid1(struct scsi_task *task)
{
	uint8_t buf[4] = {0};
	struct bytes_out out = {.buf = buf, .cap = sizeof(buf), .len = sizeof(buf)};
	struct copy_report report;

	if (!copy_job_report(task, task->cdb[2], &report))
		return scsi_check_field(task, 2, 0);
	return receive_reply(task, &out);
}

/* Told once: then the list is forgotten. */
enum scsi_step copy_receive_failure_lid1(struct scsi_task *task)
{
	enum { AT_STATUS = 56 };
	uint8_t buf[60 + SCSI_SENSE_MAX], sense[SCSI_SENSE_MAX];
	struct bytes_out out = bytes_out(buf, sizeof(buf));
	struct copy_report report;
	size_t sense_len;

	if (!copy_job_report(task, task->cdb[2], &report))
		return scsi_check_field(task, 2, 0);
	out_zero(&out, 4);
	if (is_running(&report) || report.status == STATUS_GOOD)
		return receive_reply(task, &out); /* nothing has failed */
	sense_len = put_sense(&report, sense);
	out_zero(&out, AT_STATUS - 4);
	out_u8(&out, (uint8_t)report.status);
	out_zero(&out, 1);
	out_be16(&out, (uint16_t)sense_len);
	out_bytes(&out, sense, sense_len);
	if (task->need_in >= out.len)
		copy_job_forget(task, task->cdb[2]);
	return receive_reply(task, &out);
}

enum scsi_step copy_receive_parameters(struct scsi_task *task)
{
	enum { SNLID = 0x01 }; /* LIST ID USAGE 11b is known */
	uint8_t buf[64];
	struct bytes_out out = bytes_out(buf, sizeof(buf));

	out_zero(&out, 4);
	out_u8(&out, SNLID);
	out_zero(&out, 3);
	out_be16(&out, COPY_MAX_CSCDS);
	out_be16(&out, COPY_MAX_SEGMENTS);
	out_be32(&out, COPY_MAX_LIST);
	out_be32(&out, COPY_MAX_SEGMENT_BYTES);
	out_be32(&out, 0); /* inline data */
	out_be32(&out, 0); /* held data */
	out_be32(&out, 0); /* stream device transfers */
	out_zero(&out, 2);
	out_be16(&out, COPY_MAX_CONCURRENT);
	out_u8(&out, COPY_MAX_CONCURRENT);
	out_u8(&out, COPY_GRANULARITY_LOG2);
	out_zero(&out, 2 + 3); /* granularity of inline and held data */
	out_u8(&out, 3);
	out_u8(&out, SEGMENT_BLOCK_TO_BLOCK);
	out_u8(&out, SEGMENT_BLOCK_OFFSET);
	out_u8(&out, CSCD_IDENTIFICATION);
	return receive_reply(task, &out);
}
