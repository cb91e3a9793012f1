/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any memory where a TCMU ring should be: nothing outside the mapping is touched, and in it only
 * the entries, the data area and cmd_tail; the device always comes to its end.
 *
 * Input: cmd_head and cmd_tail in units of eight bytes, two bytes each (little endian); a byte of
 * choices; with CHOOSE_MAILBOX the mailbox' first 16 bytes; then the ring, and what is left for
 * the data area.
 */
#include "handler/device.h"
#include "handler/uapi.h"
#include "scsi/backend/backends.h"
#include "scsi/lu.h"
#include "util/log.h"
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	RING_OFF = 128,
	RING_BYTES = 2048,
	DATA_BYTES = 16384,
	MAP_BYTES = RING_OFF + RING_BYTES + DATA_BYTES,
	STORE_BYTES = 65536,

	CHOOSE_MAILBOX = 0x01,
	CHOOSE_OWN = 0x02,   /* reservations and port groups are the core's */
	CHOOSE_ABORT = 0x04, /* how it is stopped */
	CHOOSE_EARLY = 0x08, /* it is stopped with the work still under way */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct engine *engine;
static int fds[2];

/* Not assert(), which a release build leaves out. */
static void require(bool what)
{
	if (!what)
		abort();
}

static void set_up(void)
{
	log_set_level(LOG_LEVEL_ERROR - 1); /* each input has an error to tell of */
	require(engine_new(ENGINE_EPOLL, NULL, &engine) == 0);
	require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds) == 0);
}

static struct scsi_lu *make_lu(void)
{
	const struct scsi_lu_config cfg = {
		.name = "fuzz",
		.backend = duotgt_backend_find("ram"),
		.params = {.path = "", .size = STORE_BYTES},
		.uuid = {1, 2, 3},
		.block_size = 512,
		.max_transfer = 32 << 10,
		.write_cache = true,
		.thin = true,
		.online = true,
		.numa_node = -1,
	};
	struct scsi_lu *lu;
	char why[128];

	require(scsi_lu_new(&cfg, &lu, why, sizeof(why)) == 0);
	return lu;
}

static void put_u32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

static size_t take(uint8_t *to, size_t room, const uint8_t **data, size_t *len)
{
	size_t n = *len < room ? *len : room;

	memcpy(to, *data, n);
	*data += n;
	*len -= n;
	return n;
}

static uint32_t position(const uint8_t *p)
{
	return ((uint32_t)p[0] | (uint32_t)p[1] << 8) * 8;
}

/* To the byte, for the address sanitizer to watch. Return: the byte of choices. */
static uint8_t build(uint8_t *map, const uint8_t *data, size_t len)
{
	static const uint16_t version = TCMU_VERSION_OF_MAILBOX,
			      flags = MB_OUT_OF_ORDER | MB_READ_LEN | MB_TMR;
	uint8_t head[5] = {0};

	memset(map, 0, MAP_BYTES);
	take(head, sizeof(head), &data, &len);
	memcpy(map + MB_VERSION, &version, sizeof(version));
	memcpy(map + MB_FLAGS, &flags, sizeof(flags));
	put_u32(map + MB_CMDR_OFF, RING_OFF);
	put_u32(map + MB_CMDR_SIZE, RING_BYTES);
	put_u32(map + MB_CMD_HEAD, position(head));
	put_u32(map + MB_CMD_TAIL, position(head + 2));
	if (head[4] & CHOOSE_MAILBOX)
		take(map, 16, &data, &len);
	take(map + RING_OFF, RING_BYTES + DATA_BYTES, &data, &len);
	return head[4];
}

static void set_true(void *arg)
{
	*(bool *)arg = true;
}

static void settle(void)
{
	unsigned n_idle = 0;

	while (n_idle < 2) {
		int n = engine_turn(engine, false);

		require(n >= 0);
		n_idle = n ? 0 : n_idle + 1;
	}
}

static void drain(void)
{
	uint8_t packet[8];

	while (recv(fds[1], packet, sizeof(packet), MSG_DONTWAIT) > 0)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *map = aligned_alloc(8, MAP_BYTES), before[MB_BYTES];
	struct tcmu_device_config cfg = {.name = "fuzz", .map = map, .map_len = MAP_BYTES};
	struct tcmu_device *device;
	bool stopped = false;
	uint8_t choices;

	if (!engine)
		set_up();
	require(map);
	choices = build(map, data, len);
	memcpy(before, map, sizeof(before));
	cfg.fd = fds[0];
	cfg.engine = engine;
	cfg.lu = make_lu();
	cfg.own_reservations = cfg.own_alua = choices & CHOOSE_OWN;
	if (tcmu_device_new(&cfg, &device) == 0) {
		tcmu_device_start(device);
		if (!(choices & CHOOSE_EARLY))
			settle();
		tcmu_device_stop(device, choices & CHOOSE_ABORT, set_true, &stopped);
		while (!stopped)
			require(engine_turn(engine, true) >= 0);
	}
	require(!memcmp(before, map, MB_CMD_TAIL)); /* the mailbox, but for cmd_tail */
	settle();
	drain();
	require(!scsi_lu_in_use(cfg.lu));
	scsi_lu_unref(cfg.lu);
	free(map);
	return 0;
}
