/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Vital product data: the pages' functions, which the rows of vpd.c point at. */
#include "scsi/lu_priv.h"
#include "util/bytes.h"

/* Builds what follows the PAGE LENGTH field. What does not fit is an error of ours. */
typedef void vpd_build(const struct scsi_task *task, struct bytes_out *out);

/* vpd_id.c */
vpd_build vpd_serial, vpd_identification, vpd_ports;
size_t vpd_ports_room(const struct scsi_task *task); /* bytes that vpd_ports() takes at most */
/* Those of page 83 that name the LU itself, the preferred one first. */
void spc_out_designators(struct bytes_out *out, const struct scsi_lu *lu);

/* vpd_network.c */
vpd_build vpd_network;
size_t vpd_network_room(const struct scsi_task *task);
bool vpd_network_offered(const struct scsi_target *target); /* whether there is an address */

/* vpd_features.c */
vpd_build vpd_extended, vpd_mode_policy;
