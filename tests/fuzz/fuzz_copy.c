/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parameter lists of third-party copies, one command after the other. Answers stay within their
 * lengths, every copy comes to an end, and the disk of another target stays as it is.
 *
 * Input: for each command a byte that chooses it, a byte of help, a list identifier, a byte for
 * the length of the parameter list in units of 4 bytes, and the list. Help puts in what no chance
 * finds: lengths that fit, names of LUs, the last token.
 */
#include "scsi/copy/copy.h"
#include "scsi/copy/cscd.h"
#include "scsi/lu_priv.h"
#include "util/bytes.h"
#include <stdlib.h>
#include <string.h>

#define STORE_SIZE (32u << 10)
#define N_LUS 4 /* the last one is another target's */
#define LIST_MAX (255u * 4)
#define ROOM 2048
#define COMMANDS_MAX 12

enum {
	/* the byte that chooses */
	CHOOSE_COMMAND = 0x0f,
	CHOOSE_LUN = 0x30,
	CHOOSE_NEXUS = 0x40,
	CHOOSE_SHORT = 0x80, /* the initiator brings, or takes, half */

	/* the byte of help */
	HELP_LENGTHS = 0x01,
	HELP_NAMES = 0x02,
	HELP_TOKEN = 0x04,
	HELP_CSCDS = 0x30, /* how many descriptors there are */
	HELP_CSCDS_SHIFT = 4,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Not assert(), which a release build leaves out. */
static void require(bool what)
{
	if (!what)
		abort();
}

/* ---- the stores ---- */

static uint8_t media[N_LUS][STORE_SIZE];

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
						 .can_discard = true};
	*ret_store = media[params->path[0] - '0'];
	return 0;
}

static void mem_done(struct engine_post *post)
{
	struct request *request = container_of(post, struct request, post);

	request->io->done(request->io, 0);
}

