/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EXTENDED COPY: segments become pieces before the first byte moves. Where the block lengths of
 * source and destination differ, a segment may have bytes left over, which CAT and PAD give to the
 * next one, fill up, or drop; all that is settled here, as byte ranges. Segments in bytes have to
 * be of whole blocks of both: a store moves nothing less.
 * Source: SPC-5 r22, block device to block device segment descriptors, without and with offset,
 * CAT and PAD.
 */
#include "scsi/copy/xcopy.h"
#include "scsi/copy/cscd.h"
#include "scsi/pr/pr.h"
#include "util/bytes.h"
#include <assert.h>
#include <stdlib.h>

enum {
	SEGMENT_LEN = 28, /* of SEGMENT_BLOCK_TO_BLOCK, the shortest */
	SEGMENT_OFFSET_LEN = 32,
	PIECES_PER_SEGMENT = 3, /* what is left over of others, its own, padding */
	LEFT_OVER_MAX = 8,	/* ranges of 512 bytes and more, less than one block together */

	/* byte 1 of a segment descriptor */
	CAT = 0x01,
	DC = 0x02,
};

/* Bytes of a source that have a place in the stream, but none on a destination yet. */
struct range {
	struct scsi_lu *lu;
	uint64_t offset, len;
};

struct plan {
	struct scsi_task *task;
	struct copy_job *job;
	struct cscd cscds[COPY_MAX_CSCDS], self;
	unsigned n_cscds;
	struct range left[LEFT_OVER_MAX];
	unsigned n_left;
	struct scsi_sense sense; /* of the segment that cannot be done */
};

/* One segment descriptor, read. */
struct segment {
	unsigned index;
	bool dc, cat;
	const struct cscd *from, *to;
	bool in_bytes; /* n is of bytes; else of blocks of the one that DC says */
	uint64_t n, from_lba, to_lba;
	uint64_t from_byte, to_byte; /* behind the LBA */
};

/* The segment @index fails; @field is a byte of its descriptor, -1: none in particular. */
static bool refuse(struct plan *plan, unsigned index, enum scsi_sense_code code, int field)
{
	plan->sense = scsi_sense(code);
	plan->sense.has_specific = true;
	plan->sense.specific = index;
	if (field >= 0) {
		plan->sense.has_field = plan->sense.in_segment = true;
		plan->sense.field = (uint16_t)field;
	}
	return false;
}

static const struct cscd *cscd_of(const struct plan *plan, uint16_t id)
{
	if (id == CSCD_ID_SELF)
		return &plan->self;
	return id < plan->n_cscds ? &plan->cscds[id] : NULL;
}

static bool judge_cscd(struct plan *plan, const struct segment *segment, const struct cscd *cscd,
		       int field)
{
	if (!cscd)
		return refuse(plan, segment->index, SENSE_UNREACHABLE_COPY_TARGET, field);
	if (!cscd->lu)
		return refuse(plan, segment->index, cscd->why, field);
	return true;
}

static bool read_segment(struct plan *plan, const uint8_t *p, struct segment *segment)
{
	const struct scsi_nexus *nexus = plan->task->nexus;

	segment->cat = p[1] & CAT;
	segment->dc = p[1] & DC;
	segment->from = cscd_of(plan, be16_get(p + 4));
	segment->to = cscd_of(plan, be16_get(p + 6));
	segment->in_bytes = p[0] == SEGMENT_BLOCK_OFFSET;
	segment->n = segment->in_bytes ? be32_get(p + 8) : be16_get(p + 10);
	segment->from_byte = segment->in_bytes ? be16_get(p + 28) : 0;
	segment->to_byte = segment->in_bytes ? be16_get(p + 30) : 0;
	segment->from_lba = be64_get(p + 12);
	segment->to_lba = be64_get(p + 20);
	if (!judge_cscd(plan, segment, segment->from, 4) ||
	    !judge_cscd(plan, segment, segment->to, 6))
		return false;
	if (scsi_pr_bars(segment->from->lu, nexus, RESV_BY_ACCESS, ACCESS_READ) ||
	    scsi_pr_bars(segment->to->lu, nexus, RESV_BY_ACCESS, ACCESS_WRITE))
		return refuse(plan, segment->index, SENSE_THIRD_PARTY_DEVICE_FAILURE, -1);
	return true;
}

/* Whether @len bytes from @byte behind @lba on are there; @field is that of the LBA. */
static bool judge_range(struct plan *plan, const struct segment *segment, const struct cscd *cscd,
			uint64_t lba, uint64_t byte, uint64_t len, int field)
{
	uint64_t n_blocks = (byte + len) / cscd->block_size;

	if (lba > cscd->n_blocks || n_blocks > cscd->n_blocks - lba)
		return refuse(plan, segment->index, SENSE_COPY_ABORTED, field);
	return true;
}

