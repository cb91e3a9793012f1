/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every value of the protect field, of every command that has one, on each protection type and two
 * block lengths, with each field of the tuple right and wrong: against tables typed in here from
 * the standard, which know nothing of the program's.
 */
#include "tests/scsi/pi_kit.h"
#include <stdlib.h>
#include <string.h>

enum {
	LBA = 5,
	N = 3,	 /* blocks of a command */
	BAD = 1, /* which of them has a wrong field */
	APP = 0x1234,
	REF_2 = 0xfffffffe, /* of type 2: it wraps */
	UNIT_MAX = 4096 + 8,
};

enum what { READS, VERIFIES, WRITES, COMPARES, COMPARES_SAME, SAMES, CAWS, ORS, ATOMICS };

/* clang-format off */
static const struct command {
	const char *name;
	uint8_t opcode, sa;
	enum what what;
	unsigned len;
	uint8_t flags;
} commands[] = {
	{"READ (10)", 0x28, 0, READS, 10, 0},
	{"READ (12)", 0xa8, 0, READS, 12, 0},
	{"READ (16)", 0x88, 0, READS, 16, 0},
	{"READ (32)", 0x7f, 0x09, READS, 32, 0},
	{"VERIFY (10)", 0x2f, 0, VERIFIES, 10, 0},
	{"VERIFY (12)", 0xaf, 0, VERIFIES, 12, 0},
	{"VERIFY (16)", 0x8f, 0, VERIFIES, 16, 0},
	{"VERIFY (32)", 0x7f, 0x0a, VERIFIES, 32, 0},
	{"VERIFY (10), BYTCHK 1", 0x2f, 0, COMPARES, 10, 0x02},
	{"VERIFY (12), BYTCHK 1", 0xaf, 0, COMPARES, 12, 0x02},
	{"VERIFY (16), BYTCHK 1", 0x8f, 0, COMPARES, 16, 0x02},
	{"VERIFY (32), BYTCHK 1", 0x7f, 0x0a, COMPARES, 32, 0x02},
	{"VERIFY (16), BYTCHK 3", 0x8f, 0, COMPARES_SAME, 16, 0x06},
	{"VERIFY (32), BYTCHK 3", 0x7f, 0x0a, COMPARES_SAME, 32, 0x06},
	{"WRITE (10)", 0x2a, 0, WRITES, 10, 0},
	{"WRITE (12)", 0xaa, 0, WRITES, 12, 0},
	{"WRITE (16)", 0x8a, 0, WRITES, 16, 0},
	{"WRITE (16), FUA", 0x8a, 0, WRITES, 16, 0x08},
	{"WRITE (32)", 0x7f, 0x0b, WRITES, 32, 0},
	{"WRITE AND VERIFY (10)", 0x2e, 0, WRITES, 10, 0x02},
	{"WRITE AND VERIFY (12)", 0xae, 0, WRITES, 12, 0},
	{"WRITE AND VERIFY (16)", 0x8e, 0, WRITES, 16, 0x02},
	{"WRITE AND VERIFY (32)", 0x7f, 0x0c, WRITES, 32, 0x02},
	{"WRITE SAME (10)", 0x41, 0, SAMES, 10, 0},
	{"WRITE SAME (16)", 0x93, 0, SAMES, 16, 0},
	{"WRITE SAME (32)", 0x7f, 0x0d, SAMES, 32, 0},
	{"COMPARE AND WRITE", 0x89, 0, CAWS, 16, 0},
	{"ORWRITE (16)", 0x8b, 0, ORS, 16, 0},
	{"ORWRITE (32)", 0x7f, 0x0e, ORS, 32, 0},
	{"WRITE ATOMIC (16)", 0x9c, 0, ATOMICS, 16, 0},
};

/* By the field's value: which fields are looked at (g guard, a application, r reference tag). */
static const char *const read_table[8] =  {"gar", "gar", "ar", "", "g", NULL, NULL, NULL};
static const char *const write_table[8] = {"", "gar", "ar", "", "g", "gar", NULL, NULL};
static const char *const before_write[8] = {"gar", "gar", "ar", "", "g", "gar", NULL, NULL};
static const char *const compare_medium[8] = {"gar", "", "", "", "", "", NULL, NULL};
static const char *const compare_table[8] = {"", "gar", "ar", "gar", "gar", "gar", NULL, NULL};
/* clang-format on */

