/* SPDX-License-Identifier: Apache-2.0 */
/* ROD tokens: POPULATE TOKEN and WRITE USING TOKEN, what tokens are good for, and for whom. */
#include "tests/scsi/copy_kit.h"
#include "tests/scsi/fake_store.h"
#include <string.h>

enum { POPULATE_HEADER = 16, WRITE_HEADER = 536, AT_TOKEN = 16, TOKEN_LEN = 512 };

struct range {
	uint64_t lba;
	uint32_t n;
};

/* One command, POPULATE TOKEN or WRITE USING TOKEN. Fields left out are 0. */
struct ask {
	unsigned nexus;
	uint32_t lun, list_id;
	const struct range *ranges;
	unsigned n;
	uint8_t flags; /* byte 2 */
	uint32_t timeout, type;
	const uint8_t *token;
	uint64_t offset;
};

static size_t build(const struct ask *ask, uint8_t *buf)
{
	unsigned header = ask->token ? WRITE_HEADER : POPULATE_HEADER;
	struct bytes_out out = bytes_out(buf, 8192);

	out_zero(&out, header);
	for (unsigned i = 0; i < ask->n; i++) {
		out_be64(&out, ask->ranges[i].lba);
		out_be32(&out, ask->ranges[i].n);
		out_zero(&out, 4);
	}
	assert_false(out.full);
	be16_put(buf, (uint16_t)(out.len - 2));
	buf[2] = ask->flags;
	be16_put(buf + header - 2, (uint16_t)(16 * ask->n));
	if (ask->token) {
		be64_put(buf + 8, ask->offset);
		memcpy(buf + AT_TOKEN, ask->token, TOKEN_LEN);
	} else {
		be32_put(buf + 4, ask->timeout);
		be32_put(buf + 8, ask->type);
	}
	return out.len;
}

static const struct answer *send_list(struct harness *h, const struct ask *ask, const uint8_t *buf,
				      size_t len)
{
	struct sent sent = {.nexus = ask->nexus,
			    .lun = ask->lun,
			    .cdb = {0x83, ask->token ? 0x11 : 0x10},
			    .out = buf,
			    .out_len = (uint32_t)len,
			    .n_segments = 4};

	be32_put(sent.cdb + 6, ask->list_id);
	be32_put(sent.cdb + 10, (uint32_t)len);
	return harness_send(h, &sent);
}

static const struct answer *send_ask(struct harness *h, const struct ask *ask)
{
	uint8_t buf[8192];

	return send_list(h, ask, buf, build(ask, buf));
}
#define ASK(h, ...) send_ask((h), &(struct ask){__VA_ARGS__})

/* RECEIVE ROD TOKEN INFORMATION. Return: whether there was a token. */
static bool receive(struct harness *h, unsigned nexus, uint32_t lun, uint32_t list_id,
		    uint8_t *ret_token)
{
	const struct answer *a = kit_receive(h, nexus, lun, 0x07, list_id);

	assert_good(a);
	assert_int_equal(be32_get(a->data), a->len - 4);
	assert_int_equal(a->data[15], 0xf1);
	if (!be32_get(a->data + 32))
		return false;
	assert_int_equal(a->len, 32 + 4 + 2 + TOKEN_LEN);
	assert_int_equal(be32_get(a->data + 32), 2 + TOKEN_LEN);
	memcpy(ret_token, a->data + 38, TOKEN_LEN);
	return true;
}

/* A token for ranges of LUN 0, asked for by nexus 0. */
static void make_token(struct harness *h, const struct range *ranges, unsigned n,
		       uint8_t *ret_token)
{
	assert_good(ASK(h, .list_id = 99, .ranges = ranges, .n = n));
	assert_true(receive(h, 0, 0, 99, ret_token));
}

static uint8_t state_of(struct harness *h, uint32_t lun, uint32_t list_id, uint64_t *ret_blocks)
{
	const struct answer *a = kit_receive(h, 0, lun, 0x07, list_id);

	assert_good(a);
	*ret_blocks = be64_get(a->data + 16);
	return a->data[5];
}

static const struct range some[] = {{100, 10}, {7, 0}, {300, 1}, {50, 20}};
#define SOME_BLOCKS 31

/* The byte of a token for some[] on LUN 0. */
static uint8_t some_byte(uint64_t at)
{
	uint64_t block = at / 512;

	block = block < 10 ? 100 + block : block < 11 ? 300 : 50 + block - 11;
	return kit_byte(0, block * 512 + at % 512);
}

