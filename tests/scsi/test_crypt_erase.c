/* SPDX-License-Identifier: Apache-2.0 */
/* Keys: files that are none, keys that do not fit, their end by SANITIZE (CRYPTOGRAPHIC ERASE). */
#include "scsi/backend/backends.h"
#include "scsi/crypt/media_key.h"
#include "scsi/lu_priv.h"
#include "tests/scsi/crypt_kit.h"
#include "tests/scsi/kill_kit.h"
#include "tests/scsi/spy.h"
#include "tests/scsi/wipe_kit.h"
#include "util/bytes.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	BLOCK = 512,
	CRYPTO_ERASE = 0x03,
	IMMED = 0x80,
	AUSE = 0x20,
	N_KILLS = 40,
};

static const char *folder;

static int make(void **state)
{
	(void)state;
	folder = crypt_kit_make();
	return 0;
}

static int remove_all(void **state)
{
	(void)state;
	crypt_kit_remove();
	return 0;
}

static struct scsi_lu_config disk(void)
{
	struct scsi_lu_config cfg = spy_config();

	cfg.thin = true;
	crypt_kit_use(&cfg);
	return cfg;
}

static void start(struct harness *h, const struct scsi_lu_config *cfg)
{
	harness_start(h);
	harness_map(h, 0, cfg);
	harness_settle(h);
}

static void write_block(struct harness *h, uint8_t lba, uint8_t byte)
{
	uint8_t data[BLOCK];

	memset(data, byte, BLOCK);
	assert_good(SEND(h, .cdb = {0x2a, [5] = lba, [8] = 1}, .out = data, .out_len = BLOCK));
}

static bool reads(struct harness *h, uint8_t lba, uint8_t byte)
{
	const struct answer *a = SEND(h, .cdb = {0x28, [5] = lba, [8] = 1}, .expect_in = BLOCK);

	assert_good(a);
	for (unsigned i = 0; i < BLOCK; i++)
		if (a->data[i] != byte)
			return false;
	return true;
}

/* ---- what is refused ---- */

/* The text tells what is wrong, and where. */
static void refused(const struct scsi_lu_config *cfg, int error, const char *why)
{
	struct scsi_lu *lu = NULL;
	char text[512] = "";
	int r = scsi_lu_new(cfg, &lu, text, sizeof(text));

	if (r == 0)
		scsi_lu_unref(lu);
	if (r != error || !strstr(text, why))
		fail_msg("%d instead of %d: \"%s\", expected \"%s\"", r, error, text, why);
}

static void key_files(void **state)
{
	static const char hex[] =
		"5a5a5a5a5A5A5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a\n";
	struct scsi_lu_config cfg = disk();
	struct harness h;

	(void)state;
	start(&h, &cfg);
	write_block(&h, 3, 7);
	harness_stop(&h);
	/* the same key in hexadecimal digits, with and without a line end */
	for (size_t len = 64; len <= 65; len++) {
		crypt_kit_write(CRYPT_KIT_KEY, hex, len);
		start(&h, &cfg);
		assert_true(reads(&h, 3, 7));
		harness_stop(&h);
	}
	for (size_t len = 0; len < 64; len++) {
		crypt_kit_write(CRYPT_KIT_KEY, hex, len);
		if (len == 32)
			refused(&cfg, -EKEYREJECTED, "was not made with the key in");
		else
			refused(&cfg, -EINVAL, "expected 32 bytes, or 64 hexadecimal digits");
	}
	crypt_kit_write(CRYPT_KIT_KEY, "5x", 2);
	refused(&cfg, -EINVAL, CRYPT_KIT_KEY);
	crypt_kit_write(CRYPT_KIT_KEY, hex, 65);
	for (mode_t bits = 0001; bits <= 0040; bits <<= 1) {
		assert_int_equal(chmod(crypt_kit_path(CRYPT_KIT_KEY), 0600 | bits), 0);
		refused(&cfg, -EPERM, "gives it to others");
	}
	assert_int_equal(chmod(crypt_kit_path(CRYPT_KIT_KEY), 0400), 0);
	start(&h, &cfg);
	assert_true(reads(&h, 3, 7));
	harness_stop(&h);
	cfg.encryption.key_file = crypt_kit_path("nothing");
	refused(&cfg, -ENOENT, "nothing");
	cfg.encryption.key_file = cfg.state_dir;
	refused(&cfg, -EINVAL, "is not a regular file");
	cfg.encryption.key_file = crypt_kit_path("fifo");
	assert_int_equal(mkfifo(cfg.encryption.key_file, 0600), 0);
	refused(&cfg, -EINVAL, "is not a regular file");
}

