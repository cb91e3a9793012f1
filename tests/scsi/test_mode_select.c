/* SPDX-License-Identifier: Apache-2.0 */
/* MODE SELECT (6) and (10): what they change, what they refuse, what is kept. */
#include "scsi/lu_priv.h"
#include "tests/scsi/harness.h"
#include "tests/scsi/spy.h"
#include "tests/scsi/state_dir.h"
#include "util/atomic_file.h"
#include "util/bytes.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
	PF = 0x10,
	SP = 0x01,
	DBD = 0x08,
	CURRENT = 0x00,
	CHANGEABLE = 0x40,
	DEFAULT = 0x80,
	SAVED = 0xc0,
	PS = 0x80,

	WCE = 0x04,
	D_SENSE = 0x04,
	SWP = 0x08,
	TAS = 0x40,
};

#define CACHING(wce) 0x08, 0x12, (wce), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
#define CONTROL_PAGE(d_sense, swp, tas)                                                            \
	0x0a, 0x0a, 2 | (d_sense), 0x10, (swp), (tas), 0, 0, 0, 0, 0, 0

static struct harness h;

static void start_on(struct scsi_lu_config cfg, const char *state_dir)
{
	cfg.state_dir = state_dir;
	harness_start(&h);
	harness_map(&h, 0, &cfg);
	harness_settle(&h);
}

static void start(const char *state_dir)
{
	start_on(spy_config(), state_dir);
}

static const struct answer *select6(uint8_t flags, const uint8_t *list, uint8_t len)
{
	return SEND(&h, .cdb = {0x15, flags, 0, 0, len}, .out = list, .out_len = len,
		    .n_segments = 3);
}

static const struct answer *select10(uint8_t flags, const uint8_t *list, uint16_t len)
{
	return SEND(&h, .cdb = {0x55, flags, 0, 0, 0, 0, 0, (uint8_t)(len >> 8), (uint8_t)len},
		    .out = list, .out_len = len);
}

/* A header of zeroes and these bytes. */
#define SELECT6(flags, ...)                                                                        \
	select6((flags), (const uint8_t[]){0, 0, 0, 0, __VA_ARGS__},                               \
		sizeof((const uint8_t[]){0, 0, 0, 0, __VA_ARGS__}))
#define SELECT10(flags, ...)                                                                       \
	select10((flags), (const uint8_t[]){0, 0, 0, 0, 0, 0, 0, 0, __VA_ARGS__},                  \
		 sizeof((const uint8_t[]){0, 0, 0, 0, 0, 0, 0, 0, __VA_ARGS__}))

/* Byte @at of a page. */
static uint8_t page_byte(uint8_t control, uint8_t page, unsigned at)
{
	const struct answer *a =
		SEND(&h, .cdb = {0x1a, DBD, control | page, 0, 255}, .expect_in = 255);

	assert_good(a);
	return a->data[4 + at];
}

static void assert_bad_param(const struct answer *a, unsigned byte, int bit)
{
	assert_check(a, SENSE_INVALID_FIELD_IN_PARAMETERS);
	assert_true(a->sense.has_field && !a->sense.in_cdb);
	assert_int_equal(a->sense.field, byte);
	assert_int_equal(a->sense.has_bit ? a->sense.bit : -1, bit);
}

static const struct answer *write_block(void)
{
	static const uint8_t block[512];

	return SEND(&h, .cdb = {0x2a, 0, 0, 0, 0, 0, 0, 0, 1}, .out = block, .out_len = 512);
}

static uint32_t told(unsigned nexus)
{
	return SEND(&h, .nexus = nexus, .cdb = {0x00})->code;
}

/* ---- what it changes ---- */

