/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The config as it grows out of the document, section by section. */
#include "daemon/config_keys.h"
#include <glib.h>

struct build {
	struct reader reader;
	struct config *config;
	GHashTable *device_ids; /* int64_t of the storages to their index + 1 */
	GHashTable *names;	/* of the storages: texts of the document's */
	GHashTable *portal_ids; /* as above, of the portals */
	unsigned queue_depth;	/* the deepest ring that a storage asks for */
	size_t numa_storage;	/* the first that asks for placement; config->numa is set */
};

/* Each returns 0; -EINVAL with the error told; -ENOMEM. */
int build_storages(struct build *build, json_t *list);
int build_portals(struct build *build, json_t *list);
int build_targets(struct build *build, json_t *object); /* after the two above */
int build_tcmu(struct build *build, json_t *object_or_null);
int build_performance(struct build *build, json_t *object_or_null); /* after the storages */
int build_memory(struct build *build, json_t *object_or_null);	    /* after performance */

/* storages[].protection, once type and path are known. */
int build_protection(struct build *build, const struct at *up, json_t *object_or_null,
		     struct config_storage *storage);

/* storages[].encryption, once protection is known, too. */
int build_encryption(struct build *build, const struct at *up, json_t *object_or_null,
		     struct config_storage *storage);

/* iscsitargets{}.alua, once the portal groups of @target are known. */
int build_alua(struct build *build, const struct at *up, json_t *object_or_null,
	       struct config_target *target);

/* iscsitargets{}.managementAddresses. */
int build_addresses(struct build *build, const struct at *up, json_t *object_or_null,
		    struct config_target *target);

/* A decimal number in the one way to write it: two spellings of one would be a duplicate. */
bool build_number_key(const char *text, uint32_t min, uint32_t max, uint32_t *ret_number);

/* Remembers where @number was defined. Return: false when it already was. */
static inline bool build_define(GHashTable *numbers, int64_t number, unsigned index)
{
	return g_hash_table_insert(numbers, g_memdup2(&number, sizeof(number)),
				   GUINT_TO_POINTER(index + 1));
}

/* Return: the index, or -1. */
static inline int build_find(GHashTable *numbers, int64_t number)
{
	return (int)GPOINTER_TO_UINT(g_hash_table_lookup(numbers, &number)) - 1;
}
