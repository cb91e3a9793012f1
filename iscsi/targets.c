/* SPDX-License-Identifier: Apache-2.0 */
/* The targets of a server: which there are, through which portals, and with which secrets. */
#include "iscsi/server_priv.h"
#include "iscsi/text.h"
#include <errno.h>

void targets_init(struct iscsi_targets *targets)
{
	*targets = (struct iscsi_targets){.n = 0};
	pthread_mutex_init(&targets->chap_lock, NULL);
}

void targets_fini(struct iscsi_targets *targets)
{
	for (unsigned i = 0; i < targets->n; i++) {
		scsi_target_unref(targets->all[i].target);
		iscsi_chap_secrets_unref(targets->all[i].chap);
		free(targets->all[i].links);
	}
	free(targets->all);
	pthread_mutex_destroy(&targets->chap_lock);
}

static unsigned *bucket_of(const struct iscsi_server *server, const char *name)
{
	return (unsigned *)&server->targets.by_name[iscsi_name_hash(name) % TARGET_BUCKETS];
}

int iscsi_server_add_target(struct iscsi_server *server, struct scsi_target *target,
			    const struct iscsi_limits *limits)
{
	struct target_entry *targets =
		reallocarray(server->targets.all, server->targets.n + 1, sizeof(*targets));
	unsigned *bucket = bucket_of(server, scsi_target_name(target));

	if (!targets)
		return -ENOMEM;
	server->targets.all = targets;
	targets[server->targets.n++] = (struct target_entry){
		.target = scsi_target_ref(target), .limits = *limits, .next = *bucket};
	*bucket = server->targets.n;
	return 0;
}

static struct target_entry *target_find(const struct iscsi_server *server, const char *name)
{
	for (unsigned i = *bucket_of(server, name); i; i = server->targets.all[i - 1].next)
		if (!strcmp(scsi_target_name(server->targets.all[i - 1].target), name))
			return &server->targets.all[i - 1];
	return NULL;
}

int iscsi_server_link(struct iscsi_server *server, const char *name, uint16_t tag, unsigned portal)
{
	struct target_entry *target = target_find(server, name);
	struct link_entry *links;

	if (!target || portal >= server->n_portals)
		return -EINVAL;
	links = reallocarray(target->links, target->n_links + 1, sizeof(*links));
	if (!links)
		return -ENOMEM;
	target->links = links;
	links[target->n_links++] = (struct link_entry){portal, tag};
	return scsi_target_add_port(target->target, tag);
}

/* ---- what login and discovery ask ---- */

enum iscsi_login_status server_find_target(const struct iscsi_login_host *host,
					   const char *initiator, const char *target,
					   struct iscsi_login_target *ret_target)
{
	const struct iscsi_conn *conn = container_of(host, struct iscsi_conn, login_host);
	struct iscsi_server *server = conn->server;
	const struct target_entry *entry = target_find(server, target);

	(void)initiator; /* every initiator may that has the secrets: there are no lists of names */
	for (unsigned i = 0; entry && i < entry->n_links; i++) {
		const struct link_entry *link = &entry->links[i];

		if (link->portal == conn->portal) {
			ret_target->limits = &entry->limits;
			ret_target->tpgt = link->tag;
			pthread_mutex_lock(&server->targets.chap_lock);
			ret_target->chap = iscsi_chap_secrets_ref(entry->chap);
			pthread_mutex_unlock(&server->targets.chap_lock);
			return LOGIN_SUCCESS;
		}
	}
	return LOGIN_NOT_FOUND;
}

void iscsi_server_set_chap(struct iscsi_server *server, const char *name,
			   struct iscsi_chap_secrets *secrets)
{
	struct target_entry *entry = target_find(server, name);
	struct iscsi_chap_secrets *old;

	pthread_mutex_lock(&server->targets.chap_lock);
	old = entry->chap;
	entry->chap = iscsi_chap_secrets_ref(secrets);
	pthread_mutex_unlock(&server->targets.chap_lock);
	iscsi_chap_secrets_unref(old);
}

struct scsi_target *server_target(const struct iscsi_server *server, const char *name)
{
	struct target_entry *entry = target_find(server, name);

	return entry ? scsi_target_ref(entry->target) : NULL;
}

unsigned server_n_targets(const struct iscsi_server *server)
{
	return server->targets.n;
}

const char *server_target_name(const struct iscsi_server *server, unsigned target)
{
	return scsi_target_name(server->targets.all[target].target);
}

int server_target_index(const struct iscsi_server *server, const char *name)
{
	struct target_entry *entry = target_find(server, name);

	return entry ? (int)(entry - server->targets.all) : -1;
}

bool server_link(const struct iscsi_server *server, unsigned target, unsigned i, uint16_t *ret_tag,
		 const struct engine_sock **ret_listener, const char **ret_address)
{
	const struct target_entry *entry = &server->targets.all[target];
	const struct portal *portal;

	if (i >= entry->n_links)
		return false;
	portal = server->portals[entry->links[i].portal];
	*ret_tag = entry->links[i].tag;
	*ret_listener = &portal->sock;
	*ret_address = portal->address;
	return true;
}
