/* SPDX-License-Identifier: Apache-2.0 */
/* The command window: order, gaps, duplicates, wrap. RFC 7143 4.2.2.1 */
#include "iscsi/conn_priv.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h wants the three above first. */
#include <cmocka.h>

#define DEPTH 8

static struct iscsi_conn conn;
static struct iscsi_shard shard;
static uint32_t delivered[64];
static unsigned n_delivered, n_discarded;

static void on_deliver(struct iscsi_request *req)
{
	delivered[n_delivered++] = bhs_cmdsn(&req->bhs);
	free(req);
}

static void on_discard(struct iscsi_request *req)
{
	n_discarded++;
	free(req);
}

static void receive(struct iscsi_session *session, uint32_t cmdsn, bool immediate)
{
	struct iscsi_request *req = calloc(1, sizeof(*req));

	list_init(&req->node);
	req->deliver = on_deliver;
	req->discard = on_discard;
	req->bhs.b[0] = immediate ? BHS_IMMEDIATE : 0;
	be32_put(req->bhs.b + 24, cmdsn);
	session_receive(session, req);
}

static struct iscsi_session *session_at(uint32_t cmdsn)
{
	struct iscsi_login_result result = {.initiator = "iqn.2026-11.test:i", .discovery = true};
	struct iscsi_session *session = session_new(&result, cmdsn, &conn);

	assert_non_null(session);
	room_init(&shard.room, 1 << 30, 1000);
	conn.shard = &shard;
	conn.phase = CONN_FULL_FEATURE;
	n_delivered = n_discarded = 0;
	session_max_cmdsn(session, DEPTH);
	return session;
}

/* Starting points: plain, and such that the numbers wrap. */
static const uint32_t starts[] = {0, 1, 1000, 0x7ffffffe, 0xfffffffc, 0xffffffff};
#define for_each_start(s) for (const uint32_t *s = starts; s < starts + 6; s++)

static void in_order_is_delivered_at_once(void **state)
{
	(void)state;
	for_each_start(s)
	{
		struct iscsi_session *session = session_at(*s);

		for (uint32_t i = 0; i < DEPTH; i++)
			receive(session, *s + i, false);
		assert_int_equal(n_delivered, DEPTH);
		assert_int_equal(session->exp_cmdsn, *s + DEPTH);
		session_free(session);
	}
}

static void a_gap_holds_until_it_is_filled(void **state)
{
	(void)state;
	for_each_start(s)
	{
		struct iscsi_session *session = session_at(*s);

		receive(session, *s + 3, false);
		receive(session, *s + 1, false);
		receive(session, *s + 1, false); /* a duplicate */
		assert_int_equal(n_delivered, 0);
		assert_int_equal(n_discarded, 1);
		receive(session, *s, false);
		assert_int_equal(n_delivered, 2);
		session_skip(session, *s + 2);
		assert_int_equal(n_delivered, 3);
		assert_int_equal(delivered[2], *s + 3);
		assert_int_equal(session->exp_cmdsn, *s + 4);
		session_free(session);
	}
}

static void what_is_skipped_ahead_needs_not_come(void **state)
{
	struct iscsi_session *session = session_at(10);

	(void)state;
	session_skip(session, 11);
	receive(session, 12, false);
	assert_int_equal(n_delivered, 0);
	receive(session, 10, false);
	assert_int_equal(n_delivered, 2);
	assert_int_equal(session->exp_cmdsn, 13);
	session_free(session);
}

static void outside_the_window_is_ignored(void **state)
{
	(void)state;
	for_each_start(s)
	{
		struct iscsi_session *session = session_at(*s);

		receive(session, *s - 1, false);
		receive(session, *s + DEPTH, false);
		receive(session, *s + 0x80000000u, false);
		assert_int_equal(n_discarded, 3);
		assert_int_equal(n_delivered, 0);
		assert_int_equal(session->exp_cmdsn, *s);
		receive(session, *s + DEPTH, true); /* immediate: the window does not matter */
		assert_int_equal(n_delivered, 1);
		assert_int_equal(session->exp_cmdsn, *s);
		session_free(session);
	}
}

static void the_window_never_shrinks(void **state)
{
	struct iscsi_session *session = session_at(100);

	(void)state;
	assert_int_equal(session->max_cmdsn, 100 + DEPTH - 1);
	session->n_active = DEPTH;
	assert_int_equal(session_max_cmdsn(session, DEPTH), 100 + DEPTH - 1);
	receive(session, 100, false);
	session->n_active = 1;
	assert_int_equal(session_max_cmdsn(session, DEPTH), 100 + DEPTH - 1);
	session->n_active = 0;
	assert_int_equal(session_max_cmdsn(session, DEPTH), 101 + DEPTH - 1);
	session_free(session);
}

static void held_ones_go_with_the_session(void **state)
{
	struct iscsi_session *session = session_at(5);

	(void)state;
	receive(session, 7, false);
	receive(session, 9, false);
	session_discard_held(session);
	assert_int_equal(n_discarded, 2);
	assert_int_equal(session->n_held, 0);
	session_free(session);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_order_is_delivered_at_once),
		cmocka_unit_test(a_gap_holds_until_it_is_filled),
		cmocka_unit_test(what_is_skipped_ahead_needs_not_come),
		cmocka_unit_test(outside_the_window_is_ignored),
		cmocka_unit_test(the_window_never_shrinks),
		cmocka_unit_test(held_ones_go_with_the_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
