/* SPDX-License-Identifier: Apache-2.0 */
/* A device serving its ring: data, residuals, batches, the end. */
#include "scsi/task.h"
#include "tests/handler/rig.h"
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

#define iovec tcmu_kernel_iovec
#include <linux/target_core_user.h>
#undef iovec

static void fill(uint8_t *buf, size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = (uint8_t)(i * 7 + seed);
}

static void assert_bytes(const uint8_t *buf, size_t from, size_t to, uint8_t value)
{
	for (size_t i = from; i < to; i++)
		assert_int_equal(buf[i], value);
}

/* READ (10), WRITE (10) of blocks that lie anywhere below 64 KiB. */
#define RW(opcode, lba, n)                                                                         \
	{                                                                                          \
		opcode, 0, 0, 0, (uint8_t)((lba) >> 8), (uint8_t)(lba), 0, 0, n, 0                 \
	}

static void reads_what_was_written(void **state)
{
	static uint8_t out[32 * 512];
	struct rig rig;

	rig_start(&rig, state, NULL, false);
	rig_greet(&rig);
	for (unsigned n_segments = 1; n_segments <= 100; n_segments += 9) {
		struct kernel_cmd *cmd;

		fill(out, sizeof(out), n_segments);
		cmd = SEND(&rig, .cdb = RW(0x2a, 3, 32), .len = sizeof(out), .out = out,
			   .n_segments = n_segments);
		assert_int_equal(cmd->status, STATUS_GOOD);
		assert_memory_equal(fake.mem + 3 * 512, out, sizeof(out));
		cmd = SEND(&rig, .cdb = RW(0x28, 3, 32), .len = sizeof(out),
			   .n_segments = n_segments);
		assert_int_equal(cmd->status, STATUS_GOOD);
		assert_memory_equal(cmd->data, out, sizeof(out));
	}
	assert_true(kernel_is_empty(&rig.k));
	rig_stop(&rig);
}

/* Whatever of a buffer is not filled is cleared, and the length told if there is one to tell. */
static void shows_nothing_stale(void **state)
{
	struct kernel_cmd *cmd;
	struct rig rig;

	rig_start(&rig, state, NULL, false);
	cmd = SEND(&rig, .cdb = {0x12, 0, 0, 0, 255}, .len = 255, .n_segments = 4);
	assert_int_equal(cmd->status, STATUS_GOOD);
	assert_int_equal(cmd->uflags, TCMU_UFLAG_READ_LEN);
	assert_int_equal(cmd->read_len, 96);
	assert_memory_equal(cmd->data + 8, "DUOTGT  ", 6);
	assert_bytes(cmd->data, 96, 255, 0);
	rig_greet(&rig);

	/* The initiator's buffer is larger than the command's. */
	fill(fake.mem, 8192, 1);
	cmd = SEND(&rig, .cdb = RW(0x28, 0, 8), .len = 8192, .n_segments = 7);
	assert_int_equal(cmd->read_len, 4096);
	assert_int_equal(cmd->uflags, TCMU_UFLAG_READ_LEN);
	assert_memory_equal(cmd->data, fake.mem, 4096);
	assert_bytes(cmd->data, 4096, 8192, 0);

	/* ... and smaller: what fits, and nothing beyond. */
	cmd = SEND(&rig, .cdb = RW(0x28, 0, 8), .len = 1024);
	assert_int_equal(cmd->status, STATUS_GOOD);
	assert_int_equal(cmd->uflags, 0);
	assert_memory_equal(cmd->data, fake.mem, 1024);
	assert_bytes(cmd->data, 1024, 1024 + 64, 0); /* the gap between buffers is untouched */

	/* No data at all: there is no length to tell. */
	cmd = SEND(&rig, .cdb = {0x00}, .len = 64);
	assert_int_equal(cmd->status, STATUS_GOOD);
	assert_int_equal(cmd->uflags, 0);
	assert_bytes(cmd->data, 0, 64, 0);

	/* A second buffer, which no command of ours fills. */
	cmd = SEND(&rig, .cdb = RW(0x2a, 0, 1), .len = 512, .bidi_len = 512);
	assert_int_equal(cmd->status, STATUS_GOOD);
	assert_bytes(fake.mem, 0, 512, KERNEL_STALE);
	assert_bytes(cmd->data, 512, 1024, 0);
	rig_stop(&rig);
}

/* The kernel hands over a buffer with any status but CHECK CONDITION. */
static void shows_nothing_stale_with_busy(void **state)
{
	struct kernel_cmd *cmd;
	struct rig rig;

	rig_start(&rig, state, NULL, false);
	rig_greet(&rig);
	fake.fail = -EAGAIN;
	fake.fail_kind = DUOTGT_IO_READ;
	cmd = SEND(&rig, .cdb = RW(0x28, 0, 8), .len = 4096);
	assert_int_equal(cmd->status, STATUS_BUSY);
	assert_bytes(cmd->data, 0, 4096, 0);
	rig_stop(&rig);
}

