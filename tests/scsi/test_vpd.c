/* SPDX-License-Identifier: Apache-2.0 */
/* VPD pages of features and ports; what INQUIRY says of paths. */
#include "scsi/lu_priv.h"
#include "tests/scsi/harness.h"
#include "tests/scsi/spy.h"
#include "util/bytes.h"
#include <stdio.h>
#include <string.h>

#define IQN "iqn.2024-01.example:disk" /* the harness' target */

static struct harness h;

static void start(const uint16_t *ports, unsigned n_ports)
{
	struct scsi_lu_config cfg = spy_config();

	harness_start(&h);
	for (unsigned i = 0; i < n_ports; i++)
		assert_int_equal(scsi_target_add_port(h.target, ports[i]), 0);
	harness_map(&h, 0, &cfg);
	harness_settle(&h);
}

static const struct answer *vpd(uint8_t page)
{
	const struct answer *a = SEND(&h, .cdb = {0x12, 1, page, 0xff, 0xff}, .expect_in = 65535);

	assert_good(a);
	assert_int_equal(a->data[1], page);
	assert_int_equal(be16_get(a->data + 2), a->len - 4);
	return a;
}

static void extended_inquiry(void **state)
{
	static const uint8_t page[64] = {0x00, 0x86, 0, 0x3c, 0, 0x07, 0x01,
					 0x01, 0,    0, 0,    0, 0,    96};
	const struct answer *a;

	(void)state;
	start(NULL, 0);
	a = vpd(0x86);
	assert_int_equal(a->len, sizeof(page));
	assert_memory_equal(a->data, page, sizeof(page));
	harness_stop(&h);
}

/* A descriptor for each service that has an address, which ends with a zero, and at a word. */
static void management_addresses(void **state)
{
	static const uint8_t page[] = {
		0x00, 0x85, 0, 32, /* header */
		0x41, 0,    0, 12, 'h', 't', 't', 'p', ':', '/', '/', 'a', 0,	0,   0,	  0,
		0x47, 0,    0, 12, 's', 's', 'h', ':', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 0,
	};
	char *const uris[SCSI_N_SERVICES] = {
		[SERVICE_STORAGE_CONFIGURATION] = "http://a",
		[SERVICE_ADMINISTRATIVE_CONFIGURATION] = "ssh:bcdefgh",
	};
	char longest[SCSI_SERVICE_URI_MAX + 1];
	char *all[SCSI_N_SERVICES];
	const struct answer *a;

	(void)state;
	start(NULL, 0);
	assert_check(SEND(&h, .cdb = {0x12, 1, 0x85, 0, 64}, .expect_in = 64),
		     SENSE_INVALID_FIELD_IN_CDB);
	a = vpd(0x00);
	assert_null(memchr(a->data + 4, 0x85, a->len - 4));
	assert_int_equal(scsi_target_set_addresses(h.target, uris), 0);
	a = vpd(0x85);
	assert_int_equal(a->len, sizeof(page));
	assert_memory_equal(a->data, page, sizeof(page));
	a = vpd(0x00);
	assert_non_null(memchr(a->data + 4, 0x85, a->len - 4));
	/* it is the target's: also where there is no LU */
	assert_int_equal(SEND(&h, .lun = 9, .cdb = {0x12, 1, 0x85, 0, 64}, .expect_in = 64)->in_len,
			 sizeof(page));
	harness_stop(&h);
	/* the most that there can be */
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	for (unsigned i = 0; i < SCSI_N_SERVICES; i++)
		all[i] = longest;
	start(NULL, 0);
	assert_int_equal(scsi_target_set_addresses(h.target, all), 0);
	assert_int_equal(vpd(0x85)->len, 4 + SCSI_N_SERVICES * (4 + SCSI_SERVICE_URI_MAX + 4));
	harness_stop(&h);
}

/* V_SUP is the store's. */
static void no_volatile_cache(void **state)
{
	struct scsi_lu_config cfg = spy_config();

	(void)state;
	spy.info.volatile_cache = false;
	harness_start(&h);
	harness_map(&h, 0, &cfg);
	harness_settle(&h);
	assert_int_equal(vpd(0x86)->data[6], 0);
	harness_stop(&h);
}

/* LUICLR: one LU tells of the changed list for all of them, and no other does again. */
static void luns_changed_is_told_once(void **state)
{
	struct scsi_lu_config cfg = harness_lu_config();

	(void)state;
	harness_start(&h);
	harness_map(&h, 0, &cfg);
	harness_map(&h, 1, &cfg);
	harness_settle(&h);
	scsi_lu_attention(h.lus[0], UA_LUNS_CHANGED, NULL);
	scsi_lu_attention(h.lus[1], UA_LUNS_CHANGED, NULL);
	assert_check(SEND(&h, .lun = 1, .cdb = {0x00}), SENSE_REPORTED_LUNS_CHANGED);
	assert_good(SEND(&h, .lun = 0, .cdb = {0x00}));
	assert_check(SEND(&h, .nexus = 1, .lun = 0, .cdb = {0x00}), SENSE_REPORTED_LUNS_CHANGED);
	harness_stop(&h);
}

