/* SPDX-License-Identifier: Apache-2.0 */
/* The ring as bytes: what is in it comes out, and what makes no sense is found. */
#include "handler/ring.h"
#include "handler/uapi.h"
#include "tests/handler/kernel.h"
#include <errno.h>
#include <stdlib.h>

enum { RING = 1024, DATA = 8192 };

static struct kernel *k;
static struct tcmu_ring *ring;

static void begin_with(uint32_t ring_bytes, uint32_t data_bytes)
{
	k = calloc(1, sizeof(*k));
	ring = calloc(1, sizeof(*ring));
	kernel_start(k, ring_bytes, data_bytes);
	assert_int_equal(tcmu_ring_init(ring, k->map, k->map_len), 0);
}

static void begin(void)
{
	begin_with(RING, DATA);
}

static void end(void)
{
	kernel_stop(k);
	free(k);
	free(ring);
}

static void complete(uint16_t id)
{
	const struct tcmu_result result = {.id = id};

	tcmu_ring_complete(ring, &result);
}

static void put_u32(size_t at, uint32_t value)
{
	memcpy(k->map + at, &value, sizeof(value));
}

static void put_u64(size_t at, uint64_t value)
{
	memcpy(k->map + at, &value, sizeof(value));
}

/* ---- sound rings ---- */

static void gives_a_command_as_it_was_queued(void **state)
{
	struct tcmu_entry e;
	struct iovec iov;
	uint16_t id;

	(void)state;
	begin();
	assert_int_equal(tcmu_ring_next(ring, &e), 0);
	id = QUEUE(k, .cdb = {0x28, 0, 1, 2, 3, 4, 0, 0, 8, 0}, .len = 4096, .n_segments = 2);
	assert_true(tcmu_ring_has_more(ring));
	assert_int_equal(tcmu_ring_next(ring, &e), 1);
	assert_false(e.is_tmr);
	assert_int_equal(e.id, id);
	assert_memory_equal(e.cdb, ((uint8_t[16]){0x28, 0, 1, 2, 3, 4, 0, 0, 8, 0}), 16);
	assert_in_range(e.cdb_len, 10, 16);
	assert_int_equal(e.n_iov, 2);
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(tcmu_ring_iov(ring, &e, i, &iov), 0);
		assert_ptr_equal(iov.iov_base, kernel_cmd(k, id)->data + i * 2048);
		assert_int_equal(iov.iov_len, 2048);
	}
	assert_int_equal(tcmu_ring_next(ring, &e), 0);
	complete(id);
	assert_int_equal(kernel_reap(k), 1);
	assert_true(kernel_is_empty(k));
	end();
}

static void completes_in_any_order(void **state)
{
	struct tcmu_entry e;
	uint16_t ids[3];
	uint8_t sense[18] = {0x70, 0, 5};
	struct tcmu_result result = {.status = 2, .sense = sense, .sense_len = sizeof(sense)};

	(void)state;
	begin();
	for (int i = 0; i < 3; i++) {
		ids[i] = QUEUE(k, .cdb = {0x12, 0, 0, 0, 96}, .len = 96);
		assert_int_equal(tcmu_ring_next(ring, &e), 1);
	}
	complete(ids[2]);
	assert_int_equal(kernel_reap(k), 1);
	assert_true(kernel_cmd(k, ids[2])->done);
	assert_false(kernel_cmd(k, ids[0])->done);
	result.id = ids[0];
	tcmu_ring_complete(ring, &result);
	result = (struct tcmu_result){.id = ids[1], .has_in_len = true, .in_len = 36};
	tcmu_ring_complete(ring, &result);
	assert_int_equal(kernel_reap(k), 2);
	assert_int_equal(kernel_cmd(k, ids[0])->status, 2);
	assert_int_equal(kernel_cmd(k, ids[0])->uflags, 0);
	assert_memory_equal(kernel_cmd(k, ids[0])->sense, sense, sizeof(sense));
	for (size_t i = sizeof(sense); i < 96; i++)
		assert_int_equal(kernel_cmd(k, ids[0])->sense[i], 0);
	assert_int_equal(kernel_cmd(k, ids[1])->uflags, UFLAG_READ_LEN);
	assert_int_equal(kernel_cmd(k, ids[1])->read_len, 36);
	assert_true(kernel_is_empty(k));
	end();
}