static void answers_every_opcode(void **state)
{
	struct rig rig;

	rig_start(&rig, state, NULL, false);
	rig_greet(&rig);
	for (unsigned opcode = 0; opcode < 256; opcode++) {
		struct kernel_cmd *cmd = SEND(&rig, .cdb = {(uint8_t)opcode}, .len = 64);

		if (opcode >= 0xc0)
			assert_sense(cmd, SENSE_INVALID_OPCODE);
	}
	assert_true(kernel_is_empty(&rig.k));
	rig_stop(&rig);
}

static void sense_says_where(void **state)
{
	struct kernel_cmd *cmd;
	struct rig rig;

	rig_start(&rig, state, NULL, false);
	rig_greet(&rig);
	fake.fail = -EIO;
	fake.fail_kind = DUOTGT_IO_READ;
	cmd = SEND(&rig, .cdb = RW(0x28, 0x102, 8), .len = 4096);
	assert_sense(cmd, SENSE_UNRECOVERED_READ_ERROR);
	assert_memory_equal(cmd->sense + 3, ((uint8_t[]){0, 0, 1, 2}), 4);
	assert_int_equal(cmd->uflags, 0);
	rig_stop(&rig);
}

/* Answers that are ready together leave together. */
static void tells_the_kernel_once(void **state)
{
	struct rig rig;

	rig_start(&rig, state, NULL, false);
	rig_greet(&rig);
	for (unsigned i = 0; i < 50; i++)
		QUEUE(&rig.k, .cdb = {0x00});
	rig_serve(&rig, 50);
	assert_int_equal(kernel_heard(&rig.k), 1);

	fake.hold = true;
	for (unsigned i = 0; i < 20; i++)
		QUEUE(&rig.k, .cdb = RW(0x28, i, 1), .len = 512);
	kernel_kick(&rig.k);
	rig_settle(&rig);
	assert_int_equal(fake.n_held, 20);
	assert_int_equal(kernel_heard(&rig.k), 0);
	assert_int_equal(kernel_reap(&rig.k), 0);
	fake_release();
	rig_settle(&rig);
	assert_int_equal(kernel_reap(&rig.k), 20);
	assert_int_equal(kernel_heard(&rig.k), 1);
	rig_stop(&rig);
}

/* What is in the ring when the kernel has been told is begun in the same turn. */
static void goes_on_after_telling(void **state)
{
	struct rig rig;

	rig_start(&rig, state, NULL, false);
	rig_greet(&rig);
	fake.hold = true;
	QUEUE(&rig.k, .cdb = RW(0x28, 0, 1), .len = 512);
	kernel_kick(&rig.k);
	rig_settle(&rig);
	QUEUE(&rig.k, .cdb = RW(0x28, 1, 1), .len = 512);
	fake_release();
	while (!kernel_heard(&rig.k))
		assert_true(engine_turn(rig.engine, false) >= 0);
	assert_int_equal(kernel_reap(&rig.k), 1);
	assert_int_equal(fake.n_held, 1);
	fake_release();
	rig_settle(&rig);
	assert_int_equal(kernel_reap(&rig.k), 1);
	assert_true(kernel_is_empty(&rig.k));
	rig_stop(&rig);
}

static void a_slow_command_holds_up_nobody(void **state)
{
	struct rig rig;
	uint16_t slow;

	rig_start(&rig, state, NULL, false);
	rig_greet(&rig);
	fake.hold = true;
	slow = QUEUE(&rig.k, .cdb = RW(0x28, 0, 1), .len = 512);
	kernel_kick(&rig.k);
	rig_settle(&rig);
	for (unsigned i = 0; i < 2000; i++)
		assert_int_equal(SEND(&rig, .cdb = {0x00})->status, STATUS_GOOD);
	assert_true(kernel_cmd(&rig.k, slow)->open);
	fake_release();
	rig_settle(&rig);
	assert_int_equal(kernel_reap(&rig.k), 1);
	assert_true(kernel_cmd(&rig.k, slow)->done);
	rig_stop(&rig);
}

/* More than it takes at once waits in the ring, and is served without another interrupt. */
static void takes_as_much_as_it_can(void **state)
{
	enum { N = 1200 };
	unsigned n = 0;
	struct rig rig;

	rig_start(&rig, state, NULL, false);
	rig_greet(&rig);
	fake.hold = true;
	for (unsigned i = 0; i < N; i++)
		QUEUE(&rig.k, .cdb = RW(0x28, i % 2000, 1), .len = 512);
	kernel_kick(&rig.k);
	rig_settle(&rig);
	assert_in_range(fake.n_held, 1, N - 1);
	fake.hold = false;
	fake_release();
	while (n < N) {
		rig_settle(&rig);
		n += kernel_reap(&rig.k);
	}
	assert_true(kernel_is_empty(&rig.k));
	rig_stop(&rig);
}