static void moves_data(void **state)
{
	static const struct range to[] = {{1000, 3}, {2000, 0}, {10, 15}, {2035, 13}};
	uint8_t token[TOKEN_LEN];
	uint64_t at = 0, blocks;
	const uint8_t *disk;
	struct harness h;

	(void)state;
	kit_start(&h, 512, 512);
	make_token(&h, some, 4, token);
	assert_int_equal(state_of(&h, 0, 99, &blocks), 0x01);
	assert_int_equal(blocks, SOME_BLOCKS);
	assert_good(ASK(&h, .lun = 1, .list_id = 5, .ranges = to, .n = 4, .token = token));
	assert_int_equal(state_of(&h, 1, 5, &blocks), 0x01);
	assert_int_equal(blocks, SOME_BLOCKS);
	disk = kit_read(&h, 1);
	for (unsigned i = 0; i < 4; i++)
		for (uint64_t b = to[i].lba * 512; b < (to[i].lba + to[i].n) * 512; b++)
			assert_int_equal(disk[b], some_byte(at++));
	assert_int_equal(disk[1003 * 512], kit_byte(1, 1003 * 512));
	assert_int_equal(disk[25 * 512], kit_byte(1, 25 * 512));
	harness_stop(&h);
}

/* From the middle of a token, and beyond its end. */
static void offset_into_the_token(void **state)
{
	static const struct range to[] = {{0, 40}};
	uint8_t token[TOKEN_LEN];
	const uint8_t *disk;
	uint64_t blocks;
	struct harness h;

	(void)state;
	kit_start(&h, 512, 512);
	make_token(&h, some, 4, token);
	for (uint64_t offset = 0; offset <= SOME_BLOCKS; offset += 5) {
		uint64_t n = SOME_BLOCKS - offset;

		kit_fill(&h, 1);
		assert_good(ASK(&h, .lun = 1, .list_id = 5, .ranges = to, .n = 1, .token = token,
				.offset = offset));
		assert_int_equal(state_of(&h, 1, 5, &blocks), 0x03); /* less than was asked for */
		assert_int_equal(blocks, n);
		disk = kit_read(&h, 1);
		for (uint64_t i = 0; i < 40 * 512; i++)
			assert_int_equal(disk[i], i < n * 512 ? some_byte(offset * 512 + i)
							      : kit_byte(1, i));
	}
	assert_check(
		ASK(&h, .lun = 1, .ranges = to, .n = 1, .token = token, .offset = SOME_BLOCKS + 1),
		SENSE_INVALID_FIELD_IN_PARAMETERS);
	assert_int_equal(h.answer.sense.field, 8);
	assert_check(ASK(&h, .lun = 1, .ranges = to, .n = 1, .token = token, .offset = UINT64_MAX),
		     SENSE_INVALID_FIELD_IN_PARAMETERS);
	harness_stop(&h);
}

/* Access upon reference: what is there when it is used. */
static void refers_to_what_is_there(void **state)
{
	static const struct range from[] = {{0, 1}}, to[] = {{9, 1}};
	uint8_t token[TOKEN_LEN], block[512];
	struct harness h;

	(void)state;
	kit_start(&h, 512, 512);
	make_token(&h, from, 1, token);
	assert_int_equal(be32_get(token), ROD_ACCESS_ON_REFERENCE);
	assert_int_equal(be16_get(token + 6), TOKEN_LEN - 8);
	assert_int_equal(be64_get(token + 56), 512);
	memset(block, 0x3c, sizeof(block));
	kit_write(&h, 0, 0, block, sizeof(block));
	assert_good(ASK(&h, .lun = 1, .ranges = to, .n = 1, .token = token));
	assert_memory_equal(kit_read(&h, 1) + 9 * 512, block, sizeof(block));
	harness_stop(&h);
}

static void zeroes(void **state)
{
	static const struct range to[] = {{3, 4}, {2000, 48}, {500, 1}};
	uint8_t token[TOKEN_LEN] = {0xff, 0xff, 0x00, 0x01, [6] = 0x01, [7] = 0xf8};
	struct harness h;
	const uint8_t *disk;

	(void)state;
	kit_start(&h, 512, 512);
	/* where there is nothing to skip, the offset is no matter */
	assert_good(ASK(&h, .lun = 1, .ranges = to, .n = 3, .token = token, .offset = 1u << 31));
	disk = kit_read(&h, 1);
	for (uint64_t i = 0; i < KIT_SIZE; i++) {
		uint64_t b = i / 512;
		bool zero = (b >= 3 && b < 7) || b >= 2000 || b == 500;

		assert_int_equal(disk[i], zero ? 0 : kit_byte(1, i));
	}
	harness_stop(&h);
}

