/* SPDX-License-Identifier: Apache-2.0 */
/*
 * READ BUFFER (10) (16), WRITE BUFFER (10): the LU's data buffer, for trying out a path at full
 * length, and an echo buffer for each nexus. There is no microcode to download, and no error
 * history. Source: SPC-5 r22, READ BUFFER, WRITE BUFFER.
 */
#include "scsi/lu_priv.h"
#include "scsi/sbc/sbc.h"
#include "util/bytes.h"
#include <stdlib.h>

#define DATA_CAP (64u << 10)
#define ECHO_CAP 4096u /* the descriptor has 13 bits for it */

enum {
	MODE = 0x1f, /* byte 1 */
	MODE_DATA = 0x02,
	MODE_DESCRIPTOR = 0x03,
	MODE_ECHO = 0x0a,
	MODE_ECHO_DESCRIPTOR = 0x0b,
	DESCRIPTOR_LEN = 4,
};

/* What the CDB says, wherever it says it. */
struct where {
	uint8_t mode, id;
	uint64_t offset;
	uint32_t len;
	uint8_t id_at, offset_at, len_at; /* bytes of the CDB */
};

static struct where decode(const struct scsi_task *task)
{
	const uint8_t *cdb = task->cdb;

	if (task->op->cdb_len == 16)
		return (struct where){.mode = cdb[1] & MODE,
				      .id = cdb[14],
				      .offset = be64_get(cdb + 2),
				      .len = be32_get(cdb + 10),
				      .id_at = 14,
				      .offset_at = 2,
				      .len_at = 10};
	return (struct where){.mode = cdb[1] & MODE,
			      .id = cdb[2],
			      .offset = be24_get(cdb + 3),
			      .len = be24_get(cdb + 6),
			      .id_at = 2,
			      .offset_at = 3,
			      .len_at = 6};
}

/* ---- READ BUFFER ---- */

static enum scsi_step plan_up_to(struct scsi_task *task, uint32_t len, uint32_t most)
{
	task->need_in = len < most ? len : most;
	return SCSI_READY;
}

/* An echo buffer is its nexus': buffer and offset say nothing there. */
enum scsi_step sbc_plan_read_buffer(struct scsi_task *task)
{
	struct where where = decode(task);

	switch (where.mode) {
	case MODE_DATA:
		if (where.id)
			return scsi_check_field(task, where.id_at, 0xff);
		if (where.offset > DATA_CAP)
			return scsi_check_field(task, where.offset_at, 0);
		return plan_up_to(task, where.len, DATA_CAP - (uint32_t)where.offset);
	case MODE_DESCRIPTOR:
	case MODE_ECHO_DESCRIPTOR:
		return plan_up_to(task, where.len, DESCRIPTOR_LEN);
	case MODE_ECHO:
		return plan_up_to(task, where.len, ECHO_CAP);
	default:
		return scsi_check_field(task, 1, MODE);
	}
}

static enum scsi_step read_data(struct scsi_task *task, uint32_t offset)
{
	static const uint8_t untouched[DATA_CAP];
	struct scsi_lu *lu = task->lu;
	enum scsi_step step;

	pthread_mutex_lock(&lu->lock);
	step = scsi_reply(task, (lu->data_buffer ? lu->data_buffer : untouched) + offset,
			  DATA_CAP - offset);
	pthread_mutex_unlock(&lu->lock);
	return step;
}

/* Any offset is fine: OFFSET BOUNDARY 0 stands for 2^0. There is no buffer but the first. */
static enum scsi_step read_descriptor(struct scsi_task *task, uint8_t id)
{
	uint8_t buf[DESCRIPTOR_LEN] = {0};

	if (!id)
		be24_put(buf + 1, DATA_CAP);
	return scsi_reply(task, buf, sizeof(buf));
}

/* EBOS 0: what a nexus has written is not overwritten by others. */
static enum scsi_step read_echo_descriptor(struct scsi_task *task)
{
	uint8_t buf[DESCRIPTOR_LEN] = {0};

	be16_put(buf + 2, ECHO_CAP);
	return scsi_reply(task, buf, sizeof(buf));
}

static enum scsi_step read_echo(struct scsi_task *task)
{
	if (!task->itl->echo)
		return scsi_check(task, SENSE_COMMAND_SEQUENCE); /* nothing was written */
	return scsi_reply(task, task->itl->echo, task->itl->echo_len);
}

enum scsi_step sbc_read_buffer(struct scsi_task *task)
{
	struct where where = decode(task);

	switch (where.mode) {
	case MODE_DATA:
		return read_data(task, (uint32_t)where.offset);
	case MODE_DESCRIPTOR:
		return read_descriptor(task, where.id);
	case MODE_ECHO_DESCRIPTOR:
		return read_echo_descriptor(task);
	default:
		return read_echo(task);
	}
}

/* ---- WRITE BUFFER ---- */

enum scsi_step sbc_plan_write_buffer(struct scsi_task *task)
{
	struct where where = decode(task);

	switch (where.mode) {
	case MODE_DATA:
		if (where.id)
			return scsi_check_field(task, where.id_at, 0xff);
		if (where.offset > DATA_CAP)
			return scsi_check_field(task, where.offset_at, 0);
		if (where.len > DATA_CAP - where.offset)
			return scsi_check_field(task, where.len_at, 0);
		break;
	case MODE_ECHO:
		if (where.len > ECHO_CAP)
			return scsi_check_field(task, where.len_at, 0);
		break;
	default:
		return scsi_check_field(task, 1, MODE);
	}
	task->need_out = where.len;
	return SCSI_READY;
}

static enum scsi_step write_data(struct scsi_task *task, uint32_t offset, uint32_t len)
{
	struct scsi_lu *lu = task->lu;

	pthread_mutex_lock(&lu->lock);
	if (!lu->data_buffer)
		lu->data_buffer = calloc(1, DATA_CAP);
	if (lu->data_buffer) {
		scsi_param_copy(task, lu->data_buffer + offset, len);
		scsi_good(task);
	} else {
		scsi_finish(task, STATUS_BUSY);
	}
	pthread_mutex_unlock(&lu->lock);
	return SCSI_DONE;
}

static enum scsi_step write_echo(struct scsi_task *task, uint32_t len)
{
	struct scsi_itl *itl = task->itl;

	if (!itl->echo)
		itl->echo = malloc(ECHO_CAP);
	if (!itl->echo)
		return scsi_finish(task, STATUS_BUSY);
	itl->echo_len = (uint32_t)scsi_param_copy(task, itl->echo, len);
	return scsi_good(task);
}

enum scsi_step sbc_write_buffer(struct scsi_task *task)
{
	struct where where = decode(task);

	if (where.mode == MODE_ECHO)
		return write_echo(task, where.len);
	return write_data(task, (uint32_t)where.offset, where.len);
}
