/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any commands, one after the other, against a LU in memory: answers stay within their lengths,
 * sense is sane, and only commands that say so change the medium.
 *
 * Input: for each command a byte of choices, 16 bytes of CDB, a byte for the length of the
 * data-out in units of 16 bytes, and the data-out.
 */
#include "scsi/aca.h"
#include <stdlib.h>
#include <string.h>

#define STORE_SIZE (64u << 10)
#define BUF_LEN (STORE_SIZE + 64)
#define CDB_LEN 16
#define COMMANDS_MAX 16
#define THIRD_PARTY_COPY_OUT 0x83

enum {
	/* the byte of choices */
	CHOOSE_LUN = 0x07,  /* 0 to 3: as mapped below; else absent */
	CHOOSE_ROOM = 0x08, /* the initiator takes all that the command gives, or CHOOSE_SMALL */
	CHOOSE_SMALL = 0x70,
	CHOOSE_NEXUS = 0x80,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Not assert(), which a release build leaves out. */
static void require(bool what)
{
	if (!what)
		abort();
}

/* ---- the store ---- */

static uint8_t medium[STORE_SIZE], medium_before[STORE_SIZE];

struct request {
	struct engine_post post;
	struct duotgt_io *io;
};

static int mem_open(const struct duotgt_backend_params *params, void **ret_store,
		    struct duotgt_backend_info *ret_info, char *ret_why, size_t why_len)
{
	(void)ret_why;
	(void)why_len;
	*ret_info = (struct duotgt_backend_info){.size = STORE_SIZE,
						 .read_only = params->read_only,
						 .volatile_cache = true,
						 .can_discard = true,
						 .physical_block = 4096};
	*ret_store = medium;
	return 0;
}

static void mem_done(struct engine_post *post)
{
	struct request *request = container_of(post, struct request, post);

	request->io->done(request->io, 0);
}

static void mem_submit(void *store, struct engine *engine, struct duotgt_io *io)
{
	struct request *request = (struct request *)io->priv;
	uint8_t *at = medium + io->offset;
	uint64_t sum = 0;

	require(store == medium);
	require(io->kind == DUOTGT_IO_FLUSH ||
		(io->len && io->offset < STORE_SIZE && io->len <= STORE_SIZE - io->offset));
	if (io->kind == DUOTGT_IO_DISCARD)
		memset(at, 0, io->len);
	for (int i = 0; i < io->n_iov; sum += io->iov[i++].iov_len) {
		require(sum + io->iov[i].iov_len <= io->len);
		if (io->kind == DUOTGT_IO_READ)
			memcpy(io->iov[i].iov_base, at + sum, io->iov[i].iov_len);
		else if (io->kind == DUOTGT_IO_WRITE)
			memcpy(at + sum, io->iov[i].iov_base, io->iov[i].iov_len);
	}
	require(sum == io->len || io->kind == DUOTGT_IO_DISCARD);
	request->io = io;
	request->post.run = mem_done;
	engine_post(engine, &request->post);
}

static void mem_close(void *store)
{
	(void)store;
}

static const struct duotgt_backend_ops mem_ops = {.abi = DUOTGT_BACKEND_ABI,
						  .size = sizeof(struct duotgt_backend_ops),
						  .type = "mem",
						  .open = mem_open,
						  .submit = mem_submit,
						  .close = mem_close};

/* ---- the target: LUNs 0 plain, 1 thin, 2 read-only, 3 write through with large blocks ---- */

static struct engine *engine;
static struct scsi_target *target;
static struct scsi_nexus *nexuses[2];

static void map(uint32_t lun)
{
	struct scsi_lu_config cfg = {.name = "fuzz",
				     .backend = &mem_ops,
				     .params = {.read_only = lun == 2},
				     .uuid = {1, 2, 3},
				     .block_size = lun == 3 ? 4096 : 512,
				     .max_transfer = 32 << 10,
				     .write_cache = lun != 3,
				     .thin = lun == 1,
				     .online = true,
				     .numa_node = -1};
	struct scsi_lu *lu;
	char why[128];

	require(!scsi_lu_new(&cfg, &lu, why, sizeof(why)));
	require(!scsi_target_map(target, lun, lu));
	scsi_lu_unref(lu);
}

static void set_up(void)
{
	require(!engine_new(ENGINE_EPOLL, NULL, &engine));
	require(!scsi_target_new("iqn.2024-01.example:fuzz", &target));
	for (uint32_t lun = 0; lun < 4; lun++)
		map(lun);
	for (unsigned i = 0; i < 2; i++)
		require(!scsi_nexus_new(target, "iqn.2024-01.example:i,i,0x000000000000",
					(uint16_t)(i + 1), engine, &nexuses[i]));
}

/* Each input starts from the same state. */
static void reset(void)
{
	for (unsigned i = 0; i < STORE_SIZE; i++)
		medium[i] = (uint8_t)(i * 5 + i / 512);
	for (unsigned i = 0; i < target->map->n; i++) {
		atomic_store(&target->map->all[i].lu->stopped, false);
		for (unsigned j = 0; j < 2; j++) {
			scsi_aca_clear(scsi_nexus_itl(nexuses[j], i));
			atomic_store(&scsi_nexus_itl(nexuses[j], i)->attentions,
				     i == 3 ? 1u << UA_POWER_ON : 0);
		}
	}
}

/* ---- one command ---- */

static bool done;

static void task_done(struct scsi_task *task)
{
	(void)task;
	require(!done);
	done = true;
}

static void task_aborted(struct scsi_task *task)
{
	(void)task;
	abort();
}

static const struct scsi_transport transport = {.done = task_done, .aborted = task_aborted};

/* The buffer as long as it may be and no longer, and in two pieces, for ASan to watch. */
static void run(struct scsi_task *task, const uint8_t *out)
{
	size_t in = task->need_in < task->expect_in ? task->need_in : task->expect_in;
	size_t n = task->need_out < task->expect_out ? task->need_out : task->expect_out;
	size_t first = (in + n) / 3;
	struct iovec iov[2];

	require(!in || !n);
	iov[0] = (struct iovec){malloc(first + 1), first};
	iov[1] = (struct iovec){malloc(in + n - first + 1), in + n - first};
	require(iov[0].iov_base && iov[1].iov_base);
	if (n) {
		memcpy(iov[0].iov_base, out, first);
		memcpy(iov[1].iov_base, out + first, n - first);
	}
	((uint8_t *)iov[0].iov_base)[first] = 0xa5;
	((uint8_t *)iov[1].iov_base)[in + n - first] = 0xa5;
	task->iov = iov;
	task->n_iov = in + n ? 2 : 0;
	done = false;
	if (scsi_task_run(task) == SCSI_PENDING)
		while (!done)
			require(engine_turn(engine, true) >= 0);
	require(!task->pending && iov[0].iov_len == first && iov[1].iov_len == in + n - first);
	require(((uint8_t *)iov[0].iov_base)[first] == 0xa5);
	require(((uint8_t *)iov[1].iov_base)[in + n - first] == 0xa5);
	free(iov[0].iov_base);
	free(iov[1].iov_base);
}

/* Statuses that stand for something, and only where they do. */
static bool is_a_status(const struct scsi_task *task)
{
	switch (task->status) {
	case STATUS_GOOD:
	case STATUS_CHECK_CONDITION:
		return true;
	case STATUS_CONDITION_MET: /* PRE-FETCH */
		return task->cdb[0] == 0x34 || task->cdb[0] == 0x90;
	case STATUS_RESERVATION_CONFLICT: /* the one nexus: PERSISTENT RESERVE OUT with a wrong key
					   */
		return true;
	case STATUS_ACA_ACTIVE: /* after a CHECK CONDITION to a command with NACA */
	case STATUS_BUSY:
		return task->lu && atomic_load(&task->lu->n_aca);
	default:
		return false;
	}
}

static void judge(const struct scsi_task *task)
{
	uint8_t sense[SCSI_SENSE_MAX];

	require(task->in_len <= task->need_in);
	require(task->out_len == task->need_out || task->status == STATUS_CHECK_CONDITION);
	require(task->status == STATUS_GOOD || task->in_len == 0);
	require(is_a_status(task));
	require((task->status == STATUS_CHECK_CONDITION) == (task->sense.key != KEY_NO_SENSE));
	for (int descriptor = 0; descriptor < 2; descriptor++) {
		size_t len = scsi_sense_build(&task->sense, descriptor, sense);

		require(len >= 8 && len <= SCSI_SENSE_MAX && sense[7] == len - 8);
	}
	if (task->sense.has_field && task->sense.in_cdb)
		require(task->sense.field < CDB_LEN);
	if (!task->op || task->op->access != ACCESS_WRITE || task->status != STATUS_GOOD)
		require(!memcmp(medium, medium_before, STORE_SIZE));
}

/* Return: bytes of the input used up; 0 at its end. */
static size_t one_command(const uint8_t *data, size_t len)
{
	struct scsi_task task = {.transport = &transport, .attr = ATTR_SIMPLE, .tag = 1};
	uint8_t choices;
	size_t out_len;

	if (len < 1 + CDB_LEN)
		return 0;
	choices = data[0];
	memcpy(task.cdb, data + 1, CDB_LEN);
	if (task.cdb[0] == THIRD_PARTY_COPY_OUT) /* may write later than its answer: fuzz_copy.c */
		task.cdb[0] = 0;
	task.cdb_len = CDB_LEN;
	data += 1 + CDB_LEN;
	len -= 1 + CDB_LEN;
	out_len = len ? data[0] * 16u : 0;
	if (len && out_len > len - 1)
		out_len = len - 1;
	task.nexus = nexuses[!!(choices & CHOOSE_NEXUS)];
	task.lun = scsi_lun_encode(choices & CHOOSE_LUN);
	task.expect_in = choices & CHOOSE_ROOM ? BUF_LEN : choices & CHOOSE_SMALL;
	task.expect_out = (uint32_t)out_len;
	memcpy(medium_before, medium, STORE_SIZE);
	if (scsi_task_begin(&task) == SCSI_READY)
		run(&task, out_len ? data + 1 : data);
	judge(&task);
	scsi_task_end(&task);
	return 1 + CDB_LEN + (len ? 1 + out_len : 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	size_t used;

	if (!engine)
		set_up();
	reset();
	for (unsigned i = 0; i < COMMANDS_MAX; i++) {
		used = one_command(data, len);
		if (!used)
			break;
		data += used;
		len -= used;
	}
	return 0;
}
