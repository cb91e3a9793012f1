/* SPDX-License-Identifier: Apache-2.0 */
/*
 * READ DISC STRUCTURE, of a DVD: what its lead-in would hold.
 * Source: MMC-6 r02g, READ DISC STRUCTURE, DVD structures.
 */
#include "scsi/mmc/mmc.h"
#include <assert.h>

enum {
	MEDIA_DVD = 0x00, /* byte 1 */

	FORMAT_PHYSICAL = 0x00, /* byte 7 */
	FORMAT_COPYRIGHT = 0x01,
	FORMAT_MANUFACTURING = 0x04,
	FORMAT_LIST = 0xff,

	HEADER_LEN = 4,
	LEAD_IN_SECTOR_LEN = 2048,
	READABLE = 0x40, /* RDS, in the list */

	BOOK_DVD_ROM_1 = 0x01, /* book type 0, part version 1 */
	RATE_NOT_TOLD = 0x0f,  /* after the disc size 0: 120 mm */
	ONE_EMBOSSED_LAYER = 0x01,
	FIRST_SECTOR = 0x030000, /* physical number of LBA 0 */
	LAST_SECTOR = 0xffffff,
};

static const struct structure {
	uint8_t format;
	uint16_t len; /* behind the header */
} structures[] = {
	{FORMAT_PHYSICAL, LEAD_IN_SECTOR_LEN},
	{FORMAT_COPYRIGHT, 4}, /* all 0: not protected, no region */
	{FORMAT_MANUFACTURING, LEAD_IN_SECTOR_LEN},
};

#define N_STRUCTURES (sizeof(structures) / sizeof(structures[0]))

enum scsi_step mmc_plan_disc_structure(struct scsi_task *task)
{
	task->need_in = be16_get(task->cdb + 8);
	return SCSI_READY;
}

static void put_physical(const struct scsi_task *task, uint8_t *body)
{
	uint64_t last = FIRST_SECTOR + scsi_lu_view(task->lu)->n_blocks - 1;

	body[0] = BOOK_DVD_ROM_1;
	body[1] = RATE_NOT_TOLD;
	body[2] = ONE_EMBOSSED_LAYER;
	be24_put(body + 5, FIRST_SECTOR);
	be24_put(body + 9, last > LAST_SECTOR ? LAST_SECTOR : (uint32_t)last);
}

static enum scsi_step reply_list(struct scsi_task *task)
{
	uint8_t buf[HEADER_LEN + 4 * N_STRUCTURES];
	struct bytes_out out = bytes_out(buf, sizeof(buf));

	out_be16(&out, sizeof(buf) - 2);
	out_zero(&out, 2);
	for (unsigned i = 0; i < N_STRUCTURES; i++) {
		out_u8(&out, structures[i].format);
		out_u8(&out, READABLE);
		out_be16(&out, HEADER_LEN + structures[i].len);
	}
	assert(!out.full);
	return scsi_reply(task, buf, out.len);
}

static enum scsi_step reply_structure(struct scsi_task *task, const struct structure *structure)
{
	uint8_t buf[HEADER_LEN + LEAD_IN_SECTOR_LEN] = {0};

	be16_put(buf, (uint16_t)(HEADER_LEN - 2 + structure->len));
	if (structure->format == FORMAT_PHYSICAL)
		put_physical(task, buf + HEADER_LEN);
	return scsi_reply(task, buf, HEADER_LEN + structure->len);
}

enum scsi_step mmc_read_disc_structure(struct scsi_task *task)
{
	uint8_t format = task->cdb[7];

	if (task->cdb[1] != MEDIA_DVD)
		return scsi_check_field(task, 1, 0x0f);
	if (format == FORMAT_LIST)
		return reply_list(task);
	if (mmc_profile(task->lu) != PROFILE_DVD_ROM)
		return scsi_check(task, SENSE_INCOMPATIBLE_MEDIUM);
	for (unsigned i = 0; i < N_STRUCTURES; i++)
		if (structures[i].format == format)
			return task->cdb[6] ? scsi_check_field(task, 6, 0xff) /* one layer */
					    : reply_structure(task, &structures[i]);
	return scsi_check_field(task, 7, 0xff);
}
