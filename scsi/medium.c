/* SPDX-License-Identifier: Apache-2.0 */
/*
 * START STOP UNIT and PREVENT ALLOW MEDIUM REMOVAL, and the medium that they load, eject and
 * hold. Source: SBC-4 r22, START STOP UNIT, removable medium; SPC-5 r22, PREVENT ALLOW MEDIUM
 * REMOVAL; MMC-6 r02g, START STOP UNIT.
 */
#include "scsi/medium.h"
#include "scsi/lu_priv.h"
#include "scsi/sbc/sbc.h"

enum {
	/* START STOP UNIT */
	IMMED = 0x01,		/* byte 1 */
	POWER_CONDITION = 0xf0, /* byte 4 */
	NO_FLUSH = 0x04,
	LOEJ = 0x02,
	START = 0x01,

	PREVENT = 0x01, /* PREVENT ALLOW MEDIUM REMOVAL, byte 4 */
};

/* ---- who prevents ---- */

/* lu->lock is held. */
static void set_prevents(struct scsi_itl *itl, bool prevents)
{
	if (prevents && !itl->prevents)
		itl->lu->n_prevents++;
	else if (!prevents && itl->prevents)
		itl->lu->n_prevents--;
	itl->prevents = prevents;
}

void scsi_medium_leave(struct scsi_itl *itl)
{
	pthread_mutex_lock(&itl->lu->lock);
	set_prevents(itl, false);
	pthread_mutex_unlock(&itl->lu->lock);
}

void scsi_medium_reset(struct scsi_lu *lu)
{
	pthread_mutex_lock(&lu->lock);
	list_for_each (itl, &lu->itls, struct scsi_itl, lu_node)
		set_prevents(itl, false);
	pthread_mutex_unlock(&lu->lock);
}

/* What cannot be removed is held already. */
static enum scsi_step prevent_allow(struct scsi_task *task)
{
	pthread_mutex_lock(&task->lu->lock);
	if (scsi_lu_view(task->lu)->removable)
		set_prevents(task->itl, task->cdb[4] & PREVENT);
	pthread_mutex_unlock(&task->lu->lock);
	return scsi_good(task);
}

/* ---- load and eject ---- */

enum scsi_medium_event scsi_medium_take_event(struct scsi_itl *itl)
{
	return (enum scsi_medium_event)atomic_exchange(&itl->medium_event, MEDIUM_NO_EVENT);
}

/* Unless somebody prevents it, puts the medium out or in. Return: whether nobody did. */
static bool move_medium(struct scsi_lu *lu, bool out, const struct scsi_itl *by)
{
	bool allowed;

	pthread_mutex_lock(&lu->lock);
	allowed = !lu->n_prevents;
	if (allowed && atomic_load(&lu->ejected) != out) {
		atomic_store(&lu->ejected, out);
		list_for_each (itl, &lu->itls, struct scsi_itl, lu_node) {
			atomic_store(&itl->medium_event, out ? MEDIUM_REMOVED : MEDIUM_NEW);
			if (!out && itl != by) /* who loads it knows */
				atomic_fetch_or(&itl->attentions, 1u << UA_MEDIUM_CHANGED);
		}
	}
	pthread_mutex_unlock(&lu->lock);
	return allowed;
}

static enum scsi_step move(struct scsi_task *task)
{
	return move_medium(task->lu, !(task->cdb[4] & START), task->itl)
		       ? scsi_good(task)
		       : scsi_check(task, SENSE_MEDIUM_REMOVAL_PREVENTED);
}

static bool is_prevented(struct scsi_lu *lu)
{
	bool prevented;

	pthread_mutex_lock(&lu->lock);
	prevented = lu->n_prevents;
	pthread_mutex_unlock(&lu->lock);
	return prevented;
}

/* Before the medium stops, it gets what a cache may hold back. */
static enum scsi_step flush_then(struct scsi_task *task, enum scsi_step (*next)(struct scsi_task *))
{
	if ((task->cdb[4] & NO_FLUSH) || scsi_lu_view(task->lu)->read_only ||
	    atomic_load(&task->lu->ejected))
		return next(task);
	return sbc_flush(task, next);
}

/* A removable medium that is stopped starts by itself when it is needed: to stop is to flush. */
static enum scsi_step start_stop_removable(struct scsi_task *task)
{
	uint8_t how = task->cdb[4];

	if (!(how & LOEJ) && atomic_load(&task->lu->ejected))
		return scsi_check(task, SENSE_MEDIUM_NOT_PRESENT);
	if (!(how & LOEJ))
		return how & START ? scsi_good(task) : flush_then(task, scsi_good);
	if (is_prevented(task->lu))
		return scsi_check(task, SENSE_MEDIUM_REMOVAL_PREVENTED);
	return how & START ? move(task) : flush_then(task, move);
}

/* ---- a medium that stays ---- */

static enum scsi_step stop(struct scsi_task *task)
{
	atomic_store(&task->lu->stopped, true);
	return scsi_good(task);
}

static enum scsi_step start_stop_fixed(struct scsi_task *task)
{
	if (task->cdb[4] & LOEJ)
		return scsi_check_field(task, 4, LOEJ);
	if (!(task->cdb[4] & START))
		return flush_then(task, stop);
	atomic_store(&task->lu->stopped, false);
	return scsi_good(task);
}

/* ---- the command ---- */

/*
 * ACTIVE, IDLE, STANDBY, LU_CONTROL, FORCE_IDLE_0, FORCE_STANDBY_0: nothing here would save power,
 * so all are reached at once. Hosts of removable media, and libiscsi's tests, send any code.
 */
static bool power_condition_is_known(const struct scsi_lu *lu, uint8_t condition)
{
	enum { KNOWN = 1 << 0x1 | 1 << 0x2 | 1 << 0x3 | 1 << 0x7 | 1 << 0xa | 1 << 0xb };

	return scsi_lu_view(lu)->removable || KNOWN >> condition & 1;
}

/*
 * The state is the LU's, for all nexuses. With IMMED the answer could come before the flush; it
 * comes after, so that a flush that fails is told to the command that asked for it. With a power
 * condition neither LOEJ nor START count.
 */
static enum scsi_step start_stop(struct scsi_task *task)
{
	const struct scsi_lu_view *view = scsi_lu_view(task->lu);
	uint8_t condition = task->cdb[4] >> 4;

	if (!view->online)
		return scsi_check(task, SENSE_NOT_READY_OFFLINE);
	if (condition)
		return power_condition_is_known(task->lu, condition)
			       ? scsi_good(task)
			       : scsi_check_field(task, 4, POWER_CONDITION);
	return view->removable ? start_stop_removable(task) : start_stop_fixed(task);
}

/* clang-format off */
const struct scsi_op medium_ops[] = {
	{"START STOP UNIT", 0x1b, NO_SA, 6, ACCESS_NONE, NULL, start_stop,
	 {0x1b, IMMED, NONE_2, POWER_CONDITION | NO_FLUSH | LOEJ | START, CONTROL},
	 .resv = RESV_CONFLICT, .exclusive = true, .timeout_s = TIMEOUT_FLUSH},
	{"PREVENT ALLOW MEDIUM REMOVAL", 0x1e, NO_SA, 6, ACCESS_NONE, NULL, prevent_allow,
	 {0x1e, NONE_3, PREVENT, CONTROL}, .resv = RESV_CONFLICT},
	{0},
};
/* clang-format on */
