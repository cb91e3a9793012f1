/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moving the data of a job, a chunk at a time. The store copies by itself where it can, sharing
 * the space if its file system knows how; holes stay holes on a thin LU; the rest is read and
 * written through one buffer. Each chunk passes the gates of both LUs, as a read of the one
 * and a write to the other, and looks at them anew: an operator may change them meanwhile.
 */
#include "scsi/copy/copy_job_priv.h"
#include "scsi/pi/protect.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* At most, of what the store copies by itself: what it cannot share it does in smaller steps. */
#define OFFLOAD_MAX (UINT64_C(1) << 30)

static void next_chunk(struct copy_job *job);

/* A post between any two chunks, so that a store that is always ready lets others have a turn. */
static void posted(struct engine_post *post)
{
	next_chunk(container_of(post, struct copy_job, post));
}

static struct copy_piece *piece_now(const struct copy_job *job)
{
	return &job->pieces[job->at];
}

/* ---- the end ---- */

/* What an EXTENDED COPY tells of a segment that failed. Source: SPC-5 r22, errors in segments. */
static struct scsi_sense sense_of_segment(unsigned segment)
{
	struct scsi_sense sense = scsi_sense(SENSE_THIRD_PARTY_DEVICE_FAILURE);

	sense.has_specific = true;
	sense.specific = segment;
	return sense;
}

/* @code is what a command to the LU itself would have got; SENSE_NONE: BUSY. */
static void fail(struct copy_job *job, enum scsi_sense_code code, const uint64_t *lba)
{
	bool extended = job->report.sa == COPY_LID1 || job->report.sa == COPY_LID4;
	struct scsi_sense sense = scsi_sense(code);

	if (extended) {
		sense = sense_of_segment(piece_now(job)->segment);
	} else if (code == SENSE_NONE) {
		copy_job_ended(job, COPY_FAILED, STATUS_BUSY, NULL);
		return;
	} else if (lba) {
		sense.has_info = true;
		sense.info = *lba;
	}
	copy_job_ended(job, COPY_FAILED, STATUS_CHECK_CONDITION, &sense);
}

/* A store has failed, at the chunk under way. */
static void fail_io(struct copy_job *job, enum duotgt_io_kind kind, int res)
{
	const struct copy_piece *piece = piece_now(job);
	struct scsi_lu *lu = kind == DUOTGT_IO_READ ? piece->from : piece->to;
	uint64_t offset = kind == DUOTGT_IO_READ ? piece->from_offset : piece->to_offset;
	uint64_t lba = (offset + job->chunk_at) >> scsi_lu_look(lu).block_shift;

	if (res == -ENOMEM || res == -EAGAIN) {
		fail(job, SENSE_NONE, NULL);
	} else if (res == -EILSEQ) {
		struct pi_fault fault = pi_fault_of(&job->io);

		fail(job, pi_sense_of(fault.field), &fault.lba);
	} else if (kind == DUOTGT_IO_READ) {
		fail(job, SENSE_UNRECOVERED_READ_ERROR, &lba);
	} else if (res == -ENOSPC) {
		fail(job, SENSE_SPACE_ALLOCATION_FAILED, NULL);
	} else {
		fail(job, SENSE_WRITE_ERROR, &lba);
	}
}

static void all_done(struct copy_job *job)
{
	atomic_store(&job->segments, job->n_segments);
	if (job->has_end)
		copy_job_ended(job, COPY_FAILED, STATUS_CHECK_CONDITION, &job->end);
	else
		copy_job_ended(job, job->partly ? COPY_DONE_PARTLY : COPY_DONE, STATUS_GOOD, NULL);
}

static bool is_stopped(const struct copy_job *job)
{
	return atomic_load(&job->stop) || (job->task && job->task->aborted);
}

static void stop(struct copy_job *job)
{
	struct scsi_sense sense = scsi_sense(SENSE_COPY_ABORTED);

	copy_job_ended(job, COPY_TERMINATED, STATUS_CHECK_CONDITION, &sense);
}

/* ---- are the LUs as they should be? ---- */

static enum scsi_sense_code why_not_usable(const struct scsi_lu *lu,
					   const struct scsi_lu_view *view, uint64_t offset,
					   uint64_t len)
{
	uint64_t size = view->n_blocks << view->block_shift;

	if (!view->online)
		return SENSE_NOT_READY_OFFLINE;
	if (atomic_load(&lu->ejected))
		return SENSE_MEDIUM_NOT_PRESENT;
	if (atomic_load(&lu->stopped))
		return SENSE_NOT_READY_INITIALIZING_REQUIRED;
	if (atomic_load(&lu->barred)) /* FORMAT UNIT, SANITIZE */
		return atomic_load(&lu->barred);
	if (offset > size || len > size - offset) /* it has shrunk */
		return SENSE_LBA_OUT_OF_RANGE;
	return SENSE_NONE;
}

