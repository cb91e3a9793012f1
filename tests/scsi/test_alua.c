/* SPDX-License-Identifier: Apache-2.0 */
/* Target port groups: their report, their change, and what a path is good for in each state. */
#include "scsi/alua/alua.h"
#include "tests/scsi/harness.h"
#include "tests/scsi/spy.h"
#include "tests/scsi/state_dir.h"
#include "util/bytes.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define EXTENDED 0x20

static struct harness h;

/* Nexus 0 comes by port 1, in group 10; nexus 1 by port 2, in group 20. */
static void start_with(const char *hook, bool referrals)
{
	static const uint16_t first[] = {1, 3}, second[] = {2};
	const struct scsi_alua_group groups[] = {
		{.id = 10,
		 .state = ALUA_OPTIMIZED,
		 .preferred = true,
		 .ports = first,
		 .n_ports = 2},
		{.id = 20, .state = ALUA_NON_OPTIMIZED, .ports = second, .n_ports = 1},
	};
	const struct scsi_alua_config alua = {
		.groups = groups,
		.n_groups = 2,
		.implicit = true,
		.explicit_too = true,
		.hook = hook,
		.referrals = referrals,
	};
	struct scsi_lu_config cfg = spy_config();

	harness_start(&h);
	assert_int_equal(scsi_target_set_alua(h.target, &alua), 0);
	assert_int_equal(scsi_target_add_port(h.target, 1), 0);
	assert_int_equal(scsi_target_add_port(h.target, 2), 0);
	assert_int_equal(scsi_target_add_port(h.target, 9), -EINVAL);
	harness_map(&h, 0, &cfg);
	for (uint16_t i = 0; i < 2; i++)
		assert_int_equal(scsi_nexus_new(h.target,
						i ? "iqn.2024-01.example:b,i,0x1"
						  : "iqn.2024-01.example:a,i,0x1",
						i + 1, h.engine, &h.nexus[i]),
				 0);
	harness_settle(&h);
}

static void start(const char *hook)
{
	start_with(hook, false);
}

static const struct answer *report(uint8_t format, uint8_t alloc)
{
	return SEND(&h, .cdb = {0xa3, 0x0a | format, 0, 0, 0, 0, 0, 0, 0, alloc},
		    .expect_in = alloc);
}

static const struct answer *set_list(const uint8_t *list, uint8_t len)
{
	return SEND(&h, .cdb = {0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, len}, .out = list, .out_len = len);
}

static const struct answer *set(uint8_t state, uint8_t group)
{
	return set_list((const uint8_t[]){0, 0, 0, 0, state, 0, 0, group}, 8);
}

static uint32_t told(unsigned nexus)
{
	return SEND(&h, .nexus = nexus, .cdb = {0x00})->code;
}

/* ---- the report ---- */

static void report_of_two_groups(void **state)
{
	static const uint8_t data[] = {
		0,    0,    0, 24, 0x80, 0xcf, 0, 10, 0, 0, 0, 1,
		0,    0,    0, 1, /* port 3 is not there */
		0x01, 0xcf, 0, 20, 0,	 0,    0, 1,  0, 0, 0, 2,
	};
	static const uint8_t extended[] = {0, 0, 0, 28, 0x10, 0, 0, 0};
	const struct answer *a;

	(void)state;
	start(NULL);
	a = report(0, 255);
	assert_good(a);
	assert_int_equal(a->len, sizeof(data));
	assert_memory_equal(a->data, data, sizeof(data));
	a = report(EXTENDED, 255);
	assert_good(a);
	assert_int_equal(a->len, sizeof(data) + 4);
	assert_memory_equal(a->data, extended, sizeof(extended));
	assert_memory_equal(a->data + 8, data + 4, sizeof(data) - 4);
	for (uint8_t alloc = 0; alloc < sizeof(data); alloc++) {
		a = report(0, alloc);
		assert_good(a);
		assert_int_equal(a->in_len, alloc);
		if (alloc)
			assert_memory_equal(a->data, data, alloc);
	}
	assert_bad_field(report(0x40, 255), 1, 6);
	harness_stop(&h);
}

