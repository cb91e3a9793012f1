/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of asymmetric access, a row each. Source: SPC-5 r22. */
#include "scsi/alua/alua.h"

/* clang-format off */
const struct scsi_op alua_ops[] = {
	{"REPORT TARGET PORT GROUPS", 0xa3, 0x0a, 12, ACCESS_NONE, scsi_plan_alloc32_at6,
	 scsi_alua_report,
	 {0xa3, 0x2a, NONE_4, ALL_4, 0, CONTROL},
	 .resv = RESV_ALLOWED, .paths = PATHS_ALL, .offered_to = scsi_alua_report_offered},
	{"SET TARGET PORT GROUPS", 0xa4, 0x0a, 12, ACCESS_NONE, scsi_alua_plan_set, scsi_alua_set,
	 {0xa4, 0x0a, NONE_4, ALL_4, 0, CONTROL},
	 .resv = RESV_CONFLICT, .paths = PATHS_SETTLED, .offered_to = scsi_alua_set_offered},
	{0},
};
/* clang-format on */
