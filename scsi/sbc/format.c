/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FORMAT UNIT: every block takes a pattern, zeroes unless the initiator has another. There are no
 * defect lists to work from, so only empty ones are taken. Where a LU can have protection
 * information, the medium has the type that FMTPINFO and PROTECTION FIELD USAGE ask for afterwards,
 * with tuples of FFh, and type 0 when they ask for none.
 * Source: SBC-4 r22, FORMAT UNIT.
 */
#include "scsi/lu_priv.h"
#include "scsi/pi/pi.h"
#include "scsi/sbc/background.h"
#include "util/bytes.h"

/* Of the parameter list: what is defined, and then some. */
#define LIST_MAX (8 + 4 + SBC_BLOCK_MAX)

enum {
	/* CDB, byte 1 */
	FMTPINFO = 0xc0,
	LONGLIST = 0x20,
	FMTDATA = 0x10,
	CMPLST = 0x08,
	DEFECT_LIST_FORMAT = 0x07,

	USAGE = 0x07, /* parameter list, byte 0: PROTECTION FIELD USAGE */

	/* parameter list, byte 1 */
	FOV = 0x80,
	DPRY = 0x40,
	DCRT = 0x20,
	STPF = 0x10,
	IP = 0x08,
	FORMAT_IMMED = 0x02,
	OPTIONS = DPRY | DCRT | STPF | IP,

	SHORT_LEN = 4,
	LONG_LEN = 8,

	/* initialization pattern descriptor */
	IP_MODIFIER = 0xc0,
	SI = 0x20,
	IP_LEN = 4,
	IP_DEFAULT = 0,
	IP_REPEAT = 1,
};

bool sbc_can_protect(const struct scsi_lu *lu)
{
	return lu->pi;
}

bool sbc_cannot_protect(const struct scsi_lu *lu)
{
	return !lu->pi;
}

static size_t header_len(const struct scsi_task *task)
{
	return task->cdb[1] & LONGLIST ? LONG_LEN : SHORT_LEN;
}

/*
 * The CDB does not tell how long the list is, but the initiator tells what it brings; what is past
 * the longest list that can be right is not asked for.
 */
enum scsi_step sbc_plan_format(struct scsi_task *task)
{
	uint8_t rest = task->cdb[1] & (LONGLIST | CMPLST | DEFECT_LIST_FORMAT);

	if ((task->cdb[1] & FMTPINFO) == 0x40) /* for all LUs, whatever they can */
		return scsi_check_field(task, 1, FMTPINFO);
	if (!(task->cdb[1] & FMTDATA))
		return rest ? scsi_check_field(task, 1, rest) : SCSI_READY;
	if (task->expect_out < header_len(task))
		return scsi_check(task, SENSE_PARAMETER_LIST_LENGTH);
	task->need_out = task->expect_out < LIST_MAX ? task->expect_out : LIST_MAX;
	return SCSI_READY;
}

/* ---- the parameter list ---- */

/* The type that is asked for; -1: there is none such. */
static int protection_of(const struct scsi_task *task, uint8_t usage)
{
	switch (task->cdb[1] & FMTPINFO) {
	case 0x80:
		return usage ? -1 : PI_TYPE_1;
	case 0xc0:
		return usage > 1 ? -1 : (int)(PI_TYPE_2 + usage);
	default:
		return usage ? -1 : PI_NONE;
	}
}

/* Bytes 0 and 1, and what must be 0 in the header. */
static enum scsi_step judge_header(struct scsi_task *task, const uint8_t *list)
{
	bool is_long = task->cdb[1] & LONGLIST;

	if (list[0] & ~USAGE)
		return scsi_check_param(task, 0, list[0] & (uint8_t)~USAGE);
	if (protection_of(task, list[0]) < 0)
		return scsi_check_param(task, 0, USAGE);
	if (!(list[1] & FOV) && (list[1] & OPTIONS))
		return scsi_check_param(task, 1, list[1] & OPTIONS);
	if (list[1] & ~(FOV | OPTIONS | FORMAT_IMMED))
		return scsi_check_param(task, 1, list[1] & ~(FOV | OPTIONS | FORMAT_IMMED) & 0xff);
	if (is_long && list[2])
		return scsi_check_param(task, 2, list[2]);
	if (is_long && list[3])
		return scsi_check_param(task, 3, list[3]);     /* P_I_INFORMATION, exponent */
	if (is_long ? be32_get(list + 4) : be16_get(list + 2)) /* DEFECT LIST LENGTH */
		return scsi_check_param(task, is_long ? 4 : 2, 0);
	return SCSI_READY;
}

/* @at: where in the list the descriptor begins; @left: bytes from there on */
static enum scsi_step judge_pattern(struct scsi_task *task, const uint8_t *list, size_t at,
				    size_t left, struct sbc_wipe *wipe)
{
	const uint8_t *descriptor = list + at;
	uint16_t len;

	if (left < IP_LEN)
		return scsi_check(task, SENSE_PARAMETER_LIST_LENGTH);
	if (descriptor[0] & (IP_MODIFIER | SI))
		return scsi_check_param(task, at, descriptor[0] & (IP_MODIFIER | SI));
	len = be16_get(descriptor + 2);
	if (descriptor[1] > IP_REPEAT)
		return scsi_check_param(task, at + 1, 0xff);
	if (descriptor[1] == IP_DEFAULT ? len : !len || len > scsi_lu_view(task->lu)->block_size)
		return scsi_check_param(task, at + 2, 0xff);
	if (left < (size_t)IP_LEN + len)
		return scsi_check(task, SENSE_PARAMETER_LIST_LENGTH);
	if (!len)
		return SCSI_READY;
	wipe->pattern = descriptor + IP_LEN;
	wipe->pattern_len = len;
	return SCSI_READY;
}

static enum scsi_step judge_list(struct scsi_task *task, const uint8_t *list, size_t len,
				 struct sbc_wipe *wipe)
{
	size_t header = header_len(task);
	enum scsi_step step;

	if (len < header)
		return scsi_check(task, SENSE_PARAMETER_LIST_LENGTH);
	step = judge_header(task, list);
	if (step == SCSI_READY && (list[1] & IP))
		step = judge_pattern(task, list, header, len - header, wipe);
	return step;
}

static bool is_zero(const uint8_t *pattern, uint32_t len)
{
	while (len && !pattern[len - 1])
		len--;
	return !len;
}

enum scsi_step sbc_format_unit(struct scsi_task *task)
{
	static const uint8_t zero[1];
	struct sbc_wipe wipe = {
		.n_passes = 1,
		.pattern = zero,
		.pattern_len = 1,
		.doing = SENSE_FORMAT_IN_PROGRESS,
		.failed = SENSE_FORMAT_CORRUPTED,
	};
	uint8_t list[LIST_MAX] = {0};
	bool has_list = task->cdb[1] & FMTDATA;
	size_t len = scsi_param_copy(task, list, sizeof(list));

	if (has_list && judge_list(task, list, len, &wipe) == SCSI_DONE)
		return SCSI_DONE;
	if (scsi_lu_view(task->lu)->thin && is_zero(wipe.pattern, wipe.pattern_len))
		wipe.how = WIPE_DISCARD;
	wipe.protects = task->lu->pi;
	wipe.protection = (uint8_t)protection_of(task, has_list ? list[0] : 0);
	return sbc_background_start(task, &wipe, has_list && (list[1] & FORMAT_IMMED),
				    SENSE_FORMAT_FAILED);
}