static void write_cache_off_flushes_and_writes_through(void **state)
{
	(void)state;
	start(NULL);
	assert_good(write_block());
	assert_int_equal(spy.flags & DUOTGT_IO_FUA, 0);
	assert_good(SELECT6(PF, CACHING(0)));
	assert_int_equal(spy.n[DUOTGT_IO_FLUSH], 1);
	assert_int_equal(page_byte(CURRENT, 0x08, 2), 0);
	assert_int_equal(page_byte(DEFAULT, 0x08, 2), WCE);
	assert_good(write_block());
	assert_int_equal(spy.flags & DUOTGT_IO_FUA, DUOTGT_IO_FUA);
	assert_good(SELECT10(PF, CACHING(WCE)));
	assert_int_equal(spy.n[DUOTGT_IO_FLUSH], 1); /* on again: nothing to flush */
	assert_good(write_block());
	assert_int_equal(spy.flags & DUOTGT_IO_FUA, 0);
	harness_stop(&h);
}

static void a_flush_that_fails_is_told(void **state)
{
	(void)state;
	start(NULL);
	spy.fail_kind = DUOTGT_IO_FLUSH;
	spy.fail_res = -EIO;
	assert_check(SELECT6(PF, CACHING(0)), SENSE_WRITE_ERROR);
	assert_check(write_block(), SENSE_WRITE_ERROR);
	harness_stop(&h);
}

static void software_write_protection(void **state)
{
	const struct answer *a;

	(void)state;
	start(NULL);
	assert_good(SELECT6(PF, CONTROL_PAGE(0, SWP, 0)));
	assert_int_equal(page_byte(CURRENT, 0x0a, 4), SWP);
	assert_check(write_block(), SENSE_WRITE_PROTECTED);
	assert_good(SEND(&h, .cdb = {0x28, 0, 0, 0, 0, 0, 0, 0, 1}, .expect_in = 512));
	a = SEND(&h, .cdb = {0x1a, DBD, 0x08, 0, 255}, .expect_in = 255);
	assert_int_equal(a->data[2], 0x90); /* WP */
	/* what was written before is still to be flushed */
	assert_good(SEND(&h, .cdb = {0x35}));
	assert_int_equal(spy.n[DUOTGT_IO_FLUSH], 1);
	assert_int_equal(scsi_lu_flush_now(h.lus[0], NULL), 0);
	assert_int_equal(spy.n[DUOTGT_IO_FLUSH], 2);
	assert_good(SELECT6(PF, CONTROL_PAGE(0, 0, 0)));
	assert_good(write_block());
	harness_stop(&h);
}

static void sense_format(void **state)
{
	(void)state;
	start(NULL);
	assert_false(SEND(&h, .cdb = {0xff})->descriptor_sense);
	assert_good(SELECT6(PF, CONTROL_PAGE(D_SENSE, 0, 0)));
	assert_true(SEND(&h, .cdb = {0xff})->descriptor_sense);
	assert_good(SELECT6(PF, CONTROL_PAGE(0, 0, 0)));
	assert_false(SEND(&h, .cdb = {0xff})->descriptor_sense);
	harness_stop(&h);
}

static void tas_is_seen_by_tasks(void **state)
{
	(void)state;
	start(NULL);
	assert_good(SELECT6(PF, CONTROL_PAGE(0, 0, TAS)));
	assert_true(scsi_lu_view(h.lus[0])->tas);
	assert_int_equal(page_byte(CURRENT, 0x0a, 5), TAS);
	harness_stop(&h);
}

static void other_nexuses_are_told(void **state)
{
	(void)state;
	start(NULL);
	assert_good(SELECT6(PF, CONTROL_PAGE(D_SENSE, 0, 0)));
	assert_int_equal(told(0), SENSE_NONE);
	assert_int_equal(told(1), SENSE_MODE_PARAMETERS_CHANGED);
	assert_int_equal(told(1), SENSE_NONE);
	/* nothing differs, so there is nothing to tell */
	assert_good(SELECT6(PF, CONTROL_PAGE(D_SENSE, 0, 0)));
	assert_int_equal(told(1), SENSE_NONE);
	harness_stop(&h);
}