static void mode_page_policy(void **state)
{
	static const uint8_t page[] = {0x00, 0x87, 0, 4, 0x3f, 0xff, 0, 0};

	(void)state;
	start(NULL, 0);
	assert_int_equal(vpd(0x87)->len, sizeof(page));
	assert_memory_equal(h.answer.data, page, sizeof(page));
	harness_stop(&h);
}

/* Checks one port of page 88. Return: where the next one is. */
static size_t assert_port(const struct answer *a, size_t at, uint16_t rel)
{
	char name[64] = "";
	const uint8_t *p = a->data + at;
	size_t len;

	snprintf(name, sizeof(name), IQN ",t,0x%04x", rel);
	len = strlen(name) + 4 - strlen(name) % 4;
	assert_true(at + 12 + 4 + len <= a->len);
	assert_int_equal(be32_get(p), rel);
	assert_int_equal(be32_get(p + 4), 0); /* no initiator port */
	assert_int_equal(be32_get(p + 8), 4 + len);
	assert_int_equal(be32_get(p + 12), 0x53980000 | len);
	assert_memory_equal(p + 16, name, len);
	return at + 16 + len;
}

static void all_ports_of_the_target(void **state)
{
	static const uint16_t ports[] = {7, 1, 300, 1};
	const struct answer *a;
	size_t at = 4;

	(void)state;
	start(ports, 4);
	a = vpd(0x88);
	at = assert_port(a, at, 1);
	at = assert_port(a, at, 7);
	at = assert_port(a, at, 300);
	assert_int_equal(at, a->len);
	harness_stop(&h);
}

/* Nobody has told the target of its ports: the nexus knows one. */
static void a_port_at_least(void **state)
{
	const struct answer *a;

	(void)state;
	start(NULL, 0);
	a = vpd(0x88);
	assert_int_equal(assert_port(a, 4, 1), a->len);
	a = SEND(&h, .lun = 9, .cdb = {0x12, 1, 0x88, 0, 255}, .expect_in = 255); /* no LU */
	assert_good(a);
	assert_int_equal(assert_port(a, 4, 1), a->len);
	harness_stop(&h);
}

/* The page has to end where its length of two bytes does. */
static void very_many_ports(void **state)
{
	struct scsi_lu_config cfg = spy_config();
	uint16_t ports[2 * 255];
	const struct scsi_alua_group groups[] = {
		{.id = 1, .ports = ports, .n_ports = 255},
		{.id = 2, .ports = ports + 255, .n_ports = 255},
	};
	const struct scsi_alua_config alua = {.groups = groups, .n_groups = 2, .implicit = true};
	struct scsi_target *target;
	const struct answer *a;
	char name[224];

	(void)state;
	for (unsigned i = 0; i < 2 * 255; i++)
		ports[i] = (uint16_t)(i + 1);
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	harness_start(&h);
	assert_int_equal(scsi_target_new(name, &target), 0);
	scsi_target_unref(h.target);
	h.target = target;
	for (uint16_t port = 1; port < 256; port++)
		assert_int_equal(scsi_target_add_port(target, port), 0);
	assert_true(scsi_target_add_port(target, 256) < 0); /* a group has no more */
	assert_int_equal(scsi_target_set_alua(target, &alua), 0);
	for (uint16_t port = 1; port <= 2 * 255; port++)
		assert_int_equal(scsi_target_add_port(target, port), 0);
	harness_map(&h, 0, &cfg);
	harness_settle(&h);
	a = vpd(0x88);
	assert_in_range(a->len, 65000, 65535);
	for (size_t at = 4; at < a->len; at += 12u + be16_get(a->data + at + 10))
		assert_true(at + 12 + be16_get(a->data + at + 10) <= a->len);
	harness_stop(&h);
}

/* Byte 5 of standard INQUIRY data, and designator type 5 of page 83. */
static void paths(void **state)
{
	static const uint16_t two[] = {1, 2};
	const struct answer *a;
	bool found = false;

	(void)state;
	start(NULL, 0);
	a = SEND(&h, .cdb = {0x12, 0, 0, 0, 96}, .expect_in = 96);
	assert_int_equal(a->data[5] & 0x30, 0x00);
	assert_int_equal(a->data[6] & 0x10, 0x00);
	harness_stop(&h);
	start(two, 2);
	a = SEND(&h, .cdb = {0x12, 0, 0, 0, 96}, .expect_in = 96);
	assert_int_equal(a->data[5] & 0x30, 0x10); /* implicit */
	assert_int_equal(a->data[6] & 0x10, 0x10); /* MULTIP */
	a = vpd(0x83);
	for (size_t at = 4; at < a->len; at += 4u + a->data[at + 3]) {
		if ((a->data[at + 1] & 0x3f) != 0x15)
			continue;
		found = true;
		assert_int_equal(be32_get(a->data + at), 0x51950004);
		assert_int_equal(be32_get(a->data + at + 4), 1);
	}
	assert_true(found);
	harness_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(management_addresses),
		cmocka_unit_test(extended_inquiry),
		cmocka_unit_test(no_volatile_cache),
		cmocka_unit_test(luns_changed_is_told_once),
		cmocka_unit_test(mode_page_policy),
		cmocka_unit_test(all_ports_of_the_target),
		cmocka_unit_test(a_port_at_least),
		cmocka_unit_test(very_many_ports),
		cmocka_unit_test(paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
