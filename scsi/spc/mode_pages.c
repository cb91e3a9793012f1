/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mode pages of a disk, a row each, with what of them can be changed.
 * iSCSI has no page of its own (RFC 7143 5), so 18h and 19h are absent.
 * Source: SPC-5 r22, mode parameters; SBC-4 r22, mode parameters for direct access block devices.
 */
#include "scsi/alua/alua.h"
#include "scsi/mmc/mmc.h"
#include "scsi/sbc/sbc.h"
#include "scsi/spc/mode.h"
#include "scsi/spc/state.h"
#include "util/atomic_file.h"
#include <assert.h>
#include <errno.h>

/* ---- 01, 02, 1A: little or nothing of it applies ---- */

/*
 * Retries, reallocation and time limits are the store's own affair; a disconnect needs a bus;
 * power conditions are not known: all 0 says just this.
 */
static void page_empty(const struct mode_source *from, uint8_t *body)
{
	(void)from;
	(void)body;
}

enum { LBPERE = 0x80 }; /* byte 5 of the body: the thresholds of 1C/02 are in force */

static const uint8_t recovery_mask[0x0a] = {[5] = LBPERE};

static void page_recovery(const struct mode_source *from, uint8_t *body)
{
	body[5] = from->mode->space.quiet ? 0 : LBPERE;
}

static void apply_recovery(struct scsi_mode *mode, const uint8_t *body)
{
	mode->space.quiet = !(body[5] & LBPERE);
}

static bool space_is_unknown(const struct scsi_lu *lu)
{
	return !sbc_space_is_known(lu);
}

/* ---- 08: caching ---- */

enum { WCE = 0x04 };

static const uint8_t caching_mask[0x12] = {WCE};

static void page_caching(const struct mode_source *from, uint8_t *body)
{
	if (from->mode->write_cache)
		body[0] |= WCE;
}

static void apply_caching(struct scsi_mode *mode, const uint8_t *body)
{
	mode->write_cache = body[0] & WCE;
}

/* ---- 0A: control ---- */

enum {
	TST_SEPARATE = 0x20, /* byte 0 of the body: TST 001b */
	D_SENSE = 0x04,
	GLTSD = 0x02,			/* no log parameter is saved */
	UNRESTRICTED_REORDERING = 0x10, /* byte 1 */
	QERR = 0x06,
	QERR_SHIFT = 1,
	SWP = 0x08,  /* byte 2 */
	TAS = 0x40,  /* byte 3 */
	ATO = 0x80,  /* likewise: application tags are the initiator's */
	RWWP = 0x10, /* likewise */

	TCMOS = 0x04, /* 0A/01, byte 0: the clock of the host sets the timestamp, */
	SCSIP = 0x02, /* and SET TIMESTAMP takes precedence */
	IALUAE = 0x01,
};

static const uint8_t control_mask[0x0a] = {TST_SEPARATE | D_SENSE, QERR, SWP, TAS};

/* Of LUs that can have protection information. */
static const uint8_t protected_mask[0x0a] = {TST_SEPARATE | D_SENSE, QERR, SWP, TAS | RWWP};

static void page_control(const struct mode_source *from, uint8_t *body)
{
	const struct scsi_mode *mode = from->mode;

	body[0] = GLTSD | (mode->descriptor_sense ? D_SENSE : 0) |
		  (mode->separate_sets ? TST_SEPARATE : 0);
	body[1] = (uint8_t)(UNRESTRICTED_REORDERING | mode->qerr << QERR_SHIFT);
	body[2] = mode->swp ? SWP : 0;
	body[3] = (mode->tas ? TAS : 0) | (mode->rwwp ? RWWP : 0) | (from->lu->pi ? ATO : 0);
}