/* ---- the stream of bytes, from what was left over to what is left over ---- */

static uint64_t left_bytes(const struct plan *plan)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < plan->n_left; i++)
		sum += plan->left[i].len;
	return sum;
}

static void add_range(struct plan *plan, struct scsi_lu *lu, uint64_t offset, uint64_t len)
{
	if (!len)
		return;
	assert(plan->n_left < LEFT_OVER_MAX);
	plan->left[plan->n_left++] = (struct range){lu, offset, len};
}

static uint64_t destination_of(const struct segment *segment)
{
	return segment->to_lba * segment->to->block_size + segment->to_byte;
}

/* @len bytes of the stream go to the destination. */
static void emit(struct plan *plan, const struct segment *segment, uint64_t len)
{
	uint64_t to_offset = destination_of(segment);
	unsigned used = 0;

	while (len) {
		struct range *range = &plan->left[used];
		struct copy_piece piece = {.from = range->lu,
					   .to = segment->to->lu,
					   .from_offset = range->offset,
					   .to_offset = to_offset,
					   .len = range->len < len ? range->len : len,
					   .segment = segment->index};

		assert(used < plan->n_left);
		copy_job_add(plan->job, &piece);
		range->offset += piece.len;
		range->len -= piece.len;
		to_offset += piece.len;
		len -= piece.len;
		used += !range->len;
	}
	plan->n_left -= used;
	memmove(plan->left, plan->left + used, plan->n_left * sizeof(plan->left[0]));
}

static void emit_padding(struct plan *plan, const struct segment *segment, uint64_t done,
			 uint64_t len)
{
	struct copy_piece piece = {.to = segment->to->lu,
				   .to_offset = destination_of(segment) + done,
				   .len = len,
				   .segment = segment->index};

	if (len)
		copy_job_add(plan->job, &piece);
}

/* Bytes that a segment takes from its source and gives to its destination. */
struct measure {
	uint64_t taken, given, padding;
	bool drop; /* what is left over */
};

/* DC 0: so many blocks of the source, and as many of the destination as they fill. */
static bool measure_by_source(struct plan *plan, const struct segment *segment, struct measure *m)
{
	uint32_t block = segment->to->block_size;
	uint64_t over;

	m->taken = segment->n * segment->from->block_size;
	over = (left_bytes(plan) + m->taken) % block;
	m->given = left_bytes(plan) + m->taken - over;
	if (!over || segment->cat)
		return true;
	if (segment->to->pad) {
		m->given += over;
		m->padding = block - over;
		return true;
	}
	m->drop = true;
	return segment->from->pad || refuse(plan, segment->index, SENSE_INEXACT_SEGMENT, -1);
}

/* DC 1: so many blocks of the destination, and as many of the source as it takes to fill them. */
static bool measure_by_destination(struct plan *plan, const struct segment *segment,
				   struct measure *m)
{
	uint32_t block = segment->from->block_size;
	uint64_t left = left_bytes(plan), missing;

	m->given = segment->n * segment->to->block_size;
	missing = m->given > left ? m->given - left : 0;
	m->taken = (missing + block - 1) / block * block;
	if (left + m->taken == m->given || segment->cat)
		return true;
	m->drop = true;
	return segment->from->pad || refuse(plan, segment->index, SENSE_INEXACT_SEGMENT, -1);
}

/* In bytes: nothing is left over, and of others nothing may be. */
static bool measure_by_bytes(struct plan *plan, const struct segment *segment, struct measure *m)
{
	const struct cscd *from = segment->from, *to = segment->to;

	m->taken = m->given = segment->n;
	if (!left_bytes(plan) && !(segment->n % from->block_size) &&
	    !(segment->n % to->block_size) && !(segment->from_byte % from->block_size) &&
	    !(segment->to_byte % to->block_size))
		return true;
	return refuse(plan, segment->index, SENSE_INEXACT_SEGMENT, -1);
}

static bool measure(struct plan *plan, const struct segment *segment, struct measure *m)
{
	if (segment->in_bytes)
		return measure_by_bytes(plan, segment, m);
	return segment->dc ? measure_by_destination(plan, segment, m)
			   : measure_by_source(plan, segment, m);
}

static bool plan_segment(struct plan *plan, const uint8_t *p, unsigned index)
{
	struct segment segment = {.index = index};
	struct measure m = {0};

	if (!read_segment(plan, p, &segment))
		return false;
	if (!measure(plan, &segment, &m))
		return false;
	if (!judge_range(plan, &segment, segment.from, segment.from_lba, segment.from_byte, m.taken,
			 12) ||
	    !judge_range(plan, &segment, segment.to, segment.to_lba, segment.to_byte,
			 m.given + m.padding, 20))
		return false;
	add_range(plan, segment.from->lu,
		  segment.from_lba * segment.from->block_size + segment.from_byte, m.taken);
	emit(plan, &segment, m.given);
	emit_padding(plan, &segment, m.given, m.padding);
	if (m.drop)
		plan->n_left = 0;
	return true;
}

