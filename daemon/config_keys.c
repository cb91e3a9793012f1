/* SPDX-License-Identifier: Apache-2.0 */
/* Every key that the JSON file may hold. docs/duotgt.schema.json says the same to editors. */
#include "daemon/config_keys.h"
#include "util/engine.h"

#define AT(type, field) .offset = offsetof(struct type, field)

static const char *const digest_names[] = {"None", "CRC32C", "CRC32C,None", NULL};

/* clang-format off */
const struct json_key top_keys[] = {
	{"$schema",       KEY_TEXT,   AT(top_in, schema)},
	{"version",       KEY_NUMBER, AT(top_in, version), .min = 1, .max = 1},
	{"storages",      KEY_LIST,   AT(top_in, storages), .required = true},
	{"iscsiportals",  KEY_LIST,   AT(top_in, portals)},
	{"iscsitargets",  KEY_OBJECT, AT(top_in, targets)},
	{"tcmu",          KEY_OBJECT, AT(top_in, tcmu)},
	{"performance",   KEY_OBJECT, AT(top_in, performance)},
	{"memory",        KEY_OBJECT, AT(top_in, memory)},
	{"stateDir",      KEY_TEXT,   AT(top_in, state_dir)},
	{"runDir",        KEY_TEXT,   AT(top_in, run_dir)},
	{0},
};

const struct json_key storage_keys[] = {
	{"deviceID",          KEY_NUMBER, AT(storage_in, device_id), .required = true, .max = INT64_MAX},
	{"name",              KEY_TEXT,   AT(storage_in, name)},
	{"path",              KEY_TEXT,   AT(storage_in, path)},
	{"online",            KEY_FLAG,   AT(storage_in, online)},
	{"thinProvisioning",  KEY_FLAG,   AT(storage_in, thin)},
	{"blockShift",        KEY_NUMBER, AT(storage_in, block_shift), .max = 12},
	{"physicalBlockShift", KEY_NUMBER, AT(storage_in, physical_shift), .max = 26},
	{"lowestAlignedLBA",  KEY_NUMBER, AT(storage_in, lowest_aligned), .max = 16383},
	{"backendType",       KEY_CHOICE, AT(storage_in, backend_type), .choices = config_types},
	{"enableNUMA",        KEY_FLAG,   AT(storage_in, enable_numa)},
	{"numaNode",          KEY_NUMBER, AT(storage_in, numa_node), .min = -1, .max = 1023},
	{"ioUringQueueDepth", KEY_NUMBER, AT(storage_in, queue_depth), .max = 32768},
	{"deviceSize",        KEY_NUMBER, AT(storage_in, device_size), .max = INT64_MAX},
	{"readOnly",          KEY_FLAG,   AT(storage_in, read_only)},
	{"removable",         KEY_FLAG,   AT(storage_in, removable)},
	{"backgroundBytesPerSecond", KEY_NUMBER, AT(storage_in, background_rate), .max = INT64_MAX},
	{"writeSameToEnd",    KEY_FLAG,   AT(storage_in, to_end)},
	{"direct",            KEY_FLAG,   AT(storage_in, direct)},
	{"writeCache",        KEY_FLAG,   AT(storage_in, write_cache)},
	{"uuid",              KEY_TEXT,   AT(storage_in, uuid)},
	{"bothFrontEnds",     KEY_FLAG,   AT(storage_in, both)},
	{"protection",        KEY_OBJECT, AT(storage_in, protection)},
	{"encryption",        KEY_OBJECT, AT(storage_in, encryption)},
	{0},
};

const struct json_key protection_keys[] = {
	{"type", KEY_NUMBER, AT(protection_in, type), .required = true, .max = 3},
	{"path", KEY_TEXT,   AT(protection_in, path)},
	{0},
};

const struct json_key encryption_keys[] = {
	{"keyFile", KEY_TEXT, AT(encryption_in, key_file), .required = true},
	{0},
};

const struct json_key portal_keys[] = {
	{"id",     KEY_NUMBER, AT(portal_in, id), .required = true, .max = UINT16_MAX},
	{"portal", KEY_TEXT,   AT(portal_in, portal), .required = true},
	{0},
};

const struct json_key target_keys[] = {
	{"tpgts",      KEY_OBJECT, AT(target_in, tpgts), .required = true},
	{"luns",       KEY_OBJECT, AT(target_in, luns), .required = true},
	{"parameters", KEY_OBJECT, AT(target_in, parameters)},
	{"chapFile",   KEY_TEXT,   AT(target_in, chap_file)},
	{"alua",       KEY_OBJECT, AT(target_in, alua)},
	{"managementAddresses", KEY_OBJECT, AT(target_in, addresses)},
	{0},
};

const struct json_key address_keys[] = {
	{"unspecified",          KEY_TEXT, AT(addresses_in, uris[SERVICE_UNSPECIFIED])},
	{"storageConfiguration", KEY_TEXT, AT(addresses_in, uris[SERVICE_STORAGE_CONFIGURATION])},
	{"diagnostics",          KEY_TEXT, AT(addresses_in, uris[SERVICE_DIAGNOSTICS])},
	{"status",               KEY_TEXT, AT(addresses_in, uris[SERVICE_STATUS])},
	{"logging",              KEY_TEXT, AT(addresses_in, uris[SERVICE_LOGGING])},
	{"codeDownload",         KEY_TEXT, AT(addresses_in, uris[SERVICE_CODE_DOWNLOAD])},
	{"copyService",          KEY_TEXT, AT(addresses_in, uris[SERVICE_COPY])},
	{"administrativeConfiguration", KEY_TEXT,
	 AT(addresses_in, uris[SERVICE_ADMINISTRATIVE_CONFIGURATION])},
	{0},
};