static void mem_submit(void *store, struct engine *on, struct duotgt_io *io)
{
	struct request *request = (struct request *)io->priv;
	uint8_t *at = (uint8_t *)store + io->offset;

	require(io->offset <= STORE_SIZE && io->len <= STORE_SIZE - io->offset);
	if (io->kind == DUOTGT_IO_DISCARD)
		memset(at, 0, io->len);
	for (int i = 0; i < io->n_iov; at += io->iov[i++].iov_len) {
		if (io->kind == DUOTGT_IO_READ)
			memcpy(io->iov[i].iov_base, at, io->iov[i].iov_len);
		else if (io->kind == DUOTGT_IO_WRITE)
			memcpy(at, io->iov[i].iov_base, io->iov[i].iov_len);
	}
	request->io = io;
	request->post.run = mem_done;
	engine_post(on, &request->post);
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

/* ---- the targets: LUNs 0 plain, 1 thin, 2 with large blocks; and one of somebody else ---- */

static struct engine *engine;
static struct scsi_target *targets[2];
static struct scsi_lu *lus[N_LUS];
static struct scsi_nexus *nexuses[2];
static uint8_t last_token[512];

static void make_lu(unsigned i)
{
	char path[2] = {(char)('0' + i), '\0'}, why[128];
	struct scsi_lu_config cfg = {.name = "fuzz",
				     .backend = &mem_ops,
				     .params = {.path = path},
				     .uuid = {(uint8_t)i, 2, 3},
				     .block_size = i == 2 ? 4096 : 512,
				     .max_transfer = 32 << 10,
				     .write_cache = i != 0,
				     .thin = i == 1,
				     .online = true,
				     .numa_node = -1};

	require(!scsi_lu_new(&cfg, &lus[i], why, sizeof(why)));
	require(!scsi_target_map(targets[i == 3], i, lus[i]));
}

static void set_up(void)
{
	require(!engine_new(ENGINE_EPOLL, NULL, &engine));
	require(!scsi_target_new("iqn.2024-01.example:fuzz", &targets[0]));
	require(!scsi_target_new("iqn.2024-01.example:other", &targets[1]));
	for (unsigned i = 0; i < N_LUS; i++)
		make_lu(i);
}

static void nexuses_begin(void)
{
	for (unsigned i = 0; i < 2; i++) {
		require(!scsi_nexus_new(targets[0], i ? "iqn.a:b,i,0x1" : "iqn.a:b,i,0x2", 1,
					engine, &nexuses[i]));
		for (unsigned j = 0; j < N_LUS - 1; j++)
			atomic_store(&scsi_nexus_itl(nexuses[i], j)->attentions, 0);
	}
}

/* Copies in the background hold references to their LUs. */
static bool is_busy(void)
{
	for (unsigned i = 0; i < N_LUS; i++)
		if (atomic_load(&lus[i]->refs) > 2) /* ours, and the map's */
			return true;
	return false;
}

static void nexuses_end(void)
{
	for (unsigned i = 0; i < 2; i++)
		scsi_nexus_free(nexuses[i]);
	do
		require(engine_turn(engine, false) >= 0);
	while (is_busy());
	scsi_copy_forget(targets[0]);
}

/* ---- one command ---- */

static bool done;

static void task_done(struct scsi_task *task)
{
	(void)task;
	done = true;
}

static void task_aborted(struct scsi_task *task)
{
	(void)task;
	abort();
}

static const struct scsi_transport transport = {.done = task_done, .aborted = task_aborted};

static void help_with_extended_copy(uint8_t *list, size_t len, uint8_t help, bool lid4)
{
	unsigned header = lid4 ? 48 : 16, n = (help & HELP_CSCDS) >> HELP_CSCDS_SHIFT;
	unsigned segments = len > header + n * CSCD_LEN ? (unsigned)len - header - n * CSCD_LEN : 0;

	if (len < header + n * CSCD_LEN)
		return;
	if (lid4 && (help & HELP_LENGTHS)) {
		list[0] = 1;
		be16_put(list + 2, 32);
		list[15] &= 0x02;
		list[16] = 0xff;
		be16_put(list + 42, (uint16_t)(n * CSCD_LEN));
		be16_put(list + 44, (uint16_t)(segments / 28 * 28));
		be16_put(list + 46, 0);
	} else if (help & HELP_LENGTHS) {
		be16_put(list + 2, (uint16_t)(n * CSCD_LEN));
		be32_put(list + 8, segments / 28 * 28);
		be32_put(list + 12, 0);
	}
	for (unsigned i = 0; i < n && (help & HELP_NAMES); i++)
		cscd_put(lus[list[header + i * CSCD_LEN] % N_LUS], list + header + i * CSCD_LEN);
	for (unsigned i = 0; i < segments / 28 && (help & HELP_NAMES); i++) {
		uint8_t *p = list + header + n * CSCD_LEN + (size_t)i * 28;

		p[0] = 2;
		p[1] &= 3;
		be16_put(p + 2, 24);
	}
}

static void help_with_rod(uint8_t *list, size_t len, uint8_t help, unsigned header)
{
	if (len < header)
		return;
	if (help & HELP_LENGTHS) {
		be16_put(list, (uint16_t)(len - 2));
		be16_put(list + header - 2, (uint16_t)((len - header) / 16 * 16));
	}
	if ((help & HELP_TOKEN) && header > 512)
		memcpy(list + 16, last_token, sizeof(last_token));
}

/* The CDB of a command; its list, if it has one, becomes better by @help. */
static bool choose(struct scsi_task *task, uint8_t kind, uint8_t help, uint8_t list_id,
		   uint8_t *list, size_t len)
{
	static const uint8_t in_sas[] = {0x00, 0x01, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08};

	if (kind < 4) {
		static const uint8_t out_sas[] = {0x00, 0x01, 0x10, 0x11};

		task->cdb[0] = 0x83;
		task->cdb[1] = out_sas[kind];
		if (kind >= 2)
			be32_put(task->cdb + 6, list_id);
		be32_put(task->cdb + 10, (uint32_t)len);
		if (kind < 2)
			help_with_extended_copy(list, len, help, kind == 1);
		else
			help_with_rod(list, len, help, kind == 2 ? 16 : 536);
		return true;
	}
	if (kind == 4) {
		task->cdb[0] = 0x83;
		task->cdb[1] = 0x1c;
		be32_put(task->cdb + 2, list_id);
		return false;
	}
	task->cdb[0] = 0x84;
	task->cdb[1] = in_sas[kind & 7];
	if (task->cdb[1] < 3 || task->cdb[1] == 4)
		task->cdb[2] = list_id;
	else if (task->cdb[1] != 3 && task->cdb[1] != 8)
		be32_put(task->cdb + 2, list_id);
	be32_put(task->cdb + 10, ROOM);
	return false;
}

/* The buffer as long as it may be and no longer, for ASan to watch. */
static void run(struct scsi_task *task, const uint8_t *list)
{
	size_t in = task->need_in < task->expect_in ? task->need_in : task->expect_in;
	size_t out = task->need_out < task->expect_out ? task->need_out : task->expect_out;
	uint8_t *buf = malloc(in + out);
	struct iovec iov[2] = {{buf, (in + out) / 3}, {buf + (in + out) / 3, 0}};

	require(buf && (!in || !out));
	iov[1].iov_len = in + out - iov[0].iov_len;
	memcpy(buf, list, out);
	task->iov = iov;
	task->n_iov = in + out ? 2 : 0;
	done = false;
	if (scsi_task_run(task) == SCSI_PENDING)
		while (!done)
			require(engine_turn(engine, true) >= 0);
	require(!task->pending);
	require(task->in_len <= task->need_in);
	require(task->status == STATUS_GOOD || task->in_len == 0);
	if (task->cdb[0] == 0x84 && task->in_len >= 4 && task->in_len < task->need_in && in >= 4)
		require(be32_get(buf) == task->in_len - 4);
	if (task->cdb[1] == 0x07 && task->in_len == 38 + sizeof(last_token) && in >= task->in_len)
		memcpy(last_token, buf + 38, sizeof(last_token));
	free(buf);
}

/* Return: bytes of the input used up; 0 at its end. */
static size_t one_command(const uint8_t *data, size_t len)
{
	struct scsi_task task = {.transport = &transport, .attr = ATTR_SIMPLE, .tag = 1};
	uint8_t list[LIST_MAX];
	size_t list_len;
	bool writes;

	if (len < 4)
		return 0;
	list_len = data[3] * 4u;
	if (list_len > len - 4)
		list_len = len - 4;
	memcpy(list, data + 4, list_len);
	writes = choose(&task, data[0] & CHOOSE_COMMAND, data[1], data[2], list, list_len);
	task.cdb_len = 16;
	task.nexus = nexuses[!!(data[0] & CHOOSE_NEXUS)];
	task.lun = scsi_lun_encode((data[0] & CHOOSE_LUN) >> 4);
	task.expect_out = writes ? (uint32_t)list_len : 0;
	task.expect_in = writes ? 0 : ROOM;
	if (data[0] & CHOOSE_SHORT) {
		task.expect_in /= 2;
		task.expect_out /= 2;
	}
	if (scsi_task_begin(&task) == SCSI_READY)
		run(&task, list);
	scsi_task_end(&task);
	return 4 + list_len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	size_t used;

	if (!engine)
		set_up();
	for (unsigned i = 0; i < N_LUS; i++)
		memset(media[i], (int)i + 1, STORE_SIZE);
	memset(last_token, 0, sizeof(last_token));
	nexuses_begin();
	for (unsigned i = 0; i < COMMANDS_MAX; i++) {
		used = one_command(data, len);
		if (!used)
			break;
		data += used;
		len -= used;
	}
	nexuses_end();
	for (unsigned i = 0; i < STORE_SIZE; i++)
		require(media[N_LUS - 1][i] == N_LUS);
	return 0;
}