/* One play: what is wrong, and where. */
struct play {
	const struct command *command;
	unsigned type, value;
	uint32_t block_size;
	char wrong;	/* 'g', 'a', 'r'; 0: nothing */
	bool on_medium; /* else in data-out */
	bool escape; /* the block's application tag (of type 3 the reference tag, too) says FFh */
};

static uint8_t out[2 * N * UNIT_MAX];

static bool has_tags(const struct play *p)
{
	return p->command->opcode == 0x7f && p->command->sa != 0x0e;
}

static uint32_t first_ref(const struct play *p)
{
	return p->type == 2 ? REF_2 : LBA;
}

static bool is_one_block(const struct play *p)
{
	return p->command->what == SAMES || p->command->what == COMPARES_SAME;
}

/* Of the range's block @i; of type 3, a block that stands for many keeps its tag. */
static uint32_t ref_of(const struct play *p, unsigned i)
{
	return first_ref(p) + (is_one_block(p) && p->type == 3 ? 0 : i);
}

static void spoil(uint8_t *tuple, char field)
{
	switch (field) {
	case 'g':
		tuple[1] ^= 0x01;
		break;
	case 'a':
		tuple[3] ^= 0x10;
		break;
	case 'r':
		tuple[7] ^= 0x40;
		break;
	}
}

static void escape(const struct play *p, uint8_t *tuple)
{
	memset(tuple + 2, 0xff, p->type == 3 ? 6 : 2);
}

/* Blocks LBA on, as the medium has them: with patterns 0x20, 0x21, … or, for ORWRITE, zeroes. */
static void fill_medium(const struct play *p)
{
	uint8_t unit[UNIT_MAX], *tuple = unit + p->block_size;

	for (unsigned i = 0; i < N; i++) {
		uint8_t pattern = p->command->what == COMPARES_SAME ? 0x20 : (uint8_t)(0x20 + i);

		pi_kit_unit(unit, p->block_size, pattern, APP, ref_of(p, i));
		if (p->on_medium && i == BAD && p->wrong)
			spoil(tuple, p->wrong);
		if (p->on_medium && i == BAD && p->escape)
			escape(p, tuple);
		memcpy(pi_kit[PI_DATA].now + (size_t)(LBA + i) * p->block_size, unit,
		       p->block_size);
		pi_kit_set_tuple(LBA + i, tuple);
	}
}

/* Which block of data-out has the wrong field. */
static unsigned bad_block(const struct play *p)
{
	return is_one_block(p) ? 0 : BAD;
}

/* Data-out that agrees with the medium; the second half of COMPARE AND WRITE as well. */
static uint32_t fill_out(const struct play *p, bool tuples)
{
	uint32_t unit = p->block_size + (tuples ? 8 : 0);
	unsigned n = is_one_block(p) ? 1 : p->command->what == CAWS ? 2 * N : N;
	uint8_t whole[UNIT_MAX];

	if (p->command->what == READS || p->command->what == VERIFIES)
		return 0;
	for (unsigned i = 0; i < n; i++) {
		pi_kit_unit(whole, p->block_size, (uint8_t)(0x20 + i % N), APP,
			    first_ref(p) + i % N);
		if (!p->on_medium && i == bad_block(p) && p->wrong)
			spoil(whole + p->block_size, p->wrong);
		if (!p->on_medium && i == bad_block(p) && p->escape)
			escape(p, whole + p->block_size);
		memcpy(out + (size_t)i * unit, whole, unit);
	}
	return n * unit;
}

static void make_cdb(const struct play *p, uint8_t *cdb)
{
	const struct command *c = p->command;
	uint8_t flags = (uint8_t)(p->value << 5 | c->flags);

	cdb[0] = c->opcode;
	if (c->len == 10) {
		cdb[1] = flags;
		be32_put(cdb + 2, LBA);
		be16_put(cdb + 7, N);
	} else if (c->len == 12) {
		cdb[1] = flags;
		be32_put(cdb + 2, LBA);
		be32_put(cdb + 6, N);
	} else if (c->len == 16) {
		cdb[1] = flags;
		be64_put(cdb + 2, LBA);
		cdb[13] = N; /* also where there is but a byte, or two */
		if (c->what == ATOMICS) {
			cdb[13] = N;
			cdb[12] = 0;
		}
	} else {
		cdb[7] = 0x18;
		cdb[9] = c->sa;
		cdb[10] = flags;
		be64_put(cdb + 12, LBA);
		be32_put(cdb + 28, N);
		if (has_tags(p)) {
			be32_put(cdb + 20, first_ref(p));
			be16_put(cdb + 24, APP);
			be16_put(cdb + 26, 0xffff);
		}
	}
}

