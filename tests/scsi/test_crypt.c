/* SPDX-License-Identifier: Apache-2.0 */
/* An encrypted LU: what is in its store, what is read of it, and that nothing goes past the layer.
 */
#include "scsi/crypt/crypt.h"
#include "scsi/crypt/xts.h"
#include "scsi/lu_priv.h"
#include "tests/scsi/crypt_kit.h"
#include "tests/scsi/spy.h"
#include "util/bytes.h"
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK = 512, N = 16 };

/* ---- the cipher ---- */

static const uint8_t key[CRYPT_KEY_LEN] = {
	0x27, 0x18, 0x28, 0x18, 0x28, 0x45, 0x90, 0x45, 0x23, 0x53, 0x60, 0x28, 0x74,
	0x71, 0x35, 0x26, 0x62, 0x49, 0x77, 0x57, 0x24, 0x70, 0x93, 0x69, 0x99, 0x59,
	0x57, 0x49, 0x66, 0x96, 0x76, 0x27, 0x31, 0x41, 0x59, 0x26, 0x53, 0x58, 0x97,
	0x93, 0x23, 0x84, 0x62, 0x64, 0x33, 0x83, 0x27, 0x95, 0x02, 0x88, 0x41, 0x97,
	0x16, 0x93, 0x99, 0x37, 0x51, 0x05, 0x82, 0x09, 0x74, 0x94, 0x45, 0x92,
};

/* IEEE 1619-2007, annex B, vector 10: data unit FFh of 512 bytes; its begin and its end. */
static void known_vector(void **state)
{
	static const uint8_t begin[] = {
		0x1c, 0x3b, 0x3a, 0x10, 0x2f, 0x77, 0x03, 0x86, 0xe4, 0x83, 0x6c,
		0x99, 0xe3, 0x70, 0xcf, 0x9b, 0xea, 0x00, 0x80, 0x3f, 0x5e, 0x48,
		0x23, 0x57, 0xa4, 0xae, 0x12, 0xd4, 0x14, 0xa3, 0xe6, 0x3b,
	};
	static const uint8_t last[] = {
		0x77, 0x3d, 0xad, 0x38, 0x01, 0x4b, 0xd2, 0x09, 0x2f, 0xa7, 0x55,
		0xc8, 0x24, 0xbb, 0x5e, 0x54, 0xc4, 0xf3, 0x6f, 0xfd, 0xa9, 0xfc,
		0xea, 0x70, 0xb9, 0xc6, 0xe6, 0x93, 0xe1, 0x48, 0xc1, 0x51,
	};
	uint8_t data[3 * BLOCK], plain[3 * BLOCK];
	struct crypt_xts *xts;

	(void)state;
	for (unsigned i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t)i;
	memcpy(data, plain, sizeof(data));
	assert_int_equal(crypt_xts_new(key, &xts), 0);
	assert_int_equal(crypt_xts_encrypt(xts, 0xfe, BLOCK, data, sizeof(data)), 0);
	assert_memory_equal(data + BLOCK, begin, sizeof(begin));
	assert_memory_equal(data + 2 * BLOCK - sizeof(last), last, sizeof(last));
	assert_memory_not_equal(data, data + BLOCK, BLOCK); /* each by its LBA */
	assert_int_equal(crypt_xts_decrypt(xts, 0xfe, BLOCK, data, sizeof(data)), 0);
	assert_memory_equal(data, plain, sizeof(data));
	/* what was never written: whole blocks, and units of one */
	crypt_xts_encrypt(xts, UINT64_C(1) << 40, BLOCK, data, sizeof(data));
	memset(data + BLOCK, 0, BLOCK);
	memset(data + 32, 0, 16);
	memset(plain + BLOCK, 0, BLOCK);
	memset(plain + 32, 0, 16);
	assert_int_equal(crypt_xts_decrypt(xts, UINT64_C(1) << 40, BLOCK, data, sizeof(data)), 0);
	assert_memory_equal(data, plain, sizeof(data));
	crypt_xts_free(xts);
}

static void *crypt_much(void *arg)
{
	uint8_t data[BLOCK], plain[BLOCK];

	for (uint64_t lba = 0; lba < 500; lba++) {
		memset(plain, (int)lba + 1, BLOCK);
		memcpy(data, plain, BLOCK);
		if (crypt_xts_encrypt(arg, lba, BLOCK, data, BLOCK) < 0 ||
		    crypt_xts_decrypt(arg, lba, BLOCK, data, BLOCK) < 0 ||
		    memcmp(data, plain, BLOCK))
			return "differs";
	}
	return NULL;
}

