/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TransportIDs of iSCSI initiators: a header of four bytes and a name, ended and padded by NULs.
 * Format 00b names a device, format 01b one of its ports by its ISID. Source: SPC-5 r22,
 * TransportID for initiator ports using SCSI over iSCSI; RFC 7143 4.2.7.
 */
#include "scsi/pr/pr_priv.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	PROTOCOL_MASK = 0x0f,
	PROTOCOL_ISCSI = 0x05,
	FORMAT_SHIFT = 6,
	FORMAT_DEVICE = 0,
	FORMAT_PORT = 1,
	HEADER_LEN = 4,
	NAME_LEN_MIN = 20, /* ADDITIONAL LENGTH is at least that, and a multiple of 4 */
	ISCSI_NAME_MAX = 223,
	ISID_DIGITS = 12,
};

#define SEPARATOR ",i,0x"
#define SEPARATOR_LEN (sizeof(SEPARATOR) - 1)

/* Printable, without the comma that begins what is no part of the name. */
static bool name_is_sound(const char *name, size_t len)
{
	if (!len || len > ISCSI_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (name[i] == ',' || (unsigned char)name[i] <= ' ' || name[i] == 0x7f)
			return false;
	return true;
}

/*
 * "name,i,0xISID" as nexuses are called: ISID with twelve digits in lower case.
 * Return: false when it is nothing of the kind.
 */
static bool port_name(const char *text, char *ret_name)
{
	const char *comma = strchr(text, ',');
	const char *digits;
	unsigned long long isid;
	size_t n_digits;

	if (!comma || !name_is_sound(text, (size_t)(comma - text)) ||
	    strncasecmp(comma, SEPARATOR, SEPARATOR_LEN) != 0)
		return false;
	digits = comma + SEPARATOR_LEN;
	n_digits = strlen(digits);
	if (!n_digits || n_digits > ISID_DIGITS)
		return false;
	for (size_t i = 0; i < n_digits; i++)
		if (!isxdigit((unsigned char)digits[i]))
			return false;
	isid = strtoull(digits, NULL, 16);
	snprintf(ret_name, PR_INITIATOR_MAX, "%.*s" SEPARATOR "%012llx", (int)(comma - text), text,
		 isid);
	return true;
}

int pr_transport_id_read(struct bytes_in *in, struct pr_transport_id *ret_id)
{
	uint8_t first = in_u8(in);
	char text[PR_INITIATOR_MAX + 1];
	const uint8_t *name;
	uint16_t len;

	in_skip(in, 1);
	len = in_be16(in);
	if (in->bad || (first & PROTOCOL_MASK) != PROTOCOL_ISCSI ||
	    (first >> FORMAT_SHIFT != FORMAT_DEVICE && first >> FORMAT_SHIFT != FORMAT_PORT))
		return 0;
	name = in_bytes(in, len);
	if (!name || len % 4 || len < NAME_LEN_MIN || len > PR_INITIATOR_MAX)
		return 2;
	memcpy(text, name, len);
	text[len] = '\0';
	ret_id->is_device = first >> FORMAT_SHIFT == FORMAT_DEVICE;
	if (strlen(text) == len) /* not ended by a NUL */
		return HEADER_LEN;
	if (!ret_id->is_device)
		return port_name(text, ret_id->name) ? -1 : HEADER_LEN;
	if (!name_is_sound(text, strlen(text)))
		return HEADER_LEN;
	memcpy(ret_id->name, text, strlen(text) + 1);
	return -1;
}

void pr_transport_id_write(struct bytes_out *out, const char *initiator)
{
	size_t len = strlen(initiator);
	size_t padded = (len + 1 + 3) & ~(size_t)3;

	if (padded < NAME_LEN_MIN)
		padded = NAME_LEN_MIN;
	out_u8(out, FORMAT_PORT << FORMAT_SHIFT | PROTOCOL_ISCSI);
	out_u8(out, 0);
	out_be16(out, (uint16_t)padded);
	out_bytes(out, initiator, len);
	out_zero(out, padded - len);
}
