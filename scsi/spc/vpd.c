/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vital product data. A page is a row; page 00 lists the rows, so it cannot promise another.
 * Source: SPC-5 r22, vital product data parameters; SBC-4 r22 for B0 to B3.
 */
#include "scsi/spc/vpd.h"
#include "scsi/alua/alua.h"
#include "scsi/copy/copy.h"
#include "scsi/sbc/atomic.h"
#include "scsi/sbc/sbc.h"
#include "scsi/spc/spc.h"
#include <assert.h>

#define OPTIMAL_TRANSFER_BYTES (1u << 20)
#define VPD_HEADER 4
#define VPD_USUAL 1024 /* bytes of a page, at most */

enum {
	WSNZ = 0x01,	     /* B0, byte 4: WRITE SAME of 0 blocks is refused */
	WABEREQ_DATA = 0x40, /* B1, byte 7: after SANITIZE (BLOCK ERASE), reads are good */
	WACEREQ_DATA = 0x10, /* likewise, after SANITIZE (CRYPTOGRAPHIC ERASE) */
	UGAVALID = 0x80,     /* B0, byte 32 */
	LBPU = 0x80,	     /* B2, byte 5: UNMAP, WRITE SAME (16) (32) and (10) give blocks back */
	LBPWS = 0x40,
	LBPWS10 = 0x20,
	LBPRZ_ZEROES = 0x04,
	PROVISIONING_THIN = 0x02, /* B2, byte 6 */
};

static vpd_build vpd_supported, vpd_block_limits, vpd_characteristics, vpd_provisioning,
	vpd_referrals;

static const struct vpd_page {
	uint8_t code;
	bool without_lu; /* what it tells is the target's too */
	vpd_build *build;
	size_t (*room)(const struct scsi_task *task); /* when VPD_USUAL may be too little */
} vpd_pages[] = {
	{0x00, true, vpd_supported},		     /* Supported VPD Pages */
	{0x80, false, vpd_serial},		     /* Unit Serial Number */
	{0x83, true, vpd_identification},	     /* Device Identification */
	{0x85, true, vpd_network, vpd_network_room}, /* Management Network Addresses */
	{0x86, false, vpd_extended},		     /* Extended INQUIRY Data */
	{0x87, false, vpd_mode_policy},		     /* Mode Page Policy */
	{0x88, true, vpd_ports, vpd_ports_room},     /* SCSI Ports */
	{0x8f, false, copy_vpd},		     /* Third-Party Copy */
	{0xb0, false, vpd_block_limits},	     /* Block Limits */
	{0xb1, false, vpd_characteristics},	     /* Block Device Characteristics */
	{0xb2, false, vpd_provisioning},	     /* Logical Block Provisioning */
	{0xb3, false, vpd_referrals},		     /* Referrals */
};

#define OF_DEVICE_TYPE 0xb0 /* from here on pages are what the device type makes of them */
#define N_VPD_PAGES (sizeof(vpd_pages) / sizeof(vpd_pages[0]))

static bool offered(const struct vpd_page *page, const struct scsi_task *task)
{
	if (page->build == vpd_network && !vpd_network_offered(task->nexus->target))
		return false;
	if (page->build == vpd_referrals && !scsi_referrals_offered(task->nexus))
		return false;
	if (page->build == vpd_ports && task->nexus->foreign & SCSI_FOREIGN_PORT)
		return false;
	if (!task->lu)
		return page->without_lu;
	return (page->code < OF_DEVICE_TYPE && page->build != copy_vpd) ||
	       scsi_lu_view(task->lu)->device_type == DEVICE_DISK;
}

static void vpd_supported(const struct scsi_task *task, struct bytes_out *out)
{
	for (unsigned i = 0; i < N_VPD_PAGES; i++)
		if (offered(&vpd_pages[i], task))
			out_u8(out, vpd_pages[i].code);
}

/* ---- B0, B1, B2, B3 ---- */