static void from_several_threads(void **state)
{
	pthread_t threads[4];
	struct crypt_xts *xts;
	void *failed;

	(void)state;
	assert_int_equal(crypt_xts_new(key, &xts), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, crypt_much, xts), 0);
	for (unsigned i = 0; i < 4; i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	crypt_xts_free(xts);
}

/* ---- a LU over a store that can be looked into ---- */

struct scene {
	struct harness h;
	struct scsi_lu_config cfg;
};

static void start_with(struct scene *s, uint32_t block, bool thin)
{
	s->cfg = spy_config();
	s->cfg.block_size = block;
	s->cfg.thin = thin;
	crypt_kit_use(&s->cfg);
	harness_start(&s->h);
	harness_map(&s->h, 0, &s->cfg);
	harness_settle(&s->h);
}

static int set_up(void **state)
{
	static struct scene scene;

	crypt_kit_make();
	start_with(&scene, BLOCK, true);
	*state = &scene;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *s = *state;

	harness_stop(&s->h);
	crypt_kit_remove();
	return 0;
}

static void fill(uint8_t *data, size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(i * 7 + i / 251 + seed);
}

static const struct answer *write_at(struct scene *s, uint32_t lba, const void *data, uint16_t n)
{
	struct sent sent = {.cdb = {0x2a}, .out = data, .n_segments = 5};

	sent.out_len = n * s->cfg.block_size;
	be32_put(sent.cdb + 2, lba);
	be16_put(sent.cdb + 7, n);
	return harness_send(&s->h, &sent);
}

static const struct answer *read_at(struct scene *s, uint32_t lba, uint16_t n, uint32_t most)
{
	struct sent sent = {.cdb = {0x28}, .n_segments = 7};

	sent.expect_in = n * s->cfg.block_size < most ? n * s->cfg.block_size : most;
	be32_put(sent.cdb + 2, lba);
	be16_put(sent.cdb + 7, n);
	return harness_send(&s->h, &sent);
}

static bool in_store(const void *data, size_t len)
{
	return memmem(spy.data, SPY_SIZE, data, len);
}

/* No 16 bytes of it are in the store; it is read back, in pieces of any length. */
static void stores_nothing_in_the_clear(void **state)
{
	struct scene *s = *state;
	uint8_t data[N * BLOCK], again[N * BLOCK];

	fill(data, sizeof(data), 1);
	memcpy(again, data, sizeof(data));
	assert_good(write_at(s, 100, data, N));
	assert_memory_equal(data, again, sizeof(data)); /* what is the initiator's stays so */
	for (size_t i = 0; i < sizeof(data); i += CRYPT_UNIT)
		assert_false(in_store(data + i, CRYPT_UNIT));
	for (uint32_t most = 1; most <= sizeof(data); most += most < 40 ? 1 : 333) {
		const struct answer *a = read_at(s, 100, N, most);

		assert_good(a);
		assert_int_equal(a->len, most);
		assert_memory_equal(a->data, data, most);
	}
	/* the same at another place is something else */
	memcpy(again, spy.data + 100 * BLOCK, sizeof(again));
	assert_good(write_at(s, 200, data, N));
	for (unsigned i = 0; i < N; i++)
		assert_memory_not_equal(spy.data + (200 + i) * BLOCK, again + i * BLOCK, BLOCK);
}

static void unmapped_blocks_are_zeroes(void **state)
{
	static const uint8_t zeroes[BLOCK];
	struct scene *s = *state;
	uint8_t data[N * BLOCK], list[24] = {0, 22, 0, 16, [15] = 3, [19] = 2};
	const struct answer *a;

	fill(data, sizeof(data), 2);
	assert_memory_equal(read_at(s, 0, 1, BLOCK)->data, zeroes, BLOCK);
	assert_good(write_at(s, 0, data, N));
	assert_good(SEND(&s->h, .cdb = {0x42, [8] = 24}, .out = list, .out_len = 24));
	memset(data + 3 * BLOCK, 0, 2 * BLOCK);
	a = read_at(s, 0, N, sizeof(data));
	assert_memory_equal(a->data, data, sizeof(data));
	/* zeroes that are written are not unmapped, and look like anything */
	assert_good(write_at(s, 3, zeroes, 1));
	assert_memory_not_equal(spy.data + 3 * BLOCK, zeroes, BLOCK);
	assert_memory_equal(read_at(s, 3, 1, BLOCK)->data, zeroes, BLOCK);
}

