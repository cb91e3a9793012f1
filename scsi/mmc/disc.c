/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is on the disc, which is always the same: one session of one data track, closed.
 * Source: MMC-6 r02g, READ TOC/PMA/ATIP, READ DISC INFORMATION, READ TRACK INFORMATION.
 */
#include "scsi/mmc/mmc.h"
#include <assert.h>

enum {
	/* READ TOC/PMA/ATIP */
	MSF = 0x02,    /* byte 1 */
	FORMAT = 0x0f, /* byte 2 */
	FORMAT_TOC = 0,
	FORMAT_SESSIONS = 1,
	FORMAT_FULL_TOC = 2,
	ADR_1_DATA = 0x14, /* ADR 1: the Q channel tells positions; CONTROL 4: a data track */
	TRACK = 1,
	SESSION = 1,
	LEAD_OUT = 0xaa,
	POINT_FIRST_TRACK = 0xa0,
	POINT_LAST_TRACK = 0xa1,
	POINT_LEAD_OUT = 0xa2,

	FRAMES = 75, /* of a second */
	PREGAP = 2 * FRAMES,

	/* READ TRACK INFORMATION, byte 1 */
	BY_LBA = 0,
	BY_TRACK = 1,
	BY_SESSION = 2,
	TRACK_INFORMATION_LEN = 36,
	DATA_TRACK = 0x04, /* TRACK MODE: as CONTROL above */
	MODE_1 = 0x01,	   /* DATA MODE */

	DISC_INFORMATION_LEN = 34,
	COMPLETE_AND_CLOSED = 0x0e, /* the last session is complete, the disc finalized */
	UNRESTRICTED_USE = 0x20,
	TYPE_CD_ROM = 0x00,
	TYPE_OTHER = 0xff, /* no CD */
};

/* Minutes, seconds and frames; what is past their end is the end, FF:3B:4A. */
static void out_msf(struct bytes_out *out, uint64_t lba)
{
	uint64_t frames = lba + PREGAP, minutes = frames / (60 * FRAMES);
	bool past = minutes > UINT8_MAX;

	out_u8(out, past ? UINT8_MAX : (uint8_t)minutes);
	out_u8(out, past ? 59 : (uint8_t)(frames / FRAMES % 60));
	out_u8(out, past ? FRAMES - 1 : (uint8_t)(frames % FRAMES));
}

static void out_address(struct bytes_out *out, uint64_t lba, bool msf)
{
	if (msf) {
		out_u8(out, 0);
		out_msf(out, lba);
	} else {
		out_be32(out, lba > UINT32_MAX ? UINT32_MAX : (uint32_t)lba);
	}
}

static void out_track(struct bytes_out *out, uint8_t number, uint64_t lba, bool msf)
{
	out_u8(out, 0);
	out_u8(out, ADR_1_DATA);
	out_u8(out, number);
	out_u8(out, 0);
	out_address(out, lba, msf);
}

/* From a track on, and then the lead-out. */
static void out_toc(struct bytes_out *out, uint64_t n_blocks, uint8_t from, bool msf)
{
	out_u8(out, TRACK);
	out_u8(out, TRACK);
	if (from <= TRACK)
		out_track(out, TRACK, 0, msf);
	out_track(out, LEAD_OUT, n_blocks, msf);
}

static void out_sessions(struct bytes_out *out, bool msf)
{
	out_u8(out, SESSION);
	out_u8(out, SESSION);
	out_track(out, TRACK, 0, msf); /* the first of the last session */
}

static void out_point(struct bytes_out *out, uint8_t point)
{
	out_u8(out, SESSION);
	out_u8(out, ADR_1_DATA);
	out_u8(out, 0);
	out_u8(out, point);
	out_zero(out, 4);
}