static void apply_control(struct scsi_mode *mode, const uint8_t *body)
{
	mode->separate_sets = body[0] & TST_SEPARATE;
	mode->descriptor_sense = body[0] & D_SENSE;
	mode->qerr = (enum scsi_qerr)((body[1] & QERR) >> QERR_SHIFT);
	mode->swp = body[2] & SWP;
	mode->tas = body[3] & TAS;
}

static void apply_protected(struct scsi_mode *mode, const uint8_t *body)
{
	apply_control(mode, body);
	mode->rwwp = body[3] & RWWP;
}

/* QERR 10b is reserved. */
static bool wrong_control(const uint8_t *body, unsigned *ret_byte, uint8_t *ret_bits)
{
	*ret_byte = 1;
	*ret_bits = QERR;
	return (body[1] & QERR) == 2 << QERR_SHIFT;
}

static void page_control_extension(const struct mode_source *from, uint8_t *body)
{
	body[0] = TCMOS | SCSIP;
	if (from->target && scsi_alua_implicit(from->target))
		body[0] |= IALUAE;
	body[2] = SCSI_SENSE_MAX; /* MAXIMUM SENSE DATA LENGTH */
}

/* ---- 1C: informational exceptions ---- */

static void page_exceptions(const struct mode_source *from, uint8_t *body)
{
	(void)from;
	body[0] = 0x08; /* DEXCPT: log page 2F tells of them, but no command does by itself */
}

static bool is_cdrom(const struct scsi_lu *lu)
{
	return scsi_lu_view(lu)->device_type == DEVICE_CDROM;
}

/* ---- 1C/02: logical block provisioning thresholds, one of them ---- */

enum {
	DESCRIPTOR = 12,  /* where it is in the body */
	ENABLED = 0x80,	  /* byte 0; a soft threshold, for decreasing space */
	AVAILABLE = 0x01, /* byte 1: the resource, as in log page 0C */
	COUNT = DESCRIPTOR + 4,
};

static const uint8_t thresholds_mask[0x14] = {
	[DESCRIPTOR] = ENABLED, [COUNT] = 0xff, 0xff, 0xff, 0xff};

/* What is saved stays a tenth of a size that may change: 0. */
static uint32_t threshold(const struct mode_source *from)
{
	struct scsi_lu_view view;
	uint64_t count;

	if (!from->target)
		return from->mode->space.count;
	view = *scsi_lu_view(from->lu);
	view.space = from->mode->space;
	count = sbc_threshold_count(&view);
	return count < UINT32_MAX ? (uint32_t)count : UINT32_MAX;
}

static void page_thresholds(const struct mode_source *from, uint8_t *body)
{
	body[DESCRIPTOR] = from->mode->space.off ? 0 : ENABLED;
	body[DESCRIPTOR + 1] = AVAILABLE;
	be32_put(body + COUNT, threshold(from));
}

static void apply_thresholds(struct scsi_mode *mode, const uint8_t *body)
{
	mode->space.off = !(body[DESCRIPTOR] & ENABLED);
	mode->space.count = be32_get(body + COUNT);
}

const struct mode_page mode_pages[] = {
	{0x01, 0, 0x0a, page_empty, .offered = space_is_unknown},
	{0x01, 0, 0x0a, page_recovery, recovery_mask, apply_recovery, sbc_space_is_known},
	{0x02, 0, 0x0e, page_empty},
	{0x08, 0, 0x12, page_caching, caching_mask, apply_caching},
	{0x0a, 0, 0x0a, page_control, control_mask, apply_control, sbc_cannot_protect,
	 wrong_control},
	{0x0a, 0, 0x0a, page_control, protected_mask, apply_protected, sbc_can_protect,
	 wrong_control},
	{0x0a, 0x01, 0x1c, page_control_extension},
	{0x1a, 0, 0x26, page_empty},
	{0x1c, 0, 0x0a, page_exceptions},
	{0x1c, 0x02, 0x14, page_thresholds, thresholds_mask, apply_thresholds, sbc_space_is_known},
	{0x2a, 0, MMC_CAPABILITIES_LEN, mmc_page_capabilities, .offered = is_cdrom},
};
_Static_assert(sizeof(mode_pages) / sizeof(mode_pages[0]) == N_MODE_PAGES, "counted right");

