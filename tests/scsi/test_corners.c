/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The corners of every LBA and number of blocks, of every command that has them, by the rows: on
 * disks of two block lengths, with and without protection information, and on a CD-ROM. What is
 * within the medium and the limits of VPD page B0 does what it should to just those blocks; what
 * is not is refused by the sense that fits, with no request to a store.
 */
#include "tests/scsi/cdb_fields.h"
#include "tests/scsi/pi_kit.h"
#include "tests/scsi/state_dir.h"
#include <stdlib.h>
#include <string.h>

#define SIZE (256u << 10) /* of the medium */
#define TRANSFER (32u << 10)
#define ROOM (300u << 10) /* for data-in and data-out */

#define P31 (UINT64_C(1) << 31)
#define P32 (UINT64_C(1) << 32)
#define P63 (UINT64_C(1) << 63)

/* What goes into the data buffer, and what becomes of the medium. */
enum data {
	NO_DATA,
	READS,	      /* all blocks */
	COMPARES,     /* all blocks, with the medium */
	COMPARES_ONE, /* each with one block */
	WRITES,
	SETS_BITS,
	SWAPS,	     /* twice the blocks: what is there, and what is to be */
	REPEATS_ONE, /* writes one block again and again */
	ZEROES,	     /* with no data */
};

/* What a number of blocks of 0 is, and which field of page B0 is the most there can be. */
enum zero { ZERO_IS_NONE, ZERO_IS_256, ZERO_IS_ALL, ZERO_AS_WSNZ_SAYS };
enum limit { NO_LIMIT, MAX_TRANSFER, MAX_CAW, MAX_ATOMIC, MAX_SAME };

/* A command that takes a range: in each way that it can have with it. */
static const struct way {
	uint8_t opcode, sa, flags;
	enum data data;
	enum limit limit;
	enum zero zero;
} ways[] = {
	{0x08, NO_SA, 0, READS, MAX_TRANSFER, ZERO_IS_256},
	{0x0a, NO_SA, 0, WRITES, MAX_TRANSFER, ZERO_IS_256},
	{0x28, NO_SA, 0, READS, MAX_TRANSFER, ZERO_IS_NONE},
	{0x2a, NO_SA, 0, WRITES, MAX_TRANSFER, ZERO_IS_NONE},
	{0x2e, NO_SA, 0, WRITES, MAX_TRANSFER, ZERO_IS_NONE},
	{0x2e, NO_SA, 0x02, WRITES, MAX_TRANSFER, ZERO_IS_NONE},
	{0x2f, NO_SA, 0, NO_DATA, NO_LIMIT, ZERO_IS_NONE},
	{0x2f, NO_SA, 0x02, COMPARES, MAX_TRANSFER, ZERO_IS_NONE},
	{0x2f, NO_SA, 0x06, COMPARES_ONE, NO_LIMIT, ZERO_IS_NONE},
	{0x34, NO_SA, 0, NO_DATA, NO_LIMIT, ZERO_IS_ALL},
	{0x35, NO_SA, 0, NO_DATA, NO_LIMIT, ZERO_IS_ALL},
	{0x41, NO_SA, 0, REPEATS_ONE, MAX_SAME, ZERO_AS_WSNZ_SAYS},
	{0x41, NO_SA, 0x08, REPEATS_ONE, MAX_SAME, ZERO_AS_WSNZ_SAYS},
	{0x7f, 0x09, 0, READS, MAX_TRANSFER, ZERO_IS_NONE},
	{0x7f, 0x0a, 0, NO_DATA, NO_LIMIT, ZERO_IS_NONE},
	{0x7f, 0x0a, 0x02, COMPARES, MAX_TRANSFER, ZERO_IS_NONE},
	{0x7f, 0x0a, 0x06, COMPARES_ONE, NO_LIMIT, ZERO_IS_NONE},
	{0x7f, 0x0b, 0, WRITES, MAX_TRANSFER, ZERO_IS_NONE},
	{0x7f, 0x0c, 0, WRITES, MAX_TRANSFER, ZERO_IS_NONE},
	{0x7f, 0x0c, 0x02, WRITES, MAX_TRANSFER, ZERO_IS_NONE},
	{0x7f, 0x0d, 0, REPEATS_ONE, MAX_SAME, ZERO_AS_WSNZ_SAYS},
	{0x7f, 0x0d, 0x09, ZEROES, MAX_SAME, ZERO_AS_WSNZ_SAYS},
	{0x7f, 0x0e, 0, SETS_BITS, MAX_TRANSFER, ZERO_IS_NONE},
	{0x88, NO_SA, 0, READS, MAX_TRANSFER, ZERO_IS_NONE},
	{0x89, NO_SA, 0, SWAPS, MAX_CAW, ZERO_IS_NONE},
	{0x8a, NO_SA, 0, WRITES, MAX_TRANSFER, ZERO_IS_NONE},
	{0x8b, NO_SA, 0, SETS_BITS, MAX_TRANSFER, ZERO_IS_NONE},
	{0x8e, NO_SA, 0, WRITES, MAX_TRANSFER, ZERO_IS_NONE},
	{0x8e, NO_SA, 0x02, WRITES, MAX_TRANSFER, ZERO_IS_NONE},
	{0x8f, NO_SA, 0, NO_DATA, NO_LIMIT, ZERO_IS_NONE},
	{0x8f, NO_SA, 0x02, COMPARES, MAX_TRANSFER, ZERO_IS_NONE},
	{0x8f, NO_SA, 0x06, COMPARES_ONE, NO_LIMIT, ZERO_IS_NONE},
	{0x90, NO_SA, 0, NO_DATA, NO_LIMIT, ZERO_IS_ALL},
	{0x91, NO_SA, 0, NO_DATA, NO_LIMIT, ZERO_IS_ALL},
	{0x93, NO_SA, 0, REPEATS_ONE, MAX_SAME, ZERO_AS_WSNZ_SAYS},
	{0x93, NO_SA, 0x01, ZEROES, MAX_SAME, ZERO_AS_WSNZ_SAYS},
	{0x93, NO_SA, 0x09, ZEROES, MAX_SAME, ZERO_AS_WSNZ_SAYS},
	{0x9c, NO_SA, 0, WRITES, MAX_ATOMIC, ZERO_IS_NONE},
	{0xa8, NO_SA, 0, READS, MAX_TRANSFER, ZERO_IS_NONE},
	{0xaa, NO_SA, 0, WRITES, MAX_TRANSFER, ZERO_IS_NONE},
	{0xae, NO_SA, 0, WRITES, MAX_TRANSFER, ZERO_IS_NONE},
	{0xae, NO_SA, 0x02, WRITES, MAX_TRANSFER, ZERO_IS_NONE},
	{0xaf, NO_SA, 0, NO_DATA, NO_LIMIT, ZERO_IS_NONE},
	{0xaf, NO_SA, 0x02, COMPARES, MAX_TRANSFER, ZERO_IS_NONE},
	{0xaf, NO_SA, 0x06, COMPARES_ONE, NO_LIMIT, ZERO_IS_NONE},
};