/* A group has at least one port: one that none is there for yet is left out. */
static void a_group_without_ports(void **state)
{
	static const uint16_t first[] = {1}, second[] = {2};
	const struct scsi_alua_group groups[] = {
		{.id = 1, .state = ALUA_STANDBY, .ports = second, .n_ports = 1},
		{.id = 2, .ports = first, .n_ports = 1},
	};
	const struct scsi_alua_config alua = {.groups = groups, .n_groups = 2, .implicit = true};
	struct scsi_lu_config cfg = spy_config();
	const struct answer *a;

	(void)state;
	harness_start(&h);
	assert_int_equal(scsi_target_set_alua(h.target, &alua), 0);
	assert_int_equal(scsi_target_add_port(h.target, 1), 0);
	harness_map(&h, 0, &cfg);
	harness_settle(&h);
	a = report(0, 255);
	assert_good(a);
	assert_int_equal(a->len, 4 + 8 + 4);
	assert_int_equal(be32_get(a->data), 8 + 4);
	assert_int_equal(be16_get(a->data + 6), 2);
	harness_stop(&h);
}

/* ---- referrals ---- */

static const struct answer *referrals(uint8_t lba, uint8_t bits, uint8_t alloc)
{
	return SEND(&h, .cdb = {0x9e, 0x13, 0, 0, 0, 0, 0, 0, 0, lba, 0, 0, 0, alloc, bits},
		    .expect_in = alloc);
}

/* R_SUP of page 86, page B3 in the list of pages, and by itself. */
static void assert_referrals_offered(bool offered)
{
	const struct answer *a = SEND(&h, .cdb = {0x12, 1, 0x86, 0, 255}, .expect_in = 255);

	assert_good(a);
	assert_int_equal(a->data[8] & 0x10, offered ? 0x10 : 0);
	a = SEND(&h, .cdb = {0x12, 1, 0x00, 0, 255}, .expect_in = 255);
	assert_int_equal(memchr(a->data + 4, 0xb3, a->len - 4) != NULL, offered);
	a = SEND(&h, .cdb = {0x12, 1, 0xb3, 0, 255}, .expect_in = 255);
	assert_int_equal(a->status, offered ? STATUS_GOOD : STATUS_CHECK_CONDITION);
}

/* One segment, of all blocks, with each group and its state. */
static void referrals_where_configured(void **state)
{
	static const uint8_t page[12];
	const struct answer *a;

	(void)state;
	start_with(NULL, true);
	assert_referrals_offered(true);
	a = SEND(&h, .cdb = {0x12, 1, 0xb3, 0, 255}, .expect_in = 255);
	assert_int_equal(a->len, 4 + 12);
	assert_int_equal(be16_get(a->data + 2), 12);
	assert_memory_equal(a->data + 4, page, sizeof(page));
	for (uint8_t one_segment = 0; one_segment < 2; one_segment++) {
		a = referrals(5, one_segment, 255);
		assert_good(a);
		assert_int_equal(a->len, 4 + 20 + 2 * 4);
		assert_int_equal(be16_get(a->data + 2), 20 + 2 * 4);
		assert_int_equal(a->data[4 + 3], 2);
		assert_int_equal(be64_get(a->data + 8), 0);
		assert_int_equal(be64_get(a->data + 16), scsi_lu_blocks(h.lus[0]) - 1);
		assert_int_equal(a->data[24], ALUA_OPTIMIZED);
		assert_int_equal(be16_get(a->data + 26), 10);
		assert_int_equal(a->data[28], ALUA_NON_OPTIMIZED);
		assert_int_equal(be16_get(a->data + 30), 20);
	}
	assert_good(set(ALUA_STANDBY, 20));
	assert_int_equal(referrals(0, 0, 255)->data[28], ALUA_STANDBY);
	a = SEND(&h, .cdb = {0x9e, 0x13, 0xff, [13] = 255}, .expect_in = 255);
	assert_int_equal(a->code, SENSE_LBA_OUT_OF_RANGE);
	harness_stop(&h);
}

static void no_referrals_unless_configured(void **state)
{
	(void)state;
	start(NULL);
	assert_referrals_offered(false);
	assert_int_equal(referrals(0, 0, 255)->code, SENSE_INVALID_FIELD_IN_CDB);
	harness_stop(&h);
}

/* ---- */

static void inquiry_tells_of_it(void **state)
{
	(void)state;
	start(NULL);
	assert_int_equal(SEND(&h, .cdb = {0x12, 0, 0, 0, 96}, .expect_in = 96)->data[5] & 0x30,
			 0x30);
	harness_stop(&h);
}