/* ---- what is common to all ---- */

void mode_page_out(struct bytes_out *out, const struct mode_page *page,
		   const struct mode_source *from, bool changeable, bool can_save)
{
	uint8_t ps = can_save && page->changeable ? MODE_PS : 0;
	uint8_t *body;

	out_u8(out, page->code | ps | (page->subpage ? MODE_SPF : 0));
	if (page->subpage) {
		out_u8(out, page->subpage);
		out_u8(out, 0);
	}
	out_u8(out, page->len);
	body = out_room(out, page->len);
	assert(body);
	memset(body, 0, page->len);
	if (!changeable)
		page->build(from, body);
	else if (page->changeable)
		memcpy(body, page->changeable, page->len);
}

/* ---- what is saved: the pages themselves, one after the other ---- */

int mode_save(const struct scsi_lu *lu, const struct scsi_mode *mode)
{
	const struct mode_source from = {.lu = lu, .mode = mode};
	uint8_t buf[MODE_MAX];
	struct bytes_out out = bytes_out(buf, sizeof(buf));

	for (unsigned i = 0; i < N_MODE_PAGES; i++)
		if (mode_pages[i].changeable && mode_page_offered(&mode_pages[i], lu))
			mode_page_out(&out, &mode_pages[i], &from, false, false);
	assert(!out.full);
	return atomic_file_write(lu->state_dir, spc_file_name(lu, SPC_MODE_FILE).text, buf,
				 out.len);
}

/* A page that we do not know, or know by another length, was another version's: its values are
 * lost, as if they had not been saved. */
static void restore_page(const struct scsi_lu *lu, struct scsi_mode *mode, uint8_t code,
			 uint8_t subpage, uint16_t len, const uint8_t *body)
{
	for (unsigned i = 0; i < N_MODE_PAGES; i++) {
		const struct mode_page *page = &mode_pages[i];

		if (page->apply && mode_page_offered(page, lu) && page->code == code &&
		    page->subpage == subpage && page->len == len)
			page->apply(mode, body);
	}
}

int spc_mode_load(struct scsi_lu *lu, struct scsi_lu_view *view)
{
	struct scsi_mode mode = view->saved_mode;
	uint8_t buf[MODE_MAX];
	struct bytes_in in;
	size_t len;
	int r;

	if (!lu->state_dir)
		return 0;
	r = atomic_file_read(lu->state_dir, spc_file_name(lu, SPC_MODE_FILE).text, buf, sizeof(buf),
			     &len);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	in = bytes_in(buf, len);
	while (in.left && !in.bad) {
		uint8_t first = in_u8(&in), subpage = first & MODE_SPF ? in_u8(&in) : 0;
		uint16_t body_len = first & MODE_SPF ? in_be16(&in) : in_u8(&in);
		const uint8_t *body = in_bytes(&in, body_len);

		if (body)
			restore_page(lu, &mode, first & MODE_CODE, subpage, body_len, body);
	}
	if (in.bad)
		return -EBADMSG;
	view->saved_mode = mode;
	scsi_mode_put(view, &mode);
	return 0;
}

static void bring_back(struct scsi_lu_view *view, void *arg)
{
	(void)arg;
	scsi_mode_put(view, &view->saved_mode);
}

/* Without memory the current values stay, which the next MODE SENSE shows. */
void spc_mode_reset(struct scsi_lu *lu)
{
	const struct scsi_lu_view *view = scsi_lu_view(lu);
	struct scsi_mode now = scsi_mode_of(view);

	if (!scsi_mode_same(&now, &view->saved_mode))
		scsi_lu_change(lu, bring_back, NULL);
}
