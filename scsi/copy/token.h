/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * ROD tokens: names for ranges of a LU, of the type "access upon reference": who uses one gets
 * what the ranges hold then. A token is known to the target it was made by and to no other, and
 * to nobody who was not given it: most of it is random. It is good while the LU is mapped there,
 * until it was not used for as long as its inactivity timeout, or is deleted.
 */
#include "scsi/copy/copy_job.h"

struct rod_range {
	uint64_t lba;
	uint32_t n_blocks;
};

/* Representation of data: what a token stands for. */
struct rod {
	uint8_t lu_uuid[16];
	uint32_t block_size;
	uint64_t n_blocks; /* in all */
	unsigned n_ranges;
	struct rod_range ranges[ROD_MAX_RANGES];
};

/* A token for @rod, ranges of the LU of the task. False: there are too many, or no memory. */
bool token_make(const struct scsi_task *task, const struct rod *rod, uint32_t timeout_s,
		uint8_t *ret_token);

/* What a token of the asking nexus' target stands for. Return: SENSE_NONE, or what is wrong. */
enum scsi_sense_code token_use(const struct scsi_task *task, const uint8_t *token,
			       struct rod *ret_rod);

/* No longer good. No harm when it is unknown. */
void token_delete(const struct scsi_target *target, const uint8_t *token);

/* The first TOKEN_MANAGED_LEN bytes of each token of the LU of the task, as far as there is room.
 * Return: how many there are. */
#define TOKEN_MANAGED_LEN 96
unsigned token_list(const struct scsi_task *task, struct bytes_out *out);

/* The target is being freed. */
void token_forget_target(const struct scsi_target *target);
