/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reservation commands, a row each. SCOPE and TYPE are honoured where they mean something and
 * ignored where the standard says so, never refused as reserved. Source: SPC-5 r22, PERSISTENT
 * RESERVE IN and OUT; SPC-2 r20, RESERVE and RELEASE, of which third parties, extents and long
 * identifications are refused.
 */
#include "scsi/pr/pr_priv.h"

static bool pr_offered(const struct scsi_lu *lu)
{
	return !lu->no_reservations;
}

static bool pr_offered_to(const struct scsi_nexus *nexus)
{
	return !(nexus->foreign & SCSI_FOREIGN_RESERVATIONS);
}

/* clang-format off */
#define PR_IN(name, sa, run)                                                                       \
	{"PERSISTENT RESERVE IN, " name, 0x5e, sa, 10, ACCESS_NONE, scsi_plan_alloc16_at7, run,    \
	 {0x5e, sa, NONE_4, 0, ALL_2, CONTROL}, .resv = RESV_PERSISTENT,       \
	 .paths = PATHS_STANDBY, .offered = pr_offered, .offered_to = pr_offered_to}
#define RESERVE_6_10(name, opcode, len, run, ...)                                                       \
	{name, opcode, NO_SA, len, ACCESS_NONE, NULL, run, {opcode, __VA_ARGS__, CONTROL},         \
	 .resv = RESV_OWN, .offered = pr_offered, .offered_to = pr_offered_to}
#define PR_OUT(name, sa)                                                                           \
	{"PERSISTENT RESERVE OUT, " name, 0x5f, sa, 10, ACCESS_NONE, pr_plan_out, pr_out,          \
	 {0x5f, sa, 0xff, NONE_2, ALL_4, CONTROL}, .resv = RESV_OWN, .paths = PATHS_STANDBY,       \
	 .offered = pr_offered, .offered_to = pr_offered_to}

const struct scsi_op pr_ops[] = {
	RESERVE_6_10("RESERVE (6)", 0x16, 6, pr_reserve, NONE_4),
	RESERVE_6_10("RELEASE (6)", 0x17, 6, pr_release, NONE_4),
	RESERVE_6_10("RESERVE (10)", 0x56, 10, pr_reserve, NONE_8),
	RESERVE_6_10("RELEASE (10)", 0x57, 10, pr_release, NONE_8),
	PR_IN("READ KEYS", 0x00, pr_in_read_keys),
	PR_IN("READ RESERVATION", 0x01, pr_in_read_reservation),
	PR_IN("REPORT CAPABILITIES", 0x02, pr_in_report_capabilities),
	PR_IN("READ FULL STATUS", 0x03, pr_in_read_full_status),
	PR_OUT("REGISTER", 0x00),
	PR_OUT("RESERVE", 0x01),
	PR_OUT("RELEASE", 0x02),
	PR_OUT("CLEAR", 0x03),
	PR_OUT("PREEMPT", 0x04),
	PR_OUT("PREEMPT AND ABORT", 0x05),
	PR_OUT("REGISTER AND IGNORE EXISTING KEY", 0x06),
	PR_OUT("REGISTER AND MOVE", 0x07),
	{0},
};
/* clang-format on */
