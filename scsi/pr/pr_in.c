/* SPDX-License-Identifier: Apache-2.0 */
/* PERSISTENT RESERVE IN: what is registered and reserved. Source: SPC-5 r22. */
#include "scsi/pr/pr_priv.h"

enum {
	CRH = 0x10, /* REPORT CAPABILITIES, byte 2 */
	SIP_C = 0x08,
	ATP_C = 0x04,
	PTPL_C = 0x01,
	TMV = 0x80,	       /* byte 3 */
	ALLOW_COMMANDS = 0x10, /* TEST UNIT READY is; of others nothing is said */
	PTPL_A = 0x01,
	TYPES_LOW = 0xea,  /* byte 4: all there are */
	TYPES_HIGH = 0x01, /* byte 5 */
	R_HOLDER = 0x01,   /* READ FULL STATUS, byte 12 */
	HEADER_LEN = 8,	   /* PRGENERATION, ADDITIONAL LENGTH */
	FULL_STATUS_MAX = 24 + PR_TRANSPORT_ID_MAX,
};

/*
 * The snapshot to report. By SPC-2, nobody may ask while a RESERVE holds, its own nexus included.
 * Return: SCSI_READY; SCSI_DONE with the conflict.
 */
static enum scsi_step begin(struct scsi_task *task, const struct scsi_pr **ret_pr)
{
	static const struct scsi_pr nothing;
	const struct scsi_pr *pr = scsi_pr_of(task->lu);

	if (pr && pr->reserved)
		return scsi_finish(task, STATUS_RESERVATION_CONFLICT);
	*ret_pr = pr ? pr : &nothing;
	return SCSI_READY;
}

static enum scsi_step reply(struct scsi_task *task, struct bytes_out *out)
{
	be32_put(out->buf + 4, (uint32_t)(out->len - HEADER_LEN));
	return scsi_reply(task, out->buf, out->len);
}

static void header(struct bytes_out *out, const struct scsi_pr *pr)
{
	out_be32(out, pr->generation);
	out_zero(out, 4);
}

enum scsi_step pr_in_read_keys(struct scsi_task *task)
{
	uint8_t buf[HEADER_LEN + PR_MAX * 8];
	struct bytes_out out = bytes_out(buf, sizeof(buf));
	const struct scsi_pr *pr = NULL;

	if (begin(task, &pr) == SCSI_DONE)
		return SCSI_DONE;
	header(&out, pr);
	for (unsigned i = 0; i < pr->n; i++)
		out_be64(&out, pr->all[i].key);
	return reply(task, &out);
}

enum scsi_step pr_in_read_reservation(struct scsi_task *task)
{
	uint8_t buf[HEADER_LEN + 16];
	struct bytes_out out = bytes_out(buf, sizeof(buf));
	const struct scsi_pr *pr = NULL;

	if (begin(task, &pr) == SCSI_DONE)
		return SCSI_DONE;
	header(&out, pr);
	if (pr->type) {
		bool all = pr_type_is_all_registrants(pr->type);

		out_be64(&out, all ? 0 : pr->all[pr->holder].key);
		out_zero(&out, 5);
		out_u8(&out, pr->type); /* SCOPE 0: the LU */
		out_zero(&out, 2);
	}
	return reply(task, &out);
}

enum scsi_step pr_in_report_capabilities(struct scsi_task *task)
{
	const bool keeps = task->lu->state_dir != NULL;
	const struct scsi_pr *pr = NULL;
	uint8_t buf[8];
	struct bytes_out out = bytes_out(buf, sizeof(buf));

	if (begin(task, &pr) == SCSI_DONE)
		return SCSI_DONE;
	out_be16(&out, sizeof(buf));
	out_u8(&out, CRH | SIP_C | ATP_C | (keeps ? PTPL_C : 0));
	out_u8(&out, TMV | ALLOW_COMMANDS | (pr->aptpl ? PTPL_A : 0));
	out_u8(&out, TYPES_LOW);
	out_u8(&out, TYPES_HIGH);
	out_zero(&out, 2);
	return scsi_reply(task, buf, out.len);
}

static void full_status(struct bytes_out *out, const struct scsi_pr *pr, unsigned i)
{
	const struct pr_registrant *r = &pr->all[i];
	bool holds = pr_holds(pr, (int)i);
	size_t begin_at;

	out_be64(out, r->key);
	out_zero(out, 4);
	out_u8(out, holds ? R_HOLDER : 0); /* ALL_TG_PT 0: each port has a descriptor of its own */
	out_u8(out, holds ? pr->type : 0);
	out_zero(out, 4);
	out_be16(out, r->rel_port);
	out_zero(out, 4);
	begin_at = out->len;
	pr_transport_id_write(out, r->initiator);
	be32_put(out->buf + begin_at - 4, (uint32_t)(out->len - begin_at));
}

enum scsi_step pr_in_read_full_status(struct scsi_task *task)
{
	scoped(free) uint8_t *buf = NULL;
	const struct scsi_pr *pr = NULL;
	struct bytes_out out;
	size_t room;

	if (begin(task, &pr) == SCSI_DONE)
		return SCSI_DONE;
	room = HEADER_LEN + (size_t)pr->n * FULL_STATUS_MAX;
	buf = malloc(room);
	if (!buf)
		return scsi_finish(task, STATUS_BUSY);
	out = bytes_out(buf, room);
	header(&out, pr);
	for (unsigned i = 0; i < pr->n; i++)
		full_status(&out, pr, i);
	return reply(task, &out);
}
