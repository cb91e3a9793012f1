/* SPDX-License-Identifier: Apache-2.0 */
/* See pr_kit.h. */
#include "tests/scsi/pr_kit.h"
#include <string.h>

enum { PR_IN = 0x5e, PR_OUT = 0x5f };

const char *const kit_initiators[KIT_NEXUSES] = {
	"iqn.2024-01.example:a,i,0x00023d00000a",
	"iqn.2024-01.example:b,i,0x00023d00000b",
	"iqn.2024-01.example:c,i,0x00023d00000c",
	"iqn.2024-01.example:d,i,0x00023d00000d",
};

const unsigned kit_types[KIT_TYPES] = {
	PR_WRITE_EXCLUSIVE,
	PR_EXCLUSIVE_ACCESS,
	PR_WRITE_EXCLUSIVE_REGISTRANTS,
	PR_EXCLUSIVE_ACCESS_REGISTRANTS,
	PR_WRITE_EXCLUSIVE_ALL,
	PR_EXCLUSIVE_ACCESS_ALL,
};

static void kit_connect(struct pr_kit *kit, unsigned who)
{
	assert_int_equal(
		scsi_nexus_new(kit->h.target, kit_initiators[who], 1, kit->h.engine, &kit->n[who]),
		0);
	atomic_store(&kit_itl(kit, who)->attentions, 0);
}

void kit_start_on(struct pr_kit *kit, const struct scsi_lu_config *cfg)
{
	*kit = (struct pr_kit){0};
	harness_start(&kit->h);
	kit->lu = harness_map(&kit->h, 0, cfg);
	for (unsigned i = 0; i < KIT_NEXUSES; i++)
		kit_connect(kit, i);
}

void kit_start(struct pr_kit *kit, const char *state_dir)
{
	struct scsi_lu_config cfg = harness_lu_config();

	cfg.state_dir = state_dir;
	kit_start_on(kit, &cfg);
}

void kit_start_registered(struct pr_kit *kit)
{
	kit_start(kit, NULL);
	kit_register(kit, A, 1);
	kit_register(kit, B, 2);
	kit_register(kit, C, 3);
}

void kit_stop(struct pr_kit *kit)
{
	kit->h.nexus[0] = kit->h.nexus[1] = NULL;
	for (unsigned i = 0; i < KIT_NEXUSES; i++)
		scsi_nexus_free(kit->n[i]);
	harness_stop(&kit->h);
}

struct scsi_itl *kit_itl(struct pr_kit *kit, unsigned who)
{
	struct scsi_itl *itl = scsi_nexus_itl(kit->n[who], 0);

	assert_non_null(itl);
	return itl;
}

void kit_reconnect(struct pr_kit *kit, unsigned who)
{
	scsi_nexus_free(kit->n[who]);
	kit_connect(kit, who);
}

const struct answer *kit_send(struct pr_kit *kit, unsigned who, const struct sent *sent)
{
	/* The other place of the harness must not be empty: it would fill it. */
	kit->h.nexus[0] = kit->h.nexus[1] = kit->n[who];
	return harness_send(&kit->h, sent);
}

const struct answer *pr_out_list(struct pr_kit *kit, unsigned who, unsigned action, unsigned type,
				 const void *list, uint32_t len)
{
	struct sent sent = {
		.cdb = {PR_OUT, (uint8_t)action, (uint8_t)type}, .out = list, .out_len = len};

	be32_put(sent.cdb + 5, len);
	return kit_send(kit, who, &sent);
}

const struct answer *pr_out_send(struct pr_kit *kit, unsigned who, unsigned action, unsigned type,
				 uint64_t key, uint64_t sa_key, uint8_t flags)
{
	uint8_t list[PR_LIST_LEN] = {[20] = flags};

	be64_put(list, key);
	be64_put(list + 8, sa_key);
	return pr_out_list(kit, who, action, type, list, sizeof(list));
}

void kit_register(struct pr_kit *kit, unsigned who, uint64_t key)
{
	assert_good(pr_out_send(kit, who, PR_REGISTER_AND_IGNORE, 0, 0, key, 0));
}

void kit_reserve(struct pr_kit *kit, unsigned who, uint64_t key, unsigned type)
{
	assert_good(pr_out_send(kit, who, PR_RESERVE, type, key, 0, 0));
}

void assert_nobody_told(struct pr_kit *kit)
{
	for (unsigned who = 0; who < KIT_NEXUSES; who++)
		assert_int_equal(kit_itl(kit, who)->attentions, 0);
}

/* From a nexus that no test registers, so that asking changes nothing. */
static const struct answer *ask(struct pr_kit *kit, uint8_t action)
{
	const struct answer *a =
		KIT_SEND(kit, D, .cdb = {PR_IN, action, [7] = 0x40}, .expect_in = 0x4000);

	assert_good(a);
	assert_true(a->len >= 8);
	return a;
}

void kit_assert_keys(struct pr_kit *kit, const uint64_t *keys, int line)
{
	const struct answer *a = ask(kit, 0);
	unsigned n = be32_get(a->data + 4) / 8;

	assert_int_equal(a->len, 8 + 8 * n);
	for (unsigned i = 0; i < n; i++)
		if (!keys[i] || be64_get(a->data + 8 + 8 * i) != keys[i])
			fail_msg("line %d: %u keys, the one at %u is %#lx", line, n, i,
				 be64_get(a->data + 8 + 8 * i));
	if (keys[n])
		fail_msg("line %d: only %u keys", line, n);
}

void assert_reserved(struct pr_kit *kit, unsigned type, uint64_t key)
{
	const struct answer *a = ask(kit, 1);

	assert_int_equal(be32_get(a->data + 4), type ? 16 : 0);
	if (!type)
		return;
	assert_int_equal(a->data[21], type);
	assert_int_equal(be64_get(a->data + 8), key);
}

uint32_t kit_generation(struct pr_kit *kit)
{
	return be32_get(ask(kit, 1)->data);
}

void assert_conflict(const struct answer *a)
{
	assert_int_equal(a->status, STATUS_RESERVATION_CONFLICT);
	assert_int_equal(a->code, SENSE_NONE);
}

void assert_bad_param(const struct answer *a, unsigned byte, int bit)
{
	assert_check(a, SENSE_INVALID_FIELD_IN_PARAMETERS);
	assert_true(a->sense.has_field && !a->sense.in_cdb);
	assert_int_equal(a->sense.field, byte);
	assert_int_equal(a->sense.has_bit ? a->sense.bit : -1, bit);
}

size_t put_transport_id(uint8_t *to, uint8_t first, const char *name)
{
	size_t len = (strlen(name) + 4) & ~(size_t)3;

	len = len < 20 ? 20 : len;
	memset(to, 0, 4 + len);
	to[0] = first;
	be16_put(to + 2, (uint16_t)len);
	memcpy(to + 4, name, strlen(name));
	return 4 + len;
}
