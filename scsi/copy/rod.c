/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POPULATE TOKEN, WRITE USING TOKEN, and what is received of them. Ranges on both sides are
 * walked together, so that a job's pieces are as many as there are ranges, and no more.
 * Source: SBC-4 r22, POPULATE TOKEN, WRITE USING TOKEN; SPC-5 r22, RECEIVE ROD TOKEN INFORMATION,
 * REPORT ALL ROD TOKENS.
 */
#include "scsi/copy/cscd.h"
#include "scsi/copy/receive.h"
#include "scsi/copy/token.h"
#include "scsi/pr/pr.h"
#include "util/bytes.h"
#include <assert.h>
#include <stdlib.h>

enum {
	RANGE_LEN = 16,
	LIST_MAX = 4096, /* more than either list with as many ranges as are taken */

	/* byte 2 of both parameter lists */
	IMMED = 0x01,
	RTV = 0x02,	/* POPULATE TOKEN: ROD TYPE is valid */
	DEL_TKN = 0x02, /* WRITE USING TOKEN */

	/* POPULATE TOKEN */
	AT_TIMEOUT = 4,
	AT_ROD_TYPE = 8,
	POPULATE_HEADER = 16,

	/* WRITE USING TOKEN */
	AT_OFFSET = 8,
	AT_TOKEN = 16,
	WRITE_HEADER = 536,
};

static uint32_t list_id_out(const struct scsi_task *task)
{
	return be32_get(task->cdb + 6);
}

enum scsi_step copy_plan_rod(struct scsi_task *task)
{
	uint32_t len = be32_get(task->cdb + 10);

	if (len > LIST_MAX)
		return scsi_check(task, SENSE_PARAMETER_LIST_LENGTH);
	task->need_out = len;
	return SCSI_READY;
}

/* ---- ranges ---- */

static bool ranges_overlap(const struct rod_range *a, const struct rod_range *b)
{
	return a->lba < b->lba + b->n_blocks && b->lba < a->lba + a->n_blocks;
}

/* The range that was read last, against the LU and those before it. It begins @at in the list. */
static enum scsi_step judge_range(struct scsi_task *task, const struct rod *rod, unsigned at)
{
	const struct rod_range *range = &rod->ranges[rod->n_ranges - 1];
	uint64_t end = scsi_lu_view(task->lu)->n_blocks;

	if (range->lba > end || (range->lba == end && range->n_blocks))
		return scsi_check_info(task, SENSE_LBA_OUT_OF_RANGE, range->lba);
	if (range->n_blocks > end - range->lba)
		return scsi_check_info(task, SENSE_LBA_OUT_OF_RANGE, end);
	if (rod->n_blocks > ROD_MAX_BYTES / rod->block_size)
		return scsi_check_param(task, at + 8, 0xff);
	for (unsigned i = 0; i + 1 < rod->n_ranges; i++)
		if (ranges_overlap(&rod->ranges[i], range))
			return scsi_check_param(task, at, 0xff);
	return SCSI_READY;
}

static enum scsi_step read_ranges(struct scsi_task *task, struct bytes_in *in, unsigned n,
				  unsigned at, struct rod *rod)
{
	for (unsigned i = 0; i < n; i++) {
		struct rod_range *range = &rod->ranges[rod->n_ranges++];

		range->lba = in_be64(in);
		range->n_blocks = in_be32(in);
		in_skip(in, 4);
		rod->n_blocks += range->n_blocks;
		if (judge_range(task, rod, at + i * RANGE_LEN) == SCSI_DONE)
			return SCSI_DONE;
	}
	return SCSI_READY;
}

/*
 * The lengths that either list has in two places, and its ranges: after a header of @header bytes,
 * whose last two say how many bytes of ranges follow.
 */
static enum scsi_step read_list(struct scsi_task *task, const uint8_t *list, size_t len,
				unsigned header, struct rod *rod)
{
	struct bytes_in in = bytes_in(list, len);
	uint16_t data_len = in_be16(&in), ranges_len;

	memset(rod, 0, sizeof(*rod));
	memcpy(rod->lu_uuid, task->lu->uuid, sizeof(rod->lu_uuid));
	rod->block_size = scsi_lu_view(task->lu)->block_size;
	in_skip(&in, header - 4);
	ranges_len = in_be16(&in);
	if (in.bad || data_len > len - 2)
		return scsi_check(task, SENSE_PARAMETER_LIST_LENGTH);
	if (data_len < header - 2 + RANGE_LEN)
		return scsi_check_param(task, 0, 0xff);
	if (ranges_len < RANGE_LEN || ranges_len % RANGE_LEN || ranges_len > data_len + 2 - header)
		return scsi_check_param(task, header - 2, 0xff);
	if (ranges_len / RANGE_LEN > ROD_MAX_RANGES)
		return scsi_check(task, SENSE_TOO_MANY_SEGMENTS);
	return read_ranges(task, &in, ranges_len / RANGE_LEN, header, rod);
}