static void several_pages_and_a_descriptor(void **state)
{
	(void)state;
	start(NULL);
	assert_good(select10(PF,
			     (const uint8_t[]){0, 0, 0, 0x90, 0, 0, 0, 8, /* header */
					       0, 0, 0, 0, 0, 0, 2, 0,	  /* descriptor */
					       CACHING(0), CONTROL_PAGE(D_SENSE, SWP, TAS)},
			     16 + 20 + 12));
	assert_int_equal(page_byte(CURRENT, 0x08, 2), 0);
	assert_int_equal(page_byte(CURRENT, 0x0a, 2), 2 | D_SENSE);
	assert_int_equal(page_byte(CURRENT, 0x0a, 4), SWP);
	/* of a page that comes twice the last one holds; a page as it is changes nothing */
	assert_good(SELECT6(PF, CONTROL_PAGE(D_SENSE, 0, 0), 0x1c, 0x0a, 8, 0, 0, 0, 0, 0, 0, 0, 0,
			    0, CONTROL_PAGE(0, 0, 0)));
	assert_int_equal(page_byte(CURRENT, 0x0a, 2), 2);
	harness_stop(&h);
}

static void a_list_of_nothing(void **state)
{
	(void)state;
	start(NULL);
	assert_good(select6(PF, NULL, 0));
	assert_good(select10(PF, NULL, 0));
	assert_good(SELECT6(PF, CACHING(WCE)));
	assert_int_equal(told(1), SENSE_NONE);
	harness_stop(&h);
}

/* ---- what it refuses ---- */

static void refused_by_the_cdb(void **state)
{
	(void)state;
	start(NULL);
	assert_bad_field(SELECT6(0, CACHING(0)), 1, 4);
	assert_bad_field(SELECT6(PF | SP, CACHING(0)), 1, 0); /* nowhere to save */
	assert_bad_field(SEND(&h, .cdb = {0x55, PF, 0, 0, 0, 0, 0, 4, 1}), 7, -1);
	assert_int_equal(page_byte(CURRENT, 0x08, 2), WCE);
	harness_stop(&h);
}

/* Each cut of a good list, but for the ends of its parts. */
static void truncated(void **state)
{
	static const uint8_t list[] = {0, 0, 0, 0, 0,	       0,
				       0, 8, 0, 0, 0,	       0,
				       0, 0, 2, 0, CACHING(0), CONTROL_PAGE(D_SENSE, 0, 0)};

	(void)state;
	for (uint16_t len = 1; len < sizeof(list); len++) {
		start(NULL);
		if (len == 16 || len == 36)
			assert_good(select10(PF, list, len));
		else
			assert_check(select10(PF, list, len), SENSE_PARAMETER_LIST_LENGTH);
		/* all or nothing */
		assert_int_equal(page_byte(CURRENT, 0x08, 2), len == 36 ? 0 : WCE);
		assert_int_equal(page_byte(CURRENT, 0x0a, 2), 2);
		harness_stop(&h);
	}
	start(NULL);
	/* the initiator sends less than it has said */
	assert_check(SEND(&h, .cdb = {0x55, PF, 0, 0, 0, 0, 0, 0, sizeof(list)}, .out = list,
			  .out_len = 36),
		     SENSE_PARAMETER_LIST_LENGTH);
	assert_int_equal(page_byte(CURRENT, 0x08, 2), WCE);
	harness_stop(&h);
}