/* A LU to try them on. */
struct bench {
	struct harness h;
	uint32_t block;
	uint64_t cap;		       /* blocks of the medium */
	uint64_t limits[MAX_SAME + 1]; /* in blocks, by page B0 */
	bool wsnz;
	unsigned n_sent, n_done;
};

/* ---- blocks: every one on the medium is old_block(), and what is written new_block() ---- */

static uint8_t old_byte(uint64_t i)
{
	return (uint8_t)(i * 7 + i / 256 + 1);
}

static uint8_t new_byte(uint64_t i)
{
	return (uint8_t)(i * 13 + i / 256 + 0x40);
}

static void fill(uint8_t *to, uint64_t n_blocks, uint32_t block, uint8_t (*byte)(uint64_t))
{
	for (uint64_t i = 0; i < n_blocks * block; i++)
		to[i] = byte(i % block);
}

static uint8_t byte_after(enum data data, uint64_t i)
{
	switch (data) {
	case WRITES:
	case SWAPS:
	case REPEATS_ONE:
		return new_byte(i);
	case SETS_BITS:
		return old_byte(i) | new_byte(i);
	case ZEROES:
		return 0;
	default:
		return old_byte(i);
	}
}

static bool changes(enum data data)
{
	return data >= WRITES;
}

/* ---- the bench ---- */

static uint8_t old_medium[SIZE];

/* All blocks as they were, by a command, so that their tuples are right. */
static void restore(struct bench *b, uint64_t lba, uint64_t n)
{
	struct sent sent = {.cdb = {0x93}, .out = old_medium, .out_len = b->block};

	if (!n)
		return;
	cdb_put(sent.cdb + 2, 8, lba);
	cdb_put(sent.cdb + 10, 4, n);
	assert_good(harness_send(&b->h, &sent));
}

static void learn_limits(struct bench *b)
{
	const struct answer *a = SEND(&b->h, .cdb = {0x12, 1, 0xb0, 0, 64}, .expect_in = 64);

	if (a->status != STATUS_GOOD) /* a CD-ROM has none */
		return;
	b->wsnz = a->data[4] & 1;
	b->limits[MAX_CAW] = a->data[5];
	assert_in_range(be32_get(a->data + 8), 1, b->limits[MAX_TRANSFER]);
	b->limits[MAX_TRANSFER] = be32_get(a->data + 8);
	b->limits[MAX_SAME] = be64_get(a->data + 36);
	b->limits[MAX_ATOMIC] = be32_get(a->data + 44);
}

