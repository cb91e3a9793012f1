/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON file becomes a config, or one complaint with its place. */
#include "daemon/config_priv.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define PORTALS "\"iscsiportals\": [{\"id\": 3, \"portal\": \"127.0.0.1:0\"}]"
#define TARGETS                                                                                    \
	"\"iscsitargets\": {\"iqn.2026-11.org.example:a\": {\"tpgts\": {\"1\": [3]}, \"luns\": "   \
	"{\"0\": 7}}}"
#define STORAGES "\"storages\": [{\"deviceID\": 7, \"path\": \"/srv/a\"}]"
#define REST PORTALS ",\n" TARGETS "}"

static struct config *parsed(const char *text)
{
	struct config *config = NULL;
	struct config_error error;

	if (config_parse(text, strlen(text), &config, &error) < 0)
		fail_msg("%d:%d: %s", error.line, error.column, error.text);
	return config;
}

static void every_key_arrives(void **state)
{
	scoped(config_free) struct config *config = parsed(
		"{\"$schema\": \"x\", \"version\": 1, \"storages\": [{\"deviceID\": 9, \"path\": "
		"\"file:/srv/a:b\", \"online\": false, \"thinProvisioning\": true, \"blockShift\": "
		"12, \"enableNUMA\": true, \"numaNode\": 1, \"ioUringQueueDepth\": 4096, "
		"\"protection\": {\"type\": 3}, "
		"\"deviceSize\": 8192, \"readOnly\": true, \"writeSameToEnd\": true, "
		"\"backgroundBytesPerSecond\": 2000000, \"direct\": "
		"true, \"writeCache\": "
		"false, "
		"\"uuid\": \"00112233-4455-6677-8899-aabbccddeeff\"}, {\"deviceID\": 1, \"path\": "
		"\"ram:1M\"}, {\"deviceID\": 2, \"path\": \"file:/dev/x\", \"backendType\": "
		"\"block\", \"enableNUMA\": true}, {\"deviceID\": 4, \"backendType\": \"null\", "
		"\"deviceSize\": 512}, "
		"{\"deviceID\": 5, \"path\": \"rel/a:b\", \"deviceSize\": 1024, \"encryption\": "
		"{\"keyFile\": \"/srv/k\"}}],"
		"\"iscsiportals\": [{\"id\": 5, \"portal\": \"[::1]:99\"}, {\"id\": 6, \"portal\": "
		"\"0.0.0.0\"}], \"iscsitargets\": {\"IQN.2026-11.org.example:A\": {\"tpgts\": "
		"{\"2\": [6], \"7\": [5]}, \"luns\": {\"16383\": 9, \"0\": 1}, \"parameters\": "
		"{\"InitialR2T\": \"Yes\", \"ImmediateData\": false, \"MaxBurstLength\": 1024, "
		"\"FirstBurstLength\": 512, \"MaxRecvDataSegmentLength\": 16384, "
		"\"MaxOutstandingR2T\": 2, \"DefaultTime2Wait\": 3, \"DefaultTime2Retain\": 4, "
		"\"HeaderDigest\": \"CRC32C\", \"DataDigest\": \"CRC32C,None\"}, "
		"\"chapFile\": \"/etc/a.chap\", "
		"\"managementAddresses\": {\"status\": \"http://a\"}}}, "
		"\"performance\": "
		"{\"enableNUMA\": true, \"enableIoUring\": false, \"ioUringQueueDepth\": 64, "
		"\"numaBufferPoolSize\": 32, \"numaBufferSize\": 65536, \"reactors\": 3, "
		"\"busyPollMicroseconds\": 70, "
		"\"engine\": "
		"\"epoll\"}}");
	const uint8_t uuid[16] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
				  0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
	const struct config_storage *s = config->storages;
	const struct config_target *t = config->targets;

	(void)state;
	assert_int_equal(config->n_storages, 5);
	assert_int_equal(s->device_id, 9);
	assert_string_equal(s->type, "file");
	assert_string_equal(s->path, "/srv/a:b");
	assert_int_equal(s->size, 8192);
	assert_int_equal(s->block_size, 4096);
	assert_true(s->read_only && s->direct && s->thin);
	assert_false(s->online || s->write_cache || s->create);
	assert_true(s->write_same_to_end);
	assert_int_equal(s->background_rate, 2000000);
	assert_int_equal(s[1].background_rate, 0);
	assert_false(s[1].write_same_to_end);
	assert_true(s->has_protection);
	assert_int_equal(s->protection_type, 3);
	assert_string_equal(s->protection_path, "/srv/a:b.pi");
	assert_false(s[1].has_protection);
	assert_int_equal(s->numa_node, 1);
	assert_true(s->has_uuid);
	assert_memory_equal(s->uuid, uuid, 16);
	assert_string_equal(s[1].type, "ram");
	assert_string_equal(s[1].path, "");
	assert_int_equal(s[1].size, 1 << 20);
	assert_int_equal(s[1].block_size, 512);
	assert_true(s[1].online && s[1].write_cache);
	assert_false(s[1].thin || s[1].has_uuid || s[1].create);
	assert_int_equal(s[1].numa_node, SCSI_NODE_ANY);
	assert_int_equal(s[2].numa_node, SCSI_NODE_DISK);
	assert_string_equal(s[2].type, "block");
	assert_string_equal(s[2].path, "/dev/x");
	assert_string_equal(s[3].type, "null");
	assert_string_equal(s[4].type, "file");
	assert_string_equal(s[4].path, "rel/a:b");
	assert_true(s[4].create);
	assert_string_equal(s[4].key_file, "/srv/k");
	assert_null(s[0].key_file);

	assert_int_equal(config->n_portals, 2);
	assert_string_equal(config->portals[0].host, "::1");
	assert_int_equal(config->portals[0].port, 99);
	assert_int_equal(config->portals[1].port, 3260);

	assert_int_equal(config->n_targets, 1);
	assert_string_equal(t->iqn, "iqn.2026-11.org.example:a");
	assert_string_equal(t->chap_file, "/etc/a.chap");
	assert_string_equal(t->addresses[SERVICE_STATUS], "http://a");
	assert_null(t->addresses[SERVICE_LOGGING]);
	assert_int_equal(t->n_tpgs, 2);
	assert_int_equal(t->tpgs[0].tag, 2);
	assert_int_equal(t->tpgs[0].portals[0], 1);
	assert_int_equal(t->tpgs[1].tag, 7);
	assert_int_equal(t->tpgs[1].portals[0], 0);
	assert_int_equal(t->n_luns, 2);
	assert_int_equal(t->luns[0].lun, 16383);
	assert_int_equal(t->luns[0].storage, 0);
	assert_int_equal(t->luns[1].storage, 1);
	assert_true(t->limits.values.initial_r2t);
	assert_false(t->limits.values.immediate_data);
	assert_int_equal(t->limits.values.max_burst, 1024);
	assert_int_equal(t->limits.values.first_burst, 512);
	assert_int_equal(t->limits.values.max_recv_data_segment, 16384);
	assert_int_equal(t->limits.values.max_outstanding_r2t, 2);
	assert_int_equal(t->limits.values.time2wait, 3);
	assert_int_equal(t->limits.values.time2retain, 4);
	assert_int_equal(t->limits.header_digest, DIGEST_CRC32C);
	assert_int_equal(t->limits.data_digest, DIGEST_CRC32C | DIGEST_NONE);

	assert_true(config->numa);
	assert_int_equal(config->engine, ENGINE_EPOLL);
	assert_int_equal(config->queue_depth, 4096); /* the deepest that anyone asks for */
	assert_int_equal(config->pool_buffers, 32);
	assert_int_equal(config->pool_buffer_size, 65536);
	assert_int_equal(config->n_reactors, 3);
	assert_int_equal(config->busy_poll_us, 70);
}

