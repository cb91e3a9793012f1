/* SPDX-License-Identifier: Apache-2.0 */
/* Both formats of sense data. Source: SPC-5 r22, sense data. */
#include "scsi/sense.h"
#include "util/bytes.h"

enum {
	RESPONSE_FIXED = 0x70,	    /* current error, fixed format */
	RESPONSE_DESCRIPTOR = 0x72, /* current error, descriptor format */
	FIXED_LEN = 18,
	FIXED_VALID = 0x80,
	DESCRIPTOR_INFORMATION = 0x00,
	DESCRIPTOR_COMMAND_SPECIFIC = 0x01,
	DESCRIPTOR_KEY_SPECIFIC = 0x02,
};

/* The three sense-key specific bytes, as ILLEGAL REQUEST has them. */
static void put_field_pointer(const struct scsi_sense *sense, uint8_t *p)
{
	p[0] = 0x80; /* SKSV */
	if (sense->in_cdb)
		p[0] |= 0x40; /* C/D */
	if (sense->in_segment)
		p[0] |= 0x20; /* SD, of COPY ABORTED */
	if (sense->has_bit)
		p[0] |= 0x08 | (sense->bit & 7); /* BPV */
	be16_put(p + 1, sense->field);
}

static bool is_key_specific(const struct scsi_sense *sense)
{
	return sense->has_field || sense->has_progress;
}

/* The three sense-key specific bytes: of ILLEGAL REQUEST, or of NOT READY and NO SENSE. */
static void put_key_specific(const struct scsi_sense *sense, uint8_t *p)
{
	if (sense->has_field) {
		put_field_pointer(sense, p);
		return;
	}
	p[0] = 0x80; /* SKSV */
	be16_put(p + 1, sense->progress);
}

static size_t build_fixed(const struct scsi_sense *sense, uint8_t *buf)
{
	memset(buf, 0, FIXED_LEN);
	buf[0] = RESPONSE_FIXED;
	if (sense->has_info && sense->info <= UINT32_MAX) {
		buf[0] |= FIXED_VALID;
		be32_put(buf + 3, (uint32_t)sense->info);
	}
	buf[2] = sense->key;
	buf[7] = FIXED_LEN - 8; /* what follows this byte */
	if (sense->has_specific && sense->specific <= UINT32_MAX)
		be32_put(buf + 8, (uint32_t)sense->specific);
	buf[12] = sense->asc;
	buf[13] = sense->ascq;
	if (is_key_specific(sense))
		put_key_specific(sense, buf + 15);
	return FIXED_LEN;
}

static size_t build_descriptor(const struct scsi_sense *sense, uint8_t *buf)
{
	struct bytes_out out = bytes_out(buf, SCSI_SENSE_MAX);
	uint8_t *p;

	out_u8(&out, RESPONSE_DESCRIPTOR);
	out_u8(&out, sense->key);
	out_u8(&out, sense->asc);
	out_u8(&out, sense->ascq);
	out_zero(&out, 4);
	if (sense->has_info) {
		out_u8(&out, DESCRIPTOR_INFORMATION);
		out_u8(&out, 10);
		out_be16(&out, 0x8000); /* VALID */
		out_be64(&out, sense->info);
	}
	if (sense->has_specific) {
		out_u8(&out, DESCRIPTOR_COMMAND_SPECIFIC);
		out_u8(&out, 10);
		out_be16(&out, 0);
		out_be64(&out, sense->specific);
	}
	if (is_key_specific(sense)) {
		out_u8(&out, DESCRIPTOR_KEY_SPECIFIC);
		out_u8(&out, 6);
		out_be16(&out, 0);
		p = out_room(&out, 3);
		if (p)
			put_key_specific(sense, p);
		out_u8(&out, 0);
	}
	buf[7] = (uint8_t)(out.len - 8); /* what follows this byte */
	return out.len;
}

size_t scsi_sense_build(const struct scsi_sense *sense, bool descriptor, uint8_t *buf)
{
	return descriptor ? build_descriptor(sense, buf) : build_fixed(sense, buf);
}
