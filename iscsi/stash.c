/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Input that was received but has to wait, since there are no buffers for it, or too many answers
 * have not been read. It lies in the engine's memory, lent for a moment, and is copied into a
 * stash of its connection. How long that may be is for initiators to say, so it is limited where
 * it comes from: a receive that is not for data with a place brings no more than what may still be
 * stashed, but STASH_RECV_MIN bytes in any case, so that everybody gets on. Data that has a place
 * is then received straight into it, even if it is short.
 *
 * So the stashes of a shard are never more than the sum of
 *
 *  - room->stash_max, an eighth of what iscsi_server_config.park_bytes gives to the shard;
 *  - ENGINE_RECV_SOME_AHEAD (512 KiB): what was under way when the limit went down; nothing with
 *    epoll, where a receive is made only when there is something;
 *  - STASH_RECV_MIN (512 bytes) for each connection.
 */
#include "iscsi/conn_priv.h"
#include <assert.h>

#define STASH_RECV_MIN 512 /* some headers: more than the longest of a direct receive */

static_assert(STASH_RECV_MIN >= ISCSI_RX_AHEAD_MAX, "what comes with data is no more");

void stash_limit(struct iscsi_shard *shard)
{
	struct iscsi_room *room = &shard->room;
	size_t left = room->stashed < room->stash_max ? room->stash_max - room->stashed : 0;

	room->recv_max = left > STASH_RECV_MIN ? left : STASH_RECV_MIN;
	engine_recv_some_limit(shard->reactor->engine, room->recv_max);
}

static void set_len(struct iscsi_conn *conn, size_t len)
{
	conn->shard->room.stashed += len - conn->stash_len;
	conn->stash_len = len;
	conn->stash_off = 0;
	stash_limit(conn->shard);
}

void stash_keep(struct iscsi_conn *conn, const uint8_t *p, size_t len)
{
	assert(!conn->stash);
	if (!len)
		return;
	conn->stash = malloc(len);
	if (!conn->stash) {
		conn_drop(conn, "out of memory");
		return;
	}
	memcpy(conn->stash, p, len);
	set_len(conn, len);
}

void stash_drop(struct iscsi_conn *conn)
{
	if (!conn->stash)
		return;
	free(steal(conn->stash));
	set_len(conn, 0);
}

/* Shrinks when half of it or more is used: so a byte is moved once at most, on the whole. */
void stash_used(struct iscsi_conn *conn, size_t len)
{
	size_t left = conn->stash_len - conn->stash_off - len;
	uint8_t *shorter;

	conn->stash_off += len;
	if (!left) {
		stash_drop(conn);
		return;
	}
	if (left > conn->stash_len / 2)
		return;
	memmove(conn->stash, conn->stash + conn->stash_off, left);
	shorter = realloc(conn->stash, left);
	if (shorter)
		conn->stash = shorter;
	set_len(conn, left);
}