/* Whether it is known what the field has to be. */
static bool is_known(const struct play *p, char field)
{
	if (field == 'g')
		return true;
	if (p->type == 2)
		return has_tags(p);
	return p->type == 1 && field == 'r';
}

static bool looks_at(const struct play *p, const char *const *table, char field)
{
	return strchr(table[p->value], field) && is_known(p, field);
}

static uint32_t code_of(uint8_t key, char field)
{
	return (uint32_t)key << 16 | 0x1000 | (field == 'g' ? 1 : field == 'a' ? 2 : 3);
}

/* Of a comparison nothing has to be known. */
static bool is_compared(const struct play *p, const char *const *table, char field)
{
	(void)table;
	if (!strchr(compare_table[p->value], field))
		return false;
	return field != 'r' || p->type != 3 || p->value == 5;
}

static bool compares(const struct play *p)
{
	return p->command->what == COMPARES || p->command->what == COMPARES_SAME;
}

/* An escape has changed tags, too. */
static bool is_wrong(const struct play *p, char field)
{
	return p->wrong == field || (p->escape && (field == 'a' || (field == 'r' && p->type == 3)));
}

/* The first wrong field among those that @counts; 0: none. */
static char first_wrong(const struct play *p, const char *const *table,
			bool (*counts)(const struct play *p, const char *const *table, char field))
{
	for (const char *field = "gar"; *field; field++)
		if (is_wrong(p, *field) && counts(p, table, *field))
			return *field;
	return 0;
}

/* What the standard says of it; 0: GOOD. */
static uint32_t expected(const struct play *p)
{
	enum what what = p->command->what;
	bool reads = what == READS || what == VERIFIES;
	char field;

	if (p->command->opcode == 0x7f && p->command->sa != 0x0e && p->type != 2)
		return SENSE_INVALID_OPCODE;
	if (p->type == 2 && p->value && !has_tags(p))
		return SENSE_INVALID_OPCODE;
	if (p->value > (reads ? 4 : 5))
		return SENSE_INVALID_FIELD_IN_CDB;
	if (!p->on_medium && !reads) {
		field = first_wrong(p, write_table, looks_at);
		if (field)
			return code_of(0x0b, field);
	}
	/* Writes do not look at what was there before; a comparison and ORWRITE do. */
	if (p->on_medium && !p->escape && (reads || compares(p) || what == ORS || what == CAWS)) {
		field = first_wrong(p,
				    compares(p) ? compare_medium
				    : reads	? read_table
						: before_write,
				    looks_at);
		if (field)
			return code_of(0x0b, field);
	}
	if (compares(p) && p->value) {
		field = first_wrong(p, NULL, is_compared);
		if (field)
			return code_of(0x0e, field);
	}
	/* COMPARE AND WRITE compares all that comes with the block, whatever is checked. */
	if (what == CAWS && p->value && (p->wrong || p->escape))
		return SENSE_MISCOMPARE;
	return 0;
}

static void check_answer(const struct play *p, const struct answer *a)
{
	uint32_t code = expected(p);

	if (a->code != code || a->status != (code ? STATUS_CHECK_CONDITION : STATUS_GOOD))
		fail_msg("%s, type %u, protect %u, blocks of %u, %c wrong %s%s: %06x, not %06x",
			 p->command->name, p->type, p->value, p->block_size,
			 p->wrong ? p->wrong : '-', p->on_medium ? "on the medium" : "in data-out",
			 p->escape ? ", escaped" : "", a->code, code);
	if (code >> 16 == 0x0b) {
		unsigned i = p->on_medium ? BAD : bad_block(p);

		assert_true(a->sense.has_info);
		assert_int_equal(a->sense.info, LBA + i);
	}
	if (code == SENSE_INVALID_FIELD_IN_CDB)
		assert_bad_field(a, p->command->len == 32 ? 10 : 1, 7);
}