static void groups_of_ports(void **state)
{
	scoped(config_free) struct config *config = parsed(
		"{" STORAGES ", \"iscsiportals\": [{\"id\": 3, \"portal\": \"127.0.0.1:1\"}, "
		"{\"id\": 4, \"portal\": \"127.0.0.1:2\"}, {\"id\": 5, \"portal\": "
		"\"127.0.0.1:3\"}], \"iscsitargets\": {\"iqn.2026-11.org.example:a\": "
		"{\"tpgts\": {\"1\": [3], \"2\": [4], \"9\": [5]}, \"luns\": {\"0\": 7}, "
		"\"alua\": {\"groups\": {\"20\": {\"tpgts\": [2, 1], \"state\": \"standby\"}, "
		"\"10\": {\"tpgts\": [9], \"preferred\": true}}, \"implicit\": false, "
		"\"explicit\": true, \"referrals\": true, \"hook\": \"/bin/true\"}}}}");
	const struct config_alua *alua = config->targets[0].alua;

	(void)state;
	assert_non_null(alua);
	assert_int_equal(alua->n_groups, 2);
	assert_int_equal(alua->groups[0].id, 10); /* in order */
	assert_int_equal(alua->groups[0].state, ALUA_OPTIMIZED);
	assert_true(alua->groups[0].preferred);
	assert_int_equal(alua->groups[0].n_ports, 1);
	assert_int_equal(alua->groups[0].ports[0], 9);
	assert_int_equal(alua->groups[1].id, 20);
	assert_int_equal(alua->groups[1].state, ALUA_STANDBY);
	assert_false(alua->groups[1].preferred);
	assert_int_equal(alua->groups[1].n_ports, 2);
	assert_int_equal(alua->groups[1].ports[0], 2);
	assert_false(alua->implicit);
	assert_true(alua->explicit_too && alua->referrals);
	assert_string_equal(alua->hook, "/bin/true");
}