/* Also keeps what the chunk needs to know of the LU that is written. */
static enum scsi_sense_code why_not(struct copy_job *job)
{
	const struct copy_piece *piece = piece_now(job);
	enum scsi_sense_code code = SENSE_NONE;
	struct scsi_lu_view view;

	if (piece->from) {
		view = scsi_lu_look(piece->from);
		code = why_not_usable(piece->from, &view, piece->from_offset, piece->len);
	}
	view = scsi_lu_look(piece->to);
	job->to_is_thin = view.thin;
	if (code == SENSE_NONE)
		code = why_not_usable(piece->to, &view, piece->to_offset, piece->len);
	if (code == SENSE_NONE && (view.read_only || view.swp))
		code = SENSE_WRITE_PROTECTED;
	if (code == SENSE_NONE && atomic_load(&piece->to->flush_failed))
		code = SENSE_WRITE_ERROR;
	return code;
}

/* ---- one request to a store ---- */

static void io_send(struct copy_job *job, struct scsi_lu *lu, enum duotgt_io_kind kind,
		    uint64_t offset, void (*done)(struct duotgt_io *io, int res))
{
	job->io.done = done;
	job->io.kind = kind;
	job->io.flags = 0;
	job->iov = (struct iovec){job->buf, job->chunk};
	job->io.iov = &job->iov;
	job->io.n_iov = kind == DUOTGT_IO_READ || kind == DUOTGT_IO_WRITE;
	job->io.offset = offset;
	job->io.len = kind == DUOTGT_IO_FLUSH ? 0 : job->chunk;
	atomic_fetch_add(&job->operations, 1);
	lu->backend->submit(lu->store, job->engine, &job->io);
}

static uint64_t source_at(const struct copy_job *job)
{
	return piece_now(job)->from_offset + job->chunk_at;
}

static uint64_t destination_at(const struct copy_job *job)
{
	return piece_now(job)->to_offset + job->chunk_at;
}

static void leave_gates(struct copy_job *job)
{
	while (job->n_inside) {
		struct copy_pass *in = &job->passes[--job->n_inside];

		scsi_gate_leave(&in->lu->gate, &in->pass);
	}
}

/* The chunk is on its medium: out of the gates, and on. */
static void chunk_done(struct copy_job *job)
{
	leave_gates(job);
	job->done += job->chunk;
	job->stored -= job->stored < job->chunk ? job->stored : job->chunk;
	job->wrote = true;
	atomic_fetch_add(&job->bytes, job->chunk);
	engine_post(job->engine, &job->post);
}

static void chunk_failed(struct copy_job *job, enum duotgt_io_kind kind, int res)
{
	leave_gates(job);
	fail_io(job, kind, res);
}

static void written(struct duotgt_io *io, int res)
{
	struct copy_job *job = container_of(io, struct copy_job, io);

	if (res < 0)
		chunk_failed(job, DUOTGT_IO_WRITE, res);
	else
		chunk_done(job);
}

static void read_done(struct duotgt_io *io, int res)
{
	struct copy_job *job = container_of(io, struct copy_job, io);

	if (res < 0)
		chunk_failed(job, DUOTGT_IO_READ, res);
	else
		io_send(job, piece_now(job)->to, DUOTGT_IO_WRITE, destination_at(job), written);
}

static bool has_buffer(struct copy_job *job)
{
	void *buf = job->buf;

	/* Aligned, so that a store may go around the page cache. */
	if (!buf && posix_memalign(&buf, 4096, COPY_BUF_LEN) == 0)
		job->buf = buf;
	return job->buf;
}

static void limit_to_buffer(struct copy_job *job)
{
	uint64_t left = piece_now(job)->len - job->done;

	if (job->chunk > COPY_BUF_LEN)
		job->chunk = COPY_BUF_LEN;
	if (job->backward)
		job->chunk_at = left - job->chunk;
}

static void copy_by_hand(struct copy_job *job)
{
	limit_to_buffer(job);
	if (!has_buffer(job))
		chunk_failed(job, DUOTGT_IO_READ, -ENOMEM);
	else
		io_send(job, piece_now(job)->from, DUOTGT_IO_READ, source_at(job), read_done);
}