static void vpd_block_limits(const struct scsi_task *task, struct bytes_out *out)
{
	const struct scsi_lu *lu = task->lu;
	const struct scsi_lu_view *view = scsi_lu_view(lu);
	uint32_t optimal = view->max_transfer < OPTIMAL_TRANSFER_BYTES ? view->max_transfer
								       : OPTIMAL_TRANSFER_BYTES;
	uint32_t granularity = lu->info.discard_granularity >> view->block_shift;

	out_u8(out, view->write_same_to_end ? 0 : WSNZ);
	out_u8(out, sbc_caw_max_blocks(lu));
	out_be16(out, (uint16_t)(1u << sbc_physical_exponent(lu)));
	out_be32(out, view->max_transfer >> view->block_shift);
	out_be32(out, optimal >> view->block_shift);
	out_be32(out, 0); /* PRE-FETCH: any length */
	out_be32(out, view->thin ? SBC_UNMAP_MAX_BLOCKS : 0);
	out_be32(out, view->thin ? SBC_UNMAP_MAX_RANGES : 0);
	out_be32(out, view->thin ? granularity : 0);
	out_u8(out, view->thin && granularity ? UGAVALID : 0); /* aligned to LBA 0 */
	out_zero(out, 3);
	out_be64(out, SBC_WRITE_SAME_MAX_BLOCKS);
	out_be32(out, sbc_atomic_max_blocks(lu));
	out_be32(out, sbc_atomic_alignment(lu));
	out_be32(out, sbc_atomic_alignment(lu)); /* granularity */
	out_zero(out, 8);			 /* no boundaries inside an atomic write */
}

static void vpd_characteristics(const struct scsi_task *task, struct bytes_out *out)
{
	/* MEDIUM ROTATION RATE: not reported, since no store knows its rate; or does not rotate. */
	out_be16(out, task->lu->info.rotational ? 0 : 1);
	out_zero(out, 1);
	out_u8(out, (scsi_lu_view(task->lu)->thin ? WABEREQ_DATA : 0) |
			    (task->lu->crypt ? WACEREQ_DATA : 0));
	out_zero(out, 56);
}

static void vpd_provisioning(const struct scsi_task *task, struct bytes_out *out)
{
	bool thin = scsi_lu_view(task->lu)->thin;

	out_u8(out, sbc_space_is_known(task->lu) ? SBC_THRESHOLD_EXPONENT : 0);
	out_u8(out, thin ? LBPU | LBPWS | LBPWS10 | LBPRZ_ZEROES : 0);
	out_u8(out, thin ? PROVISIONING_THIN : 0);
	out_zero(out, 1);
}

/* USER DATA SEGMENT SIZE and MULTIPLIER of 0: a segment is from its first LBA to its last, as
 * REPORT REFERRALS tells. */
static void vpd_referrals(const struct scsi_task *task, struct bytes_out *out)
{
	(void)task;
	out_zero(out, 12);
}

static enum scsi_step build(struct scsi_task *task, const struct vpd_page *page)
{
	size_t room = VPD_HEADER + (page->room ? page->room(task) : VPD_USUAL);
	struct bytes_out out;

	task->own = malloc(room);
	if (!task->own)
		return scsi_finish(task, STATUS_BUSY);
	out = bytes_out(task->own, room);
	out_u8(&out, spc_peripheral(task));
	out_u8(&out, page->code);
	out_zero(&out, 2);
	page->build(task, &out);
	assert(!out.full);
	be16_put(out.buf + 2, (uint16_t)(out.len - VPD_HEADER));
	return scsi_reply(task, task->own, out.len);
}

enum scsi_step spc_vpd(struct scsi_task *task)
{
	for (unsigned i = 0; i < N_VPD_PAGES; i++)
		if (vpd_pages[i].code == task->cdb[2] && offered(&vpd_pages[i], task))
			return build(task, &vpd_pages[i]);
	return scsi_check_field(task, 2, 0xff);
}