/* As it stands in the lead-in, so always in minutes, seconds and frames. */
static void out_full_toc(struct bytes_out *out, uint64_t n_blocks)
{
	out_u8(out, SESSION);
	out_u8(out, SESSION);
	out_point(out, POINT_FIRST_TRACK);
	out_u8(out, TRACK);
	out_zero(out, 2); /* disc type: CD-ROM */
	out_point(out, POINT_LAST_TRACK);
	out_u8(out, TRACK);
	out_zero(out, 2);
	out_point(out, POINT_LEAD_OUT);
	out_msf(out, n_blocks);
	out_point(out, TRACK);
	out_msf(out, 0);
}

enum scsi_step mmc_read_toc(struct scsi_task *task)
{
	uint64_t n_blocks = scsi_lu_view(task->lu)->n_blocks;
	bool msf = task->cdb[1] & MSF;
	uint8_t from = task->cdb[6], format = task->cdb[2] & FORMAT;
	uint8_t buf[64];
	struct bytes_out out = bytes_out(buf, sizeof(buf));

	out_zero(&out, 2);
	if (format > FORMAT_FULL_TOC)
		return scsi_check_field(task, 2, FORMAT);
	if ((format == FORMAT_TOC && from > TRACK && from != LEAD_OUT) ||
	    (format == FORMAT_FULL_TOC && from > SESSION))
		return scsi_check_field(task, 6, 0xff);
	if (format == FORMAT_TOC)
		out_toc(&out, n_blocks, from, msf);
	else if (format == FORMAT_SESSIONS)
		out_sessions(&out, msf);
	else
		out_full_toc(&out, n_blocks);
	assert(!out.full);
	be16_put(buf, (uint16_t)(out.len - 2));
	return scsi_reply(task, buf, out.len);
}

enum scsi_step mmc_read_disc_information(struct scsi_task *task)
{
	uint8_t buf[DISC_INFORMATION_LEN] = {0};
	struct bytes_out out = bytes_out(buf, sizeof(buf));

	if (task->cdb[1]) /* track resources and the like are of writing */
		return scsi_check_field(task, 1, 0x07);
	out_be16(&out, DISC_INFORMATION_LEN - 2);
	out_u8(&out, COMPLETE_AND_CLOSED);
	out_u8(&out, TRACK);
	out_u8(&out, SESSION); /* how many */
	out_u8(&out, TRACK);   /* first and last of the last session */
	out_u8(&out, TRACK);
	out_u8(&out, UNRESTRICTED_USE);
	out_u8(&out, mmc_profile(task->lu) == PROFILE_CD_ROM ? TYPE_CD_ROM : TYPE_OTHER);
	out_zero(&out, 7); /* upper bytes of the numbers above, and no disc identification */
	out_be64(&out, UINT64_MAX); /* a closed disc takes no further session */
	out_zero(&out, out.cap - out.len);
	assert(!out.full);
	return scsi_reply(task, buf, out.len);
}

/* Whether the CDB's address leads to the one track. */
static bool finds_track(const struct scsi_task *task)
{
	uint32_t address = be32_get(task->cdb + 2);

	switch (task->cdb[1]) {
	case BY_LBA:
		return address < scsi_lu_view(task->lu)->n_blocks;
	case BY_TRACK:
		return address == TRACK;
	default:
		return address == SESSION;
	}
}

enum scsi_step mmc_read_track_information(struct scsi_task *task)
{
	uint64_t n_blocks = scsi_lu_view(task->lu)->n_blocks;
	uint8_t buf[TRACK_INFORMATION_LEN] = {0};

	if (task->cdb[1] > BY_SESSION)
		return scsi_check_field(task, 1, 0x03);
	if (!finds_track(task))
		return scsi_check_field(task, 2, 0xff);
	be16_put(buf, TRACK_INFORMATION_LEN - 2);
	buf[2] = TRACK;
	buf[3] = SESSION;
	buf[5] = DATA_TRACK;
	buf[6] = MODE_1;
	/* It starts at LBA 0, and nothing of it is free or can be written. */
	be32_put(buf + 24, n_blocks > UINT32_MAX ? UINT32_MAX : (uint32_t)n_blocks);
	return scsi_reply(task, buf, sizeof(buf));
}