static void default_is_one_group(void **state)
{
	static const uint8_t data[] = {0, 0, 0, 16, 0x00, 0xcf, 0, 1, 0, 0,
				       0, 2, 0, 0,  0,	  1,	0, 0, 0, 2};
	struct scsi_lu_config cfg = spy_config();
	const struct answer *a;

	(void)state;
	harness_start(&h);
	scsi_target_add_port(h.target, 2);
	scsi_target_add_port(h.target, 1);
	harness_map(&h, 0, &cfg);
	harness_settle(&h);
	a = report(0, 255);
	assert_good(a);
	assert_int_equal(a->len, sizeof(data));
	assert_memory_equal(a->data, data, sizeof(data));
	assert_check(set(0, 1), SENSE_INVALID_FIELD_IN_CDB); /* no such service action */
	a = SEND(&h, .cdb = {0xa3, 0x0c, 0x02, 0xa4, 0, 0x0a, 0, 0, 0, 64}, .expect_in = 64);
	assert_good(a);
	assert_int_equal(a->data[1], 0x01); /* not supported */
	a = SEND(&h, .cdb = {0xa3, 0x0c, 0x02, 0xa3, 0, 0x0a, 0, 0, 0, 64}, .expect_in = 64);
	assert_int_equal(a->data[1], 0x03);
	harness_stop(&h);
}

/* ---- SET TARGET PORT GROUPS ---- */

static void states_are_set(void **state)
{
	const struct answer *a;

	(void)state;
	start(NULL);
	assert_good(set_list((const uint8_t[]){0, 0, 0, 0, 1, 0, 0, 10, 0, 0, 0, 20}, 12));
	a = report(0, 255);
	assert_int_equal(a->data[4], 0x81);
	assert_int_equal(a->data[9], 1); /* STATUS CODE: by the command */
	assert_int_equal(a->data[16], 0x00);
	assert_int_equal(told(0), SENSE_NONE);
	assert_int_equal(told(1), SENSE_ALUA_STATE_CHANGED);
	/* as it is: nobody is told */
	assert_good(set(1, 10));
	assert_int_equal(told(1), SENSE_NONE);
	assert_good(set_list(NULL, 0));
	assert_good(set_list((const uint8_t[4]){0}, 4));
	harness_stop(&h);
}

static void bad_lists(void **state)
{
	static const struct {
		uint8_t list[12], len;
		uint16_t byte;
		int bit;
	} bad[] = {
		{{0, 0, 4}, 8, 2, 2}, /* reserved */
		{{0, 0, 0, 0, 0x10, 0, 0, 10}, 8, 4, 4},
		{{0, 0, 0, 0, 0, 1, 0, 10}, 8, 5, 0},
		{{0, 0, 0, 0, 4, 0, 0, 10}, 8, 4, 3},		      /* LBA dependent */
		{{0, 0, 0, 0, 0xe, 0, 0, 10}, 8, 4, 3},		      /* offline */
		{{0, 0, 0, 0, 0xf, 0, 0, 10}, 8, 4, 3},		      /* transitioning */
		{{0, 0, 0, 0, 0, 0, 0, 11}, 8, 6, -1},		      /* no such group */
		{{0, 0, 0, 0, 1, 0, 0, 10, 2, 0, 0, 10}, 12, 10, -1}, /* twice */
	};

	(void)state;
	start(NULL);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct answer *a = set_list(bad[i].list, bad[i].len);

		assert_check(a, SENSE_INVALID_FIELD_IN_PARAMETERS);
		assert_int_equal(a->sense.field, bad[i].byte);
		assert_int_equal(a->sense.has_bit ? a->sense.bit : -1, bad[i].bit);
	}
	assert_bad_field(set_list(bad[0].list, 6), 6, -1);
	assert_bad_field(SEND(&h, .cdb = {0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 2, 0}), 6, -1);
	assert_check(SEND(&h, .cdb = {0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, 8}, .out = bad[0].list,
			  .out_len = 4),
		     SENSE_PARAMETER_LIST_LENGTH);
	assert_int_equal(report(0, 255)->data[4], 0x80); /* all or nothing */
	assert_int_equal(told(1), SENSE_NONE);
	harness_stop(&h);
}

/* ---- what a path is good for ---- */

