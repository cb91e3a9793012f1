/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All sessions of a server, whichever reactor they are on: TSIHs, and reinstatement. A session is
 * known by initiator name, ISID and TPG of its target; a new one of the same name ends the old one
 * first. Source: RFC 7143 6.3.1, 6.3.5.
 */
#include "iscsi/conn_priv.h"
#include "iscsi/text.h"
#include <pthread.h>

#define BUCKETS 4096

struct iscsi_registry {
	pthread_mutex_t lock;
	struct list buckets[BUCKETS]; /* struct iscsi_session.reg_node, oldest first */
	uint8_t tsihs[65536 / 8];
	uint16_t last_tsih;
};

int registry_new(struct iscsi_registry **ret_registry)
{
	struct iscsi_registry *registry = calloc(1, sizeof(*registry));

	if (!registry)
		return -ENOMEM;
	pthread_mutex_init(&registry->lock, NULL);
	for (unsigned i = 0; i < BUCKETS; i++)
		list_init(&registry->buckets[i]);
	registry->tsihs[0] = 1; /* 0 asks for a new session: it names none */
	*ret_registry = registry;
	return 0;
}

void registry_free(struct iscsi_registry *registry)
{
	if (!registry)
		return;
	pthread_mutex_destroy(&registry->lock);
	free(registry);
}

static struct list *bucket_of(struct iscsi_registry *registry, const char *initiator)
{
	return &registry->buckets[iscsi_name_hash(initiator) % BUCKETS];
}

/* The same initiator port on the same target port. Discovery sessions have no target port. */
static bool same_nexus(const struct iscsi_session *a, const struct iscsi_session *b)
{
	return !a->discovery && !b->discovery && a->target == b->target && a->tpgt == b->tpgt &&
	       !memcmp(a->isid, b->isid, sizeof(a->isid)) && !strcmp(a->initiator, b->initiator);
}

static uint16_t tsih_take(struct iscsi_registry *registry)
{
	for (unsigned i = 1; i <= 65535; i++) {
		uint16_t tsih = (uint16_t)(registry->last_tsih + i);

		if (registry->tsihs[tsih / 8] & 1 << tsih % 8)
			continue;
		registry->tsihs[tsih / 8] |= (uint8_t)(1 << tsih % 8);
		registry->last_tsih = tsih;
		return tsih;
	}
	return 0;
}

static void drop_run(struct engine_post *post)
{
	struct iscsi_session *session = container_of(post, struct iscsi_session, drop_post);
	struct iscsi_conn *conn = session->conn;
	struct iscsi_registry *registry = server_registry(conn->server);

	pthread_mutex_lock(&registry->lock);
	session->drop_posted = false;
	pthread_mutex_unlock(&registry->lock);
	conn_drop(conn, "session ended by a newer login or a reset");
	conn_try_free(conn);
}

static void grant_run(struct engine_post *post)
{
	struct iscsi_session *session = container_of(post, struct iscsi_session, grant_post);
	struct iscsi_conn *conn = session->conn;
	struct iscsi_registry *registry = server_registry(conn->server);

	pthread_mutex_lock(&registry->lock);
	session->grant_posted = false;
	pthread_mutex_unlock(&registry->lock);
	if (conn->phase == CONN_CLOSING)
		conn_try_free(conn);
	else
		login_granted(conn);
}

static void post_drop(struct iscsi_session *session)
{
	if (session->drop_posted)
		return;
	session->drop_posted = true;
	session->drop_post.run = drop_run;
	engine_post(conn_engine(session->conn), &session->drop_post);
}

/* What a login with a TSIH asks for: this session's connection to be taken over. RFC 7143 6.3.1 */
static enum iscsi_login_status judge_tsih(struct iscsi_registry *registry,
					  const struct iscsi_session *session)
{
	list_for_each (old, bucket_of(registry, session->initiator), struct iscsi_session,
		       reg_node) {
		if (old->tsih != session->tsih || !same_nexus(old, session))
			continue;
		return old->cid == session->cid ? LOGIN_SUCCESS : LOGIN_TOO_MANY_CONNECTIONS;
	}
	return LOGIN_SESSION_DOES_NOT_EXIST;
}

enum iscsi_login_status registry_enter(struct iscsi_registry *registry,
				       struct iscsi_session *session, bool *ret_wait)
{
	struct list *bucket = bucket_of(registry, session->initiator);
	enum iscsi_login_status status = LOGIN_SUCCESS;
	bool wait = false;

	pthread_mutex_lock(&registry->lock);
	if (session->tsih)
		status = judge_tsih(registry, session);
	if (status == LOGIN_SUCCESS) {
		/* A connection that is reinstated keeps its TSIH: the old owner's is handed over.
		 */
		list_for_each (old, bucket, struct iscsi_session, reg_node) {
			if (!same_nexus(old, session))
				continue;
			if (old->tsih == session->tsih)
				old->tsih = 0;
			post_drop(old);
			wait = true;
		}
		if (!session->tsih)
			session->tsih = tsih_take(registry);
		if (!session->tsih)
			status = LOGIN_OUT_OF_RESOURCES;
	}
	if (status == LOGIN_SUCCESS) {
		session->registered = true;
		session->waiting = wait;
		list_push_back(bucket, &session->reg_node);
	}
	pthread_mutex_unlock(&registry->lock);
	*ret_wait = wait;
	return status;
}

/* The first of those who wait for this name may begin, when no older one is left. */
static void grant_next(struct list *bucket, const struct iscsi_session *gone)
{
	list_for_each (next, bucket, struct iscsi_session, reg_node) {
		if (!same_nexus(next, gone))
			continue;
		if (next->waiting) {
			next->waiting = false;
			next->grant_posted = true;
			next->grant_post.run = grant_run;
			engine_post(conn_engine(next->conn), &next->grant_post);
		}
		return;
	}
}

bool registry_leave(struct iscsi_registry *registry, struct iscsi_session *session)
{
	bool free_now;

	pthread_mutex_lock(&registry->lock);
	free_now = !session->drop_posted && !session->grant_posted;
	if (free_now && session->registered) {
		/* Its nexus goes before the next one may come. */
		scsi_nexus_free(steal(session->nexus));
		list_del(&session->reg_node);
		session->registered = false;
		if (session->tsih)
			registry->tsihs[session->tsih / 8] &= (uint8_t) ~(1 << session->tsih % 8);
		grant_next(bucket_of(registry, session->initiator), session);
	}
	pthread_mutex_unlock(&registry->lock);
	return free_now;
}

void registry_drop_target(struct iscsi_registry *registry, const struct scsi_target *target)
{
	pthread_mutex_lock(&registry->lock);
	for (unsigned i = 0; i < BUCKETS; i++) {
		list_for_each (session, &registry->buckets[i], struct iscsi_session, reg_node) {
			if (session->target == target)
				post_drop(session);
		}
	}
	pthread_mutex_unlock(&registry->lock);
}
