/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The grid: every operation code with every service action, at every allocation length of one
 * byte, to a disk, a CD-ROM and a LUN that is not there. An answer is never longer than what the
 * CDB or the initiator allows, nothing past it is touched, and no byte of it comes from the buffer.
 */
#include "scsi/lu_priv.h"
#include "tests/scsi/harness.h"
#include "util/bytes.h"
#include <string.h>

enum { DISK_LUN, CDROM_LUN, ABSENT_LUN };
enum { POISON_A = 0xa5, POISON_B = 0x5a };
#define BUF_LEN 512 /* more than the longest answer asked for */

struct played {
	struct scsi_task task; /* after its end */
	uint8_t buf[BUF_LEN];
	size_t room; /* bytes of buf that were lent */
	bool done;
};

static void played_done(struct scsi_task *task)
{
	container_of(task, struct played, task)->done = true;
}

static void played_aborted(struct scsi_task *task)
{
	(void)task;
	fail();
}

static const struct scsi_transport transport = {.done = played_done, .aborted = played_aborted};

static void play(struct harness *h, struct played *p, uint32_t lun, const uint8_t *cdb,
		 uint32_t expect_in, uint8_t poison)
{
	struct scsi_task *task = &p->task;
	struct iovec iov[2];

	*p = (struct played){.task = {.transport = &transport,
				      .nexus = h->nexus[0],
				      .lun = scsi_lun_encode(lun),
				      .tag = 1,
				      .cdb_len = SCSI_CDB_MAX,
				      .expect_in = expect_in}};
	memset(p->buf, poison, BUF_LEN);
	memcpy(task->cdb, cdb, SCSI_CDB_MAX);
	if (scsi_task_begin(task) == SCSI_READY) {
		p->room = task->need_in < expect_in ? task->need_in : expect_in;
		assert_true(p->room < BUF_LEN);
		iov[0] = (struct iovec){p->buf, p->room / 3};
		iov[1] = (struct iovec){p->buf + p->room / 3, p->room - p->room / 3};
		task->iov = iov;
		task->n_iov = p->room ? 2 : 0;
		if (scsi_task_run(task) == SCSI_PENDING)
			harness_wait(h, &p->done);
	}
	scsi_task_end(task);
}

/* The allocation length where the opcode's group has it. */
static void put_alloc(uint8_t *cdb, uint8_t len)
{
	switch (cdb[0] >> 5) {
	case 0:
		cdb[4] = len;
		break;
	case 1:
	case 2:
		cdb[8] = len;
		break;
	case 4:
		cdb[13] = len;
		break;
	case 5:
		cdb[9] = len;
		break;
	case 3: /* of 32 bytes */
		cdb[31] = len;
		break;
	}
}

static void put_action(uint8_t *cdb, uint8_t opcode, uint8_t sa)
{
	memset(cdb, 0, SCSI_CDB_MAX);
	cdb[0] = opcode;
	if (opcode == 0x7f) {
		cdb[7] = SCSI_CDB_MAX - 8;
		cdb[9] = sa;
	} else {
		cdb[1] = sa;
	}
}

static bool reads_blocks(const struct scsi_op *op)
{
	return op && (op->plan == scsi_plan_read || op->access == ACCESS_READY);
}

/* A byte that nobody wrote has both poisons; clocks and counters may differ from play to play. */
static void check(const struct played *a, const struct played *b, uint8_t alloc)
{
	const struct scsi_task *t = &a->task;
	size_t len = t->in_len < a->room ? t->in_len : a->room;

	assert_int_equal(t->status, b->task.status);
	assert_int_equal(t->in_len, b->task.in_len);
	assert_memory_equal(&t->sense, &b->task.sense, sizeof(t->sense));
	assert_true(t->in_len <= t->need_in);
	if (!reads_blocks(t->op))
		assert_true(t->in_len <= alloc);
	if (t->status != STATUS_GOOD)
		assert_int_equal(t->in_len, 0);
	if (t->status == STATUS_CHECK_CONDITION)
		assert_int_not_equal(t->sense.key, KEY_NO_SENSE);
	for (size_t i = 0; i < len; i++)
		if (a->buf[i] == POISON_A && b->buf[i] == POISON_B)
			fail_msg("byte %zu of the answer to %02x was not written", i, t->cdb[0]);
	for (size_t i = len; i < BUF_LEN; i++)
		if (a->buf[i] != POISON_A)
			fail_msg("byte %zu past the answer to %02x was written", i, t->cdb[0]);
}

