/* SPDX-License-Identifier: Apache-2.0 */
/* INQUIRY, standard data. Source: SPC-4 r37, SPC-5 r22, standard INQUIRY data. */
#include "scsi/spc/spc.h"
#include "util/bytes.h"
#include <assert.h>

#define INQUIRY_LEN 96

enum {
	EVPD = 0x01,
	VERSION_SPC4 = 0x06,
	HISUP = 0x10,
	FORMAT_2 = 0x02,
	CMDQUE = 0x02,
};

/* Architecture, protocol, primary commands, device commands; none claims a revision. */
static const uint16_t version_descriptors[] = {
	0x00a0, /* SAM-5 */
	0x0960, /* iSCSI */
	0x0460, /* SPC-4 */
	0x04c0, /* SBC-3 */
};

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
	out_u8(&out, 0); /* not removable */
	out_u8(&out, VERSION_SPC4);
	out_u8(&out, HISUP | FORMAT_2);
	out_u8(&out, INQUIRY_LEN - 5);
	out_zero(&out, 2); /* no ALUA, third-party copy, protection; one port told of at a time */
	out_u8(&out, CMDQUE);
	out_bytes(&out, SPC_VENDOR, 8);
	out_bytes(&out, SPC_PRODUCT, 16);
	out_revision(&out);
	out_zero(&out, 22);
	for (unsigned i = 0; i < sizeof(version_descriptors) / sizeof(uint16_t); i++)
		out_be16(&out, version_descriptors[i]);
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
