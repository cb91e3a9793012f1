/* SPDX-License-Identifier: Apache-2.0 */
/*
 * REPORT and SET TIMESTAMP: milliseconds since 1970, by the host's clock until an initiator sets
 * it. What was set runs on with the host's clock, which a LU reset does not change.
 * Source: SPC-5 r22, timestamp.
 */
#include "scsi/lu_priv.h"
#include "scsi/spc/spc.h"
#include "scsi/spc/state.h"
#include "util/bytes.h"
#include <time.h>

enum {
	LIST_LEN = 12,
	TIMESTAMP_AT = 4, /* six bytes, in both directions */
	TIMESTAMP_HIGH_MAX = 0xf0,
	ORIGIN_SET = 0x02,  /* by SET TIMESTAMP */
	ORIGIN_HOST = 0x03, /* by methods outside the standard */
};

static uint64_t clock_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

enum scsi_step spc_report_timestamp(struct scsi_task *task)
{
	struct spc_state *state = task->lu->spc;
	bool is_set = atomic_load(&state->clock_set);
	uint8_t buf[LIST_LEN] = {0, LIST_LEN - 2, is_set ? ORIGIN_SET : ORIGIN_HOST};
	/* What was set goes on though somebody sets the host's clock. */
	uint64_t now =
		is_set ? clock_ms(CLOCK_BOOTTIME) + (uint64_t)atomic_load(&state->clock_offset_ms)
		       : clock_ms(CLOCK_REALTIME);

	be16_put(buf + TIMESTAMP_AT, (uint16_t)(now >> 32));
	be32_put(buf + TIMESTAMP_AT + 2, (uint32_t)now);
	return scsi_reply(task, buf, sizeof(buf));
}

enum scsi_step spc_plan_set_timestamp(struct scsi_task *task)
{
	uint32_t len = be32_get(task->cdb + 6);

	if (len && len != LIST_LEN)
		return scsi_check(task, SENSE_PARAMETER_LIST_LENGTH);
	task->need_out = len;
	return SCSI_READY;
}

enum scsi_step spc_set_timestamp(struct scsi_task *task)
{
	static const uint8_t reserved[] = {0, 1, 2, 3, 10, 11};
	struct spc_state *state = task->lu->spc;
	uint8_t list[LIST_LEN];
	uint64_t wanted;

	if (!task->need_out)
		return scsi_good(task);
	if (scsi_param_copy(task, list, sizeof(list)) < sizeof(list))
		return scsi_check(task, SENSE_PARAMETER_LIST_LENGTH);
	for (unsigned i = 0; i < sizeof(reserved); i++)
		if (list[reserved[i]])
			return scsi_check_param(task, reserved[i], list[reserved[i]]);
	if (list[TIMESTAMP_AT] > TIMESTAMP_HIGH_MAX)
		return scsi_check_param(task, TIMESTAMP_AT, 0);
	wanted = (uint64_t)be16_get(list + TIMESTAMP_AT) << 32 | be32_get(list + TIMESTAMP_AT + 2);
	atomic_store(&state->clock_offset_ms, (long long)(wanted - clock_ms(CLOCK_BOOTTIME)));
	atomic_store(&state->clock_set, true);
	scsi_lu_attention(task->lu, UA_TIMESTAMP_CHANGED, task->nexus);
	return scsi_good(task);
}
