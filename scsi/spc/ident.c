/* SPDX-License-Identifier: Apache-2.0 */
/*
 * REPORT and SET IDENTIFYING INFORMATION. It is on stable storage before SET is GOOD, and each
 * REPORT answers from a snapshot.
 */
#include "scsi/spc/ident.h"
#include "scsi/spc/state.h"
#include "util/atomic_file.h"
#include "util/bytes.h"
#include <assert.h>
#include <errno.h>

enum {
	TYPE_AT = 10, /* INFORMATION TYPE: bits 7 to 1 of this byte */
	TYPE_BITS = 0xfe,
	TYPE_SUPPORTED = 0x7f, /* REPORT: which types there are */
	RECORD_LEN = 3,	       /* in the file, before the bytes: type, length */
};

static const struct ident_kind {
	uint8_t type;
	uint16_t max_len;
	bool is_text; /* UTF-8 that ends with NUL */
} kinds[SPC_IDENT_KINDS] = {
	{0x00, 64, false},	     /* peripheral device identifying information */
	{0x02, SPC_IDENT_MAX, true}, /* peripheral device text identifying information */
};

/* Return: -1 when there is no such type. */
static int kind_of(uint8_t type)
{
	for (int i = 0; i < SPC_IDENT_KINDS; i++)
		if (kinds[i].type == type)
			return i;
	return -1;
}

bool spc_ident_offered(const struct scsi_lu *lu)
{
	return lu->state_dir;
}

/* ---- REPORT ---- */

static enum scsi_step report_supported(struct scsi_task *task)
{
	uint8_t buf[4 + 4 * SPC_IDENT_KINDS];
	struct bytes_out out = bytes_out(buf, sizeof(buf));

	out_zero(&out, 2);
	out_be16(&out, 4 * SPC_IDENT_KINDS);
	for (unsigned i = 0; i < SPC_IDENT_KINDS; i++) {
		out_u8(&out, (uint8_t)(kinds[i].type << 1));
		out_zero(&out, 1);
		out_be16(&out, kinds[i].max_len);
	}
	assert(!out.full);
	return scsi_reply(task, buf, out.len);
}

enum scsi_step spc_report_ident(struct scsi_task *task)
{
	uint8_t type = task->cdb[TYPE_AT] >> 1, buf[4 + SPC_IDENT_MAX];
	const struct spc_ident *ident = atomic_load(&task->lu->spc->ident);
	struct bytes_out out = bytes_out(buf, sizeof(buf));
	int kind = kind_of(type);

	if (type == TYPE_SUPPORTED)
		return report_supported(task);
	if (kind < 0)
		return scsi_check_field(task, TYPE_AT, TYPE_BITS);
	out_zero(&out, 2);
	out_be16(&out, ident ? ident->of[kind].len : 0);
	if (ident)
		out_bytes(&out, ident->of[kind].bytes, ident->of[kind].len);
	assert(!out.full);
	return scsi_reply(task, buf, out.len);
}

/* ---- what is kept ---- */

static int save(const struct scsi_lu *lu, const struct spc_ident *ident)
{
	uint8_t buf[SPC_IDENT_KINDS * (RECORD_LEN + SPC_IDENT_MAX)];
	struct bytes_out out = bytes_out(buf, sizeof(buf));

	for (unsigned i = 0; i < SPC_IDENT_KINDS; i++) {
		out_u8(&out, kinds[i].type);
		out_be16(&out, ident->of[i].len);
		out_bytes(&out, ident->of[i].bytes, ident->of[i].len);
	}
	assert(!out.full);
	return atomic_file_write(lu->state_dir, spc_file_name(lu, SPC_IDENT_FILE).text, buf,
				 out.len);
}

static int parse(const uint8_t *buf, size_t len, struct spc_ident *ident)
{
	struct bytes_in in = bytes_in(buf, len);

	while (in.left) {
		int kind = kind_of(in_u8(&in));
		uint16_t n = in_be16(&in);
		const uint8_t *bytes = in_bytes(&in, n);

		if (!bytes || kind < 0 || n > kinds[kind].max_len)
			return -EBADMSG;
		ident->of[kind].len = n;
		memcpy(ident->of[kind].bytes, bytes, n);
	}
	return 0;
}

