/* SPDX-License-Identifier: Apache-2.0 */
/* See command_kit.h. */
#include "tests/scsi/command_kit.h"
#include <stdatomic.h>

enum { INQUIRY = 0x12, WRITE_10 = 0x2a, COMPARE_AND_WRITE = 0x89 };

static atomic_uint n_done;
static uint64_t next_tag;

void command_kit_start(struct harness *h)
{
	struct scsi_lu_config cfg = harness_lu_config();

	fake_reset();
	cfg.backend = &fake_backend_ops;
	harness_start(h);
	harness_map(h, 0, &cfg);
	harness_settle(h);
	n_done = 0;
}

void command_kit_turn(struct harness *h)
{
	for (int i = 0; i < 10; i++)
		assert_true(engine_turn(h->engine, false) >= 0);
}

void command_end(struct command *c)
{
	assert_false(c->ended);
	c->ended = true;
	scsi_task_end(&c->task);
}

static void command_done(struct scsi_task *task)
{
	struct command *c = container_of(task, struct command, task);

	assert_true(c->running && !c->done);
	c->done = true;
	c->nth = ++n_done;
	c->told = c->aborted && task->tell_aborted;
	command_end(c);
}

static void command_aborted(struct scsi_task *task)
{
	struct command *c = container_of(task, struct command, task);

	assert_true(task->aborted);
	c->aborted = true;
	if (task->pending)
		return;
	c->told = task->tell_aborted;
	command_end(c);
}

const struct scsi_transport command_transport = {.done = command_done, .aborted = command_aborted};

void command_prepare(struct command *c, struct harness *h, unsigned nexus, uint8_t opcode,
		     enum scsi_attr attr)
{
	bool caw = opcode == COMPARE_AND_WRITE, writes = opcode == WRITE_10 || caw;
	uint32_t len = caw ? 1024 : 512;

	*c = (struct command){.task = {.transport = &command_transport,
				       .nexus = h->nexus[nexus],
				       .tag = ++next_tag,
				       .attr = attr,
				       .cdb = {opcode},
				       .cdb_len = 16,
				       .expect_in = writes ? 0 : len,
				       .expect_out = writes ? len : 0}};
	c->task.cdb[opcode == INQUIRY ? 4 : caw ? 13 : 8] = opcode == INQUIRY ? 96 : 1;
	c->iov = (struct iovec){c->buf, len};
}

enum scsi_step command_begin(struct command *c)
{
	enum scsi_step step = scsi_task_begin(&c->task);

	c->task.iov = &c->iov;
	c->task.n_iov = 1;
	if (step == SCSI_DONE)
		command_end(c);
	return step;
}

void command_run(struct command *c)
{
	c->running = true;
	if (scsi_task_run(&c->task) != SCSI_PENDING)
		command_done(&c->task);
}

static void function_done(struct scsi_tmf *tmf)
{
	container_of(tmf, struct function, tmf)->done = true;
}

void function_start(struct function *f, struct harness *h, unsigned nexus,
		    enum scsi_tmf_function function, uint64_t tag)
{
	*f = (struct function){.tmf = {.function = function,
				       .nexus = h->nexus[nexus],
				       .lun = scsi_lun_encode(0),
				       .tag = tag,
				       .done = function_done}};
	scsi_tmf_start(&f->tmf);
	assert_false(f->done);
}

enum scsi_tmf_response function_play(struct harness *h, unsigned nexus,
				     enum scsi_tmf_function function, uint64_t tag)
{
	struct function f;

	function_start(&f, h, nexus, function, tag);
	harness_wait(h, &f.done);
	return f.tmf.response;
}
