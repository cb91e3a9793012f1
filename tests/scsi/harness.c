/* SPDX-License-Identifier: Apache-2.0 */
/* See harness.h. */
#include "tests/scsi/harness.h"
#include "scsi/backend/backends.h"
#include "scsi/lu_priv.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HANG_S 120
#define MAX_SEGMENTS 16

/* The task of the harness' transport. */
struct sent_task {
	struct scsi_task task;
	bool done;
};

static void sent_done(struct scsi_task *task)
{
	struct sent_task *sent = container_of(task, struct sent_task, task);

	assert_false(sent->done);
	sent->done = true;
}

static void sent_aborted(struct scsi_task *task)
{
	(void)task;
	fail_msg("a command of harness_send() was aborted");
}

static const struct scsi_transport sent_transport = {.done = sent_done, .aborted = sent_aborted};

struct scsi_lu_config harness_lu_config(void)
{
	return (struct scsi_lu_config){
		.name = "disk",
		.backend = duotgt_backend_find("ram"),
		.params = {.path = "", .size = 1 << 20},
		.uuid = {0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0x4d, 0xef, 0x81, 0x23, 0x45, 0x67,
			 0x89, 0xab, 0xcd, 0xef},
		.block_size = 512,
		.max_transfer = 64 << 10,
		.write_cache = true,
		.online = true,
		.numa_node = -1,
	};
}

void harness_start(struct harness *h)
{
	*h = (struct harness){.next_tag = 1};
	alarm(HANG_S);
	assert_int_equal(engine_new(ENGINE_EPOLL, NULL, &h->engine), 0);
	assert_int_equal(scsi_target_new("iqn.2024-01.example:disk", &h->target), 0);
}

struct scsi_lu *harness_map(struct harness *h, uint32_t lun, const struct scsi_lu_config *cfg)
{
	struct scsi_lu *lu;
	char why[256] = "";

	assert_true(h->n_lus < HARNESS_LUS);
	if (scsi_lu_new(cfg, &lu, why, sizeof(why)) < 0)
		fail_msg("no LU: %s", why);
	assert_int_equal(scsi_target_map(h->target, lun, lu), 0);
	h->lus[h->n_lus++] = lu;
	return lu;
}

void harness_connect(struct harness *h)
{
	static const char *const names[HARNESS_NEXUSES] = {
		"iqn.2024-01.example:one,i,0x00023d000001",
		"iqn.2024-01.example:two,i,0x00023d000002",
	};

	for (unsigned i = 0; i < HARNESS_NEXUSES; i++)
		if (!h->nexus[i])
			assert_int_equal(
				scsi_nexus_new(h->target, names[i], 1, h->engine, &h->nexus[i]), 0);
}

void harness_settle(struct harness *h)
{
	harness_connect(h);
	for (unsigned i = 0; i < HARNESS_NEXUSES; i++)
		for (unsigned j = 0; j < scsi_nexus_map(h->nexus[i])->n; j++) {
			struct scsi_itl *itl = scsi_nexus_itl(h->nexus[i], j);

			assert_non_null(itl);
			atomic_store(&itl->attentions, 0);
		}
}

void harness_start_disk(struct harness *h)
{
	struct scsi_lu_config cfg = harness_lu_config();

	harness_start(h);
	harness_map(h, 0, &cfg);
	harness_settle(h);
}

void harness_stop(struct harness *h)
{
	for (unsigned i = 0; i < HARNESS_NEXUSES; i++)
		scsi_nexus_free(h->nexus[i]);
	while (engine_turn(h->engine, false) > 0)
		; /* what was posted may still run */
	scsi_target_unref(h->target);
	for (unsigned i = 0; i < h->n_lus; i++)
		scsi_lu_unref(h->lus[i]);
	engine_free(h->engine);
	free(h->answer.data);
	alarm(0);
}

void harness_wait(struct harness *h, const bool *flag)
{
	while (!*(const volatile bool *)flag)
		assert_true(engine_turn(h->engine, true) >= 0);
}

