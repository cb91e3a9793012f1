/* SPDX-License-Identifier: Apache-2.0 */
/* The order in which a job goes over the medium: pieces of a pass, and passes. */
#include "scsi/sbc/background_priv.h"

#define DISCARD_PIECE (64u << 20)

bool wipe_gives_back(const struct scsi_job *job)
{
	return job->how == WIPE_DISCARD || job->how == WIPE_REKEY;
}

static enum wipe_phase first_phase(const struct scsi_job *job)
{
	switch (job->how) {
	case WIPE_DISCARD:
	case WIPE_REKEY:
		return PHASE_DISCARD;
	case WIPE_ERASE:
		return scsi_backend_has(job->lu->backend, extent) ? PHASE_LOOK : PHASE_WRITE;
	default:
		return PHASE_WRITE;
	}
}

void wipe_start_piece(struct scsi_job *job)
{
	uint64_t left = job->size - job->at;
	uint64_t most = wipe_gives_back(job) ? DISCARD_PIECE : SBC_WIPE_PIECE;

	job->len = left < most ? left : most;
	job->phase = left ? first_phase(job) : PHASE_FLUSH;
}

static void publish_progress(const struct scsi_job *job)
{
	double whole = (double)job->size * job->n_passes;
	double done = (double)job->size * job->pass + (double)job->at;

	atomic_store_explicit(&job->lu->job_progress, (unsigned)(done / whole * 65535),
			      memory_order_relaxed);
}

static void piece_done(struct scsi_job *job)
{
	job->at += job->len;
	publish_progress(job);
	wipe_start_piece(job);
}

static void invert_piece(struct scsi_job *job)
{
	for (uint32_t i = 0; i < SBC_WIPE_PIECE; i++)
		job->piece[i] = (uint8_t)~job->piece[i];
}

static void pass_done(struct scsi_job *job)
{
	if (++job->pass == job->n_passes) {
		job->phase = PHASE_FORGET;
		return;
	}
	if (job->invert)
		invert_piece(job);
	job->at = 0;
	wipe_start_piece(job);
}

/* Blocks of a LU that is not thin stay what they are, which is noise now. */
static void rekeyed(struct scsi_job *job)
{
	if (!scsi_lu_look(job->lu).thin)
		job->at = job->size;
	wipe_start_piece(job);
}

bool wipe_advance(struct scsi_job *job)
{
	switch (job->phase) {
	case PHASE_SETTLE:
		job->phase = PHASE_REKEY;
		return false;
	case PHASE_REKEY:
		rekeyed(job);
		return false;
	case PHASE_LOOK:
		if (!job->stored) {
			piece_done(job);
			return false;
		}
		job->len = job->len < SBC_WIPE_PIECE ? job->len : SBC_WIPE_PIECE;
		job->phase = PHASE_WRITE;
		return false;
	case PHASE_WRITE:
		if (job->how == WIPE_ERASE)
			job->phase = PHASE_DISCARD;
		else
			piece_done(job);
		return false;
	case PHASE_DISCARD:
		piece_done(job);
		return false;
	case PHASE_FLUSH:
		pass_done(job);
		return false;
	case PHASE_FORGET:
		break;
	}
	return true;
}