static const struct {
	uint8_t cdb[12];
	uint32_t expect_in;
	enum scsi_paths paths;
} commands[] = {
	{{0x12, 0, 0, 0, 96}, 96, PATHS_ALL},		/* INQUIRY */
	{{0x03, 0, 0, 0, 18}, 18, PATHS_ALL},		/* REQUEST SENSE */
	{{0xa0, [9] = 64}, 64, PATHS_ALL},		/* REPORT LUNS */
	{{0xa3, 0x0a, [9] = 64}, 64, PATHS_ALL},	/* REPORT TARGET PORT GROUPS */
	{{0xa4, 0x0a}, 0, PATHS_SETTLED},		/* SET TARGET PORT GROUPS */
	{{0x1a, 0, 0x3f, 0, 255}, 255, PATHS_STANDBY},	/* MODE SENSE */
	{{0x55, 0x10}, 0, PATHS_STANDBY},		/* MODE SELECT */
	{{0x4d, 0, 0x40, [8] = 64}, 64, PATHS_STANDBY}, /* LOG SENSE */
	{{0x4c, 0, 0x40}, 0, PATHS_STANDBY},		/* LOG SELECT */
	{{0x5e, 0, [8] = 8}, 8, PATHS_STANDBY},		/* PERSISTENT RESERVE IN */
	{{0x00}, 0, PATHS_ACTIVE},			/* TEST UNIT READY */
	{{0x28, [8] = 1}, 512, PATHS_ACTIVE},		/* READ (10) */
	{{0x25}, 8, PATHS_ACTIVE},			/* READ CAPACITY (10) */
	{{0xa3, 0x0f, [9] = 12}, 12, PATHS_ACTIVE},	/* REPORT TIMESTAMP */
};

static void states_bar_commands(void **state)
{
	static const struct {
		enum scsi_alua_state state;
		enum scsi_paths least;
		enum scsi_sense_code code;
	} states[] = {
		{ALUA_OPTIMIZED, PATHS_ACTIVE, SENSE_NONE},
		{ALUA_NON_OPTIMIZED, PATHS_ACTIVE, SENSE_NONE},
		{ALUA_STANDBY, PATHS_STANDBY, SENSE_NOT_READY_STANDBY},
		{ALUA_UNAVAILABLE, PATHS_SETTLED, SENSE_NOT_READY_UNAVAILABLE},
		{ALUA_OFFLINE, PATHS_SETTLED, SENSE_NOT_READY_OFFLINE},
		{ALUA_TRANSITIONING, PATHS_ALL, SENSE_NOT_READY_TRANSITION},
	};

	(void)state;
	start(NULL);
	for (unsigned s = 0; s < sizeof(states) / sizeof(states[0]); s++) {
		atomic_store(&h.target->alua->groups[0].state, (uint8_t)states[s].state);
		for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
			struct sent sent = {.expect_in = commands[i].expect_in};

			memcpy(sent.cdb, commands[i].cdb, sizeof(commands[i].cdb));
			if (commands[i].paths >= states[s].least)
				assert_good(harness_send(&h, &sent));
			else
				assert_check(harness_send(&h, &sent), states[s].code);
			sent.nexus = 1; /* the other path is as good as ever */
			assert_good(harness_send(&h, &sent));
		}
	}
	harness_stop(&h);
}

static void unavailable_is_seen_in_inquiry(void **state)
{
	(void)state;
	start(NULL);
	assert_good(set(ALUA_UNAVAILABLE, 10));
	assert_int_equal(SEND(&h, .cdb = {0x12, 0, 0, 0, 96}, .expect_in = 96)->data[0], 0x20);
	assert_int_equal(SEND(&h, .cdb = {0x12, 1, 0xb0, 0, 96}, .expect_in = 96)->data[0], 0x20);
	assert_good(set(ALUA_OPTIMIZED, 10)); /* the way back is open */
	assert_int_equal(SEND(&h, .cdb = {0x12, 0, 0, 0, 96}, .expect_in = 96)->data[0], 0x00);
	harness_stop(&h);
}

/* ---- the operator ---- */

