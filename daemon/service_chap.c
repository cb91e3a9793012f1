/* SPDX-License-Identifier: Apache-2.0 */
/* Who may log in to the targets of a service: all their files are read before any is believed. */
#include "daemon/chap_file.h"
#include "daemon/service_priv.h"
#include "util/log.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int read_one(const struct config_target *target, struct iscsi_chap_secrets **ret_secrets)
{
	char why[512];
	int r = chap_file_read(target->chap_file, ret_secrets, why, sizeof(why));

	if (r == -ENOMEM)
		return service_out_of_memory();
	if (r < 0) {
		log_error("%s: %s", target->iqn, why);
		return service_exit_code(r);
	}
	/* RFC 7143 9.2.1 leaves what then to the administrator: IPsec. */
	if ((*ret_secrets)->initiator.secret_len < ISCSI_CHAP_SECRET_SAFE)
		log_warning("%s: CHAP file %s: the initiator's password has less than 12 bytes: "
			    "who listens on the network can guess it",
			    target->iqn, target->chap_file);
	return EXIT_OK;
}

static guint account_hash(gconstpointer key)
{
	const struct iscsi_chap_account *account = key;
	guint hash = account->secret_len;

	for (unsigned i = 0; i < account->secret_len; i++)
		hash = hash * 31 + account->secret[i];
	return hash;
}

static gboolean account_equal(gconstpointer a, gconstpointer b)
{
	return iscsi_chap_same_secret(a, b);
}

/*
 * RFC 7143 9.2.1: what an initiator proves itself with must not be what any target does. Who knows
 * the one could pass for the other.
 */
static int judge_all(const struct config *config, struct iscsi_chap_secrets *const *secrets)
{
	GHashTable *initiators = g_hash_table_new(account_hash, account_equal);
	int code = EXIT_OK;

	for (unsigned i = 0; i < config->n_targets; i++)
		if (secrets[i])
			g_hash_table_insert(initiators, &secrets[i]->initiator,
					    config->targets[i].iqn);
	for (unsigned i = 0; code == EXIT_OK && i < config->n_targets; i++) {
		const char *other = secrets[i] && secrets[i]->target.name[0]
					    ? g_hash_table_lookup(initiators, &secrets[i]->target)
					    : NULL;

		if (!other)
			continue;
		log_error("%s: CHAP file %s: line 2: has the password of an initiator of %s, "
			  "expected one for this target alone",
			  config->targets[i].iqn, config->targets[i].chap_file, other);
		code = EXIT_CONFIG;
	}
	g_hash_table_unref(initiators);
	return code;
}

/*
 * RFC 7143 9.2.1: nor should several targets prove themselves with the same, but that is left to
 * the administrator. One line, however many they are.
 */
static void warn_of_sharing(const struct config *config, struct iscsi_chap_secrets *const *secrets)
{
	GHashTable *targets = g_hash_table_new(account_hash, account_equal);
	const char *first = NULL, *second = NULL;
	unsigned n_more = 0;
	char more[64] = "";

	for (unsigned i = 0; i < config->n_targets; i++) {
		char *iqn = config->targets[i].iqn;
		const char *other;

		if (!secrets[i] || !secrets[i]->target.name[0])
			continue;
		other = g_hash_table_lookup(targets, &secrets[i]->target);
		if (!other) {
			g_hash_table_insert(targets, &secrets[i]->target, iqn);
		} else if (!first) {
			first = other;
			second = iqn;
		} else {
			n_more++;
		}
	}
	g_hash_table_unref(targets);
	if (n_more)
		snprintf(more, sizeof(more), " (others that share one: %u)", n_more);
	if (first)
		log_warning("%s and %s prove themselves with the same password%s: who knows it can "
			    "pass for either",
			    first, second, more);
}

int service_read_chap(const struct config *config, struct iscsi_chap_secrets ***ret_secrets)
{
	struct iscsi_chap_secrets **secrets =
		g_new0(struct iscsi_chap_secrets *, config->n_targets);
	int code = EXIT_OK;

	for (unsigned i = 0; code == EXIT_OK && i < config->n_targets; i++)
		if (config->targets[i].chap_file)
			code = read_one(&config->targets[i], &secrets[i]);
	if (code == EXIT_OK)
		code = judge_all(config, secrets);
	if (code != EXIT_OK) {
		service_drop_chap(config, secrets);
		return code;
	}
	warn_of_sharing(config, secrets);
	*ret_secrets = secrets;
	return EXIT_OK;
}

void service_drop_chap(const struct config *config, struct iscsi_chap_secrets **secrets)
{
	for (unsigned i = 0; secrets && i < config->n_targets; i++)
		iscsi_chap_secrets_unref(secrets[i]);
	g_free(secrets);
}