int spc_ident_load(struct scsi_lu *lu)
{
	uint8_t buf[SPC_IDENT_KINDS * (RECORD_LEN + SPC_IDENT_MAX)];
	scoped(free) struct spc_ident *ident = NULL;
	size_t len;
	int r;

	if (!lu->state_dir)
		return 0;
	r = atomic_file_read(lu->state_dir, spc_file_name(lu, SPC_IDENT_FILE).text, buf,
			     sizeof(buf), &len);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	ident = calloc(1, sizeof(*ident));
	if (!ident)
		return -ENOMEM;
	r = parse(buf, len, ident);
	if (r == 0)
		atomic_store(&lu->spc->ident, steal(ident));
	return r;
}

/* ---- SET ---- */

enum scsi_step spc_plan_set_ident(struct scsi_task *task)
{
	uint32_t len = be32_get(task->cdb + 6);
	int kind = kind_of(task->cdb[TYPE_AT] >> 1);

	if (kind < 0)
		return scsi_check_field(task, TYPE_AT, TYPE_BITS);
	if (len > kinds[kind].max_len)
		return scsi_check_field(task, 6, 0);
	task->need_out = len;
	return SCSI_READY;
}

/* The byte at which it stops being UTF-8, or @len. No overlong forms, surrogates, or NUL. */
static size_t utf8_len(const uint8_t *text, size_t len)
{
	static const uint32_t least[] = {0x1, 0x80, 0x800, 0x10000};
	size_t at = 0;

	while (at < len) {
		uint8_t first = text[at];
		unsigned more = first < 0x80	       ? 0
				: (first >> 5) == 0x06 ? 1
				: (first >> 4) == 0x0e ? 2
				: (first >> 3) == 0x1e ? 3
						       : 4;
		uint32_t c = more ? first & (0x3fu >> more) : first;

		if (more > 3 || more >= len - at)
			return at;
		for (unsigned i = 1; i <= more; i++) {
			if ((text[at + i] & 0xc0) != 0x80)
				return at;
			c = c << 6 | (text[at + i] & 0x3f);
		}
		if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
			return at;
		at += more + 1;
	}
	return len;
}

static enum scsi_step check_text(struct scsi_task *task, const uint8_t *text, size_t len)
{
	size_t good = utf8_len(text, len - 1);

	if (good < len - 1)
		return scsi_check_param(task, (unsigned)good, 0);
	if (text[len - 1])
		return scsi_check_param(task, (unsigned)len - 1, 0);
	return SCSI_READY;
}

/* In task->own. */
struct new_ident {
	unsigned kind;
	size_t len;
	uint8_t bytes[SPC_IDENT_MAX];
};

/* A helper reads the snapshot safely, since only helpers replace it, one at a time. */
static int set_it(struct scsi_task *task)
{
	const struct new_ident *new = task->own;
	struct scsi_lu *lu = task->lu;
	scoped(free) struct spc_ident *ident = calloc(1, sizeof(*ident));
	const struct spc_ident *old;
	int r = ident ? 0 : -ENOMEM;

	pthread_mutex_lock(&lu->spc->lock);
	old = atomic_load(&lu->spc->ident);
	if (r == 0 && old)
		*ident = *old;
	if (r == 0) {
		ident->of[new->kind].len = (uint16_t) new->len;
		memcpy(ident->of[new->kind].bytes, new->bytes, new->len);
		r = save(lu, ident);
	}
	if (r == 0) {
		pthread_mutex_lock(&lu->lock);
		atomic_store(&lu->spc->ident, steal(ident));
		scsi_lu_retire(lu, (void *)old);
		pthread_mutex_unlock(&lu->lock);
		scsi_lu_attention(lu, UA_IDENT_CHANGED, task->nexus);
	}
	pthread_mutex_unlock(&lu->spc->lock);
	return r;
}

static enum scsi_step was_set(struct scsi_task *task)
{
	if (task->work_res == -ENOMEM)
		return scsi_finish(task, STATUS_BUSY);
	return task->work_res < 0 ? scsi_check(task, SENSE_INTERNAL_TARGET_FAILURE)
				  : scsi_good(task);
}

enum scsi_step spc_set_ident(struct scsi_task *task)
{
	struct new_ident *new = calloc(1, sizeof(*new));

	if (!new)
		return scsi_finish(task, STATUS_BUSY);
	task->own = new;
	new->kind = (unsigned)kind_of(task->cdb[TYPE_AT] >> 1);
	new->len = scsi_param_copy(task, new->bytes, task->need_out);
	if (new->len < task->need_out)
		return scsi_check(task, SENSE_PARAMETER_LIST_LENGTH);
	if (new->len &&
	    kinds[new->kind].is_text &&check_text(task, new->bytes, new->len) == SCSI_DONE)
		return SCSI_DONE;
	return scsi_task_work(task, set_it, was_set);
}