/* Pieces of uneven length, so that no code can lean on whole blocks per segment. */
static int cut(uint8_t *buf, size_t len, unsigned n_segments, struct iovec *iov)
{
	size_t at = 0;
	int n = 0;

	assert_true(n_segments <= MAX_SEGMENTS);
	while (n + 1 < n_segments && at < len) {
		size_t piece = len / n_segments + n % 3;

		piece = piece < len - at ? piece : len - at;
		iov[n++] = (struct iovec){buf + at, piece};
		at += piece;
	}
	if (at < len)
		iov[n++] = (struct iovec){buf + at, len - at};
	return n;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The middle of a command: its buffer, exactly as long as it may be, so that ASan sees more. */
static uint8_t *play(struct harness *h, const struct sent *sent, struct sent_task *st)
{
	struct scsi_task *task = &st->task;
	uint64_t in = min_u64(task->need_in, sent->expect_in);
	uint64_t out = min_u64(task->need_out, sent->out_len);
	size_t len = in ? in : out;
	struct iovec iov[MAX_SEGMENTS], lent[MAX_SEGMENTS];
	uint8_t *buf = NULL;

	assert_false(task->need_in && task->need_out);
	if (len) {
		buf = malloc(len);
		assert_non_null(buf);
		memset(buf, 0xee, len);
		if (out)
			memcpy(buf, sent->out, len);
	}
	task->iov = iov;
	task->n_iov = cut(buf, len, sent->n_segments, iov);
	memcpy(lent, iov, sizeof(iov[0]) * (size_t)task->n_iov);
	if (scsi_task_run(task) == SCSI_PENDING) {
		h->answer.was_pending = true;
		assert_false(st->done);
		harness_wait(h, &st->done);
	}
	assert_false(task->pending);
	if (len) /* segments are lent, and come back as they were */
		assert_memory_equal(iov, lent, sizeof(iov[0]) * (size_t)task->n_iov);
	return buf;
}

const struct answer *harness_send(struct harness *h, const struct sent *sent)
{
	struct sent_task st = {0};
	struct scsi_task *task = &st.task;
	struct answer *a = &h->answer;

	harness_connect(h);
	free(a->data);
	*a = (struct answer){0};
	task->transport = &sent_transport;
	task->nexus = h->nexus[sent->nexus];
	task->lun = sent->raw_lun ? sent->raw_lun : scsi_lun_encode(sent->lun);
	task->tag = h->next_tag++;
	task->attr = ATTR_SIMPLE;
	memcpy(task->cdb, sent->cdb, sizeof(task->cdb));
	task->cdb_len = sent->cdb_len ? sent->cdb_len : SCSI_CDB_MAX;
	task->expect_in = sent->expect_in;
	task->expect_out = sent->out_len;
	if (scsi_task_begin(task) == SCSI_READY)
		a->data = play(h, sent, &st);
	a->status = task->status;
	a->sense = task->sense;
	a->code = (uint32_t)task->sense.key << 16 | task->sense.asc << 8 | task->sense.ascq;
	a->in_len = task->in_len;
	a->out_len = task->out_len;
	a->need_in = task->need_in;
	a->need_out = task->need_out;
	a->len = min_u64(task->in_len, sent->expect_in);
	a->descriptor_sense = scsi_task_descriptor_sense(task);
	scsi_task_end(task);
	return a;
}

void assert_check(const struct answer *a, enum scsi_sense_code code)
{
	assert_int_equal(a->status, STATUS_CHECK_CONDITION);
	assert_int_equal(a->code, code);
	assert_int_equal(a->in_len, 0);
}

void assert_good(const struct answer *a)
{
	assert_int_equal(a->code, SENSE_NONE);
	assert_int_equal(a->status, STATUS_GOOD);
}

void assert_bad_field(const struct answer *a, unsigned byte, int bit)
{
	assert_check(a, SENSE_INVALID_FIELD_IN_CDB);
	assert_true(a->sense.has_field && a->sense.in_cdb);
	assert_int_equal(a->sense.field, byte);
	assert_int_equal(a->sense.has_bit ? a->sense.bit : -1, bit);
}