static void start(struct bench *b, const struct pi_kit_kind *kind)
{
	struct scsi_lu_config cfg = pi_kit_config_of(kind);
	uint32_t block = kind->block_size;

	cfg.params.size = SIZE;
	cfg.max_transfer = TRANSFER;
	cfg.state_dir = kind->cdrom ? NULL : state_dir_make();
	*b = (struct bench){.block = block, .cap = SIZE / block};
	b->limits[NO_LIMIT] = UINT64_MAX;
	b->limits[MAX_TRANSFER] = TRANSFER / block;
	harness_start(&b->h);
	harness_map(&b->h, 0, &cfg);
	harness_settle(&b->h);
	learn_limits(b);
	fill(old_medium, b->cap, block, old_byte);
	if (kind->cdrom)
		memcpy(pi_kit[PI_DATA].now, old_medium, SIZE);
	else
		restore(b, 0, b->cap);
	assert_memory_equal(pi_kit[PI_DATA].now, old_medium, SIZE);
}

static void stop(struct bench *b)
{
	bool has_state = b->h.lus[0]->state_dir;

	harness_stop(&b->h);
	if (has_state)
		state_dir_remove();
}

/* ---- what is to be expected ---- */

static const struct {
	uint8_t cdb_len, lba_at, lba_len, flags_at;
} layouts[] = {{6, 1, 3, 0}, {10, 2, 4, 1}, {12, 2, 4, 1}, {16, 2, 8, 1}, {32, 12, 8, 10}};

/* One try: a command of one kind with one range. */
struct play {
	const struct scsi_op *op;
	const struct way *way;
	const struct cdb_field *n_field;
	uint64_t lba, n;	   /* as the CDB has them */
	enum scsi_sense_code code; /* what it ends with */
	uint64_t info;		   /* of LBA OUT OF RANGE */
	uint64_t n_blocks;	   /* that it works on when it is done */
};

static void expect(const struct bench *b, struct play *p)
{
	bool ends = p->way->zero == ZERO_IS_ALL || p->way->zero == ZERO_AS_WSNZ_SAYS;

	p->code = SENSE_NONE;
	p->n_blocks = !p->n && p->way->zero == ZERO_IS_256 ? 256 : p->n;
	if (p->lba >= b->cap || p->n_blocks > b->cap - p->lba) {
		p->code = SENSE_LBA_OUT_OF_RANGE;
		p->info = p->lba >= b->cap ? p->lba : b->cap;
		return;
	}
	if (!p->n && ends)
		p->n_blocks = b->cap - p->lba;
	if ((!p->n && p->way->zero == ZERO_AS_WSNZ_SAYS && b->wsnz) ||
	    p->n_blocks > b->limits[p->way->limit])
		p->code = SENSE_INVALID_FIELD_IN_CDB;
}

/* Bytes of data-out for so many blocks. */
static uint64_t out_len(const struct bench *b, const struct play *p, uint64_t n_blocks)
{
	switch (p->way->data) {
	case COMPARES:
	case WRITES:
	case SETS_BITS:
		return n_blocks * b->block;
	case SWAPS:
		return n_blocks * 2 * b->block;
	case COMPARES_ONE:
		return n_blocks ? b->block : 0;
	case REPEATS_ONE:
		return b->block;
	default:
		return 0;
	}
}

static void fill_out(const struct bench *b, const struct play *p, uint8_t *out, uint64_t len)
{
	enum data data = p->way->data;
	bool old = data == COMPARES || data == COMPARES_ONE;

	fill(out, len / b->block, b->block, old ? old_byte : new_byte);
	if (data == SWAPS)
		fill(out, len / b->block / 2, b->block, old_byte);
}

/* ---- one try ---- */

static void check_refused(const struct play *p, const struct answer *a)
{
	assert_check(a, p->code);
	assert_int_equal(a->need_in + a->need_out, 0);
	if (p->code == SENSE_LBA_OUT_OF_RANGE) {
		assert_true(a->sense.has_info);
		assert_true(a->sense.info == p->info);
	} else {
		assert_bad_field(a, p->n_field->at, -1);
	}
	assert_memory_equal(pi_kit[PI_DATA].now, old_medium, SIZE);
}