static void what_is_left_out_has_its_default(void **state)
{
	scoped(config_free) struct config *config = parsed("{" STORAGES "," REST);

	(void)state;
	assert_int_equal(config->engine, ENGINE_AUTO);
	assert_false(config->numa);
	assert_int_equal(config->queue_depth, 0);
	assert_int_equal(config->busy_poll_us, 0);
	assert_memory_equal(&config->targets[0].limits, &iscsi_default_limits,
			    sizeof(iscsi_default_limits));
	assert_true(config->storages[0].online);
	assert_false(config->storages[0].create);
	assert_null(config->targets[0].alua);
}

/* A first burst that nobody asked for gives way to MaxBurstLength. */
static void default_first_burst_follows(void **state)
{
	scoped(config_free) struct config *config = parsed(
		"{" STORAGES "," PORTALS
		", \"iscsitargets\": {\"iqn.2026-11.org.example:a\": {\"tpgts\": {\"1\": [3]}, "
		"\"luns\": {\"0\": 7}, \"parameters\": {\"MaxBurstLength\": 4096}}}}");

	(void)state;
	assert_int_equal(config->targets[0].limits.values.first_burst, 4096);
}

static void storages_are_found_by_name_and_number(void **state)
{
	scoped(config_free) struct config *config =
		parsed("{\"storages\": [{\"deviceID\": 7, \"path\": \"/srv/a\"}, "
		       "{\"deviceID\": 8, \"path\": \"/srv/b\", \"name\": \"b\"}]," REST);

	(void)state;
	assert_ptr_equal(config_find_storage(config, "7"), &config->storages[0]);
	assert_ptr_equal(config_find_storage(config, "b"), &config->storages[1]);
	assert_ptr_equal(config_find_storage(config, "8"), &config->storages[1]);
	assert_null(config_find_storage(config, "07"));
	assert_null(config_find_storage(config, ""));
	assert_null(config_find_storage(config, "/srv/a"));
}

struct complaint {
	const char *text;
	int line, column;
	const char *says;
};

#define STORAGE(members) "{\"storages\": [\n{\"deviceID\": 7, " members "}],\n" REST
#define AT_TARGET(target) "{" STORAGES ", " PORTALS ",\n\"iscsitargets\": {\n" target "}}"
#define IQN "\"iqn.2026-11.org.example:a\""
#define AT_ALUA(alua)                                                                              \
	AT_TARGET(IQN ": {\"tpgts\": {\"1\": [3]}, \"luns\": {\"0\": 7}, \"alua\":\n" alua "}")
