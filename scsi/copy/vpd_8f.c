/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VPD page 8F: what third-party copies can be asked for. The commands are told from the rows; the
 * ROD types are those that rod.c makes and takes. No point in time type is among them: nothing
 * keeps what a range held when its token was made.
 * Source: SPC-5 r22, Third-Party Copy VPD page; SBC-4 r22, Block Device ROD Limits.
 */
#include "scsi/copy/copy.h"
#include "scsi/lu_priv.h"
#include "util/bytes.h"
#include <assert.h>

enum {
	/* descriptor types */
	BLOCK_ROD_LIMITS = 0x0000,
	SUPPORTED_COMMANDS = 0x0001,
	PARAMETER_DATA = 0x0004,
	SUPPORTED_DESCRIPTORS = 0x0008,
	SUPPORTED_CSCD_IDS = 0x000c,
	ROD_TOKEN_FEATURES = 0x0106,
	SUPPORTED_ROD_TYPES = 0x0108,
	GENERAL_OPERATIONS = 0x8001,
	HELD_DATA = 0xc001,

	COPY_OUT = 0x83,
	COPY_IN = 0x84,

	/* of a ROD type */
	TOKEN_IN = 0x02,  /* WRITE USING TOKEN takes it */
	TOKEN_OUT = 0x01, /* POPULATE TOKEN makes it */
	ROD_TYPE_LEN = 64,
	BLOCK_FEATURES_LEN = 48,
};

/* Return: where the length counts from, for descriptor_end(). */
static size_t descriptor_begin(struct bytes_out *out, uint16_t type)
{
	out_be16(out, type);
	out_zero(out, 2);
	return out->len;
}

/* Filled up to a multiple of four. */
static void descriptor_end(struct bytes_out *out, size_t begin)
{
	out_zero(out, (4 - out->len % 4) % 4);
	assert(!out->full);
	be16_put(out->buf + begin - 2, (uint16_t)(out->len - begin));
}

static void out_rod_limits(struct bytes_out *out, const struct scsi_lu_view *view)
{
	size_t begin = descriptor_begin(out, BLOCK_ROD_LIMITS);

	out_zero(out, 6);
	out_be16(out, ROD_MAX_RANGES);
	out_be32(out, ROD_MAX_TIMEOUT_S);
	out_be32(out, ROD_DEFAULT_TIMEOUT_S);
	out_be64(out, ROD_MAX_BYTES >> view->block_shift);
	out_be64(out, ROD_OPTIMAL_BYTES >> view->block_shift);
	descriptor_end(out, begin);
}

static void out_service_actions(struct bytes_out *out, const struct scsi_task *task, uint8_t opcode)
{
	const struct scsi_op *op;
	size_t at;

	out_u8(out, opcode);
	out_u8(out, 0);
	at = out->len;
	for (unsigned i = scsi_op_first(opcode); (op = scsi_op_at(i)) && op->opcode == opcode; i++)
		if (scsi_op_offered(op, task->lu))
			out_u8(out, op->sa);
	assert(!out->full);
	out->buf[at - 1] = (uint8_t)(out->len - at);
}

static void out_commands(struct bytes_out *out, const struct scsi_task *task)
{
	size_t begin = descriptor_begin(out, SUPPORTED_COMMANDS);

	out_u8(out, 0);
	out_service_actions(out, task, COPY_OUT);
	out_service_actions(out, task, COPY_IN);
	out->buf[begin] = (uint8_t)(out->len - begin - 1);
	descriptor_end(out, begin);
}

static void out_parameter_data(struct bytes_out *out)
{
	size_t begin = descriptor_begin(out, PARAMETER_DATA);

	out_zero(out, 4);
	out_be16(out, COPY_MAX_CSCDS);
	out_be16(out, COPY_MAX_SEGMENTS);
	out_be32(out, COPY_MAX_LIST);
	out_be32(out, 0); /* no inline data */
	out_zero(out, 12);
	descriptor_end(out, begin);
}

static void out_descriptors(struct bytes_out *out)
{
	size_t begin = descriptor_begin(out, SUPPORTED_DESCRIPTORS);

	out_u8(out, 3);
	out_u8(out, SEGMENT_BLOCK_TO_BLOCK);
	out_u8(out, SEGMENT_BLOCK_OFFSET);
	out_u8(out, CSCD_IDENTIFICATION);
	descriptor_end(out, begin);
	begin = descriptor_begin(out, SUPPORTED_CSCD_IDS);
	out_be16(out, 2);
	out_be16(out, CSCD_ID_SELF);
	descriptor_end(out, begin);
}

static void out_token_features(struct bytes_out *out)
{
	size_t begin = descriptor_begin(out, ROD_TOKEN_FEATURES);

	out_u8(out, 0); /* tokens of other copy managers are not taken */
	out_zero(out, 11);
	out_be32(out, 0); /* minimum and maximum lifetime: as long as it is used */
	out_be32(out, 0);
	out_be32(out, ROD_MAX_TIMEOUT_S);
	out_zero(out, 18);
	out_be16(out, BLOCK_FEATURES_LEN);
	out_u8(out, 0x00); /* of direct access block devices */
	out_zero(out, 1);
	out_be16(out, BLOCK_FEATURES_LEN - 4);
	out_zero(out, 2);
	out_be16(out, 0); /* granularity: one block */
	out_be64(out, ROD_MAX_BYTES);
	out_be64(out, ROD_OPTIMAL_BYTES);
	out_be64(out, ROD_OPTIMAL_BYTES); /* to a token, of one segment */
	out_be64(out, ROD_OPTIMAL_BYTES); /* from a token */
	out_zero(out, 8);
	descriptor_end(out, begin);
}

static void out_rod_type(struct bytes_out *out, uint32_t type, uint8_t use, uint16_t preference)
{
	out_be32(out, type);
	out_u8(out, use);
	out_u8(out, 0);
	out_be16(out, preference);
	out_zero(out, ROD_TYPE_LEN - 8);
}

static void out_rod_types(struct bytes_out *out)
{
	size_t begin = descriptor_begin(out, SUPPORTED_ROD_TYPES);

	out_zero(out, 2);
	out_be16(out, 2 * ROD_TYPE_LEN);
	out_rod_type(out, ROD_ACCESS_ON_REFERENCE, TOKEN_IN | TOKEN_OUT, 1);
	out_rod_type(out, ROD_BLOCK_ZERO, TOKEN_IN, 2);
	descriptor_end(out, begin);
}

static void out_general(struct bytes_out *out)
{
	size_t begin = descriptor_begin(out, GENERAL_OPERATIONS);

	out_be32(out, COPY_MAX_CONCURRENT);
	out_be32(out, COPY_MAX_CONCURRENT); /* that have a list identifier */
	out_be32(out, COPY_MAX_SEGMENT_BYTES);
	out_u8(out, COPY_GRANULARITY_LOG2);
	out_u8(out, 0);
	out_zero(out, 18);
	descriptor_end(out, begin);
	begin = descriptor_begin(out, HELD_DATA);
	out_be32(out, 0);
	out_u8(out, 0);
	out_zero(out, 23);
	descriptor_end(out, begin);
}

void copy_vpd(const struct scsi_task *task, struct bytes_out *out)
{
	out_rod_limits(out, scsi_lu_view(task->lu));
	out_commands(out, task);
	out_parameter_data(out);
	out_descriptors(out);
	out_token_features(out);
	out_rod_types(out);
	out_general(out);
}