/* Nothing is lost by trying: with the right key all is there again. */
static void wrong_key(void **state)
{
	struct scsi_lu_config cfg = disk();
	uint8_t key[32];
	struct harness h;

	(void)state;
	start(&h, &cfg);
	write_block(&h, 3, 7);
	harness_stop(&h);
	memset(key, 0x5b, sizeof(key));
	crypt_kit_write("other", key, sizeof(key));
	cfg.encryption.key_file = crypt_kit_path("other");
	refused(&cfg, -EKEYREJECTED, "was not made with the key in");
	crypt_kit_use(&cfg);
	cfg.block_size = 4096;
	refused(&cfg, -EINVAL, "blocks of another length");
	cfg.block_size = BLOCK;
	start(&h, &cfg);
	assert_true(reads(&h, 3, 7));
	harness_stop(&h);
	crypt_kit_write(CRYPT_KIT_MEDIA_KEY, key, sizeof(key));
	refused(&cfg, -EBADMSG, "is damaged");
}

static void needs(void **state)
{
	struct scsi_lu_config cfg = disk();

	(void)state;
	cfg.state_dir = NULL;
	refused(&cfg, -EINVAL, "needs a state directory");
	crypt_kit_use(&cfg);
	cfg.protection.backend = cfg.backend;
	refused(&cfg, -EINVAL, "protection information");
	cfg.protection.backend = NULL;
	cfg.params.read_only = true;
	refused(&cfg, -ENOENT, "is not made for a read-only storage");
	/* what is in there is not made unreadable: at its begin, or at its end */
	cfg.params.read_only = false;
	spy.data[77] = 1;
	refused(&cfg, -EEXIST, "something is in the storage");
	spy.data[77] = 0;
	spy.data[SPY_SIZE - 1] = 1;
	refused(&cfg, -EEXIST, "something is in the storage");
	assert_int_equal(access(crypt_kit_path(CRYPT_KIT_MEDIA_KEY), F_OK), -1);
	spy.data[SPY_SIZE - 1] = 0;
	spy.fail_kind = DUOTGT_IO_READ;
	spy.fail_res = -EIO;
	refused(&cfg, -EIO, "cannot be read");
}

/* ---- the erase ---- */