/* Each bit that MODE SENSE says cannot be changed is refused when it is, with a pointer at it. */
static void unchangeable_bits(void **state)
{
	static const uint8_t pages[][2] = {{0x01, 0x0a}, {0x02, 0x0e}, {0x08, 0x12},
					   {0x0a, 0x0a}, {0x1a, 0x26}, {0x1c, 0x0a}};
	unsigned n_refused = 0, n_changed = 0;

	(void)state;
	start(NULL);
	for (unsigned p = 0; p < sizeof(pages) / sizeof(pages[0]); p++) {
		size_t len = 2u + pages[p][1];
		const struct answer *a;
		uint8_t mask[64], list[64] = {0};

		a = SEND(&h, .cdb = {0x1a, DBD, CHANGEABLE | pages[p][0], 0, 255},
			 .expect_in = 255);
		memcpy(mask, a->data + 4, len);
		for (unsigned bit = 16; bit < 8 * len; bit++) {
			a = SEND(&h, .cdb = {0x1a, DBD, pages[p][0], 0, 255}, .expect_in = 255);
			memcpy(list + 4, a->data + 4, len);
			list[4 + bit / 8] ^= 1u << bit % 8;
			a = select6(PF, list, (uint8_t)(4 + len));
			if (mask[bit / 8] & 1u << bit % 8) {
				assert_good(a);
				n_changed++;
			} else {
				assert_bad_param(a, 4 + bit / 8, bit % 8);
				n_refused++;
			}
			harness_settle(&h);
		}
	}
	assert_int_equal(n_changed, 7);
	assert_true(n_refused > 600);
	harness_stop(&h);
}

static void bad_lists(void **state)
{
	(void)state;
	start(NULL);
	/* headers */
	assert_bad_param(select6(PF, (const uint8_t[]){0, 1, 0, 0}, 4), 1, 0);
	assert_bad_param(select6(PF, (const uint8_t[]){0, 0, 0x20, 0}, 4), 2, 5);
	assert_bad_param(select6(PF, (const uint8_t[]){0, 0, 0, 16}, 4), 3, -1);
	assert_bad_param(select10(PF, (const uint8_t[]){0, 0, 0, 0, 2, 0, 0, 0}, 8), 4, 1);
	assert_bad_param(select10(PF, (const uint8_t[]){0, 0, 0, 0, 1, 0, 0, 8}, 8), 6, -1);
	/* block descriptors: another length, another number */
	assert_bad_param(select6(PF, (const uint8_t[]){0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0x10, 0}, 12),
			 9, -1);
	assert_bad_param(select6(PF, (const uint8_t[]){0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 2, 0}, 12), 4,
			 -1);
	assert_bad_param(select10(PF, (const uint8_t[]){0, 0, 0, 0, 1, 0, 0, 16, 0, 0, 0, 0,
							0, 0, 0, 0, 0, 0, 0, 0,	 0, 0, 4, 0},
				  24),
			 20, -1);
	/* pages */
	assert_bad_param(SELECT6(PF, 0x03, 0), 4, 5);
	assert_bad_param(SELECT6(PF, PS | CACHING(0)), 4, 7);
	assert_bad_param(SELECT6(PF, 0x08, 0x13), 5, -1);
	assert_bad_param(SELECT6(PF, 0x4a, 0x00, 0, 0x0a), 4, 6);
	assert_bad_param(SELECT6(PF, 0x4a, 0x01, 0, 0x1b), 6, -1);
	/* the good page before it does not count */
	assert_bad_param(SELECT6(PF, CACHING(0), 0x3e, 0), 24, 5);
	assert_int_equal(page_byte(CURRENT, 0x08, 2), WCE);
	assert_int_equal(told(1), SENSE_NONE);
	harness_stop(&h);
}

static void a_full_descriptor_is_accepted(void **state)
{
	uint8_t list[24] = {0, 0, 0, 0x10, 1, 0, 0, 16};

	(void)state;
	start(NULL);
	be64_put(list + 8, scsi_lu_blocks(h.lus[0]));
	be32_put(list + 20, 512);
	assert_good(select10(PF, list, sizeof(list)));
	be64_put(list + 8, UINT64_MAX);
	assert_good(select10(PF, list, sizeof(list)));
	be64_put(list + 8, scsi_lu_blocks(h.lus[0]) + 1);
	assert_bad_param(select10(PF, list, sizeof(list)), 8, -1);
	harness_stop(&h);
}

/* ---- what is kept ---- */

