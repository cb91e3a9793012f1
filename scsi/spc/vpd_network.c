/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VPD page 85, Management Network Addresses: URIs of the target device's services, where the
 * operator has named some. Source: SPC-5 r22, vital product data parameters.
 */
#include "scsi/spc/vpd.h"

enum {
	OF_TARGET_DEVICE = 0x40, /* ASSOCIATION 10b */
	DESCRIPTOR_HEADER = 4,
	ALIGN = 4,
};

bool vpd_network_offered(const struct scsi_target *target)
{
	for (unsigned i = 0; i < SCSI_N_SERVICES; i++)
		if (target->addresses[i])
			return true;
	return false;
}

size_t vpd_network_room(const struct scsi_task *task)
{
	(void)task;
	return SCSI_N_SERVICES * (DESCRIPTOR_HEADER + SCSI_SERVICE_URI_MAX + ALIGN);
}

/* The address ends with one zero at least, and is a multiple of four long. */
static void out_service(struct bytes_out *out, unsigned type, const char *uri)
{
	size_t len = strlen(uri), room = (len + 1 + ALIGN - 1) / ALIGN * ALIGN;

	out_u8(out, OF_TARGET_DEVICE | type);
	out_zero(out, 1);
	out_be16(out, (uint16_t)room);
	out_bytes(out, uri, len);
	out_zero(out, room - len);
}

void vpd_network(const struct scsi_task *task, struct bytes_out *out)
{
	for (unsigned i = 0; i < SCSI_N_SERVICES; i++)
		if (task->nexus->target->addresses[i])
			out_service(out, i, task->nexus->target->addresses[i]);
}
