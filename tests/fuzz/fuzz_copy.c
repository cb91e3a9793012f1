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
#include "tests/fuzz/scsi_rig.h"
#include "util/bytes.h"
#include <string.h>

#define MEDIUM_SIZE (32u << 10)
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

/* ---- the targets: LUNs 0 plain, 1 thin, 2 with large blocks; and one of somebody else ---- */

static struct scsi_target *targets[2];
static struct scsi_lu *lus[N_LUS];
static struct scsi_nexus *nexuses[2];
static uint8_t last_token[512];

static void make_lu(unsigned i)
{
	char path[2] = {(char)('0' + i), '\0'}, why[128];
	struct scsi_lu_config cfg = {.name = "fuzz",
				     .backend = &rig_ops,
				     .params = {.path = path, .size = MEDIUM_SIZE},
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
	require(!engine_new(ENGINE_EPOLL, NULL, &rig_engine));
	require(!scsi_target_new("iqn.2024-01.example:fuzz", &targets[0]));
	require(!scsi_target_new("iqn.2024-01.example:other", &targets[1]));
	for (unsigned i = 0; i < N_LUS; i++)
		make_lu(i);
}

static void nexuses_begin(void)
{
	for (unsigned i = 0; i < 2; i++) {
		require(!scsi_nexus_new(targets[0], i ? "iqn.a:b,i,0x1" : "iqn.a:b,i,0x2", 1,
					rig_engine, &nexuses[i]));
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
		require(engine_turn(rig_engine, false) >= 0);
	while (is_busy());
	scsi_copy_forget(targets[0]);
}

/* ---- one command ---- */

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

static void run(struct scsi_task *task, const uint8_t *list)
{
	uint64_t room = task->need_in < task->expect_in ? task->need_in : task->expect_in;
	const uint8_t *in = rig_run(task, list);

	require(task->in_len <= task->need_in);
	require(task->status == STATUS_GOOD || task->in_len == 0);
	if (task->cdb[0] == 0x84 && task->in_len >= 4 && task->in_len < task->need_in && room >= 4)
		require(be32_get(in) == task->in_len - 4);
	if (task->cdb[1] == 0x07 && task->in_len == 38 + sizeof(last_token) && room >= task->in_len)
		memcpy(last_token, in + 38, sizeof(last_token));
}

/* Return: bytes of the input used up; 0 at its end. */
static size_t one_command(const uint8_t *data, size_t len)
{
	struct scsi_task task = {.transport = &rig_transport, .attr = ATTR_SIMPLE, .tag = 1};
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

	if (!rig_engine)
		set_up();
	for (unsigned i = 0; i < N_LUS; i++)
		memset(rig_stores[i], (int)i + 1, MEDIUM_SIZE);
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
	for (unsigned i = 0; i < MEDIUM_SIZE; i++)
		require(rig_stores[N_LUS - 1][i] == N_LUS);
	return 0;
}
