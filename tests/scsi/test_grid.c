/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The grid: every operation code with every service action, at allocation lengths of all kinds,
 * to a LUN that is there and to one that is not. An answer is never longer than what the CDB or
 * the initiator allows, nothing past it is touched, and no byte of it comes from the buffer.
 */
#include "scsi/op.h"
#include "tests/scsi/harness.h"
#include "util/bytes.h"
#include <string.h>

#define ABSENT_LUN 5
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
	}
}

static bool reads_blocks(const struct scsi_op *op)
{
	return op && (op->plan == scsi_plan_read || op->access == ACCESS_READY);
}

static void check(const struct played *a, const struct played *b, uint8_t alloc, uint8_t poison)
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
	assert_memory_equal(a->buf, b->buf, len);
	for (size_t i = len; i < BUF_LEN; i++)
		assert_int_equal(a->buf[i], poison);
}

/* All lengths for commands that are there, some for those that are not. */
static unsigned next_alloc(const uint8_t *cdb, unsigned alloc)
{
	return scsi_op_find(cdb) || alloc < 4 ? alloc + 1 : alloc + 83;
}

static void grid(struct harness *h, uint32_t lun)
{
	struct played a, b;
	unsigned n_good = 0;

	for (unsigned opcode = 0; opcode < 256; opcode++)
		for (unsigned sa = 0; sa < 32; sa++) {
			uint8_t cdb[SCSI_CDB_MAX] = {(uint8_t)opcode, (uint8_t)sa};

			for (unsigned alloc = 0; alloc < 256; alloc = next_alloc(cdb, alloc)) {
				/* sometimes less room than the CDB allows */
				uint32_t expect = alloc % 5 ? alloc : alloc / 2;

				put_alloc(cdb, (uint8_t)alloc);
				play(h, &a, lun, cdb, expect, 0xa5);
				play(h, &b, lun, cdb, expect, 0x5a);
				check(&a, &b, (uint8_t)alloc, 0xa5);
				n_good += a.task.status == STATUS_GOOD;
			}
		}
	assert_true(n_good > (lun == ABSENT_LUN ? 1000 : 5000));
}

static void present_lun(void **state)
{
	struct harness h;

	(void)state;
	harness_start_disk(&h);
	grid(&h, 0);
	harness_stop(&h);
}

static void absent_lun(void **state)
{
	struct harness h;

	(void)state;
	harness_start_disk(&h);
	grid(&h, ABSENT_LUN);
	harness_stop(&h);
}

/* What a command has besides: pages and reporting options, at every length. */
static void parameters(void **state)
{
	static const uint8_t cdbs[][6] = {{0x12, 1}, {0x1a}, {0x5a}, {0xa0}, {0xa3, 0x0c}};
	struct played a, b;
	struct harness h;

	(void)state;
	harness_start_disk(&h);
	for (unsigned lun = 0; lun <= ABSENT_LUN; lun += ABSENT_LUN)
		for (unsigned i = 0; i < sizeof(cdbs) / sizeof(cdbs[0]); i++)
			for (unsigned parameter = 0; parameter < 256; parameter++)
				for (unsigned alloc = 0; alloc < 256; alloc += 1 + alloc / 40) {
					uint8_t cdb[SCSI_CDB_MAX] = {0};

					memcpy(cdb, cdbs[i], 6);
					cdb[2] = (uint8_t)parameter;
					put_alloc(cdb, (uint8_t)alloc);
					play(&h, &a, lun, cdb, alloc, 0xa5);
					play(&h, &b, lun, cdb, alloc, 0x5a);
					check(&a, &b, (uint8_t)alloc, 0xa5);
				}
	harness_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(present_lun),
		cmocka_unit_test(absent_lun),
		cmocka_unit_test(parameters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