static void serves_what_was_there_before(void **state)
{
	struct rig rig;
	struct tcmu_device_config cfg = {.name = "uio1"};

	rig_start(&rig, state, NULL, false);
	rig_greet(&rig);
	rig_begin_stop(&rig, false);
	rig_finish_stop(&rig);
	QUEUE(&rig.k, .cdb = {0x12, 0, 0, 0, 96}, .len = 96);
	cfg.fd = rig.k.fd;
	cfg.map = rig.k.map;
	cfg.map_len = rig.k.map_len;
	cfg.lu = rig.lu;
	cfg.engine = rig.engine;
	assert_int_equal(tcmu_device_new(&cfg, &rig.device), 0);
	rig_settle(&rig);
	assert_int_equal(kernel_reap(&rig.k), 0); /* not before it is told to */
	tcmu_device_start(rig.device);
	rig_settle(&rig);
	assert_int_equal(kernel_reap(&rig.k), 1);
	rig.stopped = false;
	rig_stop(&rig);
}

static void one_that_never_started(void **state)
{
	struct rig rig;
	struct tcmu_device_config cfg = {.name = "uio1"};
	struct tcmu_device *device;

	rig_start(&rig, state, NULL, false);
	cfg.fd = rig.k.fd;
	cfg.map = rig.k.map;
	cfg.map_len = rig.k.map_len;
	cfg.lu = rig.lu;
	cfg.engine = rig.engine;
	assert_int_equal(tcmu_device_new(&cfg, &device), 0);
	tcmu_device_free(device);
	cfg.map_len = 100;
	assert_int_equal(tcmu_device_new(&cfg, &device), -EPROTO);
	rig_stop(&rig);
}

/* ---- the end ---- */

static void waits_for_what_is_under_way(void **state)
{
	struct rig rig;
	uint16_t before, after;

	rig_start(&rig, state, NULL, false);
	rig_greet(&rig);
	fake.hold = true;
	before = QUEUE(&rig.k, .cdb = RW(0x28, 0, 1), .len = 512);
	kernel_kick(&rig.k);
	rig_settle(&rig);
	rig_begin_stop(&rig, false);
	rig_settle(&rig);
	assert_false(rig.stopped);
	after = QUEUE(&rig.k, .cdb = {0x00});
	kernel_kick(&rig.k);
	rig_settle(&rig);
	fake_release();
	rig_finish_stop(&rig);
	assert_int_equal(kernel_reap(&rig.k), 1);
	assert_int_equal(kernel_cmd(&rig.k, before)->status, STATUS_GOOD);
	assert_true(kernel_cmd(&rig.k, after)->open); /* for whoever comes next */
	assert_int_equal(kernel_heard(&rig.k), 1);
	rig_stop(&rig);
}

static void aborts_what_is_under_way(void **state)
{
	struct rig rig;
	uint16_t id;

	rig_start(&rig, state, NULL, false);
	rig_greet(&rig);
	fake.hold = true;
	id = QUEUE(&rig.k, .cdb = RW(0x28, 0, 1), .len = 512);
	kernel_kick(&rig.k);
	rig_settle(&rig);
	rig_begin_stop(&rig, true);
	rig_settle(&rig);
	assert_false(rig.stopped); /* the store still has its buffer */
	fake_release();
	rig_finish_stop(&rig);
	assert_int_equal(kernel_reap(&rig.k), 1);
	assert_int_equal(kernel_cmd(&rig.k, id)->status, STATUS_BUSY);
	assert_bytes(kernel_cmd(&rig.k, id)->data, 0, 512, 0);
	rig_stop(&rig);
}

/* ---- a thread of its own ---- */

static void *run_engine(void *arg)
{
	assert_int_equal(engine_run(arg), 0);
	return NULL;
}

static void stop_engine(struct engine_post *post)
{
	engine_stop(container_of(post, struct call, op.post)->op.engine);
}

static void post_semaphore(void *arg)
{
	sem_post(arg);
}

static void lu_reads_and_writes(struct rig *rig, unsigned n)
{
	for (unsigned i = 0; i < n && kernel_room(&rig->k) > 2048; i++)
		QUEUE(&rig->k, .cdb = RW(i % 3 ? 0x28 : 0x2a, i % 64, 8), .len = 4096,
		      .n_segments = 1 + i % 40);
	kernel_kick(&rig->k);
}

