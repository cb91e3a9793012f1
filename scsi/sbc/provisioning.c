/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The space behind a thin LU: how much it takes, how much is left, and the attention to all
 * initiators when that gets low. The threshold is a tenth of the LU's size unless mode page 1C/02
 * sets another; space that the LU could not use, since all else of it is stored, is not missed.
 * Source: SBC-4 r22, logical block provisioning thresholds.
 */
#include "scsi/lu_priv.h"
#include "scsi/sbc/sbc.h"
#include <errno.h>

#define CHECK_EVERY_NS UINT64_C(1000000000)

enum { THRESHOLD_PART = 10 }; /* of the size */

int sbc_provisioning(const struct scsi_lu *lu, uint64_t *ret_used, uint64_t *ret_free)
{
	if (!sbc_space_is_known(lu))
		return -EOPNOTSUPP;
	return lu->backend->space(lu->store, ret_used, ret_free);
}

bool sbc_space_is_known(const struct scsi_lu *lu)
{
	return scsi_lu_view(lu)->thin && scsi_backend_has(lu->backend, space);
}

bool sbc_space_is_due(struct scsi_task *task)
{
	struct scsi_lu *lu = task->lu;
	uint64_t now = engine_now(task->nexus->engine);
	uint64_t at = atomic_load_explicit(&lu->space_check_ns, memory_order_relaxed);

	return sbc_space_is_known(lu) && now >= at &&
	       atomic_compare_exchange_strong(&lu->space_check_ns, &at, now + CHECK_EVERY_NS);
}

/* On a helper thread, since file systems may be slow to answer. */
static int look(struct scsi_task *task)
{
	return sbc_provisioning(task->lu, &task->scratch[0], &task->scratch[1]);
}

static bool is_low(const struct scsi_lu_view *view, uint64_t used, uint64_t left)
{
	uint64_t size = view->n_blocks << view->block_shift;
	uint64_t threshold = sbc_threshold_count(view)
			     << SBC_THRESHOLD_EXPONENT << view->block_shift;

	return !view->space.quiet && !view->space.off && used < size && left < size - used &&
	       left < threshold;
}

uint64_t sbc_threshold_count(const struct scsi_lu_view *view)
{
	return view->space.count ? view->space.count
				 : (view->n_blocks / THRESHOLD_PART) >> SBC_THRESHOLD_EXPONENT;
}

/* Told once, and again after there has been more. */
static enum scsi_step judge(struct scsi_task *task)
{
	struct scsi_lu *lu = task->lu;
	bool low =
		task->work_res == 0 && is_low(scsi_lu_view(lu), task->scratch[0], task->scratch[1]);

	if (!atomic_exchange(&lu->space_low, low) && low)
		scsi_lu_attention(lu, UA_SPACE_THRESHOLD, NULL);
	return scsi_good(task);
}

enum scsi_step sbc_space_check(struct scsi_task *task)
{
	return scsi_task_work(task, look, judge);
}