/* Every bit counts; and whoever was not given it has nothing to go by. */
static void cannot_be_made_up(void **state)
{
	static const struct range to[] = {{0, 1}};
	uint8_t token[TOKEN_LEN], other[TOKEN_LEN], bad[TOKEN_LEN];
	unsigned n_same = 0;
	const struct answer *a;
	struct harness h;

	(void)state;
	kit_start(&h, 512, 512);
	make_token(&h, some, 4, token);
	make_token(&h, some, 4, other);
	for (unsigned i = 128; i < TOKEN_LEN; i++)
		n_same += token[i] == other[i];
	assert_true(n_same < 30); /* of 384 random bytes, 1.5 on average */
	for (unsigned i = 8; i < TOKEN_LEN; i++) {
		memcpy(bad, token, TOKEN_LEN);
		bad[i] ^= 0x10;
		assert_check(ASK(&h, .lun = 1, .ranges = to, .n = 1, .token = bad),
			     SENSE_TOKEN_UNKNOWN);
	}
	memcpy(bad, token, TOKEN_LEN);
	bad[1] ^= 1;
	assert_check(ASK(&h, .lun = 1, .ranges = to, .n = 1, .token = bad), SENSE_TOKEN_TYPE);
	memcpy(bad, token, TOKEN_LEN);
	bad[7]--;
	assert_check(ASK(&h, .lun = 1, .ranges = to, .n = 1, .token = bad), SENSE_TOKEN_LENGTH);
	/* what is told of all tokens is not enough to use one */
	a = SEND(&h, .cdb = {0x84, 0x08, [12] = 4}, .expect_in = 1024);
	assert_good(a);
	assert_int_equal(a->len, 8 + 2 * 96);
	assert_int_equal(be32_get(a->data), a->len - 4);
	assert_memory_equal(a->data + 8, token, 96);
	assert_memory_equal(a->data + 8 + 96, other, 96);
	assert_good(SEND(&h, .lun = 1, .cdb = {0x84, 0x08, [12] = 4}, .expect_in = 1024));
	assert_int_equal(h.answer.len, 8); /* of another LU */
	/* nor can another initiator ask for what this one was given */
	assert_bad_field(kit_receive(&h, 1, 0, 0x07, 99), 2, -1);
	assert_int_equal(kit_read(&h, 1)[0], kit_byte(1, 0));
	/* but it may be handed over */
	assert_good(ASK(&h, .nexus = 1, .lun = 1, .ranges = to, .n = 1, .token = token));
	assert_int_equal(kit_read(&h, 1)[0], some_byte(0));
	harness_stop(&h);
}

static void of_another_tenant_is_unknown(void **state)
{
	static const struct range to[] = {{0, 1}};
	struct scsi_lu_config cfg = kit_disk(9);
	uint8_t token[TOKEN_LEN];
	struct harness one, two;

	(void)state;
	kit_start(&one, 512, 512);
	make_token(&one, some, 4, token);
	harness_start(&two);
	harness_map(&two, 0, &cfg);
	harness_settle(&two);
	assert_check(ASK(&two, .ranges = to, .n = 1, .token = token), SENSE_TOKEN_UNKNOWN);
	/* not even if both have the disk */
	assert_int_equal(scsi_target_map(two.target, 1, one.lus[0]), 0);
	harness_settle(&two);
	assert_check(ASK(&two, .ranges = to, .n = 1, .token = token), SENSE_TOKEN_UNKNOWN);
	assert_good(ASK(&one, .lun = 1, .ranges = to, .n = 1, .token = token));
	/* and no longer when the owner has lost it */
	assert_int_equal(scsi_target_remap(one.target,
					   &(struct scsi_mapping){.lun = 1, .lu = one.lus[1]}, 1),
			 0);
	harness_settle(&one);
	assert_check(ASK(&one, .lun = 1, .ranges = to, .n = 1, .token = token),
		     SENSE_INVALID_TOKEN);
	harness_stop(&two);
	harness_stop(&one);
}

