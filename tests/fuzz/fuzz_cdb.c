/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any commands, one after the other, against LUs in memory: answers stay within their lengths,
 * sense is sane, and only commands that say so change the medium.
 *
 * Input: for each command a byte of choices, 16 bytes of CDB (32 when it begins with 7Fh), a byte
 * for the length of the data-out in units of 16 bytes, and the data-out.
 */
#include "scsi/aca.h"
#include "tests/fuzz/scsi_rig.h"
#include <string.h>

#define MEDIUM_SIZE (64u << 10)
#define ROOM (MEDIUM_SIZE + 4096)
#define COMMANDS_MAX 16
#define N_LUNS 7

enum {
	/* the byte of choices */
	CHOOSE_LUN = 0x07,  /* 0 to 6: as mapped below; else absent */
	CHOOSE_ROOM = 0x08, /* the initiator takes all that the command gives, or CHOOSE_SMALL */
	CHOOSE_SMALL = 0x70,
	CHOOSE_NEXUS = 0x80,
};

enum { THIRD_PARTY_COPY_OUT = 0x83, VARIABLE_LENGTH = 0x7f };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* ---- the target ---- */

/* Plain LUs share a medium; those with protection information have one each, and tuples. */
static const struct {
	uint32_t block_size;
	bool thin, read_only, write_through;
	unsigned protection;
	char store[2], tuples[2];
} luns[N_LUNS] = {
	{512, .store = "0"},
	{512, .store = "0", .thin = true},
	{512, .store = "0", .read_only = true},
	{4096, .store = "0", .write_through = true},
	{512, .store = "1", .thin = true, .protection = 1, .tuples = "4"},
	{512, .store = "2", .protection = 2, .tuples = "5"},
	{4096, .store = "3", .thin = true, .write_through = true, .protection = 3, .tuples = "6"},
};

static struct scsi_target *target;
static struct scsi_nexus *nexuses[2];
static uint8_t stores_at_first[RIG_STORES][RIG_STORE_SIZE], medium_before[MEDIUM_SIZE];

static void map(uint32_t lun)
{
	struct scsi_lu_config cfg = {
		.name = "fuzz",
		.backend = &rig_ops,
		.params = {.path = luns[lun].store,
			   .size = MEDIUM_SIZE,
			   .read_only = luns[lun].read_only},
		.uuid = {1, 2, 3},
		.block_size = luns[lun].block_size,
		.max_transfer = 32 << 10,
		.write_cache = !luns[lun].write_through,
		.thin = luns[lun].thin,
		.online = true,
		.numa_node = -1,
	};
	struct scsi_lu *lu;
	char why[128];

	if (luns[lun].protection)
		cfg.protection = (struct scsi_protection_config){.backend = &rig_ops,
								 .path = luns[lun].tuples,
								 .type = luns[lun].protection};
	require(!scsi_lu_new(&cfg, &lu, why, sizeof(why)));
	require(!scsi_target_map(target, lun, lu));
	scsi_lu_unref(lu);
}

/* Of those that are protected nothing is written yet, so that nothing of them is checked. */
static void set_up(void)
{
	require(!engine_new(ENGINE_EPOLL, NULL, &rig_engine));
	require(!scsi_target_new("iqn.2024-01.example:fuzz", &target));
	for (uint32_t lun = 0; lun < N_LUNS; lun++)
		map(lun);
	for (unsigned i = 0; i < 2; i++)
		require(!scsi_nexus_new(target, "iqn.2024-01.example:i,i,0x000000000000",
					(uint16_t)(i + 1), rig_engine, &nexuses[i]));
	for (unsigned store = 0; store < 4; store++)
		for (unsigned i = 0; i < MEDIUM_SIZE; i++)
			rig_stores[store][i] = (uint8_t)(i * 5 + i / 512);
	memcpy(stores_at_first, rig_stores, sizeof(rig_stores));
}

/* Each input starts from the same media. */
static void reset(void)
{
	memcpy(rig_stores, stores_at_first, sizeof(rig_stores));
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

static void judge(const struct scsi_task *task, const uint8_t *medium)
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
		require(task->sense.field < task->cdb_len);
	if (!task->op || task->op->access != ACCESS_WRITE || task->status != STATUS_GOOD)
		require(!memcmp(medium, medium_before, MEDIUM_SIZE));
}

/* Return: bytes of the input used up; 0 at its end. */
static size_t one_command(const uint8_t *data, size_t len)
{
	struct scsi_task task = {.transport = &rig_transport, .attr = ATTR_SIMPLE, .tag = 1};
	size_t cdb_len = len > 1 && data[1] == VARIABLE_LENGTH ? SCSI_CDB_MAX : 16, out_len, lun;
	const uint8_t *medium;
	uint8_t choices;

	if (len < 1 + cdb_len)
		return 0;
	choices = data[0];
	memcpy(task.cdb, data + 1, cdb_len);
	if (task.cdb[0] == THIRD_PARTY_COPY_OUT) /* may write later than its answer: fuzz_copy.c */
		task.cdb[0] = 0;
	task.cdb_len = (uint8_t)cdb_len;
	data += 1 + cdb_len;
	len -= 1 + cdb_len;
	out_len = len ? data[0] * 16u : 0;
	if (len && out_len > len - 1)
		out_len = len - 1;
	lun = choices & CHOOSE_LUN;
	medium = rig_stores[lun < N_LUNS ? luns[lun].store[0] - '0' : 0];
	task.nexus = nexuses[!!(choices & CHOOSE_NEXUS)];
	task.lun = scsi_lun_encode((uint32_t)lun);
	task.expect_in = choices & CHOOSE_ROOM ? ROOM : choices & CHOOSE_SMALL;
	task.expect_out = (uint32_t)out_len;
	memcpy(medium_before, medium, MEDIUM_SIZE);
	if (scsi_task_begin(&task) == SCSI_READY)
		rig_run(&task, out_len ? data + 1 : data);
	judge(&task, medium);
	scsi_task_end(&task);
	return 1 + cdb_len + (len ? 1 + out_len : 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	size_t used;

	if (!rig_engine)
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
