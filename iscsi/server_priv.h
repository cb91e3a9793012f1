/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What server.c and targets.c share: the server itself. */
#include "iscsi/conn_priv.h"
#include <pthread.h>

struct portal {
	struct iscsi_server *server;
	unsigned index;
	char *address; /* as named; NULL: whatever address a connection came to */
	struct engine_sock sock;
	struct engine_op op;
	struct engine_timer retry;
	bool accepting;
};

/* A target is reached through a portal in the group of this tag. */
struct link_entry {
	unsigned portal;
	uint16_t tag;
};

struct target_entry {
	struct scsi_target *target;
	struct iscsi_limits limits;
	struct iscsi_chap_secrets *chap; /* under chap_lock; NULL: none */
	struct link_entry *links;
	unsigned n_links;
	unsigned next; /* index + 1 in the chain of its name's hash; 0: the last */
};

#define TARGET_BUCKETS 4096

struct iscsi_targets {
	struct target_entry *all;
	unsigned n;
	pthread_mutex_t chap_lock;	  /* a login looks, a reload changes */
	unsigned by_name[TARGET_BUCKETS]; /* index + 1 of the first of a chain; 0: none */
};

struct iscsi_server {
	struct iscsi_server_config cfg;
	struct iscsi_registry *registry;
	struct iscsi_targets targets;
	struct portal **portals;
	unsigned n_portals;
	struct iscsi_shard *shards; /* one per reactor */
	atomic_uint n_conns, shards_left;
	atomic_bool full_said;
	struct engine_post stop_post, stopped_post;
	void (*stopped)(void *arg);
	void *stopped_arg;
};

void targets_init(struct iscsi_targets *targets);
void targets_fini(struct iscsi_targets *targets);