/* Starts, stops and starts again while commands keep coming; none is lost, none answered twice. */
static void removal_under_load(void **state)
{
	struct rig rig;
	struct tcmu_device_config cfg = {.name = "uio0"};
	struct call stop = {0};
	struct engine *engine;
	pthread_t thread;

	rig_start(&rig, state, NULL, false);
	rig_greet(&rig);
	rig_begin_stop(&rig, false);
	rig_finish_stop(&rig);
	cfg.fd = rig.k.fd;
	cfg.map = rig.k.map;
	cfg.map_len = rig.k.map_len;
	cfg.lu = rig.lu;
	set_up(&engine, state, 0);
	cfg.engine = engine;
	pthread_create(&thread, NULL, run_engine, engine);
	for (unsigned round = 0; round < 40; round++) {
		struct tcmu_device *device;
		sem_t stopped;

		sem_init(&stopped, 0, 0);
		assert_int_equal(tcmu_device_new(&cfg, &device), 0);
		tcmu_device_start(device);
		for (unsigned i = 0; i < 20; i++) {
			lu_reads_and_writes(&rig, 16);
			kernel_reap(&rig.k);
			kernel_heard(&rig.k);
		}
		tcmu_device_stop(device, round % 2, post_semaphore, &stopped);
		lu_reads_and_writes(&rig, 16);
		while (sem_wait(&stopped) < 0)
			;
		kernel_reap(&rig.k);
		sem_destroy(&stopped);
	}
	stop.op.engine = engine;
	stop.op.post.run = stop_engine;
	engine_post(engine, &stop.op.post);
	pthread_join(thread, NULL);
	engine_free(engine);
	cfg.engine = rig.engine;
	/* What was left in the ring is served by the next one. */
	assert_int_equal(tcmu_device_new(&cfg, &rig.device), 0);
	tcmu_device_start(rig.device);
	while (rig.k.n_open) {
		assert_true(engine_turn(rig.engine, true) >= 0);
		kernel_reap(&rig.k);
	}
	rig.stopped = false;
	rig_stop(&rig);
}

/* ---- a ring that makes no sense ---- */

static void a_corrupt_ring_is_left_alone(void **state)
{
	struct rig rig;
	uint16_t good;

	rig_start(&rig, state, NULL, false);
	rig_greet(&rig);
	fake.hold = true;
	good = QUEUE(&rig.k, .cdb = RW(0x28, 0, 1), .len = 512);
	kernel_kick(&rig.k);
	rig_settle(&rig);
	kernel_queue_odd(&rig.k, TCMU_OP_CMD, 64); /* too short */
	QUEUE(&rig.k, .cdb = {0x00});
	kernel_kick(&rig.k);
	rig_settle(&rig);
	assert_int_equal(kernel_reap(&rig.k), 0);
	fake_release();
	rig_settle(&rig);
	assert_int_equal(kernel_reap(&rig.k), 1); /* what was taken before is answered */
	assert_int_equal(kernel_cmd(&rig.k, good)->status, STATUS_GOOD);
	kernel_kick(&rig.k);
	rig_settle(&rig);
	assert_int_equal(kernel_reap(&rig.k), 0);
	rig_stop(&rig);
}

static void a_corrupt_segment_is_found(void **state)
{
	struct rig rig;
	uint64_t at = 0;
	uint32_t head;

	rig_start(&rig, state, NULL, false);
	rig_greet(&rig);
	head = KERNEL_RING_OFF + rig.k.mb->cmd_head;
	QUEUE(&rig.k, .cdb = RW(0x2a, 0, 1), .len = 512);
	memcpy(rig.k.map + head + offsetof(struct tcmu_cmd_entry, req.iov), &at, sizeof(at));
	kernel_kick(&rig.k);
	rig_settle(&rig);
	assert_int_equal(fake.n_ios, 0);
	assert_int_equal(kernel_reap(&rig.k), 0);
	rig_stop(&rig);
}

int main(void)
{
	/* clang-format off */
	const struct CMUnitTest tests[] = {
		on_both(reads_what_was_written),
		on_both(shows_nothing_stale),
		on_both(shows_nothing_stale_with_busy),
		on_both(answers_every_opcode),
		on_both(sense_says_where),
		on_both(tells_the_kernel_once),
		on_both(goes_on_after_telling),
		on_both(a_slow_command_holds_up_nobody),
		on_both(takes_as_much_as_it_can),
		on_both(serves_what_was_there_before),
		on_both(one_that_never_started),
		on_both(waits_for_what_is_under_way),
		on_both(aborts_what_is_under_way),
		on_both(removal_under_load),
		on_both(a_corrupt_ring_is_left_alone),
		on_both(a_corrupt_segment_is_found),
	};
	/* clang-format on */

	return cmocka_run_group_tests(tests, NULL, NULL);
}
