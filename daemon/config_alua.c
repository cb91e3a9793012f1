/* SPDX-License-Identifier: Apache-2.0 */
/* iscsitargets{}.alua: which portal groups are as good a way to the target as others. */
#include "daemon/config_build.h"
#include <errno.h>
#include <string.h>

#define PORTS_MAX 255 /* of a group; SPC-5 r22, TARGET PORT COUNT */

/* By the choices of "state". */
static enum scsi_alua_state state_of(int choice)
{
	static const enum scsi_alua_state states[] = {
		ALUA_OPTIMIZED, ALUA_NON_OPTIMIZED, ALUA_STANDBY, ALUA_UNAVAILABLE, ALUA_OFFLINE,
	};

	return states[choice];
}

static bool has_tag(const struct config_target *target, int64_t tag)
{
	for (unsigned i = 0; i < target->n_tpgs; i++)
		if (target->tpgs[i].tag == tag)
			return true;
	return false;
}

/* @used: tags that are in a group */
static int build_ports(struct build *build, const struct at *up, json_t *list, GHashTable *used,
		       const struct config_target *target, struct scsi_alua_group *group)
{
	const struct at at = {.up = up, .key = "tpgts"};
	size_t n = json_array_size(list);
	uint16_t *ports;

	if (!n || n > PORTS_MAX)
		return reader_bad(&build->reader, &at, "found %zu tags, expected 1 to %d", n,
				  PORTS_MAX);
	ports = calloc(n, sizeof(*ports));
	if (!ports)
		return -ENOMEM;
	group->ports = ports;
	for (size_t i = 0; i < n; i++) {
		const struct at here = {.up = &at, .index = i};
		const json_t *tag = json_array_get(list, i);

		if (!json_is_integer(tag) || !has_tag(target, json_integer_value(tag)))
			return reader_bad(&build->reader, &here,
					  "found no such tag, expected one of tpgts");
		if (!build_define(used, json_integer_value(tag), 0))
			return reader_bad(&build->reader, &here,
					  "found a tag again, expected it in one group, once");
		ports[group->n_ports++] = (uint16_t)json_integer_value(tag);
	}
	return 0;
}

static int build_group(struct build *build, const struct at *at, json_t *object, GHashTable *used,
		       const struct config_target *target, struct scsi_alua_group *group)
{
	struct alua_group_in in = {0};
	uint32_t id;
	int r;

	if (!build_number_key(at->key, 1, UINT16_MAX, &id))
		return reader_bad_key(&build->reader, at, "found this group, expected 1 to 65535");
	r = reader_object(&build->reader, at, object, alua_group_keys, &in);
	if (r < 0)
		return r;
	group->id = (uint16_t)id;
	group->state = state_of(in.state);
	group->preferred = in.preferred;
	return build_ports(build, at, in.tpgts, used, target, group);
}

static int by_id(const void *a, const void *b)
{
	const struct scsi_alua_group *x = a, *y = b;

	return x->id - y->id;
}

static int build_groups(struct build *build, const struct at *up, json_t *groups, GHashTable *used,
			const struct config_target *target, struct config_alua *alua)
{
	const struct at at = {.up = up, .key = "groups"};
	const char *id;
	json_t *group;

	alua->groups = calloc(json_object_size(groups) + 1, sizeof(*alua->groups));
	if (!alua->groups)
		return -ENOMEM;
	json_object_foreach(groups, id, group)
	{
		const struct at here = {.up = &at, .key = id};
		int r = build_group(build, &here, group, used, target,
				    &alua->groups[alua->n_groups++]);

		if (r < 0)
			return r;
	}
	qsort(alua->groups, alua->n_groups, sizeof(*alua->groups), by_id);
	for (unsigned i = 0; i < target->n_tpgs; i++)
		if (build_find(used, target->tpgs[i].tag) < 0)
			return reader_bad(&build->reader, &at,
					  "found the tag %u in no group, expected all of tpgts",
					  (unsigned)target->tpgs[i].tag);
	return 0;
}

static int build_rest(struct build *build, const struct at *at, const struct alua_in *in,
		      struct config_alua *alua)
{
	const struct at hook = {.up = at, .key = "hook"};

	if (!in->implicit && !in->explicit_too)
		return reader_bad(
			&build->reader, at,
			"found neither, expected \"implicit\" or \"explicit\" to be true");
	if (in->hook && *in->hook != '/')
		return reader_bad(&build->reader, &hook,
				  "found %s, expected the absolute path of a program",
				  quote(in->hook).text);
	alua->implicit = in->implicit;
	alua->explicit_too = in->explicit_too;
	alua->referrals = in->referrals;
	alua->hook = in->hook ? strdup(in->hook) : NULL;
	return in->hook && !alua->hook ? -ENOMEM : 0;
}

int build_alua(struct build *build, const struct at *up, json_t *object_or_null,
	       struct config_target *target)
{
	const struct at at = {.up = up, .key = "alua"};
	struct alua_in in = {.implicit = true};
	GHashTable *used;
	int r;

	if (!object_or_null)
		return target->n_tpgs <= PORTS_MAX
			       ? 0
			       : reader_bad(&build->reader, up,
					    "found %u portal groups, expected no more than %d "
					    "without \"alua\"",
					    target->n_tpgs, PORTS_MAX);
	r = reader_object(&build->reader, &at, object_or_null, alua_keys, &in);
	if (r < 0)
		return r;
	target->alua = calloc(1, sizeof(*target->alua));
	if (!target->alua)
		return -ENOMEM;
	used = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
	r = build_groups(build, &at, in.groups, used, target, target->alua);
	g_hash_table_unref(used);
	return r < 0 ? r : build_rest(build, &at, &in, target->alua);
}