const struct json_key alua_keys[] = {
	{"groups",   KEY_OBJECT, AT(alua_in, groups), .required = true},
	{"implicit", KEY_FLAG,   AT(alua_in, implicit)},
	{"explicit", KEY_FLAG,   AT(alua_in, explicit_too)},
	{"referrals", KEY_FLAG,  AT(alua_in, referrals)},
	{"hook",     KEY_TEXT,   AT(alua_in, hook)},
	{0},
};

static const char *const alua_state_names[] = {
	"active/optimized", "active/non-optimized", "standby", "unavailable", "offline", NULL,
};

const struct json_key alua_group_keys[] = {
	{"state",     KEY_CHOICE, AT(alua_group_in, state), .choices = alua_state_names},
	{"preferred", KEY_FLAG,   AT(alua_group_in, preferred)},
	{"tpgts",     KEY_LIST,   AT(alua_group_in, tpgts), .required = true},
	{0},
};

/* RFC 7143 13, and its ranges. */
const struct json_key parameter_keys[] = {
	{"InitialR2T",         KEY_YES_NO, AT(parameters_in, initial_r2t)},
	{"ImmediateData",      KEY_YES_NO, AT(parameters_in, immediate_data)},
	{"MaxBurstLength",     KEY_NUMBER, AT(parameters_in, max_burst), .min = 512, .max = 0xffffff},
	{"FirstBurstLength",   KEY_NUMBER, AT(parameters_in, first_burst), .min = 512, .max = 0xffffff},
	{"MaxRecvDataSegmentLength", KEY_NUMBER, AT(parameters_in, max_recv), .min = 512, .max = 0xffffff},
	{"MaxOutstandingR2T",  KEY_NUMBER, AT(parameters_in, max_r2t), .min = 1, .max = 65535},
	{"DefaultTime2Wait",   KEY_NUMBER, AT(parameters_in, time2wait), .max = 3600},
	{"DefaultTime2Retain", KEY_NUMBER, AT(parameters_in, time2retain), .max = 3600},
	{"HeaderDigest",       KEY_CHOICE, AT(parameters_in, header_digest), .choices = digest_names},
	{"DataDigest",         KEY_CHOICE, AT(parameters_in, data_digest), .choices = digest_names},
	{0},
};

const char *const engine_names[] = {
	[ENGINE_AUTO] = "auto", [ENGINE_URING] = "uring", [ENGINE_EPOLL] = "epoll", NULL,
};

const struct json_key performance_keys[] = {
	{"enableNUMA",         KEY_FLAG,   AT(performance_in, enable_numa)},
	{"enableIoUring",      KEY_FLAG,   AT(performance_in, enable_uring)},
	{"ioUringQueueDepth",  KEY_NUMBER, AT(performance_in, queue_depth), .max = 32768},
	{"numaBufferPoolSize", KEY_NUMBER, AT(performance_in, pool_buffers), .max = 1048576},
	{"numaBufferSize",     KEY_NUMBER, AT(performance_in, buffer_size), .max = 4194304},
	{"reactors",           KEY_NUMBER, AT(performance_in, reactors), .max = CONFIG_REACTORS_MAX},
	{"busyPollMicroseconds", KEY_NUMBER, AT(performance_in, busy_poll_us),
	 .max = ENGINE_BUSY_POLL_MAX_US},
	{"engine",             KEY_CHOICE, AT(performance_in, engine), .choices = engine_names},
	{0},
};

static const char *const owner_names[] = {"lio", "duotgt", NULL};

const struct json_key tcmu_keys[] = {
	{"reservations", KEY_CHOICE, AT(tcmu_in, reservations), .choices = owner_names},
	{"alua",         KEY_CHOICE, AT(tcmu_in, alua), .choices = owner_names},
	{"paths",        KEY_FLAG,   AT(tcmu_in, paths)},
	{"replies",      KEY_FLAG,   AT(tcmu_in, replies)},
	{0},
};

const struct json_key memory_keys[] = {
	{"limit", KEY_NUMBER, AT(memory_in, limit), .max = INT64_MAX},
	{0},
};

const struct json_section config_sections[] = {
	{"", top_keys},
	{"storages[]", storage_keys},
	{"storages[].protection", protection_keys},
	{"storages[].encryption", encryption_keys},
	{"iscsiportals[]", portal_keys},
	{"iscsitargets{}", target_keys},
	{"iscsitargets{}.parameters", parameter_keys},
	{"iscsitargets{}.managementAddresses", address_keys},
	{"iscsitargets{}.alua", alua_keys},
	{"iscsitargets{}.alua.groups{}", alua_group_keys},
	{"tcmu", tcmu_keys},
	{"performance", performance_keys},
	{"memory", memory_keys},
	{0},
};
/* clang-format on */
