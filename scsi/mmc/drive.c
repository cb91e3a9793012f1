/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the drive can do, and what has happened to its disc.
 * Source: MMC-6 r02g, GET CONFIGURATION and features, GET EVENT STATUS NOTIFICATION, MECHANISM
 * STATUS; MMC-3 r10g, MM capabilities and mechanical status page.
 */
#include "scsi/medium.h"
#include "scsi/mmc/mmc.h"
#include "scsi/spc/mode.h"
#include <assert.h>

enum {
	/* GET CONFIGURATION, RT */
	RT_ALL = 0,
	RT_CURRENT = 1,
	RT_ONE = 2,

	/* a feature descriptor, byte 2 */
	PERSISTENT = 0x02,
	CURRENT = 0x01,
	VERSION_SHIFT = 2,

	DVD_READ = 0x001f,
	RANDOM_READABLE = 0x0010,

	/* GET EVENT STATUS NOTIFICATION */
	POLLED = 0x01, /* byte 1 */
	NEA = 0x80,    /* no event available */
	CLASS_MEDIA = 4,
	MEDIA_PRESENT = 0x02,
	TRAY_OPEN = 0x01,

	MECHANISM_LEN = 8,
	DOOR_OPEN = 0x10,

	/* page 2A: byte 0 of the body, byte 4 */
	READS_DVD_ROM = 0x08,
	TRAY = 0x20,
	EJECTS = 0x08,
	LOCKED = 0x02,
	LOCKS = 0x01,
};

static bool is_loaded(const struct scsi_lu *lu)
{
	return mmc_profile(lu) != PROFILE_NONE;
}

/* ---- features ---- */

/* In ascending order. What applies whatever the disc is persistent. */
static const struct feature {
	uint16_t code;
	uint8_t version;
	bool persistent;
	uint8_t len, body[8];
} features[] = {
	/* Profile List: its flags of the current one are filled in */
	{0x0000, 0, true, 8, {0x00, PROFILE_DVD_ROM, 0, 0, 0x00, PROFILE_CD_ROM, 0, 0}},
	/* Core: the SCSI family; INQ2, the EVPD of INQUIRY is judged */
	{0x0001, 1, true, 8, {0, 0, 0, 1, 0x02, 0, 0, 0}},
	/* Removable Medium: a tray, ejected and locked by command */
	{0x0003, 0, true, 4, {TRAY | EJECTS | LOCKS, 0, 0, 0}},
	/* Random Readable: blocks of 2048 bytes, one at a time; mode page 01 is there */
	{RANDOM_READABLE, 0, false, 8, {0, 0, 0x08, 0, 0, 1, 0x01, 0}},
	{DVD_READ, 0, false, 0, {0}},
	{0x0100, 0, true, 0, {0}}, /* Power Management */
};

#define N_FEATURES (sizeof(features) / sizeof(features[0]))

static bool is_current(const struct feature *feature, enum mmc_profile profile)
{
	if (feature->code == DVD_READ)
		return profile == PROFILE_DVD_ROM;
	return feature->persistent || profile != PROFILE_NONE;
}

static void out_feature(struct bytes_out *out, const struct feature *feature,
			enum mmc_profile profile)
{
	uint8_t *body;

	out_be16(out, feature->code);
	out_u8(out, (uint8_t)(feature->version << VERSION_SHIFT |
			      (feature->persistent ? PERSISTENT : 0) |
			      (is_current(feature, profile) ? CURRENT : 0)));
	out_u8(out, feature->len);
	body = out_room(out, feature->len);
	assert(body);
	memcpy(body, feature->body, feature->len);
	if (feature->code == 0) /* a profile each four bytes */
		for (unsigned i = 0; i < feature->len; i += 4)
			body[i + 2] = be16_get(body + i) == profile ? CURRENT : 0;
}

enum scsi_step mmc_get_configuration(struct scsi_task *task)
{
	enum mmc_profile profile = mmc_profile(task->lu);
	uint16_t first = be16_get(task->cdb + 2);
	uint8_t rt = task->cdb[1] & 3, buf[8 + N_FEATURES * 12];
	struct bytes_out out = bytes_out(buf, sizeof(buf));

	if (rt > RT_ONE)
		return scsi_check_field(task, 1, 3);
	out_zero(&out, 6);
	out_be16(&out, profile);
	for (unsigned i = 0; i < N_FEATURES; i++) {
		const struct feature *feature = &features[i];

		if (rt == RT_ONE ? feature->code != first : feature->code < first)
			continue;
		if (rt != RT_CURRENT || is_current(feature, profile))
			out_feature(&out, feature, profile);
	}
	assert(!out.full);
	be32_put(buf, (uint32_t)out.len - 4);
	return scsi_reply(task, buf, out.len);
}

/* ---- state ---- */

/* Only media events happen here. One is told once, to each nexus, in an answer that holds it. */
enum scsi_step mmc_get_event_status(struct scsi_task *task)
{
	bool media = task->cdb[4] & 1 << CLASS_MEDIA;
	uint8_t buf[8] = {0};
	size_t len = media ? sizeof(buf) : 4;

	if (!(task->cdb[1] & POLLED)) /* told by itself it would be, with the answer held back */
		return scsi_check_field(task, 1, POLLED);
	be16_put(buf, (uint16_t)(len - 2));
	buf[2] = media ? CLASS_MEDIA : NEA;
	buf[3] = 1 << CLASS_MEDIA; /* supported event classes */
	if (media && task->need_in >= 5)
		buf[4] = (uint8_t)scsi_medium_take_event(task->itl);
	buf[5] = is_loaded(task->lu) ? MEDIA_PRESENT : TRAY_OPEN;
	return scsi_reply(task, buf, len);
}

enum scsi_step mmc_plan_mechanism_status(struct scsi_task *task)
{
	task->need_in = be16_get(task->cdb + 8);
	return SCSI_READY;
}

/* No changer: no slot but the drive itself. */
enum scsi_step mmc_mechanism_status(struct scsi_task *task)
{
	uint8_t buf[MECHANISM_LEN] = {0};

	buf[1] = is_loaded(task->lu) ? 0 : DOOR_OPEN;
	return scsi_reply(task, buf, sizeof(buf));
}

static bool is_locked(const struct scsi_lu *lu)
{
	pthread_mutex_t *lock = (pthread_mutex_t *)&lu->lock;
	bool locked;

	pthread_mutex_lock(lock);
	locked = lu->n_prevents;
	pthread_mutex_unlock(lock);
	return locked;
}

/* No speed is told: it depends on the net and the store. */
void mmc_page_capabilities(const struct mode_source *from, uint8_t *body)
{
	body[0] = READS_DVD_ROM; /* CD-ROM goes without saying */
	body[4] = TRAY | EJECTS | LOCKS | (is_locked(from->lu) ? LOCKED : 0);
}
