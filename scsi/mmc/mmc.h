/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * CD-ROM and DVD-ROM: what the rows of mmc_ops.c point at, and what they share. The disc is one
 * finalized data track of 2048-byte blocks from LBA 0; by its size it is a CD or a DVD.
 * Source: MMC-6 r02g.
 */
#include "scsi/lu_priv.h"

struct mode_source;

enum mmc_profile { PROFILE_NONE = 0x0000, PROFILE_CD_ROM = 0x0008, PROFILE_DVD_ROM = 0x0010 };

#define MMC_CD_BLOCKS 450000 /* of 100 minutes: the longest CD that is made */

/* What is in the drive. */
static inline enum mmc_profile mmc_profile(const struct scsi_lu *lu)
{
	if (atomic_load_explicit(&((struct scsi_lu *)lu)->ejected, memory_order_relaxed))
		return PROFILE_NONE;
	return scsi_lu_view(lu)->n_blocks > MMC_CD_BLOCKS ? PROFILE_DVD_ROM : PROFILE_CD_ROM;
}

/* disc.c: what is on the disc */
enum scsi_step mmc_read_toc(struct scsi_task *task);
enum scsi_step mmc_read_disc_information(struct scsi_task *task);
enum scsi_step mmc_read_track_information(struct scsi_task *task);

/* dvd.c */
enum scsi_step mmc_plan_disc_structure(struct scsi_task *task);
enum scsi_step mmc_read_disc_structure(struct scsi_task *task);

/* drive.c: what the drive can do, and what has happened to it */
enum scsi_step mmc_plan_mechanism_status(struct scsi_task *task);
enum scsi_step mmc_get_configuration(struct scsi_task *task);
enum scsi_step mmc_get_event_status(struct scsi_task *task);
enum scsi_step mmc_mechanism_status(struct scsi_task *task);

/* Mode page 2A, MM capabilities and mechanical status: as mode_page.build has it. */
#define MMC_CAPABILITIES_LEN 0x18
void mmc_page_capabilities(const struct mode_source *from, uint8_t *body);