#define PERFORMANCE(members) "{" STORAGES ", \"performance\": {\n" members "}, " REST

/* clang-format off */
static const struct complaint complaints[] = {
	/* syntax */
	{"", 1, 1, "bad JSON"},
	{"{\n  \"a\": }", 2, 8, "bad JSON"},
	{"{\"version\": 1, \"version\": 1}", 1, 24, "duplicate"},
	{"[]", 1, 1, "found a list, expected an object"},
	{"{\n\"storages\": 1}", 2, 13, "storages: found 1, expected a list"},
	{"{}", 1, 1, "found no \"storages\""},
	{"{\"\\u0041\": 1, \"nope\":2}", 1, 2, "A: found an unknown key, expected one of $schema"},
	{"{" STORAGES ", \"version\": 2, " REST, 1, 62, "version: found 2, expected 1"},
	/* columns count characters, not bytes */
	{"{\"$schema\": \"\xc3\xa4\xc3\xa4\", \"x\": 1}", 1, 19, "x: found an unknown key"},
	/* storages */
	{"{\"storages\": [], " REST, 1, 14, "expected a storage"},
	{"{\"storages\": [\n\n  3], " REST, 3, 3, "storages[0]: found 3, expected an object"},
	{"{\"storages\": [{\"path\": \"/a\"}], " REST, 1, 15, "no \"deviceID\""},
	{STORAGE("\"path\": 5"), 2, 25, "storages[0].path: found 5, expected a string"},
	{STORAGE("\"online\": true"), 2, 1, "found no \"path\""},
	{STORAGE("\"path\": \"\""), 2, 25, "found no path"},
	{STORAGE("\"path\": \"C:x\""), 2, 25, "found the type \"C\", expected one of file"},
	{STORAGE("\"path\": \"iouring:/x\""), 2, 25, "found the type \"iouring\""},
	{STORAGE("\"path\": \"ram:\""), 2, 1, "no \"deviceSize\""},
	{STORAGE("\"path\": \"ram:x\""), 2, 25, "expected a size such as 1G"},
	{STORAGE("\"path\": \"ram:100\""), 2, 25, "multiple of the block length"},
	{STORAGE("\"path\": \"ram:1K\", \"deviceSize\": 512"), 2, 25, "differs from"},
	{STORAGE("\"path\": \"/a\", \"online\": \"yes\""), 2, 41, "expected true or false"},
	{STORAGE("\"path\": \"/a\", \"online\": null"), 2, 41, "found null"},
	{STORAGE("\"path\": \"/a\", \"blockShift\": 8"), 2, 45, "expected 0 or 9 to 12"},
	{STORAGE("\"path\": \"/a\", \"blockShift\": 13"), 2, 45, "from 0 to 12"},
	{STORAGE("\"path\": \"/a\", \"blockShift\": 9.0"), 2, 45, "found the number 9"},
	{STORAGE("\"path\": \"/a\", \"deviceSize\": -1"), 2, 45, "expected an integer from 0"},
	{STORAGE("\"path\": \"/a\", \"deviceSize\": 1000"), 2, 45, "multiple of the block length"},
	{STORAGE("\"path\": \"/a\", \"numaNode\": 0"), 2, 43, "\"enableNUMA\": true beside it"},
	{STORAGE("\"path\": \"/a\", \"uuid\": \"0\""), 2, 39, "expected a UUID"},
	{STORAGE("\"path\": \"ram:1M\", \"direct\": true"), 2, 45, "file, block and cdrom only"},
	{STORAGE("\"path\": \"/a\", \"backendType\": \"tape\""), 2, 46, "one of \"file\", \"block\""},
	{STORAGE("\"path\": \"/a\", \"s3Region\": \"\""), 2, 31, "found an unknown key"},
	{STORAGE("\"path\": \"/a\"}, {\n\"path\": \"/b\", \"deviceID\": 7"), 3, 27, "found 7 again"},
	{STORAGE("\"p\\u0061th\": 5"), 2, 30, "path: found 5"},
	/* a name of the document's cannot steer a terminal */
	{"{\"\\u001b[2J\": 1}", 1, 2, "[\"\\x1b[2J\"]: found an unknown key"},
	{"{\"\xc2\x9b\": 1}", 1, 2, "[\"\\xc2\\x9b\"]: found an unknown key"},
	{"{\"\\uD83D\\uDE00\": 1}", 1, 2, "[\"\\xf0\\x9f\\x98\\x80\"]: found"},
	/* portals */
	{"{" STORAGES ", \"iscsiportals\": [],\n" TARGETS "}", 1, 67, "expected a portal"},
	{"{" STORAGES ", \"iscsiportals\": [{\"id\": 1, \"portal\": \"localhost\"}],\n" TARGETS "}",
	 1, 88, "expected ADDRESS:PORT"},
	{"{" STORAGES ", \"iscsiportals\": [{\"id\": 1, \"portal\": \"1.2.3.4\"},\n"
	 "{\"id\": 1, \"portal\": \"1.2.3.5\"}],\n" TARGETS "}", 2, 8, "found 1 again"},
	{"{" STORAGES ", \"iscsiportals\": [{\"id\": 1, \"portal\": \"1.2.3.4\"},\n"
	 "{\"id\": 2, \"portal\": \"1.2.3.4:3260\"}],\n" TARGETS "}", 2, 21, "an address again"},
	{"{" STORAGES ", \"iscsiportals\": [{\"id\": 65536, \"portal\": \"1.2.3.4\"}],\n" TARGETS "}",
	 1, 75, "from 0 to 65535"},
	/* targets */
	{AT_TARGET(""), 2, 17, "expected a target"},
	{AT_TARGET("\"disk\": {}"), 3, 1, "found no iSCSI name"},
	{AT_TARGET(IQN ": {\"tpgts\": {}, \"luns\": {}}"), 3, 40, "expected a portal group"},
	{AT_TARGET(IQN ": {\"tpgts\": {\"1\": []}, \"luns\": {}}"), 3, 46, "list of ids"},
	{AT_TARGET(IQN ": {\"tpgts\": {\"0\": [3]}, \"luns\": {}}"), 3, 41, "expected 1 to 65535"},
	{AT_TARGET(IQN ": {\"tpgts\": {\"01\": [3]}, \"luns\": {}}"), 3, 41, "expected 1 to 65535"},
	{AT_TARGET(IQN ": {\"tpgts\": {\"65536\": [3]}, \"luns\": {}}"), 3, 41, "expected 1 to 65535"},
	{AT_TARGET(IQN ": {\"tpgts\": {\"1\": [3, 4]}, \"luns\": {}}"), 3, 50, "no such portal"},
	{AT_TARGET(IQN ": {\"tpgts\": {\"1\": [3, 3]}, \"luns\": {}}"), 3, 50, "a portal again"},
	{AT_TARGET(IQN ": {\"tpgts\": {\"1\": [3], \"2\": [3]}, \"luns\": {}}"), 3, 57, "a portal again"},
	{AT_TARGET(IQN ": {\"tpgts\": {\"1\": [3]}, \"luns\": {}}"), 3, 60, "expected a LUN"},
	{AT_TARGET(IQN ": {\"tpgts\": {\"1\": [3]}, \"luns\": {\"0\": 8}}"), 3, 66, "no such storage"},
	{AT_TARGET(IQN ": {\"tpgts\": {\"1\": [3]}, \"luns\": {\"16384\": 7}}"), 3, 61, "expected 0 to 16383"},
	{AT_TARGET(IQN ": {\"tpgts\": {\"1\": [3]}, \"luns\": {\"0\": \"7\"}}"), 3, 66, "no such storage"},
	{AT_TARGET(IQN ": {\"tpgts\": {\"1\": [3]}, \"luns\": {\"0\": 7}},\n\"IQN.2026-11.org.example:a\": {}"),
	 4, 1, "found a target again"},
	{AT_TARGET(IQN ": {\"tpgts\": {\"1\": [3]}, \"luns\": {\"0\": 7}, \"parameters\":\n{\"MaxConnections\": 1}}"),
	 4, 2, "unknown key, expected one of InitialR2T"},
	{AT_TARGET(IQN ": {\"tpgts\": {\"1\": [3]}, \"luns\": {\"0\": 7}, \"parameters\":\n{\"InitialR2T\": \"yes\"}}"),
	 4, 16, "expected true, false, \"Yes\" or \"No\""},
	{AT_TARGET(IQN ": {\"tpgts\": {\"1\": [3]}, \"luns\": {\"0\": 7}, \"parameters\":\n{\"MaxBurstLength\": 511}}"),
	 4, 20, "from 512 to 16777215"},
	{AT_TARGET(IQN ": {\"tpgts\": {\"1\": [3]}, \"luns\": {\"0\": 7}, \"parameters\":\n"
	 "{\"MaxBurstLength\": 512, \"FirstBurstLength\": 1024}}"), 4, 45, "no more than MaxBurstLength, 512"},
	{AT_TARGET(IQN ": {\"tpgts\": {\"1\": [3]}, \"luns\": {\"0\": 7}, \"parameters\":\n{\"DataDigest\": \"MD5\"}}"),
	 4, 16, "expected one of \"None\""},
	/* alua */
	{AT_ALUA("{}"), 4, 1, "found no \"groups\""},
	{AT_ALUA("{\"groups\": {}}"), 4, 12, "found the tag 1 in no group"},
	{AT_ALUA("{\"groups\": {\"0\": {\"tpgts\": [1]}}}"), 4, 13, "expected 1 to 65535"},
	{AT_ALUA("{\"groups\": {\"1\": {}}}"), 4, 18, "found no \"tpgts\""},
	{AT_ALUA("{\"groups\": {\"1\": {\"tpgts\": []}}}"), 4, 28, "found 0 tags, expected 1 to 255"},
	{AT_ALUA("{\"groups\": {\"1\": {\"tpgts\": [2]}}}"), 4, 29, "no such tag"},
	{AT_ALUA("{\"groups\": {\"1\": {\"tpgts\": [\"1\"]}}}"), 4, 29, "no such tag"},
	{AT_ALUA("{\"groups\": {\"1\": {\"tpgts\": [1, 1]}}}"), 4, 32, "a tag again"},
	{AT_ALUA("{\"groups\": {\"1\": {\"tpgts\": [1]}, \"2\": {\"tpgts\": [1]}}}"), 4, 50, "a tag again"},
	{AT_ALUA("{\"groups\": {\"1\": {\"tpgts\": [1], \"state\": \"transitioning\"}}}"),
	 4, 42, "expected one of \"active/optimized\""},
	{AT_ALUA("{\"groups\": {\"1\": {\"tpgts\": [1]}}, \"implicit\": false}"), 4, 1, "to be true"},
	{AT_ALUA("{\"groups\": {\"1\": {\"tpgts\": [1]}}, \"hook\": \"sh\"}"), 4, 43, "absolute path"},
	/* performance */
	{PERFORMANCE("\"enableIoUring\": true, \"engine\": \"epoll\""), 2, 18, "expected one of the two"},
	{PERFORMANCE("\"numaBufferSize\": 65537"), 2, 19, "power of two"},
	{PERFORMANCE("\"numaBufferSize\": 32768"), 2, 19, "power of two"},
	{PERFORMANCE("\"numaBufferPoolSize\": 15"), 2, 23, "at least 16"},
	{PERFORMANCE("\"engine\": \"sim\""), 2, 11, "one of \"auto\", \"uring\", \"epoll\""},
	{"{\"storages\": [{\"deviceID\": 7, \"path\": \"/a\"}, {\"deviceID\": 8, \"path\": \"/b\",\n"
	 "\"enableNUMA\": true}], \"performance\": {\"enableNUMA\": false}, " REST, 2, 15, "to agree"},
};
/* clang-format on */