/* What a command has left behind is gone: work in the background, attentions, reservations. */
static void settle(struct harness *h)
{
	struct sent ready = {.cdb = {0x00}};

	while (harness_send(h, &ready)->status == STATUS_CHECK_CONDITION &&
	       (h->answer.sense.key == KEY_UNIT_ATTENTION ||
		(h->answer.sense.key == KEY_NOT_READY && h->answer.sense.has_progress)))
		engine_turn(h->engine, false);
}

static void play_twice(struct harness *h, uint32_t lun, const uint8_t *cdb, uint8_t alloc,
		       unsigned *n_good)
{
	struct played a, b;
	/* sometimes less room than the CDB allows */
	uint32_t expect = alloc % 5 ? alloc : alloc / 2;

	play(h, &a, lun, cdb, expect, POISON_A);
	if (a.task.op && a.task.op->access == ACCESS_WRITE)
		settle(h);
	play(h, &b, lun, cdb, expect, POISON_B);
	if (b.task.op && b.task.op->access == ACCESS_WRITE)
		settle(h);
	check(&a, &b, alloc);
	*n_good += a.task.status == STATUS_GOOD;
}

static void start(struct harness *h)
{
	struct scsi_lu_config cfg = harness_lu_config();

	harness_start(h);
	cfg.thin = true;
	harness_map(h, DISK_LUN, &cfg);
	cfg.cdrom = true;
	cfg.block_size = 2048;
	harness_map(h, CDROM_LUN, &cfg);
	harness_settle(h);
}

static void grid(uint32_t lun, unsigned at_least)
{
	struct harness h;
	unsigned n_good = 0;

	start(&h);
	for (unsigned opcode = 0; opcode < 256; opcode++)
		for (unsigned sa = 0; sa < 32; sa++) {
			uint8_t cdb[SCSI_CDB_MAX];

			put_action(cdb, (uint8_t)opcode, (uint8_t)sa);
			for (unsigned alloc = 0; alloc < 256; alloc++) {
				put_alloc(cdb, (uint8_t)alloc);
				play_twice(&h, lun, cdb, (uint8_t)alloc, &n_good);
			}
		}
	assert_true(n_good > at_least);
	harness_stop(&h);
}

static void disk(void **state)
{
	(void)state;
	grid(DISK_LUN, 8000);
}

static void cdrom(void **state)
{
	(void)state;
	grid(CDROM_LUN, 3000);
}

static void absent_lun(void **state)
{
	(void)state;
	grid(ABSENT_LUN, 1000);
}

/* What a command has besides: pages and reporting options, at every length. */
static void parameters(void **state)
{
	static const uint8_t cdbs[][6] = {{0x12, 1},	{0x1a},	      {0x5a}, {0x4d},	{0xa0},
					  {0xa3, 0x0c}, {0xa3, 0x05}, {0x43}, {0x46, 2}};
	unsigned n_good = 0;
	struct harness h;

	(void)state;
	start(&h);
	for (uint32_t lun = DISK_LUN; lun <= ABSENT_LUN; lun++)
		for (unsigned i = 0; i < sizeof(cdbs) / sizeof(cdbs[0]); i++)
			for (unsigned parameter = 0; parameter < 256; parameter++)
				for (unsigned alloc = 0; alloc < 256; alloc += 1 + alloc / 40) {
					uint8_t cdb[SCSI_CDB_MAX] = {0};

					memcpy(cdb, cdbs[i], 6);
					cdb[2] = (uint8_t)parameter;
					put_alloc(cdb, (uint8_t)alloc);
					play_twice(&h, lun, cdb, (uint8_t)alloc, &n_good);
				}
	assert_true(n_good > 5000);
	harness_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(disk),
		cmocka_unit_test(cdrom),
		cmocka_unit_test(absent_lun),
		cmocka_unit_test(parameters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