static void is_deleted_once_used(void **state)
{
	static const struct range to[] = {{0, 1}};
	uint8_t token[TOKEN_LEN];
	struct harness h;

	(void)state;
	kit_start(&h, 512, 512);
	make_token(&h, some, 4, token);
	assert_good(ASK(&h, .lun = 1, .ranges = to, .n = 1, .token = token));
	assert_good(ASK(&h, .lun = 1, .ranges = to, .n = 1, .token = token, .flags = 0x02));
	assert_check(ASK(&h, .lun = 1, .ranges = to, .n = 1, .token = token), SENSE_TOKEN_UNKNOWN);
	harness_stop(&h);
}

static bool fired;

static void timer_fires(struct engine_timer *timer)
{
	(void)timer;
	fired = true;
}

static void wait_ns(struct harness *h, uint64_t ns)
{
	struct engine_timer timer = {.fire = timer_fires};

	fired = false;
	engine_timer_set(h->engine, &timer, engine_now(h->engine) + ns);
	harness_wait(h, &fired);
}

static void expires(void **state)
{
	static const struct range to[] = {{0, 1}};
	uint8_t token[TOKEN_LEN], lasting[TOKEN_LEN];
	struct harness h;

	(void)state;
	kit_start(&h, 512, 512);
	make_token(&h, some, 4, lasting);
	assert_good(ASK(&h, .list_id = 3, .ranges = some, .n = 4, .timeout = 1));
	assert_true(receive(&h, 0, 0, 3, token));
	wait_ns(&h, 1100000000);
	assert_check(ASK(&h, .lun = 1, .ranges = to, .n = 1, .token = token), SENSE_TOKEN_EXPIRED);
	assert_good(ASK(&h, .lun = 1, .ranges = to, .n = 1, .token = lasting));
	assert_good(SEND(&h, .cdb = {0x84, 0x08, [12] = 4}, .expect_in = 1024));
	assert_int_equal(h.answer.len, 8 + 96);
	assert_check(ASK(&h, .ranges = some, .n = 4, .timeout = ROD_MAX_TIMEOUT_S + 1),
		     SENSE_INVALID_FIELD_IN_PARAMETERS);
	assert_int_equal(h.answer.sense.field, 4);
	harness_stop(&h);
}

static void there_are_not_too_many(void **state)
{
	uint8_t token[TOKEN_LEN];
	struct harness h;
	unsigned n = 0;

	(void)state;
	kit_start(&h, 512, 512);
	while (ASK(&h, .list_id = n, .ranges = some, .n = 4)->status == STATUS_GOOD)
		n++;
	assert_int_equal(n, 256);
	assert_int_equal(h.answer.code, SENSE_ROD_TOKEN_RESOURCES);
	assert_bad_field(kit_receive(&h, 0, 0, 0x07, n), 2, -1);
	/* as soon as one is used up there is room for another */
	assert_true(receive(&h, 0, 0, n - 1, token));
	assert_good(ASK(&h, .lun = 1, .ranges = (struct range[]){{0, 1}}, .n = 1, .token = token,
			.flags = 0x02));
	assert_good(ASK(&h, .list_id = n, .ranges = some, .n = 4));
	harness_stop(&h);
}

/* ---- lists that are wrong ---- */

static void bad_ranges(void **state)
{
	static const struct {
		struct range ranges[2];
		enum scsi_sense_code code;
	} bad[] = {
		{{{0, 1}, {2048, 1}}, SENSE_LBA_OUT_OF_RANGE},
		{{{0, 1}, {2047, 2}}, SENSE_LBA_OUT_OF_RANGE},
		{{{0, 1}, {2049, 0}}, SENSE_LBA_OUT_OF_RANGE},
		{{{0, 1}, {UINT64_MAX, 1}}, SENSE_LBA_OUT_OF_RANGE},
		{{{0, 1}, {UINT64_C(1) << 63, UINT32_MAX}}, SENSE_LBA_OUT_OF_RANGE},
		{{{0, 1}, {5, UINT32_MAX}}, SENSE_LBA_OUT_OF_RANGE},
		{{{10, 10}, {19, 1}}, SENSE_INVALID_FIELD_IN_PARAMETERS},
		{{{10, 10}, {5, 6}}, SENSE_INVALID_FIELD_IN_PARAMETERS},
		{{{10, 10}, {0, 100}}, SENSE_INVALID_FIELD_IN_PARAMETERS},
	};
	uint8_t token[TOKEN_LEN];
	const uint8_t *disk;
	struct harness h;

	(void)state;
	kit_start(&h, 512, 512);
	make_token(&h, some, 4, token);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_check(ASK(&h, .lun = 1, .ranges = bad[i].ranges, .n = 2), bad[i].code);
		assert_check(ASK(&h, .lun = 1, .ranges = bad[i].ranges, .n = 2, .token = token),
			     bad[i].code);
	}
	disk = kit_read(&h, 1);
	for (uint64_t i = 0; i < KIT_SIZE; i++)
		assert_int_equal(disk[i], kit_byte(1, i));
	harness_stop(&h);
}

