/* SPDX-License-Identifier: Apache-2.0 */
/* iscsiportals[] and iscsitargets{}: who can be reached where, and what is behind which LUN. */
#include "daemon/config_build.h"
#include "iscsi/text.h"
#include <errno.h>
#include <string.h>

#define LUN_MAX 16383 /* what flat space addressing can say; SAM-5 r21, LUN structures */

static int build_portal(struct build *build, const struct at *at, json_t *object,
			struct config_portal *portal)
{
	const struct at id = {.up = at, .key = "id"}, text = {.up = at, .key = "portal"};
	struct portal_in in = {0};
	int r;

	r = reader_object(&build->reader, at, object, portal_keys, &in);
	if (r < 0)
		return r;
	if (!build_define(build->portal_ids, in.id, (unsigned)at->index))
		return reader_bad(&build->reader, &id, "found %d again, expected each once",
				  (int)in.id);
	r = config_parse_portal(in.portal, portal);
	if (r == -EINVAL)
		return reader_bad(&build->reader, &text,
				  "found %s, expected ADDRESS:PORT, an IPv6 address in brackets",
				  quote(in.portal).text);
	if (r < 0)
		return r;
	portal->id = (uint16_t)in.id;
	return 0;
}

/* Port 0 takes any free one, so that it never meets another. */
static bool portal_is_taken(const struct config *config, unsigned index)
{
	const struct config_portal *one = &config->portals[index];

	for (unsigned i = 0; one->port && i < index; i++)
		if (config->portals[i].port == one->port &&
		    strcmp(config->portals[i].host, one->host) == 0)
			return true;
	return false;
}

int build_portals(struct build *build, json_t *list)
{
	const struct at at = {.key = "iscsiportals"};
	struct config *config = build->config;
	int r;

	if (!json_array_size(list))
		return reader_bad(&build->reader, &at, "found an empty list, expected a portal");
	config->portals = calloc(json_array_size(list), sizeof(*config->portals));
	if (!config->portals)
		return -ENOMEM;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const struct at here = {.up = &at, .index = i};
		const struct at text = {.up = &here, .key = "portal"};

		config->n_portals++;
		r = build_portal(build, &here, json_array_get(list, i), &config->portals[i]);
		if (r < 0)
			return r;
		if (portal_is_taken(config, (unsigned)i))
			return reader_bad(&build->reader, &text,
					  "found an address again, expected each once");
	}
	return 0;
}

bool build_number_key(const char *text, uint32_t min, uint32_t max, uint32_t *ret_number)
{
	uint32_t number = 0;
	size_t len = strlen(text);

	if (!len || len > 5 || strspn(text, "0123456789") != len || (*text == '0' && len > 1))
		return false;
	for (; *text; text++)
		number = number * 10 + (uint32_t)(*text - '0');
	*ret_number = number;
	return number >= min && number <= max;
}

/* @used: the target's portals so far; a portal is in one group of a target, RFC 7143 4.1 */
static int build_tpg(struct build *build, const struct at *at, json_t *list, GHashTable *used,
		     struct config_tpg *tpg)
{
	uint32_t tag;

	if (!build_number_key(at->key, 1, UINT16_MAX, &tag))
		return reader_bad_key(&build->reader, at,
				      "found this portal group tag, expected 1 to 65535");
	if (!json_array_size(list))
		return reader_bad(&build->reader, at, "found no list of ids, expected one or more");
	tpg->tag = (uint16_t)tag;
	tpg->portals = calloc(json_array_size(list), sizeof(*tpg->portals));
	if (!tpg->portals)
		return -ENOMEM;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const struct at here = {.up = at, .index = i};
		const json_t *id = json_array_get(list, i);
		int index = json_is_integer(id)
				    ? build_find(build->portal_ids, json_integer_value(id))
				    : -1;

		if (index < 0)
			return reader_bad(&build->reader, &here,
					  "found no such portal, expected an id of iscsiportals");
		if (!build_define(used, index, 0))
			return reader_bad(&build->reader, &here,
					  "found a portal again, expected it in one group, once");
		tpg->portals[tpg->n_portals++] = (uint16_t)index;
	}
	return 0;
}

static int build_tpgs(struct build *build, const struct at *up, json_t *tpgts, GHashTable *used,
		      struct config_target *target)
{
	const struct at at = {.up = up, .key = "tpgts"};
	const char *tag;
	json_t *list;
	int r;

	if (!json_object_size(tpgts))
		return reader_bad(&build->reader, &at, "found none, expected a portal group");
	target->tpgs = calloc(json_object_size(tpgts), sizeof(*target->tpgs));
	if (!target->tpgs)
		return -ENOMEM;
	json_object_foreach(tpgts, tag, list)
	{
		const struct at here = {.up = &at, .key = tag};

		r = build_tpg(build, &here, list, used, &target->tpgs[target->n_tpgs++]);
		if (r < 0)
			return r;
	}
	return 0;
}

static int build_luns(struct build *build, const struct at *up, json_t *luns,
		      struct config_target *target)
{
	const struct at at = {.up = up, .key = "luns"};
	const char *number;
	json_t *id;

	if (!json_object_size(luns))
		return reader_bad(&build->reader, &at, "found none, expected a LUN");
	target->luns = calloc(json_object_size(luns), sizeof(*target->luns));
	if (!target->luns)
		return -ENOMEM;
	json_object_foreach(luns, number, id)
	{
		const struct at here = {.up = &at, .key = number};
		struct config_lun *lun = &target->luns[target->n_luns];
		int storage = json_is_integer(id)
				      ? build_find(build->device_ids, json_integer_value(id))
				      : -1;

		if (!build_number_key(number, 0, LUN_MAX, &lun->lun))
			return reader_bad_key(&build->reader, &here,
					      "found this LUN, expected 0 to %d", LUN_MAX);
		if (storage < 0)
			return reader_bad(&build->reader, &here,
					  "found no such storage, expected a deviceID of storages");
		lun->storage = (unsigned)storage;
		target->n_luns++;
	}
	return 0;
}

