/* SPDX-License-Identifier: Apache-2.0 */
/* INQUIRY, standard data. Source: SPC-4 r37, SPC-5 r22, standard INQUIRY data. */
#include "scsi/alua/alua.h"
#include "scsi/spc/spc.h"
#include "util/bytes.h"
#include <assert.h>

#define INQUIRY_LEN 96

enum {
	EVPD = 0x01,
	RMB = 0x80,
	VERSION_SPC4 = 0x06,
	NORMACA = 0x20,
	HISUP = 0x10,
	FORMAT_2 = 0x02,
	MULTIP = 0x10,
	THIRD_PARTY_COPY = 0x08, /* 3PC */
	PROTECT = 0x01,		 /* FORMAT UNIT may enable protection information */
	CMDQUE = 0x02,
};

/* Version descriptors of architecture, primary commands, device commands; none claims a revision.
 */
enum { SAM_5 = 0x00a0, SPC_4 = 0x0460, SBC_3 = 0x04c0, MMC_6 = 0x04e0 };

uint8_t spc_peripheral(const struct scsi_task *task)
{
	enum { NO_LU = 0x7f, NOT_CONNECTED = 0x20 }; /* qualifiers 011b, 001b */

	if (!task->lu)
		return NO_LU;
	/* SPC-5 r22, unavailable state: the LU is there, but not by this path. */
	return scsi_lu_view(task->lu)->device_type |
	       (scsi_alua_state(task->nexus) == ALUA_UNAVAILABLE ? NOT_CONNECTED : 0);
}

static bool is_cdrom(const struct scsi_task *task)
{
	return task->lu && scsi_lu_view(task->lu)->device_type == DEVICE_CDROM;
}

/* Disks have the rows of scsi/copy/. */
static uint8_t third_party_copy(const struct scsi_task *task)
{
	return task->lu && scsi_lu_view(task->lu)->device_type == DEVICE_DISK ? THIRD_PARTY_COPY
									      : 0;
}

/* Four characters: "1.2" of version 1.2.3, the patch level being no reason to look different. */
static void out_revision(struct bytes_out *out)
{
	char text[5] = "";
	const char *version = DUOTGT_VERSION;
	unsigned dots = 0;

	for (unsigned i = 0; i < 4 && version[i]; i++) {
		if (version[i] == '.' && ++dots == 2)
			break;
		text[i] = version[i];
	}
	out_padded(out, text, 4);
}

static enum scsi_step inquiry_standard(struct scsi_task *task)
{
	uint8_t buf[INQUIRY_LEN];
	struct bytes_out out = bytes_out(buf, sizeof(buf));

	out_u8(&out, spc_peripheral(task));
	out_u8(&out, task->lu && scsi_lu_view(task->lu)->removable ? RMB : 0);
	out_u8(&out, VERSION_SPC4);
	out_u8(&out, (task->nexus->foreign & SCSI_FOREIGN_TASKS ? 0 : NORMACA) | HISUP | FORMAT_2);
	out_u8(&out, INQUIRY_LEN - 5);
	out_u8(&out, (task->lu ? scsi_alua_tpgs(task->nexus) : 0) | third_party_copy(task) |
			     (task->lu && task->lu->pi ? PROTECT : 0));
	out_u8(&out, scsi_alua_n_present(task->nexus->target->alua) > 1 ? MULTIP : 0);
	out_u8(&out, CMDQUE);
	out_bytes(&out, SPC_VENDOR, 8);
	out_bytes(&out, is_cdrom(task) ? SPC_PRODUCT_CDROM : SPC_PRODUCT_DISK, 16);
	out_revision(&out);
	out_zero(&out, 22);
	out_be16(&out, SAM_5);
	if (task->nexus->version) /* the transport's */
		out_be16(&out, task->nexus->version);
	out_be16(&out, SPC_4);
	out_be16(&out, is_cdrom(task) ? MMC_6 : SBC_3);
	out_zero(&out, out.cap - out.len);
	assert(!out.full);
	return scsi_reply(task, buf, out.len);
}

enum scsi_step spc_inquiry(struct scsi_task *task)
{
	if (task->cdb[1] & EVPD)
		return spc_vpd(task);
	if (task->cdb[2])
		return scsi_check_field(task, 2, 0xff);
	return inquiry_standard(task);
}
