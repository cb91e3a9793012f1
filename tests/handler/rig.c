/* SPDX-License-Identifier: Apache-2.0 */
/* See rig.h. */
#include "tests/handler/rig.h"
#include "scsi/task.h"
#include <unistd.h>

struct scsi_lu_config rig_lu_config(void)
{
	return (struct scsi_lu_config){
		.name = "disk",
		.backend = &fake_backend_ops,
		.params = {.path = ""},
		.uuid = {0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0x4d, 0xef, 0x81, 0x23, 0x45, 0x67,
			 0x89, 0xab, 0xcd, 0xef},
		.block_size = 512,
		.max_transfer = 512 << 10,
		.write_cache = true,
		.online = true,
		.numa_node = -1,
	};
}

void rig_start(struct rig *rig, void **state, const struct scsi_lu_config *cfg, bool own)
{
	struct scsi_lu_config defaults = rig_lu_config();
	struct tcmu_device_config device = {
		.name = "uio0 (duotgt/test)", .own_reservations = own, .own_alua = own};
	char why[256] = "";

	alarm(120);
	fake_reset();
	rig->stopped = false;
	set_up(&rig->engine, state, 0);
	kernel_start(&rig->k, 256 << 10, 4 << 20);
	assert_int_equal(scsi_lu_new(cfg ? cfg : &defaults, &rig->lu, why, sizeof(why)), 0);
	device.fd = rig->k.fd;
	device.map = rig->k.map;
	device.map_len = rig->k.map_len;
	device.lu = rig->lu;
	device.engine = rig->engine;
	assert_int_equal(tcmu_device_new(&device, &rig->device), 0);
	tcmu_device_start(rig->device);
	rig_settle(rig);
}

static void on_stopped(void *arg)
{
	struct rig *rig = arg;

	assert_false(rig->stopped);
	rig->stopped = true;
}

void rig_begin_stop(struct rig *rig, bool abort)
{
	tcmu_device_stop(rig->device, abort, on_stopped, rig);
	rig->device = NULL;
}

void rig_finish_stop(struct rig *rig)
{
	while (!rig->stopped)
		assert_true(engine_turn(rig->engine, true) >= 0);
}

void rig_stop(struct rig *rig)
{
	if (rig->device)
		rig_begin_stop(rig, false);
	rig_finish_stop(rig);
	kernel_stop(&rig->k);
	assert_false(scsi_lu_in_use(rig->lu));
	scsi_lu_unref(rig->lu);
	engine_free(rig->engine);
	rig->engine = NULL;
}

void rig_settle(struct rig *rig)
{
	unsigned n_idle = 0;

	while (n_idle < 3) {
		int n = engine_turn(rig->engine, false);

		assert_true(n >= 0);
		n_idle = n ? 0 : n_idle + 1;
	}
}

void rig_serve(struct rig *rig, unsigned n)
{
	kernel_kick(&rig->k);
	while (n) {
		unsigned done;

		assert_true(engine_turn(rig->engine, true) >= 0);
		done = kernel_reap(&rig->k);
		assert_true(done <= n);
		n -= done;
	}
}

struct kernel_cmd *rig_send(struct rig *rig, const struct request *request)
{
	uint16_t id = kernel_queue(&rig->k, request);

	rig_serve(rig, 1);
	assert_true(kernel_cmd(&rig->k, id)->done);
	return kernel_cmd(&rig->k, id);
}

void rig_greet(struct rig *rig)
{
	assert_sense(SEND(rig, .cdb = {0x00}), SENSE_POWER_ON_OR_RESET);
	kernel_heard(&rig->k);
}

uint32_t sense_code(const struct kernel_cmd *cmd)
{
	return (uint32_t)(cmd->sense[2] & 0xf) << 16 | cmd->sense[12] << 8 | cmd->sense[13];
}

void assert_sense(const struct kernel_cmd *cmd, uint32_t code)
{
	assert_int_equal(cmd->status, STATUS_CHECK_CONDITION);
	assert_int_equal(cmd->sense[0] & 0x7f, 0x70);
	assert_int_equal(sense_code(cmd), code);
}