static void saved_values(void **state)
{
	const char *dir = state_dir_make();

	(void)state;
	start(dir);
	assert_int_equal(page_byte(SAVED, 0x08, 0), PS | 0x08);
	assert_int_equal(page_byte(SAVED, 0x08, 2), WCE);
	assert_int_equal(page_byte(SAVED, 0x02, 0), 0x02); /* nothing in it to be saved */
	assert_good(SELECT6(PF | SP, CACHING(0), CONTROL_PAGE(0, 0, TAS)));
	harness_settle(&h);
	assert_int_equal(state_dir_files(), 1);
	assert_good(SELECT6(PF, CONTROL_PAGE(D_SENSE, 0, TAS))); /* not saved */
	harness_settle(&h);
	assert_int_equal(page_byte(SAVED, 0x0a, 2), 2);
	assert_int_equal(page_byte(CURRENT, 0x0a, 2), 2 | D_SENSE);
	harness_stop(&h);

	start(dir); /* the next process */
	assert_int_equal(page_byte(CURRENT, 0x08, 2), 0);
	assert_int_equal(page_byte(SAVED, 0x08, 2), 0);
	assert_int_equal(page_byte(DEFAULT, 0x08, 2), WCE);
	assert_int_equal(page_byte(CURRENT, 0x0a, 2), 2);
	assert_int_equal(page_byte(CURRENT, 0x0a, 5), TAS);
	harness_stop(&h);
	state_dir_remove();
}

struct reset {
	struct scsi_tmf tmf;
	bool done;
};

static void reset_done(struct scsi_tmf *tmf)
{
	container_of(tmf, struct reset, tmf)->done = true;
}

static void reset_lu(void)
{
	struct reset reset = {
		.tmf = {.function = TMF_LU_RESET, .nexus = h.nexus[0], .done = reset_done}};

	scsi_tmf_start(&reset.tmf);
	harness_wait(&h, &reset.done);
}

static void a_reset_brings_the_saved_values_back(void **state)
{
	const char *dir = state_dir_make();
	struct scsi_lu *lu;

	(void)state;
	start(dir);
	lu = h.lus[0];
	assert_good(SELECT6(PF | SP, CONTROL_PAGE(0, 0, TAS)));
	assert_good(SELECT6(PF, CONTROL_PAGE(D_SENSE, SWP, 0)));
	harness_settle(&h);
	reset_lu();
	harness_settle(&h);
	assert_int_equal(page_byte(CURRENT, 0x0a, 2), 2);
	assert_int_equal(page_byte(CURRENT, 0x0a, 4), 0);
	assert_int_equal(page_byte(CURRENT, 0x0a, 5), TAS);
	assert_false(scsi_lu_view(lu)->swp);
	harness_stop(&h);
	state_dir_remove();
}

static void saving_fails(void **state)
{
	const char *dir = state_dir_make();

	(void)state;
	start(dir);
	state_dir_remove();
	assert_check(SELECT6(PF | SP, CACHING(0)), SENSE_INTERNAL_TARGET_FAILURE);
	assert_int_equal(page_byte(CURRENT, 0x08, 2), WCE);
	assert_int_equal(told(1), SENSE_NONE);
	harness_stop(&h);
}

static void a_spoilt_file_is_not_overlooked(void **state)
{
	struct scsi_lu_config cfg;
	char why[256] = "";
	struct scsi_lu *lu;

	(void)state;
	start(state_dir_make());
	assert_good(SELECT6(PF | SP, CACHING(0)));
	cfg = harness_lu_config();
	cfg.state_dir = h.lus[0]->state_dir;
	state_dir_spoil();
	assert_int_equal(scsi_lu_new(&cfg, &lu, why, sizeof(why)), -EBADMSG);
	assert_non_null(strstr(why, "not understood"));
	harness_stop(&h);
	state_dir_remove();
}

