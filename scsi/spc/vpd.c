/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vital product data. A page is a row; page 00 lists the rows, so it cannot promise another.
 * Source: SPC-5 r22, vital product data parameters; SBC-4 r22 for B0, B1, B2.
 */
#include "scsi/lu_priv.h"
#include "scsi/sbc/sbc.h"
#include "scsi/spc/spc.h"
#include "util/bytes.h"
#include <assert.h>
#include <stdio.h>

#define VPD_MAX 1024
#define OPTIMAL_TRANSFER_BYTES (1u << 20)

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
	TYPE_NAME_STRING = 0x8,
	TYPE_UUID = 0xa,

	NAA_LOCALLY_ASSIGNED = 0x3,

	UGAVALID = 0x80, /* B0, byte 32 */
	LBPU = 0x80,	 /* B2, byte 5 */
	LBPRZ_ZEROES = 0x04,
	PROVISIONING_THIN = 0x02, /* B2, byte 6 */
};

/* Builds what follows the PAGE LENGTH field. */
typedef void vpd_build(const struct scsi_task *task, struct bytes_out *out);

static vpd_build vpd_supported, vpd_serial, vpd_identification, vpd_block_limits,
	vpd_characteristics, vpd_provisioning;

static const struct vpd_page {
	uint8_t code;
	bool without_lu; /* what it tells is the target's too */
	vpd_build *build;
} vpd_pages[] = {
	{0x00, true, vpd_supported},	    /* Supported VPD Pages */
	{0x80, false, vpd_serial},	    /* Unit Serial Number */
	{0x83, true, vpd_identification},   /* Device Identification */
	{0xb0, false, vpd_block_limits},    /* Block Limits */
	{0xb1, false, vpd_characteristics}, /* Block Device Characteristics */
	{0xb2, false, vpd_provisioning},    /* Logical Block Provisioning */
};

#define N_VPD_PAGES (sizeof(vpd_pages) / sizeof(vpd_pages[0]))

static bool offered(const struct vpd_page *page, const struct scsi_task *task)
{
	return task->lu || page->without_lu;
}

static void vpd_supported(const struct scsi_task *task, struct bytes_out *out)
{
	for (unsigned i = 0; i < N_VPD_PAGES; i++)
		if (offered(&vpd_pages[i], task))
			out_u8(out, vpd_pages[i].code);
}

/* The LU's UUID in hexadecimal, 32 characters: unique, and the same for as long as the LU lives. */
static void out_serial(struct bytes_out *out, const struct scsi_lu *lu)
{
	static const char digits[16] = "0123456789abcdef";

	for (unsigned i = 0; i < sizeof(lu->uuid); i++) {
		out_u8(out, (uint8_t)digits[lu->uuid[i] >> 4]);
		out_u8(out, (uint8_t)digits[lu->uuid[i] & 0xf]);
	}
}

static void vpd_serial(const struct scsi_task *task, struct bytes_out *out)
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

static void out_relative_port(struct bytes_out *out, const struct scsi_nexus *nexus)
{
	size_t begin =
		designator_begin(out, PROTOCOL_ISCSI | BINARY, PIV | OF_PORT | TYPE_RELATIVE_PORT);

	out_zero(out, 2);
	out_be16(out, nexus->rel_port);
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

static void vpd_identification(const struct scsi_task *task, struct bytes_out *out)
{
	const struct scsi_nexus *nexus = task->nexus;
	char port[252];

	if (task->lu) {
		out_naa(out, task->lu);
		out_uuid(out, task->lu);
		out_t10_vendor(out, task->lu);
	}
	out_relative_port(out, nexus);
	/* RFC 7143 4.4.1.2: the name of a target port is that of the target, ",t,0x", and the TPGT.
	 */
	snprintf(port, sizeof(port), "%.223s,t,0x%04x", nexus->target->name, nexus->rel_port);
	out_name(out, OF_PORT, port);
	out_name(out, OF_DEVICE, nexus->target->name);
}

/* ---- B0, B1, B2 ---- */

static void vpd_block_limits(const struct scsi_task *task, struct bytes_out *out)
{
	const struct scsi_lu *lu = task->lu;
	const struct scsi_lu_view *view = scsi_lu_view(lu);
	uint32_t optimal = view->max_transfer < OPTIMAL_TRANSFER_BYTES ? view->max_transfer
								       : OPTIMAL_TRANSFER_BYTES;
	uint32_t granularity = lu->info.discard_granularity >> view->block_shift;

	out_zero(out, 2); /* no WRITE SAME, no COMPARE AND WRITE */
	out_be16(out, (uint16_t)(1u << sbc_physical_exponent(lu)));
	out_be32(out, view->max_transfer >> view->block_shift);
	out_be32(out, optimal >> view->block_shift);
	out_be32(out, 0); /* no PRE-FETCH */
	out_be32(out, view->thin ? SBC_UNMAP_MAX_BLOCKS : 0);
	out_be32(out, view->thin ? SBC_UNMAP_MAX_RANGES : 0);
	out_be32(out, view->thin ? granularity : 0);
	out_u8(out, view->thin && granularity ? UGAVALID : 0); /* aligned to LBA 0 */
	out_zero(out, 3);
	out_zero(out, 28); /* no WRITE SAME, no atomic writes */
}

static void vpd_characteristics(const struct scsi_task *task, struct bytes_out *out)
{
	/* MEDIUM ROTATION RATE: not reported, since no store knows its rate; or does not rotate. */
	out_be16(out, task->lu->info.rotational ? 0 : 1);
	out_zero(out, 58);
}

static void vpd_provisioning(const struct scsi_task *task, struct bytes_out *out)
{
	bool thin = scsi_lu_view(task->lu)->thin;

	out_u8(out, 0); /* no thresholds */
	out_u8(out, thin ? LBPU | LBPRZ_ZEROES : 0);
	out_u8(out, thin ? PROVISIONING_THIN : 0);
	out_zero(out, 1);
}

enum scsi_step spc_vpd(struct scsi_task *task)
{
	uint8_t buf[VPD_MAX];
	struct bytes_out out = bytes_out(buf, sizeof(buf));

	for (unsigned i = 0; i < N_VPD_PAGES; i++) {
		const struct vpd_page *page = &vpd_pages[i];

		if (page->code != task->cdb[2] || !offered(page, task))
			continue;
		out_u8(&out, spc_peripheral(task));
		out_u8(&out, page->code);
		out_zero(&out, 2);
		page->build(task, &out);
		assert(!out.full);
		be16_put(buf + 2, (uint16_t)(out.len - 4));
		return scsi_reply(task, buf, out.len);
	}
	return scsi_check_field(task, 2, 0xff);
}
