/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of CD-ROM and DVD-ROM drives, a row each, by operation code. Reading blocks and
 * their number is what a disk does, too. Source: MMC-6 r02g.
 */
#include "scsi/mmc/mmc.h"
#include "scsi/sbc/sbc.h"

enum {
	DPO = 0x10,
	FUA = 0x08,
	MSF = 0x02,
};

/* clang-format off */
const struct scsi_op mmc_ops[] = {
	{"READ CAPACITY (10)", 0x25, NO_SA, 10, ACCESS_READY, sbc_plan_capacity10,
	 sbc_read_capacity10,
	 {0x25, NONE_8, CONTROL}, .resv = RESV_ALLOWED},
	{"READ (10)", 0x28, NO_SA, 10, ACCESS_READ, scsi_plan_read, sbc_read,
	 {0x28, DPO | FUA, ALL_4, 0, ALL_2, CONTROL}},
	{"READ TOC/PMA/ATIP", 0x43, NO_SA, 10, ACCESS_READY, scsi_plan_alloc16_at7, mmc_read_toc,
	 {0x43, MSF, 0x0f, NONE_3, 0xff, ALL_2, CONTROL}},
	{"GET CONFIGURATION", 0x46, NO_SA, 10, ACCESS_ANY, scsi_plan_alloc16_at7,
	 mmc_get_configuration,
	 {0x46, 0x03, ALL_2, NONE_3, ALL_2, CONTROL}, .resv = RESV_ALLOWED},
	{"GET EVENT STATUS NOTIFICATION", 0x4a, NO_SA, 10, ACCESS_ANY, scsi_plan_alloc16_at7,
	 mmc_get_event_status,
	 {0x4a, 0x01, NONE_2, 0xff, NONE_2, ALL_2, CONTROL}, .resv = RESV_ALLOWED},
	{"READ DISC INFORMATION", 0x51, NO_SA, 10, ACCESS_READY, scsi_plan_alloc16_at7,
	 mmc_read_disc_information,
	 {0x51, 0x07, NONE_4, 0, ALL_2, CONTROL}},
	{"READ TRACK INFORMATION", 0x52, NO_SA, 10, ACCESS_READY, scsi_plan_alloc16_at7,
	 mmc_read_track_information,
	 {0x52, 0x03, ALL_4, 0, ALL_2, CONTROL}},
	{"READ (12)", 0xa8, NO_SA, 12, ACCESS_READ, scsi_plan_read, sbc_read,
	 {0xa8, DPO | FUA, ALL_4, ALL_4, 0, CONTROL}},
	{"READ DISC STRUCTURE", 0xad, NO_SA, 12, ACCESS_READY, mmc_plan_disc_structure,
	 mmc_read_disc_structure,
	 {0xad, 0x0f, ALL_4, 0xff, 0xff, ALL_2, 0xc0, CONTROL}},
	{"MECHANISM STATUS", 0xbd, NO_SA, 12, ACCESS_NONE, mmc_plan_mechanism_status,
	 mmc_mechanism_status,
	 {0xbd, NONE_4, NONE_3, ALL_2, 0, CONTROL}},
	{0},
};
/* clang-format on */
