/* SPDX-License-Identifier: Apache-2.0 */
/* Small texts of the configuration, shared by command line and JSON: sizes, portals, specs. */
#include "daemon/config_priv.h"
#include "handler/cfgstring.h"
#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DEFAULT_PORT 3260 /* RFC 7143 2.2 */

const char *const config_types[] = {"file", "block", "ram", "null", "cdrom", "delay", NULL};

static void storage_fini(struct config_storage *storage)
{
	free(storage->name);
	free(storage->type);
	free(storage->path);
	free(storage->protection_path);
	free(storage->key_file);
}

static void alua_free(struct config_alua *alua)
{
	if (!alua)
		return;
	for (unsigned i = 0; i < alua->n_groups; i++)
		free((void *)alua->groups[i].ports);
	free(alua->groups);
	free(alua->hook);
	free(alua);
}

static void target_fini(struct config_target *target)
{
	alua_free(target->alua);
	for (unsigned i = 0; i < SCSI_N_SERVICES; i++)
		free(target->addresses[i]);
	for (unsigned i = 0; i < target->n_tpgs; i++)
		free(target->tpgs[i].portals);
	free(target->tpgs);
	free(target->luns);
	free(target->chap_file);
	free(target->iqn);
}

void config_free(struct config *config)
{
	if (!config)
		return;
	for (unsigned i = 0; i < config->n_storages; i++)
		storage_fini(&config->storages[i]);
	for (unsigned i = 0; i < config->n_portals; i++)
		free(config->portals[i].host);
	for (unsigned i = 0; i < config->n_targets; i++)
		target_fini(&config->targets[i]);
	free(config->storages);
	free(config->portals);
	free(config->targets);
	free(config->state_dir);
	free(config->run_dir);
	free(config);
}

int config_parse_size(const char *text, uint64_t *ret_size)
{
	static const char units[] = "KMGTP";
	const char *unit;
	uint64_t size = 0;
	unsigned shift = 0;

	if (!g_ascii_isdigit(*text))
		return -EINVAL;
	for (; g_ascii_isdigit(*text); text++)
		if (__builtin_mul_overflow(size, 10, &size) ||
		    __builtin_add_overflow(size, (uint64_t)(*text - '0'), &size))
			return -EINVAL;
	if (*text) {
		unit = strchr(units, g_ascii_toupper(*text));
		if (!unit || text[1])
			return -EINVAL;
		shift = 10 * (unsigned)(unit - units + 1);
	}
	if (size > (uint64_t)INT64_MAX >> shift)
		return -EINVAL;
	*ret_size = size << shift;
	return 0;
}

/* ":3260" behind an address, or nothing. */
static int parse_port(const char *text, uint16_t *ret_port)
{
	unsigned port = 0;

	if (!*text) {
		*ret_port = DEFAULT_PORT;
		return 0;
	}
	if (*text++ != ':' || !*text || strspn(text, "0123456789") != strlen(text))
		return -EINVAL;
	for (; *text; text++) {
		port = port * 10 + (unsigned)(*text - '0');
		if (port > UINT16_MAX)
			return -EINVAL;
	}
	*ret_port = (uint16_t)port;
	return 0;
}

/* IPv6 with an optional %interface, or IPv4. */
static bool is_address(const char *host, int family)
{
	char plain[INET6_ADDRSTRLEN];
	size_t len = family == AF_INET6 ? strcspn(host, "%") : strlen(host);
	uint8_t address[sizeof(struct in6_addr)];

	if (len >= sizeof(plain) || strlen(host) - len > 16 || strcmp(host + len, "%") == 0)
		return false;
	memcpy(plain, host, len);
	plain[len] = '\0';
	return inet_pton(family, plain, address) == 1;
}

int config_parse_portal(const char *text, struct config_portal *ret_portal)
{
	bool v6 = *text == '[';
	size_t len = strcspn(text, v6 ? "]" : ":");
	struct config_portal portal = {0};
	scoped(free) char *host = NULL;
	int r;

	if (v6 && !text[len])
		return -EINVAL;
	r = parse_port(text + len + v6, &portal.port);
	if (r < 0)
		return r;
	host = strndup(text + v6, len - v6);
	if (!host)
		return -ENOMEM;
	if (!is_address(host, v6 ? AF_INET6 : AF_INET))
		return -EINVAL;
	portal.host = steal(host);
	*ret_portal = portal;
	return 0;
}

bool config_name_valid(const char *text)
{
	return cfgstring_is_name(text) && strspn(text, "0123456789") != strlen(text);
}

const struct config_storage *config_find_storage(const struct config *config, const char *name)
{
	char id[24];

	for (unsigned i = 0; i < config->n_storages; i++) {
		const struct config_storage *storage = &config->storages[i];

		snprintf(id, sizeof(id), "%" PRIu64, storage->device_id);
		if (g_strcmp0(storage->name, name) == 0 || strcmp(id, name) == 0)
			return storage;
	}
	return NULL;
}

bool config_type_known(const char *type)
{
	for (int i = 0; config_types[i]; i++)
		if (strcmp(config_types[i], type) == 0)
			return true;
	return false;
}

bool config_type_has_path(const char *type)
{
	return strcmp(type, "ram") != 0 && strcmp(type, "null") != 0;
}