static void implicit_changes(void **state)
{
	(void)state;
	start(NULL);
	assert_int_equal(scsi_target_set_group(h.target, 20, ALUA_OFFLINE, true), 0);
	assert_int_equal(report(0, 255)->code, SENSE_ALUA_STATE_CHANGED);
	assert_int_equal(report(0, 255)->data[16], 0x8e);
	assert_int_equal(h.answer.data[21], 2); /* STATUS CODE: by itself */
	assert_int_equal(SEND(&h, .nexus = 1, .cdb = {0x1a})->code, SENSE_ALUA_STATE_CHANGED);
	assert_check(SEND(&h, .nexus = 1, .cdb = {0x1a}), SENSE_NOT_READY_OFFLINE);
	assert_int_equal(scsi_target_set_group(h.target, 30, ALUA_OFFLINE, true), -ENOENT);
	assert_int_equal(scsi_target_set_group(h.target, 20, ALUA_TRANSITIONING, true), -EINVAL);
	assert_int_equal(scsi_target_set_group(h.target, 20, 4, true), -EINVAL);
	harness_stop(&h);
}

/* Another target with the same LU hears nothing. */
static void only_nexuses_of_the_target_are_told(void **state)
{
	struct scsi_target *other;
	struct scsi_nexus *nexus;
	struct scsi_itl *itl;

	(void)state;
	start(NULL);
	assert_int_equal(scsi_target_new("iqn.2024-01.example:other", &other), 0);
	assert_int_equal(scsi_target_map(other, 0, h.lus[0]), 0);
	assert_int_equal(scsi_nexus_new(other, "iqn.2024-01.example:c,i,0x1", 1, h.engine, &nexus),
			 0);
	itl = scsi_nexus_itl(nexus, 0);
	atomic_store(&itl->attentions, 0);
	assert_int_equal(scsi_target_set_group(h.target, 20, ALUA_OPTIMIZED, false), 0);
	assert_int_equal(atomic_load(&itl->attentions), 0);
	assert_int_equal(told(0), SENSE_ALUA_STATE_CHANGED);
	scsi_nexus_free(nexus);
	scsi_target_unref(other);
	harness_stop(&h);
}

static void configurations(void **state)
{
	static const uint16_t port[] = {1};
	struct scsi_alua_group groups[2] = {{.id = 1, .ports = port, .n_ports = 1},
					    {.id = 1, .ports = port, .n_ports = 1}};
	struct scsi_alua_config alua = {.groups = groups, .n_groups = 2};

	(void)state;
	harness_start(&h);
	assert_int_equal(scsi_target_set_alua(h.target, &alua), -EINVAL); /* one id twice */
	groups[1].id = 2;
	assert_int_equal(scsi_target_set_alua(h.target, &alua), -EEXIST); /* one port twice */
	groups[1].n_ports = 0;
	groups[1].state = ALUA_TRANSITIONING;
	assert_int_equal(scsi_target_set_alua(h.target, &alua), -EINVAL);
	groups[1].state = 7;
	assert_int_equal(scsi_target_set_alua(h.target, &alua), -EINVAL);
	groups[1].state = ALUA_STANDBY;
	assert_int_equal(scsi_target_set_alua(h.target, &alua), 0);
	assert_int_equal(scsi_target_set_group(h.target, 1, ALUA_STANDBY, false), -EPERM);
	harness_stop(&h);
}

/* ---- the hook ---- */

/* A program that writes its arguments to "told", waits for "go", not for ever, and ends with @code.
 */
static void make_hook(const char *dir, int code, char *ret_path, size_t len)
{
	FILE *file;

	snprintf(ret_path, len, "%s/hook", dir);
	file = fopen(ret_path, "w");
	assert_non_null(file);
	fprintf(file,
		"#!/bin/sh\necho \"$@\" >> %s/told\n"
		"n=0; while [ ! -e %s/go ] && [ $n -lt 1000 ]; do sleep 0.01; n=$((n+1)); done\n"
		"exit %d\n",
		dir, dir, code);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(ret_path, 0700), 0);
}

static void make_file(const char *dir, const char *name)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fclose(file);
}

static void assert_hook_was_told(const char *dir, const char *text)
{
	char path[64], found[256] = "";
	FILE *file;

	snprintf(path, sizeof(path), "%s/told", dir);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_true(fread(found, 1, sizeof(found) - 1, file) > 0);
	fclose(file);
	assert_string_equal(found, text);
}