/* ---- POPULATE TOKEN ---- */

static enum scsi_step populate(struct scsi_task *task, const uint8_t *list, const struct rod *rod)
{
	uint32_t timeout_s = be32_get(list + AT_TIMEOUT);
	scoped(copy_job_drop) struct copy_job *job = NULL;
	uint8_t token[ROD_TOKEN_LEN];

	if (timeout_s > ROD_MAX_TIMEOUT_S)
		return scsi_check_param(task, AT_TIMEOUT, 0xff);
	if ((list[2] & RTV) && be32_get(list + AT_ROD_TYPE) != ROD_ACCESS_ON_REFERENCE)
		return scsi_check_param(task, AT_ROD_TYPE, 0xff);
	job = copy_job_new(task, true, list_id_out(task), true, 0);
	if (!job)
		return SCSI_DONE;
	if (!token_make(task, rod, timeout_s ? timeout_s : ROD_DEFAULT_TIMEOUT_S, token))
		return scsi_check(task, SENSE_ROD_TOKEN_RESOURCES);
	copy_job_set_token(job, token);
	copy_job_set_segments(job, rod->n_ranges);
	copy_job_count(job, rod->n_blocks * rod->block_size);
	return copy_job_start(steal(job), task, list[2] & IMMED);
}

enum scsi_step rod_populate(struct scsi_task *task)
{
	uint8_t list[LIST_MAX];
	size_t len = scsi_param_copy(task, list, sizeof(list));
	struct rod rod;

	if (!task->need_out)
		return scsi_good(task); /* no list is no error, and no token */
	if (read_list(task, list, len, POPULATE_HEADER, &rod) == SCSI_DONE)
		return SCSI_DONE;
	return populate(task, list, &rod);
}

/* ---- WRITE USING TOKEN ---- */

/* Where data comes from, walked block by block through its ranges. */
struct source {
	struct scsi_lu *lu; /* NULL: zeroes, as many as are asked for */
	struct rod rod;
	unsigned range;	     /* the one that is next */
	uint64_t into, left; /* blocks of it that are done; blocks that are left in all */
};

static enum scsi_step find_source(struct scsi_task *task, const uint8_t *token,
				  struct source *source)
{
	uint32_t type = be32_get(token);
	enum scsi_sense_code code;

	source->lu = NULL;
	source->left = UINT64_MAX;
	if (type != ROD_BLOCK_ZERO && type != ROD_ACCESS_ON_REFERENCE)
		return scsi_check(task, SENSE_TOKEN_TYPE);
	if (be16_get(token + 6) != ROD_TOKEN_LEN - 8)
		return scsi_check(task, SENSE_TOKEN_LENGTH);
	if (type == ROD_BLOCK_ZERO)
		return SCSI_READY;
	code = token_use(task, token, &source->rod);
	if (code != SENSE_NONE)
		return scsi_check(task, code);
	source->lu = cscd_find_uuid(task, source->rod.lu_uuid);
	/* Not there any more, not for this initiator, or not in these blocks. */
	if (!source->lu || scsi_lu_look(source->lu).block_size != source->rod.block_size ||
	    source->rod.block_size != scsi_lu_view(task->lu)->block_size ||
	    scsi_pr_bars(source->lu, task->nexus, RESV_BY_ACCESS, ACCESS_READ))
		return scsi_check(task, SENSE_INVALID_TOKEN);
	source->left = source->rod.n_blocks;
	source->range = 0;
	source->into = 0;
	return SCSI_READY;
}

/* Goes @n blocks on, which are there. */
static void advance(struct source *source, uint64_t n)
{
	source->left -= n;
	while (source->lu && n) {
		uint64_t rest = source->rod.ranges[source->range].n_blocks - source->into;
		uint64_t step = n < rest ? n : rest;

		source->into += step;
		n -= step;
		if (step == rest) {
			source->range++;
			source->into = 0;
		}
	}
}

