/* SPDX-License-Identifier: Apache-2.0 */
/* Task management that LIO tells of: what is done, what is reset, who hears of it. */
#include "scsi/task.h"
#include "tests/handler/rig.h"

#define iovec tcmu_kernel_iovec
#include <linux/target_core_user.h>
#undef iovec

#define READ_BLOCK                                                                                 \
	{                                                                                          \
		0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0                                                    \
	}

/* Reads that the store holds until fake_release(). */
static void begin_reads(struct rig *rig, uint16_t *ids, unsigned n)
{
	fake.hold = true;
	for (unsigned i = 0; i < n; i++)
		ids[i] = QUEUE(&rig->k, .cdb = READ_BLOCK, .len = 512);
	kernel_kick(&rig->k);
	rig_settle(rig);
	assert_int_equal(fake.n_held, n);
}

static void tell(struct rig *rig, uint8_t type, const uint16_t *ids, uint32_t n)
{
	kernel_tmr(&rig->k, type, ids, n);
	kernel_kick(&rig->k);
	rig_settle(rig);
}

static void release(struct rig *rig, unsigned n)
{
	fake.hold = false;
	fake_release();
	rig_settle(rig);
	assert_int_equal(kernel_reap(&rig->k), n);
}

/* tcm_loop would call what LIO has aborted GOOD, whatever we say: so it has to be that. */
static void what_lio_aborts_is_done(void **state)
{
	static const uint8_t types[] = {TCMU_TMR_UNKNOWN, TCMU_TMR_ABORT_TASK,
					TCMU_TMR_ABORT_TASK_SET, TCMU_TMR_LUN_RESET_PRO,
					TCMU_TMR_LUN_RESET};
	struct rig rig;
	uint16_t ids[3];

	rig_start(&rig, state, NULL, false);
	rig_greet(&rig);
	for (unsigned i = 0; i < sizeof(types); i++) {
		memset(fake.mem, (int)i + 1, 512);
		fake.n_held = 0;
		begin_reads(&rig, ids, 3);
		tell(&rig, types[i], ids + 1, 2);
		assert_int_equal(kernel_reap(&rig.k), 0);
		release(&rig, 3);
		for (unsigned j = 0; j < 3; j++) {
			assert_int_equal(kernel_cmd(&rig.k, ids[j])->status, STATUS_GOOD);
			assert_memory_equal(kernel_cmd(&rig.k, ids[j])->data, fake.mem, 512);
		}
		/* LIO raises the attention of a reset itself. */
		assert_int_equal(SEND(&rig, .cdb = {0x00})->status, STATUS_GOOD);
	}
	assert_true(kernel_is_empty(&rig.k));
	rig_stop(&rig);
}

static void only_resets_reset(void **state)
{
	static const uint8_t resets[] = {TCMU_TMR_LUN_RESET, TCMU_TMR_TARGET_WARM_RESET,
					 TCMU_TMR_TARGET_COLD_RESET};
	struct rig rig;

	rig_start(&rig, state, NULL, false);
	rig_greet(&rig);
	for (unsigned i = 0; i < sizeof(resets); i++) {
		assert_int_equal(SEND(&rig, .cdb = {0x1b})->status, STATUS_GOOD); /* stop */
		tell(&rig, TCMU_TMR_LUN_RESET_PRO, NULL, 0);
		tell(&rig, TCMU_TMR_CLEAR_ACA, NULL, 0);
		assert_sense(SEND(&rig, .cdb = {0x00}), SENSE_NOT_READY_INITIALIZING_REQUIRED);
		tell(&rig, resets[i], NULL, 0);
		assert_int_equal(SEND(&rig, .cdb = {0x00})->status, STATUS_GOOD);
	}
	rig_stop(&rig);
}

/* Whoever else uses the LU has lost its commands, and hears of the reset from us. */
static void a_reset_reaches_other_front_ends(void **state)
{
	struct rig rig, other;
	struct tcmu_device_config cfg = {.name = "uio1"};
	uint16_t id;

	rig_start(&rig, state, NULL, false);
	rig_greet(&rig);
	other = (struct rig){.engine = rig.engine, .lu = rig.lu};
	kernel_start(&other.k, 8192, 65536);
	cfg.fd = other.k.fd;
	cfg.map = other.k.map;
	cfg.map_len = other.k.map_len;
	cfg.lu = rig.lu;
	cfg.engine = rig.engine;
	assert_int_equal(tcmu_device_new(&cfg, &other.device), 0);
	tcmu_device_start(other.device);
	rig_greet(&other);
	begin_reads(&other, &id, 1);
	tell(&rig, TCMU_TMR_LUN_RESET, NULL, 0);
	release(&other, 1);
	assert_int_equal(kernel_cmd(&other.k, id)->status, STATUS_TASK_ABORTED);
	assert_sense(SEND(&other, .cdb = {0x00}), SENSE_BUS_DEVICE_RESET);
	assert_int_equal(SEND(&rig, .cdb = {0x00})->status, STATUS_GOOD);
	rig_begin_stop(&other, false);
	rig_finish_stop(&other);
	kernel_stop(&other.k);
	rig_stop(&rig);
}

static void the_end_waits_for_a_reset(void **state)
{
	struct rig rig;
	uint16_t ids[1];

	rig_start(&rig, state, NULL, false);
	rig_greet(&rig);
	begin_reads(&rig, ids, 1);
	for (unsigned i = 0; i < 100; i++) /* more than are carried out at a time */
		kernel_tmr(&rig.k, TCMU_TMR_LUN_RESET, ids, 1);
	kernel_kick(&rig.k);
	rig_settle(&rig);
	rig_begin_stop(&rig, false);
	rig_settle(&rig);
	assert_false(rig.stopped);
	fake_release();
	rig_finish_stop(&rig);
	assert_int_equal(kernel_reap(&rig.k), 1);
	rig_stop(&rig);
}

int main(void)
{
	/* clang-format off */
	const struct CMUnitTest tests[] = {
		on_both(what_lio_aborts_is_done),
		on_both(only_resets_reset),
		on_both(a_reset_reaches_other_front_ends),
		on_both(the_end_waits_for_a_reset),
	};
	/* clang-format on */

	return cmocka_run_group_tests(tests, NULL, NULL);
}