static void bad_lengths(void **state)
{
	struct range many[ROD_MAX_RANGES + 1] = {{0, 1}};
	uint8_t token[TOKEN_LEN], buf[8192];
	struct harness h;

	(void)state;
	kit_start(&h, 512, 512);
	make_token(&h, some, 4, token);
	for (unsigned write = 0; write < 2; write++) {
		struct ask ask = {.ranges = some, .n = 4, .token = write ? token : NULL};
		unsigned header = write ? WRITE_HEADER : POPULATE_HEADER;
		size_t len = build(&ask, buf);

		assert_good(send_list(&h, &ask, buf, 0)); /* no list is no error */
		for (size_t n = 1; n < len; n++)
			assert_check(send_list(&h, &ask, buf, n), SENSE_PARAMETER_LIST_LENGTH);
		be16_put(buf, (uint16_t)(header - 2 + 15)); /* not one range */
		assert_check(send_list(&h, &ask, buf, len), SENSE_INVALID_FIELD_IN_PARAMETERS);
		assert_int_equal(h.answer.sense.field, 0);
		for (unsigned n = 0; n < 3; n++) {
			static const uint16_t lens[] = {15, 17, 65};

			build(&ask, buf);
			be16_put(buf + header - 2, lens[n]);
			assert_check(send_list(&h, &ask, buf, len),
				     SENSE_INVALID_FIELD_IN_PARAMETERS);
			assert_int_equal(h.answer.sense.field, header - 2);
		}
		for (unsigned i = 0; i <= ROD_MAX_RANGES; i++)
			many[i] = (struct range){i * 2, 1};
		ask.ranges = many;
		ask.n = ROD_MAX_RANGES;
		assert_good(send_ask(&h, &ask));
		ask.n++;
		assert_check(send_ask(&h, &ask), SENSE_TOO_MANY_SEGMENTS);
		assert_check(send_list(&h, &ask, buf, 4097), SENSE_PARAMETER_LIST_LENGTH);
	}
	harness_stop(&h);
}

static void rod_types(void **state)
{
	uint8_t token[TOKEN_LEN];
	struct harness h;

	(void)state;
	kit_start(&h, 512, 512);
	/* RTV: that one, or none. Without it, ours is as good as any. */
	assert_good(ASK(&h, .list_id = 1, .ranges = some, .n = 4, .flags = 0x02,
			.type = ROD_ACCESS_ON_REFERENCE));
	assert_good(ASK(&h, .list_id = 2, .ranges = some, .n = 4, .type = 0x00800000));
	assert_true(receive(&h, 0, 0, 2, token));
	assert_int_equal(be32_get(token), ROD_ACCESS_ON_REFERENCE);
	assert_check(
		ASK(&h, .list_id = 3, .ranges = some, .n = 4, .flags = 0x02, .type = 0x00800000),
		SENSE_INVALID_FIELD_IN_PARAMETERS);
	assert_int_equal(h.answer.sense.field, 8);
	harness_stop(&h);
}

/* ---- the LUs say no ---- */

static void other_blocks_or_reserved(void **state)
{
	static const struct range to[] = {{0, 1}};
	uint8_t token[TOKEN_LEN];
	struct harness h;

	(void)state;
	kit_start(&h, 512, 4096);
	make_token(&h, some, 4, token);
	assert_check(ASK(&h, .lun = 1, .ranges = to, .n = 1, .token = token), SENSE_INVALID_TOKEN);
	harness_stop(&h);
	kit_start(&h, 512, 512);
	make_token(&h, some, 4, token);
	assert_good(SEND(&h, .nexus = 1, .lun = 0, .cdb = {0x16})); /* RESERVE (6) */
	assert_check(ASK(&h, .lun = 1, .ranges = to, .n = 1, .token = token), SENSE_INVALID_TOKEN);
	assert_int_equal(ASK(&h, .ranges = to, .n = 1)->status, STATUS_RESERVATION_CONFLICT);
	assert_good(SEND(&h, .nexus = 1, .lun = 0, .cdb = {0x17}));
	assert_good(SEND(&h, .nexus = 1, .lun = 1, .cdb = {0x16}));
	assert_int_equal(ASK(&h, .lun = 1, .ranges = to, .n = 1, .token = token)->status,
			 STATUS_RESERVATION_CONFLICT);
	assert_int_equal(kit_read(&h, 0)[0], kit_byte(0, 0));
	harness_stop(&h);
}

