/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random commands against a model of the disk that is an array of bytes. Whatever a command says
 * it did to the disk has to be there when it is read, in whatever way, and nothing else may have
 * changed. DUOTGT_SEED in the environment replays a run; a failure tells the seed, the sequence
 * and the command.
 */
#include "scsi/backend/backends.h"
#include "scsi/lu_priv.h"
#include "tests/scsi/crypt_kit.h"
#include "tests/scsi/wipe_kit.h"
#include "util/bytes.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DISK (256u << 10)
#define MAX_TRANSFER (32u << 10)
#define SEQUENCES 2500 /* on each of the disks: 10,000, and those on encrypted ones */
#define COMMANDS 8     /* of one sequence */

/* ---- the model ---- */

struct kind {
	const char *name, *backend;
	bool thin;
	uint32_t block;
	bool encrypted;
};

struct model {
	const struct kind *kind;
	struct harness h;
	struct scsi_lu *lu;
	char folder[64], path[96];
	uint64_t seed, random;
	unsigned sequence;
	const char *command; /* under way */
	uint32_t block, n_blocks;
	uint32_t atomic_unit; /* blocks that WRITE ATOMIC begins and ends at; 0: any */
	uint8_t bytes[DISK];
};

/* splitmix64 */
static uint64_t draw(struct model *m)
{
	uint64_t z = m->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static uint32_t below(struct model *m, uint32_t n)
{
	return (uint32_t)(draw(m) % n);
}

static void check(const struct model *m, bool holds, const char *what)
{
	if (!holds)
		fail_msg("%s: %s (%s, seed %" PRIu64 ", sequence %u; status %02x, sense %06x)",
			 m->command, what, m->kind->name, m->seed, m->sequence, m->h.answer.status,
			 m->h.answer.code);
}

static void fill(struct model *m, uint8_t *buf, size_t len)
{
	uint64_t word = draw(m);
	unsigned mode = below(m, 4);

	memset(buf, 0, len);
	for (size_t i = 0; mode && i < len; i++) /* zeroes, one value, or much of everything */
		buf[i] = (uint8_t)(mode == 1 ? word : word * (i + 1) >> 13);
}

/* ---- CDBs ---- */

/* A form of a command: its opcode and, unless NO_SA, its service action. */
struct form {
	uint8_t opcode, sa;
};

static void put_range(uint8_t *cdb, uint32_t lba, uint32_t n)
{
	switch (scsi_cdb_len(cdb)) {
	case 6:
		be24_put(cdb + 1, lba);
		cdb[4] = (uint8_t)n;
		break;
	case 10:
		be32_put(cdb + 2, lba);
		be16_put(cdb + 7, (uint16_t)n);
		break;
	case 12:
		be32_put(cdb + 2, lba);
		be32_put(cdb + 6, n);
		break;
	case 16:
		be64_put(cdb + 2, lba);
		be32_put(cdb + 10, n);
		break;
	default:
		be64_put(cdb + 12, lba);
		be32_put(cdb + 28, n);
	}
}

static struct sent command(struct model *m, struct form form, uint32_t lba, uint32_t n)
{
	struct sent sent = {.cdb = {form.opcode}, .nexus = below(m, 2), .n_segments = below(m, 6)};

	if (form.opcode == 0x7f) {
		sent.cdb[7] = 0x18;
		sent.cdb[9] = form.sa;
	} else if (form.sa != NO_SA) {
		sent.cdb[1] = form.sa;
	}
	put_range(sent.cdb, lba, n);
	return sent;
}

/* Where BYTCHK, UNMAP and the like are. */
static uint8_t *flags_of(struct sent *sent)
{
	return &sent->cdb[sent->cdb[0] == 0x7f ? 10 : 1];
}

static struct form pick(struct model *m, const struct form *forms, unsigned n)
{
	struct form form = forms[below(m, n)];
	struct sent sent = command(m, form, 0, 0);

	check(m, scsi_op_find(m->lu, sent.cdb), "there is no such command");
	return form;
}
#define PICK(m, forms) pick((m), (forms), sizeof(forms) / sizeof((forms)[0]))

/* A range of up to @most blocks, of one at least. */
static void pick_range(struct model *m, uint32_t most, uint32_t *ret_lba, uint32_t *ret_n)
{
	*ret_n = 1 + below(m, most < 8 || !below(m, 4) ? most : 8);
	*ret_lba = below(m, m->n_blocks - *ret_n + 1);
}

static uint8_t buffer[2 * MAX_TRANSFER];

static void send_good(struct model *m, const struct sent *sent)
{
	harness_send(&m->h, sent);
	check(m, m->h.answer.status == STATUS_GOOD, "is not GOOD");
}

/* ---- what reads ---- */

static void play_read(struct model *m)
{
	static const struct form forms[] = {
		{0x08, NO_SA}, {0x28, NO_SA}, {0xa8, NO_SA}, {0x88, NO_SA}, {0x7f, 0x09}};
	struct sent sent;
	uint32_t lba, n;

	pick_range(m, MAX_TRANSFER / m->block, &lba, &n);
	sent = command(m, PICK(m, forms), lba, n);
	sent.expect_in = n * m->block;
	send_good(m, &sent);
	check(m, m->h.answer.len == n * m->block, "reads another length");
	check(m, !memcmp(m->h.answer.data, m->bytes + lba * m->block, n * m->block),
	      "reads something else");
}

static void play_verify(struct model *m)
{
	static const struct form forms[] = {
		{0x2f, NO_SA}, {0xaf, NO_SA}, {0x8f, NO_SA}, {0x7f, 0x0a}};
	struct sent sent;
	uint32_t lba, n, at;

	pick_range(m, MAX_TRANSFER / m->block, &lba, &n);
	sent = command(m, PICK(m, forms), lba, n);
	*flags_of(&sent) |= 0x02;
	memcpy(buffer, m->bytes + lba * m->block, n * m->block);
	sent.out = buffer;
	sent.out_len = n * m->block;
	send_good(m, &sent);
	at = below(m, n * m->block);
	buffer[at] ^= (uint8_t)(1u << below(m, 8));
	harness_send(&m->h, &sent);
	check(m, m->h.answer.code == SENSE_MISCOMPARE && m->h.answer.sense.info == at,
	      "does not see the difference");
}

/* Blocks that are said to take no space read as zeroes. */
static void play_lba_status(struct model *m)
{
	struct sent sent = {.cdb = {0x9e, 0x12, [13] = 255}, .expect_in = 255};
	uint32_t next = below(m, m->n_blocks);

	be64_put(sent.cdb + 2, next);
	send_good(m, &sent);
	for (size_t at = 8; at + 16 <= m->h.answer.len; at += 16) {
		const uint8_t *extent = m->h.answer.data + at;
		uint32_t n = be32_get(extent + 8);

		check(m, be64_get(extent) == next && n && n <= m->n_blocks - next,
		      "tells of other blocks");
		for (size_t i = 0; extent[12] && i < n * m->block; i++)
			check(m, !m->bytes[next * m->block + i], "calls data a hole");
		next += n;
	}
}

/* ---- what writes ---- */

static void store(struct model *m, uint32_t lba, const void *data, size_t len)
{
	memcpy(m->bytes + lba * m->block, data, len);
}

/*
 * With less data than the CDB says now and then: of whole blocks, which count; or not, which do
 * nothing.
 */
static void write_as(struct model *m, struct form form, bool may_be_short)
{
	uint32_t lba, n, len;
	struct sent sent;

	pick_range(m, MAX_TRANSFER / m->block, &lba, &n);
	len = n * m->block;
	fill(m, buffer, len);
	if (may_be_short && !below(m, 8))
		len = below(m, len + 1);
	sent = command(m, form, lba, n);
	sent.out = buffer;
	sent.out_len = len;
	if (form.opcode == 0x2e || form.opcode == 0xae || form.opcode == 0x8e ||
	    (form.opcode == 0x7f && form.sa == 0x0c))
		*flags_of(&sent) |= below(m, 2) ? 0x02 : 0;
	if (len % m->block) {
		harness_send(&m->h, &sent);
		check(m, m->h.answer.code == SENSE_INVALID_FIELD_IN_IU, "takes part of a block");
		return;
	}
	send_good(m, &sent);
	store(m, lba, buffer, len);
}

static void play_write(struct model *m)
{
	static const struct form forms[] = {
		{0x0a, NO_SA}, {0x2a, NO_SA}, {0xaa, NO_SA}, {0x8a, NO_SA}, {0x7f, 0x0b}};

	write_as(m, PICK(m, forms), true);
}

static void play_write_verify(struct model *m)
{
	static const struct form forms[] = {
		{0x2e, NO_SA}, {0xae, NO_SA}, {0x8e, NO_SA}, {0x7f, 0x0c}};

	write_as(m, PICK(m, forms), true);
}

/* As page B0 tells: ATOMIC ALIGNMENT, which is the granularity as well. */
static uint32_t atomic_unit(struct model *m)
{
	struct sent sent = {.cdb = {0x12, 0x01, 0xb0, [4] = 64}, .expect_in = 64};

	m->command = "INQUIRY, page B0";
	send_good(m, &sent);
	check(m, m->h.answer.len == 64, "is cut");
	check(m, !memcmp(m->h.answer.data + 48, m->h.answer.data + 52, 4),
	      "has a granularity of its own");
	return be32_get(m->h.answer.data + 48);
}

static void play_write_atomic(struct model *m)
{
	uint32_t unit = m->atomic_unit ? m->atomic_unit : 1, most = MAX_TRANSFER / m->block;
	uint32_t lba, n;
	struct sent sent;

	pick_range(m, most, &lba, &n);
	if (below(m, 4)) {
		n = n < unit ? unit : n / unit * unit;
		lba = below(m, (m->n_blocks - n) / unit + 1) * unit;
	}
	fill(m, buffer, n * m->block);
	sent = command(m, (struct form){0x9c, NO_SA}, lba, n);
	sent.out = buffer;
	sent.out_len = n * m->block;
	if (lba % unit || n % unit) {
		harness_send(&m->h, &sent);
		check(m, m->h.answer.code == SENSE_INVALID_FIELD_IN_CDB, "is not aligned");
		return;
	}
	send_good(m, &sent);
	store(m, lba, buffer, n * m->block);
}

static void play_orwrite(struct model *m)
{
	static const struct form forms[] = {{0x8b, NO_SA}, {0x7f, 0x0e}};
	struct sent sent;
	uint32_t lba, n;

	pick_range(m, MAX_TRANSFER / m->block, &lba, &n);
	fill(m, buffer, n * m->block);
	sent = command(m, PICK(m, forms), lba, n);
	sent.out = buffer;
	sent.out_len = n * m->block;
	send_good(m, &sent);
	for (uint32_t i = 0; i < n * m->block; i++)
		m->bytes[lba * m->block + i] |= buffer[i];
}

static void play_compare_and_write(struct model *m)
{
	static const struct form forms[] = {{0x89, NO_SA}};
	uint32_t lba, n, len, at;
	struct sent sent;

	pick_range(m, MAX_TRANSFER / 2 / m->block, &lba, &n);
	len = n * m->block;
	memcpy(buffer, m->bytes + lba * m->block, len);
	fill(m, buffer + len, len);
	sent = command(m, PICK(m, forms), lba, n);
	sent.out = buffer;
	sent.out_len = 2 * len;
	if (below(m, 2)) {
		send_good(m, &sent);
		store(m, lba, buffer + len, len);
		return;
	}
	at = below(m, len);
	buffer[at] ^= 0x40;
	harness_send(&m->h, &sent);
	check(m, m->h.answer.code == SENSE_MISCOMPARE && m->h.answer.sense.info == at,
	      "does not see the difference");
}

static void play_write_same(struct model *m)
{
	enum { UNMAP = 0x08, NDOB = 0x01 };
	static const struct form forms[] = {{0x41, NO_SA}, {0x93, NO_SA}, {0x7f, 0x0d}};
	struct form form = PICK(m, forms);
	struct sent sent;
	uint32_t lba, n;

	pick_range(m, m->n_blocks, &lba, &n);
	fill(m, buffer, m->block);
	sent = command(m, form, lba, n);
	sent.out = buffer;
	sent.out_len = m->block;
	if (m->kind->thin && below(m, 2))
		*flags_of(&sent) |= UNMAP;
	if (form.opcode != 0x41 && !below(m, 3)) {
		*flags_of(&sent) |= NDOB;
		memset(buffer, 0, m->block);
		sent.out_len = 0;
	}
	send_good(m, &sent);
	for (uint32_t i = 0; i < n; i++)
		store(m, lba + i, buffer, m->block);
}

static void play_unmap(struct model *m)
{
	uint32_t n_ranges = below(m, 4), lba, n;
	struct bytes_out out = bytes_out(buffer, sizeof(buffer));
	struct sent sent = {.cdb = {0x42}, .out = buffer, .nexus = below(m, 2)};

	if (!m->kind->thin)
		return;
	out_be16(&out, (uint16_t)(6 + 16 * n_ranges));
	out_be16(&out, (uint16_t)(16 * n_ranges));
	out_zero(&out, 4);
	while (n_ranges--) {
		pick_range(m, m->n_blocks, &lba, &n);
		out_be64(&out, lba);
		out_be32(&out, n);
		out_zero(&out, 4);
		memset(m->bytes + lba * m->block, 0, n * m->block);
	}
	sent.out_len = (uint32_t)out.len;
	be16_put(sent.cdb + 7, (uint16_t)out.len);
	send_good(m, &sent);
}

/* ---- what changes all of it, and what changes nothing ---- */

static void play_format(struct model *m)
{
	enum { FMTDATA = 0x10, FOV_IP = 0x88, IMMED = 0x02 };
	bool immed = below(m, 2);
	uint8_t list[8 + 3] = {0, FOV_IP, 0, 0, 0, 1, 0, 3};
	struct sent sent = {.cdb = {0x04}, .out = list};

	if (below(m, 6)) /* the disk is full of zeroes for long otherwise */
		return;
	fill(m, list + 8, 3);
	list[1] |= immed ? IMMED : 0;
	if (below(m, 2)) {
		sent.cdb[1] = FMTDATA;
		sent.out_len = sizeof(list);
	} else {
		memset(list + 8, 0, 3);
	}
	send_good(m, &sent);
	wipe_wait(&m->h, m->lu);
	for (uint32_t i = 0; i < DISK; i++)
		m->bytes[i] = list[8 + i % m->block % 3];
}

static void play_sanitize(struct model *m)
{
	enum { IMMED = 0x80, OVERWRITE = 1, BLOCK_ERASE = 2, CRYPTO_ERASE = 3, INVERT = 0x80 };
	bool erase = m->kind->thin && below(m, 2);
	uint8_t n_passes = (uint8_t)(1 + below(m, 3));
	uint8_t list[4 + 5] = {INVERT | n_passes, 0, 0, 5};
	struct sent sent = {.cdb = {0x48, erase ? BLOCK_ERASE : OVERWRITE}, .out = list};

	if (below(m, 6))
		return;
	if (erase && m->kind->encrypted && below(m, 2))
		sent.cdb[1] = CRYPTO_ERASE;
	sent.cdb[1] |= below(m, 2) ? IMMED : 0;
	fill(m, list + 4, 5);
	sent.cdb[8] = erase ? 0 : sizeof(list);
	sent.out_len = sent.cdb[8];
	send_good(m, &sent);
	wipe_wait(&m->h, m->lu);
	for (uint32_t i = 0; i < DISK; i++) {
		uint8_t byte = list[4 + i % m->block % 5];

		m->bytes[i] = erase ? 0 : n_passes % 2 ? byte : (uint8_t)~byte;
	}
}

/* One block too many, counted from anywhere: nothing is written of it. */
static void play_out_of_range(struct model *m)
{
	static const struct form forms[] = {{0x2a, NO_SA}, {0x8a, NO_SA}, {0x7f, 0x0b},
					    {0x2e, NO_SA}, {0x8b, NO_SA}, {0x93, NO_SA}};
	uint32_t n = 1 + below(m, 16);
	struct sent sent = command(m, PICK(m, forms), m->n_blocks + 1 - n, n);

	fill(m, buffer, n * m->block);
	sent.out = buffer;
	sent.out_len = sent.cdb[0] == 0x93 ? m->block : n * m->block;
	harness_send(&m->h, &sent);
	check(m, m->h.answer.code == SENSE_LBA_OUT_OF_RANGE, "goes beyond the end");
}

static void play_sync(struct model *m)
{
	static const struct form forms[] = {{0x35, NO_SA}, {0x91, NO_SA}};
	struct sent sent = command(m, PICK(m, forms), 0, 0);

	send_good(m, &sent);
}

/* ---- a run ---- */

static const struct {
	const char *name;
	void (*play)(struct model *m);
} commands[] = {
	{"READ", play_read},
	{"VERIFY", play_verify},
	{"GET LBA STATUS", play_lba_status},
	{"WRITE", play_write},
	{"WRITE", play_write}, /* twice as often */
	{"WRITE AND VERIFY", play_write_verify},
	{"WRITE ATOMIC", play_write_atomic},
	{"ORWRITE", play_orwrite},
	{"COMPARE AND WRITE", play_compare_and_write},
	{"WRITE SAME", play_write_same},
	{"UNMAP", play_unmap},
	{"FORMAT UNIT", play_format},
	{"SANITIZE", play_sanitize},
	{"WRITE out of range", play_out_of_range},
	{"SYNCHRONIZE CACHE", play_sync},
};

static void model_start(struct model *m)
{
	struct scsi_lu_config cfg = harness_lu_config();
	const char *seed = getenv("DUOTGT_SEED");
	/* The files are of no worth: where there is a file system in memory, they go there. */
	const char *root = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

	m->seed = m->random = seed ? strtoull(seed, NULL, 0) : 1;
	m->block = m->kind->block;
	m->n_blocks = DISK / m->block;
	snprintf(m->folder, sizeof(m->folder), "%s/duotgt-model-XXXXXX", root);
	assert_non_null(mkdtemp(m->folder));
	snprintf(m->path, sizeof(m->path), "%s/disk", m->folder);
	if (m->kind->encrypted)
		crypt_kit_make();
	cfg.backend = duotgt_backend_find(m->kind->backend);
	cfg.params = (struct duotgt_backend_params){
		.path = m->path, .size = DISK, .create = true, .thin = m->kind->thin};
	cfg.thin = m->kind->thin;
	cfg.block_size = m->block;
	cfg.max_transfer = MAX_TRANSFER;
	cfg.state_dir = m->folder; /* for WRITE ATOMIC */
	if (m->kind->encrypted)
		crypt_kit_use(&cfg);
	harness_start(&m->h);
	m->lu = harness_map(&m->h, 0, &cfg);
	harness_settle(&m->h);
	m->atomic_unit = atomic_unit(m);
}

static void model_stop(struct model *m)
{
	harness_stop(&m->h);
	if (m->kind->encrypted)
		crypt_kit_remove();
	unlink(m->path);
	assert_int_equal(rmdir(m->folder), 0); /* so no state was left behind */
}

static void compare_all(struct model *m)
{
	m->command = "READ of all";
	for (uint32_t at = 0; at < DISK; at += MAX_TRANSFER) {
		struct sent sent = command(m, (struct form){0x88, NO_SA}, at / m->block,
					   MAX_TRANSFER / m->block);

		sent.expect_in = MAX_TRANSFER;
		send_good(m, &sent);
		check(m, !memcmp(m->h.answer.data, m->bytes + at, MAX_TRANSFER),
		      "finds something else");
	}
}

static void run(void **state)
{
	struct model *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	m->kind = *state;
	model_start(m);
	alarm(600);
	for (m->sequence = 0; m->sequence < (m->kind->encrypted ? SEQUENCES / 4 : SEQUENCES);
	     m->sequence++) {
		for (unsigned i = 0; i < COMMANDS; i++) {
			unsigned c = below(m, sizeof(commands) / sizeof(commands[0]));

			m->command = commands[c].name;
			commands[c].play(m);
		}
		compare_all(m);
	}
	model_stop(m);
	free(m);
}

static struct kind ram = {"ram", "ram", false, 512}, thin_ram = {"thin ram", "ram", true, 4096},
		   file = {"file", "file", false, 4096},
		   thin_file = {"thin file", "file", true, 512},
		   secret = {"encrypted file", "file", true, 4096, true},
		   secret_ram = {"encrypted RAM disk", "ram", false, 512, true};

int main(void)
{
	const struct CMUnitTest tests[] = {
		{"on a RAM disk", run, NULL, NULL, &ram},
		{"on a thin RAM disk", run, NULL, NULL, &thin_ram},
		{"on a file", run, NULL, NULL, &file},
		{"on a thin file", run, NULL, NULL, &thin_file},
		{"on an encrypted file", run, NULL, NULL, &secret},
		{"on an encrypted RAM disk", run, NULL, NULL, &secret_ram},
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