/* As in the table of keys: "None", "CRC32C", "CRC32C,None". */
static unsigned digest_policy(int choice)
{
	static const unsigned policies[] = {
		DIGEST_NONE,
		DIGEST_CRC32C,
		DIGEST_CRC32C | DIGEST_NONE,
	};

	return policies[choice];
}

static int limits_bursts(struct build *build, const struct at *at, const struct parameters_in *in,
			 struct iscsi_params *values)
{
	const struct at first = {.up = at, .key = "FirstBurstLength"};

	if (in->max_burst)
		values->max_burst = (uint32_t)in->max_burst;
	if (in->first_burst)
		values->first_burst = (uint32_t)in->first_burst;
	if (values->first_burst <= values->max_burst)
		return 0;
	if (in->first_burst)
		return reader_bad(&build->reader, &first,
				  "found %" PRIu32
				  ", expected no more than MaxBurstLength, %" PRIu32,
				  values->first_burst, values->max_burst);
	values->first_burst = values->max_burst;
	return 0;
}

static int build_limits(struct build *build, const struct at *up, json_t *object_or_null,
			struct iscsi_limits *limits)
{
	const struct at at = {.up = up, .key = "parameters"};
	struct iscsi_params *values = &limits->values;
	struct parameters_in in = {
		.initial_r2t = ABSENT,
		.immediate_data = ABSENT,
		.time2wait = ABSENT,
		.time2retain = ABSENT,
		.header_digest = ABSENT,
		.data_digest = ABSENT,
	};
	int r = 0;

	if (object_or_null)
		r = reader_object(&build->reader, &at, object_or_null, parameter_keys, &in);
	if (r == 0)
		r = limits_bursts(build, &at, &in, values);
	if (r < 0)
		return r;
	if (in.initial_r2t != ABSENT)
		values->initial_r2t = in.initial_r2t;
	if (in.immediate_data != ABSENT)
		values->immediate_data = in.immediate_data;
	if (in.max_recv)
		values->max_recv_data_segment = (uint32_t)in.max_recv;
	if (in.max_r2t)
		values->max_outstanding_r2t = (uint16_t)in.max_r2t;
	if (in.time2wait != ABSENT)
		values->time2wait = (uint16_t)in.time2wait;
	if (in.time2retain != ABSENT)
		values->time2retain = (uint16_t)in.time2retain;
	if (in.header_digest != ABSENT)
		limits->header_digest = digest_policy(in.header_digest);
	if (in.data_digest != ABSENT)
		limits->data_digest = digest_policy(in.data_digest);
	return 0;
}

/* What is in the file is looked at when the target is served. */
static int build_chap(struct build *build, const struct at *up, const char *path_or_null,
		      struct config_target *target)
{
	const struct at at = {.up = up, .key = "chapFile"};

	if (!path_or_null)
		return 0;
	if (!*path_or_null)
		return reader_bad(&build->reader, &at, "found no path, expected one");
	target->chap_file = strdup(path_or_null);
	return target->chap_file ? 0 : -ENOMEM;
}

static int build_target(struct build *build, const struct at *at, json_t *object, GHashTable *names,
			struct config_target *target)
{
	GHashTable *used = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
	char name[ISCSI_NAME_MAX + 1];
	struct target_in in = {0};
	int r = 0;

	if (iscsi_name_normalize(at->key, strlen(at->key), name) < 0)
		r = reader_bad_key(&build->reader, at,
				   "found no iSCSI name, expected one such as "
				   "iqn.2026-11.org.example:disk1");
	else if (!g_hash_table_add(names, g_strdup(name)))
		r = reader_bad_key(
			&build->reader, at,
			"found a target again (case does not count), expected each once");
	if (r == 0)
		r = reader_object(&build->reader, at, object, target_keys, &in);
	if (r == 0)
		r = build_tpgs(build, at, in.tpgts, used, target);
	if (r == 0)
		r = build_luns(build, at, in.luns, target);
	if (r == 0) {
		target->limits = iscsi_default_limits;
		r = build_limits(build, at, in.parameters, &target->limits);
	}
	if (r == 0)
		r = build_chap(build, at, in.chap_file, target);
	if (r == 0)
		r = build_alua(build, at, in.alua, target);
	if (r == 0)
		r = build_addresses(build, at, in.addresses, target);
	if (r == 0) {
		target->iqn = strdup(name);
		r = target->iqn ? 0 : -ENOMEM;
	}
	g_hash_table_unref(used);
	return r;
}

int build_targets(struct build *build, json_t *object)
{
	const struct at at = {.key = "iscsitargets"};
	struct config *config = build->config;
	GHashTable *names;
	const char *name;
	json_t *value;
	int r = 0;

	if (!json_object_size(object))
		return reader_bad(&build->reader, &at, "found none, expected a target");
	config->targets = calloc(json_object_size(object), sizeof(*config->targets));
	if (!config->targets)
		return -ENOMEM;
	names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	json_object_foreach(object, name, value)
	{
		const struct at here = {.up = &at, .key = name};

		r = build_target(build, &here, value, names, &config->targets[config->n_targets++]);
		if (r < 0)
			break;
	}
	g_hash_table_unref(names);
	return r;
}
