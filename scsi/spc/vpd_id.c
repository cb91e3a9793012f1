/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vital product data that names things: the LU, its target, the target's ports.
 * Source: SPC-5 r22, vital product data parameters.
 */
#include "scsi/alua/alua.h"
#include "scsi/spc/spc.h"
#include "scsi/spc/vpd.h"
#include <assert.h>
#include <stdio.h>

enum {
	/* designator: protocol identifier and code set, byte 0 */
	PROTOCOL_ISCSI = 0x50,
	BINARY = 0x01,
	ASCII = 0x02,
	UTF8 = 0x03,
	/* byte 1 */
	PIV = 0x80, /* the protocol identifier is valid */
	OF_LU = 0x00,
	OF_PORT = 0x10,
	OF_DEVICE = 0x20,
	TYPE_T10_VENDOR = 0x1,
	TYPE_NAA = 0x3,
	TYPE_RELATIVE_PORT = 0x4,
	TYPE_PORT_GROUP = 0x5,
	TYPE_NAME_STRING = 0x8,
	TYPE_UUID = 0xa,

	NAA_LOCALLY_ASSIGNED = 0x3,

	DESIGNATOR_MAX = 4 + 255,
	PORT_HEADER = 12, /* 88, before the designators of a port */
	PAGE_LENGTH_MAX = 0xffff,
};

/* The LU's UUID in hexadecimal, 32 characters: unique, and the same for as long as the LU lives. */
static void out_serial(struct bytes_out *out, const struct scsi_lu *lu)
{
	static const char digits[16] = "0123456789abcdef";

	for (unsigned i = 0; i < sizeof(lu->uuid); i++) {
		out_u8(out, (uint8_t)digits[lu->uuid[i] >> 4]);
		out_u8(out, (uint8_t)digits[lu->uuid[i] & 0xf]);
	}
}

void vpd_serial(const struct scsi_task *task, struct bytes_out *out)
{
	out_serial(out, task->lu);
}

/* ---- 83: designators ---- */

/* Return: where the length goes, for designator_end(). */
static size_t designator_begin(struct bytes_out *out, uint8_t code_set, uint8_t type)
{
	out_u8(out, code_set);
	out_u8(out, type);
	out_zero(out, 2);
	return out->len;
}

static void designator_end(struct bytes_out *out, size_t begin)
{
	assert(!out->full && out->len - begin <= UINT8_MAX);
	out->buf[begin - 1] = (uint8_t)(out->len - begin);
}

static void out_t10_vendor(struct bytes_out *out, const struct scsi_lu *lu)
{
	size_t begin = designator_begin(out, ASCII, OF_LU | TYPE_T10_VENDOR);

	out_bytes(out, SPC_VENDOR, 8);
	out_serial(out, lu);
	designator_end(out, begin);
}

/* No company identifier of the IEEE is ours, so the locally assigned form: 60 bits of the UUID. */
static void out_naa(struct bytes_out *out, const struct scsi_lu *lu)
{
	size_t begin = designator_begin(out, BINARY, OF_LU | TYPE_NAA);
	uint64_t folded = be64_get(lu->uuid) ^ be64_get(lu->uuid + 8);

	out_be64(out, (uint64_t)NAA_LOCALLY_ASSIGNED << 60 | folded >> 4);
	designator_end(out, begin);
}

static void out_uuid(struct bytes_out *out, const struct scsi_lu *lu)
{
	size_t begin = designator_begin(out, BINARY, OF_LU | TYPE_UUID);

	out_u8(out, 0x10); /* UUID TYPE 1h: an RFC 4122 UUID follows */
	out_u8(out, 0);
	out_bytes(out, lu->uuid, sizeof(lu->uuid));
	designator_end(out, begin);
}

void spc_out_designators(struct bytes_out *out, const struct scsi_lu *lu)
{
	out_naa(out, lu);
	out_uuid(out, lu);
	out_t10_vendor(out, lu);
}

static void out_relative_port(struct bytes_out *out, const struct scsi_nexus *nexus)
{
	size_t begin =
		designator_begin(out, PROTOCOL_ISCSI | BINARY, PIV | OF_PORT | TYPE_RELATIVE_PORT);

	out_zero(out, 2);
	out_be16(out, nexus->rel_port);
	designator_end(out, begin);
}

static void out_port_group(struct bytes_out *out, const struct scsi_port_group *group)
{
	size_t begin =
		designator_begin(out, PROTOCOL_ISCSI | BINARY, PIV | OF_PORT | TYPE_PORT_GROUP);

	out_zero(out, 2);
	out_be16(out, group->id);
	designator_end(out, begin);
}

/* Ended by one to four NULs, to a multiple of four. An iSCSI name has at most 223 bytes. */
static void out_name(struct bytes_out *out, uint8_t of, const char *name)
{
	size_t begin = designator_begin(out, PROTOCOL_ISCSI | UTF8, PIV | of | TYPE_NAME_STRING);
	size_t len = strnlen(name, 251);

	out_bytes(out, name, len);
	out_zero(out, 4 - len % 4);
	designator_end(out, begin);
}

/* RFC 7143 4.4.1.2: the name of a target port is that of the target, ",t,0x", and the TPGT. */
static void out_port_name(struct bytes_out *out, const struct scsi_target *target, uint16_t tag)
{
	char port[252];

	snprintf(port, sizeof(port), "%.223s,t,0x%04x", target->name, tag);
	out_name(out, OF_PORT, port);
}

void vpd_identification(const struct scsi_task *task, struct bytes_out *out)
{
	const struct scsi_nexus *nexus = task->nexus;

	if (task->lu)
		spc_out_designators(out, task->lu);
	if (nexus->foreign & SCSI_FOREIGN_PORT)
		return;
	out_relative_port(out, nexus);
	if (nexus->group)
		out_port_group(out, nexus->group);
	out_port_name(out, nexus->target, nexus->rel_port);
	out_name(out, OF_DEVICE, nexus->target->name);
}

/* ---- 88: the target's ports ---- */

static void out_port(struct bytes_out *out, const struct scsi_target *target, uint16_t rel)
{
	size_t length_at;

	out_zero(out, 2);
	out_be16(out, rel);
	out_zero(out, 2);
	out_be16(out, 0); /* INITIATOR PORT TRANSPORTID LENGTH: it is no initiator */
	out_zero(out, 2);
	out_be16(out, 0);
	length_at = out->len;
	out_port_name(out, target, rel);
	assert(!out->full);
	be16_put(out->buf + length_at - 2, (uint16_t)(out->len - length_at));
}

/* What a target without known ports has is at least the one that it is asked through. */
void vpd_ports(const struct scsi_task *task, struct bytes_out *out)
{
	const struct scsi_target *target = task->nexus->target;
	const struct scsi_alua *alua = target->alua;

	if (!scsi_alua_n_present(alua))
		out_port(out, target, task->nexus->rel_port);
	for (unsigned i = 0; i < alua->n_ports; i++)
		if (alua->ports[i].present &&
		    out->len + PORT_HEADER + DESIGNATOR_MAX <= PAGE_LENGTH_MAX)
			out_port(out, target, alua->ports[i].rel);
}

size_t vpd_ports_room(const struct scsi_task *task)
{
	return (PORT_HEADER + DESIGNATOR_MAX) *
	       (scsi_alua_n_present(task->nexus->target->alua) + 1);
}