/* After a GOOD write the medium has what came, or what is made of it. */
static void check_written(const struct play *p)
{
	uint8_t unit[UNIT_MAX], tuple[8];

	for (unsigned i = 0; i < N; i++) {
		unsigned from = is_one_block(p) ? 0 : i;

		pi_kit_unit(unit, p->block_size, (uint8_t)(0x20 + from), APP, ref_of(p, from));
		if (!p->on_medium && from == bad_block(p) && p->value && p->wrong)
			spoil(unit + p->block_size, p->wrong);
		if (!p->on_medium && from == bad_block(p) && p->value && p->escape)
			escape(p, unit + p->block_size);
		if (is_one_block(p) && p->type != 3)
			be32_put(unit + p->block_size + 4, be32_get(unit + p->block_size + 4) + i);
		assert_memory_equal(pi_kit[PI_DATA].now + (size_t)(LBA + i) * p->block_size, unit,
				    p->block_size);
		pi_kit_tuple(LBA + i, tuple);
		if (p->command->what == ORS && p->value) /* its guard is made anew */
			be16_put(unit + p->block_size, pi_kit_crc(unit, p->block_size));
		if (p->value) {
			assert_memory_equal(tuple, unit + p->block_size, 8);
		} else { /* the tags are ours to choose, but where it is known what they are */
			assert_memory_equal(tuple, unit + p->block_size, 2);
			if (p->type != 3 && is_known(p, 'r'))
				assert_memory_equal(tuple + 4, unit + p->block_size + 4, 4);
			assert_int_not_equal(be16_get(tuple + 2), 0xffff);
		}
	}
}

static void check_read(const struct play *p, const struct answer *a)
{
	uint32_t unit = p->block_size + (p->value ? 8 : 0);
	uint8_t whole[UNIT_MAX];

	assert_int_equal(a->in_len, N * unit);
	for (unsigned i = 0; i < N; i++) {
		memcpy(whole, pi_kit[PI_DATA].now + (size_t)(LBA + i) * p->block_size,
		       p->block_size);
		pi_kit_tuple(LBA + i, whole + p->block_size);
		assert_memory_equal(a->data + (size_t)i * unit, whole, unit);
	}
}

static void play(struct harness *h, const struct play *p)
{
	struct sent sent = {.expect_in = N * UNIT_MAX, .out = out, .n_segments = 4};
	const struct answer *a;

	fill_medium(p);
	sent.out_len = fill_out(p, p->value);
	if (sent.out_len)
		sent.expect_in = 0;
	make_cdb(p, sent.cdb);
	a = harness_send(h, &sent);
	check_answer(p, a);
	if (a->status != STATUS_GOOD)
		return;
	if (p->command->what == READS)
		check_read(p, a);
	else if (p->command->what >= WRITES && !compares(p))
		check_written(p);
}

static void play_all(struct harness *h, unsigned type, uint32_t block_size,
		     const struct command *command)
{
	for (unsigned value = 0; value < 8; value++)
		for (unsigned i = 0; i < 16; i++) {
			struct play p = {command,	 type,	value, block_size,
					 "\0gar"[i & 3], i & 4, i & 8};

			/* An escape is a changed tag itself: it goes with a wrong guard. */
			if (p.escape && p.wrong != 'g')
				continue;
			play(h, &p);
		}
}

/* REPORT SUPPORTED OPERATION CODES has the field where the LU does not refuse it altogether. */
static void assert_told(struct harness *h, unsigned type, const struct command *command)
{
	struct play p = {command, type, 1, 512, 0, false, false};
	struct sent sent = {.out = out};
	bool refused, told;
	const struct answer *a;

	fill_medium(&p);
	sent.out_len = fill_out(&p, p.value);
	sent.expect_in = sent.out_len ? 0 : N * UNIT_MAX;
	make_cdb(&p, sent.cdb);
	refused = harness_send(h, &sent)->code == SENSE_INVALID_OPCODE;
	a = SEND(h, .cdb = {0xa3, 0x0c, 3, command->opcode, 0, command->sa, [9] = 64},
		 .expect_in = 64);
	assert_good(a);
	told = (a->data[1] & 7) == 3 && a->data[4 + (command->opcode == 0x7f ? 10 : 1)] & 0xe0;
	if (told == refused)
		fail_msg("%s: type %u: %s", command->name, type,
			 told ? "refused, but reported" : "not reported");
}

