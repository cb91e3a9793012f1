/* SPDX-License-Identifier: Apache-2.0 */
/*
 * APTPL: what is registered and reserved, in a file of the LU's own in its state directory. It is
 * there only while the LU was last told to persist it and anything is registered.
 */
#include "scsi/pr/pr_priv.h"
#include "util/atomic_file.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	VERSION = 1,
	HEADER_LEN = 12, /* version, number of registrations, type, reserved, holder */
	ENTRY_MAX = 12 + PR_INITIATOR_MAX + PR_TARGET_MAX,
	FILE_MAX = HEADER_LEN + PR_MAX * ENTRY_MAX,
	FILE_NAME_LEN = 48,
};
_Static_assert((unsigned)FILE_MAX <= ATOMIC_FILE_MAX, "fits a state file");

static void file_name(const struct scsi_lu *lu, char ret_name[FILE_NAME_LEN])
{
	for (unsigned i = 0; i < sizeof(lu->uuid); i++)
		snprintf(ret_name + 2 * i, 3, "%02x", lu->uuid[i]);
	strcpy(ret_name + 2 * sizeof(lu->uuid), ".pr");
}

static void out_text(struct bytes_out *out, const char *text)
{
	out_u8(out, (uint8_t)strlen(text)); /* below PR_INITIATOR_MAX or PR_TARGET_MAX */
	out_bytes(out, text, strlen(text));
}

static void out_state(struct bytes_out *out, const struct scsi_pr *pr)
{
	out_be32(out, VERSION);
	out_be32(out, pr->n);
	out_u8(out, pr->type);
	out_u8(out, 0);
	out_be16(out, (uint16_t)pr->holder);
	for (unsigned i = 0; i < pr->n; i++) {
		out_be64(out, pr->all[i].key);
		out_be16(out, pr->all[i].rel_port);
		out_text(out, pr->all[i].initiator);
		out_text(out, pr->all[i].target);
	}
}

int pr_file_write(const struct scsi_lu *lu, const struct scsi_pr *pr)
{
	size_t room = HEADER_LEN + (size_t)pr->n * ENTRY_MAX;
	scoped(free) uint8_t *buf = malloc(room);
	struct bytes_out out = bytes_out(buf, room);
	char name[FILE_NAME_LEN];

	if (!buf)
		return -ENOMEM;
	file_name(lu, name);
	if (!pr->aptpl || !pr->n)
		return atomic_file_remove(lu->state_dir, name);
	out_state(&out, pr);
	return atomic_file_write(lu->state_dir, name, buf, out.len);
}

/* ---- reading ---- */

static bool in_text(struct bytes_in *in, char *ret_text, size_t room)
{
	uint8_t len = in_u8(in);
	const uint8_t *p = in_bytes(in, len);

	if (!p || !len || len >= room || memchr(p, '\0', len))
		return false;
	memcpy(ret_text, p, len);
	ret_text[len] = '\0';
	return true;
}

static bool in_entry(struct bytes_in *in, struct scsi_pr **pr)
{
	char initiator[PR_INITIATOR_MAX], target[PR_TARGET_MAX];
	struct pr_name name = {.initiator = initiator, .target = target};
	uint64_t key = in_be64(in);

	name.rel_port = in_be16(in);
	return in_text(in, initiator, sizeof(initiator)) && in_text(in, target, sizeof(target)) &&
	       key && pr_find(*pr, &name) < 0 && pr_add(pr, &name, key) == 0;
}

static bool in_state(struct bytes_in *in, struct scsi_pr **pr)
{
	uint32_t version = in_be32(in), n = in_be32(in);
	uint8_t type = in_u8(in);
	uint16_t holder;

	in_skip(in, 1);
	holder = in_be16(in);
	if (in->bad || version != VERSION || !n || n > PR_MAX || (type && !pr_type_is_valid(type)))
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (!in_entry(in, pr))
			return false;
	if (in->left || (type && holder >= n))
		return false;
	(*pr)->aptpl = true;
	(*pr)->type = type;
	(*pr)->holder = type ? holder : 0;
	return true;
}

static int read_state(const struct scsi_lu *lu, const char *name, struct scsi_pr **pr)
{
	scoped(free) uint8_t *buf = malloc(FILE_MAX);
	struct bytes_in in;
	size_t len;
	int r;

	if (!buf || !*pr)
		return -ENOMEM;
	r = atomic_file_read(lu->state_dir, name, buf, FILE_MAX, &len);
	if (r < 0)
		return r;
	in = bytes_in(buf, len);
	return in_state(&in, pr) ? 0 : -EBADMSG;
}

int scsi_pr_load(struct scsi_lu *lu, char *ret_why, size_t why_len)
{
	scoped(free) struct scsi_pr *pr = NULL;
	char name[FILE_NAME_LEN];
	int r;

	if (!lu->state_dir)
		return 0;
	file_name(lu, name);
	if (!atomic_file_exists(lu->state_dir, name))
		return 0;
	pr = pr_copy(NULL);
	r = read_state(lu, name, &pr);
	if (r == -ENOENT)
		return 0;
	if (r < 0) {
		/* To go on without would let in whom a cluster has fenced off. */
		snprintf(ret_why, why_len,
			 "%s: persistent reservations in %s/%s: %s (remove it to serve without)",
			 lu->name, lu->state_dir, name, r == -EBADMSG ? "damaged" : strerror(-r));
		return r;
	}
	atomic_store_explicit(&lu->pr, steal(pr), memory_order_release);
	return 0;
}