/* ---- in the background ---- */

static void in_the_background(void **state)
{
	static const struct range from[] = {{0, 2048}}, to[] = {{1000, 48}, {0, 1000}};
	uint8_t token[TOKEN_LEN];
	uint64_t blocks;
	struct harness h;

	(void)state;
	kit_start_fake(&h, kit_disk(1).write_cache);
	make_token(&h, from, 1, token);
	fake.hold = true;
	assert_good(ASK(&h, .lun = 1, .list_id = 8, .ranges = to, .n = 2, .token = token,
			.flags = 0x03));
	while (!fake.n_held)
		assert_true(engine_turn(h.engine, false) >= 0);
	assert_int_equal(state_of(&h, 1, 8, &blocks), 0x12);
	assert_int_equal(blocks, 0);
	assert_check(ASK(&h, .lun = 1, .list_id = 8, .ranges = to, .n = 2, .token = token),
		     SENSE_OPERATION_IN_PROGRESS);
	fake.hold = false;
	fake_release();
	while (state_of(&h, 1, 8, &blocks) != 0x01)
		assert_true(engine_turn(h.engine, false) >= 0);
	assert_int_equal(blocks, 1048);
	for (uint64_t i = 0; i < 48 * 512; i++)
		assert_int_equal(fake.mem[1000 * 512 + i], kit_byte(0, i));
	for (uint64_t i = 0; i < 1000 * 512; i++)
		assert_int_equal(fake.mem[i], kit_byte(0, 48 * 512 + i));
	/* it was to be used up */
	assert_check(ASK(&h, .lun = 1, .list_id = 8, .ranges = to, .n = 2, .token = token),
		     SENSE_TOKEN_UNKNOWN);
	harness_stop(&h);
}

/* The sense is that of a write to the LU; the token stays. */
static void failures(void **state)
{
	static const struct {
		enum duotgt_io_kind kind;
		int fail;
		enum scsi_sense_code code;
	} cases[] = {
		{DUOTGT_IO_WRITE, -5 /* EIO */, SENSE_WRITE_ERROR},
		{DUOTGT_IO_WRITE, -28 /* ENOSPC */, SENSE_SPACE_ALLOCATION_FAILED},
	};
	static const struct range from[] = {{0, 8}}, to[] = {{10, 8}};
	uint8_t token[TOKEN_LEN];
	struct harness h;

	(void)state;
	kit_start_fake(&h, kit_disk(1).write_cache);
	make_token(&h, from, 1, token);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct answer *a;

		fake.fail = cases[i].fail;
		fake.fail_kind = cases[i].kind;
		assert_check(ASK(&h, .lun = 1, .list_id = 8, .ranges = to, .n = 1, .token = token,
				 .flags = 0x02),
			     cases[i].code);
		a = kit_receive(&h, 0, 1, 0x07, 8);
		assert_good(a);
		assert_int_equal(a->data[5], 0x02);
		assert_int_equal(a->data[12], STATUS_CHECK_CONDITION);
		assert_int_equal(a->data[32 + 2], cases[i].code >> 16);
		assert_int_equal(a->data[32 + 12], cases[i].code >> 8 & 0xff);
	}
	fake.fail = 0;
	assert_good(ASK(&h, .lun = 1, .list_id = 8, .ranges = to, .n = 1, .token = token));
	harness_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moves_data),
		cmocka_unit_test(offset_into_the_token),
		cmocka_unit_test(refers_to_what_is_there),
		cmocka_unit_test(zeroes),
		cmocka_unit_test(cannot_be_made_up),
		cmocka_unit_test(of_another_tenant_is_unknown),
		cmocka_unit_test(is_deleted_once_used),
		cmocka_unit_test(expires),
		cmocka_unit_test(there_are_not_too_many),
		cmocka_unit_test(bad_ranges),
		cmocka_unit_test(bad_lengths),
		cmocka_unit_test(rod_types),
		cmocka_unit_test(other_blocks_or_reserved),
		cmocka_unit_test(in_the_background),
		cmocka_unit_test(failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