static void erases(void **state)
{
	static uint8_t before[SPY_SIZE], zeroes[SPY_SIZE];
	struct scsi_lu_config cfg = disk();
	uint8_t old_file[512], file[512];
	struct harness h;
	ssize_t len;
	int fd;

	(void)state;
	start(&h, &cfg);
	write_block(&h, 3, 7);
	memcpy(before, spy.data, SPY_SIZE);
	fd = open(crypt_kit_path(CRYPT_KIT_MEDIA_KEY), O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	len = pread(fd, old_file, sizeof(old_file), 0);
	assert_true(len > 64);
	spy.n[DUOTGT_IO_FLUSH] = spy.n[DUOTGT_IO_WRITE] = 0;
	assert_good(SEND(&h, .cdb = {0x48, CRYPTO_ERASE}));
	assert_int_equal(spy.n[DUOTGT_IO_FLUSH], 2); /* before the key is changed, and at the end */
	assert_int_equal(spy.n[DUOTGT_IO_WRITE], 0);
	assert_memory_equal(spy.data, zeroes, SPY_SIZE);
	assert_true(reads(&h, 3, 0));
	/* the file with the old key has been overwritten, and there is no other name of it */
	assert_int_equal(pread(fd, file, sizeof(file), 0), len);
	assert_memory_equal(file, zeroes, (size_t)len);
	close(fd);
	assert_int_equal(access(crypt_kit_path(CRYPT_KIT_MEDIA_KEY ".old"), F_OK), -1);
	/* should the old blocks come to light, they are noise */
	memcpy(spy.data, before, SPY_SIZE);
	assert_false(reads(&h, 3, 7));
	write_block(&h, 4, 9);
	assert_good(SEND(&h, .cdb = {0x35}));
	harness_stop(&h);
	start(&h, &cfg); /* the new key is the one that is kept */
	assert_true(reads(&h, 4, 9));
	assert_false(reads(&h, 3, 7));
	harness_stop(&h);
}

/* Blocks stay where they are, and cannot be read any more. */
static void erases_what_is_not_thin(void **state)
{
	struct scsi_lu_config cfg = disk();
	struct harness h;

	(void)state;
	cfg.thin = false;
	start(&h, &cfg);
	write_block(&h, 3, 7);
	assert_good(SEND(&h, .cdb = {0x48, IMMED | CRYPTO_ERASE}));
	wipe_wait(&h, h.lus[0]);
	assert_int_equal(spy.n[DUOTGT_IO_DISCARD], 0);
	assert_false(reads(&h, 3, 7));
	assert_true(reads(&h, 9, 0)); /* was never written */
	harness_stop(&h);
}

static void has_no_parameters(void **state)
{
	static const uint8_t list[8];
	struct scsi_lu_config cfg = disk();
	struct harness h;

	(void)state;
	start(&h, &cfg);
	assert_check(SEND(&h, .cdb = {0x48, CRYPTO_ERASE, [8] = 8}, .out = list, .out_len = 8),
		     SENSE_INVALID_FIELD_IN_CDB);
	harness_stop(&h);
}

/* Once it has failed, the LU says so, and a later one ends that. */
static void fails(void **state)
{
	struct scsi_lu_config cfg = disk();
	struct harness h;

	(void)state;
	start(&h, &cfg);
	write_block(&h, 3, 7);
	/* there is no room for the note, nor for a key: nothing has happened */
	assert_int_equal(mkdir(crypt_kit_path("." CRYPT_KIT_MEDIA_KEY ".new"), 0700), 0);
	assert_check(SEND(&h, .cdb = {0x48, AUSE | CRYPTO_ERASE}), SENSE_SANITIZE_FAILED);
	assert_check(SEND(&h, .cdb = {0x28, [5] = 3, [8] = 1}, .expect_in = BLOCK),
		     SENSE_SANITIZE_FAILED);
	assert_int_equal(rmdir(crypt_kit_path("." CRYPT_KIT_MEDIA_KEY ".new")), 0);
	/* EXIT FAILURE MODE: the old key is in use still, and is the one that is kept */
	assert_good(SEND(&h, .cdb = {0x48, 0x1f}));
	assert_true(reads(&h, 3, 7));
	harness_stop(&h);
	start(&h, &cfg);
	assert_true(reads(&h, 3, 7));
	/* a flush that fails before it: the key is not touched */
	spy.fail_kind = DUOTGT_IO_FLUSH;
	spy.fail_res = -EIO;
	assert_check(SEND(&h, .cdb = {0x48, CRYPTO_ERASE}), SENSE_SANITIZE_FAILED);
	spy.fail_res = 0;
	harness_stop(&h);
	start(&h, &cfg);
	assert_check(SEND(&h, .cdb = {0x28, [5] = 3, [8] = 1}, .expect_in = BLOCK),
		     SENSE_SANITIZE_FAILED);
	assert_good(SEND(&h, .cdb = {0x48, CRYPTO_ERASE}));
	assert_true(reads(&h, 3, 0));
	harness_stop(&h);
}

/* ---- kill -9 ---- */

static struct crypt_key_place place_of(const char *dir)
{
	struct crypt_key_place place = {
		.dir = dir, .name = "k.key", .old_name = "k.key.old", .block_size = BLOCK};

	memset(place.wrapping, 0x5a, sizeof(place.wrapping));
	return place;
}

/* Key after key; each is told when it is stored. */
static void child(const char *dir)
{
	struct crypt_key_place place = place_of(dir);
	struct crypt_media_key key = {{0}};

	for (uint32_t n = 1;; n++) {
		be32_put(key.bytes, n);
		key.bytes[40] = 1; /* the two halves differ */
		if (crypt_media_key_store(&place, &key) < 0)
			_exit(1);
		kill_kit_tell(n);
	}
}

/* The old one or the new one, whole; and after that there is but one. */
static void kill_9_at_any_moment(void **state)
{
	unsigned seed = (unsigned)getpid();

	(void)state;
	print_message("seed %u\n", seed);
	for (unsigned i = 0; i < N_KILLS; i++) {
		uint32_t n = kill_kit_run(folder, (unsigned)rand_r(&seed) % 3000);
		struct crypt_key_place place = place_of(folder);
		struct crypt_media_key key;

		assert_int_equal(crypt_media_key_load(&place, &key), 0);
		assert_in_range(be32_get(key.bytes), n, n + 1);
		assert_int_equal(access(crypt_kit_path("k.key.old"), F_OK), -1);
	}
	unlink(crypt_kit_path(".k.key.new"));
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, make, remove_all)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		IN_A_FOLDER(key_files),
		IN_A_FOLDER(wrong_key),
		IN_A_FOLDER(needs),
		IN_A_FOLDER(erases),
		IN_A_FOLDER(erases_what_is_not_thin),
		IN_A_FOLDER(has_no_parameters),
		IN_A_FOLDER(fails),
		IN_A_FOLDER(kill_9_at_any_moment),
	};

	if (argc == 2 && argv[1][0] == '/')
		child(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