static void check_done(struct bench *b, const struct play *p, const struct answer *a)
{
	uint64_t from = p->lba * b->block, len = p->n_blocks * b->block;
	const uint8_t *now = pi_kit[PI_DATA].now;
	enum data data = p->way->data;

	assert_good(a);
	assert_int_equal(a->need_in, data == READS ? len : 0);
	assert_int_equal(a->need_out, out_len(b, p, p->n_blocks));
	assert_int_equal(a->in_len, a->need_in);
	assert_int_equal(a->out_len, a->need_out);
	if (a->in_len)
		assert_memory_equal(a->data, old_medium, len);
	assert_memory_equal(now, old_medium, from);
	assert_memory_equal(now + from + len, old_medium, SIZE - from - len);
	for (uint64_t i = 0; i < len; i++)
		if (now[from + i] != byte_after(data, i % b->block))
			fail_msg("%s: byte %lu of %lu", p->op->name, i, len);
	if (changes(data))
		restore(b, p->lba, p->n_blocks);
	b->n_done++;
}

/* Of type 2, the expected one is in CDBs of 32 bytes but that of ORWRITE; ours are the LBA. */
static bool has_reference_tag(const struct bench *b, const struct scsi_op *op)
{
	return scsi_lu_view(b->h.lus[0])->protection == 2 && op->cdb_len == 32 && op->sa != 0x0e;
}

static void play(struct bench *b, struct play *p)
{
	static uint8_t out[ROOM];
	struct sent sent = {.out = out, .expect_in = ROOM, .n_segments = 3};
	uint64_t len;
	unsigned n, layout = 0;

	while (layouts[layout].cdb_len != p->op->cdb_len)
		layout++;
	if (!cdb_fits(p->n, p->n_field->len) ||
	    p->lba & ~(cdb_get(p->op->usage + layouts[layout].lba_at, layouts[layout].lba_len)))
		return;
	cdb_begin(sent.cdb, p->op);
	cdb_put(sent.cdb + layouts[layout].lba_at, layouts[layout].lba_len, p->lba);
	cdb_put(sent.cdb + p->n_field->at, p->n_field->len, p->n);
	sent.cdb[layouts[layout].flags_at] |= p->way->flags;
	if (has_reference_tag(b, p->op))
		be32_put(sent.cdb + 20, (uint32_t)p->lba);
	expect(b, p);
	len = out_len(b, p, p->n_blocks);
	sent.out_len = len < ROOM ? (uint32_t)len : ROOM / b->block * b->block;
	if (p->code == SENSE_NONE)
		fill_out(b, p, out, sent.out_len);
	n = pi_kit_requests();
	harness_send(&b->h, &sent);
	if (p->code == SENSE_NONE) {
		check_done(b, p, &b->h.answer);
	} else {
		assert_int_equal(pi_kit_requests(), n);
		check_refused(p, &b->h.answer);
	}
	b->n_sent++;
}

static void corners_of_way(struct bench *b, const struct scsi_op *op, const struct way *way)
{
	uint64_t cap = b->cap, limit = b->limits[way->limit];
	const uint64_t lbas[] = {0,	  1,   cap - 1, cap, cap + 1,	     P31 - 1,	P31,
				 P32 - 1, P32, P63 - 1, P63, UINT64_MAX - 1, UINT64_MAX};
	const uint64_t numbers[] = {0,	       1,     2,       limit - 1, limit,
				    limit + 1, 255,   256,     cap - 1,	  cap,
				    cap + 1,   65535, P31 - 1, P31,	  P32 - 1};
	struct play p = {.op = op, .way = way, .n_field = cdb_field_of(op)};

	for (unsigned i = 0; i < sizeof(lbas) / sizeof(lbas[0]); i++)
		for (unsigned j = 0; j < sizeof(numbers) / sizeof(numbers[0]); j++) {
			p.lba = lbas[i];
			p.n = numbers[j];
			play(b, &p);
		}
}

static void corners_of_range(struct bench *b, const struct scsi_op *op)
{
	unsigned n_ways = 0;

	for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (ways[i].opcode == op->opcode && ways[i].sa == op->sa) {
			corners_of_way(b, op, &ways[i]);
			n_ways++;
		}
	if (!n_ways)
		fail_msg("%s: say in ways[] what it does with its range", op->name);
}

static void corners(void **state)
{
	const struct pi_kit_kind *kind = *state;
	static struct bench b;
	unsigned n_rows = 0;

	start(&b, kind);
	for (unsigned i = 0; scsi_op_at(i); i++) {
		const struct scsi_op *op = scsi_op_at(i);

		if (cdb_field_of(op)->takes != TAKES_RANGE || !scsi_op_offered(op, b.h.lus[0]))
			continue;
		corners_of_range(&b, op);
		n_rows++;
	}
	assert_true(n_rows >= (kind->cdrom ? 2 : 24));
	assert_true(b.n_done > n_rows * 8);
	assert_true(b.n_sent > n_rows * 30);
	stop(&b);
}

int main(void)
{
	return pi_kit_run_kinds(corners);
}