/* The commands that compare, and those that write without being a WRITE. */
static void other_commands(void **state)
{
	struct scene *s = *state;
	uint8_t data[2 * BLOCK], both[2 * BLOCK];

	fill(data, sizeof(data), 3);
	/* WRITE AND VERIFY and VERIFY, BYTCHK */
	assert_good(SEND(&s->h, .cdb = {0x2e, 2, [5] = 8, [8] = 2}, .out = data,
			 .out_len = sizeof(data), .n_segments = 3));
	assert_good(SEND(&s->h, .cdb = {0x2f, 2, [5] = 8, [8] = 2}, .out = data,
			 .out_len = sizeof(data)));
	data[700] ^= 1;
	assert_check(SEND(&s->h, .cdb = {0x2f, 2, [5] = 8, [8] = 2}, .out = data,
			  .out_len = sizeof(data)),
		     SENSE_MISCOMPARE);
	data[700] ^= 1;
	/* COMPARE AND WRITE */
	memcpy(both, data, BLOCK);
	fill(both + BLOCK, BLOCK, 4);
	assert_good(SEND(&s->h, .cdb = {0x89, [9] = 8, [13] = 1}, .out = both,
			 .out_len = sizeof(both)));
	assert_memory_equal(read_at(s, 8, 1, BLOCK)->data, both + BLOCK, BLOCK);
	/* ORWRITE */
	memset(data, 0x0f, BLOCK);
	assert_good(SEND(&s->h, .cdb = {0x8b, [9] = 8, [13] = 1}, .out = data, .out_len = BLOCK));
	for (unsigned i = 0; i < BLOCK; i++)
		both[BLOCK + i] |= 0x0f;
	assert_memory_equal(read_at(s, 8, 1, BLOCK)->data, both + BLOCK, BLOCK);
	/* WRITE SAME, with more than a piece of it, and with UNMAP */
	assert_good(SEND(&s->h, .cdb = {0x41, [5] = 16, [7] = 2}, .out = data, .out_len = BLOCK));
	for (unsigned lba = 16; lba < 16 + 512; lba += 37)
		assert_memory_equal(read_at(s, lba, 1, BLOCK)->data, data, BLOCK);
	assert_false(in_store(data, CRYPT_UNIT));
	memset(data, 0, BLOCK);
	assert_good(
		SEND(&s->h, .cdb = {0x41, 8, [5] = 16, [7] = 1}, .out = data, .out_len = BLOCK));
	assert_memory_equal(spy.data + 16 * BLOCK, data, BLOCK);
	assert_memory_equal(read_at(s, 16 + 255, 1, BLOCK)->data, data, BLOCK);
}

/* What is in the folder while a write is under way. */
#define UNDO "123456789abc4def8123456789abcdef.undo"

static const struct duotgt_backend_ops *below;
static uint8_t undo[64 * BLOCK];
static size_t undo_len;

static void submit_noted(void *store, struct engine *engine, struct duotgt_io *io)
{
	FILE *file = io->kind == DUOTGT_IO_WRITE ? fopen(crypt_kit_path(UNDO), "re") : NULL;

	if (file) {
		undo_len = fread(undo, 1, sizeof(undo), file);
		fclose(file);
	}
	below->submit(store, engine, io);
}

/* What WRITE ATOMIC saves of the medium, it saves as it is there; and puts it back like that. */
static void saves_nothing_in_the_clear(void **state)
{
	static struct duotgt_backend_ops ops;
	struct scene *s = *state;
	uint8_t old[4 * BLOCK], new[4 * BLOCK];

	harness_stop(&s->h);
	below = s->cfg.backend;
	ops = *below;
	ops.submit = submit_noted;
	s->cfg.backend = &ops;
	harness_start(&s->h);
	harness_map(&s->h, 0, &s->cfg);
	harness_settle(&s->h);
	fill(old, sizeof(old), 5);
	fill(new, sizeof(new), 6);
	assert_good(write_at(s, 40, old, 4));
	undo_len = 0;
	assert_good(
		SEND(&s->h, .cdb = {0x9c, [9] = 40, [13] = 4}, .out = new, .out_len = sizeof(new)));
	assert_true(undo_len > sizeof(old));
	for (size_t i = 0; i < sizeof(old); i += CRYPT_UNIT)
		assert_null(memmem(undo, undo_len, old + i, CRYPT_UNIT));
	assert_memory_equal(read_at(s, 40, 4, sizeof(new))->data, new, sizeof(new));
	/* the process was killed when it had written one of them */
	harness_stop(&s->h);
	memset(spy.data + 41 * BLOCK, 0, 3 * BLOCK);
	crypt_kit_write(UNDO, undo, undo_len);
	harness_start(&s->h);
	harness_map(&s->h, 0, &s->cfg);
	harness_settle(&s->h);
	assert_memory_equal(read_at(s, 40, 4, sizeof(old))->data, old, sizeof(old));
}