/* Whole files, which the CRC vouches for, but no pages. */
static void a_strange_file_is_not_overlooked(void **state)
{
	static const uint8_t cut[] = {0x08, 0x12, 0}, unknown[] = {0x3e, 0x01, 0xff, 0x08, 0x01, 0};
	struct scsi_lu_config cfg = spy_config();
	const char *dir = state_dir_make();
	char name[64], why[256] = "";
	struct scsi_lu *lu;

	(void)state;
	for (unsigned i = 0; i < 16; i++)
		snprintf(name + 2 * i, 3, "%02x", cfg.uuid[i]);
	strcpy(name + 32, ".mode");
	cfg.state_dir = dir;
	assert_int_equal(atomic_file_write(dir, name, cut, sizeof(cut)), 0);
	assert_int_equal(scsi_lu_new(&cfg, &lu, why, sizeof(why)), -EBADMSG);
	/* pages of another version are left alone */
	assert_int_equal(atomic_file_write(dir, name, unknown, sizeof(unknown)), 0);
	start(dir);
	assert_int_equal(page_byte(CURRENT, 0x08, 2), WCE);
	harness_stop(&h);
	state_dir_remove();
}

/* ---- a thin LU: page 1C/02 ---- */

static void thresholds(void **state)
{
	struct scsi_lu_config cfg = harness_lu_config();
	const struct answer *a;
	uint8_t list[8 + 0x18] = {0};

	(void)state;
	cfg.thin = true;
	cfg.params.size = 64 << 20; /* 131072 blocks: 64 units, a tenth of them is 6 */
	start_on(cfg, NULL);
	assert_int_equal(page_byte(CURRENT, 0x01, 7), 0x80); /* LBPERE */
	a = SEND(&h, .cdb = {0x5a, DBD, 0x1c, 0x02, 0, 0, 0, 0, 255}, .expect_in = 255);
	assert_good(a);
	assert_int_equal(a->len, sizeof(list));
	memcpy(list + 8, a->data + 8, 0x18);
	assert_int_equal(be32_get(list + 8), 0x5c020014);
	assert_int_equal(be16_get(list + 24), 0x8001);
	assert_int_equal(be32_get(list + 28), 6);
	be32_put(list + 28, 10);
	assert_good(select10(PF, list, sizeof(list)));
	assert_int_equal(scsi_lu_view(h.lus[0])->space.count, 10);
	a = SEND(&h, .cdb = {0x5a, DBD, 0x1c, 0x02, 0, 0, 0, 0, 255}, .expect_in = 255);
	assert_int_equal(be32_get(a->data + 28), 10);
	list[24] = 0;
	assert_good(select10(PF, list, sizeof(list)));
	assert_true(scsi_lu_view(h.lus[0])->space.off);
	list[24] = 0x88; /* another type of threshold */
	assert_bad_param(select10(PF, list, sizeof(list)), 24, 3);
	harness_settle(&h);
	assert_good(SELECT6(PF, 0x01, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
	assert_true(scsi_lu_view(h.lus[0])->space.quiet);
	harness_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(write_cache_off_flushes_and_writes_through),
		cmocka_unit_test(a_flush_that_fails_is_told),
		cmocka_unit_test(software_write_protection),
		cmocka_unit_test(sense_format),
		cmocka_unit_test(tas_is_seen_by_tasks),
		cmocka_unit_test(other_nexuses_are_told),
		cmocka_unit_test(several_pages_and_a_descriptor),
		cmocka_unit_test(a_list_of_nothing),
		cmocka_unit_test(refused_by_the_cdb),
		cmocka_unit_test(truncated),
		cmocka_unit_test(unchangeable_bits),
		cmocka_unit_test(bad_lists),
		cmocka_unit_test(a_full_descriptor_is_accepted),
		cmocka_unit_test(saved_values),
		cmocka_unit_test(a_reset_brings_the_saved_values_back),
		cmocka_unit_test(saving_fails),
		cmocka_unit_test(a_spoilt_file_is_not_overlooked),
		cmocka_unit_test(a_strange_file_is_not_overlooked),
		cmocka_unit_test(thresholds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