/* A kernel that does not know of lengths is not told any. */
static void tells_no_length_unless_offered(void **state)
{
	struct tcmu_result result = {.has_in_len = true, .in_len = 36};
	struct tcmu_entry e;

	(void)state;
	begin();
	ring->flags &= (uint16_t)~MB_READ_LEN;
	result.id = QUEUE(k, .cdb = {0x12}, .len = 96);
	assert_int_equal(tcmu_ring_next(ring, &e), 1);
	tcmu_ring_complete(ring, &result);
	assert_int_equal(kernel_reap(k), 1);
	assert_int_equal(kernel_cmd(k, result.id)->uflags, 0);
	end();
}

static void goes_round_and_round(void **state)
{
	struct tcmu_entry e;
	uint16_t ids[3];

	(void)state;
	begin();
	for (int round = 0; round < 500; round++) {
		int n = 1 + round % 3;

		for (int i = 0; i < n; i++)
			ids[i] = QUEUE(k, .cdb = {0x12}, .len = 64, .n_segments = 1 + round % 5u);
		for (int i = 0; i < n; i++) {
			assert_int_equal(tcmu_ring_next(ring, &e), 1);
			assert_int_equal(e.id, ids[i]);
		}
		assert_int_equal(tcmu_ring_next(ring, &e), 0);
		for (int i = n; i--;)
			complete(ids[i]);
		assert_int_equal(kernel_reap(k), n);
		assert_true(kernel_is_empty(k));
	}
	end();
}

/* Padding, task management and the unknown hold up nothing, wherever they stand. */
static void passes_over_what_has_no_answer(void **state)
{
	static const uint16_t named[] = {7, 9};
	struct tcmu_entry e;
	uint16_t id;
	uint32_t at;

	(void)state;
	begin();
	kernel_pad(k, 8);
	kernel_pad(k, 64);
	assert_int_equal(tcmu_ring_next(ring, &e), 0);
	assert_true(kernel_is_empty(k)); /* given back, though no command came */
	kernel_tmr(k, TMR_LUN_RESET, named, 2);
	assert_int_equal(tcmu_ring_next(ring, &e), 1);
	assert_true(e.is_tmr);
	assert_int_equal(e.tmr_type, TMR_LUN_RESET);
	assert_int_equal(tcmu_ring_next(ring, &e), 0);
	assert_true(kernel_is_empty(k));
	kernel_reap(k);
	id = QUEUE(k, .cdb = {0x00});
	at = KERNEL_RING_OFF + *(uint32_t *)(void *)(k->map + MB_CMD_HEAD);
	kernel_queue_odd(k, 5, 16);
	kernel_pad(k, 24);
	assert_int_equal(tcmu_ring_next(ring, &e), 1);
	assert_int_equal(tcmu_ring_next(ring, &e), 0);
	assert_int_equal(k->map[at + ENT_UFLAGS], UFLAG_UNKNOWN_OP);
	complete(id);
	assert_memory_equal(k->map + MB_CMD_TAIL, k->map + MB_CMD_HEAD, 4);
	end();
}

static void takes_no_more_than_it_can_hold(void **state)
{
	struct tcmu_entry e;
	unsigned n = 0;

	(void)state;
	begin_with(1 << 20, DATA);
	for (unsigned i = 0; i < TCMU_RING_OPEN_MAX + 2; i++)
		QUEUE(k, .cdb = {0x00});
	while (tcmu_ring_next(ring, &e) == 1)
		n++;
	assert_int_equal(n, TCMU_RING_OPEN_MAX);
	assert_true(tcmu_ring_has_more(ring));
	complete(3);
	assert_int_equal(tcmu_ring_next(ring, &e), 1);
	assert_int_equal(e.id, TCMU_RING_OPEN_MAX);
	assert_int_equal(tcmu_ring_next(ring, &e), 0);
	end();
}