static void the_hook_is_told(void **state)
{
	const char *dir = state_dir_make();
	char hook[64];

	(void)state;
	make_hook(dir, 0, hook, sizeof(hook));
	make_file(dir, "go");
	start(hook);
	assert_good(set_list((const uint8_t[]){0, 0, 0, 0, 2, 0, 0, 20, 1, 0, 0, 10}, 12));
	assert_hook_was_told(dir, "iqn.2024-01.example:disk 20 standby\n"
				  "iqn.2024-01.example:disk 10 active/non-optimized\n");
	assert_good(set(1, 10)); /* nothing changes: it is not run */
	assert_hook_was_told(dir, "iqn.2024-01.example:disk 20 standby\n"
				  "iqn.2024-01.example:disk 10 active/non-optimized\n");
	harness_stop(&h);
	state_dir_remove();
}

static void a_hook_that_fails(void **state)
{
	const char *dir = state_dir_make();
	char hook[64];

	(void)state;
	make_hook(dir, 1, hook, sizeof(hook));
	make_file(dir, "go");
	start(hook);
	assert_check(set(2, 20), SENSE_SET_PORT_GROUPS_FAILED);
	assert_int_equal(report(0, 255)->data[16], 0x01);
	assert_int_equal(told(1), SENSE_NONE);
	assert_int_equal(scsi_target_set_group(h.target, 20, ALUA_STANDBY, false), -EIO);
	assert_int_equal(told(1), SENSE_ALUA_TRANSITION_FAILED);
	harness_stop(&h);
	start("/nonexistent/hook");
	assert_check(set(2, 20), SENSE_SET_PORT_GROUPS_FAILED);
	harness_stop(&h);
	state_dir_remove();
}

/* A command of its own, so that others can come while the hook runs. */
struct slow {
	struct scsi_task task;
	struct iovec iov;
	bool done;
};

static void slow_done(struct scsi_task *task)
{
	container_of(task, struct slow, task)->done = true;
}

static const struct scsi_transport slow_transport = {.done = slow_done};

static void transitioning_while_the_hook_runs(void **state)
{
	static uint8_t list[] = {0, 0, 0, 0, 2, 0, 0, 20};
	const char *dir = state_dir_make();
	struct slow slow = {
		.task = {.transport = &slow_transport,
			 .cdb = {0xa4, 0x0a, [9] = sizeof(list)},
			 .cdb_len = 12,
			 .expect_out = sizeof(list)},
		.iov = {list, sizeof(list)},
	};
	char hook[64];

	(void)state;
	make_hook(dir, 0, hook, sizeof(hook));
	start(hook);
	slow.task.nexus = h.nexus[0];
	assert_int_equal(scsi_task_begin(&slow.task), SCSI_READY);
	slow.task.iov = &slow.iov;
	slow.task.n_iov = 1;
	assert_int_equal(scsi_task_run(&slow.task), SCSI_PENDING);
	while (scsi_alua_state(h.nexus[1]) != ALUA_TRANSITIONING)
		assert_true(engine_turn(h.engine, false) >= 0);
	assert_check(SEND(&h, .nexus = 1, .cdb = {0x00}), SENSE_NOT_READY_TRANSITION);
	assert_int_equal(report(0, 255)->data[16], 0x0f);
	assert_int_equal(set(0, 10)->status, STATUS_BUSY); /* one change at a time */
	assert_false(slow.done);
	make_file(dir, "go");
	harness_wait(&h, &slow.done);
	assert_int_equal(slow.task.status, STATUS_GOOD);
	scsi_task_end(&slow.task);
	assert_int_equal(told(1), SENSE_ALUA_STATE_CHANGED);
	assert_int_equal(told(1), SENSE_NOT_READY_STANDBY);
	harness_stop(&h);
	state_dir_remove();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(report_of_two_groups),
		cmocka_unit_test(a_group_without_ports),
		cmocka_unit_test(referrals_where_configured),
		cmocka_unit_test(no_referrals_unless_configured),
		cmocka_unit_test(inquiry_tells_of_it),
		cmocka_unit_test(default_is_one_group),
		cmocka_unit_test(states_are_set),
		cmocka_unit_test(bad_lists),
		cmocka_unit_test(states_bar_commands),
		cmocka_unit_test(unavailable_is_seen_in_inquiry),
		cmocka_unit_test(implicit_changes),
		cmocka_unit_test(only_nexuses_of_the_target_are_told),
		cmocka_unit_test(configurations),
		cmocka_unit_test(the_hook_is_told),
		cmocka_unit_test(a_hook_that_fails),
		cmocka_unit_test(transitioning_while_the_hook_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
