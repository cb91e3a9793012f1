/* SPDX-License-Identifier: Apache-2.0 */
/* See wipe_kit.h. */
#include "tests/scsi/wipe_kit.h"
#include "scsi/lu_priv.h"
#include "util/bytes.h"
#include <string.h>

static void started_done(struct scsi_task *task)
{
	struct started *started = container_of(task, struct started, task);

	started->done = true;
	if (started->aborted) /* what aborted it waits for this */
		scsi_task_end(task);
}

static void started_aborted(struct scsi_task *task)
{
	container_of(task, struct started, task)->aborted = true;
	assert_true(task->pending);
}

static const struct scsi_transport transport = {.done = started_done, .aborted = started_aborted};

void wipe_start(struct harness *h, struct started *started, const struct sent *sent)
{
	struct scsi_task *task = &started->task;

	harness_connect(h);
	*started = (struct started){0};
	task->transport = &transport;
	task->nexus = h->nexus[sent->nexus];
	task->lun = scsi_lun_encode(sent->lun);
	task->tag = h->next_tag++;
	task->attr = ATTR_SIMPLE;
	memcpy(task->cdb, sent->cdb, sizeof(task->cdb));
	task->cdb_len = SCSI_CDB_MAX;
	task->expect_out = sent->out_len;
	if (scsi_task_begin(task) == SCSI_DONE) {
		started->done = true;
		return;
	}
	started->iov = (struct iovec){(void *)sent->out, sent->out_len};
	task->iov = &started->iov;
	task->n_iov = sent->out_len ? 1 : 0;
	started->done = scsi_task_run(task) == SCSI_DONE;
}

void wipe_end(struct harness *h, struct started *started)
{
	harness_wait(h, &started->done);
	if (!started->aborted)
		scsi_task_end(&started->task);
}

void wipe_wait(struct harness *h, const struct scsi_lu *lu)
{
	while (lu->job)
		assert_true(engine_turn(h->engine, true) >= 0);
}

void wipe_turn(struct harness *h, unsigned n)
{
	while (n--)
		assert_true(engine_turn(h->engine, false) >= 0);
}

uint16_t wipe_progress(struct harness *h, enum scsi_sense_code code)
{
	const struct answer *a = SEND(h, .nexus = 1, .cdb = {0x00});
	uint16_t progress = a->sense.progress;

	assert_check(a, code);
	assert_true(a->sense.has_progress);
	a = SEND(h, .nexus = 1, .cdb = {0x03, 0, 0, 0, 18}, .expect_in = 18);
	assert_good(a);
	assert_int_equal(a->data[2] << 16 | a->data[12] << 8 | a->data[13], code);
	assert_int_equal(a->data[15], 0x80); /* SKSV */
	assert_in_range(be16_get(a->data + 16), progress, 65535);
	return progress;
}

struct managed {
	struct scsi_tmf tmf;
	bool done;
};

static void managed_done(struct scsi_tmf *tmf)
{
	container_of(tmf, struct managed, tmf)->done = true;
}

enum scsi_tmf_response wipe_manage(struct harness *h, unsigned nexus,
				   enum scsi_tmf_function function, uint64_t tag)
{
	struct managed managed = {.tmf = {.function = function,
					  .nexus = h->nexus[nexus],
					  .tag = tag,
					  .done = managed_done}};

	scsi_tmf_start(&managed.tmf);
	harness_wait(h, &managed.done);
	return managed.tmf.response;
}

void wipe_read_all(struct harness *h, uint8_t *buf, size_t len)
{
	uint32_t block = scsi_lu_block_size(h->lus[0]);

	for (size_t at = 0; at < len; at += 65536) {
		struct sent sent = {.cdb = {0x28}, .expect_in = 65536};

		be32_put(sent.cdb + 2, (uint32_t)(at / block));
		be16_put(sent.cdb + 7, (uint16_t)(65536 / block));
		assert_good(harness_send(h, &sent));
		memcpy(buf + at, h->answer.data, 65536);
	}
}