static void begins_at_the_tail(void **state)
{
	struct tcmu_entry e;
	uint16_t id;

	(void)state;
	begin();
	id = QUEUE(k, .cdb = {0x00});
	assert_int_equal(tcmu_ring_next(ring, &e), 1);
	complete(id);
	id = QUEUE(k, .cdb = {0x00});
	assert_int_equal(tcmu_ring_init(ring, k->map, k->map_len), 0);
	assert_int_equal(tcmu_ring_next(ring, &e), 1);
	assert_int_equal(e.id, id);
	end();
}

/* ---- others ---- */

static void mailbox_is(size_t at, uint32_t value, bool is_16)
{
	begin();
	if (is_16)
		memcpy(k->map + at, &value, 2);
	else
		put_u32(at, value);
	assert_int_equal(tcmu_ring_init(ring, k->map, k->map_len), -EPROTO);
	assert_non_null(ring->why);
	end();
}

static void refuses_mailboxes_that_lie(void **state)
{
	(void)state;
	mailbox_is(MB_VERSION, 1, true);
	mailbox_is(MB_VERSION, 3, true);
	mailbox_is(MB_FLAGS, MB_READ_LEN, true);
	mailbox_is(MB_CMDR_OFF, 0, false);
	mailbox_is(MB_CMDR_OFF, 64, false);
	mailbox_is(MB_CMDR_OFF, 129, false);
	mailbox_is(MB_CMDR_OFF, 0xfffffff8, false);
	mailbox_is(MB_CMDR_OFF, KERNEL_RING_OFF + DATA + 8, false);
	mailbox_is(MB_CMDR_SIZE, 0, false);
	mailbox_is(MB_CMDR_SIZE, RING + DATA + 8, false);
	mailbox_is(MB_CMDR_SIZE, 1001, false);
	mailbox_is(MB_CMDR_SIZE, 0xfffffff8, false);
	mailbox_is(MB_CMD_TAIL, RING, false);
	mailbox_is(MB_CMD_TAIL, 4, false);
	mailbox_is(MB_CMD_TAIL, 0xffffffff, false);
	begin();
	assert_int_equal(tcmu_ring_init(ring, k->map, 67), -EPROTO);
	assert_int_equal(tcmu_ring_init(ring, k->map + 4, k->map_len - 4), -EPROTO);
	end();
}

static void refuses_heads_outside(void **state)
{
	static const uint32_t heads[] = {RING, 4, 0xffffffff, RING + 8};
	struct tcmu_entry e;

	(void)state;
	for (unsigned i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		begin();
		put_u32(MB_CMD_HEAD, heads[i]);
		assert_int_equal(tcmu_ring_next(ring, &e), -EPROTO);
		end();
	}
}

/* One command of two segments, with a word of its entry altered. */
static void entry_is(size_t at, uint64_t value, bool is_64)
{
	struct tcmu_entry e;

	begin();
	QUEUE(k, .cdb = {0x28}, .len = 4096, .n_segments = 2);
	if (is_64)
		put_u64(KERNEL_RING_OFF + at, value);
	else
		put_u32(KERNEL_RING_OFF + at, (uint32_t)value);
	assert_int_equal(tcmu_ring_next(ring, &e), -EPROTO);
	assert_int_equal(ring->n_open, 0);
	end();
}

