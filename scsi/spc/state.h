/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the primary commands keep with a LU beside its view: default mode parameters, identifying
 * information, the timestamp, what the log pages count from. For scsi/ only.
 */
#include "scsi/counters.h"
#include "scsi/lu_priv.h"

#define SPC_LOG_PARAMETERS 16 /* how many parameters of log pages can be reset */

struct spc_ident;

struct spc_state {
	/* Held while state_dir is written, and for changes of what stands there: helpers only. */
	pthread_mutex_t lock;
	struct scsi_mode default_mode;
	_Atomic(const struct spc_ident *) ident; /* retired as views are */

	/* SET TIMESTAMP: what to add to the host's clock, in ms */
	atomic_llong clock_offset_ms;
	atomic_bool clock_set;

	/* under lu->lock */
	uint64_t departed[N_COUNTS];			 /* what nexuses that are gone have done */
	uint64_t reached_ns;				 /* when the first one came; 0: none has */
	struct scsi_totals log_base[SPC_LOG_PARAMETERS]; /* at the reset of a parameter */
};

/**
 * spc_state_new() - defaults, and what was saved
 * lu->state_dir, uuid and view are set; the view takes over the saved mode parameters.
 * Return: 0; -EBADMSG with a text when saved state cannot be understood; -errno with one.
 */
int spc_state_new(struct scsi_lu *lu, char *ret_why, size_t why_len);
void spc_state_free(struct scsi_lu *lu);

#define SPC_MODE_FILE "mode"
#define SPC_IDENT_FILE "ident"

static inline struct scsi_mode scsi_mode_of(const struct scsi_lu_view *view)
{
	return (struct scsi_mode){
		.write_cache = view->write_cache,
		.descriptor_sense = view->descriptor_sense,
		.swp = view->swp,
		.tas = view->tas,
		.rwwp = view->rwwp,
		.separate_sets = view->separate_sets,
		.qerr = view->qerr,
		.space = view->space,
	};
}

static inline void scsi_mode_put(struct scsi_lu_view *view, const struct scsi_mode *mode)
{
	view->write_cache = mode->write_cache;
	view->descriptor_sense = mode->descriptor_sense;
	view->swp = mode->swp;
	view->tas = mode->tas;
	view->rwwp = mode->rwwp;
	view->separate_sets = mode->separate_sets;
	view->qerr = mode->qerr;
	view->space = mode->space;
}

static inline bool scsi_mode_same(const struct scsi_mode *a, const struct scsi_mode *b)
{
	return a->write_cache == b->write_cache && a->descriptor_sense == b->descriptor_sense &&
	       a->swp == b->swp && a->tas == b->tas && a->rwwp == b->rwwp &&
	       a->separate_sets == b->separate_sets && a->qerr == b->qerr &&
	       a->space.quiet == b->space.quiet && a->space.off == b->space.off &&
	       a->space.count == b->space.count;
}

/* "<uuid>.<kind>", the name of one of the LU's files in state_dir. */
struct spc_file_name {
	char text[48];
};
struct spc_file_name spc_file_name(const struct scsi_lu *lu, const char *kind);

/* The parts of it. Each loads what was saved, as spc_state_new() does. */
int spc_mode_load(struct scsi_lu *lu, struct scsi_lu_view *view);
int spc_ident_load(struct scsi_lu *lu);

/* A LU reset: the saved mode parameters, or else the default ones, are the current ones again. */
void spc_mode_reset(struct scsi_lu *lu);