static void complaints_have_a_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(complaints) / sizeof(complaints[0]); i++) {
		const struct complaint *c = &complaints[i];
		struct config *config = NULL;
		struct config_error error;
		int r = config_parse(c->text, strlen(c->text), &config, &error);

		if (r != -EINVAL || error.line != c->line || error.column != c->column ||
		    !strstr(error.text, c->says))
			fail_msg("%s\n%zu: wanted %d:%d: ...%s..., got %d, %d:%d: %s", c->text, i,
				 c->line, c->column, c->says, r, error.line, error.column,
				 error.text);
		assert_null(config);
	}
}

/* 100,000 brackets, closed and not, and a key of a megabyte. */
static void hostile_texts_are_refused(void **state)
{
	const size_t n = 100000, long_key = 1 << 20;
	char *text = malloc(long_key + 16);
	struct config *config = NULL;
	struct config_error error;

	(void)state;
	memset(text, '[', n);
	assert_int_equal(config_parse(text, n, &config, &error), -EINVAL);
	memset(text + n, ']', n);
	assert_int_equal(config_parse(text, 2 * n, &config, &error), -EINVAL);
	memset(text, 'k', long_key);
	memcpy(text, "{\"", 2);
	memcpy(text + long_key, "\":1}", 4);
	assert_int_equal(config_parse(text, long_key + 4, &config, &error), -EINVAL);
	assert_non_null(strstr(error.text, "expected one of $schema"));
	assert_int_equal(error.column, 2);
	free(text);
}