/* With RWWP, each that writes and brings no tuples is refused, with a pointer at its field. */
static void writes_without(void **state)
{
	/* header; control page: D_SENSE and the like as they are, ATO and RWWP */
	uint8_t list[4 + 12] = {0, 0, 0, 0, 0x0a, 0x0a, 2, 0x10, 0, 0x80};
	unsigned type = *(const unsigned *)*state;
	struct harness h;

	pi_kit_reset();
	pi_kit_start(&h, type, 512);
	for (unsigned on = 0; on < 2; on++) {
		list[9] = on ? 0x90 : 0x80;
		assert_good(SEND(&h, .cdb = {0x15, 0x10, [4] = sizeof(list)}, .out = list,
				 .out_len = sizeof(list)));
		assert_int_equal(
			SEND(&h, .cdb = {0x1a, 0x08, 0x0a, 0, 64}, .expect_in = 64)->data[4 + 5],
			list[9]);
		for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
			struct play p = {&commands[i], type, 0, 512, 0, false, false};
			enum what what = commands[i].what;
			struct sent sent = {.out = out};
			const struct answer *a;

			if (what == ATOMICS || (commands[i].opcode == 0x7f && type != 2 &&
						commands[i].sa != 0x0e)) /* not there */
				continue;
			fill_medium(&p);
			sent.out_len = fill_out(&p, 0);
			sent.expect_in = sent.out_len ? 0 : N * UNIT_MAX;
			make_cdb(&p, sent.cdb);
			a = harness_send(&h, &sent);
			if (on && (what == WRITES || what == SAMES || what == CAWS || what == ORS))
				assert_bad_field(a, commands[i].opcode == 0x7f ? 10 : 1, 7);
			else
				assert_good(a);
		}
		if (on)
			assert_check(
				SEND(&h, .cdb = {0x0a, 0, 0, 5, 1}, .out = out, .out_len = 512),
				SENSE_INVALID_FIELD_IN_CDB);
	}
	/* the LU is formatted without: nothing to reject */
	assert_good(SEND(&h, .cdb = {0x04}));
	assert_good(SEND(&h, .cdb = {0x0a, 0, 0, 5, 1}, .out = out, .out_len = 512));
	harness_stop(&h);
}

static char state_dir[] = "/tmp/test_pi_tables-XXXXXX";

static void every_value(void **state)
{
	unsigned type = *(const unsigned *)*state;
	static const uint32_t sizes[] = {512, 4096};
	struct harness h;

	for (unsigned s = 0; s < 2; s++) {
		struct scsi_lu_config cfg = pi_kit_config(type, sizes[s]);

		pi_kit_reset();
		cfg.state_dir = state_dir; /* for WRITE ATOMIC */
		harness_start(&h);
		harness_map(&h, 0, &cfg);
		harness_settle(&h);
		for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
			play_all(&h, type, sizes[s], &commands[i]);
		for (unsigned i = 0; s == 0 && i < sizeof(commands) / sizeof(commands[0]); i++)
			assert_told(&h, type, &commands[i]);
		harness_stop(&h);
	}
}

/* Without protection there are no such bits, though FORMAT UNIT could enable it. */
static void type_0_refuses(void **state)
{
	struct harness h;

	(void)state;
	pi_kit_reset();
	pi_kit_start(&h, 0, 512);
	for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		for (unsigned value = 1; value < 8; value++) {
			struct play p = {.command = &commands[i],
					 .type = 0,
					 .value = value,
					 .block_size = 512};
			struct sent sent = {.expect_in = 4096, .out = out, .out_len = 520 * N};

			if (commands[i].what == ATOMICS)
				continue;
			make_cdb(&p, sent.cdb);
			assert_check(harness_send(&h, &sent), SENSE_INVALID_FIELD_IN_CDB);
		}
	harness_stop(&h);
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(state_dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	return rmdir(state_dir);
}

int main(void)
{
	static unsigned types[] = {1, 2, 3};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(every_value, &types[0]),
		cmocka_unit_test_prestate(every_value, &types[1]),
		cmocka_unit_test_prestate(every_value, &types[2]),
		cmocka_unit_test_prestate(writes_without, &types[0]),
		cmocka_unit_test_prestate(writes_without, &types[1]),
		cmocka_unit_test_prestate(writes_without, &types[2]),
		cmocka_unit_test(type_0_refuses),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