/* OFFSET INTO ROD is for tokens that stand for something. */
static enum scsi_step skip_offset(struct scsi_task *task, uint64_t offset, struct source *source)
{
	if (!source->lu)
		return SCSI_READY;
	if (offset > source->left)
		return scsi_check_param(task, AT_OFFSET, 0xff);
	advance(source, offset);
	return SCSI_READY;
}

/* The next piece of at most @n blocks, to @lba. Return: its blocks. */
static uint64_t add_piece(struct copy_job *job, struct scsi_lu *to, uint64_t lba, uint64_t n,
			  unsigned segment, struct source *source)
{
	unsigned shift = scsi_lu_view(to)->block_shift;
	struct copy_piece piece = {.to = to, .to_offset = lba << shift, .segment = segment};

	if (source->lu) {
		const struct rod_range *range;

		while (!source->rod.ranges[source->range].n_blocks)
			source->range++; /* a range of no blocks; some follow, as left tells */
		range = &source->rod.ranges[source->range];
		if (n > range->n_blocks - source->into)
			n = range->n_blocks - source->into;
		piece.from = source->lu;
		piece.from_offset = (range->lba + source->into) << shift;
	}
	piece.len = n << shift;
	copy_job_add(job, &piece);
	advance(source, n);
	return n;
}

static void add_pieces(struct copy_job *job, struct scsi_task *task, const struct rod *to,
		       struct source *source)
{
	for (unsigned i = 0; i < to->n_ranges; i++) {
		uint64_t done = 0, n = to->ranges[i].n_blocks;

		while (done < n && source->left) {
			uint64_t most = n - done < source->left ? n - done : source->left;

			done += add_piece(job, task->lu, to->ranges[i].lba + done, most, i, source);
		}
		if (done < n)
			copy_job_ends_partly(job);
	}
	copy_job_set_segments(job, to->n_ranges);
}

static enum scsi_step write_using(struct scsi_task *task, const uint8_t *list, const struct rod *to)
{
	scoped(free) struct source *source = malloc(sizeof(*source));
	struct copy_job *job;

	if (!source)
		return scsi_finish(task, STATUS_BUSY);
	if (find_source(task, list + AT_TOKEN, source) == SCSI_DONE ||
	    skip_offset(task, be64_get(list + AT_OFFSET), source) == SCSI_DONE)
		return SCSI_DONE;
	job = copy_job_new(task, true, list_id_out(task), true, 2 * ROD_MAX_RANGES);
	if (!job)
		return SCSI_DONE;
	if (source->lu && (list[2] & DEL_TKN))
		copy_job_uses_up(job, list + AT_TOKEN);
	add_pieces(job, task, to, source);
	return copy_job_start(job, task, list[2] & IMMED);
}

enum scsi_step rod_write(struct scsi_task *task)
{
	uint8_t list[LIST_MAX];
	size_t len = scsi_param_copy(task, list, sizeof(list));
	struct rod to;

	if (!task->need_out)
		return scsi_good(task);
	if (read_list(task, list, len, WRITE_HEADER, &to) == SCSI_DONE)
		return SCSI_DONE;
	return write_using(task, list, &to);
}

/* ---- what is received ---- */

enum scsi_step rod_receive_information(struct scsi_task *task)
{
	uint8_t buf[RECEIVE_STATUS_MAX + 4 + 2 + ROD_TOKEN_LEN];
	struct bytes_out out = bytes_out(buf, sizeof(buf));
	struct copy_report report;
	bool gives;

	if (!copy_job_report(task, be32_get(task->cdb + 2), &report))
		return scsi_check_field(task, 2, 0);
	receive_out_status(&out, &report);
	gives = report.has_token && report.state == COPY_DONE;
	out_be32(&out, gives ? 2 + ROD_TOKEN_LEN : 0); /* ROD TOKEN DESCRIPTORS LENGTH */
	if (gives) {
		out_zero(&out, 2);
		out_bytes(&out, report.token, ROD_TOKEN_LEN);
	}
	assert(!out.full);
	return receive_reply(task, &out);
}

enum scsi_step rod_report_all(struct scsi_task *task)
{
	enum { HEADER = 8, ROOM = 256 };
	scoped(free) uint8_t *buf = malloc(HEADER + ROOM * TOKEN_MANAGED_LEN);
	struct bytes_out out;

	if (!buf)
		return scsi_finish(task, STATUS_BUSY);
	out = bytes_out(buf, HEADER + ROOM * TOKEN_MANAGED_LEN);
	out_zero(&out, HEADER);
	token_list(task, &out);
	return receive_reply(task, &out);
}