static void refuses_entries_that_lie(void **state)
{
	(void)state;
	entry_is(ENT_LEN_OP, 0 | OP_IS_CMD, false);
	entry_is(ENT_LEN_OP, 8 | OP_IS_CMD, false);
	entry_is(ENT_LEN_OP, 104 | OP_IS_CMD, false);
	entry_is(ENT_LEN_OP, 136 | OP_IS_CMD, false); /* beyond the head */
	entry_is(ENT_LEN_OP, RING | OP_IS_CMD, false);
	entry_is(ENT_LEN_OP, 0xfffffff8 | OP_IS_CMD, false);
	entry_is(ENT_LEN_OP, 0 | OP_IS_PAD, false);
	entry_is(ENT_LEN_OP, 0xfffffff8 | OP_IS_PAD, false);
	entry_is(ENT_LEN_OP, 24 | OP_IS_TMR, false);
	entry_is(REQ_IOV_CNT, 6, false);
	entry_is(REQ_IOV_CNT, 0xffffffff, false);
	entry_is(REQ_IOV_BIDI_CNT, 4, false);
	entry_is(REQ_IOV_BIDI_CNT, 0xfffffffe, false);
	entry_is(REQ_IOV_DIF_CNT, 0xffffffff, false);
	entry_is(REQ_CDB_OFF, 0, true);
	entry_is(REQ_CDB_OFF, KERNEL_RING_OFF, true);
	entry_is(REQ_CDB_OFF, KERNEL_RING_OFF + 128, true);
	entry_is(REQ_CDB_OFF, UINT64_MAX, true);
	entry_is(REQ_CDB_OFF, UINT64_MAX - 7, true);
}

static void segment_is(uint64_t base, uint64_t len, int expected)
{
	struct tcmu_entry e;
	struct iovec iov;

	begin();
	QUEUE(k, .cdb = {0x28}, .len = 4096, .n_segments = 2);
	put_u64(KERNEL_RING_OFF + REQ_IOV + 16, base);
	put_u64(KERNEL_RING_OFF + REQ_IOV + 24, len);
	assert_int_equal(tcmu_ring_next(ring, &e), 1);
	assert_int_equal(tcmu_ring_iov(ring, &e, 0, &iov), 0);
	assert_int_equal(tcmu_ring_iov(ring, &e, 1, &iov), expected);
	end();
}

static void refuses_segments_outside_the_data(void **state)
{
	const uint64_t data = KERNEL_RING_OFF + RING;

	(void)state;
	segment_is(data, DATA, 0);
	segment_is(data + DATA, 0, 0);
	segment_is(data, DATA + 1, -EPROTO);
	segment_is(data - 1, 16, -EPROTO); /* in the ring */
	segment_is(0, 16, -EPROTO);	   /* the mailbox */
	segment_is(data + DATA + 1, 0, -EPROTO);
	segment_is(data + 1, DATA, -EPROTO);
	segment_is(data, UINT64_MAX, -EPROTO);
	segment_is(UINT64_MAX, 1, -EPROTO);
	segment_is(UINT64_MAX - data + 1, data, -EPROTO);
}

static void refuses_task_management_that_lies(void **state)
{
	static const uint16_t named[2];
	struct tcmu_entry e;

	(void)state;
	begin();
	kernel_tmr(k, TMR_ABORT_TASK, named, 2);
	put_u32(KERNEL_RING_OFF + TMR_CMD_CNT, 5);
	assert_int_equal(tcmu_ring_next(ring, &e), -EPROTO);
	put_u32(KERNEL_RING_OFF + TMR_CMD_CNT, 0xffffffff);
	assert_int_equal(tcmu_ring_next(ring, &e), -EPROTO);
	put_u32(KERNEL_RING_OFF + TMR_CMD_CNT, 4);
	assert_int_equal(tcmu_ring_next(ring, &e), 1);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_a_command_as_it_was_queued),
		cmocka_unit_test(completes_in_any_order),
		cmocka_unit_test(tells_no_length_unless_offered),
		cmocka_unit_test(goes_round_and_round),
		cmocka_unit_test(passes_over_what_has_no_answer),
		cmocka_unit_test(takes_no_more_than_it_can_hold),
		cmocka_unit_test(begins_at_the_tail),
		cmocka_unit_test(refuses_mailboxes_that_lie),
		cmocka_unit_test(refuses_heads_outside),
		cmocka_unit_test(refuses_entries_that_lie),
		cmocka_unit_test(refuses_segments_outside_the_data),
		cmocka_unit_test(refuses_task_management_that_lies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