/* Gives the space back only where the LU promises no more than that it reads as zeroes. */
static void write_zeroes(struct copy_job *job)
{
	struct scsi_lu *to = piece_now(job)->to;

	if (job->to_is_thin) {
		io_send(job, to, DUOTGT_IO_DISCARD, destination_at(job), written);
		return;
	}
	limit_to_buffer(job);
	if (!has_buffer(job)) {
		chunk_failed(job, DUOTGT_IO_WRITE, -ENOMEM);
		return;
	}
	memset(job->buf, 0, job->chunk);
	io_send(job, to, DUOTGT_IO_WRITE, destination_at(job), written);
}

/* ---- what the store does by itself, on a helper thread ---- */

enum offload { OFFLOAD_COPIED = 1, OFFLOAD_HOLE, OFFLOAD_BY_HAND };

static bool keeps_holes(const struct copy_job *job)
{
	return job->to_is_thin && scsi_backend_has(piece_now(job)->from->backend, extent);
}

static bool copies_by_itself(const struct copy_piece *piece)
{
	return piece->from->backend == piece->to->backend &&
	       scsi_backend_has(piece->from->backend, copy);
}

/* Of the chunk, its first part that is alike. Return: whether it is a hole. */
static bool is_hole(struct copy_job *job)
{
	struct scsi_lu *from = piece_now(job)->from;
	uint64_t n = 0;
	bool stored = true;

	if (from->backend->extent(from->store, source_at(job), job->chunk, &n, &stored) < 0 || !n)
		return false; /* not known: then it is copied */
	if (n < job->chunk)
		job->chunk = n;
	if (stored)
		job->stored = n;
	return !stored;
}

static int offload_run(void *arg)
{
	struct copy_job *job = arg;
	const struct copy_piece *piece = piece_now(job);
	uint64_t n = 0;
	int r;

	if (!job->stored && !job->backward && keeps_holes(job) && is_hole(job))
		return OFFLOAD_HOLE;
	if (job->by_hand)
		return OFFLOAD_BY_HAND;
	r = piece->from->backend->copy(piece->from->store, source_at(job), piece->to->store,
				       destination_at(job), job->chunk, &n);
	if (r == -EOPNOTSUPP || r == -EXDEV)
		return OFFLOAD_BY_HAND;
	if (r < 0)
		return r;
	if (!n || n > job->chunk)
		return -EIO;
	job->chunk = n;
	return OFFLOAD_COPIED;
}

static void offload_done(struct engine_op *op, int res)
{
	struct copy_job *job = container_of(op, struct copy_job, op);

	switch (res) {
	case OFFLOAD_COPIED:
		atomic_fetch_add(&job->operations, 1);
		chunk_done(job);
		break;
	case OFFLOAD_HOLE:
		write_zeroes(job);
		break;
	case OFFLOAD_BY_HAND:
		job->by_hand = true;
		copy_by_hand(job);
		break;
	default: /* which of the two has failed, only reading and writing tells */
		if (res == -ENOSPC) {
			chunk_failed(job, DUOTGT_IO_WRITE, res);
			break;
		}
		job->by_hand = true;
		copy_by_hand(job);
	}
}

/* Inside the gates. */
static void chunk_run(struct copy_job *job)
{
	const struct copy_piece *piece = piece_now(job);

	if (job->stored && job->chunk > job->stored)
		job->chunk = job->stored;
	if (!piece->from) {
		write_zeroes(job);
	} else if (job->by_hand && (job->stored || job->backward || !keeps_holes(job))) {
		copy_by_hand(job);
	} else {
		job->op.done = offload_done;
		engine_work(job->engine, &job->op, offload_run, job);
	}
}

/* ---- from chunk to chunk, from piece to piece ---- */

/* It may have waited for long. */
static void all_inside(struct copy_job *job)
{
	enum scsi_sense_code code = is_stopped(job) ? SENSE_NONE : why_not(job);

	if (is_stopped(job)) {
		leave_gates(job);
		stop(job);
	} else if (code != SENSE_NONE) {
		leave_gates(job);
		fail(job, code, NULL);
	} else {
		chunk_run(job);
	}
}

static void admitted(struct scsi_gate_pass *pass);

/*
 * Through the gates that are still ahead. All copies go through two of them in the same order, and
 * nobody else is in one while he waits for another: so none waits for ever.
 */