/* The scanner is given only valid JSON, and stays in bounds whatever it is given. */
static void where_stays_in_bounds(void **state)
{
	static const char text[] =
		"{\"a\": [1, {\"b\\\"\": \"\\uD83D\\uDE00\"}, 3], \"\\u0063\": 4}";
	const struct at a = {.key = "a"}, second = {.up = &a, .index = 1};
	const struct at b = {.up = &second, .key = "b\""}, c = {.key = "c"}, d = {.key = "d"};
	const struct at fourth = {.up = &a, .index = 3};
	int line, column;

	(void)state;
	assert_true(config_where(text, sizeof(text) - 1, &b, false, &line, &column));
	assert_int_equal(column, 19);
	assert_true(config_where(text, sizeof(text) - 1, &c, true, &line, &column));
	assert_int_equal(column, 40);
	assert_false(config_where(text, sizeof(text) - 1, &d, true, &line, &column));
	assert_false(config_where(text, sizeof(text) - 1, &fourth, false, &line, &column));
	for (size_t len = 0; len < sizeof(text); len++) {
		char *part = malloc(len ? len : 1); /* so that a sanitizer sees its end */

		memcpy(part, text, len);
		config_where(part, len, &b, false, &line, &column);
		config_where(part, len, &c, true, &line, &column);
		free(part);
	}
}