int config_split_spec(const char *spec, char **ret_type, const char **ret_rest,
		      struct config_error *ret_error)
{
	size_t len = strcspn(spec, ":/");
	bool typed = spec[len] == ':';
	scoped(free) char *type = typed ? strndup(spec, len) : strdup("file");

	if (!type)
		return -ENOMEM;
	if (!config_type_known(type)) {
		snprintf(ret_error->text, sizeof(ret_error->text),
			 "found the type %s, expected one of file, block, ram, null, cdrom, "
			 "delay, or a path",
			 quote(type).text);
		return -EINVAL;
	}
	*ret_type = steal(type);
	*ret_rest = typed ? spec + len + 1 : spec;
	return 0;
}

bool config_is_cdrom(const struct config_storage *storage)
{
	return strcmp(storage->type, "cdrom") == 0;
}

bool config_can_encrypt(const struct config_storage *storage)
{
	return !config_is_cdrom(storage) && strcmp(storage->type, "null") != 0;
}

/* Return: 1: it is that; 0: it is not; -ENOMEM. */
static int parse_key_file(const char *option, struct config_storage *storage)
{
	const char *key = "key-file=";

	if (!g_str_has_prefix(option, key) || !option[strlen(key)] || storage->key_file)
		return 0;
	storage->key_file = strdup(option + strlen(key));
	return storage->key_file ? 1 : -ENOMEM;
}

/* "direct=on" or the like. Return: as above. */
static int parse_spec_option(const char *option, struct config_storage *storage)
{
	const struct {
		const char *text;
		bool *flag, value;
	} known[] = {
		{"direct=on", &storage->direct, true},
		{"direct=off", &storage->direct, false},
		{"removable=on", &storage->removable, true},
		{"removable=off", &storage->removable, false},
		{"write-same-to-end=on", &storage->write_same_to_end, true},
		{"write-same-to-end=off", &storage->write_same_to_end, false},
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(known); i++) {
		if (strcmp(option, known[i].text) == 0) {
			*known[i].flag = known[i].value;
			return 1;
		}
	}
	return parse_key_file(option, storage);
}

/* "direct=on,removable=on", from behind the '?' of a spec. */
static int parse_spec_options(const char *options, struct config_storage *storage,
			      struct config_error *ret_error)
{
	char **list = g_strsplit(options, ",", -1);
	int r = 0;

	for (char **option = list; r == 0 && *option; option++) {
		int known = parse_spec_option(*option, storage);

		if (known == 1)
			continue;
		snprintf(ret_error->text, sizeof(ret_error->text),
			 "found the option %s, expected direct, removable or write-same-to-end "
			 "with =on or =off or, once, key-file=PATH (a path with a '?' in it takes "
			 "one more '?' at its end)",
			 quote(*option).text);
		r = known < 0 ? known : -EINVAL;
	}
	g_strfreev(list);
	return r;
}

/* What follows the type: a path, or the size of what has none; its options end at @rest. */
static int spec_rest(struct config_storage *storage, char *rest, struct config_error *ret_error)
{
	if (config_type_has_path(storage->type)) {
		if (*rest) {
			storage->path = strdup(rest);
			return storage->path ? 0 : -ENOMEM;
		}
		snprintf(ret_error->text, sizeof(ret_error->text), "found no path, expected one");
		return -EINVAL;
	}
	storage->path = strdup("");
	if (!storage->path)
		return -ENOMEM;
	if (storage->direct || (*rest && config_parse_size(rest, &storage->size) < 0)) {
		snprintf(ret_error->text, sizeof(ret_error->text),
			 storage->direct ? "found direct=on, expected it for file, block and cdrom"
					 : "found no size behind the ':', expected one such as 1G");
		return -EINVAL;
	}
	return 0;
}

int config_parse_spec(const char *spec, struct config_storage *ret_storage,
		      struct config_error *ret_error)
{
	struct config_storage storage = {
		.block_size = 512,
		.thin = true,
		.online = true,
		.write_cache = true,
		.numa_node = -1,
	};
	scoped(free) char *copy = NULL;
	const char *rest;
	char *options;
	int r;

	*ret_error = (struct config_error){0};
	r = config_split_spec(spec, &storage.type, &rest, ret_error);
	if (r < 0)
		return r;
	copy = strdup(rest);
	if (!copy)
		r = -ENOMEM;
	options = copy ? strrchr(copy, '?') : NULL;
	if (options) {
		*options = '\0';
		r = parse_spec_options(options + 1, &storage, ret_error);
	}
	if (r == 0)
		r = spec_rest(&storage, copy, ret_error);
	if (r == 0 && storage.key_file && !config_can_encrypt(&storage)) {
		snprintf(ret_error->text, sizeof(ret_error->text),
			 "found key-file, expected none for %s", storage.type);
		r = -EINVAL;
	}
	if (r == 0 && storage.write_same_to_end && config_is_cdrom(&storage)) {
		snprintf(ret_error->text, sizeof(ret_error->text),
			 "found write-same-to-end=on, expected none for cdrom");
		r = -EINVAL;
	}
	if (config_is_cdrom(&storage)) {
		storage.block_size = 2048;
		storage.read_only = storage.removable = true;
	}
	if (r < 0) {
		storage_fini(&storage);
		return r;
	}
	*ret_storage = storage;
	return 0;
}