static void go_in(struct copy_job *job)
{
	while (job->n_inside < job->n_passes) {
		struct copy_pass *in = &job->passes[job->n_inside];

		in->pass = (struct scsi_gate_pass){.engine = job->engine, .admitted = admitted};
		if (!scsi_gate_enter(&in->lu->gate, &in->pass, GATE_SHARED))
			return;
		job->n_inside++;
	}
	all_inside(job);
}

static void admitted(struct scsi_gate_pass *pass)
{
	struct copy_job *job = container_of(pass, struct copy_pass, pass)->job;

	job->n_inside++;
	go_in(job);
}

static void enter_gates(struct copy_job *job)
{
	const struct copy_piece *piece = piece_now(job);
	struct scsi_lu *low = piece->to, *high = piece->from;

	if (high && (uintptr_t)low > (uintptr_t)high) {
		low = piece->from;
		high = piece->to;
	}
	job->passes[0] = (struct copy_pass){.job = job, .lu = low};
	job->passes[1] = (struct copy_pass){.job = job, .lu = high};
	job->n_passes = high && high != low ? 2 : 1;
	go_in(job);
}

/* An overlap whose source would be overwritten before it is read, from the front. */
static bool overlaps_ahead(const struct copy_piece *piece)
{
	return piece->from == piece->to && piece->from_offset < piece->to_offset &&
	       piece->to_offset - piece->from_offset < piece->len;
}

static bool overlaps(const struct copy_piece *piece)
{
	uint64_t a = piece->from_offset, b = piece->to_offset;

	return piece->from == piece->to && (a < b ? b - a : a - b) < piece->len;
}

static void begin_piece(struct copy_job *job)
{
	const struct copy_piece *piece = piece_now(job);

	job->done = job->stored = 0;
	atomic_store(&job->segments, piece->segment);
	if (!piece->from)
		return;
	job->backward = overlaps_ahead(piece);
	job->by_hand = overlaps(piece) || !copies_by_itself(piece);
	if (piece->from == piece->to && piece->from_offset == piece->to_offset) {
		atomic_fetch_add(&job->bytes, piece->len);
		job->done = piece->len; /* onto itself */
	}
}

static void flush_settled(struct scsi_stable_op *op)
{
	struct copy_job *job = container_of(op, struct copy_job, stable);

	job->wrote = false;
	if (!atomic_load(&piece_now(job)->to->flush_failed)) {
		next_chunk(job);
		return;
	}
	job->chunk_at = 0;
	fail_io(job, DUOTGT_IO_FLUSH, -EIO);
}

static void flushed(struct duotgt_io *io, int res)
{
	struct copy_job *job = container_of(io, struct copy_job, io);
	struct scsi_lu *to = piece_now(job)->to;

	if (res < 0)
		atomic_store(&to->flush_failed, true);
	if (scsi_stable_end(&to->stable, &job->stable, res < 0))
		flush_settled(&job->stable);
}

/* With WCE 0, what is said to be copied is on the medium: when the last piece in a row to a LU is
 * done, the LU is flushed. Return: whether that is under way. */
static bool flush_begins(struct copy_job *job)
{
	const struct copy_piece *piece = piece_now(job);
	bool last = job->at + 1 == job->n_pieces || piece[1].to != piece->to;

	if (!last || !job->wrote)
		return false;
	if (scsi_lu_look(piece->to).write_cache || !piece->to->info.volatile_cache) {
		job->wrote = false;
		return false;
	}
	job->stable.engine = job->engine;
	job->stable.settled = flush_settled;
	scsi_stable_begin(&piece->to->stable, &job->stable);
	io_send(job, piece->to, DUOTGT_IO_FLUSH, 0, flushed);
	return true;
}

/* Goes to the piece that has bytes left. Return: false: none has, or a flush comes first. */
static bool find_work(struct copy_job *job)
{
	while (job->at < job->n_pieces && job->done == piece_now(job)->len) {
		if (flush_begins(job))
			return false;
		job->at++;
		if (job->at < job->n_pieces)
			begin_piece(job);
	}
	if (job->at < job->n_pieces)
		return true;
	all_done(job);
	return false;
}

static void next_chunk(struct copy_job *job)
{
	if (is_stopped(job)) {
		stop(job);
		return;
	}
	if (!find_work(job))
		return;
	job->chunk_at = job->backward ? 0 : job->done;
	job->chunk = piece_now(job)->len - job->done;
	if (job->chunk > OFFLOAD_MAX)
		job->chunk = OFFLOAD_MAX;
	enter_gates(job);
}

void copy_run(struct copy_job *job)
{
	job->post.run = posted;
	if (job->n_pieces)
		begin_piece(job);
	next_chunk(job);
}