/* ---- what a store fails with goes up as it is ---- */

static void errors_go_up(void **state)
{
	struct scene *s = *state;
	uint8_t data[N * BLOCK] = {0};

	spy.fail_kind = DUOTGT_IO_READ;
	spy.fail_at = 5 * BLOCK;
	spy.fail_res = -EIO;
	assert_check(read_at(s, 0, N, sizeof(data)), SENSE_UNRECOVERED_READ_ERROR);
	assert_good(read_at(s, 6, N, sizeof(data)));
	spy.fail_kind = DUOTGT_IO_WRITE;
	spy.fail_res = -ENOSPC;
	assert_check(write_at(s, 0, data, N), SENSE_SPACE_ALLOCATION_FAILED);
	spy.fail_res = 0;
	assert_good(write_at(s, 0, data, N));
}

/* ---- requests that no command of blocks has, as copies with offsets make them ---- */

static void parts_of_blocks(void **state)
{
	static uint8_t model[8 * 4096], buf[8 * 4096];
	struct scene *s = *state;
	unsigned random = 1;

	harness_stop(&s->h);
	crypt_kit_remove();
	crypt_kit_make();
	start_with(s, 4096, true);
	memset(model, 0, sizeof(model));
	for (unsigned i = 0; i < 600; i++) {
		/* as reads for less than a block, and as copies from smaller blocks */
		uint32_t at, len, unit = i % 2 ? 1 : 512;
		struct iovec iov[2];
		struct duotgt_io io = {.iov = iov, .n_iov = 2};

		random = random * 1103515245 + 12345;
		at = (random >> 8) % sizeof(model) / unit * unit;
		random = random * 1103515245 + 12345;
		len = unit * (1 + (random >> 8) % (i % 3 ? 20 : sizeof(model) / 512));
		len = at + len > sizeof(model) ? (uint32_t)sizeof(model) - at : len;
		io.kind = i % 2 ? DUOTGT_IO_READ : DUOTGT_IO_WRITE;
		io.offset = at;
		io.len = len;
		iov[0] = (struct iovec){buf, len / 3};
		iov[1] = (struct iovec){buf + len / 3, len - len / 3};
		if (io.kind == DUOTGT_IO_WRITE) {
			fill(buf, len, i);
			memcpy(model + at, buf, len);
		}
		assert_int_equal(scsi_lu_io_now(s->h.lus[0], &io), 0);
		if (io.kind == DUOTGT_IO_READ)
			assert_memory_equal(buf, model + at, len);
	}
	assert_memory_equal(read_at(s, 0, 8, sizeof(model))->data, model, sizeof(model));
}

/* ---- what is reported ---- */

static uint8_t supported(struct scene *s)
{
	return SEND(&s->h, .cdb = {0xa3, 0x0c, 2, 0x48, 0, 3, [9] = 64}, .expect_in = 64)->data[1];
}

static void is_reported(void **state)
{
	struct scene *s = *state;

	assert_int_equal(supported(s), 3);
	/* WABEREQ and WACEREQ: reads are good afterwards */
	assert_int_equal(SEND(&s->h, .cdb = {0x12, 1, 0xb1, 0, 64}, .expect_in = 64)->data[7],
			 0x50);
	harness_stop(&s->h);
	s->cfg = harness_lu_config();
	harness_start(&s->h);
	harness_map(&s->h, 0, &s->cfg);
	harness_settle(&s->h);
	assert_int_equal(supported(s), 1);
	assert_int_equal(SEND(&s->h, .cdb = {0x12, 1, 0xb1, 0, 64}, .expect_in = 64)->data[7], 0);
	assert_bad_field(SEND(&s->h, .cdb = {0x48, 3}), 1, 4);
}

#define ON_A_LU(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_vector),
		cmocka_unit_test(from_several_threads),
		ON_A_LU(stores_nothing_in_the_clear),
		ON_A_LU(unmapped_blocks_are_zeroes),
		ON_A_LU(other_commands),
		ON_A_LU(saves_nothing_in_the_clear),
		ON_A_LU(errors_go_up),
		ON_A_LU(parts_of_blocks),
		ON_A_LU(is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