static void sizes(void **state)
{
	static const char *const bad[] = {
		"", "K", "-1", "1KB", "1X", "1.5G", "1 ", "8388608T", "9223372036854775808"};
	uint64_t size = 0;

	(void)state;
	assert_int_equal(config_parse_size("4096", &size), 0);
	assert_int_equal(size, 4096);
	assert_int_equal(config_parse_size("1k", &size), 0);
	assert_int_equal(size, 1024);
	assert_int_equal(config_parse_size("3P", &size), 0);
	assert_true(size == (uint64_t)3 << 50);
	assert_int_equal(config_parse_size("9223372036854775807", &size), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(config_parse_size(bad[i], &size), -EINVAL);
}

static void portals(void **state)
{
	static const struct {
		const char *text, *host;
		int port; /* -1: refused */
	} rows[] = {
		{"127.0.0.1:3261", "127.0.0.1", 3261},
		{"127.0.0.1", "127.0.0.1", 3260},
		{"[::1]:0", "::1", 0},
		{"[fe80::1%eth0]", "fe80::1%eth0", 3260},
		{"1.2.3.4:65535", "1.2.3.4", 65535},
		{"1.2.3.4:65536", NULL, -1},
		{"1.2.3.4:", NULL, -1},
		{"1.2.3.4:+1", NULL, -1},
		{"1.2.3:1", NULL, -1},
		{"::1", NULL, -1},
		{"[::1", NULL, -1},
		{"[::1]3260", NULL, -1},
		{"[1.2.3.4]:1", NULL, -1},
		{"[fe80::1%]:1", NULL, -1},
		{"localhost:1", NULL, -1},
		{":3260", NULL, -1},
		{"", NULL, -1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config_portal portal = {0};
		int r = config_parse_portal(rows[i].text, &portal);

		if ((r < 0) != (rows[i].port < 0))
			fail_msg("%s: %d", rows[i].text, r);
		if (r == 0) {
			assert_string_equal(portal.host, rows[i].host);
			assert_int_equal(portal.port, rows[i].port);
		}
		free(portal.host);
	}
}

static void specs(void **state)
{
	static const struct {
		const char *spec, *type, *path; /* type NULL: refused */
		uint64_t size;
		bool direct;
	} rows[] = {
		{"/a:b", "file", "/a:b", 0, false},
		{"a", "file", "a", 0, false},
		{"./ram:x", "file", "./ram:x", 0, false},
		{"file:a?direct=on", "file", "a", 0, true},
		{"block:/dev/x?direct=off", "block", "/dev/x", 0, false},
		{"/what?.img?", "file", "/what?.img", 0, false},
		{"ram:1G", "ram", "", 1 << 30, false},
		{"null:", "null", "", 0, false},
		{"/a?key-file=/srv/k=1", "file", "/a", 0, false},
		{"ram:1G?removable=on,key-file=k", "ram", "", 1 << 30, false},
		{"/a?key-file=", NULL, NULL, 0, false},
		{"/a?key-file=a,key-file=b", NULL, NULL, 0, false},
		{"/a?write-same-to-end=on,direct=on", "file", "/a", 0, true},
		{"cdrom:/a?write-same-to-end=on", NULL, NULL, 0, false},
		{"null:1G?key-file=k", NULL, NULL, 0, false},
		{"cdrom:/a?key-file=k", NULL, NULL, 0, false},
		{"delay:500:/a", "delay", "500:/a", 0, false},
		{"delay:", NULL, NULL, 0, false},
		{"/what?.img", NULL, NULL, 0, false},
		{"ram:1G?direct=on", NULL, NULL, 0, false},
		{"ram:x", NULL, NULL, 0, false},
		{"C:x", NULL, NULL, 0, false},
		{"file:", NULL, NULL, 0, false},
		{"", NULL, NULL, 0, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config_storage storage = {0};
		struct config_error error;
		int r = config_parse_spec(rows[i].spec, &storage, &error);

		if ((r < 0) != !rows[i].type || (r < 0 && !*error.text))
			fail_msg("%s: %d %s", rows[i].spec, r, error.text);
		if (r < 0)
			continue;
		assert_string_equal(storage.type, rows[i].type);
		assert_string_equal(storage.path, rows[i].path);
		assert_int_equal(storage.size, rows[i].size);
		assert_int_equal(storage.direct, rows[i].direct);
		assert_int_equal(storage.write_same_to_end,
				 strstr(rows[i].spec, "to-end=on") != NULL);
		if (strstr(rows[i].spec, "key-file="))
			assert_string_equal(storage.key_file,
					    strstr(rows[i].spec, "key-file=") + 9);
		else
			assert_null(storage.key_file);
		free(storage.type);
		free(storage.path);
		free(storage.key_file);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key_arrives),
		cmocka_unit_test(groups_of_ports),
		cmocka_unit_test(what_is_left_out_has_its_default),
		cmocka_unit_test(storages_are_found_by_name_and_number),
		cmocka_unit_test(default_first_burst_follows),
		cmocka_unit_test(complaints_have_a_place),
		cmocka_unit_test(hostile_texts_are_refused),
		cmocka_unit_test(where_stays_in_bounds),
		cmocka_unit_test(sizes),
		cmocka_unit_test(portals),
		cmocka_unit_test(specs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