/* ---- the list ---- */

/* The length of a segment descriptor, and the flags of its byte 1; 0 for a type that is none. */
static size_t segment_len(const uint8_t *p, uint8_t *ret_flags)
{
	*ret_flags = p[0] == SEGMENT_BLOCK_TO_BLOCK ? CAT | DC : CAT;
	return p[0] == SEGMENT_BLOCK_TO_BLOCK ? SEGMENT_LEN
	       : p[0] == SEGMENT_BLOCK_OFFSET ? SEGMENT_OFFSET_LEN
					      : 0;
}

/* Codes and lengths of all segments, before any is planned. They begin @at in the list. */
static enum scsi_step judge_segments(struct scsi_task *task, const uint8_t *list, size_t len,
				     unsigned at, unsigned *ret_n)
{
	size_t segment;
	unsigned n = 0;
	uint8_t flags;

	for (size_t i = 0; i < len; i += segment, n++) {
		const uint8_t *p = list + i;

		if (n == COPY_MAX_SEGMENTS)
			return scsi_check(task, SENSE_TOO_MANY_SEGMENTS);
		segment = segment_len(p, &flags);
		if (!segment)
			return scsi_check(task, SENSE_SEGMENT_TYPE);
		if (len - i < segment)
			return scsi_check(task, SENSE_PARAMETER_LIST_LENGTH);
		if (be16_get(p + 2) != segment - 4)
			return scsi_check_param(task, at + (unsigned)i + 2, 0xff);
		if (p[1] & ~flags)
			return scsi_check_param(task, at + (unsigned)i + 1,
						(uint8_t)(p[1] & ~flags));
	}
	*ret_n = n;
	return SCSI_READY;
}

static enum scsi_step judge_lengths(struct scsi_task *task, const struct xcopy_header *header,
				    size_t len)
{
	uint64_t lists_len = (uint64_t)header->cscds_len + header->segments_len;

	if (lists_len > COPY_MAX_LIST)
		return scsi_check(task, SENSE_PARAMETER_LIST_LENGTH);
	if (header->inline_len)
		return scsi_check(task, SENSE_INLINE_DATA_LENGTH);
	if (lists_len > len - header->len)
		return scsi_check(task, SENSE_PARAMETER_LIST_LENGTH);
	return SCSI_READY;
}

/* What comes before a segment that cannot be done is done: then the command ends with its sense. */
static void plan_all(struct plan *plan, const uint8_t *segment, unsigned n)
{
	uint8_t flags;

	for (unsigned i = 0; i < n; segment += segment_len(segment, &flags), i++) {
		if (plan_segment(plan, segment, i))
			continue;
		copy_job_ends_with(plan->job, &plan->sense);
		n = i;
	}
	copy_job_set_segments(plan->job, n);
}

enum scsi_step xcopy_run(struct scsi_task *task, const struct xcopy_header *header,
			 const uint8_t *list, size_t len)
{
	scoped(free) struct plan *plan = malloc(sizeof(*plan));
	unsigned segments_at = header->len + header->cscds_len;
	unsigned n_segments = 0;

	if (!plan)
		return scsi_finish(task, STATUS_BUSY);
	if (judge_lengths(task, header, len) == SCSI_DONE)
		return SCSI_DONE;
	plan->task = task;
	plan->n_left = 0;
	cscd_self(task, &plan->self);
	if (cscd_read(task, list + header->len, header->cscds_len, header->len, plan->cscds,
		      &plan->n_cscds) == SCSI_DONE ||
	    judge_segments(task, list + segments_at, header->segments_len, segments_at,
			   &n_segments) == SCSI_DONE)
		return SCSI_DONE;
	plan->job = copy_job_new(task, header->list_usage != LIST_NONE, header->list_id,
				 header->list_usage == LIST_HOLD, n_segments * PIECES_PER_SEGMENT);
	if (!plan->job)
		return SCSI_DONE;
	plan_all(plan, list + segments_at, n_segments);
	return copy_job_start(plan->job, task, header->immediate);
}

/* More than any list that is right is not even received. */
enum scsi_step copy_plan_extended(struct scsi_task *task)
{
	uint32_t len = be32_get(task->cdb + 10);

	if (len > XCOPY_PARAM_MAX)
		return scsi_check(task, SENSE_PARAMETER_LIST_LENGTH);
	task->need_out = len;
	return SCSI_READY;
}
